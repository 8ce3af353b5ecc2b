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


async def waits_for_lock(pool: Pool) -> bool:
    """Whether a transaction in this database waits for another one's lock."""
    waiting = "datname = current_database() AND wait_event_type = 'Lock'"
    return bool(await pool.fetchval(f"SELECT EXISTS (SELECT FROM pg_stat_activity WHERE {waiting})"))  # noqa: S608  # no input
