"""The engines of a measurement: a Kafka and a PostgreSQL of its own that keep what they acknowledge."""

import asyncio
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient

from contracts.topics import TOPICS
from ocop import postgres, provision
from servicekit import database
from servicekit.database import Connection
from servicekit.settings import Settings
from tests.delivery import proof
from tests.delivery.system import Process, System, system
from tests.engines import Database, Databases, Engines

GATHER_S = 60.0
DEFAULT_READERS: int = Settings.model_fields["readers"].default


@dataclass(frozen=True, slots=True)
class Bench:
    """Running engines, and where a measurement may put files."""

    engines: Engines
    databases: Databases
    directory: Path

    @property
    def bootstrap(self) -> str:
        """Kafka's address."""
        return self.engines.kafka_bootstrap

    @property
    def pids(self) -> dict[str, int]:
        """The engines' processes."""
        return {"kafka": self.engines.kafka.pid, "postgres": self.engines.postgres.pid}

    def fresh(self, name: str) -> Path:
        """A new directory."""
        return Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self.directory))

    async def reset_topics(self, names: Iterable[str] = tuple(TOPICS)) -> None:
        """Makes topics of the catalogue anew."""
        names = list(names)
        await provision.remove_topics(self.bootstrap, names)
        await provision.topics(self.bootstrap, [TOPICS[name] for name in names])

    @asynccontextmanager
    async def system(self, *services: str) -> AsyncIterator[System]:
        """Fresh databases for these services; in the end their processes and the databases go."""
        directory = self.fresh("system")
        try:
            async with system(self.bootstrap, self.databases, directory, services) as made:
                yield made
        finally:
            await self.databases.drop(templates=False)

    async def keep(self, made: Database, name: str) -> None:
        """Keeps what a database holds as another, for `databases.set_back`."""
        async with provision.superuser(self.engines.postgres_url) as connection:
            await connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
            await connection.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = $1", made.name
            )
            await provision.database(connection, made.service, name, template=made.name)

    async def settle(self, url: str) -> None:
        """Before every clock the same: what was written is analysed and on disk. `url` is a superuser's."""
        connection = await database.connect(url)
        try:
            await connection.execute("VACUUM ANALYZE")
            await connection.execute("CHECKPOINT")
        finally:
            await connection.close()


@asynccontextmanager
async def bench() -> AsyncIterator[Bench]:
    """Starts engines in a fresh directory with empty topics; stops and removes them in the end.

    Raises AssertionError if PostgreSQL does not say that it keeps what it acknowledges.
    """
    proof.PROOFS.mkdir(exist_ok=True)
    directory = Path(tempfile.mkdtemp(prefix="bench-", dir=proof.PROOFS))
    engines = Engines(directory)
    try:
        await asyncio.gather(engines.start_kafka(), engines.start_postgres())
        databases = Databases(engines.postgres_url)
        made = Bench(engines, databases, directory)
        assert await durability(engines.postgres_url) == postgres.DURABILITY
        await provision.topics(made.bootstrap, TOPICS.values())
        yield made
    finally:
        engines.kill_kafka()
        engines.stop_postgres()
        shutil.rmtree(directory, ignore_errors=True)


async def durability(url: str) -> dict[str, str]:
    """What the server says of itself."""
    connection = await database.connect(url)
    try:
        rows = await connection.fetch(
            "SELECT name, setting FROM pg_settings WHERE name = ANY($1)", list(postgres.DURABILITY)
        )
    finally:
        await connection.close()
    return {row["name"]: row["setting"] for row in rows}


class Gate:
    """Holds services back from reading (see `held`) until it is opened."""

    def __init__(self, directory: Path) -> None:
        self._file = Path(tempfile.mkdtemp(prefix="gate-", dir=directory)) / "open"

    async def start(
        self, under_test: System, service: str, replicas: int, readers: int = 0, profile: Path | None = None
    ) -> list[Process]:
        """Starts replicas of a service and waits until they have shared the partitions. `readers` is how many each
        has; 0: as many as it has by itself."""
        readers = readers or DEFAULT_READERS
        told: dict[str, Any] = {"BENCH_SERVICE": service, "BENCH_GATE": str(self._file), "OCOP_READERS": str(readers)}
        if profile:
            told["BENCH_PROFILE"] = str(profile)
        started = [await under_test.start(service, module="bench.held", ready=False, **told) for _ in range(replicas)]
        for process in started:
            await process.ready()
        await shared(under_test.bootstrap, service, replicas * readers)
        for process in started:
            await process.ready()
        return started

    def open(self) -> None:
        """From now on they read."""
        self._file.touch()


async def shared(bootstrap: str, group: str, members_wanted: int) -> None:
    """Waits until so many members of a group have partitions."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        async with asyncio.timeout(GATHER_S):
            while True:
                (answer,) = await admin.describe_consumer_groups([group])
                ((_, _, state, _, _, members, *_),) = answer.groups
                # A member's last field is its assignment.
                if state == "Stable" and len(members) == members_wanted and all(member[4] for member in members):
                    return
                await asyncio.sleep(0.1)
    finally:
        await admin.close()


async def end(processes: Sequence[Process]) -> None:
    """Ends services in their own order, so that a profile is kept."""
    for process in processes:
        process.send(signal.SIGTERM)
    for process in processes:
        await asyncio.to_thread(process.process.wait, 30)


async def read(connection: Connection, topic: str) -> int:
    """How many records of a topic (begun at 0) a service's database has read."""
    total = await connection.fetchval(
        "SELECT coalesce(sum(next_offset), 0)::bigint FROM position WHERE topic = $1", topic
    )
    return int(total)
