"""The processes of a stack that a proof may kill, and which of them leads a relay at the moment."""

import asyncio
import random
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import asyncpg
import psutil

from ocop import kafka, postgres, services, stack
from ocop.errors import OcopError
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
HEALED_S = 60
PATIENTLY_S = {"kafka": 120, SUPERVISOR: 120}  # a broker reads its logs again, a supervisor starts everything anew
IN_THE_MIDDLE_S, SOON_S = 2, 0.03
WORKING = """SELECT EXISTS (SELECT FROM pg_stat_activity
                            WHERE backend_xid IS NOT NULL AND client_port = ANY($1::int[]))"""
SENDING = "SELECT EXISTS (SELECT FROM outbox)"
LEADING = """SELECT a.client_port FROM pg_locks l JOIN pg_stat_activity a USING (pid)
             WHERE l.locktype = 'advisory' AND l.granted AND a.datname = current_database()
               AND a.application_name = $1"""
# What was lost on its way is not to come again before it is looked for: repeats begin after a day.
SETTINGS = {"OCOP_SESSION_TIMEOUT_MS": "6000", "OCOP_REPEAT_AFTER_S": "86400"}


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
    """`kill -9` of a victim in the middle of its work; returns the name of the process."""
    if victim == SUPERVISOR:
        psutil.Process(int((running.home.path / "supervisord.pid").read_text())).kill()
        return victim
    pids = running.pids()
    if victim in SERVICES:
        name = chance.choice([each for each in pids if each == victim or each.startswith(f"{victim}-")])
        service = next(each.wire for each in services.SERVICES if each.name == victim)
        await _in_the_middle(running, service, WORKING, _ports(pids[name]))
    else:
        service = chance.choice(SENDERS)
        name = await _leader(running, pids, service) if victim == LEADER else victim
        await _in_the_middle(running, service, SENDING)
    await asyncio.sleep(chance.uniform(0, SOON_S))  # not always at the same step of it
    psutil.Process(pids[name]).kill()
    return name


async def _in_the_middle(running: Stack, service: str, query: str, *arguments: object) -> None:
    """Returns when a service's database says so, or after a while."""
    connection = await database.connect(running.urls[service], name="victims")
    try:
        until = time.monotonic() + IN_THE_MIDDLE_S
        while not await connection.fetchval(query, *arguments) and time.monotonic() < until:
            await asyncio.sleep(0)
    finally:
        connection.terminate()


async def _leader(running: Stack, pids: Mapping[str, int], service: str) -> str:
    """The process whose connection holds the lock of a service's relay."""
    connection = await database.connect(running.urls[service], name="victims")
    try:
        async with asyncio.timeout(30):
            while True:
                port = await connection.fetchval(LEADING, f"{service}-relay")
                for name, pid in pids.items():
                    if port in _ports(pid):
                        return name
                await asyncio.sleep(0.1)
    finally:
        await connection.close()


def _ports(pid: int) -> list[int]:
    """From which ports a process has connections."""
    return [each.laddr.port for each in psutil.Process(pid).net_connections("tcp") if each.raddr]


def restarted(name: str, before: Mapping[str, int], after: Mapping[str, int]) -> list[str]:
    """Other processes that a kill has taken along. Only the supervisor may take any: whoever brings it up again starts
    all of them anew."""
    if name == SUPERVISOR:
        return []
    return sorted(each for each, pid in before.items() if each != name and after.get(each) != pid)


async def healed(running: Stack, name: str, before: Mapping[str, int]) -> None:
    """Waits until the killed process is there again, and the whole stack well, all within the time that it may take.
    Raises NotHealedError."""
    limit = PATIENTLY_S.get(name, HEALED_S)
    until = time.monotonic() + limit
    try:
        async with asyncio.timeout(limit):
            if name == SUPERVISOR:
                await up(running.home)
            else:
                while running.pids().get(name) in (None, before[name]):
                    await asyncio.sleep(0.05)
        await kafka.wait_until_answers(running.bootstrap, until - time.monotonic())
        await postgres.wait_until_answers(stack.postgres_url(running.memory), until - time.monotonic())
        await healing.healed(running.bootstrap, running.urls, running.addresses(), until - time.monotonic())
    except (asyncpg.PostgresError, OcopError, TimeoutError) as error:
        raise NotHealedError(f"after {limit} s: {error!r}") from error
