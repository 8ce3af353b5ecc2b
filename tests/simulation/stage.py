"""What histories play on: four databases of their own, emptied between histories, and the product's seams patched."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from io import BytesIO
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch
from uuid import UUID

import asyncpg
import structlog

from servicekit import adopt, database, log, patience, position, relay, republish, runner
from servicekit.database import Pool
from tests.engines import Databases
from tests.simulation.broker import Broker, Consumer, Producer
from tests.simulation.domain import SERVICES, TABLES
from tests.simulation.schedule import CURRENT, Clock

KEPT = ("migration",)  # with these rows the schema is what it is


@dataclass(frozen=True, slots=True)
class Saved:
    """A database at some time: tables as COPY gives them, and where identities stood."""

    rows: dict[str, bytes]
    sequences: dict[str, int | None]


@dataclass(slots=True)
class Stage:
    """Databases, and the broker of the history that plays."""

    pools: dict[str, Pool]
    masters: dict[str, "asyncpg.Connection[Any]"]  # superuser's, for emptying and looking
    emptying: dict[str, str]
    tables: dict[str, list[str]]
    broker: Broker = field(default_factory=Broker)
    clock: Clock = field(default_factory=Clock)

    async def empty(self) -> None:
        """Another history begins. DELETE, because TRUNCATE of small tables takes a hundred times as long."""
        self.broker, self.clock = Broker(), Clock()
        await asyncio.gather(*(self.masters[service].execute(self.emptying[service]) for service in SERVICES))

    async def save(self, service: str) -> Saved:
        """What the database of a service holds."""
        master, rows = self.masters[service], {}
        async with master.transaction(isolation="repeatable_read"):
            for table in self.tables[service]:
                await master.copy_from_table(table, output=(copied := BytesIO()))
                if copied.tell():
                    rows[table] = copied.getvalue()
            sequences = await master.fetch("SELECT sequencename AS name, last_value FROM pg_sequences")
        return Saved(rows, {row["name"]: row["last_value"] for row in sequences})

    async def set_back(self, service: str, saved: Saved) -> None:
        """Makes it what it held then. Whoever is connected has been cut off."""
        master = self.masters[service]
        async with master.transaction():
            await master.execute(self.emptying[service])
            for table, copied in saved.rows.items():
                await master.copy_to_table(table, source=BytesIO(copied))
            for name, value in saved.sequences.items():
                await master.execute("SELECT setval($1::regclass, $2, $3)", name, value or 1, value is not None)

    async def blocked(self, pids: list[int]) -> bool:
        """Whether all these backends wait for a lock."""
        return bool(
            await self.masters["national"].fetchval(
                "SELECT count(*) = $2 FROM pg_stat_activity WHERE pid = ANY($1::int[]) AND wait_event_type = 'Lock'",
                pids,
                len(set(pids)),
            )
        )


@asynccontextmanager
async def stage(superuser_url: str) -> AsyncIterator[Stage]:
    """Makes it, and takes it away."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    databases = Databases(superuser_url)
    made = {service: await databases.make(service) for service in SERVICES}
    masters = {service: await asyncpg.connect(each.superuser) for service, each in made.items()}
    try:
        await masters["national"].execute(TABLES)
        emptying, names = {}, {}
        for service, master in masters.items():
            # Two that wait for each other are found at once, not after a second.
            await master.execute(f"ALTER DATABASE \"{made[service].name}\" SET deadlock_timeout = '20ms'")
            tables = await master.fetch(
                "SELECT relname AS name FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'"
            )
            names[service] = [row["name"] for row in tables if row["name"] not in KEPT]
            deletes = "; ".join(f'DELETE FROM "{name}"' for name in names[service])  # noqa: S608  # from the catalogue
            emptying[service] = f"SET session_replication_role = replica; {deletes}"
        pools = {service: await database.open_pool(made[service].app, size=24, name="sim") for service in SERVICES}
        made_stage = Stage(pools, masters, emptying, names)
        with _patched(made_stage):
            yield made_stage
        for pool in pools.values():
            pool.terminate()
    finally:
        for master in masters.values():
            master.terminate()
        await databases.drop(templates=True)


@contextmanager
def _patched(stage: Stage) -> Iterator[None]:
    """Kafka, the clock, and connections of their own, where the product reaches for them."""

    async def topic_ids(_: str, topics: Iterable[str]) -> dict[str, UUID]:
        await stage.broker.ask("topic ids")
        return {topic: stage.broker.ids[topic] for topic in topics}

    async def present_ids(_: None, topics: Iterable[str], over: object = None) -> dict[str, UUID]:
        return await topic_ids("", topics)

    async def start_producer(_: str, __: str) -> Producer:
        actor = CURRENT.get()
        producer = Producer(stage.broker, actor.process.plan if actor else [])
        await producer.start()
        return producer

    async def drop_producer(producer: Producer) -> None:
        with suppress(Exception):
            await producer.stop()

    async def connect(_: str, **__: Any) -> Any:
        actor = CURRENT.get()
        assert actor is not None and actor.process.connect is not None
        return await actor.process.connect()

    sleeping = SimpleNamespace(sleep=lambda seconds: stage.clock.sleep(seconds))
    telling = SimpleNamespace(monotonic=lambda: stage.clock.monotonic(), time_ns=time.time_ns)
    patches: list[tuple[Any, str, Any]] = [
        (position, "topic_ids", topic_ids),
        (adopt, "topic_ids", topic_ids),
        (relay, "present_ids", present_ids),
        (republish, "present_ids", present_ids),
        (log, "present_ids", present_ids),
        (relay, "start_producer", start_producer),
        (relay, "drop_producer", drop_producer),
        (relay, "RETRY_S", 0),
        (relay, "POLL_S", 0),
        (relay, "LEADER_IDLE_S", 0),  # what a leader that was cut off has under way is `Broker.late`
        (database, "connect", connect),
        (patience, "asyncio", sleeping),
        (patience, "time", telling),
        (runner, "time", telling),
        (runner, "Subscription", Subscription),
        (republish, "start_producer", start_producer),
        (republish, "drop_producer", drop_producer),
        (log, "AIOKafkaConsumer", lambda **_: Consumer(stage.broker)),
    ]
    with ExitStack() as patched:
        for each in patches:
            patched.enter_context(patch.object(*each))
        yield


class Subscription:
    """Stands for `kafka.Subscription`: the world polls the consumer, and hands what it gets to the runner."""

    left = False

    def doubt(self) -> None:
        """The model has no connections."""

    def __init__(self, bootstrap: Consumer, *_: Any, **__: Any) -> None:
        """The runner's settings name, for a broker, the consumer itself."""
        self.consumer = bootstrap

    async def topic_ids(self, topics: Iterable[str]) -> dict[str, UUID]:
        await self.consumer.broker.ask("topic ids")
        return {topic: self.consumer.broker.ids[topic] for topic in topics}
