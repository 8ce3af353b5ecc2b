"""What became of each submission: one row per (source, id), the memory that makes a repeat harmless."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from servicekit.database import Connection
from servicekit.records import About

Event = tuple[str, str]  # (source, id) of a submission


@dataclass(slots=True)
class InboxRow:
    """What became of a submission. State `said`: adopted, with something said of it that was not its end."""

    submission_id: UUID | None
    digest: str | None
    state: str = "new"
    code: str | None = None
    pointer: str | None = None
    params: dict[str, Any] = field(default_factory=dict)
    event_ids: list[UUID] = field(default_factory=list)
    outcome_seq: int = 0
    seen_seq: int = 0  # as it was read
    about: About | None = None  # what an outcome names; None where it need not be written (again)
    new: bool = False
    changed: bool = False


async def read(connection: Connection, events: Iterable[Event]) -> dict[Event, InboxRow]:
    """The rows of these submissions; those not seen before are absent."""
    wanted = sorted(set(events))
    rows = await connection.fetch(
        "SELECT * FROM inbox WHERE (source, event_id) IN (SELECT * FROM unnest($1::text[], $2::text[]))",
        [source for source, _ in wanted],
        [event_id for _, event_id in wanted],
    )
    return {
        (row["source"], row["event_id"]): InboxRow(
            row["submission_id"],
            row["digest"],
            row["state"],
            row["code"],
            row["pointer"],
            row["params"] or {},
            list(row["event_ids"]),
            row["outcome_seq"],
            row["outcome_seq"],
        )
        for row in rows
    }


async def write(connection: Connection, inbox: Mapping[Event, InboxRow]) -> None:
    """Puts down what has changed. Raises RuntimeError if another transaction has said something meanwhile of a row that
    was read: an operator passes over bytes whose subject he cannot lock. The poll is taken again.
    """
    rows = [(event, row) for event, row in sorted(inbox.items()) if row.changed]
    if not rows:
        return
    columns = (
        [source for (source, _), _ in rows],
        [event_id for (_, event_id), _ in rows],
        [row.submission_id for _, row in rows],
        [row.digest for _, row in rows],
        [row.state for _, row in rows],
        [row.code for _, row in rows],
        [row.pointer for _, row in rows],
        [json.dumps(row.params, ensure_ascii=False) if row.params else None for _, row in rows],
        [",".join(map(str, row.event_ids)) for _, row in rows],
        [row.outcome_seq for _, row in rows],
        [row.new for _, row in rows],
        [row.about.tenant if row.about else None for _, row in rows],
        [row.about.type if row.about else None for _, row in rows],
        [row.about.subject if row.about else None for _, row in rows],
        [row.about.time if row.about else None for _, row in rows],
        [row.about.received_at if row.about else None for _, row in rows],
        [row.seen_seq for _, row in rows],
    )
    # A new row that is already there was written by another transaction since it was looked for (the same
    # id under two subjects): the primary key refuses it, and the poll is taken again.
    stale = await connection.fetchval(
        """WITH n AS (
             SELECT source, event_id, submission_id, digest, state, code, pointer, params::jsonb AS params,
                    coalesce(string_to_array(nullif(event_ids, ''), ',')::uuid[], '{}') AS event_ids,
                    outcome_seq, new, tenant, type, subject, time, received_at, seen_seq
             FROM unnest($1::text[], $2::text[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[],
                         $8::text[], $9::text[], $10::int[], $11::boolean[], $12::text[], $13::text[], $14::uuid[],
                         $15::timestamptz[], $16::timestamptz[], $17::int[])
               AS u(source, event_id, submission_id, digest, state, code, pointer, params, event_ids,
                    outcome_seq, new, tenant, type, subject, time, received_at, seen_seq)
           ), changed AS (
             UPDATE inbox i SET submission_id = n.submission_id, digest = n.digest, state = n.state,
                    code = n.code, pointer = n.pointer, params = n.params, event_ids = n.event_ids,
                    outcome_seq = n.outcome_seq, tenant = coalesce(n.tenant, i.tenant),
                    type = coalesce(n.type, i.type), subject = coalesce(n.subject, i.subject),
                    time = coalesce(n.time, i.time), received_at = coalesce(n.received_at, i.received_at)
             FROM n WHERE NOT n.new AND i.source = n.source AND i.event_id = n.event_id AND i.outcome_seq = n.seen_seq
             RETURNING 1
           ), added AS (
             INSERT INTO inbox (source, event_id, submission_id, digest, state, code, pointer, params, event_ids,
                                outcome_seq, tenant, type, subject, time, received_at)
             SELECT source, event_id, submission_id, digest, state, code, pointer, params, event_ids, outcome_seq,
                    tenant, type, subject, time, received_at
             FROM n WHERE n.new ORDER BY source, event_id
           )
           SELECT (SELECT count(*) FROM n WHERE NOT new) - (SELECT count(*) FROM changed)""",
        *columns,
    )
    if stale:
        raise RuntimeError(f"{stale} submissions were told of by another transaction meanwhile")
