"""The processes of a stack that a proof may kill, and which of them leads a relay at the moment."""

import asyncio
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import asyncpg
import psutil

from ocop import kafka, postgres, services, stack
from ocop.home import Home, Memory
from ocop.supervision import Supervisor
from servicekit import database
from tests.delivery import healing
from tests.delivery.healing import SENDERS, NotHealedError

REPLICAS = 2
SERVICES = tuple(service.name for service in services.SERVICES)
ENGINES = ("kafka", "postgres")
LEADER, SUPERVISOR = "relay leader", "supervisor"
VICTIMS = (*SERVICES, LEADER, *ENGINES, SUPERVISOR)
HEALED_S = 120
SETTINGS = {"OCOP_SESSION_TIMEOUT_MS": "6000"}


@dataclass(frozen=True, slots=True)
class Stack:
    """A stack with two replicas of every service, under a supervisor that starts again what dies."""

    home: Home
    memory: Memory

    @property
    def bootstrap(self) -> str:
        """Where Kafka is."""
        return stack.kafka_bootstrap(self.memory)

    @property
    def urls(self) -> dict[str, str]:
        """Databases of the services, application role."""
        return stack.application_urls(self.memory)

    def addresses(self, service: str | None = None) -> list[str]:
        """Where processes answer, of one service or of all."""
        found = stack.instances(self.memory)
        return [stack.service_url(self.memory, each) for each in found if service in (None, each.service.name)]

    def pids(self) -> dict[str, int]:
        """Every process under the supervisor."""
        supervisor = Supervisor(self.home, self.memory.port("supervisor"), self.memory.password("supervisor"))
        return {each.name: each.pid for each in supervisor.processes() if each.pid}


async def up(home: Home) -> Stack:
    """Brings the stack up, or repairs it."""
    memory = await asyncio.to_thread(stack.up, home, lambda _: None, dict.fromkeys(SERVICES, REPLICAS), SETTINGS)
    return Stack(home, memory)


def in_turn(seed: int, victims: Sequence[str]) -> Iterator[str]:
    """Victims for ever: at random, and none again before each has had its turn."""
    chance = random.Random(f"{seed}/victims")  # noqa: S311  # repeatable, not secret
    while True:
        yield from chance.sample(victims, len(victims))


async def kill(running: Stack, victim: str, chance: random.Random) -> str:
    """`kill -9` of a victim; returns the name of the process."""
    if victim == SUPERVISOR:
        psutil.Process(int((running.home.path / "supervisord.pid").read_text())).kill()
        return victim
    pids = running.pids()
    if victim == LEADER:
        name = await _leader(running, pids, chance.choice(SENDERS))
    elif victim in ENGINES:
        name = victim
    else:
        name = chance.choice([each for each in pids if each == victim or each.startswith(f"{victim}-")])
    psutil.Process(pids[name]).kill()
    return name


async def _leader(running: Stack, pids: Mapping[str, int], service: str) -> str:
    """The process whose connection holds the lock of a service's relay."""
    async with asyncio.timeout(30):
        while True:
            connection = await database.connect(running.urls[service], name="victims")
            try:
                port = await connection.fetchval(
                    """SELECT a.client_port FROM pg_locks l JOIN pg_stat_activity a USING (pid)
                       WHERE l.locktype = 'advisory' AND l.granted AND a.datname = current_database()
                         AND a.application_name = $1""",
                    f"{service}-relay",
                )
            finally:
                await connection.close()
            for name, pid in pids.items():
                if any(each.laddr.port == port for each in psutil.Process(pid).net_connections("tcp")):
                    return name
            await asyncio.sleep(0.1)


async def healed(running: Stack, name: str, before: Mapping[str, int]) -> None:
    """Waits until the killed process is there again, and the whole stack well."""
    if name == SUPERVISOR:
        await up(running.home)
    else:
        async with asyncio.timeout(HEALED_S):
            while running.pids().get(name) in (None, before[name]):
                await asyncio.sleep(0.05)
    try:
        await kafka.wait_until_answers(running.bootstrap, HEALED_S)
        await postgres.wait_until_answers(stack.postgres_url(running.memory), HEALED_S)
        await healing.healed(running.bootstrap, running.urls, running.addresses(), HEALED_S)
    except asyncpg.PostgresError as error:
        raise NotHealedError(repr(error)) from error
