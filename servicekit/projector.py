"""Numbered events in, rows out: each event once, in the order of its subject's numbers.

An author writes `rows` (pure) and a table. Domain events carry the aggregate's whole state, so of a batch only
the highest number of each subject is written to tables of state, replacing that subject's rows; tables of events
get one row for each.

    applied + 1  ─► applied, and every held row that follows it in number
    lower, equal ─► seen, dropped
    higher       ─► held: `gap`, or `behind` one that failed
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Self
from uuid import UUID

from pydantic import BaseModel

from contracts.envelope import Envelope
from servicekit import failure, held
from servicekit.database import Connection
from servicekit.held import Changes, HeldRow, Key
from servicekit.message import Message

DRAIN_DEPTH = 500  # most held rows applied in one transaction, of all subjects together
HELD_LOADED = 1000  # rows of one subject that a transaction looks at: more than it applies


@dataclass(frozen=True)
class Table:
    """Where rows go. The first column is the subject, or the event's id for tables of events."""

    name: str
    columns: tuple[str, ...]
    per: Literal["subject", "event"] = "subject"


@dataclass(frozen=True, slots=True)
class Event:
    """A domain event as `rows` gets it; `subject` is the aggregate's id."""

    id: UUID
    subject: UUID
    envelope: Envelope
    data: BaseModel
    topic: str
    payload: bytes

    @classmethod
    def of(cls, message: Message) -> Self:
        """The event in a record that decoded."""
        envelope, data = message.envelope, message.data
        id_, subject = message.named_uuid("id"), message.named_uuid("subject")
        assert envelope and data and id_ and subject  # callers look at `error` and `ignored` before
        return cls(id_, subject, envelope, data, message.topic, message.payload)


@dataclass(frozen=True)
class Projection:
    """The wiring of one topic: `rows(event)` says, per table, the rows that it gives."""

    topic: str
    tables: tuple[Table, ...]
    rows: Callable[[Event], Mapping[str, Sequence[tuple[Any, ...]]]]
    wakes: bool = False  # a subject's first event makes it known to submissions that wait for it


@dataclass(slots=True)
class _Stream:
    """One subject of one topic, while a batch is applied."""

    applied: int
    held: dict[int, HeldRow] = field(default_factory=dict)
    fresh: list[Message] = field(default_factory=list)
    start: int = 0

    @property
    def failed_ahead(self) -> bool:
        """True if what comes next is known to be bad: later ones stand behind it rather than before a gap."""
        row = self.held.get(self.applied + 1)
        return row is not None and row.reason == "failed"


class Projectors:
    """All projections of a service, behind the numbered topics that they read."""

    def __init__(self, projections: Sequence[Projection]) -> None:
        self._projections = {projection.topic: projection for projection in projections}
        self.topics = self.queues = tuple(self._projections)

    # ---------------------------------------------------------------- what the runner calls

    async def handle(self, connection: Connection, messages: Sequence[Message], depth: int = DRAIN_DEPTH) -> None:
        """Applies a poll's events, in the order of their numbers per subject."""
        await self._work(connection, messages, (), depth)

    async def fail(self, connection: Connection, message: Message, error: dict[str, Any]) -> None:
        """Puts an event aside that the code cannot handle; later ones of its subject stand behind it."""
        await self._work(connection, [message], (), 0, error)

    async def ready(self, connection: Connection, limit: int) -> list[Key]:
        """Subjects whose head may be tried now, locked; those that others hold are skipped."""
        keys = await held.ready_heads(connection, list(self.topics), limit)
        rows = await connection.fetch(
            """SELECT topic, subject FROM stream
               WHERE (topic, subject) IN (SELECT * FROM unnest($1::text[], $2::uuid[]))
               ORDER BY topic, subject FOR UPDATE SKIP LOCKED""",
            [topic for topic, _ in keys],
            [subject for _, subject in keys],
        )
        return [(row["topic"], row["subject"]) for row in rows]

    async def drain(self, connection: Connection, keys: Sequence[Key], depth: int = DRAIN_DEPTH) -> None:
        """Tries held rows again that were marked ready."""
        await self._work(connection, [], keys, depth)

    async def fail_head(self, connection: Connection, key: Key, error: dict[str, Any]) -> None:
        """Marks the next row of a subject failed again, unless another has taken it meanwhile."""
        rows = await connection.fetch(
            """UPDATE held SET reason = 'failed', ready = false, error = $3::jsonb
               WHERE ready AND id = (SELECT id FROM held WHERE queue = $1 AND subject = $2
                                     ORDER BY coalesce(n, id) LIMIT 1) RETURNING id""",
            *key,
            error,
        )
        await held.wait_behind(connection, [row["id"] for row in rows])

    async def skip(self, connection: Connection, row: HeldRow) -> bool:
        """Goes on behind an event that failed, as if its number had been applied."""
        streams = await self._lock(connection, [row.key] if row.key else [])
        if not await held.still_failed(connection, row):
            return False
        for stream in streams.values():
            if row.n != stream.applied + 1:
                return False
            stream.applied = row.n
        await self._write(connection, streams, {}, Changes(gone=[row.id], promoted=set(streams)))
        return True

    async def sweep(self, connection: Connection) -> int:  # noqa: ARG002  # nothing here waits for a reference
        """Nothing of a numbered topic waits for a reference."""
        return 0

    # ---------------------------------------------------------------- one transaction's work

    async def _work(
        self,
        connection: Connection,
        messages: Sequence[Message],
        heads: Iterable[Key],
        depth: int,
        error: dict[str, Any] | None = None,
    ) -> None:
        changes = Changes()
        numbered: list[tuple[Key, int, Message]] = []
        for message in messages:
            if (place := message.numbered()) is not None:
                subject, number = place
                numbered.append(((message.topic, subject), number, message))
            elif not any(row.message.same_bytes(message) for row in changes.added) and not await held.same_bytes(
                connection, message
            ):
                changes.added.append(
                    _aside(message, None, None, "failed", failure.undecodable(message.error, message.field))
                )
        retried = set(heads)
        keys = retried | {key for key, _, _ in numbered}
        streams = await self._lock(connection, keys)
        for key, rows in (await held.rows(connection, keys, HELD_LOADED)).items():
            for row in rows:
                # What lay beyond the rows that were looked at may be held twice, or have been applied meanwhile.
                if row.n is None or row.n <= streams[key].applied:
                    changes.gone.append(row.id)
                    continue
                twin = streams[key].held.setdefault(row.n, row)
                if twin is not row:  # the good one of two stays
                    worse = twin if twin.reason == "failed" else row
                    streams[key].held[row.n] = row if worse is twin else twin
                    changes.gone.append(worse.id)
        applied: dict[Key, list[Message]] = {}
        for key, number, message in numbered:
            self._arrive(streams[key], key, number, message, error, changes, applied)
        each = max(1, depth // max(1, sum(bool(stream.held) for stream in streams.values()))) if depth else 0
        for key, stream in streams.items():
            self._drain(stream, key, each, key in retried, changes, applied)
        await self._write(connection, streams, applied, changes)

    def _arrive(
        self,
        stream: _Stream,
        key: Key,
        number: int,
        message: Message,
        error: dict[str, Any] | None,
        changes: Changes,
        applied: dict[Key, list[Message]],
    ) -> None:
        if number <= stream.applied:
            return
        bad = error or (failure.undecodable(message.error, message.field) if message.error is not None else None)
        if number == stream.applied + 1 and bad is None:
            stream.applied = number
            applied.setdefault(key, []).append(message)
            return
        copy = stream.held.get(number)
        if copy is not None:
            if bad is None and copy.reason == "failed":
                # A good copy of one that is held as bad takes its place.
                copy.message, copy.error = message, None
                copy.reason = "behind" if stream.failed_ahead and number != stream.applied + 1 else "gap"
                changes.changed.append(copy)
            return
        reason = "failed" if bad is not None else "behind" if stream.failed_ahead else "gap"
        row = _aside(message, key, number, reason, bad)
        stream.held[number] = row
        changes.added.append(row)

    def _drain(
        self,
        stream: _Stream,
        key: Key,
        depth: int,
        retried: bool,
        changes: Changes,
        applied: dict[Key, list[Message]],
    ) -> None:
        """Applies held rows that follow in number. One that failed is tried only when marked ready."""
        for number in sorted(stream.held):
            row = stream.held[number]
            if number <= stream.applied:  # a bad copy of what has been applied since
                _drop(row, changes)
                continue
            if number != stream.applied + 1:
                break
            if row.reason == "failed" and not (retried and row.ready):
                break
            if depth == 0:
                break
            if row.message.error is not None:
                row.reason, row.ready = "failed", False
                row.error = failure.undecodable(row.message.error, row.message.field)
                changes.changed.append(row)
                break
            stream.applied = number
            applied.setdefault(key, []).append(row.message)
            _drop(row, changes)
            depth -= 1
        for number, row in stream.held.items():
            if row.ready and number > stream.applied + 1:  # marked too early: what comes before it is missing
                row.ready = False
                changes.changed.append(row)
        nxt = stream.held.get(stream.applied + 1)
        if nxt is not None and nxt.reason != "failed":
            changes.promoted.add(key)

    async def _lock(self, connection: Connection, keys: Iterable[Key]) -> dict[Key, _Stream]:
        ordered = sorted(keys)
        columns = [topic for topic, _ in ordered], [subject for _, subject in ordered]
        await connection.execute(
            """INSERT INTO stream (topic, subject) SELECT * FROM unnest($1::text[], $2::uuid[])
               ORDER BY 1, 2 ON CONFLICT DO NOTHING""",
            *columns,
        )
        rows = await connection.fetch(
            """SELECT topic, subject, applied FROM stream
               WHERE (topic, subject) IN (SELECT * FROM unnest($1::text[], $2::uuid[]))
               ORDER BY topic, subject FOR UPDATE""",
            *columns,
        )
        return {(row["topic"], row["subject"]): _Stream(row["applied"], start=row["applied"]) for row in rows}

    async def _write(
        self,
        connection: Connection,
        streams: Mapping[Key, _Stream],
        applied: Mapping[Key, Sequence[Message]],
        changes: Changes,
    ) -> None:
        moved = [(key, stream) for key, stream in streams.items() if stream.applied != stream.start]
        await connection.execute(
            """UPDATE stream s SET applied = n.applied
               FROM unnest($1::text[], $2::uuid[], $3::bigint[]) AS n(topic, subject, applied)
               WHERE s.topic = n.topic AND s.subject = n.subject""",
            [topic for (topic, _), _ in moved],
            [subject for (_, subject), _ in moved],
            [stream.applied for _, stream in moved],
        )
        for topic, projection in self._projections.items():
            per_subject = [
                [Event.of(message) for message in messages if not message.ignored]
                for key, messages in applied.items()
                if key[0] == topic
            ]
            events = [handled for handled in per_subject if handled]
            if events:
                await _write_rows(connection, projection, events)
            if projection.wakes:
                changes.known += [key[1] for key, stream in moved if key[0] == topic and stream.start == 0]
        await held.write(connection, changes)


async def _write_rows(connection: Connection, projection: Projection, events: Sequence[Sequence[Event]]) -> None:
    """Writes each subject's highest event to tables of state, and every event to tables of events."""
    rows: dict[str, list[tuple[Any, ...]]] = {table.name: [] for table in projection.tables}
    of_events = {table.name for table in projection.tables if table.per == "event"}
    for subject_events in events:
        for event in subject_events:
            last = event is subject_events[-1]
            for name, found in projection.rows(event).items():
                if last or name in of_events:
                    rows[name] += found
    subjects = [subject_events[-1].subject for subject_events in events]
    gone = [
        f"of_{table.name} AS (DELETE FROM {table.name} WHERE {table.columns[0]} = ANY($1::uuid[]))"  # noqa: S608  # names from the code's own wiring
        for table in projection.tables
        if table.per == "subject"
    ]
    if gone:
        await connection.execute(f"WITH {', '.join(gone)} SELECT", subjects)
    for table in projection.tables:
        await connection.copy_records_to_table(table.name, columns=table.columns, records=rows[table.name])


def _aside(message: Message, key: Key | None, number: int | None, reason: str, error: dict[str, Any] | None) -> HeldRow:
    row = HeldRow(key, reason, message, n=number, error=error)
    row.source, row.event_id = message.named("source"), message.named("id")
    return row


def _drop(row: HeldRow, changes: Changes) -> None:
    if row in changes.changed:
        changes.changed.remove(row)
    if row.id:
        changes.gone.append(row.id)
    else:
        changes.added.remove(row)
