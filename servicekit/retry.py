"""Failed rows tried again: first to see how many would pass, then in earnest, a few at a time."""

from collections.abc import Sequence
from dataclasses import dataclass

import asyncpg

from servicekit import held
from servicekit.database import Connection
from servicekit.handler import Handler
from servicekit.held import Key
from servicekit.trouble import MATCH, Which

MOST_RETRIES = 3  # of one row, unless the operator insists: a retry that fails tells its sender nothing new


async def retry(
    connection: Connection, which: Which, *, limit: int = 1000, after: int = 0, again: bool = False
) -> list[int]:
    """Marks up to `limit` failed rows behind row `after` to be tried again, oldest first; returns which.

    A running service tries them, each at its place in its queue. Rows that are marked already, that were tried
    `MOST_RETRIES` times (unless `again`), or that name no subject and so have no place, are left.
    """
    rows = await connection.fetch(
        f"""UPDATE held SET ready = true, retried = retried + 1 WHERE id IN (
              SELECT h.id FROM held h
              WHERE {MATCH} AND h.subject IS NOT NULL AND NOT h.ready AND (h.retried < $7 OR $8) AND h.id > $9
              ORDER BY h.id LIMIT $10 FOR UPDATE SKIP LOCKED) RETURNING id""",  # noqa: S608  # a constant
        *which.arguments,
        MOST_RETRIES,
        again,
        after,
        limit,
    )
    return sorted(row["id"] for row in rows)


async def exhausted(connection: Connection, which: Which) -> int:
    """How many of these were tried so often that they are left."""
    count = await connection.fetchval(
        f"SELECT count(*) FROM held h WHERE {MATCH} AND h.retried >= $7",  # noqa: S608  # a constant
        *which.arguments,
        MOST_RETRIES,
    )
    return int(count)


async def under_way(connection: Connection) -> int:
    """How many rows are marked and not tried yet."""
    return int(await connection.fetchval("SELECT count(*) FROM held WHERE reason = 'failed' AND ready"))


@dataclass(frozen=True, slots=True)
class Trial:
    """What would become of a row; `why` is empty if it would pass."""

    row: int
    why: str = ""


async def would_pass(
    connection: Connection, handlers: Sequence[Handler], which: Which, limit: int = 1000
) -> list[Trial]:
    """Tries failed rows with this code in transactions that are rolled back; nothing is changed and nobody is told."""
    rows = await connection.fetch(
        f"SELECT h.id, h.queue, h.subject FROM held h WHERE {MATCH} ORDER BY h.id LIMIT $7",  # noqa: S608  # a constant
        *which.arguments,
        limit,
    )
    return [await _trial(connection, handlers, row) for row in rows]


async def _trial(connection: Connection, handlers: Sequence[Handler], row: asyncpg.Record) -> Trial:
    if row["subject"] is None:
        return Trial(row["id"], "names no subject: it has no place to be tried at")
    key: Key = (row["queue"], row["subject"])
    trial = connection.transaction()
    await trial.start()
    try:
        head = (await held.heads(connection, [key])).get(key)
        if head is None or head.id != row["id"]:
            return Trial(row["id"], f"stands behind row {head.id}" if head else "is there no more")
        await connection.execute("UPDATE held SET ready = true WHERE id = $1", row["id"])
        handler = next((each for each in handlers if key[0] in each.queues), None)
        if handler is None:
            return Trial(row["id"], f"nothing here takes rows of {key[0]}")
        await handler.drain(connection, [key], 1)
        left = await connection.fetchrow("SELECT reason, error FROM held WHERE id = $1", row["id"])
        if left is None:
            return Trial(row["id"])
        return Trial(row["id"], left["error"]["text"] if left["error"] else f"would be {left['reason']}")
    except Exception as error:
        return Trial(row["id"], f"{type(error).__name__}: {error}")
    finally:
        await trial.rollback()
