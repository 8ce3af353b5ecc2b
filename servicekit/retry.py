"""Failed rows tried again: first to see how many would pass, then in earnest, a few at a time."""

from collections.abc import Sequence
from dataclasses import dataclass

from servicekit.database import Connection
from servicekit.handler import Handler
from servicekit.held import Key
from servicekit.trouble import MATCH, Which, match

MOST_RETRIES = 3  # of one row, unless the operator insists: a retry that fails tells its sender nothing new

# What stands before row `h` and stays: only the first of a subject is tried, so `h` would be marked in vain, for
# ever. What is `behind` goes with what it stands behind; whatever else is not marked has its own reason to stay.
# Where the queue is the topic and nothing is numbered, a `listener` reads it, and nothing stands behind anything.
_BEFORE = """SELECT e.id FROM held e WHERE e.queue = h.queue AND e.subject = h.subject
    AND coalesce(e.n, e.id) < coalesce(h.n, h.id) AND NOT e.ready AND e.reason <> 'behind'
    AND (h.n IS NOT NULL OR h.queue <> h.topic)"""


async def retry(
    connection: Connection, which: Which, *, limit: int = 1000, after: int = 0, again: bool = False
) -> list[int]:
    """Marks up to `limit` failed rows behind row `after` to be tried again, oldest first; returns which.

    A running service tries them, each at its place in its queue. Rows that are marked already, that were tried
    `MOST_RETRIES` times (unless `again`), that name no subject and so have no place, or that stand behind a row which
    is not tried with them (`behind` tells which), are left.
    """
    with_it = f"{match('e')} AND (e.retried < $7 OR $8) AND e.id > $9"
    rows = await connection.fetch(
        f"""UPDATE held SET ready = true, retried = retried + 1 WHERE id IN (
              SELECT h.id FROM held h
              WHERE {MATCH} AND h.subject IS NOT NULL AND NOT h.ready AND (h.retried < $7 OR $8) AND h.id > $9
                AND NOT EXISTS ({_BEFORE} AND ({with_it}) IS NOT TRUE)
              ORDER BY h.id LIMIT $10 FOR UPDATE SKIP LOCKED) RETURNING id""",  # noqa: S608  # constants
        *which.arguments,
        MOST_RETRIES,
        again,
        after,
        limit,
    )
    return sorted(row["id"] for row in rows)


@dataclass(frozen=True, slots=True)
class Behind:
    """Rows that are not tried because another one of their subject must go before: how many, and which."""

    rows: int
    row: int
    reason: str


async def behind(connection: Connection, which: Which, *, again: bool = False) -> list[Behind]:
    """What stands behind what, of those that are not marked; most first."""
    rows = await connection.fetch(
        f"""SELECT count(*) AS rows, e.id AS row, e.reason FROM held h, LATERAL (
              SELECT id, reason FROM held WHERE id IN ({_BEFORE}) ORDER BY coalesce(n, id) LIMIT 1) e
            WHERE {MATCH} AND NOT h.ready AND ($8 OR h.retried < $7) GROUP BY 2, 3 ORDER BY 1 DESC, 2""",  # noqa: S608  # constants
        *which.arguments,
        MOST_RETRIES,
        again,
    )
    return [Behind(row["rows"], row["row"], row["reason"]) for row in rows]


async def exhausted(connection: Connection, which: Which) -> int:
    """How many of these were tried so often that they are left."""
    count = await connection.fetchval(
        f"SELECT count(*) FROM held h WHERE {MATCH} AND NOT h.ready AND h.retried >= $7",  # noqa: S608  # a constant
        *which.arguments,
        MOST_RETRIES,
    )
    return int(count)


async def under_way(connection: Connection) -> int:
    """How many rows are marked and not tried yet."""
    return int(
        await connection.fetchval(
            f"SELECT count(*) FROM held h WHERE reason = 'failed' AND ready AND NOT EXISTS ({_BEFORE})"  # noqa: S608  # a constant
        )
    )


@dataclass(frozen=True, slots=True)
class Trial:
    """What would become of a row; `why` is empty if it would pass."""

    row: int
    why: str = ""


async def would_pass(
    connection: Connection, handlers: Sequence[Handler], which: Which, limit: int = 1000, *, again: bool = False
) -> list[Trial]:
    """Tries failed rows with this code, the oldest `limit` of them, as `retry` has them tried: those of one subject
    one after another, in a transaction that is rolled back. Nothing is changed and nobody is told.
    """
    rows = await connection.fetch(
        f"SELECT h.id, h.queue, h.subject, h.n, h.retried FROM held h WHERE {MATCH} ORDER BY h.id LIMIT $7",  # noqa: S608  # a constant
        *which.arguments,
        limit,
    )
    trials, subjects = [], dict[Key, list[int]]()
    for row in sorted(rows, key=lambda row: row["n"] or row["id"]):
        if row["subject"] is None:
            trials.append(Trial(row["id"], "names no subject: it has no place to be tried at"))
        elif row["retried"] >= MOST_RETRIES and not again:
            trials.append(Trial(row["id"], f"was tried {MOST_RETRIES} times and is left: --again insists"))
        else:
            subjects.setdefault((row["queue"], row["subject"]), []).append(row["id"])
    for key, ids in subjects.items():
        trials += await _trials(connection, handlers, key, ids)
    return sorted(trials, key=lambda trial: trial.row)


async def _trials(connection: Connection, handlers: Sequence[Handler], key: Key, ids: Sequence[int]) -> list[Trial]:
    """Of these rows of one subject, in their order."""
    handler = next((each for each in handlers if key[0] in each.queues), None)
    if handler is None:
        return [Trial(id_, f"nothing here takes rows of {key[0]}") for id_ in ids]
    trial = connection.transaction()
    await trial.start()
    try:
        await connection.execute("UPDATE held SET ready = true WHERE id = ANY($1::bigint[])", ids)
        return [Trial(id_, await _why_not(connection, handler, key, id_)) for id_ in ids]
    finally:
        await trial.rollback()


async def _why_not(connection: Connection, handler: Handler, key: Key, row: int) -> str:
    """Tries what is left of the subject up to this row. If the row does not pass, it is marked no more, so that the
    rows behind it are seen to stand behind it.
    """
    try:
        _, depth = await _before(connection, row)
        async with connection.transaction():
            await handler.drain(connection, [key], depth)
        left = await connection.fetchrow("SELECT reason, error FROM held WHERE id = $1", row)
        if left is None:
            return ""
        before, _ = await _before(connection, row)
        if before is not None:
            why = f"stands behind row {before}"
        else:
            why = (left["error"] or {}).get("text") or f"would be {left['reason']}"
    except Exception as error:
        why = f"{type(error).__name__}: {error}"
    await connection.execute("UPDATE held SET ready = false WHERE id = $1", row)
    return why


async def _before(connection: Connection, row: int) -> tuple[int | None, int]:
    """The first row that this one stands behind, if any; and how many rows of the subject there are up to this one."""
    found = await connection.fetchrow(
        f"""SELECT ({_BEFORE} ORDER BY coalesce(e.n, e.id) LIMIT 1) AS before,
                   (SELECT count(*) FROM held u WHERE u.queue = h.queue AND u.subject = h.subject
                      AND coalesce(u.n, u.id) <= coalesce(h.n, h.id)) AS depth
            FROM held h WHERE h.id = $1""",  # noqa: S608  # a constant
        row,
    )
    return (found["before"], found["depth"]) if found is not None else (None, 1)
