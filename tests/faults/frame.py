"""One fault, from engines of its own to the verdict: a load runs, in its middle something is broken and mended.

The services run as on two hosts, `a` and `b`: of each service one replica on either. A host has a link of its own to
Kafka and one to PostgreSQL. What the proof itself asks goes straight to the engines.
"""

import asyncio
import json
import random
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient

from contracts.topics import TOPICS
from ocop import provision
from ocop.home import free_port
from ocop.rules.evidence import Named
from tests.delivery import healing, ledger, mails, verdict
from tests.delivery.healing import NotHealedError
from tests.delivery.judging import judge
from tests.delivery.ledger import Ledger
from tests.delivery.load import enrolled
from tests.delivery.system import SERVICES, Process, System, system
from tests.engines import Databases, Engines, members
from tests.faults.disk import small_disk
from tests.faults.proxy import Proxy, proxy
from tests.faults.watched import WatchedLoad
from tests.waiting import until

HOSTS = ("a", "b")
WELL_S = 60  # so soon after it was mended nothing of a fault may be felt
BROKER_S = 120  # the same where a broker was started: it reads its logs again, and its clients look for it
RATE = 60.0  # events a second; two cores carry it beside twelve processes and two engines
BEFORE_S, AFTER_S = 4.0, 3.0
READY_S = 180
# What was lost on its way is not to come again before it is looked for: repeats begin after a day.
SETTINGS = {"OCOP_REPEAT_AFTER_S": "86400"}
OWN = ("2025-68", "faults")  # who sends what a fault sends by itself
OWN_SOURCE = "/provinces/2025-68/faults"


@dataclass(slots=True)
class Host:
    """Where one replica of each service runs, and its links."""

    name: str
    kafka: Proxy
    postgres: Proxy
    processes: dict[str, Process] = field(default_factory=dict)

    @property
    def links(self) -> tuple[Proxy, Proxy]:
        """Both."""
        return (self.kafka, self.postgres)


@dataclass(slots=True)
class Stage:
    """What a fault may touch, and what it says of it."""

    engines: Engines
    system: System
    hosts: tuple[Host, Host]
    load: WatchedLoad
    mails: Path
    seed: int
    chance: random.Random
    seconds: float | None  # how long the fault was asked to last
    figures: dict[str, Any] = field(default_factory=dict)
    findings: list[str] = field(default_factory=list)
    thrown: set[str] = field(default_factory=set)  # what the fault threw in, as findings of the oracle name it
    deleted: set[Named] = field(default_factory=set)  # submissions that it took from their topic
    unread: set[Named] = field(default_factory=set)  # those of them that nobody had read
    refused: set[tuple[str, str]] = field(default_factory=set)  # events that it sent and that must be nowhere
    cuts: int = 0  # how often a mail may have been sent without being marked
    mended_at: float | None = None

    async def last(self, seconds: float) -> None:
        """Lets the fault last, as long as was asked for or else so long."""
        await asyncio.sleep(self.seconds or seconds)

    def expect(self, held: object, what: str) -> None:
        """Notes what should have been."""
        if not held:
            self.findings.append(f"expected: {what}")

    def mended(self) -> None:
        """All is as it was, from outside; from now the time counts until all is well. Said again, it counts anew."""
        self.mended_at = time.monotonic()

    async def ready(self, *processes: Process, seconds: float = WELL_S) -> None:
        """Waits until these are live and ready."""

        async def well() -> bool:
            return not await healing.unwell([process.url for process in processes])

        await until(well, seconds)

    async def taken_over(self) -> None:
        """Waits until all that lies on topics now has been read, by those who can; notes how long that took."""
        began = time.monotonic()
        since = await healing.mark(self.system.bootstrap, self.system.urls)

        async def read() -> bool:
            return not any("not read on" in line for line in await healing.left(since, self.system.urls))

        await until(read, 30)
        self.figures["read on by the others after, s"] = round(time.monotonic() - began, 1)

    async def in_groups(self) -> dict[str, int]:
        """How many members each service's group has."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self.system.bootstrap)
        await admin.start()
        try:
            return {group: len(await members(admin, group)) for group in SERVICES}
        finally:
            await admin.close()

    async def alone(self) -> None:
        """Expects that of the hosts one alone is in the groups."""
        found = await self.in_groups()
        self.expect(found == dict.fromkeys(SERVICES, 1), f"the other host is out of its groups: {found}")

    async def start(self, host: Host, service: str, module: str | None = None, **settings: str) -> Process:
        """Starts a replica on a host, behind the host's links; it may not be ready yet."""
        made = self.system.databases[service]
        there, here = f":{port_of(made.app)}/", f":{host.postgres.port}/"
        links = {
            "OCOP_KAFKA_BOOTSTRAP": f"127.0.0.1:{host.kafka.port}",
            "OCOP_DATABASE_URL": made.app.replace(there, here),
            "OCOP_DATABASE_HTTP_URL": made.http.replace(there, here),
        }
        return await self.system.start(service, module=module, ready=False, **links, **(SETTINGS | settings))


def port_of(url: str) -> str:
    """The port of a database's URL."""
    return url.rsplit(":", 1)[1].partition("/")[0]


@dataclass(frozen=True, slots=True)
class Fault:
    """What is broken. `run` breaks it and mends it; the rest is the same for all. Where `run` waits for something after
    its last mending act, it says when that was (`Stage.mended`)."""

    name: str
    title: str
    run: Callable[[Stage], Awaitable[None]]
    settings: Mapping[str, str] = field(default_factory=dict)  # of all services
    modules: Mapping[str, str] = field(default_factory=dict)  # services that run from another module
    rate: float = RATE
    disk: tuple[str, int] | None = None  # what of the engines' files lies on a small disk, and of how many MiB
    well_s: float = WELL_S
    repeats: bool = False  # whether it makes the system say things again


# -------------------------------------------------------------------- a run


async def play(fault: Fault, seed: int, directory: Path, seconds: float | None = None) -> dict[str, Any]:
    """One run: its figures and its findings. Logs and the ledger are left in the directory. Raises whatever keeps it
    from an end."""
    began = time.monotonic()
    async with _stage(fault, seed, directory, seconds) as stage:
        ended = asyncio.Event()
        loading = asyncio.create_task(_load(stage, ended))
        await asyncio.sleep(BEFORE_S)
        await _broken(fault, stage)
        well = await _well(stage, fault.well_s)
        await asyncio.sleep(AFTER_S)
        ended.set()
        await loading
        entries = ledger.read(directory / "ledger")
        judged = time.monotonic()
        findings = [*stage.findings, *_late(stage, fault.well_s), *_ended_by_themselves(stage)]
        findings += await _judge(stage, entries, seed)
        repeats, records = await verdict.repeats(stage.system.bootstrap)
        findings += [] if any(repeats.values()) or not fault.repeats else ["expected: something is said again"]
        return {
            "fault": fault.name,
            "title": fault.title,
            "seed": seed,
            "events": stage.load.sent,
            "answers": dict(sorted(Counter(entry.answer.said for entry in entries).items())),
            "records": records,
            "repeats": repeats,
            "well_s": well,
            "figures": stage.figures,
            "complaints": _complaints(stage.system.processes),
            "findings": findings,
            "seconds": round(time.monotonic() - began),
            "judged_s": round(time.monotonic() - judged),
        }


@asynccontextmanager
async def _stage(fault: Fault, seed: int, directory: Path, seconds: float | None) -> AsyncIterator[Stage]:
    """Everything up and well, with a load that has not begun."""
    async with AsyncExitStack() as stack:
        ports = {name: free_port() for name in HOSTS}
        engines = await stack.enter_async_context(_engines(fault, {name.upper(): ports[name] for name in HOSTS}))
        await provision.topics(engines.kafka_bootstrap, TOPICS.values())
        postgres = int(port_of(engines.postgres_url))
        hosts = [
            Host(
                name,
                await stack.enter_async_context(proxy(ports[name], engines.kafka_links[name.upper()])),
                await stack.enter_async_context(proxy(free_port(), postgres)),
            )
            for name in HOSTS
        ]
        under_test = await stack.enter_async_context(
            system(engines.kafka_bootstrap, Databases(engines.postgres_url), directory, SERVICES)
        )
        smtp = await stack.enter_async_context(mails.serving(directory))
        keys = await enrolled(under_test) | {OWN_SOURCE: await under_test.key(*OWN)}
        await mails.set_contacts(under_test.urls["notifications"])
        book = Ledger(directory / "ledger")
        stack.callback(book.close)
        load = WatchedLoad(seed, [], keys, book, fault.rate)
        chance = random.Random(f"{seed}/{fault.name}")  # noqa: S311  # repeatable, not secret
        a, b = hosts
        stage = Stage(engines, under_test, (a, b), load, directory / "mails", seed, chance, seconds)
        for host in hosts:
            for service in SERVICES:
                settings = {"OCOP_SMTP_PORT": str(smtp), **fault.settings}
                host.processes[service] = await stage.start(host, service, fault.modules.get(service), **settings)
        await stage.ready(*under_test.processes, seconds=READY_S)  # twelve that start at once share the cores
        load.gateways = [host.processes["gateway"].url for host in hosts]
        yield stage


@asynccontextmanager
async def _engines(fault: Fault, links: Mapping[str, int]) -> AsyncIterator[Engines]:
    """A pair of one's own, with what the fault wants on a small disk; either may have died by itself in the end."""
    with tempfile.TemporaryDirectory(prefix="ocop-faults-", ignore_cleanup_errors=True) as path:
        engines = Engines(Path(path), links)
        async with AsyncExitStack() as stack:
            if fault.disk is not None:
                where, size = fault.disk
                stack.enter_context(small_disk(Path(path) / where, size))
            try:
                await asyncio.gather(engines.start_kafka(), engines.start_postgres())
                yield engines
            finally:
                engines.kill_kafka()
                with suppress(Exception):  # it may have died, or have no room to stop in order
                    engines.stop_postgres()
                engines.kill_postgres()


async def _broken(fault: Fault, stage: Stage) -> None:
    """The fault itself; what goes wrong with it is a finding, and what was cut is mended in any case."""
    try:
        await fault.run(stage)
    except Exception as error:
        stage.findings.append("the fault itself: " + "".join(traceback.format_exception(error)))
    finally:
        for host in stage.hosts:
            for link in host.links:
                link.mend()
        if stage.mended_at is None:
            stage.mended()


async def _load(stage: Stage, ended: asyncio.Event) -> None:
    """The load, until all of it is answered; what is not answered for long is a finding."""
    try:
        await stage.load.run(ended.is_set)
    except* AssertionError as unanswered:
        stage.findings += [f"the load: {error}" for error in unanswered.exceptions]


async def _well(stage: Stage, seconds: float) -> float | None:
    """Seconds from the last mending act until all is well again; None if that took too long, which is a finding."""
    began = stage.mended_at or time.monotonic()
    try:
        await stage.system.healed(seconds - (time.monotonic() - began))
    except NotHealedError as error:
        stage.findings.append(f"not well: {error}")
        with suppress(NotHealedError):
            await stage.system.healed(WELL_S)
            stage.figures["well late, after s"] = round(time.monotonic() - began)
        return None
    took = round(time.monotonic() - began, 1)
    stage.expect(took <= seconds, f"well {seconds:.0f} s after it was mended, not {took} s")
    return took


# -------------------------------------------------------------------- the verdict


def _late(stage: Stage, well_s: float) -> list[str]:
    """Whether somebody who had asked before the time was over has been answered after it."""
    assert stage.mended_at is not None  # the fault is over
    late = stage.load.answered_after(stage.mended_at + well_s)
    return [f"{len(late)} requests answered too late, the last by {late[0]:.1f} s"] if late else []


def _ended_by_themselves(stage: Stage) -> list[str]:
    """Processes that should run and do not."""
    wanted = [process for host in stage.hosts for process in host.processes.values()]
    return [f"ended by itself: {each.log.stem}" for each in wanted if each.process.poll() is not None]


async def _judge(stage: Stage, entries: list[ledger.Entry], seed: int) -> list[str]:
    """What the oracle, the ledger and the mails say, and what still moves."""
    return await judge(
        stage.system.bootstrap,
        stage.system.urls,
        stage.load.gateways[0],
        stage.load.keys,
        entries,
        seed,
        stage.mails,
        stage.cuts,
        stage.refused,
        stage.thrown,
        await _excused(stage),
    )


async def _excused(stage: Stage) -> dict[str, set[Named]]:
    """Of whom what may be said: what was deleted is on no topic any more. What nobody had read comes again behind what
    was sent after it: the order of its subject is lost, so whatever is about that may end otherwise than it was meant.
    That each has one end, and all agree on it, holds all the same."""
    astray = await stage.system.fetch(
        "gateway",
        """SELECT source, event_id FROM submission WHERE subject IN
             (SELECT subject FROM submission JOIN unnest($1::text[], $2::text[]) AS u(source, event_id)
              USING (source, event_id))""",
        [source for source, _ in stage.unread],
        [event_id for _, event_id in stage.unread],
    )
    subjects = {(str(source), str(event_id)) for source, event_id in astray}
    return {
        "is on no topic as it was accepted": stage.deleted,
        "; meant as ": subjects,
        ", and is applied before it": subjects,
    }


def _complaints(processes: Collection[Process]) -> dict[str, int]:
    """What services logged as errors, and how often."""
    said: Counter[str] = Counter()
    for process in processes:
        for line in process.log.read_text(errors="replace").splitlines():
            with suppress(ValueError):
                entry = json.loads(line)
                if isinstance(entry, dict) and entry.get("level") in ("error", "critical"):
                    said[str(entry.get("event"))[:100]] += 1
    return dict(said.most_common(12))
