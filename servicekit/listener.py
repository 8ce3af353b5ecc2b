"""Records that are not numbered per subject, outcomes above all: each is taken by itself, in whatever order.

What is done with them must bear repeats and late comers by itself, in the rows that it writes; so there is no
stream to keep, and nothing stands behind what failed.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from servicekit import failure, held
from servicekit.database import Connection
from servicekit.held import Changes, HeldRow, Key
from servicekit.message import Message

Take = Callable[[Connection, Sequence[Message]], Awaitable[None]]


class Listener:
    """Reads topics; `take` gets the records of a poll that decode and whose type is known."""

    def __init__(self, topics: Sequence[str], take: Take) -> None:
        self.topics = self.queues = tuple(topics)
        self._take = take

    async def handle(self, connection: Connection, messages: Sequence[Message], depth: int = 0) -> None:  # noqa: ARG002  # nothing queues here
        """Puts aside what does not decode, and hands on the rest."""
        changes = Changes()
        for message in messages:
            if message.error is None or any(row.message.same_bytes(message) for row in changes.added):
                continue
            if not await held.same_bytes(connection, message, key := _place(message)):
                changes.added.append(_aside(message, failure.undecodable(message.error, message.field), key))
        await held.write(connection, changes)
        good = [message for message in messages if message.data is not None]
        if good:
            await self._take(connection, good)

    async def fail(self, connection: Connection, message: Message, error: dict[str, Any]) -> None:
        """Puts a record aside that the code cannot handle, where `ocop dlq retry` finds it; later ones go on."""
        if not await held.same_bytes(connection, message, key := _place(message)):
            await held.write(connection, Changes(added=[_aside(message, error, key)]))

    async def ready(self, connection: Connection, limit: int) -> list[Key]:
        """Failed records that were marked to be tried again, locked; whatever lies before them, for nothing queues."""
        rows = await connection.fetch(
            """SELECT queue, subject FROM held WHERE ready AND queue = ANY($1::text[]) AND subject IS NOT NULL
               ORDER BY id LIMIT $2 FOR UPDATE SKIP LOCKED""",
            self.topics,
            limit,
        )
        return list(dict.fromkeys((row["queue"], row["subject"]) for row in rows))

    async def drain(self, connection: Connection, keys: Sequence[Key], depth: int = 500) -> None:
        """Takes failed records again, one of each subject. What this code cannot read has failed again."""
        changes, good = Changes(), []
        for row in await _marked(connection, keys[:depth]):
            if row.message.data is not None:
                good.append(row.message)
                changes.gone.append(row.id)
            else:
                row.ready = False
                row.error = failure.undecodable(row.message.error or "unknown type", row.message.field or "/type")
                changes.changed.append(row)
        if good:
            await self._take(connection, good)
        await held.write(connection, changes)

    async def fail_head(self, connection: Connection, key: Key, error: dict[str, Any]) -> None:
        """It failed again."""
        for row in await _marked(connection, [key]):
            row.ready, row.error = False, error
            await held.write(connection, Changes(changed=[row]))

    async def skip(self, connection: Connection, row: HeldRow) -> bool:
        """Removes it: nothing stands behind it."""
        if not await held.still_failed(connection, row):
            return False
        await held.write(connection, Changes(gone=[row.id]))
        return True

    async def sweep(self, connection: Connection) -> int:  # noqa: ARG002  # nothing waits here
        """Nothing waits."""
        return 0


async def _marked(connection: Connection, keys: Sequence[Key]) -> list[HeldRow]:
    """The first row of each subject that is marked to be tried again."""
    found = await held.rows(connection, keys, 1, only_ready=True)
    return [row for rows in found.values() for row in rows]


def _place(message: Message) -> Key | None:
    subject = message.named_uuid("subject")
    return (message.topic, subject) if subject is not None else None


def _aside(message: Message, error: dict[str, Any], key: Key | None = None) -> HeldRow:
    row = HeldRow(key, "failed", message, error=error)
    row.source, row.event_id = message.named("source"), message.named("id")
    return row
