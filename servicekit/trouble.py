"""What an operator sees of held rows, and the one thing that may be done with a failed one: try it again."""

from collections.abc import Mapping, Sequence
from typing import Any

import asyncpg

from servicekit import message
from servicekit.database import Connection


async def failures(connection: Connection) -> list[asyncpg.Record]:
    """Dead letters by type and kind of error, most first: how many, whose, since when, how many stand behind them."""
    return await connection.fetch(
        """SELECT coalesce(h.header ->> 'ce_type', '?') AS type, h.error ->> 'class' AS class, count(*) AS rows,
                  array_agg(DISTINCT coalesce(h.header ->> 'ce_tenant', '?')) AS tenants, min(h.since) AS first,
                  max(h.since) AS last, min(h.id) AS example,
                  coalesce(sum((SELECT count(*) FROM held b WHERE b.queue = h.queue AND b.subject = h.subject
                                AND coalesce(b.n, b.id) > coalesce(h.n, h.id))), 0)::bigint AS behind
           FROM (SELECT *, (SELECT jsonb_object_agg(pair ->> 0, pair -> 1) FROM jsonb_array_elements(headers) pair)
                   AS header FROM held WHERE reason = 'failed') h
           GROUP BY 1, 2 ORDER BY rows DESC, 1, 2"""
    )


async def show(connection: Connection, held_id: int) -> dict[str, Any] | None:
    """One held row: where it came from, what it says, why it is held; None if there is none."""
    row = await connection.fetchrow("SELECT * FROM held WHERE id = $1", held_id)
    if row is None:
        return None
    found = message.from_row(row)
    return {
        "id": row["id"],
        "place": found.place,
        "queue": row["queue"],
        "subject": row["subject"],
        "number": row["n"],
        "reason": row["reason"],
        "waits_for": row["waits_for"],
        "ready": row["ready"],
        "since": row["since"],
        "error": row["error"],
        "decodes_now": found.error is None,
        "headers": {name: value.decode(errors="backslashreplace") for name, value in found.headers},
        "payload": found.payload.decode(errors="backslashreplace"),
    }


async def retry(connection: Connection, *, held_id: int | None = None, class_: str | None = None) -> int:
    """Marks failed rows to be tried again, one or all of a kind of error; returns how many.

    They are tried by a running service, in their place in the queue. Rows that name no subject have no place and
    are left: the gateway's repeat brings what they were.
    """
    status = await connection.execute(
        """UPDATE held SET ready = true
           WHERE reason = 'failed' AND subject IS NOT NULL AND ($1::bigint IS NULL OR id = $1)
             AND ($2::text IS NULL OR error ->> 'class' = $2)""",
        held_id,
        class_,
    )
    return int(status.split()[-1])


async def waiting(connection: Connection) -> Sequence[Mapping[str, Any]]:
    """What is waited for, longest first: the reference, how many wait, whose, since when, what stands behind."""
    rows = await connection.fetch(
        """SELECT h.waits_for, h.queue, count(*) AS rows, min(h.since) AS since, min(h.id) AS example,
                  coalesce(sum((SELECT count(*) FROM held b WHERE b.queue = h.queue AND b.subject = h.subject
                                AND b.id > h.id)), 0)::bigint AS behind
           FROM held h WHERE h.reason = 'waiting' GROUP BY 1, 2 ORDER BY since"""
    )
    shown = []
    for row in rows:
        example = await show(connection, row["example"])
        headers = example["headers"] if example else {}
        shown.append({**row, "tenant": headers.get("ce_tenant", "?"), "type": headers.get("ce_type", "?")})
    return shown
