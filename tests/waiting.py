"""Waiting in tests: for a condition, with a deadline, never for a time."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from servicekit.database import Pool

Value = TypeVar("Value")


async def until(ask: Callable[[], Awaitable[Value]], seconds: float = 30) -> Value:
    """Ask again and again, and return the first answer that is true; fails with the last one after the deadline."""
    deadline = time.monotonic() + seconds
    while not (answer := await ask()):
        assert time.monotonic() < deadline, f"after {seconds} s still {answer!r}"
        await asyncio.sleep(0.02)
    return answer


async def lock_waiters(pool: Pool) -> int:
    """How many transactions in this database wait for another one's lock, of those that the pool's role may see: its
    own, or all if it is the superuser's."""
    waiting = "datname = current_database() AND wait_event_type = 'Lock'"
    return int(await pool.fetchval(f"SELECT count(*) FROM pg_stat_activity WHERE {waiting}"))  # noqa: S608  # no input


async def waits_for_lock(pool: Pool) -> bool:
    """Whether one does."""
    return await lock_waiters(pool) > 0
