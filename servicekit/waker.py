"""Held rows that became ready: the second input of a service, beside its polls and by the same code."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import structlog
from aiokafka.errors import KafkaError

from servicekit import database, health, held
from servicekit.database import Pool
from servicekit.failpoint import failpoint
from servicekit.handler import Handler
from servicekit.held import Key
from servicekit.metrics import METRICS
from servicekit.patience import alone, is_cancelled

log = structlog.get_logger(__name__)

DRAIN_EVERY_S, SWEEP_EVERY_S = 0.25, 5.0
HEADS = 500
GAP_ALERT_S = 60


class Waker:
    """Tries ready heads, and finds those that nobody marked. Runs in every replica; what one works on, others skip."""

    def __init__(self, pool: Pool, handlers: Sequence[Handler], committed: Callable[[], None]) -> None:
        self._pool, self._handlers, self._committed = pool, handlers, committed

    async def run(self) -> None:
        """Drains four times a second and sweeps every five, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(repeat(DRAIN_EVERY_S, self.drain))
            group.create_task(repeat(SWEEP_EVERY_S, self.sweep))

    async def drain(self) -> int:
        """Tries ready heads once, at most 500; returns how many subjects there were."""
        async with database.acquire(self._pool) as connection:
            if not await held.any_ready(connection):
                return 0
        count = 0
        for handler in self._handlers:
            try:
                async with database.transaction(self._pool) as connection:
                    keys = await handler.ready(connection, HEADS)
                    if keys:
                        await handler.drain(connection, keys)
                        failpoint("drain-before-commit")
            except Exception as error:
                if isinstance(error, database.TOO_LATE):  # too much at once: alone each may end in time
                    METRICS.retries.labels(type(error).__name__).inc()
                    log.warning("drain ends too late, taking its heads one by one", error=repr(error))
                elif database.is_outage(error):
                    raise
                else:
                    log.exception("drain failed, taking its heads one by one")
                keys = await self._drain_one_by_one(handler)
            if keys:
                self._committed()
            count += len(keys)
        return count

    async def _drain_one_by_one(self, handler: Handler) -> list[Key]:
        async with database.transaction(self._pool) as connection:
            keys = await handler.ready(connection, HEADS)
        for key in keys:

            async def attempt(key: Key = key) -> None:
                async with database.transaction(self._pool) as connection:
                    await handler.drain(connection, [key], 1)

            async def give_up(error: dict[str, Any], key: Key = key) -> None:
                async with database.transaction(self._pool) as connection:
                    await handler.fail_head(connection, key, error)

            await alone(f"held {key[0]}/{key[1]}", attempt, give_up, self._pool, health.turned)
        return keys

    async def sweep(self) -> int:
        """Marks what became ready unnoticed; returns how many rows."""
        marked = 0
        for handler in self._handlers:
            async with database.transaction(self._pool) as connection:
                marked += await handler.sweep(connection)
        if not marked:
            await self._look_for_gaps()
        return marked

    async def _look_for_gaps(self) -> None:
        async with database.acquire(self._pool) as connection:
            gaps = await connection.fetchval(
                """SELECT count(*) FROM held
                   WHERE reason = 'gap' AND since < clock_timestamp() - make_interval(secs => $1)""",
                GAP_ALERT_S,
            )
        if gaps:
            log.error("numbers missing on a topic", rows=gaps)


async def repeat(every: float, work: Callable[[], Awaitable[int]]) -> None:
    """`work` for ever: at once again while it finds something, else after a pause."""
    with health.loop():
        while True:
            health.turned()
            found = 0
            try:
                found = await work()
            except asyncio.CancelledError:
                if is_cancelled():
                    raise
                log.exception("background work was cancelled by nobody", work=work.__qualname__)
            except Exception as error:
                if isinstance(error, database.TOO_LATE):
                    METRICS.rounds_too_late.labels(work.__qualname__).inc()
                if database.is_outage(error) or isinstance(error, KafkaError):
                    log.warning("background work put off", work=work.__qualname__, error=repr(error))
                else:
                    log.exception("background work failed", work=work.__qualname__)
            if not found:
                await asyncio.sleep(every)
