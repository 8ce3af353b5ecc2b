"""`ocop demo`: the provinces' histories through the gateway, then every published figure against the national one.

What is sent is constant, and every event has its own id: sent again, all are duplicates and no figure moves.
Whatever dies meanwhile, a province's software sends the same events again until it is answered; so does this.
"""

import asyncio
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx2
from gateway import tenants
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from contracts.outcome import FINAL
from ocop import oracle, stack
from ocop.errors import OcopError
from ocop.history import Cell, Figure, History, Share, figures, histories
from ocop.history.figures import rounded
from ocop.home import Home, Memory
from ocop.services import SERVICES
from servicekit import database

BATCH = 200
PATIENCE_S = 120.0  # for one answer, whatever is being repaired meanwhile
QUIET_S = 60.0
PAUSE_S = 0.2
BATCH_TYPE = "application/cloudevents-batch+json"


@dataclass(slots=True)
class Counts:
    """What the gateway answered."""

    accepted: int = 0
    duplicate: int = 0


@dataclass(frozen=True, slots=True)
class Line:
    """A published number beside the national one."""

    title: str
    place: str
    at: str
    map: str
    published: str
    national: str
    source: str

    @property
    def equal(self) -> bool:
        """Whether they are the same."""
        return self.published == self.national


class Demo:
    """One run against the stack of a home."""

    def __init__(self, home: Home, memory: Memory, console: Console, pause_s: float = 0) -> None:
        self._home, self._memory, self._console, self._pause_s = home, memory, console, pause_s
        self.gateway, self.national = (
            stack.service_url(memory, stack.Instance(service, 1))
            for service in SERVICES
            if service.wire in ("gateway", "national")
        )

    async def run(self) -> bool:
        """Submits, waits, compares; False if a figure differs, something was lost, or an event was not applied."""
        async with httpx2.AsyncClient(timeout=60, trust_env=False) as client:
            counts, unapplied = await self._submit(client)
            self._console.print(f"{counts.accepted} events accepted, {counts.duplicate} duplicates.")
            for submission in unapplied[:10]:
                self._console.print(f"Not applied: {submission}", style="red", markup=False)
            left = await oracle.wait_until_quiet(
                stack.kafka_bootstrap(self._memory), stack.application_urls(self._memory), QUIET_S
            )
            lines = [line for figure in figures() for line in await self._compare(client, figure)]
        self._show(lines)
        findings = await oracle.examine(stack.kafka_bootstrap(self._memory), stack.application_urls(self._memory))
        self._conclude(lines, [*left, *findings])
        return not (unapplied or left or findings) and all(line.equal for line in lines)

    # ---------------------------------------------------------------- submitting

    async def _submit(self, client: httpx2.AsyncClient) -> tuple[Counts, list[str]]:
        counts, unapplied = Counts(), []
        columns = (TextColumn("{task.description:10}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=self._console) as progress:
            for history in histories():
                key = await self._key(client, history)
                task = progress.add_task(history.tenant, total=len(history.events))
                for start in range(0, len(history.events), BATCH):
                    events = history.events[start : start + BATCH]
                    unapplied += await self._batch(client, key, events, counts)
                    progress.advance(task, len(events))
                    await asyncio.sleep(self._pause_s)
        return counts, unapplied

    async def _batch(
        self, client: httpx2.AsyncClient, key: str, events: Sequence[Mapping[str, Any]], counts: Counts
    ) -> list[str]:
        """Sends a batch and waits for the end of each of its events; returns those that were not applied."""
        results: list[dict[str, Any]] = (await self._post(client, key, events)).json()["results"]
        unapplied = []
        for result in results:
            if result["status"] == "accepted":
                counts.accepted += 1
            elif result["status"] == "duplicate":
                counts.duplicate += 1
            else:
                unapplied.append(json.dumps(result, ensure_ascii=False))
                continue
            if result["state"] not in FINAL:
                result = await self._ended(client, key, result["submission_id"])
            if result["state"] != "applied":
                unapplied.append(json.dumps(result, ensure_ascii=False))
        return unapplied

    async def _post(self, client: httpx2.AsyncClient, key: str, events: Sequence[Mapping[str, Any]]) -> httpx2.Response:
        headers = {"Content-Type": BATCH_TYPE, "Authorization": f"Bearer {key}"}
        body = json.dumps(events, ensure_ascii=False).encode()
        until = time.monotonic() + PATIENCE_S
        while True:
            try:
                answer = await client.post(f"{self.gateway}/v1/events", content=body, headers=headers)
                if answer.status_code in (200, 401):
                    return answer
                said = answer.text
            except httpx2.TransportError as error:
                said = repr(error)
            if time.monotonic() > until:
                raise OcopError(f"The gateway did not take a batch within {PATIENCE_S:.0f} s: {said}")
            await asyncio.sleep(PAUSE_S)

    async def _ended(self, client: httpx2.AsyncClient, key: str, submission_id: str) -> dict[str, Any]:
        """The submission when its end is known, or as it stands when patience ends."""
        until = time.monotonic() + PATIENCE_S
        url = f"{self.gateway}/v1/submissions/{submission_id}?wait=10"
        found: dict[str, Any] = {"submission_id": submission_id, "state": "unknown"}
        while found["state"] not in FINAL and time.monotonic() < until:
            try:
                answer = await client.get(url, headers={"Authorization": f"Bearer {key}"})
                if answer.status_code == 200:
                    found = answer.json()
                    continue
            except httpx2.TransportError:
                pass
            await asyncio.sleep(PAUSE_S)
        return found

    async def _key(self, client: httpx2.AsyncClient, history: History) -> str:
        """The key of the province's system: the one of an earlier run if it is still taken, else a new one."""
        purpose = f"key {history.tenant}/{history.system}"
        key = self._memory.passwords.get(purpose)
        if key and (await self._post(client, key, [])).status_code == 200:
            return key
        gateway = next(service for service in SERVICES if service.wire == "gateway")
        connection = await database.connect(stack.application_url(self._memory, gateway))
        try:
            async with connection.transaction():
                try:
                    key = await tenants.enrol(connection, history.tenant, history.system, history.namespaces)
                except tenants.TenantError:
                    key = await tenants.rotate(connection, history.tenant, history.system)
        finally:
            await connection.close()
        with self._home.locked():
            memory = self._home.recall()
            memory.passwords[purpose] = key
            self._home.remember(memory)
        return key

    # ---------------------------------------------------------------- comparing

    async def _compare(self, client: httpx2.AsyncClient, figure: Figure) -> list[Line]:
        params: list[tuple[str, str | int | float | bool | None]] = [
            ("at", figure.at.isoformat()),
            ("map", figure.map),
            ("province", "-".join(figure.province)),
        ]
        params += [*figure.filters, *([("by", figure.by)] if figure.by else [])]
        answer = await client.get(f"{self.national}/v1/figures/{figure.indicator}", params=params)
        if answer.status_code != 200:
            raise OcopError(f"{answer.url} answers {answer.status_code}: {answer.text}")
        found = answer.json()
        lines = [
            _line(figure, figure.title_vi, _count(figure.count, figure.uncertain), _counted(found)),
            *(_cell_line(figure, cell, found) for cell in figure.cells),
        ]
        if figure.not_attributable:
            apart = sum(row["count"] for row in found["not_attributable"])
            title = f"{figure.title_vi}: không phân được về tỉnh cũ"
            lines.append(_line(figure, title, str(figure.not_attributable), str(apart)))
        if figure.share:
            lines.append(_share_line(figure, figure.title_vi, figure.share, found["share"]))
        return lines

    def _show(self, lines: Sequence[Line]) -> None:
        table = Table("số liệu", "nơi", "ngày", "bản đồ", "công bố", "quốc gia", "", box=None, pad_edge=False)
        for line in lines:
            word = "bằng nhau" if line.equal else "KHÁC"
            table.add_row(
                line.title,
                line.place,
                line.at,
                line.map,
                line.published,
                line.national,
                word,
                style=None if line.equal else "red",
            )
        self._console.print(table)

    def _conclude(self, lines: Sequence[Line], findings: Sequence[str]) -> None:
        different = sum(not line.equal for line in lines)
        self._console.print(
            f"{len(lines)} published numbers: {len(lines) - different} equal, {different} different.",
            style="red" if different else "green",
        )
        for finding in findings[:20]:
            self._console.print(finding, style="red", markup=False)
        self._console.print(
            "The oracle finds nothing lost, nothing twice, nothing out of order."
            if not findings
            else f"The oracle has {len(findings)} findings.",
            style="red" if findings else "green",
        )
        # Most of these certificates have lapsed since, so addresses carry the day of which they speak.
        for what, address in (
            ("Overview, 31/12/2023", f"{self.national}/?at=2023-12-31&map=2004"),
            ("Overview, 05/08/2026", f"{self.national}/?at=2026-08-05"),
            ("Products, 05/08/2026", f"{self.national}/san-pham?at=2026-08-05&q=nuoc+mam"),
            ("Figures as JSON", f"{self.national}/v1/figures/products?at=2026-08-05&by=province"),
            ("Interfaces", f"{self.gateway}/docs  {self.national}/docs"),
        ):
            self._console.print(f"{what:22}{address}", highlight=False, soft_wrap=True)


def _count(count: int, uncertain: int) -> str:
    return f"{count} ({uncertain} chưa chắc)" if uncertain else str(count)


def _counted(found: Mapping[str, Any]) -> str:
    return _count(found["count"], found["of_which_uncertain"])


def _line(figure: Figure, title: str, published: str, national: str) -> Line:
    catalogue, code = figure.province
    return Line(
        title,
        f"{code} ({catalogue})",
        f"{figure.at:%d/%m/%Y}",
        figure.map,
        published,
        national,
        figure.source_vi,
    )


def _cell_line(figure: Figure, cell: Cell, found: Mapping[str, Any]) -> Line:
    counted = next((each for each in found["cells"] if each[figure.by] == cell.value), None)
    published, national = _count(cell.count, cell.uncertain), _counted(counted) if counted else "0"
    if cell.share is not None and counted is not None:
        published += f" = {cell.share.percent} %"
        ratio = Share(counted["count"], found["count"], cell.share.percent, cell.share.rounding)
        national += f" = {rounded(ratio)} %"
    return _line(figure, f"  {cell.title_vi}", published, national)


def _share_line(figure: Figure, title: str, share: Share, found: Mapping[str, int] | None) -> Line:
    how = {"cut": "cắt bớt", "half-up": "làm tròn"}[share.rounding]
    national = "-"
    if found:
        ratio = Share(found["numerator"], found["denominator"], share.percent, share.rounding)
        national = f"{found['numerator']}/{found['denominator']} = {rounded(ratio)} %"
    published = f"{share.numerator}/{share.denominator} = {share.percent} %"
    return _line(figure, f"{title}: tỷ lệ ({how})", published, national)
