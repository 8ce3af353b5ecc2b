"""Sends submissions again whose end is not known: after ten minutes, then less and less often.

It brings back what a lost topic, a restored database or bytes that did not decode have swallowed, each by itself:
whoever wants all of it, in order, says `ocop republish gateway`. The deciding service knows what it has seen, and says
again what became of it.
"""

import structlog

from gateway import store
from servicekit import database, outbox
from servicekit.database import Pool
from servicekit.waker import repeat

log = structlog.get_logger(__name__)

EVERY_S = 5.0
BATCH = 500
MOST_WAITING = 1000  # with more than this in the outbox, what is sent again would only stand in line twice


class Repeater:
    """Runs in every replica; rows that another has locked are skipped."""

    def __init__(self, pool: Pool, repeat_after_s: int) -> None:
        self._pool = pool
        self._repeat_after_s = repeat_after_s

    async def run(self) -> None:
        """Looks every few seconds, until cancelled; a fault here is logged and must not take HTTP down."""
        await repeat(EVERY_S, self.once)

    async def once(self) -> int:
        """Puts what is due into the outbox; returns how many."""
        async with database.transaction(self._pool) as connection:
            rows, _ = await store.outbox_bound(connection, MOST_WAITING)
            if rows >= MOST_WAITING:
                return 0
            due = await store.due_again(connection, self._repeat_after_s, BATCH)
            await outbox.put(connection, due)
        if due:
            log.info("sent again", submissions=len(due))
        return len(due)
