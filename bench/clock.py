"""A clock for what becomes visible: from the first visible commit to the last."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

LOOK_S = 0.02


@dataclass(frozen=True, slots=True)
class Span:
    """What came to be visible, and how long it took."""

    events: int
    seconds: float
    first_s: float  # from the start to the first visible commit

    @property
    def rate(self) -> float:
        """Events a second."""
        return self.events / self.seconds


async def watch(look: Callable[[], Awaitable[int]], events: int, patience_s: float = 60) -> Span:
    """Looks every 20 ms how many are visible until all are. Raises TimeoutError when nothing comes for so long.

    What the first commit brought is not counted: when its work began cannot be seen.
    """
    start = last = time.perf_counter()
    began: tuple[float, int] | None = None
    seen = 0
    while True:
        now_seen = await look()
        now = time.perf_counter()
        if now_seen > seen:
            seen, last = now_seen, now
            began = began or (now, seen)
        if began and seen >= events:
            return Span(seen - began[1], now - began[0], began[0] - start)
        if now - last > patience_s:
            raise TimeoutError(f"{seen} of {events} after {patience_s} s without another")
        await asyncio.sleep(LOOK_S)
