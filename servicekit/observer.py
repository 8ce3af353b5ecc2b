"""What a database knows of its own trouble, told as metrics four times a minute."""

from typing import Final

from servicekit import database, loss
from servicekit.database import Connection, Pool
from servicekit.metrics import METRICS
from servicekit.waker import repeat

EVERY_S: Final = 15.0
REASONS: Final = ("waiting", "behind", "failed", "gap")
MOST_ROWS: Final = 100_000  # of the outbox that are counted


class Observer:
    """Runs in every replica. `sends`: whether the service has an outbox."""

    def __init__(self, pool: Pool, *, sends: bool) -> None:
        self._pool, self._sends = pool, sends

    async def run(self) -> None:
        """Looks, until cancelled."""
        await repeat(EVERY_S, self.once)

    async def once(self) -> int:
        """Looks once."""
        async with database.acquire(self._pool) as connection:
            if self._sends:
                await _outbox(connection)
                METRICS.topics_lost.set(await loss.count(connection))
            await _held(connection)
        return 0


async def _held(connection: Connection) -> None:
    rows = await connection.fetch(
        """SELECT reason, (SELECT count(*) FROM held h WHERE h.reason = r.reason) AS rows,
                  coalesce(extract(epoch FROM clock_timestamp()
                    - (SELECT min(since) FROM held h WHERE h.reason = r.reason)), 0)::float8 AS oldest
           FROM unnest($1::text[]) AS r(reason)""",
        REASONS,
    )
    for row in rows:
        METRICS.held_rows.labels(row["reason"]).set(row["rows"])
        METRICS.held_oldest.labels(row["reason"]).set(row["oldest"])


async def _outbox(connection: Connection) -> None:
    row = await connection.fetchrow(
        """SELECT (SELECT count(*) FROM (SELECT FROM outbox LIMIT $1) o) AS n,
                  coalesce(extract(epoch FROM clock_timestamp()
                    - (SELECT created_at FROM outbox ORDER BY id LIMIT 1)), 0)::float8 AS oldest""",
        MOST_ROWS,
    )
    assert row is not None  # it has no FROM
    METRICS.outbox_rows.set(row["n"])
    METRICS.outbox_age.set(row["oldest"])
