"""What is put aside as failed is counted per partition; too much of it at once stops the topic."""

from collections.abc import AsyncIterator
from uuid import UUID, uuid4

import asyncpg
import pytest

from servicekit import audit, breaker, database, held
from servicekit.database import Pool
from servicekit.held import Changes, HeldRow
from servicekit.message import Message
from tests.engines import Databases

TOPIC, OTHER = "ocop.registry.owner", "ocop.registry.product"


@pytest.fixture
async def pool(databases: Databases) -> AsyncIterator[Pool]:
    made = await databases.make("national")
    async with await database.open_pool(made.app) as opened:
        yield opened


async def fail(
    pool: Pool, *offsets: int, subject: UUID | None = None, partition: int = 0, topic: str = TOPIC
) -> dict[str, str]:
    """One transaction that puts these aside; the topics stopped after it."""
    rows = [
        HeldRow((topic, subject or uuid4()), "failed", Message(topic, partition, offset, (), b""), n=offset + 1)
        for offset in offsets
    ]
    async with pool.acquire() as connection, connection.transaction():
        await held.write(connection, Changes(added=rows))
        return await breaker.stopped(connection)


async def test_twenty_within_a_hundred_are_borne_the_next_stops(pool: Pool) -> None:
    assert await fail(pool, *range(0, 100, 5)) == {}
    assert await fail(pool, 99) == {TOPIC: "21 subjects failed within 100 records of partition 0"}


async def test_spread_over_more_records_they_are_borne(pool: Pool) -> None:
    assert await fail(pool, *range(0, 1000, 6)) == {}


async def test_found_in_the_middle_of_a_long_poll(pool: Pool) -> None:
    assert set(await fail(pool, *range(21), 480)) == {TOPIC}


async def test_one_subject_counts_once(pool: Pool) -> None:
    """What stands behind one failure is no second one."""
    assert await fail(pool, *range(50), subject=uuid4()) == {}


async def test_each_partition_counts_for_itself(pool: Pool) -> None:
    assert await fail(pool, *range(15)) == {}
    assert await fail(pool, *range(15), partition=1) == {}


async def test_each_topic_counts_and_is_resumed_for_itself(pool: Pool) -> None:
    assert await fail(pool, *range(15)) == {}
    assert await fail(pool, *range(15), topic=OTHER) == {}
    assert set(await fail(pool, *range(15, 21))) == {TOPIC}
    assert set(await fail(pool, *range(15, 21), topic=OTHER)) == {TOPIC, OTHER}
    async with pool.acquire() as connection:
        assert await breaker.resume(connection, OTHER) == [OTHER]
        assert set(await breaker.stopped(connection)) == {TOPIC}


async def test_after_resuming_it_counts_anew(pool: Pool) -> None:
    assert set(await fail(pool, *range(21))) == {TOPIC}
    async with pool.acquire() as connection:
        assert await breaker.resume(connection) == [TOPIC]
    assert await fail(pool, *range(21, 40)) == {}
    assert set(await fail(pool, 40, 41)) == {TOPIC}
    assert await pool.fetchval("SELECT count(*) FROM stopped") == 2, "earlier stops stay on record"


async def test_what_was_done_by_hand_only_grows(databases: Databases) -> None:
    made = await databases.make("national")
    pool = await database.open_pool(made.app)
    async with pool.acquire() as connection:
        await audit.record(connection, "an operator", "resume", {"topic": TOPIC})
    owner = await database.connect(made.owner)
    for change in ("UPDATE operation SET actor = 'x'", "DELETE FROM operation", "TRUNCATE operation"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="permission denied"):
            await pool.execute(change)
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="only grows"):
            await owner.execute(change)
    await owner.close()
    assert await pool.fetchval("SELECT details ->> 'topic' FROM operation") == TOPIC
    await pool.close()
