"""Sessions whose client is gone without a word, in the two moments in which no time limit of PostgreSQL ends them."""

from typing import Final

import structlog

from servicekit import database
from servicekit.database import Pool
from servicekit.waker import repeat

log = structlog.get_logger(__name__)

EVERY_S: Final = 5.0
AFTER_S: Final = 30.0  # no client of ours waits longer for an answer: pools 15 s, the relay 25
GONE_MS: Final = 1000  # what an ended session is waited for


class Forgotten:
    """Runs in every replica: what the network has forgotten of one, another finds."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def run(self) -> None:
        """Looks every five seconds, until cancelled."""
        await repeat(EVERY_S, self.end)

    async def end(self, after_s: float = AFTER_S) -> int:
        """Ends such sessions of this service that have been so for `after_s`; returns how many there were.

        A backend that waits for the rest of a COPY's rows, or for room to send its own, is `active`: neither
        statement_timeout nor those for idle transactions and whole transactions are heard there. Its locks would last
        until TCP gives up.
        """
        async with database.acquire(self._pool) as connection:
            ended: int = await connection.fetchval(
                """SELECT count(*) FILTER (WHERE pg_terminate_backend(pid, $2)) FROM pg_stat_activity
                   WHERE datname = current_database() AND usename = current_user
                     AND starts_with(application_name, current_setting('application_name'))
                     AND state = 'active' AND wait_event_type = 'Client'
                     AND wait_event IN ('ClientRead', 'ClientWrite')
                     AND query_start < clock_timestamp() - make_interval(secs => $1)""",
                after_s,
                GONE_MS,
            )
        if ended:
            log.warning("ended sessions whose client is gone", sessions=ended)
        return ended
