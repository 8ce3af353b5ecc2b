"""What each tenant has sent and what has no end yet, told as metrics twice a minute."""

from datetime import datetime
from typing import Final

from servicekit import database
from servicekit.database import Connection, Pool
from servicekit.metrics import METRICS
from servicekit.waker import repeat

EVERY_S: Final = 30.0


class Census:
    """Runs in every replica, and says the same in each."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._said: set[tuple[str, str]] = set()
        self._expected: set[str] = set()  # tenants of whom it is said when they last sent

    async def run(self) -> None:
        """Looks, until cancelled."""
        await repeat(EVERY_S, self.once)

    async def once(self) -> int:
        """Looks once."""
        async with database.acquire(self._pool) as connection:
            open_ = await _without_an_end(connection)
            last = await _last_received(connection)
        for tenant, state in self._said - open_.keys():
            METRICS.open.labels(tenant, state).set(0)
        for (tenant, state), count in open_.items():
            METRICS.open.labels(tenant, state).set(count)
        self._said |= open_.keys()
        for tenant in self._expected - last.keys():
            METRICS.last_received.remove(tenant)
        self._expected = set(last)
        for tenant, moment in last.items():
            METRICS.last_received.labels(tenant).set(moment.timestamp())
        return 0


async def _without_an_end(connection: Connection) -> dict[tuple[str, str], int]:
    """How many submissions of each tenant have no end yet, by their state."""
    rows = await connection.fetch(
        """SELECT tenant, state, count(*) AS n FROM submission
           WHERE state IN ('received', 'waiting', 'failed') GROUP BY tenant, state"""
    )
    return {(row["tenant"], row["state"]): row["n"] for row in rows}


async def _last_received(connection: Connection) -> dict[str, datetime]:
    """When each tenant's latest submission came, or when it was enrolled; of those that may send."""
    rows = await connection.fetch(
        """SELECT code, coalesce((SELECT max(received_at) FROM submission WHERE tenant = code), enrolled_at) AS at
           FROM tenant WHERE suspended_at IS NULL"""
    )
    return {row["code"]: row["at"] for row in rows}
