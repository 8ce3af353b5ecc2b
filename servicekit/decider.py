"""Submissions in, decisions out: one inbox, and each aggregate's own queue, numbering and log.

An author writes `decide` (pure), a table for the state and a `Decider` that names both. Everything else is here:
who has been seen before, what stands behind what, which number an event gets, what the sender is told.

    arrival ─► seen before? ──► repeat its outcome
       │
       ├─► something of the subject held? ──► stand behind it        (outcome `waiting`, behind-earlier)
       │
       └─► decide ─┬─► Decision ──► state, event log, outbox         (outcome `applied`)
                   ├─► Rejected                                      (outcome `rejected`)
                   └─► Waits ────► held until the reference is known (outcome `waiting`)
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from pydantic import BaseModel

from contracts.decision import Decision, Rejected, Submission, Waits
from contracts.names import aggregate_id
from contracts.submission import SUBMISSIONS, WITHDRAWN, SubmissionWithdrawn
from contracts.topics import submission_topic
from servicekit import failure, held, state
from servicekit.batch import Batch
from servicekit.database import Connection
from servicekit.held import HeldRow, Key
from servicekit.message import Message

WITHDRAWALS = "withdrawal"  # the queue of those that failed; each is alone in its own
DRAIN_DEPTH = 500  # most held rows decided in one transaction, of all subjects together


@dataclass(frozen=True)
class Decider:
    """The wiring of one aggregate, whose state is kept in the table of its name (see `state`).

    `decide(state | None, submission, known)` is pure; `known` maps each reference that exists to its tenant. The
    field `known` names the table (id, tenant) that references are looked up in; an aggregate whose own table is
    another decider's `known` wakes what waits for it.
    """

    aggregate: str
    state: type[BaseModel]
    decide: Callable[[Any, Submission, Mapping[UUID, str]], Decision | Rejected | Waits]
    known: str | None = None


@dataclass(frozen=True, slots=True)
class Arrival:
    """A submission as it came: what it is about, as far as its bytes say."""

    message: Message
    event: tuple[str, str] | None  # (source, id)
    key: Key | None  # (aggregate, subject); None for a withdrawal and for bytes that name neither


class Deciders:
    """All deciders of a service, behind its submission topic; named in the order in which they refer to each other."""

    def __init__(self, service: str, deciders: Sequence[Decider]) -> None:
        self.service = service
        self.topics: tuple[str, ...] = (submission_topic(service),)
        self._deciders = {decider.aggregate: decider for decider in deciders}
        self.queues = (*self._deciders, WITHDRAWALS)
        self._order = {aggregate: place for place, aggregate in enumerate(self._deciders)}

    # ---------------------------------------------------------------- what the runner calls

    async def handle(self, connection: Connection, messages: Sequence[Message], depth: int = DRAIN_DEPTH) -> None:
        """Takes a poll's submissions, in their order. With depth 0 ready rows of the same subjects stay held."""
        await self._work(connection, [self._arrival(message) for message in messages], (), depth)

    async def fail(self, connection: Connection, message: Message, error: dict[str, Any]) -> None:
        """Puts a submission aside that the code cannot handle; its sender is told `failed`."""
        await self._work(connection, [self._arrival(message)], (), 0, error)

    async def ready(self, connection: Connection, limit: int) -> list[Key]:
        """Subjects whose head may be tried now, locked; those that others hold are skipped."""
        keys = await held.ready_heads(connection, self.queues, limit)
        rows = await connection.fetch(
            """SELECT aggregate, id FROM subject
               WHERE (aggregate, id) IN (SELECT * FROM unnest($1::text[], $2::uuid[]))
               ORDER BY aggregate, id FOR UPDATE SKIP LOCKED""",
            [queue for queue, _ in keys],
            [subject for _, subject in keys],
        )
        return [(row["aggregate"], row["id"]) for row in rows]

    async def drain(self, connection: Connection, keys: Sequence[Key], depth: int = DRAIN_DEPTH) -> None:
        """Decides ready heads and what stands behind them, by the same code as a poll."""
        await self._work(connection, [], keys, depth)

    async def fail_head(self, connection: Connection, key: Key, error: dict[str, Any]) -> None:
        """Marks a head failed that the code cannot handle, unless another has taken it meanwhile; what stands behind
        it stays."""
        batch = Batch(self.service, connection)
        await batch.lock([key])
        for row in (await held.rows(connection, [key], 1)).get(key, []):
            if row.ready:
                await batch.read_inbox([_event(row)])
                batch.fail_row(row, error)
        await batch.write()

    async def skip(self, connection: Connection, row: HeldRow) -> bool:
        """Ends a failed submission: its sender is told that it was passed over, and what stands behind it goes on."""
        batch = Batch(self.service, connection)
        if row.key is not None:
            await batch.lock([row.key])
            head = (await held.heads(connection, [row.key])).get(row.key)
            if head is None or head.id != row.id:
                return False
        if not await held.still_failed(connection, row):
            return False
        await batch.read_inbox([_event(row)])
        batch.pass_over(row)
        await batch.write()
        return True

    async def sweep(self, connection: Connection) -> int:
        """Marks rows whose reference became known unnoticed; returns how many."""
        marked = 0
        for decider in self._deciders.values():
            if decider.known is not None:
                marked += await held.sweep(connection, decider.aggregate, decider.known)
        return marked

    # ---------------------------------------------------------------- one transaction's work

    def _turn(self, arrival: Arrival) -> int:
        return self._order[arrival.key[0]] if arrival.key else len(self._order)

    def _arrival(self, message: Message) -> Arrival:
        source, event_id = message.named("source"), message.named("id")
        event = (source, event_id) if source and event_id else None
        kind = SUBMISSIONS.get(message.named("type") or "")
        subject = message.named_uuid("subject")
        if kind is None or subject is None or kind.aggregate not in self._deciders:
            return Arrival(message, event, None)
        return Arrival(message, event, (kind.aggregate, subject))

    async def _work(
        self,
        connection: Connection,
        arrivals: Sequence[Arrival],
        heads: Iterable[Key],
        depth: int,
        error: dict[str, Any] | None = None,
    ) -> None:
        heads = set(heads)
        batch = Batch(self.service, connection)
        batch.wake = {decider.known for decider in self._deciders.values() if decider.known}
        targets = [
            _target(arrival.message)
            for arrival in arrivals
            if arrival.event and isinstance(arrival.message.data, SubmissionWithdrawn)
        ]
        failed = await held.rows(connection, {key for key in heads if key[0] == WITHDRAWALS}, 1)
        targets += [_target(row.message) for rows in failed.values() for row in rows]
        # A withdrawal names no aggregate: its target's key is looked up before the lock, and read again under it.
        before = await held.of_events(connection, targets)
        keys = {arrival.key for arrival in arrivals if arrival.key} | heads
        if error is not None:  # what has no place of its own gets one, so that it can be tried again
            keys |= {_own_place(arrival.message) for arrival in arrivals if arrival.key is None}
        keys |= {row.key for row in before.values() if row.key}
        await batch.lock(keys)
        drained = await batch.read_held(keys, depth)
        batch.targets = await held.of_events(connection, targets)
        await batch.read_inbox(
            [arrival.event for arrival in arrivals if arrival.event]
            + targets
            + [_event(row) for rows in drained.values() for row in rows]
        )
        await self._load(
            connection,
            batch,
            [(arrival.key, arrival.message) for arrival in arrivals if arrival.key]
            + [(key, row.message) for key, rows in drained.items() for row in rows],
        )
        for key, rows in drained.items():
            self._drain(batch, key, rows)
        # What others refer to comes first, so that nothing waits for its neighbour; per subject the order stays.
        for arrival in sorted(arrivals, key=self._turn):
            await self._take(batch, arrival, error)
        await batch.write()

    async def _load(self, connection: Connection, batch: Batch, work: Sequence[tuple[Key, Message]]) -> None:
        for name, decider in self._deciders.items():
            mine = [(key[1], message) for key, message in work if key[0] == name]
            if not mine:
                continue
            states = await state.load(connection, name, decider.state, sorted({subject for subject, _ in mine}))
            batch.states.update({(name, subject): found for subject, found in states.items()})
            if decider.known is not None:
                wanted = {ref for _, message in mine if (ref := _reference(message)) is not None}
                batch.known.update(await _known(connection, decider.known, wanted))

    def _drain(self, batch: Batch, key: Key, rows: Sequence[HeldRow]) -> None:
        """Held rows of a subject whose head is ready, in order, until one stays."""
        for number, row in enumerate(rows):
            if batch.full:
                if number:
                    batch.held.promoted.add(key)
                return  # its turn comes again, in a transaction of its own
            if row.reason == "failed" and not row.ready and number > 0:
                return  # stays blocked: batch.read_held has marked the key
            if row.message.error is not None:
                batch.fail_row(row, failure.undecodable(row.message.error, row.message.field))
                return
            if isinstance(row.message.data, SubmissionWithdrawn):
                batch.withdraw(row.message, batch.inbox[_event(row)], _target(row.message))
                batch.held.gone.append(row.id)
                continue
            submission = batch.submission(key, row.message)
            verdict = self._decide(batch, key, submission)
            if isinstance(verdict, Waits):
                batch.wait_again(row, verdict)
                return
            batch.settle(key, row.message, batch.inbox[_event(row)], submission, verdict)
            batch.held.gone.append(row.id)
        batch.drained(key)

    async def _take(self, batch: Batch, arrival: Arrival, error: dict[str, Any] | None) -> None:
        message, event, key = arrival.message, arrival.event, arrival.key
        if event is None:
            twin = any(row.key is None and row.message.same_bytes(message) for row in batch.held.added)
            if not twin and not await held.same_bytes(batch.connection, message):
                batch.hold_nameless(message)
            return
        row = batch.inbox.get(event)
        if row is not None and row.state == "failed" and row.digest is None and message.error is None:
            if await batch.replace_bad_copy(event, key, message):
                return  # takes the place of the copy that did not decode
            row = None  # that copy had no place: this one arrives now
        if row is not None and row.state != "said":
            batch.repeat(message, row)
            return
        row = batch.arrived(event, message)
        if error is not None:
            batch.hold_failed(key or _own_place(message), message, row, error)
        elif message.error is not None:
            batch.hold_failed(key, message, row, failure.undecodable(message.error, message.field))
        elif isinstance(message.data, SubmissionWithdrawn):
            batch.withdraw(message, row, _target(message))
        elif key is None:
            batch.hold_failed(None, message, row, failure.undecodable("not a type of this service", "/type"))
        elif key in batch.blocked:
            batch.hold_behind(key, message, row)
        else:
            submission = batch.submission(key, message)
            verdict = self._decide(batch, key, submission)
            if isinstance(verdict, Waits):
                batch.hold_waiting(key, message, row, verdict)
            else:
                batch.settle(key, message, row, submission, verdict)

    def _decide(self, batch: Batch, key: Key, submission: Submission) -> Decision | Rejected | Waits:
        return self._deciders[key[0]].decide(batch.states.get(key), submission, batch.known)


def _target(message: Message) -> tuple[str, str]:
    """What a withdrawal takes back: a submission of its own source."""
    assert isinstance(message.data, SubmissionWithdrawn)
    return (message.named("source") or "", message.data.event_id)


def _own_place(message: Message) -> Key:
    return (WITHDRAWALS, message.named_uuid("correlationid") or UUID(int=0))


def _event(row: HeldRow) -> tuple[str, str]:
    return (row.source or "", row.event_id or "")


def _reference(message: Message) -> UUID | None:
    if message.data is None or message.envelope is None or message.envelope.type == WITHDRAWN:
        return None
    named = SUBMISSIONS[message.envelope.type].reference(message.data)
    return aggregate_id(*named) if named is not None else None


async def _known(connection: Connection, table: str, wanted: Iterable[UUID]) -> dict[UUID, str]:
    rows = await connection.fetch(
        f"SELECT id, tenant FROM {table} WHERE id = ANY($1::uuid[])",  # noqa: S608  # a table's name from the code's own wiring
        sorted(wanted),
    )
    return {row["id"]: row["tenant"] for row in rows}
