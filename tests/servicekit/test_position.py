"""Position against log without Kafka: PostgreSQL is real, the log says of itself what the test wants."""

from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import pytest
from aiokafka import TopicPartition

from servicekit import database, held, position
from servicekit.database import Pool
from servicekit.metrics import METRICS
from tests.engines import Databases

TOPIC = "ocop.registry.owner"
PARTITION = TopicPartition(TOPIC, 3)


@dataclass(slots=True)
class Log:
    """One partition, from offset `first` up to `last`."""

    first: int = 0
    last: int = 10
    id: UUID = field(default_factory=uuid4)

    async def beginning_offsets(self, _: Any) -> dict[TopicPartition, int]:
        return {PARTITION: self.first}

    async def end_offsets(self, _: Any) -> dict[TopicPartition, int]:
        return {PARTITION: self.last}


@dataclass(frozen=True, slots=True)
class Reader:
    """A database, and the log that it reads."""

    pool: Pool
    log: Log

    async def settle(self, at: int | None = None) -> int:
        """Where reading goes on; before, the row is set to `at`. What is said is also what is kept."""
        if at is not None:
            await self.pool.execute("UPDATE position SET next_offset = $1", at)
        settled = await position.settle(self.pool, self.log, "", [PARTITION])
        row = await self.pool.fetchrow("SELECT next_offset, topic_id FROM position")
        assert row is not None
        assert tuple(row) == (settled[PARTITION], self.log.id)
        return settled[PARTITION]

    async def hold(self, offset: int) -> None:
        """A held row from that place of the log."""
        await self.pool.execute(
            """INSERT INTO held (reason, headers, payload, topic, partition, "offset")
               VALUES ('failed', '[]', '', $1, $2, $3)""",
            *PARTITION,
            offset,
        )


@pytest.fixture
async def reader(databases: Databases, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Reader]:
    made = await databases.make("national")
    pool = await database.open_pool(made.app)
    log = Log()

    async def topic_ids(_: str, topics: Iterable[str]) -> dict[str, UUID]:
        return dict.fromkeys(topics, log.id)

    monkeypatch.setattr(position, "topic_ids", topic_ids)
    yield Reader(pool, log)
    await pool.close()


async def test_within_the_log_it_stays(reader: Reader) -> None:
    assert await reader.settle() == 0, "at first sight the log's start"
    assert await reader.settle(at=7) == 7


async def test_a_topic_made_anew_is_read_from_its_start(reader: Reader) -> None:
    """The old place lies within the new log, and means nothing there."""
    await reader.settle()
    await reader.settle(at=7)
    reader.log.id = uuid4()
    assert await reader.settle() == 0


async def test_records_that_are_gone_are_passed_over(reader: Reader) -> None:
    def lost() -> float:
        return float(METRICS.records_lost.labels(TOPIC)._value.get())

    await reader.settle()
    before = lost()
    reader.log.first = 5
    assert await reader.settle(at=2) == 5
    assert lost() - before == 3


async def test_what_is_held_gives_its_place_in_a_log_that_is_no_more(reader: Reader) -> None:
    await reader.settle()
    await reader.hold(4)
    reader.log.id = uuid4()
    await reader.settle()
    await reader.hold(4)
    assert await reader.pool.fetchval("SELECT count(*) FROM held") == 2


async def test_a_place_that_was_given_back_is_not_taken_again_by_who_read_the_row_before(reader: Reader) -> None:
    await reader.settle()
    await reader.hold(4)
    async with database.transaction(reader.pool) as connection:
        row = await held.one(connection, await connection.fetchval("SELECT id FROM held"))
        assert row is not None and row.message.offset == 4
        reader.log.id = uuid4()
        await reader.settle()
        await held.write(connection, held.Changes(changed=[row]))
    await reader.hold(4)


async def test_a_log_that_lost_its_tail_gives_the_places_of_the_tail(reader: Reader) -> None:
    await reader.settle()
    for offset in (3, 8):
        await reader.hold(offset)
    reader.log.last = 6
    assert await reader.settle(at=9) == 6
    assert sorted(row["offset"] >= 0 for row in await reader.pool.fetch('SELECT "offset" FROM held')) == [False, True]


async def test_what_the_log_said_before_another_read_on_is_no_reason_to_go_back(
    reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that stands still between asking the log and locking the row finds a log that seems too short."""
    await reader.settle()

    async def read_on_meanwhile(_: Log, __: Any) -> dict[TopicPartition, int]:
        await reader.pool.execute("UPDATE position SET next_offset = 25")
        return {PARTITION: 10}

    monkeypatch.setattr(Log, "end_offsets", read_on_meanwhile)
    assert await reader.settle() == 25
