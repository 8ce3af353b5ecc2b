"""How long something is tried, and how often: rounds of work that are apart, a back-off between attempts, and five
failures alone before it is given up."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from typing import Any

import structlog

from servicekit import database
from servicekit.database import Pool
from servicekit.failure import unhandled

log = structlog.get_logger(__name__)

TRIES_ALONE = 5
BACKOFF_FIRST_S, BACKOFF_MOST_S = 0.1, 10.0
BUDGET_S = 120.0  # then what is tried is put back: after 300 s without a poll aiokafka leaves the group
APART_S = 0.01


class Rounds:
    """Of work, that begin 10 ms apart at the least. What comes meanwhile shares the next round's transaction,
    which is most of what a trickle costs; what comes alone waits for nothing, and full rounds take longer anyway.
    """

    def __init__(self) -> None:
        self._next = 0.0

    def begin(self) -> None:
        """A round begins."""
        self._next = time.monotonic() + APART_S

    async def rest(self) -> None:
        """Until the next may begin."""
        await asyncio.sleep(max(0.0, self._next - time.monotonic()))


class Backoff:
    """Capped and jittered: 0.1 s, 0.2 s … 10 s, each between half and whole."""

    def __init__(self) -> None:
        self._next = BACKOFF_FIRST_S

    async def wait(self) -> None:
        """Sleeps, longer at each call."""
        await asyncio.sleep(self._next * random.uniform(0.5, 1.0))  # noqa: S311  # jitter, not a secret
        self._next = min(self._next * 2, BACKOFF_MOST_S)


def is_cancelled() -> bool:
    """Whether a CancelledError that has come up is this task's end: a library may give back that of something else."""
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0


async def alone(
    what: str,
    attempt: Callable[[], Awaitable[None]],
    give_up: Callable[[dict[str, Any]], Awaitable[None]],
    pool: Pool,
    alive: Callable[[], None],
) -> bool:
    """Tries one thing by itself until it succeeds, or has failed five times while the database answers; says before
    each try that the loop is `alive`.

    Then `give_up` puts it aside, with the reason. False if it could be neither done nor put aside in two minutes.
    """
    started, backoff, failed = time.monotonic(), Backoff(), 0
    while time.monotonic() - started < BUDGET_S:
        alive()
        try:
            await attempt()
            return True
        except Exception as error:
            if not database.is_outage(error) and await _database_answers(pool):
                failed += 1
                log.exception("failed alone", what=what, attempt=failed)
                if failed >= TRIES_ALONE:
                    try:
                        await give_up(unhandled(error, failed))
                        return True
                    except Exception as worse:
                        log.exception("could not be put aside", what=what, error=repr(worse))
                        return False
        await backoff.wait()
    return False


async def _database_answers(pool: Pool) -> bool:
    try:
        async with database.acquire(pool) as connection:
            return bool(await connection.fetchval("SELECT 1", timeout=5))
    except Exception:
        return False
