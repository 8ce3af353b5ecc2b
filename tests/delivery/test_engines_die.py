"""The broker, then PostgreSQL, killed under load and back: the gateway says what it can, nothing is lost."""

import asyncio
import time
from pathlib import Path

import httpx2
import pytest

from contracts.topics import TOPICS
from ocop import provision
from tests.delivery.system import System, system
from tests.delivery.test_spine import all_applied, families
from tests.engines import Databases, Engines


async def send(under_test: System, families_count: int, start: int) -> None:
    """Sends until it is answered, as a province's software does; a repeat is a duplicate."""
    events = families(families_count, start=start)
    until = time.monotonic() + 60
    while True:
        try:
            results = await under_test.submit(events)
        except (AssertionError, httpx2.TransportError):
            assert time.monotonic() < until, "the gateway never came back"
            await asyncio.sleep(0.2)
        else:
            assert {result["status"] for result in results} <= {"accepted", "duplicate"}
            return


@pytest.fixture
async def private(engines: Engines) -> Databases:
    await provision.topics(engines.kafka_bootstrap, TOPICS.values())
    return Databases(engines.postgres_url)


async def test_broker_then_database_killed_under_load(engines: Engines, private: Databases, tmp_path: Path) -> None:
    async with system(engines.kafka_bootstrap, private, tmp_path, ["gateway", "registry"]) as under_test:
        gateway = await under_test.start("gateway")
        registry = await under_test.start("registry")
        await send(under_test, 10, start=0)
        engines.kill_kafka()
        await send(under_test, 10, start=100)  # taken: the outbox waits for the broker
        await engines.start_kafka()
        await send(under_test, 10, start=200)
        sending = asyncio.create_task(send(under_test, 10, start=300))
        engines.kill_postgres()
        await asyncio.sleep(0)
        await engines.start_postgres()
        await sending
        await under_test.settled(60)
        await all_applied(under_test, 160)
        for process in (gateway, registry):
            assert process.process.poll() is None, "an outage must not end a service"


async def test_the_gateway_takes_nothing_that_it_cannot_keep(
    engines: Engines, private: Databases, tmp_path: Path
) -> None:
    async with system(engines.kafka_bootstrap, private, tmp_path, ["gateway", "registry"]) as under_test:
        await under_test.start("gateway", OCOP_OUTBOX_ROWS="30")
        await send(under_test, 1, start=0)
        engines.kill_kafka()
        taken = 0
        async with asyncio.timeout(20):  # the bound is looked up once a second
            while (answer := await under_test.post(families(1, start=1000 + taken))).status_code == 200:
                taken += 1
                await asyncio.sleep(0.02)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert answer.json()["code"] == "busy"
        await engines.start_kafka()
        await under_test.start("registry")
        await under_test.settled(60)
        await all_applied(under_test, 4 + 4 * taken)
        engines.kill_postgres()
        answer = await under_test.post(families(1, start=5000))
        assert (answer.status_code, answer.json()["code"]) == (503, "busy")
        (gateway,) = under_test.running("gateway")
        assert "Traceback" not in gateway.log.read_text(), "an outage is answered, not told with every request"
        await engines.start_postgres()
