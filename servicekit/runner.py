"""One poll, one transaction: the only place that owns position, retry and giving up.

poll ─► decode ─► BEGIN · lock positions · leave out what another has read · handle · move positions · COMMIT
  │                 │
  │                 ├─ database away, deadlock …    back off, the same poll again
  │                 └─ anything else                one record at a time; five times alone: put aside as failed
  └─ held rows that became ready are the second input: `waker`
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

import structlog
from aiokafka import ConsumerRebalanceListener, ConsumerRecord, TopicPartition
from aiokafka.errors import IllegalStateError, KafkaError, KafkaTimeoutError
from opentelemetry.trace import SpanKind

from servicekit import breaker, database, held, position
from servicekit.database import Connection, Pool
from servicekit.failpoint import failpoint
from servicekit.handler import Handler
from servicekit.health import Health, turned
from servicekit.kafka import Subscription
from servicekit.lag import Lag
from servicekit.message import Message, decode
from servicekit.metrics import METRICS
from servicekit.patience import BUDGET_S, Backoff, Rounds, alone
from servicekit.setback import SetBackError, still_knows
from servicekit.settings import Settings
from servicekit.tracing import TRACING, Of, of_record
from servicekit.waker import repeat

log = structlog.get_logger(__name__)

LAG_EVERY_S, EPOCHS_EVERY_S, LOOK_EVERY_S = 30.0, 30.0, 2.0
GROUP_COMMIT_S = 5.0
SETTLED_S = 5.0  # half of the time that members have to rejoin

Poll = Mapping[TopicPartition, Sequence[Message]]
Fail = Callable[[Connection, Message, dict[str, Any]], Awaitable[None]]


class Runner(ConsumerRebalanceListener):
    """Reads all of a service's topics for as long as `run` is not cancelled.

    `committed` is called after every commit that may have filled the outbox.
    """

    def __init__(
        self,
        service: str,
        settings: Settings,
        pool: Pool,
        handlers: Sequence[Handler],
        health: Health,
        committed: Callable[[], None] = lambda: None,
    ) -> None:
        self._service = service
        self._settings = settings
        self._pool = pool
        self._handlers = handlers
        self._by_topic = {topic: handler for handler in handlers for topic in handler.topics}
        self._health = health
        self._committed = committed
        self._rounds = Rounds()
        self._stands: dict[TopicPartition, int] = {}  # where the reading of each partition stands
        self._began: dict[TopicPartition, int | None] = {}  # where it stood before the poll in hand
        self._in_hand: set[TopicPartition] = set()  # partitions of a poll that was taken off and not yet ended
        self._stopped: dict[str, str] = {}  # topics that are not read, and why
        self._epochs: Mapping[str, UUID] = {}  # the ids of the topics of the poll in hand
        self._lag = Lag(self._by_topic)
        self._joined = False
        self._went_back = False  # a place in the database lay before where reading stood
        self._group_offsets: dict[TopicPartition, int] = {}
        self._group_commit_due = 0.0
        self._ended: asyncio.Future[None]
        self._subscription = Subscription(
            settings.kafka_bootstrap,
            service,
            sorted(self._by_topic),
            handle=self.poll,
            turned=health.turned,
            polled=self._polled,
            lost=self._stands.clear,
            listener=self,
            poll_records=settings.poll_records,
            session_timeout_ms=settings.session_timeout_ms,
        )
        health.checks.append(self._missing)

    # ---------------------------------------------------------------- life

    async def run(self) -> None:
        """Starts reading and goes on until cancelled; a broker that is away is waited for.

        Raises SetBackError if the database turns out not to know what the service has said.
        """
        self._ended = asyncio.get_running_loop().create_future()
        backoff = Backoff()
        while True:
            try:
                async with self._health.lasting():
                    await self._subscription.start()
                break
            except (KafkaError, OSError) as error:
                log.warning("broker away, trying again", error=repr(error))
                await self._subscription.stop()
                self._health.turned()
                await backoff.wait()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(repeat(LOOK_EVERY_S, self._look_round))
                group.create_task(repeat(LAG_EVERY_S, self._measure_lag))
                group.create_task(repeat(EPOCHS_EVERY_S, self._look_at_epochs))
                await self._ended
        finally:
            await self._subscription.stop()

    async def _measure_lag(self) -> int:
        """Also looks for partitions that retention has emptied beyond where reading stands: no poll would say so."""
        read = [partition for partition in self._stands if partition.topic not in self._stopped]
        try:
            starts = await self._subscription.consumer.beginning_offsets(read)
            ends = await self._subscription.consumer.end_offsets(read)
        except KafkaError:
            self._health.lag(0)  # deaf is who hears nothing of a broker that answers
            self._lag.unanswered(self._stopped)
            raise
        for partition, start in starts.items():
            if self._stands.get(partition, start) < start == ends[partition] and partition not in self._in_hand:
                self._stands.pop(partition)  # settled anew by the next look round
        self._health.lag(self._lag.look(self._stands, ends, self._stopped))
        return 0

    async def _look_at_epochs(self) -> int:
        """Looks for topics that were made anew and are as long again as what was read of them: no poll would say so."""
        read = list(self._stands)
        epochs = await self._subscription.topic_ids({partition.topic for partition in read})
        async with database.acquire(self._pool) as connection:
            anew = await position.of_other_epochs(connection, read, epochs)
        for partition in anew:
            if partition not in self._in_hand:
                self._stands.pop(partition, None)  # settled anew by the next look round
        return 0

    async def _missing(self) -> list[str]:
        try:
            assigned = self._subscription.consumer.assignment()
        except RuntimeError:
            return ["kafka: not joined"]
        if not self._joined:  # afterwards an empty assignment is one too: there may be more replicas than partitions
            return ["kafka: no assignment yet"]
        unsettled = [str(partition) for partition in assigned if partition not in self._stands]
        return [f"kafka: {len(unsettled)} partitions not settled"] if unsettled else []

    # ---------------------------------------------------------------- assignment

    async def on_partitions_revoked(self, revoked: Any) -> None:
        """Forgets where reading stood: another may read on from here."""
        for partition in revoked:
            self._stands.pop(partition, None)
            self._group_offsets.pop(partition, None)

    async def on_partitions_assigned(self, assigned: Any) -> None:
        """Seeks each partition to where the database says. If this fails, the check in `poll` catches it:
        aiokafka logs an error here and reads on from the group's offset.

        What takes longer is left to `_look_round`: meanwhile aiokafka neither rejoins nor says that we live.
        """
        self._joined = True
        if assigned:
            settling = asyncio.create_task(self._settle(list(assigned)))
            try:
                await asyncio.wait({settling}, timeout=SETTLED_S)
            finally:
                settling.cancel()
            if settling.done():
                settling.result()

    async def _look_round(self) -> int:
        """Settles what an outage kept from being settled at assignment, for a quiet partition brings no poll to do
        it; holds back the topics that are stopped, and goes on with those that were resumed."""
        consumer = self._subscription.consumer
        if self._subscription.left and not self._ended.done():
            self._ended.set_exception(RuntimeError("the consumer has left its group for good"))
        async with database.acquire(self._pool) as connection:
            self._stopped = await breaker.stopped(connection)
        for topic in self._by_topic:
            METRICS.stopped.labels(topic).set(topic in self._stopped)
        for partition in consumer.assignment():
            (consumer.pause if partition.topic in self._stopped else consumer.resume)(partition)
        await self._commit_group_offsets()
        rest = [partition for partition in consumer.assignment() if partition not in self._stands]
        for topic in sorted({partition.topic for partition in rest}):
            turned()
            try:
                await self._settle([partition for partition in rest if partition.topic == topic])
            except KafkaError as error:  # a topic that does not exist is no reason to leave the others
                log.warning("not settled", topic=topic, error=repr(error))
                if isinstance(error, KafkaTimeoutError):
                    self._subscription.doubt()
        return 0

    async def _settle(self, partitions: Sequence[TopicPartition]) -> None:
        consumer = self._subscription.consumer
        settled = await position.settle(self._pool, consumer, self._settings.kafka_bootstrap, partitions)
        for partition, offset in settled.items():
            self._seek(partition, offset)

    def _seek(self, partition: TopicPartition, offset: int) -> None:
        try:
            self._subscription.consumer.seek(partition, offset)
            self._stands[partition] = offset
        except IllegalStateError:  # no longer ours
            self._stands.pop(partition, None)

    # ---------------------------------------------------------------- a poll

    def _polled(self, partitions: Iterable[TopicPartition]) -> None:
        """Remembers where reading stood when these records were taken; a rebalance may move it meanwhile.

        A poll that never came to `poll` (the framework between failed on it) is read again: going on behind it
        would skip its records.
        """
        for partition in self._in_hand:
            log.error("poll lost on its way, reading it again", partition=str(partition))
            self._stands.pop(partition, None)
        self._began = {partition: self._stands.get(partition) for partition in partitions}
        self._in_hand = set(self._began)

    async def poll(self, records: Sequence[ConsumerRecord[bytes, bytes]]) -> None:
        """Takes one poll to its commit. Never raises: what cannot be done now is put back and read again."""
        self._rounds.begin()
        try:
            await self._poll(records)
        except Exception:
            log.exception("poll put back")
            for partition in {TopicPartition(record.topic, record.partition) for record in records}:
                self._put_back(partition)
        self._in_hand.clear()
        await self._rounds.rest()

    async def _poll(self, records: Sequence[ConsumerRecord[bytes, bytes]]) -> None:
        started = time.monotonic()
        self._health.heard()
        if self._went_back:
            await self._look_back()
        backoff = Backoff()
        poll: dict[TopicPartition, list[Message]] = {}
        for record in records:
            partition = TopicPartition(record.topic, record.partition)
            poll.setdefault(partition, []).append(decode(record))
        late = False
        while time.monotonic() - started < BUDGET_S:
            try:
                await self._take(poll)
                METRICS.transaction.observe(time.monotonic() - started)
                return
            except Exception as error:
                # Whatever it is, nothing is acknowledged: positions moved with the work or not at all.
                if not database.is_outage(error) and not isinstance(error, KafkaError):
                    log.exception("poll failed, taking its records one by one")
                    await self._one_by_one(poll, started)
                    return
                METRICS.retries.labels(type(error).__name__).inc()
                log.warning("poll put off", error=repr(error))
                if isinstance(error, KafkaTimeoutError):
                    self._subscription.doubt()
                late = isinstance(error, database.TOO_LATE)
                if late and time.monotonic() - started > BUDGET_S / 2:  # alone each may end in time, in what is left
                    log.error("poll ends too late each time, taking its records one by one")
                    await self._one_by_one(poll, started)
                    return
            self._health.heard()
            await backoff.wait()
        for partition in poll:
            self._put_back(partition)

    async def _take(self, poll: Poll) -> None:
        began = time.time_ns()
        strangers = [partition for partition in poll if self._began.get(partition) is None]
        if strangers:
            await self._settle(strangers)
        await self._begin_late(poll)
        # Asked after these records were fetched: they can be of no later epoch of their topic than that.
        self._epochs = await self._subscription.topic_ids({partition.topic for partition in poll})
        moved = await self._transaction(poll)
        await self._after(moved, poll)
        TRACING.took("process", SpanKind.CONSUMER, (_traced(m) for partition in moved for m in poll[partition]), began)

    async def _begin_late(self, poll: Poll) -> None:
        """Puts back what begins behind its place because retention has taken what lay there: settling says so.
        aiokafka goes on from the log's start without a word."""
        places = {partition: began for partition in poll if (began := self._began[partition]) is not None}
        ahead = [partition for partition, began in places.items() if began < poll[partition][0].offset]
        if ahead:
            starts = await self._subscription.consumer.beginning_offsets(ahead)
            for partition in ahead:
                if places[partition] < starts[partition]:
                    self._put_back(partition)

    async def _transaction(self, poll: Poll, depth: int | None = None) -> dict[TopicPartition, int]:
        """One transaction over these records; returns how far each partition has been read by it."""
        failpoint("before-transaction")
        async with database.transaction(self._pool) as connection:
            ours, moved = await self._ours(connection, poll)
            for handler in self._handlers:
                mine = [message for message in ours if message.topic in handler.topics]
                if mine:
                    await (
                        handler.handle(connection, mine) if depth is None else handler.handle(connection, mine, depth)
                    )
            await position.advance(connection, moved)
            failpoint("before-commit")
        failpoint("after-commit")
        return moved

    async def _ours(self, connection: Connection, poll: Poll) -> tuple[list[Message], dict[TopicPartition, int]]:
        """Locks positions; leaves out partitions where somebody else has been.

        Compared is where reading stood before these records, not the first of them: compaction and retention
        leave holes. A partition that was put back stays out of this poll, however often it is tried.
        """
        ours: list[Message] = []
        moved: dict[TopicPartition, int] = {}
        rows = await position.lock(connection, poll)
        stopped = await breaker.stopped(connection)
        for partition, messages in poll.items():
            began, (where, epoch) = self._began.get(partition), rows.get(partition, (None, None))
            if began is None:
                continue
            if epoch != self._epochs.get(partition.topic):
                # Made anew behind our back, and longer already than where we stood: what lies before is unread.
                self._put_back(partition)
                continue
            if began != where or partition.topic in stopped:
                self._went_back |= where is not None and where < began
                self._put_back(partition, where)
                continue
            if messages[0].offset < where:
                # Older than where reading stood: the log was made anew under us, so settle before going on.
                self._put_back(partition)
                continue
            ours += messages
            moved[partition] = messages[-1].offset + 1
        return ours, moved

    async def _look_back(self) -> None:
        """A place that goes back may be a whole database that was set back under us: then nothing more is done."""
        try:
            async with self._health.lasting(), database.acquire(self._pool) as connection:
                await still_knows(connection, self._settings.kafka_bootstrap, self._service)
        except SetBackError as error:
            if not self._ended.done():
                self._ended.set_exception(error)
            raise
        self._went_back = False

    def _put_back(self, partition: TopicPartition, offset: int | None = None) -> None:
        METRICS.put_back.labels(partition.topic).inc()
        self._began[partition] = None
        if offset is None:
            self._stands.pop(partition, None)  # settled anew before the next poll of it
        else:
            self._seek(partition, offset)

    async def _after(self, moved: Mapping[TopicPartition, int], poll: Poll) -> None:
        for partition, offset in moved.items():
            if self._stands.get(partition) == self._began[partition]:  # else it was given away meanwhile
                self._stands[partition] = offset
                self._group_offsets[partition] = offset
            self._began[partition] = offset
            METRICS.records.labels(partition.topic).inc(len(poll[partition]))
        self._committed()
        if time.monotonic() >= self._group_commit_due:
            await self._commit_group_offsets()

    async def _commit_group_offsets(self) -> None:
        """For whoever wants to know how far the group is: the backfill lane, and what scales by lag. No reader trusts
        them."""
        if not self._group_offsets:
            return
        self._group_commit_due = time.monotonic() + 1.0
        offsets, self._group_offsets = self._group_offsets, {}
        try:
            async with asyncio.timeout(GROUP_COMMIT_S):  # aiokafka would try as long as no broker answers
                await self._subscription.consumer.commit(offsets)
        except (KafkaError, IllegalStateError, TimeoutError) as error:
            log.info("group offset not committed", error=repr(error))
            # A quiet topic brings no later one, and would seem unread.
            ours = {partition: offset for partition, offset in offsets.items() if partition in self._stands}
            self._group_offsets = ours | self._group_offsets

    async def _one_by_one(self, poll: Poll, started: float) -> None:
        """Each record in its own transaction, without rows that are held; five times alone and it is put aside. What
        the time does not suffice for is read again: each record that was done has moved its position."""
        for partition, messages in poll.items():
            for message in messages:
                if time.monotonic() - started > BUDGET_S or not await self._alone(partition, message):
                    self._put_back(partition)
                if self._began[partition] is None:
                    break

    async def _alone(self, partition: TopicPartition, message: Message) -> bool:
        """False if the record could be neither handled nor put aside, and must be read again."""

        poll = {partition: [message]}

        async def attempt() -> None:
            moved = await self._transaction(poll, depth=0)
            await self._after(moved, poll)

        async def put_aside(error: dict[str, Any], fail: Fail) -> None:
            async with database.transaction(self._pool) as connection:
                ours, moved = await self._ours(connection, poll)
                if ours:
                    await fail(connection, message, error)
                    await position.advance(connection, moved)
            await self._after(moved, poll)

        async def give_up(error: dict[str, Any]) -> None:
            try:
                await put_aside(error, self._by_topic[message.topic].fail)
            except Exception as worse:
                if database.is_outage(worse):
                    raise
                log.exception("kept as bytes that name nothing", place=message.place)
                await put_aside(error, held.hold_bare)

        return await alone(message.place, attempt, give_up, self._pool, self._health.heard)


def _traced(message: Message) -> Of:
    envelope = message.envelope
    if envelope is None:
        return None, {}
    place = message.topic, message.partition, message.offset
    return envelope.traceparent, of_record(*place, envelope.id, envelope.type)
