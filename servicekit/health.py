"""Live, ready, and what is missing: answers that an orchestrator may act on.

Started = the process answers at all. Live = each reader turned within the last minute (a back-off counts) and is not
deaf, and all else that goes round did within five.
An outage of Kafka or PostgreSQL must not restart the fleet, so neither is asked here. Ready = database, schema, topics,
partitions.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from servicekit.metrics import METRICS

TURN_LIMIT_S = 60.0
ROUND_LIMIT_S = 300.0  # of work in the background, which may ask slow engines for many things in one round
DEAF_LIMIT_S = 120.0
BEAT_S = 1.0

Check = Callable[[], Awaitable[list[str]]]


class Health:
    """What a loop knows of its own condition. `missing` checks say in words what is not there yet."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, limit_s: float = TURN_LIMIT_S) -> None:
        self._clock, self._limit_s = clock, limit_s
        self._turned = clock()
        self._heard = clock()
        self._lagging_since: float | None = None
        self.checks: list[Check] = []

    def turned(self) -> None:
        """The loop has come round, with or without records."""
        self._turned = self._clock()

    def heard(self) -> None:
        """Records have come in, and are worked on."""
        self._heard = self._turned = self._clock()
        self._lagging_since = None

    @asynccontextmanager
    async def lasting(self) -> AsyncIterator[None]:
        """While something takes long that ends by itself, and is no reason to restart anything."""

        async def beat() -> None:
            while True:
                self.heard()
                await asyncio.sleep(BEAT_S)

        beating = asyncio.create_task(beat())
        try:
            yield
        finally:
            beating.cancel()

    def lag(self, records: int) -> None:
        """Kafka answers, and holds so many records that we have not read."""
        if records == 0:
            self._lagging_since = None
        elif self._lagging_since is None:
            self._lagging_since = self._clock()

    def dead(self) -> str | None:
        """Why the process of this loop should be restarted, or None."""
        now = self._clock()
        if now - self._turned > self._limit_s:
            return f"the loop has not turned for {now - self._turned:.0f} s"
        if self._lagging_since is not None and now - max(self._lagging_since, self._heard) > DEAF_LIMIT_S:
            return f"deaf: records wait, and none came for {now - self._heard:.0f} s"
        return None

    async def missing(self) -> list[str]:
        """What is not there yet; empty when the service can do its work."""
        found: list[str] = []
        for check in self.checks:
            found += await check()
        return found


LOOPS: ContextVar[list[Health]] = ContextVar("loops")  # of the service that this runs in
_loop: ContextVar[Health] = ContextVar("loop")


@contextmanager
def loop() -> Iterator[None]:
    """What runs in this belongs to the service's life, and says with each round that it has `turned`."""
    health, loops = Health(limit_s=ROUND_LIMIT_S), LOOPS.get([])
    loops.append(health)
    before = _loop.set(health)
    try:
        yield
    finally:
        _loop.reset(before)
        loops.remove(health)


def turned() -> None:
    """The loop that this is called in goes on; outside of one, nothing."""
    if (health := _loop.get(None)) is not None:
        health.turned()


def health_routes(loops: Sequence[Health]) -> APIRouter:
    """`/health/startup`, `/health/live`, `/health/ready`, `/metrics` of a process with these loops; more may come."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/health/live")
    async def live() -> JSONResponse:
        reason = next((why for health in loops if (why := health.dead())), None)
        return JSONResponse({"live": reason is None, "reason": reason}, 200 if reason is None else 503)

    @routes.get("/health/startup")
    async def startup() -> JSONResponse:
        return JSONResponse({"started": True})

    @routes.get("/health/ready")
    async def ready() -> JSONResponse:
        missing = [what for health in loops for what in await health.missing()]
        METRICS.ready.set(not missing)
        return JSONResponse({"ready": not missing, "missing": missing}, 503 if missing else 200)

    @routes.get("/metrics")
    async def metrics() -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    return routes
