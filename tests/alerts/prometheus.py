"""A real Prometheus of one's own: compose's settings and the rules themselves; only where services answer is told."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import yaml

from ocop.home import free_port
from ocop.supervision import tail
from tests.waiting import until

ROOT = Path(__file__).parents[2]
SETTINGS, RULES = ROOT / "deploy" / "compose" / "prometheus.yml", ROOT / "deploy" / "alerts" / "rules.yml"
PROGRAM, TOOL = "/usr/bin/prometheus", "/usr/bin/promtool"
DESCRIBED = {"alertname", "severity"}  # what is the same in every alert of a name


@dataclass(frozen=True, order=True, slots=True)
class Alert:
    """An alert that fires, and of whom."""

    name: str
    of: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.name} ({', '.join(self.of)})" if self.of else self.name


@dataclass(frozen=True, slots=True)
class Prometheus:
    """A server that answers."""

    client: httpx2.AsyncClient

    async def firing(self) -> set[Alert]:
        """What fires now."""
        found = (await self._ask("alerts"))["alerts"]
        return {_alert(each["labels"]) for each in found if each["state"] == "firing"}

    async def values(self, label: str, metric: str) -> list[str]:
        """The values that a label has in a metric."""
        found: list[str] = await self._ask(f"label/{label}/values", {"match[]": metric})
        return found

    async def drawn(self, expr: str, since: float, before: float, step: float) -> list[dict[str, Any]]:
        """The lines of a query over a time, in seconds since 1970."""
        asked = {"query": expr, "start": since, "end": before, "step": step}
        found: list[dict[str, Any]] = (await self._ask("query_range", asked))["result"]
        return found

    async def answers(self) -> bool:
        """Whether it has begun."""
        try:
            return (await self.client.get("/-/ready")).status_code == httpx2.codes.OK
        except httpx2.TransportError:
            return False

    async def all_seen(self) -> bool:
        """Whether each target has been read at least once."""
        targets = (await self._ask("targets"))["activeTargets"]
        return bool(targets) and all(each["health"] == "up" for each in targets)

    async def _ask(self, what: str, parameters: Mapping[str, Any] | None = None) -> Any:
        answer = await self.client.get(f"/api/v1/{what}", params=dict(parameters or {}))
        assert answer.status_code == httpx2.codes.OK, answer.text
        return answer.json()["data"]


def _alert(labels: Mapping[str, str]) -> Alert:
    return Alert(labels["alertname"], tuple(value for name, value in sorted(labels.items()) if name not in DESCRIBED))


def settings(targets: Iterable[tuple[str, str]], own_port: int) -> dict[str, Any]:
    """Compose's, for services at these addresses; without those that are not part of this."""
    found: dict[str, Any] = yaml.safe_load(SETTINGS.read_text())
    jobs = {job["job_name"]: job for job in found["scrape_configs"]}
    places = [{"targets": [address], "labels": {"service": service}} for service, address in targets]
    jobs["ocop"] = {"job_name": "ocop", "static_configs": places}
    jobs["prometheus"]["static_configs"] = [{"targets": [f"127.0.0.1:{own_port}"]}]
    return found | {"rule_files": [str(RULES)], "scrape_configs": [jobs["ocop"], jobs["prometheus"]]}


@asynccontextmanager
async def prometheus(directory: Path, targets: Iterable[tuple[str, str]]) -> AsyncIterator[Prometheus]:
    """Runs with its data in the directory's `data`, which stays; what is there already it knows."""
    port = free_port()
    path = directory / "prometheus.yml"
    path.write_text(yaml.safe_dump(settings(targets, port)))
    command = (
        PROGRAM,
        f"--config.file={path}",
        f"--storage.tsdb.path={directory / 'data'}",
        "--storage.tsdb.retention.time=15d",
        f"--web.listen-address=127.0.0.1:{port}",
    )
    with (directory / "prometheus.log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(*command, stdout=log, stderr=log)
    try:
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
            server = Prometheus(client)

            async def answers() -> bool:
                assert process.returncode is None, tail(directory / "prometheus.log", 20)
                return await server.answers()

            await until(answers, 60)
            yield server
    finally:
        process.terminate()
        await process.wait()
