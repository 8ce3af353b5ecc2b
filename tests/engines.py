"""Real Kafka and real PostgreSQL for tests: one pair for the whole run, private pairs for tests that kill them.

Embedded unless told otherwise. For the pair of the run ``TEST_KAFKA_BOOTSTRAP`` and ``TEST_DATABASE_URL`` (a
superuser's) name engines that are there, for tests alone: topics are deleted and passwords of roles set.
``TEST_ENGINES=docker`` starts containers. Private pairs are always
embedded, since they are killed. What cannot be had fails the tests that need it; nothing is skipped.
"""

import asyncio
import hashlib
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.protocol.group import LeaveGroupRequest
from testcontainers.core.container import DockerContainer

from contracts.topics import TOPICS
from ocop import kafka, postgres, provision
from ocop.home import free_port
from ocop.services import SERVICES, Service
from ocop.supervision import tail
from servicekit import migrate
from tests.waiting import until

START_SECONDS = 60
STOP_SECONDS = 30


class Engine:
    """A process that is started, killed and started again on the same files and port."""

    def __init__(self, name: str, command: list[str], log: Path, stop_signal: signal.Signals) -> None:
        self.name = name
        self._command = command
        self._log = log
        self._stop_signal = stop_signal
        self._process: subprocess.Popen[bytes] | None = None

    def launch(self) -> None:
        """Start the process; it ends with the tests, even when they are killed."""
        assert self._process is None, f"{self.name} runs already"
        # The signal comes when the thread that started the process ends: fixtures run in the main thread.
        command = self._command
        if shutil.which("setpriv"):
            # Where the command changes the user first, it must come after that: the change clears the signal.
            own = command[1:] if Path(command[0]).name == "setpriv" else command
            command = ["setpriv", "--pdeathsig", "KILL", *own]
        with self._log.open("ab") as output:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)

    @property
    def pid(self) -> int:
        """Of the running process."""
        assert self._process is not None, f"{self.name} does not run"
        return self._process.pid

    @property
    def ended(self) -> bool:
        """Whether it has ended by itself."""
        return self._process is not None and self._process.poll() is not None

    def send(self, number: signal.Signals) -> None:
        """Send any signal, SIGSTOP for instance."""
        os.kill(self.pid, number)

    def stop(self) -> None:
        """End it in order."""
        self._end(self._stop_signal)

    def kill(self) -> None:
        """``kill -9``: returns when the process is gone."""
        self._end(signal.SIGKILL)

    def _end(self, number: signal.Signals) -> None:
        if self._process is None:
            return
        self._process.send_signal(number)
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(STOP_SECONDS)
            raise
        finally:
            self._process = None

    def last_words(self) -> str:
        """The end of what it wrote."""
        return tail(self._log, 30)


class Engines:
    """A private Kafka and PostgreSQL."""

    def __init__(self, directory: Path, links: Mapping[str, int] | None = None) -> None:
        """Prepare both under an empty directory; neither runs yet.

        ``links`` name further ways to Kafka, each with the port at which clients find it: a proxy's, which goes on to
        the port that ``kafka_links`` has for it.
        """
        self.directory = directory
        port, controller_port = free_port(), free_port()
        self.kafka_links = {name: free_port() for name in links or {}}
        kafka.prepare(directory / "kafka", port, controller_port, self._listeners(port, controller_port, links or {}))
        self.kafka_bootstrap = f"127.0.0.1:{port}"
        self.kafka = Engine("kafka", kafka.command(directory / "kafka"), directory / "kafka.log", signal.SIGTERM)
        postgres_port, password = free_port(), secrets.token_urlsafe()
        postgres.prepare(directory / "postgres", password)
        self.postgres_url = postgres.url(postgres_port, password)
        command = postgres.command(directory / "postgres", postgres_port)
        self.postgres = Engine("postgres", command, directory / "postgres.log", signal.SIGINT)

    def _listeners(self, port: int, controller_port: int, links: Mapping[str, int]) -> dict[str, str]:
        """A listener for each link beside the usual ones; a client is told the address of the link that it came by."""
        usual = {"PLAINTEXT": port, "CONTROLLER": controller_port}

        def listed(ports: Mapping[str, int]) -> str:
            return ",".join(f"{name}://127.0.0.1:{number}" for name, number in (usual | dict(ports)).items())

        return {
            "listeners": listed(self.kafka_links),
            "advertised.listeners": listed(links),
            "listener.security.protocol.map": ",".join(f"{name}:PLAINTEXT" for name in [*usual, *links]),
        }

    async def start_kafka(self) -> None:
        """Start it and wait until it answers requests."""
        self.kafka.launch()
        await kafka.wait_until_answers(self.kafka_bootstrap, START_SECONDS)

    async def start_postgres(self) -> None:
        """Start it and wait until it answers queries. Soon after a kill it may end again at once, while a child of the
        one before still holds its memory: then it is started once more, as a supervisor does."""
        self.postgres.launch()
        await until(self._postgres_answers, START_SECONDS)

    async def _postgres_answers(self) -> bool:
        if self.postgres.ended:
            self.postgres.stop()
            self.postgres.launch()
        return await postgres.answers(self.postgres_url)

    def stop_kafka(self) -> None:
        """End it in order: clients see it go."""
        self.kafka.stop()

    def kill_kafka(self) -> None:
        """``kill -9``."""
        self.kafka.kill()

    def stop_postgres(self) -> None:
        """End it in order, cutting connections."""
        self.postgres.stop()

    def kill_postgres(self) -> None:
        """``kill -9`` of the server; its children follow by themselves."""
        self.postgres.kill()


@asynccontextmanager
async def private_engines() -> AsyncIterator[Engines]:
    """A pair of one's own, running; killed and removed in the end."""
    with _directory() as directory:
        engines = Engines(directory)
        try:
            await asyncio.gather(engines.start_kafka(), engines.start_postgres())
            yield engines
        finally:
            engines.kill_kafka()
            engines.stop_postgres()


@contextmanager
def _directory() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="ocop-test-"))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class Broker:
    """The Kafka of the run, shared by tests that run one after another."""

    bootstrap: str

    async def reset(self) -> None:
        """Make the catalogue's topics anew: empty, with offsets from 0 and new ids. Nobody is in a group any more."""
        await self._dismiss()
        await provision.remove_topics(self.bootstrap, TOPICS)
        await provision.topics(self.bootstrap, TOPICS.values())

    async def _dismiss(self) -> None:
        """Those of the test before were killed, and the next in their groups would wait until their sessions end."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap)
        await admin.start()
        try:
            for group, _ in await admin.list_consumer_groups():
                node = await admin.find_coordinator(group)
                for member_id, *_ in await members(admin, group, node):
                    await admin._send_request(LeaveGroupRequest(group, member_id), node)  # aiokafka has no call for it
        finally:
            await admin.close()


async def members(admin: AIOKafkaAdminClient, group: str, node: int | None = None) -> list[tuple[Any, ...]]:
    """Who is in a consumer group, as its coordinator says. One group at a time: aiokafka cannot read an answer about
    several."""
    (answer,) = await admin.describe_consumer_groups([group], node)
    ((_, _, _, _, _, found, *_),) = answer.groups
    return list(found)


@contextmanager
def shared_broker() -> Iterator[Broker]:
    """The Kafka of the run; see the module's text for which."""
    if bootstrap := os.environ.get("TEST_KAFKA_BOOTSTRAP"):
        asyncio.run(kafka.wait_until_answers(bootstrap, START_SECONDS))
        yield Broker(bootstrap)
    elif _docker():
        with _kafka_container() as bootstrap:
            yield Broker(bootstrap)
    else:
        with _directory() as directory:
            port = free_port()
            kafka.prepare(directory, port, free_port())
            engine = Engine("kafka", kafka.command(directory), directory / "log", signal.SIGTERM)
            with _running(engine):
                asyncio.run(kafka.wait_until_answers(f"127.0.0.1:{port}", START_SECONDS))
                yield Broker(f"127.0.0.1:{port}")


@contextmanager
def shared_postgres() -> Iterator[str]:
    """The PostgreSQL of the run, as its superuser's URL."""
    if url := os.environ.get("TEST_DATABASE_URL"):
        asyncio.run(postgres.wait_until_answers(url, START_SECONDS))
        yield url
    elif _docker():
        with _postgres_container() as url:
            yield url
    else:
        with _directory() as directory:
            port, password = free_port(), secrets.token_urlsafe()
            postgres.prepare(directory, password)
            engine = Engine("postgres", postgres.command(directory, port), directory / "log", signal.SIGINT)
            with _running(engine):
                asyncio.run(postgres.wait_until_answers(postgres.url(port, password), START_SECONDS))
                yield postgres.url(port, password)


@contextmanager
def _running(engine: Engine) -> Iterator[None]:
    engine.launch()
    try:
        yield
    except BaseException as error:
        error.add_note(engine.last_words())
        raise
    finally:
        engine.kill()


def _docker() -> bool:
    return os.environ.get("TEST_ENGINES") == "docker"


@contextmanager
def _kafka_container() -> Iterator[str]:
    port = free_port()
    settings = {
        "KAFKA_NODE_ID": "1",
        "KAFKA_PROCESS_ROLES": "broker,controller",
        "KAFKA_CONTROLLER_QUORUM_VOTERS": "1@localhost:9093",
        "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
        "KAFKA_LISTENERS": f"PLAINTEXT://:{port},CONTROLLER://:9093",
        "KAFKA_ADVERTISED_LISTENERS": f"PLAINTEXT://127.0.0.1:{port}",
        "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
        "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
        "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "1",
        "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
        "KAFKA_AUTO_CREATE_TOPICS_ENABLE": "false",
    }
    image = DockerContainer(f"apache/kafka:{kafka.VERSION}").with_envs(**settings)
    with image.with_bind_ports(port, port):
        asyncio.run(kafka.wait_until_answers(f"127.0.0.1:{port}", START_SECONDS))
        yield f"127.0.0.1:{port}"


@contextmanager
def _postgres_container() -> Iterator[str]:
    port, password = free_port(), secrets.token_urlsafe()
    image = DockerContainer(f"postgres:{postgres.VERSION}").with_env("POSTGRES_PASSWORD", password)
    with image.with_bind_ports(5432, port):
        asyncio.run(postgres.wait_until_answers(postgres.url(port, password), START_SECONDS))
        yield postgres.url(port, password)


@dataclass(frozen=True, slots=True)
class Database:
    """A service's database of one test, seen by each of its roles."""

    service: Service
    name: str
    owner: str
    app: str
    http: str
    superuser: str


class Databases:
    """Databases for tests: each service's is migrated once per run, and copied for each test."""

    def __init__(self, superuser_url: str, migrate_: Callable[[str, str], Awaitable[object]] = migrate.migrate) -> None:
        """`migrate_` brings an owner's database to a schema, of other code perhaps."""
        self._superuser_url = superuser_url
        self._migrate = migrate_
        self._run = secrets.token_hex(4)
        self._count = 0
        self._templates: dict[str, str] = {}

    @property
    def passwords(self) -> Mapping[str, str]:
        """The same in every run on one server, so that runs beside each other agree."""
        secret = self._superuser_url.encode()
        return {
            role: hashlib.sha256(secret + role.encode()).hexdigest() for service in SERVICES for role in service.roles
        }

    async def make(self, service: str) -> Database:
        """A fresh, migrated database of a service, by its name on the wire."""
        found = next(each for each in SERVICES if each.wire == service)
        return await self._copy(found, await self._template(found))

    async def save(self, database: Database) -> str:
        """Keep the present content, for ``set_back``; whoever is connected is cut off."""
        return (await self._copy(database.service, database.name)).name

    async def set_back(self, database: Database, saved: str) -> None:
        """Make the database what it was at ``save``; whoever is connected is cut off."""
        async with provision.superuser(self._superuser_url) as connection:
            await connection.execute(f'DROP DATABASE "{database.name}" WITH (FORCE)')
            await provision.database(connection, database.service, database.name, template=saved)

    async def drop(self, *, templates: bool) -> None:
        """Drop what was made; the templates too at the end of the run."""
        async with provision.superuser(self._superuser_url) as connection:
            prefix = f"test_{self._run}_" if templates else f"test_{self._run}_copy_"
            names = await connection.fetch("SELECT datname FROM pg_database WHERE starts_with(datname, $1)", prefix)
            for row in names:
                await connection.execute(f'DROP DATABASE "{row["datname"]}" WITH (FORCE)')

    async def _template(self, service: Service) -> str:
        if service.wire not in self._templates:
            name = f"test_{self._run}_{service.wire}"
            async with provision.superuser(self._superuser_url) as connection:
                await provision.roles(connection, [service], self.passwords)
                await provision.database(connection, service, name)
            await self._migrate(self._address(service.roles[0], name), service.wire)
            self._templates[service.wire] = name
        return self._templates[service.wire]

    async def _copy(self, service: Service, template: str) -> Database:
        self._count += 1
        name = f"test_{self._run}_copy_{self._count}_{service.wire}"
        async with provision.superuser(self._superuser_url) as connection:
            # A template must have no connections.
            await connection.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = $1", template
            )
            await provision.database(connection, service, name, template=template)
        owner, app, http = (self._address(role, name) for role in service.roles)
        superuser = provision.address(self._superuser_url, name)
        return Database(service, name, owner, app, http, superuser)

    def _address(self, role: str, database: str) -> str:
        return provision.address(self._superuser_url, database, role, self.passwords[role])
