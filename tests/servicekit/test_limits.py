"""How much may be asked, counted by name: rates, what is under way, shares."""

import asyncio

import httpx2
import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from servicekit.limits import AtOnce, Limited, Meter, PerAddress, Shares, address_of


async def taken(meter: Meter, name: str, cost: int = 1) -> int | None:
    """Seconds to wait; None if it was taken."""
    try:
        await meter.take(name, cost)
    except Limited as limited:
        return limited.retry_after_s
    return None


async def test_a_rate_is_kept_on_the_average_of_ten_seconds() -> None:
    meter = Meter("test", 2)
    assert [await taken(meter, "a") for _ in range(20)] == [None] * 20
    wait = await taken(meter, "a")
    assert wait is not None
    assert 1 <= wait <= 10
    assert await taken(meter, "b") is None, "each name has its own"


async def test_a_burst_has_its_own_bound() -> None:
    meter = Meter("test", 100, burst=5)
    assert await taken(meter, "a", 4) is None
    assert await taken(meter, "a", 2) == 1
    assert await taken(meter, "a", 1) is None, "what was refused took nothing"


async def test_what_fits_at_once_is_the_least_of_the_bounds() -> None:
    assert Meter("test", 1, burst=5).most == 5
    assert Meter("test", 1, burst=50).most == 10


async def test_more_at_once_is_refused_and_room_comes_back() -> None:
    at_once = AtOnce("test", 2)
    async with at_once.one("a"), at_once.one("a"), at_once.one("b"):
        with pytest.raises(Limited):
            async with at_once.one("a"):
                pass
    async with at_once.one("a"):
        pass


async def test_who_has_its_share_waits_for_itself_only() -> None:
    shares, order = Shares(1), []

    async def use(name: str, go: asyncio.Event) -> None:
        async with shares.one(name):
            order.append(name)
            await go.wait()

    first, others = asyncio.Event(), asyncio.Event()
    others.set()
    running = [asyncio.create_task(use(*each)) for each in (("a", first), ("a", others), ("b", others))]
    await running[2]
    assert order == ["a", "b"]
    first.set()
    await asyncio.gather(*running)
    assert order == ["a", "b", "a"]


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:aaaa::1", "2001:db8:1:2::"),
        ("testclient", "testclient"),
        (None, ""),
    ],
)
def test_an_address_is_a_machine_or_the_network_of_one(host: str | None, address: str) -> None:
    assert address_of(Request({"type": "http", "client": (host, 1) if host else None})) == address


async def _here(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse("here")(scope, receive, send)


def _limited(app: ASGIApp, per_second: int, at_once: int, share: int) -> PerAddress:
    return PerAddress(
        app,
        meter=Meter("test", per_second),
        at_once=AtOnce("test", at_once),
        shares=Shares(share),
        concerns=lambda scope: scope["path"] != "/health/live",
        costly=lambda path: path != "/cheap",
        refused=lambda path, error: Response(path, 429, {"Retry-After": str(error.retry_after_s)}),
    )


async def test_an_address_has_its_share_of_the_work() -> None:
    """The rest of what it asks waits behind its like, and another's passes."""
    working, most, go_on = 0, 0, asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal working, most
        working += 1
        most = max(most, working)
        await go_on.wait()
        working -= 1
        await _here(scope, receive, send)

    limited = _limited(app, per_second=10, at_once=8, share=2)

    def of(address: str) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(transport=httpx2.ASGITransport(app=limited, client=(address, 1)), base_url="http://x")

    async with of("192.0.2.1") as many, of("192.0.2.2") as one:
        asked = [asyncio.create_task(many.get("/")) for _ in range(8)]
        asked.append(asyncio.create_task(one.get("/")))
        for _ in range(100):
            await asyncio.sleep(0)
        assert most == 3
        asked += [asyncio.create_task(one.get("/cheap")) for _ in range(4)]
        for _ in range(100):
            await asyncio.sleep(0)
        assert most == 7, "what costs little is no part of a share"
        go_on.set()
        assert {(await each).status_code for each in asked} == {200}


async def test_an_address_is_limited_on_the_paths_concerned() -> None:
    limited = _limited(_here, per_second=1, at_once=1, share=1)
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=limited), base_url="http://x") as client:
        statuses = [(await client.get("/")).status_code for _ in range(12)]
        assert statuses == [200] * 10 + [429] * 2
        assert (await client.get("/")).headers["Retry-After"]
        assert (await client.get("/health/live")).status_code == 200
