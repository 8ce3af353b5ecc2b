"""Events behind the rows: what a service said, and which submission of which province stands behind it."""

import base64
import binascii
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import asyncpg

from contracts.problems import Problem
from national.query import QueryRefused
from servicekit.database import Connection

_COLUMNS: Final = """id, topic, subject, sequence, type, time, recorded_at, tenant, namespace, canary, source, event_id,
                     correlationid, causationid"""

# JSON paths in an event's data, to what the submission $id stated.
_RECOGNITIONS: Final = """$.recognitions[*] ? (@.origin.submission_id == $id
                                               || @.revoked.origin.submission_id == $id)"""
_DOCUMENTS: Final = "$.documents[*] ? (@.origin.submission_id == $id)"


async def event(connection: Connection, event_id: UUID) -> dict[str, Any] | None:
    """One event with its data, or None if it has not arrived."""
    row = await connection.fetchrow(f"SELECT {_COLUMNS}, payload FROM event WHERE id = $1", event_id)  # noqa: S608  # constants
    return {**told(row), "data": row["payload"]} if row else None


async def of_subjects(
    connection: Connection, subjects: Iterable[UUID], after: tuple[datetime, UUID] | None, limit: int
) -> list[asyncpg.Record]:
    """Events of these subjects, without data, in the order of their receipt, then of their ids."""
    return await connection.fetch(
        f"""SELECT {_COLUMNS} FROM event
            WHERE subject = ANY($1::uuid[]) AND ($2::timestamptz IS NULL OR (recorded_at, id) > ($2, $3::uuid))
            ORDER BY recorded_at, id LIMIT $4""",  # noqa: S608  # constants
        list(subjects),
        after[0] if after else None,
        after[1] if after else None,
        limit,
    )


async def latest_of_subjects(connection: Connection, subjects: Iterable[UUID], limit: int) -> dict[str, Any]:
    """The latest events of these subjects, in the same order, and how many there are in all."""
    rows = await connection.fetch(
        f"""SELECT {_COLUMNS}, count(*) OVER () AS in_all FROM event WHERE subject = ANY($1::uuid[])
            ORDER BY recorded_at DESC, id DESC LIMIT $2""",  # noqa: S608  # constants
        list(subjects),
        limit,
    )
    return {"events": [told(row) for row in reversed(rows)], "events_in_all": rows[0]["in_all"] if rows else 0}


async def stated_by(connection: Connection, ids: Sequence[UUID]) -> dict[UUID, dict[str, Any]]:
    """The data of these events, by their ids, without what other submissions stated: each has the whole state."""
    rows = await connection.fetch(
        """SELECT id, jsonb_build_object(
                      'ref', payload -> 'ref',
                      'recognitions', jsonb_path_query_array(payload, $2, submission),
                      'documents', jsonb_path_query_array(payload, $3, submission),
                      'discontinued', payload -> 'discontinued',
                      'delisted', payload -> 'delisted') AS data
           FROM event CROSS JOIN LATERAL jsonb_build_object('id', correlationid) AS submission
           WHERE id = ANY($1::uuid[])""",
        ids,
        _RECOGNITIONS,
        _DOCUMENTS,
    )
    return {row["id"]: row["data"] for row in rows}


def told(row: asyncpg.Record) -> dict[str, Any]:
    """An event as it stands in an answer. `source` and `event_id` are the submission's; null: it had none."""
    return {
        "id": row["id"],
        "type": row["type"],
        "topic": row["topic"],
        "subject": row["subject"],
        "sequence": row["sequence"],
        "time": row["time"],
        "received_at": row["recorded_at"],
        "tenant": row["tenant"],
        "namespace": row["namespace"],
        "source": row["source"],
        "event_id": row["event_id"],
        "submission_id": row["correlationid"],
        "causation_id": row["causationid"],
        "canary": row["canary"],
        "url": f"/v1/events/{row['id']}",
    }


def cursor(row: asyncpg.Record) -> str:
    """The `after` of the page that begins behind this row."""
    return base64.urlsafe_b64encode(f"{row['recorded_at'].isoformat()}|{row['id']}".encode()).decode().rstrip("=")


def place_of(after: str) -> tuple[datetime, UUID]:
    """Where the page begins. Raises QueryRefused for what no page has given."""
    try:
        moment, _, event_id = base64.urlsafe_b64decode(after + "=" * (-len(after) % 4)).decode().partition("|")
        place = datetime.fromisoformat(moment), UUID(event_id)
        if place[0].utcoffset() != timedelta(0):
            raise ValueError("not as it was given")
    except (ValueError, binascii.Error):
        raise QueryRefused(Problem("bad-cursor", "/after")) from None
    return place
