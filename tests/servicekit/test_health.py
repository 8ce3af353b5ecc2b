"""When a process should be restarted, and when it only cannot do its work yet."""

import asyncio

import httpx2
import pytest
from fastapi import FastAPI

from servicekit.health import DEAF_LIMIT_S, LOOPS, TURN_LIMIT_S, Health, health_routes
from servicekit.waker import repeat
from tests.waiting import until


class Clock:
    """A clock that is put forward by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def health(clock: Clock) -> Health:
    return Health(clock)


def test_live_while_the_loop_turns(health: Health, clock: Clock) -> None:
    for _ in range(10):
        clock.now += TURN_LIMIT_S - 1
        assert health.dead() is None
        health.turned()
    clock.now += TURN_LIMIT_S + 1
    assert "has not turned" in (health.dead() or "")


def test_deaf_is_records_waiting_and_none_coming(health: Health, clock: Clock) -> None:
    health.lag(5)
    clock.now += DEAF_LIMIT_S + 1
    health.turned()
    assert "deaf" in (health.dead() or "")
    health.heard()
    assert health.dead() is None


def test_silence_without_lag_is_no_deafness(health: Health, clock: Clock) -> None:
    for _ in range(10):
        clock.now += DEAF_LIMIT_S
        health.turned()
        health.lag(0)
        assert health.dead() is None


def test_lag_that_is_being_read_is_no_deafness(health: Health, clock: Clock) -> None:
    for _ in range(10):
        clock.now += DEAF_LIMIT_S - 1
        health.turned()
        health.lag(100_000)
        health.heard()
        assert health.dead() is None


async def test_what_takes_long_and_ends_by_itself_is_no_death(
    health: Health, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("servicekit.health.BEAT_S", 0)
    health.lag(1)
    async with health.lasting():
        for _ in range(5):
            clock.now += 50
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert health.dead() is None
    clock.now += 70
    assert health.dead()


async def test_all_that_goes_round_belongs_to_the_life_of_its_service(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("servicekit.health.ROUND_LIMIT_S", 0.05)
    loops: list[Health] = []
    LOOPS.set(loops)
    stuck = asyncio.Event()

    async def work() -> int:
        await stuck.wait()
        return 0

    going = asyncio.create_task(repeat(0.001, work))

    async def dead() -> bool:
        return any(health.dead() for health in loops)

    await until(dead)
    stuck.set()

    async def alive() -> bool:
        return len(loops) == 1 and not await dead()

    await until(alive)
    going.cancel()
    await asyncio.gather(going, return_exceptions=True)
    assert loops == []


async def test_the_endpoints(health: Health, clock: Clock) -> None:
    missing = ["database: away"]

    async def check() -> list[str]:
        return missing

    health.checks.append(check)
    app = FastAPI()
    app.include_router(health_routes([Health(clock), health]))
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://x") as client:
        assert (await client.get("/health/startup")).status_code == 200
        live, ready = await client.get("/health/live"), await client.get("/health/ready")
        assert (live.status_code, ready.status_code) == (200, 503), "an outage must not restart the fleet"
        assert ready.json() == {"ready": False, "missing": missing}
        assert "ocop_ready 0.0" in (await client.get("/metrics")).text
        missing.clear()
        assert (await client.get("/health/ready")).status_code == 200
        assert "ocop_ready 1.0" in (await client.get("/metrics")).text
        clock.now += TURN_LIMIT_S + 1
        assert (await client.get("/health/live")).status_code == 503
        assert "ocop_records_total" in (await client.get("/metrics")).text
