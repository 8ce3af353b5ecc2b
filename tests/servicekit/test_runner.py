"""What a poll may take: only what follows where reading stood. PostgreSQL is real, the consumer does as it is told."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any
from uuid import UUID
from weakref import WeakSet

import asyncpg
import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError, KafkaTimeoutError

from servicekit import breaker, database, patience, position
from servicekit.database import Connection, Pool
from servicekit.health import Health
from servicekit.held import HeldRow, Key
from servicekit.lag import Lag
from servicekit.message import Kept, Message
from servicekit.metrics import METRICS
from servicekit.patience import BUDGET_S
from servicekit.runner import Runner
from servicekit.setback import SetBackError
from servicekit.settings import Settings
from tests.engines import Databases

TOPIC = "ocop.registry.owner"
OTHER = "ocop.evaluation.recognition"
EPOCH = UUID(int=1)  # of the topic
FIRST, SECOND = TopicPartition(TOPIC, 0), TopicPartition(TOPIC, 1)


@dataclass(slots=True)
class Consumer:
    """Stands for aiokafka's: remembers where it was sent."""

    sought: dict[TopicPartition, int] = field(default_factory=dict)
    paused: set[TopicPartition] = field(default_factory=set)
    epoch: UUID = EPOCH
    begins: dict[TopicPartition, int] = field(default_factory=dict)
    ends: dict[TopicPartition, int] = field(default_factory=dict)
    away: bool = False

    def pause(self, partition: TopicPartition) -> None:
        self.paused.add(partition)

    def resume(self, partition: TopicPartition) -> None:
        self.paused.discard(partition)

    def seek(self, partition: TopicPartition, offset: int) -> None:
        self.sought[partition] = offset

    def assignment(self) -> set[TopicPartition]:
        return {FIRST, SECOND}

    committed: dict[TopicPartition, int] = field(default_factory=dict)

    async def commit(self, offsets: dict[TopicPartition, int]) -> None:
        """As aiokafka's tries for as long as no broker answers."""
        if self.away:
            await asyncio.Event().wait()
        self.committed |= offsets

    async def beginning_offsets(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        return {partition: self.begins.get(partition, 0) for partition in partitions}

    async def end_offsets(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        if self.away:
            raise KafkaError("away")
        return {partition: self.ends[partition] for partition in partitions}


@dataclass(slots=True)
class Recorder:
    """A handler that writes down what it is given, and fails as told."""

    topics: tuple[str, ...] = (TOPIC, OTHER)
    queues: tuple[str, ...] = (TOPIC,)
    handled: list[tuple[int, int]] = field(default_factory=list)
    failed: list[int] = field(default_factory=list)
    attempts: list[int] = field(default_factory=list)
    errors: list[Exception] = field(default_factory=list)
    poison: int | None = None

    async def handle(self, connection: Connection, messages: Sequence[Message], depth: int = 500) -> None:
        if self.errors:
            raise self.errors.pop(0)
        if any(message.offset == self.poison for message in messages):
            raise RuntimeError("a bug")
        await connection.execute("SELECT 1")
        self.handled += [(message.partition, message.offset) for message in messages]

    async def fail(self, connection: Connection, message: Message, error: dict[str, Any]) -> None:
        self.failed.append(message.offset)
        self.attempts.append(error["attempts"])

    async def ready(self, connection: Connection, limit: int) -> list[Key]:
        return []

    async def drain(self, connection: Connection, keys: Sequence[Key], depth: int = 500) -> None: ...
    async def fail_head(self, connection: Connection, key: Key, error: dict[str, Any]) -> None: ...
    async def skip(self, connection: Connection, row: HeldRow) -> bool:
        return True

    async def sweep(self, connection: Connection) -> int:
        return 0


@dataclass(slots=True)
class Reading:
    """A runner, its consumer, its handler and its database."""

    runner: Runner
    consumer: Consumer
    handler: Recorder
    pool: Pool

    async def row(self, partition: TopicPartition, offset: int) -> None:
        """Sets how far the database has read."""
        await self.pool.execute(
            """INSERT INTO position VALUES ($1, $2, $3, $4)
               ON CONFLICT (topic, partition) DO UPDATE SET next_offset = EXCLUDED.next_offset""",
            *partition,
            offset,
            EPOCH,
        )

    def stands(self, partition: TopicPartition, offset: int) -> None:
        """Sets where the consumer's reading stands."""
        self.runner._stands[partition] = offset

    async def poll(self, *records: tuple[TopicPartition, int]) -> None:
        """A poll of these partitions and offsets, from the consumer through the framework to the runner."""
        self.leave(*records)
        await self.runner.poll([Kept(p.topic, p.partition, offset, (), b"") for p, offset in records])

    def leave(self, *records: tuple[TopicPartition, int]) -> None:
        """The records leave the consumer; whether they arrive is another matter."""
        self.runner._polled({partition for partition, _ in records})

    async def where(self, partition: TopicPartition) -> int:
        """How far the database has read."""
        return int(
            await self.pool.fetchval("SELECT next_offset FROM position WHERE (topic, partition) = ($1, $2)", *partition)
        )


@pytest.fixture
async def reading(databases: Databases, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Reading]:
    made = await databases.make("registry")
    pool = await database.open_pool(made.app)
    monkeypatch.setattr(patience, "BACKOFF_FIRST_S", 0.001)
    monkeypatch.setattr(Lag, "_all", WeakSet())  # readers of other tests are none of this process
    handler, consumer = Recorder(), Consumer()
    settings = Settings(kafka_bootstrap="nowhere:1", database_url=made.app)
    runner = Runner("registry", settings, pool, [handler], Health())
    monkeypatch.setattr(type(runner._subscription), "consumer", consumer)

    async def settle(pool: Pool, _: Any, __: str, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        async with pool.acquire() as connection, connection.transaction():
            rows = await position.lock(connection, partitions)
            return {partition: where for partition, (where, _) in rows.items()}

    async def topic_ids(topics: Iterable[str]) -> dict[str, UUID]:
        return dict.fromkeys(topics, consumer.epoch)

    monkeypatch.setattr("servicekit.runner.position.settle", settle)
    monkeypatch.setattr(type(runner._subscription), "left", False)
    monkeypatch.setattr(runner._subscription, "topic_ids", topic_ids)
    yield Reading(runner, consumer, handler, pool)
    await pool.close()


async def test_who_was_not_started_has_not_joined() -> None:
    nowhere, health = Settings(kafka_bootstrap="nowhere:1", database_url="postgresql://nowhere"), Health()
    pool: Any = None
    Runner("registry", nowhere, pool, [Recorder()], health)
    assert await health.missing() == ["kafka: not joined"]


async def test_ready_is_who_has_an_assignment_and_a_place_in_all_of_it(
    reading: Reading, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = reading.runner._health.missing
    await reading.row(FIRST, 5)
    with monkeypatch.context() as joining:
        joining.setattr(Consumer, "assignment", lambda _: set())
        assert await missing() == ["kafka: no assignment yet"]
    await reading.runner.on_partitions_assigned([FIRST])
    assert await missing() == ["kafka: 1 partitions not settled"]
    await reading.row(SECOND, 7)
    await reading.runner._look_round()
    assert await missing() == []
    monkeypatch.setattr(Consumer, "assignment", lambda _: set())
    assert await missing() == [], "there may be more replicas than partitions"


async def test_a_hole_in_the_log_is_no_loss(reading: Reading) -> None:
    """Compaction and retention leave holes: the first record may lie beyond where reading stood."""
    await reading.row(FIRST, 100)
    reading.stands(FIRST, 100)
    await reading.poll((FIRST, 105), (FIRST, 106))
    assert reading.handler.handled == [(0, 105), (0, 106)]
    assert await reading.where(FIRST) == 107


async def test_what_retention_has_taken_unread_is_settled(reading: Reading) -> None:
    """aiokafka goes on from where the log begins now; somebody must say how much was not read."""
    await reading.row(FIRST, 100)
    reading.stands(FIRST, 100)
    reading.consumer.begins[FIRST] = 104
    await reading.poll((FIRST, 105))
    assert reading.handler.handled == []
    assert FIRST not in reading.runner._stands, "settled before its next poll"


async def test_a_place_that_went_back_is_looked_into_before_anything_more(
    reading: Reading, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A database that was set back under a running service has lost what it said; to decide again is not safe."""

    async def still_knows(*_: Any) -> None:
        raise SetBackError("set back")

    monkeypatch.setattr("servicekit.runner.still_knows", still_knows)
    reading.runner._ended = asyncio.get_running_loop().create_future()
    await reading.row(FIRST, 100)
    reading.stands(FIRST, 150)
    await reading.poll((FIRST, 150))
    assert not reading.runner._ended.done(), "a place may go back for itself: its log has lost its tail"
    await reading.poll((FIRST, 100))
    assert reading.handler.handled == []
    with pytest.raises(SetBackError):
        reading.runner._ended.result()


async def test_a_place_that_went_back_by_itself_is_read_again(
    reading: Reading, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def still_knows(*_: Any) -> None: ...

    monkeypatch.setattr("servicekit.runner.still_knows", still_knows)
    await reading.row(FIRST, 100)
    reading.stands(FIRST, 150)
    await reading.poll((FIRST, 150))
    await reading.poll((FIRST, 100))
    assert reading.handler.handled == [(0, 100)]


async def test_where_somebody_else_has_been_is_put_back(reading: Reading) -> None:
    await reading.row(FIRST, 120)
    await reading.row(SECOND, 7)
    reading.stands(FIRST, 100)
    reading.stands(SECOND, 7)
    await reading.poll((FIRST, 100), (FIRST, 130), (SECOND, 7))
    assert reading.handler.handled == [(1, 7)]
    assert reading.consumer.sought == {FIRST: 120}
    assert await reading.where(FIRST) == 120
    await reading.poll((FIRST, 120))
    assert reading.handler.handled == [(1, 7), (0, 120)]


async def test_reading_does_not_wait_for_a_broker_that_is_away(
    reading: Reading, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A poll that did would not turn, and its process would be taken for dead though nothing is wrong with it."""
    monkeypatch.setattr("servicekit.runner.GROUP_COMMIT_S", 0.01)
    reading.consumer.away = True
    await reading.row(FIRST, 100)
    reading.stands(FIRST, 100)
    async with asyncio.timeout(5):
        await reading.poll((FIRST, 100))
    assert await reading.where(FIRST) == 101


async def test_what_was_put_back_stays_out_however_often_the_poll_is_tried(reading: Reading) -> None:
    """Its remembered place is the row's by then, and its records come from the middle of the log."""
    await reading.row(FIRST, 100)
    await reading.row(SECOND, 7)
    reading.stands(FIRST, 150)
    reading.stands(SECOND, 7)
    reading.handler.errors = [ConnectionResetError("the database is away")]
    await reading.poll((FIRST, 150), (SECOND, 7))
    assert reading.handler.handled == [(1, 7)]
    assert await reading.where(FIRST) == 100
    assert reading.consumer.sought == {FIRST: 100}


async def test_a_poll_that_never_arrived_is_read_again(reading: Reading) -> None:
    await reading.row(FIRST, 100)
    reading.stands(FIRST, 100)
    reading.leave((FIRST, 100))  # the framework fails on it
    await reading.poll((FIRST, 101))
    assert reading.handler.handled == [], "going on behind it would skip record 100"
    assert reading.consumer.sought == {FIRST: 100}
    await reading.poll((FIRST, 100), (FIRST, 101))
    assert reading.handler.handled == [(0, 100), (0, 101)]


async def test_what_an_outage_kept_from_being_settled_is_settled_later(reading: Reading) -> None:
    """A quiet partition brings no poll that would do it."""
    await reading.row(FIRST, 100)
    await reading.row(SECOND, 7)
    reading.stands(FIRST, 101)
    await reading.runner._look_round()
    assert reading.consumer.sought == {SECOND: 7}, "what is settled stays as it is"


async def test_records_older_than_where_reading_stood_settle_the_partition(reading: Reading) -> None:
    """The log was made anew under us: dropping them silently would lose them."""
    await reading.row(FIRST, 100)
    reading.stands(FIRST, 100)
    await reading.poll((FIRST, 3))
    assert reading.handler.handled == []
    assert FIRST not in reading.runner._stands


async def test_a_topic_made_anew_that_is_longer_already_settles_the_partition(reading: Reading) -> None:
    """Its records look as if they came next; those before them are unread."""
    await reading.row(FIRST, 100)
    reading.stands(FIRST, 100)
    reading.consumer.epoch = UUID(int=2)
    await reading.poll((FIRST, 100), (FIRST, 101))
    assert reading.handler.handled == []
    assert await reading.where(FIRST) == 100
    assert FIRST not in reading.runner._stands


async def test_a_stopped_topic_is_not_read_until_it_is_resumed(reading: Reading) -> None:
    await reading.row(FIRST, 100)
    reading.stands(FIRST, 100)
    await reading.pool.execute("INSERT INTO stopped (topic, reason) VALUES ($1, 'too much failed')", TOPIC)
    await reading.poll((FIRST, 100))
    assert reading.handler.handled == []
    assert await reading.where(FIRST) == 100
    await reading.runner._look_round()
    assert reading.consumer.paused == {FIRST, SECOND}
    async with reading.pool.acquire() as connection:
        assert await breaker.resume(connection, TOPIC) == [TOPIC]
    await reading.runner._look_round()
    assert reading.consumer.paused == set()
    await reading.poll((FIRST, 100))
    assert reading.handler.handled == [(0, 100)]


async def test_a_partition_given_away_meanwhile_is_not_remembered(reading: Reading) -> None:
    await reading.row(FIRST, 100)
    reading.stands(FIRST, 100)
    reading.leave((FIRST, 100))
    await reading.runner.on_partitions_revoked({FIRST})
    await reading.runner.poll([Kept(TOPIC, 0, 100, (), b"")])
    assert await reading.where(FIRST) == 101, "what was in hand is done, for the row had not moved"
    assert FIRST not in reading.runner._stands, "where we stand now is another's business"


async def test_one_that_fails_alone_five_times_is_put_aside_and_its_neighbours_go_on(reading: Reading) -> None:
    await reading.row(FIRST, 0)
    reading.stands(FIRST, 0)
    reading.handler.poison = 1
    await reading.poll((FIRST, 0), (FIRST, 1), (FIRST, 2))
    assert reading.handler.handled == [(0, 0), (0, 2)]
    assert reading.handler.failed == [1]
    assert reading.handler.attempts == [5]
    assert await reading.where(FIRST) == 3


async def test_one_that_cannot_be_put_at_its_place_is_kept_by_its_bytes(
    reading: Reading, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else it would stop its partition for good, and no command could help."""

    async def fail(*_: Any) -> None:
        raise RuntimeError("nor this")

    await reading.row(FIRST, 0)
    reading.stands(FIRST, 0)
    reading.handler.poison = 1
    monkeypatch.setattr(type(reading.handler), "fail", fail)
    await reading.poll((FIRST, 0), (FIRST, 1), (FIRST, 2))
    assert reading.handler.handled == [(0, 0), (0, 2)]
    rows = await reading.pool.fetch('SELECT queue, reason, "offset" FROM held')
    assert [tuple(row) for row in rows] == [(None, "failed", 1)]
    assert await reading.where(FIRST) == 3


async def test_one_that_can_be_neither_handled_nor_put_aside_is_not_gone_past(
    reading: Reading, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Any record that came after it would move the place beyond it, and it would be lost."""

    async def fail(*_: Any) -> None:
        raise ConnectionResetError("the database is away")

    await reading.row(FIRST, 0)
    reading.stands(FIRST, 0)
    reading.handler.poison = 1
    monkeypatch.setattr(type(reading.handler), "fail", fail)
    await reading.poll((FIRST, 0), (FIRST, 1), (FIRST, 2))
    assert reading.handler.handled == [(0, 0)]
    assert await reading.where(FIRST) == 1
    assert FIRST not in reading.runner._stands, "settled and read again"


async def test_an_outage_puts_nothing_aside(reading: Reading) -> None:
    await reading.row(FIRST, 0)
    reading.stands(FIRST, 0)
    reading.handler.errors = [ConnectionResetError() for _ in range(12)]
    await reading.poll((FIRST, 0))
    assert reading.handler.failed == []
    assert reading.handler.handled == [(0, 0)]


async def test_an_outage_however_long_is_no_deafness(reading: Reading, monkeypatch: pytest.MonkeyPatch) -> None:
    """The records in hand are unread meanwhile; restarting the process would bring no database back."""
    now, dead = 0.0, list[str | None]()
    health = Health(lambda: now)
    monkeypatch.setattr(reading.runner, "_health", health)

    async def away(*_: Any) -> None:
        nonlocal now
        health.lag(1)
        dead.append(health.dead())
        now += 50
        if now < 600:
            raise ConnectionResetError("the database is away")

    monkeypatch.setattr(Recorder, "handle", away)
    await reading.row(FIRST, 0)
    reading.stands(FIRST, 0)
    await reading.poll((FIRST, 0))
    assert dead == [None] * 12
    assert await reading.where(FIRST) == 1


async def test_a_poll_in_which_all_fails_ends_in_time(reading: Reading, monkeypatch: pytest.MonkeyPatch) -> None:
    """After five minutes without a poll aiokafka would leave the group; what was done is not read again."""
    for partition in (FIRST, SECOND):
        await reading.row(partition, 0)
        reading.stands(partition, 0)
    alone = reading.runner._alone

    async def slow(partition: TopicPartition, message: Message) -> bool:
        assert await alone(partition, message)
        monkeypatch.setattr("servicekit.runner.BUDGET_S", -1)
        return True

    monkeypatch.setattr(reading.runner, "_alone", slow)
    reading.handler.errors = [RuntimeError("a bug")]
    await reading.poll((FIRST, 0), (FIRST, 1), (SECOND, 0))
    assert reading.handler.handled == [(0, 0)]
    assert (await reading.where(FIRST), await reading.where(SECOND)) == (1, 0)
    assert not reading.runner._stands, "the rest is settled and read again"


async def test_a_poll_that_always_ends_too_late_is_taken_one_by_one(
    reading: Reading, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Put back whole it would come again for ever, and its partitions would stand still."""
    await reading.row(FIRST, 0)
    reading.stands(FIRST, 0)
    now, whole, handle = 0.0, 0, Recorder.handle
    monkeypatch.setattr("servicekit.runner.time", SimpleNamespace(monotonic=lambda: now, time_ns=time.time_ns))

    async def late(self: Recorder, connection: Connection, messages: Sequence[Message], *depth: int) -> None:
        nonlocal now, whole
        if len(messages) > 1:
            now, whole = now + BUDGET_S * 0.3, whole + 1
            raise asyncpg.QueryCanceledError("canceling statement due to statement timeout")
        await handle(self, connection, messages, *depth)

    monkeypatch.setattr(Recorder, "handle", late)
    await reading.poll((FIRST, 0), (FIRST, 1))
    assert reading.handler.handled == [(0, 0), (0, 1)]
    assert whole == 2, "for half of the time"
    assert await reading.where(FIRST) == 2


async def test_group_offsets_that_a_broker_did_not_take_are_said_again(
    reading: Reading, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a quiet topic no later one would follow, and whoever asks for the lag would think that all is unread."""
    monkeypatch.setattr("servicekit.runner.GROUP_COMMIT_S", 0.05)
    for partition in (FIRST, SECOND):
        await reading.row(partition, 0)
        reading.stands(partition, 0)
    reading.consumer.away = True
    await reading.poll((FIRST, 0), (FIRST, 1), (SECOND, 0))
    assert (await reading.where(FIRST), reading.consumer.committed) == (2, {})
    reading.consumer.away = False
    await reading.runner.on_partitions_revoked([SECOND])
    await reading.runner._commit_group_offsets()
    assert reading.consumer.committed == {FIRST: 2}, "who reads the other now says so himself"


async def test_what_retention_has_emptied_is_settled_without_a_record(reading: Reading) -> None:
    """No poll would ever say that the place is no more, and its records would count as unread for ever."""
    await reading.row(FIRST, 100)
    await reading.row(SECOND, 7)
    reading.stands(FIRST, 100)
    reading.stands(SECOND, 7)
    reading.consumer.begins = {FIRST: 200, SECOND: 7}
    reading.consumer.ends = {FIRST: 200, SECOND: 7}
    await reading.runner._measure_lag()
    await reading.runner._look_round()
    assert reading.consumer.sought == {FIRST: 100}, "settling says where it goes on"


async def test_a_topic_made_anew_that_is_as_long_again_is_settled_without_a_record(reading: Reading) -> None:
    """Reading stands at its end, and what lies before is unread: nothing would say so until the next record came."""
    await reading.row(FIRST, 4)
    await reading.row(SECOND, 7)
    reading.stands(FIRST, 4)
    reading.stands(SECOND, 7)
    reading.consumer.begins, reading.consumer.ends = {FIRST: 0, SECOND: 0}, {FIRST: 4, SECOND: 7}
    await reading.runner._look_at_epochs()
    assert reading.runner._stands == {FIRST: 4, SECOND: 7}
    reading.consumer.epoch = UUID(int=9)
    reading.leave((FIRST, 4))
    await reading.runner._look_at_epochs()
    assert reading.runner._stands == {FIRST: 4}, "the poll in hand asks for itself"
    reading.runner._in_hand.clear()
    await reading.runner._look_at_epochs()
    assert reading.runner._stands == {}


async def test_what_is_in_hand_is_not_taken_for_lost(reading: Reading) -> None:
    """Retention may pass its place on the topic meanwhile: these records have left it in time."""
    await reading.row(FIRST, 100)
    reading.stands(FIRST, 100)
    reading.consumer.begins = reading.consumer.ends = {FIRST: 200}
    reading.leave((FIRST, 100))
    await reading.runner._measure_lag()
    assert FIRST in reading.runner._stands, "settling would count these as lost, and move the place behind them"
    await reading.runner.poll([Kept(FIRST.topic, FIRST.partition, 100, (), b"")])
    assert reading.handler.handled == [(0, 100)]


async def test_assignment_does_not_wait_long_for_a_place(reading: Reading, monkeypatch: pytest.MonkeyPatch) -> None:
    """Meanwhile aiokafka neither rejoins nor says that we live, and the group goes on without us."""
    monkeypatch.setattr("servicekit.runner.SETTLED_S", 0.05)
    settle, there = position.settle, asyncio.Event()

    async def slow(*arguments: Any) -> Any:
        await there.wait()
        return await settle(*arguments)

    monkeypatch.setattr("servicekit.runner.position.settle", slow)
    await reading.row(FIRST, 5)
    await reading.row(SECOND, 7)
    async with asyncio.timeout(5):
        await reading.runner.on_partitions_assigned([FIRST, SECOND])
    assert not reading.runner._stands
    there.set()
    await reading.runner._look_round()
    assert reading.runner._stands == {FIRST: 5, SECOND: 7}


async def test_a_consumer_that_has_left_its_group_for_good_ends_the_service(
    reading: Reading, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing brings it back, it reads nothing, and nothing seems unread."""
    ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    reading.runner._ended = ended
    await reading.runner._look_round()
    assert not ended.done()
    monkeypatch.setattr(type(reading.runner._subscription), "left", True)
    await reading.runner._look_round()
    assert ended.done()
    with pytest.raises(RuntimeError, match="left its group"):
        ended.result()


async def test_what_kafka_does_not_answer_in_time_is_asked_over_new_connections(
    reading: Reading, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kept ones would be asked again for as long as something lies in the consumer's buffers."""
    doubted: list[None] = []
    answers: list[Exception] = [KafkaTimeoutError(), KafkaTimeoutError()]
    monkeypatch.setattr(type(reading.runner._subscription), "doubt", lambda _: doubted.append(None))
    settle = position.settle

    async def silent(*arguments: Any) -> Any:
        if answers:
            raise answers.pop()
        return await settle(*arguments)

    monkeypatch.setattr("servicekit.runner.position.settle", silent)
    await reading.row(FIRST, 5)
    await reading.runner._look_round()
    assert len(doubted) == 1
    await reading.poll((FIRST, 5))
    assert len(doubted) == 2
    assert reading.consumer.sought[FIRST] == 5, "and then it is settled, to be read again"


async def test_a_broker_that_does_not_answer_makes_nobody_deaf(reading: Reading) -> None:
    now = 0.0
    health = Health(lambda: now)
    reading.runner._health = health
    health.lag(1)
    reading.consumer.away = True
    for _ in range(2):
        with pytest.raises(KafkaError):
            await reading.runner._measure_lag()
    assert METRICS.behind.labels(TOPIC)._value.get() > 0, "but maybe behind"
    now = 1000.0
    health.turned()
    assert health.dead() is None


async def test_a_commit_whose_answer_was_lost_is_not_done_twice(
    reading: Reading, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same poll is tried again, and the position, committed with the work, tells that it was done."""
    await reading.row(FIRST, 0)
    reading.stands(FIRST, 0)
    lost = [ConnectionResetError("the answer to COMMIT")]

    def failpoint(name: str) -> None:
        if name == "after-commit" and lost:
            raise lost.pop()

    monkeypatch.setattr("servicekit.runner.failpoint", failpoint)
    await reading.poll((FIRST, 0))
    assert not lost
    assert reading.handler.handled == [(0, 0)]
    assert await reading.where(FIRST) == 1


async def test_what_lies_unread_is_told_in_records_and_seconds(
    reading: Reading, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr("servicekit.runner.time.monotonic", lambda: now)

    async def told() -> tuple[float, float]:
        await reading.runner._measure_lag()
        records, seconds = METRICS.lag.labels(TOPIC), METRICS.behind.labels(TOPIC)
        return records._value.get(), seconds._value.get()

    reading.stands(FIRST, 100)
    reading.consumer.ends[FIRST] = 100
    assert await told() == (0, 0)
    now += 30
    reading.consumer.ends[FIRST] = 103
    assert await told() == (3, 30), "at the most: it was all read when we looked last"
    now += 30
    assert await told() == (3, 60)
    reading.stands(FIRST, 103)
    assert await told() == (0, 0)
    for end in (110, 120, 130):
        now += 30
        reading.consumer.ends[FIRST] = end
        assert await told() == (7 if end == 110 else 10, 30), "all that there was at the last look has been read"
        reading.stands(FIRST, end)


async def test_what_is_tried_again_is_counted_once(reading: Reading, monkeypatch: pytest.MonkeyPatch) -> None:
    await reading.row(FIRST, 0)
    reading.stands(FIRST, 0)
    lost = [ConnectionResetError("before COMMIT")]
    handle, done = Recorder.handle, []

    async def counting(self: Recorder, connection: Any, messages: Any, *depth: int) -> None:
        await handle(self, connection, messages, *depth)
        database.on_commit(lambda: done.append(len(messages)))

    def failpoint(name: str) -> None:
        if name == "before-commit" and lost:
            raise lost.pop()

    monkeypatch.setattr(Recorder, "handle", counting)
    monkeypatch.setattr("servicekit.runner.failpoint", failpoint)
    await reading.poll((FIRST, 0), (FIRST, 1))
    assert not lost
    assert done == [2]


async def test_what_was_read_is_counted_for_its_topic(reading: Reading) -> None:
    other = TopicPartition(OTHER, 0)
    for partition in (FIRST, other):
        await reading.row(partition, 0)
        reading.stands(partition, 0)

    def read() -> list[float]:
        return [METRICS.records.labels(topic)._value.get() for topic in (TOPIC, OTHER)]

    before = read()
    await reading.poll((FIRST, 0), (FIRST, 1), (FIRST, 2), (other, 0))
    assert [now - then for now, then in zip(read(), before, strict=True)] == [3, 1]
