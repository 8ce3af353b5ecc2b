"""A whole system at work that can be broken: engines, every service, provinces that send, a Prometheus that looks."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx2

from contracts.topics import TOPICS
from ocop import provision
from tests.alerts.past import remembered
from tests.alerts.prometheus import Alert, Prometheus, prometheus
from tests.alerts.provinces import Provinces
from tests.delivery import healing, mails
from tests.delivery.load import enrolled
from tests.delivery.system import PACKAGES, SERVICES, Process, System, system
from tests.engines import Databases, Engines, private_engines
from tests.waiting import until

PROBE_S, LOOK_S, READY_S = 10, 1, 180
MODULES = {"registry": "tests.delivery.broken_registry"}  # until it is mended: it fails on what is called BUG


@dataclass(slots=True)
class Firing:
    """How long an alert has fired, by the clock of `time.time`."""

    alert: Alert
    since: float
    before: float | None = None


@dataclass(slots=True)
class Scene:
    """What a fault may touch, and what is seen of it."""

    engines: Engines
    system: System
    prometheus: Prometheus
    provinces: Provinces
    fired: list[Firing] = field(default_factory=list)

    async def look(self) -> None:
        """Notes what begins to fire and what ends, until cancelled."""
        while True:
            now, firing = time.time(), await self.prometheus.firing()
            for each in self.now:
                if each.alert not in firing:
                    each.before = now
            known = {each.alert for each in self.now}
            self.fired += [Firing(alert, now) for alert in sorted(firing - known)]
            await asyncio.sleep(LOOK_S)

    @property
    def now(self) -> list[Firing]:
        """What fires."""
        return [each for each in self.fired if each.before is None]


@asynccontextmanager
async def scene(directory: Path, seed: int) -> AsyncIterator[Scene]:
    """Everything up and well, with provinces that send. What Prometheus has seen stays in the directory."""
    remembered(directory, directory / "data")
    async with (
        private_engines() as engines,
        system(engines.kafka_bootstrap, Databases(engines.postgres_url), directory, SERVICES) as under_test,
        mails.serving(directory) as smtp,
    ):
        await provision.topics(engines.kafka_bootstrap, TOPICS.values())
        keys = await enrolled(under_test)
        await mails.set_contacts(under_test.urls["notifications"])
        for service in SERVICES:
            await under_test.start(service, module=MODULES.get(service), ready=False, OCOP_SMTP_PORT=str(smtp))
        await well(*under_test.processes)
        addresses = {process.service: process.url for process in under_test.processes}
        targets = [
            (name, addresses[service].removeprefix("http://")) for service, name in zip(SERVICES, PACKAGES, strict=True)
        ]
        async with prometheus(directory, targets) as server:
            await until(server.all_seen, 60)
            shown = Scene(engines, under_test, server, Provinces(addresses["gateway"], keys, seed))
            async with _meanwhile(shown.provinces.run, shown.look, lambda: _probed(list(addresses.values()))):
                yield shown


async def well(*processes: Process) -> None:
    """Waits until these are live and ready; many that start at once share the cores."""

    async def ready() -> bool:
        return not await healing.unwell([process.url for process in processes])

    await until(ready, READY_S)


@asynccontextmanager
async def _meanwhile(*works: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    """Does these until the end; what goes wrong in one of them ends everything."""
    async with asyncio.TaskGroup() as group:
        running = [group.create_task(_coroutine(work)) for work in works]
        yield
        for task in running:
            task.cancel()


async def _coroutine(work: Callable[[], Awaitable[None]]) -> None:
    await work()


async def _probed(addresses: list[str]) -> None:
    """Asks each service how it is, as a kubelet does, and readers of the national figures."""
    async with httpx2.AsyncClient(timeout=5) as client:
        while True:
            await healing.unwell(addresses)
            with suppress(httpx2.TransportError):
                await client.get(f"{addresses[SERVICES.index('national')]}/v1/products", params={"at": "2026-08-10"})
            await asyncio.sleep(PROBE_S)
