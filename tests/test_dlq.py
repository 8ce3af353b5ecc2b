"""`ocop dlq retry` takes its time: a few rows a second, gone on with where it was broken off, and not for ever."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from ocop import dlq
from ocop.errors import OcopError
from servicekit import database
from servicekit.database import Pool
from servicekit.trouble import Which
from tests.engines import Databases
from tests.servicekit.test_trouble import BUG, drain, fail, states
from tests.submissions import Province, owner
from tests.waiting import until

ROWS, RATE = 5, 2
GROUP = Which(class_=BUG["class"])


@pytest.fixture
async def pool(databases: Databases, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Pool]:
    """Of a registry in which rows have failed."""
    made, province = await databases.make("registry"), Province()
    monkeypatch.setenv("OCOP_DATABASE_URL", made.app)
    async with await database.open_pool(made.app) as opened:
        for n in range(ROWS):
            await fail(opened, province.message(owner(f"CT-{n}", id_=str(n))))
        yield opened


async def marked(pool: Pool) -> int:
    return int(await pool.fetchval("SELECT count(*) FROM held WHERE ready"))


async def said(pool: Pool) -> list[int]:
    """How many rows were marked at a time."""
    return [row["details"]["rows"] for row in await pool.fetch("SELECT details FROM operation ORDER BY id")]


@asynccontextmanager
async def served(pool: Pool, seen: list[int]) -> AsyncIterator[None]:
    """The service runs, and tries what is marked."""

    async def serve() -> None:
        while True:
            seen.append(await marked(pool))
            await drain(pool)
            await asyncio.sleep(0.01)

    serving = asyncio.create_task(serve())
    yield
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)


async def test_a_few_rows_are_marked_at_a_time(pool: Pool) -> None:
    seen: list[int] = []
    async with served(pool, seen):
        await dlq._retry("registry", GROUP, RATE, again=False, actor="Lan")
        await until(lambda: _all_applied(pool))
    assert 0 < max(seen) <= RATE
    assert await said(pool) == [2, 2, 1]


async def test_what_was_broken_off_goes_on_where_it_was(pool: Pool) -> None:
    first = asyncio.create_task(dlq._retry("registry", GROUP, RATE, again=False, actor="Lan"))
    await until(lambda: marked(pool))
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    assert await said(pool) == [2]
    async with served(pool, []):
        await dlq._retry("registry", GROUP, RATE, again=False, actor="Lan")
        await until(lambda: _all_applied(pool))
    assert await said(pool) == [2, 2, 1], "each row once"


async def test_nobody_is_waited_for_for_ever(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dlq, "STUCK_S", 0.2)
    with pytest.raises(OcopError, match="2 rows are marked, but nobody tries them"):
        await dlq._retry("registry", GROUP, RATE, again=False, actor="Lan")
    assert await marked(pool) == RATE


async def _all_applied(pool: Pool) -> bool:
    return list((await states(pool)).values()) == ["applied"] * ROWS
