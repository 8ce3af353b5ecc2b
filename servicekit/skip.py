"""A failed row passed over for good: what it was of goes on without it, and is incomplete from then on."""

from collections.abc import Sequence

from servicekit import audit, held
from servicekit.database import Connection
from servicekit.handler import Handler


class SkipError(Exception):
    """The row cannot be passed over; nothing was changed."""


async def skip(
    connection: Connection,
    handlers: Sequence[Handler],
    held_id: int,
    *,
    actor: str,
    reason: str,
    nameless: bool = False,
) -> None:
    """Passes over a failed row, in the transaction of the connection; its bytes go to `skipped`, with who and why.

    A submission's sender is told `rejected: passed-over`; the next number of an event's subject is applied after
    it. `nameless` is for rows that name no subject, and only for those. Raises SkipError if there is no such row,
    or if another one must go before it.
    """
    row = await held.one(connection, held_id)
    if row is None or row.reason != "failed":
        raise SkipError(f"There is no failed row {held_id}.")
    if nameless != (row.key is None):
        raise SkipError(
            f"Row {held_id} names a subject: skip it." if nameless else f"Row {held_id} names no subject: drop it."
        )
    await connection.execute(
        """INSERT INTO skipped (queue, subject, n, source, event_id, error, headers, payload, topic, since, actor,
                                reason)
           SELECT queue, subject, n, source, event_id, error, headers, payload, topic, since, $2, $3
           FROM held WHERE id = $1""",
        held_id,
        actor,
        reason,
    )
    handler = next((each for each in handlers if row.message.topic in each.topics), None)
    if handler is None:
        raise SkipError(f"Nothing here takes rows of {row.message.topic}.")
    if not await handler.skip(connection, row):
        raise SkipError(f"Row {held_id} is not the first of its queue: something before it is held or missing.")
    what = {"row": held_id, "place": row.message.place, "source": row.source, "id": row.event_id, "reason": reason}
    await audit.record(connection, actor, "drop" if nameless else "skip", what)
