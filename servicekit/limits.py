"""How much one key or one address may ask of a process, so that what it does leaves the others as they were.

Each process counts for itself: behind n replicas a key may pass n times as much.
"""

import asyncio
import math
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, nullcontext
from ipaddress import IPv6Address, ip_address

from limits import RateLimitItem, RateLimitItemPerSecond
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import FixedWindowRateLimiter
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from servicekit.metrics import METRICS

SUSTAINED_S = 10  # a rate is kept on the average of so many seconds


class Limited(Exception):  # noqa: N818  # an answer, not an accident
    """More than may be. `kind` says of what, `retry_after_s` when there is room again."""

    def __init__(self, kind: str, retry_after_s: int = 1) -> None:
        super().__init__(kind)
        self.kind, self.retry_after_s = kind, retry_after_s
        METRICS.limited.labels(kind).inc()


class Meter:
    """Counts something by name: at most `per_second` of it on the average of ten seconds, `burst` in any one."""

    def __init__(self, kind: str, per_second: int, burst: int | None = None) -> None:
        self.kind = kind
        self._limiter = FixedWindowRateLimiter(MemoryStorage())
        self._items: list[RateLimitItem] = [RateLimitItemPerSecond(per_second * SUSTAINED_S, SUSTAINED_S)]
        if burst is not None:
            self._items.append(RateLimitItemPerSecond(burst))
        self.most = min(item.amount for item in self._items)  # that fits at once

    async def take(self, name: str, cost: int = 1) -> None:
        """Takes all of the cost, at most `most`, or raises Limited and takes nothing."""
        for item in self._items:
            if not await self._limiter.test(item, name, cost=cost):
                reset = (await self._limiter.get_window_stats(item, name)).reset_time
                raise Limited(self.kind, max(1, math.ceil(reset - time.time())))
        await self.charge(name, cost)

    async def charge(self, name: str, cost: int) -> None:
        """Takes the cost for what has been done already, also where it is more than is left."""
        for item in self._items:
            await self._limiter.hit(item, name, cost=cost)


class AtOnce:
    """Bounds how much is under way at the same time, by name."""

    def __init__(self, kind: str, most: int) -> None:
        self.kind, self._most = kind, most
        self._running: Counter[str] = Counter()

    @asynccontextmanager
    async def one(self, name: str) -> AsyncIterator[None]:
        """Runs beside at most so many others of that name, or raises Limited."""
        if self._running[name] >= self._most:
            raise Limited(self.kind)
        self._running[name] += 1
        try:
            yield
        finally:
            self._running[name] -= 1
            if not self._running[name]:
                del self._running[name]


class Shares:
    """Each name's share of something that all use; who has its share in hand waits for itself, not in others' way."""

    def __init__(self, share: int) -> None:
        self._share = share
        self._held: dict[str, tuple[asyncio.Semaphore, list[None]]] = {}

    @asynccontextmanager
    async def one(self, name: str) -> AsyncIterator[None]:
        """Waits until less than the share is in use under that name."""
        semaphore, users = self._held.setdefault(name, (asyncio.Semaphore(self._share), []))
        users.append(None)
        try:
            async with semaphore:
                yield
        finally:
            users.pop()
            if not users:
                del self._held[name]


def address_of(request: Request) -> str:
    """Who asks, as far as can be told: a machine, or the network that one machine has of IPv6.

    Behind a proxy whose address is in FORWARDED_ALLOW_IPS, whom the proxy names.
    """
    host = request.client.host if request.client else ""
    try:
        found = ip_address(host)
    except ValueError:
        return host
    return str(IPv6Address(int(found) >> 64 << 64)) if isinstance(found, IPv6Address) else host


class PerAddress:
    """Middleware: limits what one address may ask of what it `concerns`; `refused` makes the answer. Of what is under
    way for it, and is `costly`, only its share is worked on, the rest waits for that."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        meter: Meter,
        at_once: AtOnce,
        shares: Shares,
        concerns: Callable[[Scope], bool],
        refused: Callable[[str, Limited], Response],
        costly: Callable[[str], bool] = lambda _: True,
    ) -> None:
        self._app, self._meter, self._at_once, self._shares = app, meter, at_once, shares
        self._concerns, self._costly, self._refused = concerns, costly, refused

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes the request on, or refuses it."""
        if scope["type"] != "http" or not self._concerns(scope):
            await self._app(scope, receive, send)
            return
        address = address_of(Request(scope))
        try:
            await self._meter.take(address)
            costly = self._costly(scope["path"])
            async with self._at_once.one(address), self._shares.one(address) if costly else nullcontext():
                await self._app(scope, receive, send)
        except Limited as limited:
            await self._refused(scope["path"], limited)(scope, receive, send)
