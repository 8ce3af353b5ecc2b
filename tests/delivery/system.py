"""A system under test: real service processes on real engines, submissions through the real gateway."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
from gateway import tenants

from ocop import oracle
from ocop.home import free_port
from ocop.rules.evidence import Finding
from ocop.supervision import tail
from servicekit import database
from tests.delivery import healing
from tests.engines import Database, Databases

READY_S = 90
QUIET_S = 45
MODULES = {"marketplace": "marketplace_sync"}
REPOSITORY = Path(__file__).parents[2]
SERVICES = ("gateway", "registry", "evaluation", "marketplace", "notifications", "national")
PACKAGES = ("gateway", "registry", "evaluation", "marketplace-sync", "notifications", "national")


@dataclass(slots=True)
class Process:
    """One replica of a service."""

    service: str
    url: str
    log: Path
    command: Sequence[str]
    environment: Mapping[str, str]
    tree: Path = REPOSITORY
    process: subprocess.Popen[bytes] = field(init=False)

    def launch(self) -> None:
        """Starts it, or again after its end: at the same address, with the same settings."""
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                self.command, env=self.environment, cwd=self.tree, stdout=output, stderr=output
            )

    async def ready(self) -> None:
        """Waits until it says that it is ready."""
        missing: Any = "no answer"
        async with httpx2.AsyncClient() as client:
            until = time.monotonic() + READY_S
            while time.monotonic() < until:
                try:
                    answer = await client.get(f"{self.url}/health/ready", timeout=5)
                    missing = answer.json()["missing"]
                    if answer.status_code == 200:
                        return
                except httpx2.TransportError:
                    pass
                assert self.process.poll() is None, f"{self.service} ended by itself:\n{tail(self.log, 20)}"
                await asyncio.sleep(0.05)
        raise AssertionError(f"{self.service} is not ready: {missing}\n{tail(self.log, 20)}")

    async def missing(self) -> list[str]:
        """What it says is missing."""
        async with httpx2.AsyncClient() as client:
            answer = await client.get(f"{self.url}/health/ready", timeout=5)
            found: list[str] = answer.json()["missing"]
            return found

    async def died(self, seconds: float = 20) -> None:
        """Waits until a failpoint has killed it."""
        async with asyncio.timeout(seconds):
            while self.process.poll() is None:
                await asyncio.sleep(0.02)
        assert self.process.returncode == -signal.SIGKILL, tail(self.log, 20)

    def kill(self) -> None:
        """As by `kill -9`."""
        self.process.kill()
        self.process.wait(10)

    def send(self, number: signal.Signals) -> None:
        """Any other signal, SIGSTOP and SIGCONT for instance."""
        self.process.send_signal(number)


@dataclass(slots=True)
class System:
    """Services, their databases, and what was sent."""

    bootstrap: str
    databases: Mapping[str, Database]
    directory: Path
    client: httpx2.AsyncClient
    processes: list[Process] = field(default_factory=list)
    keys: dict[str, str] = field(default_factory=dict)
    submitted: list[str] = field(default_factory=list)
    refused: set[tuple[str, str]] = field(default_factory=set)
    tree: Path = REPOSITORY  # the code that is started from now on, and its Python
    python: str = sys.executable

    @property
    def urls(self) -> dict[str, str]:
        """Databases of the services, application role."""
        return {service: made.app for service, made in self.databases.items()}

    async def start(self, service: str, *, module: str | None = None, ready: bool = True, **settings: str) -> Process:
        """Starts a replica; `settings` go into its environment (OCOP_…), `module` replaces its own."""
        made, port = self.databases[service], free_port()
        environment = os.environ | {
            "PYTHONPATH": ":".join([str(self.tree), *(str(self.tree / "services" / name) for name in PACKAGES)]),
            "OCOP_KAFKA_BOOTSTRAP": self.bootstrap,
            "OCOP_DATABASE_URL": made.app,
            "OCOP_DATABASE_HTTP_URL": made.http,
            "OCOP_HTTP_PORT": str(port),
            "OCOP_SESSION_TIMEOUT_MS": "6000",
            **settings,
        }
        log = self.directory / f"{service}-{len(self.processes)}.log"
        command = (self.python, "-m", module or MODULES.get(service, service))
        started = Process(service, f"http://127.0.0.1:{port}", log, command, environment, self.tree)
        started.launch()
        self.processes.append(started)
        if ready:
            await started.ready()
        return started

    async def start_all(self, replicas: int = 1, **settings: str) -> None:
        """Starts so many replicas of every service, and waits for all together."""
        started = [
            await self.start(service, ready=False, **settings) for service in self.databases for _ in range(replicas)
        ]
        for process in started:
            await process.ready()

    async def healed(self, seconds: float = READY_S) -> None:
        """Waits until every process that runs is well, and what is on its way now has gone on (see `healing`)."""
        health = [each.url for each in self.processes if each.process.poll() is None]
        await healing.healed(self.bootstrap, self.urls, health, seconds)

    def running(self, service: str) -> list[Process]:
        """The replicas of a service that run."""
        return [each for each in self.processes if each.service == service and each.process.poll() is None]

    async def submit(
        self, events: Sequence[Mapping[str, Any]], *, tenant: str = "2025-68", system: str = "test"
    ) -> list[dict[str, Any]]:
        """Sends a batch through any running gateway; the answers, in order."""
        answer = await self.post(events, tenant=tenant, system=system)
        assert answer.status_code == 200, answer.text
        results: list[dict[str, Any]] = answer.json()["results"]
        for event, result in zip(events, results, strict=True):
            if result["status"] == "refused":
                self.refused.add((str(event.get("source")), str(event.get("id"))))
        return results

    async def post(
        self, events: Sequence[Mapping[str, Any]], *, tenant: str = "2025-68", system: str = "test"
    ) -> httpx2.Response:
        """Posts a batch, whatever the answer."""
        key = await self.key(tenant, system)
        return await self.client.post(
            f"{self.running('gateway')[0].url}/v1/events",
            content=json.dumps(events),
            headers={"Content-Type": "application/cloudevents-batch+json", "Authorization": f"Bearer {key}"},
            timeout=30,
        )

    async def key(self, tenant: str, system: str) -> str:
        """The key of a tenant's system, enrolled at first sight."""
        if (name := f"{tenant}/{system}") not in self.keys:
            connection = await database.connect(self.databases["gateway"].app)
            try:
                self.keys[name] = await tenants.enrol(connection, tenant, system)
            finally:
                await connection.close()
        return self.keys[name]

    async def settled(self, seconds: float = QUIET_S, ignore: Callable[[Finding], bool] = lambda _: False) -> None:
        """Waits until nothing is on its way, then asks the oracle; `ignore` knows what the test itself threw in."""
        left = await oracle.wait_until_quiet(self.bootstrap, self.urls, seconds)
        assert not left, "\n".join([*left, *(tail(each.log, 8) for each in self.processes)])
        found = await oracle.find(self.bootstrap, self.urls, self.refused)
        findings = [finding for finding in found if not ignore(finding)]
        assert not findings, "\n".join(await oracle.told(self.bootstrap, self.urls, findings))

    async def fetch(self, service: str, query: str, *arguments: Any) -> list[tuple[Any, ...]]:
        """Rows of a service's database."""
        connection = await database.connect(self.databases[service].app)
        try:
            return [tuple(row) for row in await connection.fetch(query, *arguments)]
        finally:
            await connection.close()

    async def execute(self, service: str, statement: str, *arguments: Any) -> None:
        """Changes a service's database as its application could."""
        connection = await database.connect(self.databases[service].app)
        try:
            await connection.execute(statement, *arguments)
        finally:
            await connection.close()


@asynccontextmanager
async def system(
    bootstrap: str, databases: Databases, directory: Path, services: Iterable[str]
) -> AsyncIterator[System]:
    """A system with databases for these services; nothing runs yet, everything started is ended."""
    made = {service: await databases.make(service) for service in services}
    async with httpx2.AsyncClient() as client:
        under_test = System(bootstrap, made, directory, client)
        try:
            yield under_test
        finally:
            for each in under_test.processes:
                each.process.kill()
            for each in under_test.processes:
                each.process.wait(10)
