"""Ready heads: what is too much at once is tried one by one, and keeps nobody else from his turn."""

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
from servicekit.waker import HEADS, Waker
from tests.engines import Databases


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
