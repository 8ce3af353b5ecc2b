"""Rows put aside: waiting for a reference, behind an earlier one, failed, or come before their predecessor.

A *queue* is an aggregate (submissions) or a topic (numbered events); within it every subject has its own order:
by row id for submissions, by number for topics, which is `coalesce(n, id)` for both. Callers hold the subject's
or stream's lock.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from servicekit import breaker
from servicekit.database import Connection, on_commit
from servicekit.message import Message, from_row, to_json
from servicekit.metrics import METRICS

Key = tuple[str, UUID]  # queue, subject
MOST_WOKEN = 5000  # at once: a province may name what it has not sent yet in hundreds of thousands of submissions


@dataclass(slots=True)
class HeldRow:
    """One row. `id` is 0 until it is written."""

    key: Key | None
    reason: str
    message: Message
    id: int = 0
    n: int | None = None
    waits_for: UUID | None = None
    ready: bool = False
    error: dict[str, Any] | None = None
    source: str | None = None
    event_id: str | None = None


@dataclass(frozen=True, slots=True)
class Head:
    """The least row of a queue's subject, without its bytes."""

    id: int
    reason: str
    ready: bool


@dataclass(slots=True)
class Changes:
    """What one transaction does to held rows; written by `write`."""

    added: list[HeldRow] = field(default_factory=list)
    changed: list[HeldRow] = field(default_factory=list)
    gone: list[int] = field(default_factory=list)
    promoted: set[Key] = field(default_factory=set)  # whose least row is to be tried next
    known: list[UUID] = field(default_factory=list)  # references that can now be found


def _split(keys: Iterable[Key]) -> tuple[list[str], list[UUID]]:
    ordered = sorted(keys)
    return [queue for queue, _ in ordered], [subject for _, subject in ordered]


async def heads(connection: Connection, keys: Iterable[Key]) -> dict[Key, Head]:
    """The least row of each subject that has any."""
    rows = await connection.fetch(
        """SELECT k.queue, k.subject, h.id, h.reason, h.ready
           FROM unnest($1::text[], $2::uuid[]) AS k(queue, subject),
             LATERAL (SELECT id, reason, ready FROM held
                      WHERE queue = k.queue AND subject = k.subject ORDER BY coalesce(n, id) LIMIT 1) h""",
        *_split(keys),
    )
    return {(row["queue"], row["subject"]): Head(row["id"], row["reason"], row["ready"]) for row in rows}


async def rows(
    connection: Connection, keys: Iterable[Key], limit: int, *, only_ready: bool = False
) -> dict[Key, list[HeldRow]]:
    """The first `limit` rows of each subject, in order, decoded; of all, or of those that may be tried now."""
    keys = list(keys)
    if not keys:
        return {}
    found = await connection.fetch(
        """SELECT h.* FROM unnest($1::text[], $2::uuid[]) AS k(queue, subject),
             LATERAL (SELECT * FROM held WHERE queue = k.queue AND subject = k.subject AND (ready OR NOT $4)
                      ORDER BY coalesce(n, id) LIMIT $3) h""",
        *_split(keys),
        limit,
        only_ready,
    )
    result: dict[Key, list[HeldRow]] = {}
    for row in found:
        held_row = _held_row(row)
        assert held_row.key is not None  # selected by key
        result.setdefault(held_row.key, []).append(held_row)
    return result


async def one(connection: Connection, held_id: int) -> HeldRow | None:
    """The row with this id, or None."""
    row = await connection.fetchrow("SELECT * FROM held WHERE id = $1", held_id)
    return _held_row(row) if row is not None else None


async def still_failed(connection: Connection, row: HeldRow) -> bool:
    """Locks the row; False if it is no longer what was looked at: a good copy has taken its place, or it is gone."""
    reason = await connection.fetchval("SELECT reason FROM held WHERE id = $1 FOR UPDATE", row.id)
    return bool(reason == "failed")


async def of_events(connection: Connection, events: Iterable[tuple[str, str]]) -> dict[tuple[str, str], HeldRow]:
    """The row of each (source, event id) that is held."""
    wanted = sorted(set(events))
    if not wanted:
        return {}
    found = await connection.fetch(
        "SELECT * FROM held WHERE (source, event_id) IN (SELECT * FROM unnest($1::text[], $2::text[])) ORDER BY id",
        [source for source, _ in wanted],
        [event_id for _, event_id in wanted],
    )
    return {(row["source"], row["event_id"]): _held_row(row) for row in found}


def _held_row(row: Any) -> HeldRow:
    return HeldRow(
        key=(row["queue"], row["subject"]) if row["queue"] is not None and row["subject"] is not None else None,
        reason=row["reason"],
        message=from_row(row),
        id=row["id"],
        n=row["n"],
        waits_for=row["waits_for"],
        ready=row["ready"],
        error=row["error"],
        source=row["source"],
        event_id=row["event_id"],
    )


async def any_ready(connection: Connection) -> bool:
    """Whether any row is marked to be tried."""
    return bool(await connection.fetchval("SELECT EXISTS (SELECT FROM held WHERE ready)"))


async def ready_heads(connection: Connection, queues: Sequence[str], limit: int) -> list[Key]:
    """Subjects whose least row may be tried now. Rows further back wait for their turn."""
    found = await connection.fetch(
        """SELECT h.queue, h.subject FROM held h
           WHERE h.ready AND h.queue = ANY($1::text[]) AND h.subject IS NOT NULL
             AND NOT EXISTS (SELECT FROM held e WHERE e.queue = h.queue AND e.subject = h.subject
                               AND coalesce(e.n, e.id) < coalesce(h.n, h.id))
           ORDER BY h.id LIMIT $2""",
        list(queues),
        limit,
    )
    return [(row["queue"], row["subject"]) for row in found]


async def write(connection: Connection, changes: Changes) -> None:
    """Removes, changes, adds, then marks what may be tried next.

    Marking what became known skips rows that another transaction holds, so it never waits and cannot deadlock, and
    is bounded; the sweep marks what was left. Promoted rows are of subjects that the caller has locked. A place that
    was given back after the row was read (below 0: its log is no more) stays given back.
    """
    if changes.gone:
        await connection.execute("DELETE FROM held WHERE id = ANY($1::bigint[])", changes.gone)
    for row in changes.changed:
        await connection.execute(
            """UPDATE held SET reason = $2, waits_for = $3, ready = $4, error = $5::jsonb, headers = $6::jsonb,
                               payload = $7, topic = $8, partition = $9,
                               "offset" = CASE WHEN "offset" < 0 THEN "offset" ELSE $10 END
               WHERE id = $1""",
            row.id,
            row.reason,
            row.waits_for,
            row.ready,
            row.error,
            to_json(row.message.headers),
            row.message.payload,
            row.message.topic,
            row.message.partition,
            row.message.offset,
        )
    await wait_behind(connection, [row.id for row in changes.changed])
    if changes.added:
        await _insert(connection, changes.added)
    if changes.promoted:
        await connection.execute(
            """UPDATE held SET ready = true
               FROM unnest($1::text[], $2::uuid[]) AS k(queue, subject)
               WHERE held.reason <> 'failed' AND NOT held.ready
                 AND held.id = (SELECT id FROM held WHERE queue = k.queue AND subject = k.subject
                                ORDER BY coalesce(n, id) LIMIT 1)""",
            *_split(changes.promoted),
        )
    if changes.known:
        await connection.execute(
            """UPDATE held SET ready = true WHERE id IN (
                 SELECT id FROM held WHERE reason = 'waiting' AND NOT ready AND waits_for = ANY($1::uuid[])
                 LIMIT $2 FOR UPDATE SKIP LOCKED)""",
            changes.known,
            MOST_WOKEN,
        )


async def _insert(connection: Connection, added: Sequence[HeldRow]) -> None:
    for row in added:
        on_commit(METRICS.held.labels(row.reason).inc)
    await connection.execute(
        """INSERT INTO held (queue, subject, n, reason, waits_for, ready, error, source, event_id,
                             headers, payload, topic, partition, "offset")
           SELECT queue, subject, n, reason, waits_for, ready, error::jsonb, source, event_id,
                  headers::jsonb, payload, topic, partition, place
           FROM unnest($1::text[], $2::uuid[], $3::bigint[], $4::text[], $5::uuid[], $6::boolean[], $7::text[],
                       $8::text[], $9::text[], $10::text[], $11::bytea[], $12::text[], $13::int[], $14::bigint[])
             WITH ORDINALITY AS h(queue, subject, n, reason, waits_for, ready, error, source, event_id,
                                  headers, payload, topic, partition, place, ord)
           ORDER BY ord""",
        [row.key[0] if row.key else None for row in added],
        [row.key[1] if row.key else None for row in added],
        [row.n for row in added],
        [row.reason for row in added],
        [row.waits_for for row in added],
        [row.ready for row in added],
        [json.dumps(row.error, ensure_ascii=False) if row.error is not None else None for row in added],
        [row.source for row in added],
        [row.event_id for row in added],
        [json.dumps(to_json(row.message.headers), ensure_ascii=False) for row in added],
        [row.message.payload for row in added],
        [row.message.topic for row in added],
        [row.message.partition for row in added],
        [row.message.offset for row in added],
    )
    failed = [row.message for row in added if row.reason == "failed"]
    if failed:
        await breaker.watch(connection, [(each.topic, each.partition, each.offset) for each in failed])


async def wait_behind(connection: Connection, stay: Sequence[int]) -> None:
    """Takes the mark off what was to be tried, but stands behind rows that stay: only the first of a subject is tried.
    Nothing stands behind a record of a topic without numbers."""
    if stay:
        await connection.execute(
            """UPDATE held b SET ready = false FROM held h
               WHERE h.id = ANY($1::bigint[]) AND NOT h.ready AND h.reason IN ('failed', 'waiting')
                 AND (h.n IS NOT NULL OR h.queue <> h.topic)
                 AND b.queue = h.queue AND b.subject = h.subject AND b.ready
                 AND coalesce(b.n, b.id) > coalesce(h.n, h.id)""",
            stay,
        )


async def hold_bare(connection: Connection, message: Message, error: dict[str, Any]) -> None:
    """Puts a record aside by its bytes alone: for what cannot be put at its place, and must not stop all behind it."""
    await write(connection, Changes(added=[HeldRow(None, "failed", message, error=error)]))


async def same_bytes(connection: Connection, message: Message, key: Key | None = None) -> bool:
    """True if these bytes, nameless or at that place, are put aside already, or were passed over since: a repeat of
    the same send."""
    at = "queue IS NULL" if key is None else "queue = $4 AND subject = $5"
    same = f"{at} AND topic = $1 AND payload = $2 AND headers = $3::jsonb"
    return bool(
        await connection.fetchval(
            f"SELECT EXISTS (SELECT FROM held WHERE {same}) OR EXISTS (SELECT FROM skipped WHERE {same})",  # noqa: S608  # from above
            message.topic,
            message.payload,
            to_json(message.headers),
            *(key or ()),
        )
    )


async def sweep(connection: Connection, queue: str, known: str) -> int:
    """Marks waiting rows whose reference is in table `known`, so many at once as end in time; returns how many.

    Needed because the transaction that makes a reference known and the one that waits for it can miss each
    other: neither sees the other's uncommitted row.
    """
    status = await connection.execute(
        f"""UPDATE held SET ready = true WHERE id IN (
              SELECT h.id FROM held h JOIN {known} k ON k.id = h.waits_for
              WHERE h.queue = $1 AND h.reason = 'waiting' AND NOT h.ready
              LIMIT $2 FOR UPDATE OF h SKIP LOCKED)""",  # noqa: S608  # a table's name from the code's own wiring
        queue,
        MOST_WOKEN,
    )
    return int(status.split()[-1])
