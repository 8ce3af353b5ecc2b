"""The lane of namespaces that send years of records at once: taken like all others, and sent on more slowly.

While a namespace is declared, its submissions are kept and answered at once, but do not go into the outbox. The
feeder puts them there, in the order of acceptance, while few of them are under way and no reader is behind; so the
others' events never stand behind thousands of theirs. Per subject the order stays: all of a namespace is in one lane
at a time, and it leaves the lane only when everything of it has been fed and has an outcome.
"""

from collections.abc import Awaitable, Callable

import structlog

from contracts.topics import submission_topic
from gateway.store import LANES_LOCK
from servicekit import database, outbox
from servicekit.database import Connection, Pool
from servicekit.outbox import Outgoing
from servicekit.waker import repeat

log = structlog.get_logger(__name__)

EVERY_S = 0.2
QUIET_S = 600  # so long after the last of it was fed a namespace returns to the live lane by itself
UNDER_WAY = """SELECT count(*) FROM (SELECT FROM submission
                                     WHERE fed_at < 'infinity' AND state = 'received' LIMIT $1) fed"""
_FEED_LOCK = 0x0C0B_0004

Lag = Callable[[], Awaitable[int]]  # records that readers have not read, of the one that has most


async def declare(connection: Connection, namespace: str, actor: str) -> bool:
    """From now on the namespace is in the backfill lane; False if it is already."""
    await _alone(connection, namespace)
    status = await connection.execute(
        "INSERT INTO backfill (namespace, actor, latest_at) VALUES ($1, $2, 'infinity') ON CONFLICT DO NOTHING",
        namespace,
        actor,
    )
    return status.endswith(" 1")


async def end(connection: Connection, namespace: str, quiet_s: float = 0) -> bool:
    """The namespace returns to the live lane, if nothing of it lacks an outcome and nothing was fed for so long, since
    something was; else False. One in a transaction: who moves two could stand in a circle with a request that brings
    both."""
    if namespace not in await _over(connection, quiet_s):
        return False
    await _alone(connection, namespace)
    if namespace not in await _over(connection, quiet_s):
        return False
    await connection.execute("DELETE FROM backfill WHERE namespace = $1", namespace)
    return True


async def _alone(connection: Connection, namespace: str) -> None:
    """Requests of the namespace that are under way end first; those that come wait."""
    await connection.execute("SELECT pg_advisory_xact_lock($1, hashtext($2))", LANES_LOCK, namespace)


async def _over(connection: Connection, quiet_s: float) -> list[str]:
    rows = await connection.fetch(
        """SELECT namespace FROM backfill b
           WHERE (latest_at <= clock_timestamp() - make_interval(secs => $1) OR latest_at = 'infinity' AND $1 = 0)
             AND NOT EXISTS (SELECT FROM submission s WHERE s.namespace = b.namespace
                               AND s.fed_at IS NOT NULL AND s.state = 'received') ORDER BY namespace""",
        quiet_s,
    )
    return [row["namespace"] for row in rows]


class Feeder:
    """Runs in every replica; one feeds at a time. `lag` tells how far the slowest reader is behind."""

    def __init__(self, pool: Pool, lag: Lag, *, rate: int, under_way: int, most_lag: int, repeat_after_s: int) -> None:
        self._pool, self._lag, self._rate, self._under_way, self._most_lag = pool, lag, rate, under_way, most_lag
        self._repeat_after_s = repeat_after_s
        self._behind = False

    async def run(self) -> None:
        """Feeds five times a second, until cancelled."""
        await repeat(EVERY_S, self.once)

    async def once(self) -> int:
        """Feeds a fifth of a second's worth, unless somebody is behind. Returns 0: it never hurries."""
        async with database.acquire(self._pool) as connection:
            if not await connection.fetchval("SELECT EXISTS (SELECT FROM backfill)"):
                return 0
        lag = await self._lag()
        if (lag > self._most_lag) != self._behind:
            self._behind = not self._behind
            log.info("backfill held back" if self._behind else "backfill goes on", lag=lag)
        async with database.transaction(self._pool) as connection:
            if not await connection.fetchval("SELECT pg_try_advisory_xact_lock($1)", _FEED_LOCK):
                return 0
            if not self._behind:
                await self._feed(connection)
            over = await _over(connection, QUIET_S)
        for namespace in over:
            async with database.transaction(self._pool) as connection:
                if await end(connection, namespace, QUIET_S):
                    log.info("backfill ended", namespace=namespace)
        return 0

    async def _feed(self, connection: Connection) -> None:
        under_way = await connection.fetchval(UNDER_WAY, self._under_way)
        room = min(int(self._rate * EVERY_S), self._under_way - under_way)
        if room <= 0:
            return
        rows = await connection.fetch(
            """WITH fed AS (
                 UPDATE submission SET fed_at = clock_timestamp(),
                        repeat_at = clock_timestamp() + make_interval(secs => $2)
                 WHERE id IN (SELECT id FROM submission WHERE fed_at = 'infinity' ORDER BY received_at, id LIMIT $1)
                 RETURNING service, subject, headers, payload, received_at, id, namespace
               ), marked AS (
                 UPDATE backfill SET latest_at = clock_timestamp() WHERE namespace IN (SELECT namespace FROM fed)
               )
               SELECT * FROM fed ORDER BY received_at, id""",
            room,
            float(self._repeat_after_s),
        )
        await outbox.put(
            connection,
            [
                Outgoing(submission_topic(row["service"]), str(row["subject"]), row["headers"], row["payload"])
                for row in rows
            ],
        )
