"""One service process: HTTP first, then database, schema, topics; then it reads and sends until told to stop."""

import asyncio
import contextlib
import gc
import signal
from collections.abc import Awaitable, Callable, Iterator, Sequence
from types import TracebackType
from typing import Any, Self

import structlog
import uvicorn
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from fastapi import FastAPI

from contracts.topics import TOPICS
from servicekit import access, database, migrate
from servicekit.connection import Connection
from servicekit.database import Pool
from servicekit.forgotten import Forgotten
from servicekit.handler import Handler
from servicekit.health import LOOPS, Health, health_routes
from servicekit.http import Counted
from servicekit.logs import configure_logging
from servicekit.observer import Observer
from servicekit.patience import is_cancelled
from servicekit.relay import Relay
from servicekit.runner import Runner
from servicekit.setback import unknown_records
from servicekit.settings import Settings
from servicekit.tracing import TRACING
from servicekit.waker import Waker

log = structlog.get_logger(__name__)

AGAIN_S = 1.0
PROBE_S = 2.0
ENDED_S = 30.0  # a poll in hand has 20 s; 45 s after SIGTERM comes SIGKILL (terminationGracePeriodSeconds)
Work = Callable[[], Awaitable[None]]


class Service:
    """`async with Service(name, settings) as service: await service.run(...)` is a whole service."""

    pool: Pool  # application role
    http_pool: Pool  # HTTP role, behind row-level security

    def __init__(self, name: str, settings: Settings) -> None:
        self.name = name
        self.settings = settings
        self.health = Health()
        self._loops = [self.health]
        self.relay = Relay(name, settings.kafka_bootstrap, settings.database_url)
        self._waits_for = ["start"]
        self._probe: asyncio.Task[list[str]] | None = None
        self.health.checks += [self._waiting, self._database]

    def begun(self) -> bool:
        """Whether everything was there that must be there first, and the database is not one that was set back."""
        return not self._waits_for

    async def __aenter__(self) -> Self:
        configure_logging(self.name, self.settings.log_level)
        TRACING.configure(self.name, self.settings.trace_share)
        asyncio.get_running_loop().set_exception_handler(_unheard)
        size = self.settings.database_pool
        self.pool = await database.open_pool(self.settings.database_url, size=size, name=self.name)
        http_url = self.settings.database_http_url or self.settings.database_url
        self.http_pool = await database.open_pool(http_url, size=size, name=f"{self.name}-http")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for pool in (self.pool, self.http_pool):
            try:
                async with asyncio.timeout(5):
                    await pool.close()
            except TimeoutError:
                pool.terminate()
        await asyncio.to_thread(TRACING.end)

    async def run(
        self, *, reads: Sequence[Handler] = (), app: FastAPI | None = None, workers: Sequence[Work] = ()
    ) -> None:
        """Serves HTTP at once; reads, sends and works once everything is there. Returns after SIGTERM or SIGINT."""
        app = app or FastAPI(title=self.name, openapi_url=None)
        app.include_router(health_routes(self._loops))
        config = uvicorn.Config(
            Counted(app),
            http=Connection,
            host=self.settings.http_host,
            port=self.settings.http_port,
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=10,
        )
        server = _Server(config)
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        serving = asyncio.create_task(server.serve())
        working = asyncio.create_task(self._work(reads, workers))
        stopping = asyncio.create_task(stop.wait())
        tasks: set[asyncio.Task[Any]] = {serving, working, stopping}
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        server.should_exit = True
        for task in (working, stopping):
            task.cancel()
        ending = asyncio.gather(serving, working, stopping, return_exceptions=True)
        ended, _ = await asyncio.wait({ending}, timeout=ENDED_S)
        if not ended:
            log.error("not all of it ends")  # whose cancellation was lost: with the loop comes another
        for task in done - {stopping}:
            task.result()  # a service that ends by itself says why

    async def _work(self, reads: Sequence[Handler], workers: Sequence[Work]) -> None:
        async with self.health.lasting():  # the process as such; what goes round has a health of its own
            await self._begin()
            LOOPS.set(self._loops)
            # What start has made stays. A poll makes tens of thousands of objects, hardly one of them in a cycle.
            gc.freeze()
            gc.set_threshold(50_000, 20, 20)
            sends = "sending" in migrate.LINES[self.name]
            loops: list[Work] = [Forgotten(pool).run for pool in (self.pool, self.http_pool)]
            loops += [Observer(self.pool, sends=sends).run, *workers]
            if reads:
                loops.append(Waker(self.pool, reads, self.relay.wake).run)
                for _ in range(self.settings.readers):
                    health = Health()
                    self._loops.append(health)
                    loops.append(Runner(self.name, self.settings, self.pool, reads, health, self.relay.wake).run)
            if sends:
                loops.append(self.relay.run)
            async with asyncio.TaskGroup() as group:
                for loop in loops:
                    group.create_task(_for_ever(loop))

    # ---------------------------------------------------------------- what must be there first

    async def _begin(self) -> None:
        """Waits, saying for what, until the service may read and send."""
        for check in (self._schema, self._topics, self._not_set_back):
            said: list[str] = []
            while True:
                try:
                    self._waits_for = await check()
                except Exception as error:
                    if not database.is_outage(error) and not isinstance(error, KafkaError):
                        raise
                    self._waits_for = [f"{check.__name__.strip('_')}: {error!r}"]
                if not self._waits_for:
                    self._waits_for = ["start"]  # ready only when all checks have passed
                    break
                if self._waits_for != said:
                    said = self._waits_for
                    log.warning("not ready", missing=said)
                await asyncio.sleep(AGAIN_S)
        self._waits_for = []
        log.info("ready")

    async def _waiting(self) -> list[str]:
        return list(self._waits_for)

    async def _database(self) -> list[str]:
        """Who asks does not wait for long, and an asyncpg that is told to stop waits for an answer to that."""
        if self._probe is None or self._probe.done():
            self._probe = asyncio.create_task(self._asked())
        done, _ = await asyncio.wait({self._probe}, timeout=PROBE_S)
        return self._probe.result() if done else [f"database: no answer within {PROBE_S:g} s"]

    async def _asked(self) -> list[str]:
        try:
            async with database.acquire(self.pool) as connection:
                await connection.execute("SELECT 1")
        except Exception as error:
            return [f"database: {type(error).__name__}"]
        return []

    async def _schema(self) -> list[str]:
        async with database.acquire(self.pool) as connection:
            missing = await migrate.missing(connection, self.name)
        return [f"schema: migration {name}" for name in missing]

    async def _topics(self) -> list[str]:
        admin = AIOKafkaAdminClient(**access.to(self.settings.kafka_bootstrap), client_id=self.name)
        await admin.start()
        try:
            found = {topic["topic"]: len(topic["partitions"]) for topic in await admin.describe_topics()}
        finally:
            await access.ended(admin.close(), admin._client)
        wrong = []
        for topic in TOPICS.values():
            count = found.get(topic.name)
            if count is None:
                wrong.append(f"kafka: no topic {topic.name}")
            elif count != topic.partitions:
                wrong.append(f"kafka: topic {topic.name} has {count} partitions, not {topic.partitions}")
        return wrong

    async def _not_set_back(self) -> list[str]:
        async with database.acquire(self.pool) as connection:
            unknown = await unknown_records(connection, self.settings.kafka_bootstrap, self.name)
        return [f"database set back: it does not know {place}, which it has said" for place in unknown]


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: the service stops everything in its own order."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _unheard(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """A task has failed that nobody waits for, as asyncpg closes a lost connection: in an outage that is one line."""
    error = context.get("exception")
    if error is not None and database.is_outage(error):
        log.warning("outage behind the scenes", error=repr(error), where=context["message"])
    else:
        loop.default_exception_handler(context)


async def _for_ever(work: Work) -> None:
    """Work ends by being cancelled or by an error, and then all of the service: one that is missing without a word (as
    when a library gives back the cancellation of something else) would be missed by nobody."""
    try:
        await work()
    except asyncio.CancelledError:
        if is_cancelled():
            raise
    raise RuntimeError(f"{getattr(work, '__qualname__', work)} has ended")
