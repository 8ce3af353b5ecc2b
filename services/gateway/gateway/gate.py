"""What every request passes: whose key it is, whether that key has asked for too much, and whether there is room."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final

from fastapi import Request

from contracts.problems import Problem
from gateway import store
from gateway.domain import Holder
from gateway.request import RequestRefused
from gateway.settings import Settings
from servicekit import database
from servicekit.database import Pool
from servicekit.limits import AtOnce, Meter, Shares, address_of

KEY_CACHE_S: Final = 2.0  # a suspended key is refused within 5 s
BOUND_CACHE_S: Final = 1.0
MOST_KEYS: Final = 10_000
MOST_KEY_CHARACTERS: Final = 200


class Bill:
    """What a request has cost its key so far, in events."""

    def __init__(self, meter: Meter, key: str) -> None:
        self._meter, self._key, self._paid = meter, key, 0

    async def reach(self, events: int) -> None:
        """Pays what is missing to so many, or to all that ever fits. Raises Limited (429)."""
        events = min(events, self._meter.most)
        if events > self._paid:
            await self._meter.take(self._key, events - self._paid)
            self._paid = events

    async def charge(self, events: int) -> None:
        """Pays what is missing to so many for work that is done, also where it does not fit: what comes next waits."""
        if events > self._paid:
            await self._meter.charge(self._key, events - self._paid)
            self._paid = events


class Gate:
    """One process's gate. What it looks up it keeps for some seconds."""

    def __init__(self, pool: Pool, settings: Settings, begun: Callable[[], bool]) -> None:
        self._pool, self._settings, self._begun = pool, settings, begun
        self._holders: dict[bytes, tuple[float, Holder]] = {}
        self._room: tuple[float, bool] = (0.0, True)
        self._strangers = Meter("unknown keys of an address", settings.address_unknown_keys_s)
        self._requests = Meter("requests of a key", settings.key_requests_s)
        self._events = Meter("events of a key", settings.key_events_s, settings.key_events_burst)
        self._at_once = AtOnce("requests of a key at once", settings.key_requests_at_once)
        self._work = Shares(settings.half_of_pool)
        self._threads = Shares(1)
        self._look_ups = Shares(1)

    @asynccontextmanager
    async def passed(self, request: Request) -> AsyncIterator[Holder]:
        """Whose key the request carries, while it is answered. Raises RequestRefused (401, 503), Limited (429).

        A database that was set back knows nothing of what was accepted since: it would take that anew, under another
        submission id, and say of the first one that there is none.
        """
        if not self._begun():
            raise RequestRefused(503, Problem("busy", ""))
        holder = await self.holder(request)
        async with self._at_once.one(holder.source):
            await self._requests.take(holder.source)
            yield holder

    def bill(self, holder: Holder) -> Bill:
        """For what a request brings."""
        return Bill(self._events, holder.source)

    def work(self, holder: Holder) -> AbstractAsyncContextManager[None]:
        """For reading what came, and for the database: half of the connections are for the other keys."""
        return self._work.one(holder.source)

    def thread(self, holder: Holder) -> AbstractAsyncContextManager[None]:
        """For reading in a thread: of each key one, for each makes the event loop wait for the interpreter."""
        return self._threads.one(holder.source)

    async def room(self) -> None:
        """Raises RequestRefused (503) while the outbox is deeper or older than its bound."""
        until, free = self._room
        if until < time.monotonic():
            async with database.acquire(self._pool) as connection:
                rows, age = await store.outbox_bound(connection, self._settings.outbox_rows)
            free = rows < self._settings.outbox_rows and age < self._settings.outbox_age_s
            self._room = (time.monotonic() + BOUND_CACHE_S, free)
        if not free:
            raise RequestRefused(503, Problem("busy", ""))

    async def holder(self, request: Request) -> Holder:
        """Whose key the request carries, as it was two seconds ago at most. Raises RequestRefused (401), Limited (429).

        To be asked again by what takes longer, for a key may end meanwhile.
        """
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not key or len(key) > MOST_KEY_CHARACTERS:
            raise RequestRefused(401, Problem("unauthenticated", ""))
        hashed = store.hashed(key)
        until, found = self._holders.get(hashed, (0.0, None))
        if found is not None and time.monotonic() < until:
            return found
        if found is None:
            # Who is not known here pays for being looked up, and stands in line behind his like only: a flood of bad
            # keys is no hindrance for good ones from the same address that were looked up before it.
            await self._strangers.take(address_of(request))
            async with self._look_ups.one("strangers"):
                return await self._looked_up(key, hashed)
        return await self._looked_up(key, hashed)

    async def _looked_up(self, key: str, hashed: bytes) -> Holder:
        async with database.acquire(self._pool) as connection:
            found = await store.holder(connection, key)
        if found is None:
            self._holders.pop(hashed, None)
            raise RequestRefused(401, Problem("unauthenticated", ""))
        if len(self._holders) > MOST_KEYS:
            self._holders.clear()
        self._holders[hashed] = (time.monotonic() + KEY_CACHE_S, found)
        return found
