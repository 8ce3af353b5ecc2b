"""Records without numbers: bad ones are put aside, failed ones tried again when marked, and nothing stands behind."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from uuid import UUID

import pytest

from servicekit import database
from servicekit.database import Connection, Pool
from servicekit.listener import Listener
from servicekit.message import Kept, Message, decode
from servicekit.retry import retry
from servicekit.trouble import Which
from tests.engines import Databases
from tests.notifications.test_notifications import outcome

TOPIC = "ocop.registry.outcome"


@pytest.fixture
async def pool(databases: Databases) -> AsyncIterator[Pool]:
    made = await databases.make("notifications")
    pool = await database.open_pool(made.app)
    yield pool
    await pool.close()


async def test_a_failed_record_is_tried_again_when_marked(pool: Pool) -> None:
    taken: list[str] = []

    async def take(connection: Connection, messages: Sequence[Message]) -> None:
        taken.extend(message.named("subject") or "" for message in messages)

    listener = Listener([TOPIC], take)
    first, second = outcome("applied", UUID(int=1)), outcome("applied", UUID(int=2))

    async def drain() -> int:
        async with pool.acquire() as connection, connection.transaction():
            keys = await listener.ready(connection, 500)
            await listener.drain(connection, keys)
            return len(keys)

    async with pool.acquire() as connection, connection.transaction():
        await listener.fail(connection, first, {"class": "KeyError", "text": "a bug"})
        await listener.handle(connection, [second])
    assert taken == [str(UUID(int=2))]
    assert await drain() == 0
    async with pool.acquire() as connection:
        assert len(await retry(connection, Which(class_="KeyError"))) == 1
    assert await drain() == 1
    assert taken == [str(UUID(int=2)), str(UUID(int=1))]
    assert await pool.fetchval("SELECT count(*) FROM held") == 0


async def test_one_that_fails_again_is_put_back(pool: Pool) -> None:
    async def take(connection: Connection, messages: Sequence[Message]) -> None:
        raise AssertionError("not asked for")

    listener = Listener([TOPIC], take)
    async with pool.acquire() as connection, connection.transaction():
        await listener.fail(connection, outcome("applied", UUID(int=1)), {"class": "KeyError", "text": "a bug"})
        await retry(connection, Which(class_="KeyError"))
        (key,) = await listener.ready(connection, 500)
        await listener.fail_head(connection, key, {"class": "KeyError", "text": "again"})
        assert await listener.ready(connection, 500) == []


async def test_what_this_code_cannot_read_is_kept(pool: Pool) -> None:
    """Newer code may have held it; and what does not decode today may with the code of tomorrow."""
    taken: list[int] = []

    async def take(connection: Connection, messages: Sequence[Message]) -> None:
        taken.append(len(messages))

    listener = Listener([TOPIC], take)
    good = outcome("applied", UUID(int=1))
    newer = {"ce_type": b"vn.ocop.registry.outcome.undone.v1"}
    unknown = decode(Kept(TOPIC, 0, 1, tuple((dict(good.headers) | newer).items()), good.payload))
    bad = decode(Kept(TOPIC, 0, 2, good.headers, b"{}"))
    assert unknown.data is None and bad.error
    async with pool.acquire() as connection, connection.transaction():
        await listener.fail(connection, unknown, {"class": "KeyError", "text": "a bug"})
        await listener.handle(connection, [bad])
        await listener.handle(connection, [replace(bad, offset=3)])
    rows = await pool.fetch("SELECT subject, error ->> 'class' AS class FROM held ORDER BY id")
    assert [tuple(row) for row in rows] == [(UUID(int=1), "KeyError"), (UUID(int=1), "undecodable")]
    await pool.execute("UPDATE held SET ready = true")
    for _ in rows:
        async with pool.acquire() as connection, connection.transaction():
            await listener.drain(connection, await listener.ready(connection, 500))
    assert taken == []
    rows = await pool.fetch("SELECT ready, error ->> 'class' AS class FROM held ORDER BY id")
    assert [tuple(row) for row in rows] == [(False, "undecodable")] * 2


async def test_one_behind_another_that_failed_is_tried_all_the_same(pool: Pool) -> None:
    """Of one submission: nothing stands behind anything here."""
    taken: list[int | None] = []

    async def take(connection: Connection, messages: Sequence[Message]) -> None:
        taken.extend(message.named_number("subjectsequence") for message in messages)

    listener = Listener([TOPIC], take)
    async with pool.acquire() as connection, connection.transaction():
        for number in (1, 2, 3):
            failed = outcome("waiting", UUID(int=1), number=number)
            await listener.fail(connection, failed, {"class": "KeyError", "text": "a bug"})
    await pool.execute("UPDATE held SET ready = true WHERE id > (SELECT min(id) FROM held)")
    for _ in range(2):
        async with pool.acquire() as connection, connection.transaction():
            await listener.drain(connection, await listener.ready(connection, 500))
    assert taken == [2, 3]
    assert await pool.fetchval("SELECT count(*) FROM held") == 1


async def test_one_behind_a_thousand_that_failed_is_tried_all_the_same(pool: Pool) -> None:
    taken: list[int | None] = []

    async def take(connection: Connection, messages: Sequence[Message]) -> None:
        taken.extend(message.named_number("subjectsequence") for message in messages)

    listener = Listener([TOPIC], take)
    async with pool.acquire() as connection, connection.transaction():
        failed = outcome("waiting", UUID(int=1), number=1)
        await listener.fail(connection, failed, {"class": "KeyError", "text": "a bug"})
    columns = "queue, subject, reason, headers, payload, topic, partition"
    await pool.execute(
        f"""INSERT INTO held ({columns}, "offset", ready)
            SELECT {columns}, 1 + place, place = 1001 FROM held, generate_series(1, 1001) place"""  # noqa: S608  # from above
    )
    async with pool.acquire() as connection, connection.transaction():
        keys = await listener.ready(connection, 500)
        await listener.drain(connection, keys)
        assert await listener.ready(connection, 500) == []
    assert taken == [1]
