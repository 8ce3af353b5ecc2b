"""Ready heads: what is too much at once is tried one by one, and keeps nobody else from his turn."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from servicekit import database
from servicekit.database import Connection, Pool
from servicekit.held import Key
from servicekit.metrics import METRICS
from servicekit.waker import HEADS, Waker, repeat
from tests.engines import Databases
from tests.waiting import until


@pytest.fixture
async def pool(databases: Databases) -> AsyncIterator[Pool]:
    made = await databases.make("registry")
    pool = await database.open_pool(made.app)
    await pool.execute(
        """INSERT INTO held (queue, subject, reason, ready, headers, payload, topic, partition, "offset")
           VALUES ('owner', gen_random_uuid(), 'waiting', true, '[]', '', 'ocop.submission.registry', 0, 0)"""
    )
    yield pool
    await pool.close()


@dataclass(slots=True)
class Ready:
    """A handler with heads that are ready until they are tried; more than one at once take too long."""

    heads: list[Key]
    most: int
    tried: list[tuple[int, int]] = field(default_factory=list)  # how many heads, and how deep

    async def ready(self, connection: Connection, limit: int) -> list[Key]:
        return self.heads[:limit]

    async def drain(self, connection: Connection, keys: Sequence[Key], depth: int = 500) -> None:
        self.tried.append((len(keys), depth))
        if len(keys) > self.most:
            raise asyncpg.QueryCanceledError("canceling statement due to statement timeout")
        self.heads = [head for head in self.heads if head not in keys]


async def test_work_that_a_library_cancels_goes_on() -> None:
    """What it has cut short comes back as the cancellation of whoever asks next, and a loop is missed by nobody."""
    rounds = 0

    async def work() -> int:
        nonlocal rounds
        rounds += 1
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        future.cancel()
        return await future

    going = asyncio.create_task(repeat(0.001, work))

    async def again() -> bool:
        return rounds > 2

    await until(again)
    going.cancel()
    await asyncio.wait({going}, timeout=5)
    assert going.cancelled(), "by us it is"


async def test_heads_that_are_too_much_at_once_are_tried_one_by_one(pool: Pool) -> None:
    heads = [("owner", UUID(int=n)) for n in range(3)]
    slow, other = Ready(heads, 1), Ready(heads[:2], HEADS)
    handlers: Any = [slow, other]  # what the waker asks of one
    retries = METRICS.retries.labels("QueryCanceledError")
    before = retries._value.get()
    waker = Waker(pool, handlers, lambda: None)
    assert await waker.drain() == 5
    assert slow.tried == [(3, 500), (1, 1), (1, 1), (1, 1)]
    assert other.tried == [(2, 500)]
    assert retries._value.get() == before + 1
    assert await waker.drain() == 0


async def test_rounds_that_end_too_late_are_counted() -> None:
    """What never comes to its end would else be seen by nobody."""
    rounds = 0

    async def work() -> int:
        nonlocal rounds
        rounds += 1
        if rounds == 1:
            raise asyncpg.QueryCanceledError("canceling statement due to statement timeout")
        if rounds == 2:
            raise asyncpg.ConnectionDoesNotExistError("gone")
        return 0

    async def twice() -> bool:
        return rounds > 2

    looping = asyncio.create_task(repeat(0, work))
    await until(twice)
    looping.cancel()
    await asyncio.gather(looping, return_exceptions=True)
    assert METRICS.rounds_too_late.labels(work.__qualname__)._value.get() == 1
