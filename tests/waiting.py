"""Waiting in tests: for a condition, with a deadline, never for a time."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

Value = TypeVar("Value")


async def until(ask: Callable[[], Awaitable[Value]], seconds: float = 30) -> Value:
    """Ask again and again, and return the first answer that is true; fails with the last one after the deadline."""
    deadline = time.monotonic() + seconds
    while not (answer := await ask()):
        assert time.monotonic() < deadline, f"after {seconds} s still {answer!r}"
        await asyncio.sleep(0.02)
    return answer
