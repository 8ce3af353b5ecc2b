"""SQL of the gateway: keys, submissions, outcomes."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import asyncpg

from contracts.topics import submission_topic
from gateway.domain import Candidate, Holder
from servicekit import outbox
from servicekit.database import Connection
from servicekit.outbox import Outgoing

# Which outcome says how a submission stands: never a conflict that another copy met; a final one before one that
# is not, whatever their numbers; then this submission's own before those of an earlier id, where a conflict is an end
# only if there is no other: a spoilt copy of what was applied meets one too; then the latest.
BEST_OUTCOME = """SELECT o.state FROM outcome o
    WHERE o.source = {row}.source AND o.event_id = {row}.event_id
      AND NOT (o.code IS NOT DISTINCT FROM 'conflict' AND o.submission_id <> {row}.id)
    ORDER BY o.state IN ('applied', 'rejected', 'withdrawn') DESC, o.submission_id = {row}.id DESC,
      o.code IS NOT DISTINCT FROM 'conflict', o.number DESC
    LIMIT 1"""

# Of a namespace: shared by the requests of its keys; whole by whoever moves it to another lane.
LANES_LOCK = 0x0C0B_0003


@dataclass(frozen=True, slots=True)
class Kept:
    """A submission that the gateway has."""

    id: UUID
    digest: str
    state: str
    subject: UUID
    subject_ref: str
    service: str
    namespace: str


def hashed(key: str) -> bytes:
    """What is kept of a key."""
    return hashlib.sha256(key.encode()).digest()


async def holder(connection: Connection, key: str) -> Holder | None:
    """Whose key it is; None if it is unknown, replaced, or its tenant suspended."""
    row = await connection.fetchrow("SELECT * FROM key_holder($1)", hashed(key))
    return Holder(row["tenant"], row["system"], frozenset(row["namespaces"])) if row else None


async def enter(connection: Connection, tenant: str, namespaces: Iterable[str] = ()) -> datetime:
    """Shows the transaction one tenant's rows only, and keeps these namespaces in their lanes till it ends; returns the
    database's clock."""
    now = await connection.fetchval(
        """SELECT clock_timestamp() FROM set_config('app.tenant', $1, true),
             (SELECT count(pg_advisory_xact_lock_shared($2, hashtext(n))) FROM unnest($3::text[]) n) AS locked""",
        tenant,
        LANES_LOCK,
        list(namespaces),
    )
    assert isinstance(now, datetime)
    return now


async def outbox_bound(connection: Connection, most_rows: int) -> tuple[int, float]:
    """Rows in the outbox, counted up to a limit, and the age of the oldest in seconds."""
    row = await connection.fetchrow("SELECT * FROM outbox_bound($1)", most_rows)
    return (row["rows"], row["age_seconds"] or 0.0) if row else (0, 0.0)


async def kept(connection: Connection, events: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Kept]:
    """Submissions by (source, id)."""
    wanted = sorted(set(events))
    if not wanted:
        return {}
    rows = await connection.fetch(
        """SELECT source, event_id, id, digest, state, subject, subject_ref, service, namespace FROM submission
           WHERE (source, event_id) IN (SELECT * FROM unnest($1::text[], $2::text[]))""",
        [source for source, _ in wanted],
        [event_id for _, event_id in wanted],
    )
    return {
        (row["source"], row["event_id"]): Kept(
            row["id"],
            row["digest"],
            row["state"],
            row["subject"],
            row["subject_ref"],
            row["service"],
            row["namespace"],
        )
        for row in rows
    }


async def take(
    connection: Connection,
    tenant: str,
    received_at: datetime,
    candidates: Mapping[UUID, Candidate],
    repeat_after_s: int,
) -> dict[tuple[str, str], Kept]:
    """Keeps those that are new, and puts them into the outbox in the order given; returns them by (source, id). What is
    in the backfill lane waits for its feeder instead.

    One statement for both, for each is a way to the database and back, and what is said is long. Inserted sorted by
    (source, id), so that two requests with the same events cannot deadlock.
    """
    given = [
        (submission_id, c, c.headers(tenant, submission_id, received_at)) for submission_id, c in candidates.items()
    ]
    taken = await connection.fetch(
        f"""WITH given AS MATERIALIZED (
                SELECT * FROM unnest($4::uuid[], $5::text[], $6::text[], $7::text[], $8::text[], $9::uuid[],
                                     $10::text[], $11::text[], $12::text[], $13::bytea[], $14::text[], $15::bytea[],
                                     $16::text[])
                  WITH ORDINALITY AS n(id, source, event_id, namespace, type, subject, subject_ref, service, digest,
                                       body, headers, payload, topic, place)
            ), taken AS (
                INSERT INTO submission AS s (id, tenant, source, event_id, namespace, type, subject, subject_ref,
                                             service, digest, body, headers, payload, received_at, repeat_at, state,
                                             fed_at)
                SELECT n.id, $1, n.source, n.event_id, n.namespace, n.type, n.subject, n.subject_ref, n.service,
                       n.digest, n.body, n.headers::jsonb, n.payload, $2::timestamptz,
                       coalesce(unfed, $2::timestamptz + make_interval(secs => $3::float8)),
                       coalesce(({BEST_OUTCOME.format(row="n")}), 'received'), unfed
                FROM given n CROSS JOIN LATERAL (
                    SELECT CASE WHEN n.namespace IN (SELECT in_backfill($17)) THEN timestamptz 'infinity' END AS unfed
                ) lane ORDER BY n.source, n.event_id
                ON CONFLICT (source, event_id) DO NOTHING RETURNING id, state, fed_at IS NULL AS live
            ), sent AS (
                INSERT INTO outbox (topic, key, headers, payload)
                SELECT n.topic, n.subject::text, n.headers::jsonb, n.payload
                FROM given n JOIN taken t ON t.id = n.id AND t.live ORDER BY n.place
            )
            SELECT id, state FROM taken""",  # noqa: S608  # only this module's constant
        tenant,
        received_at,
        float(repeat_after_s),
        [submission_id for submission_id, _, _ in given],
        [c.source for _, c, _ in given],
        [c.id for _, c, _ in given],
        [c.namespace for _, c, _ in given],
        [c.type for _, c, _ in given],
        [c.subject for _, c, _ in given],
        [c.ref for _, c, _ in given],
        [c.service for _, c, _ in given],
        [c.digest for _, c, _ in given],
        [c.raw for _, c, _ in given],
        [outbox.headers_json(headers) for _, _, headers in given],
        [c.payload for _, c, _ in given],
        [submission_topic(c.service) for _, c, _ in given],
        sorted({c.namespace for _, c, _ in given}),
    )
    return {candidates[row["id"]].event: _kept(row["id"], candidates[row["id"]], row["state"]) for row in taken}


def _kept(submission_id: UUID, of: Candidate, state: str) -> Kept:
    assert of.subject is not None  # a withdrawal has its target's by then
    return Kept(submission_id, of.digest, state, of.subject, of.ref, of.service, of.namespace)


async def submission(connection: Connection, submission_id: UUID) -> dict[str, Any] | None:
    """One submission with every outcome so far, oldest first; None if there is none (or it is another tenant's)."""
    rows = await connection.fetch(f"SELECT {_COLUMNS} FROM submission WHERE id = $1", submission_id)  # noqa: S608  # a constant
    found = await _with_outcomes(connection, rows)
    return found[0] if found else None


async def submissions(
    connection: Connection,
    state: str | None,
    since: datetime | None,
    after: tuple[datetime, UUID] | None,
    limit: int,
) -> list[dict[str, Any]]:
    """A page of submissions, oldest first, each with every outcome so far."""
    rows = await connection.fetch(
        f"""SELECT {_COLUMNS} FROM submission
            WHERE ($1::text IS NULL OR state = $1) AND ($2::timestamptz IS NULL OR received_at >= $2)
              AND ($3::timestamptz IS NULL OR (received_at, id) > ($3, $4::uuid))
            ORDER BY received_at, id LIMIT $5""",  # noqa: S608  # a constant
        state,
        since,
        after[0] if after else None,
        after[1] if after else None,
        limit,
    )
    return await _with_outcomes(connection, rows)


_COLUMNS = "id, source, event_id, type, subject, subject_ref, service, received_at, state"


async def _with_outcomes(connection: Connection, rows: Sequence[asyncpg.Record]) -> list[dict[str, Any]]:
    outcomes = await connection.fetch(
        """SELECT source, event_id, submission_id, number, state, code, pointer, params, event_ids, heard_at
           FROM outcome
           WHERE (source, event_id) IN (SELECT * FROM unnest($1::text[], $2::text[])) ORDER BY heard_at, number""",
        [row["source"] for row in rows],
        [row["event_id"] for row in rows],
    )
    of_event: dict[tuple[str, str], list[asyncpg.Record]] = {}
    for outcome in outcomes:
        of_event.setdefault((outcome["source"], outcome["event_id"]), []).append(outcome)
    return [{**row, "outcomes": of_event.get((row["source"], row["event_id"]), [])} for row in rows]


def _due(when: str) -> str:
    """A range of the index, from one end of it, however many there are."""
    return f"""(SELECT id FROM submission
                WHERE state IN ('received', 'waiting', 'failed') AND {when} AND fed_at IS DISTINCT FROM 'infinity'
                ORDER BY repeat_at LIMIT $2 FOR UPDATE SKIP LOCKED)"""  # noqa: S608  # from below


# What is in the backfill lane, and not fed, has no such time: `take` gives it none.
DUE_AGAIN: Final = f"""
    WITH due AS MATERIALIZED {_due("repeat_at <= statement_timestamp()")},
         astray AS MATERIALIZED
            {_due("repeat_at > statement_timestamp() + interval '2 days' AND repeat_at < 'infinity'")}
    UPDATE submission SET repeated = repeated + 1,
           repeat_at = clock_timestamp()
                     + make_interval(secs => least($1::float8 * 2 ^ least(repeated + 1, 20), 86400))
    WHERE id IN (SELECT id FROM due UNION ALL SELECT id FROM astray)
    RETURNING service, subject, headers, payload, received_at, id"""  # noqa: S608  # from above


async def due_again(connection: Connection, repeat_after_s: int, limit: int) -> list[Outgoing]:
    """Submissions without a final outcome whose time to be sent again has come; next time twice as late.

    None waits longer than a day: what lies farther ahead was written by a clock that had run away.
    """
    rows = await connection.fetch(DUE_AGAIN, float(repeat_after_s), limit)
    return [
        Outgoing(submission_topic(row["service"]), str(row["subject"]), row["headers"], row["payload"])
        for row in sorted(rows, key=lambda row: (row["received_at"], row["id"]))
    ]
