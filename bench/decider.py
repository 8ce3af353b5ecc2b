"""The decider step: the registry takes submissions from Kafka and decides; state, log and outbox are committed.

The lock of the relay is held by somebody else meanwhile, as in any replica that does not lead: so the step alone is
measured, and what it has said lies in the outbox afterwards.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from bench import clock, process
from bench.data import OWNERS, owner_submissions, product_submissions, put
from bench.engines import Bench, Gate, end, read
from contracts.topics import TOPICS, submission_topic
from servicekit import database, relay
from servicekit.database import Connection
from tests.engines import Database

SUBMISSIONS: Final = submission_topic("registry")
KNOWN: Final = "bench_registry_known"
SAYS: Final = tuple(topic.name for topic in TOPICS.values() if topic.service == "registry")


@asynccontextmanager
async def relay_elsewhere(made: Database) -> AsyncIterator[Connection]:
    """A connection that is the one that may send, and does not."""
    connection = await database.connect(made.app)
    try:
        await relay.take_over(connection, "registry")
        yield connection
    finally:
        await connection.close()


async def prepare(bench: Bench, events: int, subjects: int) -> None:
    """Puts submissions on their topic: first owners, which a registry decides before the others come.

    What its database is then is kept, to begin each run with. All submissions about products will be applied.
    """
    await bench.reset_topics([SUBMISSIONS, *SAYS])
    await put(bench.bootstrap, owner_submissions())
    async with bench.system("registry") as under_test:
        made = under_test.databases["registry"]
        async with relay_elsewhere(made) as connection:
            started = await under_test.start("registry")
            await clock.watch(lambda: read(connection, SUBMISSIONS), OWNERS)
            await end([started])
        await under_test.execute("registry", "DELETE FROM outbox")
        await bench.keep(made, KNOWN)
    await put(bench.bootstrap, product_submissions(events, subjects))


async def run(
    bench: Bench, events: int, subjects: int, replicas: int = 1, readers: int = 0, profile: Path | None = None
) -> dict[str, Any]:
    """Submissions a second, from the first visible commit to the last, and what it cost. Raises AssertionError
    unless each was applied, once, and said."""
    async with bench.system("registry") as under_test:
        made = under_test.databases["registry"]
        await bench.databases.set_back(made, KNOWN)
        await bench.settle(made.superuser)
        async with relay_elsewhere(made) as connection:
            gate = Gate(bench.directory)
            started = await gate.start(under_test, "registry", replicas, readers, profile)
            pids = {f"registry-{number}": each.process.pid for number, each in enumerate(started, 1)} | bench.pids
            meter = process.Meter(pids)
            gate.open()
            span = await clock.watch(lambda: _beyond_owners(connection), events)
            cost = meter.cost(events)
            await check(connection, events, subjects)
            await end(started)
    return {"rate": span.rate, "seconds": span.seconds, **cost}


async def _beyond_owners(connection: Connection) -> int:
    return await read(connection, SUBMISSIONS) - OWNERS


async def check(connection: Connection, events: int, subjects: int) -> None:
    """Each submission applied once, the numbers without a gap, and two records said of each."""
    states = await connection.fetch("SELECT state, count(*) AS n FROM inbox GROUP BY state")
    assert {row["state"]: row["n"] for row in states} == {"applied": events + OWNERS}, states
    log = await connection.fetchrow(
        """SELECT count(*), count(DISTINCT subject), count(DISTINCT (subject, sequence))
           FROM event WHERE aggregate = 'product'"""
    )
    assert log is not None and tuple(log) == (events, subjects, events), log
    last = await connection.fetchval("SELECT sum(last_sequence) FROM subject WHERE aggregate = 'product'")
    assert last == events, f"numbers up to {last}, not {events}"
    said = await connection.fetchval("SELECT count(*) FROM outbox")
    assert said == 2 * events, f"{said} records said of {events} submissions"
