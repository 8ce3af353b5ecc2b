"""``up``, ``down`` and ``status``: the engines and the services on one machine."""

import asyncio
import os
import socket
import sys
import time
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import httpx2

from contracts.topics import TOPICS
from ocop import kafka, mailbox, postgres, provision, services
from ocop.errors import OcopError
from ocop.home import Home, Memory
from ocop.services import Service
from ocop.supervision import Process, Program, Supervisor, members, stop_members, tail
from servicekit.settings import with_password

ENGINES = ("kafka", "postgres")
ENGINE_SECONDS = 60
READY_SECONDS = 90
DOWN_SECONDS = 60  # for supervisor to end everything in order
MAX_REPLICAS = 12  # a topic's partitions: one more would have nothing to read

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Instance:
    """One process of a service."""

    service: Service
    number: int  # from 1

    @property
    def name(self) -> str:
        return self.service.name if self.number == 1 else f"{self.service.name}-{self.number}"


@dataclass(frozen=True, slots=True)
class Status:
    """A line of ``ocop status``."""

    process: Process
    missing: str  # what it lacks, in words; empty when it is ready
    url: str


def instances(memory: Memory) -> Iterator[Instance]:
    """The service processes that the record asks for."""
    for service in services.SERVICES:
        for number in range(1, memory.replicas.get(service.name, 1) + 1):
            yield Instance(service, number)


def kafka_bootstrap(memory: Memory) -> str:
    """Where Kafka is: ours, or the one that was there."""
    return memory.kafka_bootstrap or f"127.0.0.1:{memory.port('kafka')}"


def postgres_url(memory: Memory, service: Service | None = None) -> str:
    """The superuser's URL: of ours, or of the server that was there, which may be one per service."""
    if memory.postgres_url is None:
        return postgres.url(memory.port("postgres"), memory.password(postgres.SUPERUSER))
    url = memory.postgres_url
    if memory.services_url is not None:
        url = with_password(url, memory.passwords.get(postgres.SUPERUSER, ""))
    return url.replace("{service}", service.name) if service else url


def database_urls(memory: Memory, service: Service) -> tuple[str, str, str]:
    """A service's database for its owner, its application and its HTTP role."""
    owner, app, http = (_database_url(memory, service, role) for role in service.roles)
    return owner, app, http


def owner_url(memory: Memory, service: Service) -> str:
    """A service's database for its owner alone: who asks need not know the other roles' passwords."""
    return _database_url(memory, service, service.roles[0])


def application_url(memory: Memory, service: Service) -> str:
    """The same for its application role."""
    return _database_url(memory, service, service.roles[1])


def _database_url(memory: Memory, service: Service, role: str) -> str:
    return provision.address(postgres_url(memory, service), service.database, role, memory.password(role))


def application_urls(memory: Memory) -> dict[str, str]:
    """The database of every service that can be started, for its application role, by its name on the wire."""
    return {service.wire: application_url(memory, service) for service in services.SERVICES}


def service_url(memory: Memory, instance: Instance) -> str:
    """Where the process answers HTTP."""
    if memory.services_url is not None:
        return memory.services_url.replace("{service}", instance.service.name)
    return f"http://127.0.0.1:{memory.port(instance.name)}"


def up(home: Home, say: Say, replicas: Mapping[str, int], settings: Mapping[str, str]) -> Memory:
    """Bring the whole stack to work from whatever state it is in; returns when every service is ready.

    ``replicas`` and ``settings`` (environment variables of the services) are remembered. Raises OcopError.
    """
    home.make()
    with home.locked():
        memory = home.recall()
        _take(memory, replicas, settings)
        supervisor = _supervisor(home, memory)
        alive = supervisor.answers()
        if not alive and members(home):
            say("Stopping what a killed supervisor left behind")
            stop_members(home)
        programs = [
            *_engines(home, memory, {one.name for one in supervisor.processes() if one.pid} if alive else set(), say),
            _mailbox(home, memory),
            *_services(memory),
        ]
        home.remember(memory)
        supervisor.configure(programs)
        if alive:
            supervisor.reload()
        else:
            _refuse_taken_ports(memory, programs)
            supervisor.launch()
        asyncio.run(_bring_up(home, memory, supervisor, say))
        return memory


def _supervisor(home: Home, memory: Memory) -> Supervisor:
    if memory.services_url is not None:
        raise OcopError("The services are started by others (OCOP_SERVICES_URL): ask there.")
    return Supervisor(home, memory.port("supervisor"), memory.password("supervisor"))


def _take(memory: Memory, replicas: Mapping[str, int], settings: Mapping[str, str]) -> None:
    known = {service.name for service in services.SERVICES}
    for name, count in replicas.items():
        if name not in known:
            raise OcopError(f"There is no service {name}: {', '.join(sorted(known))}.")
        if not 1 <= count <= MAX_REPLICAS:
            raise OcopError(f"--replicas {name}={count}: from 1 to {MAX_REPLICAS}.")
    memory.replicas |= replicas
    memory.settings |= settings
    # Unset: as remembered. Set to nothing: the embedded engine again.
    if (given := os.environ.get("OCOP_KAFKA_BOOTSTRAP")) is not None:
        memory.kafka_bootstrap = given or None
    if (given := os.environ.get("OCOP_POSTGRES_URL")) is not None:
        memory.postgres_url = given or None


def _engines(home: Home, memory: Memory, running: Collection[str], say: Say) -> Iterator[Program]:
    if memory.kafka_bootstrap is None:
        directory = home.path / "kafka"
        if "kafka" not in running:
            say("Preparing Apache Kafka")
            kafka.prepare(directory, memory.port("kafka"), memory.port("kafka-controller"))
        yield Program("kafka", tuple(kafka.command(directory)), priority=10)
    if memory.postgres_url is None:
        directory = home.path / "postgres"
        if "postgres" not in running:
            say("Preparing PostgreSQL")
            postgres.prepare(directory, memory.password(postgres.SUPERUSER))
        command = tuple(postgres.command(directory, memory.port("postgres")))
        yield Program("postgres", command, priority=10, stop_signal="INT")


def _mailbox(home: Home, memory: Memory) -> Program:
    command = (sys.executable, "-m", "ocop.mailbox", str(memory.port("mailbox")), str(home.mails))
    return Program("mailbox", command, priority=15)


def _services(memory: Memory) -> Iterator[Program]:
    for instance in instances(memory):
        _, app, http = database_urls(memory, instance.service)
        environment = memory.settings | {
            "OCOP_KAFKA_BOOTSTRAP": kafka_bootstrap(memory),
            "OCOP_DATABASE_URL": app,
            "OCOP_DATABASE_HTTP_URL": http,
            "OCOP_HTTP_HOST": "127.0.0.1",
            "OCOP_HTTP_PORT": str(memory.port(instance.name)),
            "OCOP_SMTP_PORT": str(memory.port("mailbox")),
        }
        yield Program(instance.name, (sys.executable, "-m", instance.service.package), environment)


def _refuse_taken_ports(memory: Memory, programs: list[Program]) -> None:
    for name in ["supervisor", *(program.name for program in programs)]:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", memory.port(name))) == 0:
                raise OcopError(f"Port {memory.port(name)}, remembered for {name}, is taken: end what listens there.")


async def _bring_up(home: Home, memory: Memory, supervisor: Supervisor, say: Say) -> None:
    engines = [process.name for process in supervisor.processes() if process.name in ENGINES]
    for name in engines:
        supervisor.start(name)
    await _engine(home, engines, "postgres", postgres.wait_until_answers(postgres_url(memory), ENGINE_SECONDS), say)
    await _engine(home, engines, "kafka", kafka.wait_until_answers(kafka_bootstrap(memory), ENGINE_SECONDS), say)
    await provide(memory, say)
    for name in ("mailbox", *(instance.name for instance in instances(memory))):
        supervisor.start(name)
    await _wait_until_ready(home, memory, supervisor, say)


async def provide(memory: Memory, say: Say) -> None:
    """Make databases, roles and topics on engines that answer, and bring schemas up to date. Raises OcopError."""
    say("Databases, roles, migrations, topics")
    servers: dict[str, list[Service]] = {}
    for service in services.SERVICES:
        servers.setdefault(postgres_url(memory, service), []).append(service)
    for url, theirs in servers.items():
        await provision.databases(url, theirs, {role: memory.password(role) for each in theirs for role in each.roles})
    await provision.topics(kafka_bootstrap(memory), TOPICS.values())


async def provide_elsewhere(memory: Memory, say: Say) -> None:
    """The same for the services that others start, once their engines answer. Raises OcopError."""
    for url in {postgres_url(memory, service) for service in services.SERVICES}:
        await postgres.wait_until_answers(url, ENGINE_SECONDS)
    await kafka.wait_until_answers(kafka_bootstrap(memory), ENGINE_SECONDS)
    await provide(memory, say)


async def _engine(home: Home, ours: list[str], name: str, answer: Awaitable[None], say: Say) -> None:
    say(f"Waiting for {name}" if name in ours else f"Waiting for the {name} that is there already")
    try:
        await answer
    except OcopError as error:
        raise OcopError(f"{error}\n{_last_words(home, name) if name in ours else ''}".strip()) from error


async def _wait_until_ready(home: Home, memory: Memory, supervisor: Supervisor, say: Say) -> None:
    ready: set[str] = set()
    deadline = time.monotonic() + READY_SECONDS
    async with httpx2.AsyncClient(timeout=5, trust_env=False) as client:
        while waiting := [process for process in supervisor.processes() if process.name not in ready]:
            lines = await asyncio.gather(*(_status(client, memory, process) for process in waiting))
            for line in lines:
                name, state = line.process.name, line.process.state
                if line.process.is_running and not line.missing:
                    say(f"{name} is ready")
                    ready.add(name)
                elif state == "FATAL" or time.monotonic() > deadline:
                    raise OcopError(f"{name} is not ready: {line.missing or state}\n{_last_words(home, name)}")
            await asyncio.sleep(0.1)


async def _missing(client: httpx2.AsyncClient, url: str) -> str:
    """What a service lacks, in its own words; empty when it is ready."""
    try:
        answer = await client.get(f"{url}/health/ready")
    except httpx2.HTTPError as error:
        return f"no answer ({type(error).__name__})"
    if answer.status_code == httpx2.codes.OK:
        return ""
    try:
        return "; ".join(map(str, answer.json()["missing"])) or "not ready"
    except (ValueError, LookupError, TypeError):
        return f"HTTP {answer.status_code}"


def _last_words(home: Home, name: str) -> str:
    return f"The end of its log ({home.log(name)}):\n{tail(home.log(name), 15)}"


def down(home: Home) -> bool:
    """Stop every process of the installation; what it stores stays. Returns whether there were any."""
    if not home.path.exists():
        return False
    with home.locked():
        found = bool(members(home))
        patience = 0
        if home.record.exists() and (supervisor := _supervisor(home, home.recall())).answers():
            # The services first, and together; supervisor alone would end one process after the other.
            supervisor.stop([process.name for process in supervisor.processes() if process.name not in ENGINES])
            supervisor.shutdown()
            patience = DOWN_SECONDS
        stop_members(home, patience)
        return found


def stop(home: Home, names: Sequence[str]) -> bool:
    """Stop all replicas of these services; ``up`` starts them again. Returns whether any ran. Raises OcopError."""
    memory = home.recall()
    unknown = set(names) - {instance.service.name for instance in instances(memory)}
    if unknown:
        raise OcopError(f"There is no service {', '.join(sorted(unknown))}.")
    supervisor = _supervisor(home, memory)
    if not home.record.exists() or not supervisor.answers():
        return False
    wanted = {instance.name for instance in instances(memory) if instance.service.name in names}
    running = [each.name for each in supervisor.processes() if each.name in wanted and each.is_running]
    supervisor.stop(running)
    return bool(running)


async def status(home: Home) -> list[Status]:
    """One line per process; empty when supervisor is not there."""
    memory = home.recall()
    supervisor = _supervisor(home, memory)
    if not home.record.exists() or not supervisor.answers():
        return []
    async with httpx2.AsyncClient(timeout=5, trust_env=False) as client:
        lines = (_status(client, memory, process) for process in supervisor.processes())
        return list(await asyncio.gather(*lines))


async def _status(client: httpx2.AsyncClient, memory: Memory, process: Process) -> Status:
    urls = {instance.name: service_url(memory, instance) for instance in instances(memory)}
    if process.name in urls:
        return Status(process, await _missing(client, urls[process.name]), urls[process.name])
    match process.name:
        case "kafka":
            answers = await kafka.answers(kafka_bootstrap(memory))
        case "postgres":
            answers = await postgres.answers(postgres_url(memory))
        case _:
            answers = await mailbox.answers(memory.port("mailbox"))
    return Status(process, "" if answers else "no answer", f"127.0.0.1:{memory.port(process.name)}")
