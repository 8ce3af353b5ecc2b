"""The projection: the national service reads events from Kafka into PostgreSQL, exactly once."""

from pathlib import Path
from typing import Any

from bench import clock, process
from bench.data import PRODUCT
from bench.engines import Bench, Gate, end, read
from bench.limit import Limit, digests
from servicekit import database
from servicekit.database import Connection
from tests.delivery.system import System


async def run(
    bench: Bench, limit: Limit, replicas: int, readers: int = 0, profile: Path | None = None
) -> dict[str, Any]:
    """Events a second of so many processes together, from the first visible commit to the last, over the product
    topic, and what it cost. Raises AssertionError unless every event was applied once and every row is right."""
    async with bench.system("national") as under_test:
        made = under_test.databases["national"]
        await limit.fill(made)
        await bench.settle(made.superuser)
        found = await live(bench, under_test, limit.events, replicas, readers, profile)
        connection = await database.connect(made.app)
        try:
            await check(connection, limit)
        finally:
            await connection.close()
    return found


async def live(
    bench: Bench, under_test: System, events: int, replicas: int, readers: int = 0, profile: Path | None = None
) -> dict[str, Any]:
    """The national service reads so many events that lie on the product topic: its rate and its cost."""
    gate = Gate(bench.directory)
    started = await gate.start(under_test, "national", replicas, readers, profile)
    pids = {f"national-{number}": each.process.pid for number, each in enumerate(started, 1)} | bench.pids
    connection = await database.connect(under_test.databases["national"].app)
    try:
        meter = process.Meter(pids)
        gate.open()
        span = await clock.watch(lambda: read(connection, PRODUCT), events)
        cost = meter.cost(events)
    finally:
        await connection.close()
    await end(started)
    return {"rate": span.rate, "seconds": span.seconds, "first_s": span.first_s, **cost}


async def check(connection: Connection, limit: Limit) -> None:
    """Every event applied once, none before its predecessor, and the tables as the pure projection has them."""
    applied = await connection.fetchval("SELECT sum(applied) FROM stream WHERE topic = $1", PRODUCT)
    assert applied == limit.events, f"{applied} events applied of {limit.events}"
    assert not await connection.fetchval("SELECT count(*) FROM held"), "something was put aside"
    found = await digests(connection)
    assert found == limit.digests, f"the tables hold {found}, not {limit.digests}"
