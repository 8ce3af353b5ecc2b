"""What one transaction of a deciding service reads and writes, kept in memory between.

Reading comes first, under the subjects' locks; deciding changes only this object; `write` puts everything down
with one statement per table, in the lock order held, state, log, outbox.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from contracts.decision import Decision, Rejected, Submission, Waits
from contracts.names import event_id as derived_id
from servicekit import failure, held, inbox, outbox, records, state
from servicekit.database import Connection, on_commit
from servicekit.held import Changes, HeldRow, Key
from servicekit.inbox import Event, InboxRow
from servicekit.message import Message
from servicekit.metrics import METRICS
from servicekit.outbox import Outgoing

TICK = timedelta(microseconds=1)
MOST_SAID = 16 * 1024 * 1024  # bytes of events in one transaction: a subject's every event carries its whole state


class TooMuchError(Exception):
    """More is said than one transaction may say; alone each of its submissions has room."""


@dataclass(slots=True)
class SubjectRow:
    """Where an aggregate's numbering stands."""

    last_sequence: int
    last_recorded: datetime | None
    changed: bool = False


@dataclass(slots=True)
class LogRow:
    """A row of the log of record, and the record that says the same on the topic."""

    aggregate: str
    subject: UUID
    sequence: int
    id: UUID
    type: str
    recorded_at: datetime
    cause: UUID
    outgoing: Outgoing


class Batch:
    """See the module. Not shared between transactions."""

    def __init__(self, service: str, connection: Connection) -> None:
        self.service = service
        self.connection = connection
        self.subjects: dict[Key, SubjectRow] = {}
        self.blocked: set[Key] = set()  # subjects that something is held of
        self.inbox: dict[Event, InboxRow] = {}
        self.targets: dict[Event, HeldRow] = {}  # held rows that a withdrawal names
        self.states: dict[Key, Any] = {}
        self.known: dict[UUID, str] = {}
        self.held = Changes()
        self.wake: set[str] = set()  # aggregates whose first event makes a reference known
        self._more: set[Key] = set()
        self._tenants: dict[Key, str] = {}
        self._last: dict[Key, bytes] = {}  # the payload of each subject's last event
        self._log: list[LogRow] = []
        self._said: list[Outgoing] = []  # in the order in which it was decided, events and outcomes
        self._bytes = 0  # of events

    @property
    def full(self) -> bool:
        """Whether what is held had better wait for the next transaction."""
        return self._bytes > MOST_SAID // 2

    # ---------------------------------------------------------------- reading, under locks

    async def lock(self, keys: Iterable[Key]) -> None:
        """Locks the subjects, sorted; those not seen before are made."""
        ordered = sorted(keys)
        columns = [aggregate for aggregate, _ in ordered], [subject for _, subject in ordered]
        await self.connection.execute(
            """INSERT INTO subject (aggregate, id) SELECT * FROM unnest($1::text[], $2::uuid[])
               ORDER BY 1, 2 ON CONFLICT DO NOTHING""",
            *columns,
        )
        rows = await self.connection.fetch(
            """SELECT aggregate, id, last_sequence, last_recorded FROM subject
               WHERE (aggregate, id) IN (SELECT * FROM unnest($1::text[], $2::uuid[]))
               ORDER BY aggregate, id FOR UPDATE""",
            *columns,
        )
        for row in rows:
            self.subjects[row["aggregate"], row["id"]] = SubjectRow(row["last_sequence"], row["last_recorded"])

    async def read_held(self, keys: Iterable[Key], depth: int) -> dict[Key, list[HeldRow]]:
        """Rows to drain: of subjects whose head is ready, the first of each, about `depth` in all.

        A statement of its own after the lock: what another transaction put aside before it let the subject go
        must be seen. Every subject that has a row is blocked until its rows are gone.
        """
        heads = await held.heads(self.connection, keys)
        self.blocked = set(heads)
        ready = [key for key, head in heads.items() if head.ready] if depth else []
        if not ready:
            return {}
        each = max(1, depth // len(ready))
        rows = await held.rows(self.connection, ready, each + 1)
        self._more = {key for key, found in rows.items() if len(found) > each}
        return {key: found[:each] for key, found in rows.items()}

    async def read_inbox(self, events: Iterable[Event]) -> None:
        """What became of these submissions earlier."""
        self.inbox |= await inbox.read(self.connection, events)

    # ---------------------------------------------------------------- deciding, in memory

    def arrived(self, event: Event, message: Message) -> InboxRow:
        """A submission not seen before."""
        row = self.inbox.get(event) or InboxRow(None, None, new=True)
        row.submission_id = message.named_uuid("correlationid")  # of a copy that did not decode it may be another
        row.digest = message.envelope.contentdigest if message.envelope and message.error is None else None
        row.about = records.about(message)
        self.inbox[event] = row
        return row

    def submission(self, key: Key, message: Message) -> Submission:
        """The submission as `decide` gets it: recorded when the gateway received it, raised just above the
        aggregate's last event if need be, so that recorded times never step back."""
        envelope, data = message.envelope, message.data
        assert envelope is not None and data is not None  # callers decide only what decoded
        subject = self.subjects[key]
        recorded = envelope.recordedtime
        if subject.last_recorded is not None and recorded <= subject.last_recorded:
            recorded = subject.last_recorded + TICK
        return Submission(
            submission_id=UUID(envelope.correlationid),
            source=envelope.source,
            event_id=envelope.id,
            type=envelope.type,
            subject=key[1],
            tenant=envelope.tenant,
            time=envelope.time,
            recorded_at=recorded,
            sequence=subject.last_sequence + 1,
            data=data,
        )

    def settle(
        self, key: Key, message: Message, row: InboxRow, submission: Submission, verdict: Decision | Rejected
    ) -> None:
        """The end of a submission: applied with its events, or rejected."""
        if isinstance(verdict, Rejected):
            self._say(message, row, "rejected", verdict.code, verdict.pointer, verdict.params)
            return
        subject = self.subjects[key]
        for index, event in enumerate(verdict.events):
            subject.last_sequence += 1
            subject.last_recorded = submission.recorded_at + index * TICK
            subject.changed = True
            event_id = derived_id(submission.submission_id, self.service, index)
            row.event_ids.append(event_id)
            said = records.domain_event(
                self.service, key, message, subject.last_sequence, subject.last_recorded, event_id, event
            )
            self._log.append(
                LogRow(
                    *key,
                    subject.last_sequence,
                    event_id,
                    event.type,
                    subject.last_recorded,
                    submission.submission_id,
                    said,
                )
            )
            self._said.append(said)
            self._last[key] = said.payload
            self._bytes += len(said.payload)
            if self._bytes > MOST_SAID:
                raise TooMuchError(f"{len(self._log)} events are more than {MOST_SAID} bytes")
        if subject.last_sequence == len(verdict.events) and key[0] in self.wake:
            self.held.known.append(key[1])
        self.states[key] = verdict.state
        self._tenants[key] = submission.tenant
        self.known[key[1]] = submission.tenant
        self._say(message, row, "applied", None, None, {})

    def repeat(self, message: Message, row: InboxRow) -> None:
        """A submission seen before: says again what was said, to the submission id in this record.

        The same id with other content is refused; the first one stands.
        """
        digest = message.envelope.contentdigest if message.envelope else None
        if row.digest is None and row.state != "failed":  # adopted: what it said is read again, and comes first
            row.digest, row.changed = digest, True
            row.submission_id = row.submission_id or message.named_uuid("correlationid")
            row.about = records.about(message)
        if digest is not None and row.digest is not None and digest != row.digest:
            row.outcome_seq += 1
            row.changed = True
            self._tell(message, row.outcome_seq, "rejected", "conflict", "/id", {}, [])
        elif row.outcome_seq:
            self._tell(message, row.outcome_seq, row.state, row.code, row.pointer, row.params, row.event_ids)

    def hold_waiting(self, key: Key, message: Message, row: InboxRow, verdict: Waits) -> None:
        """Puts a submission aside until its reference is known."""
        self._hold(key, message, "waiting", waits_for=verdict.reference)
        self._say(message, row, "waiting", verdict.code, verdict.pointer, verdict.params)

    def hold_behind(self, key: Key, message: Message, row: InboxRow) -> None:
        """Puts a submission behind an earlier one of its subject, so that their order is kept."""
        self._hold(key, message, "behind")
        self._say(message, row, "waiting", "behind-earlier", "/subject", {})

    def hold_failed(self, key: Key | None, message: Message, row: InboxRow, error: dict[str, Any]) -> None:
        """Puts a submission aside that cannot be handled."""
        self._hold(key, message, "failed", error=error)
        self._say(message, row, "failed", failure.code(error), "", {})

    def hold_nameless(self, message: Message) -> None:
        """Bytes that name no submission: kept, in nobody's way. The gateway's repeat brings what is missing."""
        self._hold(None, message, "failed", error=failure.undecodable(message.error, message.field))

    def _hold(
        self,
        key: Key | None,
        message: Message,
        reason: str,
        *,
        waits_for: UUID | None = None,
        error: dict[str, Any] | None = None,
    ) -> None:
        row = HeldRow(key, reason, message, waits_for=waits_for, error=error)
        row.source, row.event_id = message.named("source"), message.named("id")
        self.held.added.append(row)
        if key is not None:
            self.blocked.add(key)

    def wait_again(self, row: HeldRow, verdict: Waits) -> None:
        """A held row that was tried and must wait: told only if that is news to its sender."""
        news = row.reason != "waiting" or row.waits_for != verdict.reference
        row.reason, row.waits_for, row.ready, row.error = "waiting", verdict.reference, False, None
        self.held.changed.append(row)
        if news:
            inbox = self.inbox[row.source or "", row.event_id or ""]
            self._say(row.message, inbox, "waiting", verdict.code, verdict.pointer, verdict.params)

    def fail_row(self, row: HeldRow, error: dict[str, Any]) -> None:
        """A held row that the code cannot handle: it stays at its place, and its sender is told."""
        news = row.reason != "failed"
        row.reason, row.ready, row.error, row.waits_for = "failed", False, error, None
        self.held.changed.append(row)
        inbox = self.inbox.get((row.source or "", row.event_id or ""))
        if news and inbox is not None:
            self._say(row.message, inbox, "failed", failure.code(error), "", {})

    def drained(self, key: Key) -> None:
        """All loaded rows of a subject have gone; if there are more, the next is tried soon."""
        if key in self._more:
            self.held.promoted.add(key)
        else:
            self.blocked.discard(key)

    async def replace_bad_copy(self, event: Event, key: Key | None, message: Message) -> bool:
        """A good copy takes the place of the one that did not decode. False if that one had none, or another's."""
        bad = self._added(event) or (await held.of_events(self.connection, [event])).get(event)
        if bad is None:
            return False
        if bad.key is None or bad.key != key:
            self._remove(bad)
            return False
        bad.message, bad.reason, bad.error = message, "behind", None
        if bad.id:
            self.held.changed.append(bad)
        self.held.promoted.add(bad.key)
        row = self.arrived(event, message)
        self._say(message, row, "waiting", "behind-earlier", "/subject", {})
        return True

    def _added(self, event: Event) -> HeldRow | None:
        """The row that this very batch has put aside for a submission."""
        return next((row for row in self.held.added if (row.source, row.event_id) == event), None)

    def _remove(self, row: HeldRow) -> None:
        if row.id:
            self.held.gone.append(row.id)
        else:
            self.held.added.remove(row)
        if row.key is not None:
            self.held.promoted.add(row.key)

    def pass_over(self, row: HeldRow) -> None:
        """Takes a failed submission out for good, at an operator's word."""
        self._remove(row)
        inbox = self.inbox.get((row.source or "", row.event_id or ""))
        if inbox is not None:
            self._say(row.message, inbox, "rejected", "passed-over", "", {})

    def withdraw(self, message: Message, own: InboxRow, target: Event) -> None:
        """Takes a held submission back at its sender's word. What was decided already stays.

        What was taken back already is as its sender wants it: by another word of his, or by this very one, whose own
        outcome was lost with a database that was set back. What is said names the target, for whoever adopts it.
        """
        held_row = self.targets.get(target) or self._added(target)
        inbox = self.inbox.get(target)
        if inbox is not None and held_row is not None and inbox.state in ("waiting", "failed"):
            self._remove(held_row)
            self._say(held_row.message, inbox, "withdrawn", None, None, {})
        if inbox is not None and inbox.state == "withdrawn":
            self._say(message, own, "applied", None, None, {"event_id": target[1]})
        else:
            now = inbox.state if inbox else "unknown"
            self._say(message, own, "rejected", "not-held", "/data/event_id", {"state": now})

    # ---------------------------------------------------------------- saying

    def _say(
        self,
        message: Message,
        row: InboxRow,
        state: str,
        code: str | None,
        pointer: str | None,
        params: Mapping[str, Any],
    ) -> None:
        row.state, row.code, row.pointer, row.params = state, code, pointer, dict(params)
        row.outcome_seq += 1
        row.changed = True
        on_commit(METRICS.outcomes.labels(self.service, state).inc)
        self._tell(message, row.outcome_seq, state, code, pointer, params, row.event_ids)

    def _tell(
        self,
        message: Message,
        number: int,
        state: str,
        code: str | None,
        pointer: str | None,
        params: Mapping[str, Any],
        event_ids: Sequence[UUID],
    ) -> None:
        to = records.about(message)
        if to is not None:
            self._said.append(records.outcome(self.service, to, number, state, code, pointer, params, event_ids))

    # ---------------------------------------------------------------- writing, in the lock order

    async def write(self) -> None:
        """Puts everything down. The outbox comes last, after every lock is held."""
        await held.write(self.connection, self.held)
        await inbox.write(self.connection, self.inbox)
        decided = [key for key, row in self.subjects.items() if row.changed]
        for aggregate in sorted({aggregate for aggregate, _ in decided}):
            mine = [key for key in decided if key[0] == aggregate]
            said = {key[1]: self._last[key] for key in mine}
            await state.save(self.connection, aggregate, said, {key[1]: self._tenants[key] for key in mine})
        await self._write_log()
        await outbox.put(self.connection, self._said)

    async def _write_log(self) -> None:
        changed = [(key, row) for key, row in sorted(self.subjects.items()) if row.changed]
        if not changed:
            return
        await self.connection.execute(
            """UPDATE subject s SET last_sequence = n.last_sequence, last_recorded = n.last_recorded
               FROM unnest($1::text[], $2::uuid[], $3::bigint[], $4::timestamptz[])
                 AS n(aggregate, id, last_sequence, last_recorded)
               WHERE s.aggregate = n.aggregate AND s.id = n.id""",
            [aggregate for (aggregate, _), _ in changed],
            [subject for (_, subject), _ in changed],
            [row.last_sequence for _, row in changed],
            [row.last_recorded for _, row in changed],
        )
        await self.connection.copy_records_to_table(
            "event",
            columns=("aggregate", "subject", "sequence", "id", "type", "recorded_at", "cause", "headers", "payload"),
            records=[
                (
                    row.aggregate,
                    row.subject,
                    row.sequence,
                    row.id,
                    row.type,
                    row.recorded_at,
                    row.cause,
                    outbox.headers_json(row.outgoing.headers),
                    row.outgoing.payload,
                )
                for row in self._log
            ],
        )
