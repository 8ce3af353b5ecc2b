"""What an operator sees of held rows: what failed, by groups; one row whole; what is waited for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import asyncpg

from contracts.submission import SUBMISSIONS
from servicekit import message
from servicekit.database import Connection
from servicekit.message import Message


def _header(row: str, name: str) -> str:
    """What a header of a held row says, in SQL."""
    return f"(SELECT pair ->> 1 FROM jsonb_array_elements({row}.headers) pair WHERE pair ->> 0 = '{name}' LIMIT 1)"  # noqa: S608  # constants


def match(row: str) -> str:
    """Failed rows that a `Which` names, in SQL, as rows of that alias; its arguments come first."""
    return f"""{row}.reason = 'failed' AND ($1::bigint IS NULL OR {row}.id = $1)
    AND ($2::text IS NULL OR {_header(row, "ce_type")} = $2) AND ($3::text IS NULL OR {row}.error ->> 'class' = $3)
    AND ($4::text IS NULL OR {row}.error ->> 'field' = $4)
    AND ($5::timestamptz IS NULL OR {row}.since >= $5) AND ($6::timestamptz IS NULL OR {row}.since < $6)"""


MATCH: Final = match("h")
_TYPE: Final = _header("h", "ce_type")
_TENANT: Final = _header("h", "ce_tenant")


@dataclass(frozen=True, slots=True)
class Which:
    """Failed rows: one, a group, those first seen in a time, or what fits all that is given. Nothing given: all."""

    row: int | None = None
    type: str | None = None
    class_: str | None = None
    field: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    @property
    def arguments(self) -> tuple[Any, ...]:
        """For `MATCH`."""
        return (self.row, self.type, self.class_, self.field, self.since, self.until)


async def failures(connection: Connection) -> list[asyncpg.Record]:
    """Dead letters by type, class and field, most first: how many, whose, since when, how many stand behind them."""
    return await connection.fetch(
        f"""SELECT coalesce({_TYPE}, '?') AS type, h.error ->> 'class' AS class,
                  coalesce(h.error ->> 'field', '') AS field, count(*) AS rows,
                  array_agg(DISTINCT coalesce({_TENANT}, '?')) AS tenants, min(h.since) AS first,
                  max(h.since) AS last, min(h.id) AS example,
                  coalesce(sum((SELECT count(*) FROM held b WHERE b.queue = h.queue AND b.subject = h.subject
                                AND coalesce(b.n, b.id) > coalesce(h.n, h.id))), 0)::bigint AS behind
           FROM held h WHERE h.reason = 'failed' GROUP BY 1, 2, 3 ORDER BY rows DESC, 1, 2, 3"""  # noqa: S608  # constants
    )


async def count(connection: Connection, which: Which) -> int:
    """How many failed rows there are of these."""
    return int(await connection.fetchval(f"SELECT count(*) FROM held h WHERE {MATCH}", *which.arguments))  # noqa: S608  # a constant


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
        "retried": row["retried"],
        "since": row["since"],
        "error": row["error"],
        "decodes_now": found.error is None,
        "headers": found.shown(),
        "payload": found.payload.decode(errors="backslashreplace"),
    }


async def behind_failures(connection: Connection) -> int:
    """How many stand behind a dead letter of their subject, and are told to wait."""
    return int(
        await connection.fetchval(
            """SELECT count(*) FROM held b WHERE b.reason = 'behind' AND EXISTS (
                 SELECT FROM held h WHERE h.queue = b.queue AND h.subject = b.subject AND h.reason = 'failed')"""
        )
    )


async def waiting(connection: Connection) -> Sequence[Mapping[str, Any]]:
    """What is waited for, longest first: the reference, how many wait, whose, since when, what stands behind."""
    rows = await connection.fetch(
        f"""SELECT h.waits_for, h.queue, count(*) AS rows, min(h.since) AS since, min(h.id) AS example,
                  array_agg(DISTINCT coalesce({_TENANT}, '?')) AS tenants,
                  coalesce(sum((SELECT count(*) FROM held b WHERE b.queue = h.queue AND b.subject = h.subject
                                AND b.id > h.id)), 0)::bigint AS behind
           FROM held h WHERE h.reason = 'waiting' GROUP BY 1, 2 ORDER BY since"""  # noqa: S608  # constants
    )
    examples = await connection.fetch(
        "SELECT * FROM held WHERE id = ANY($1::bigint[])", [row["example"] for row in rows]
    )
    named = {row["id"]: _reference(message.from_row(row)) for row in examples}
    return [{**row, "what": named.get(row["example"]) or str(row["waits_for"])} for row in rows]


def _reference(held: Message) -> str | None:
    """What a submission refers to, as the province writes it: `owner 2025-68/CT-1`."""
    kind = SUBMISSIONS.get(held.named("type") or "")
    named = kind.reference(held.data) if kind and held.data else None
    return f"{named[0]} {named[1]}" if named else None
