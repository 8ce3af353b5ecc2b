"""Freshness: from the moment at which a province has its 202 until its event is counted in a national figure.

Open loop: requests are due at fixed times, whatever became of those before. Each recognises another product, which
was known before, so that it goes through gateway, evaluation and national, and into the figure of products.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final
from uuid import UUID

from bench import process
from bench.client import Client
from bench.data import TENANT
from bench.engines import Bench, end
from bench.intake import BATCH, UNLIMITED
from bench.latency import latencies
from contracts.names import Ref, aggregate_id
from ocop import quiet
from servicekit import database
from servicekit.database import Connection
from tests.acts import recognised
from tests.delivery.stream import BATCH as MANY
from tests.delivery.stream import SINGLE
from tests.delivery.system import SERVICES, System
from tests.submissions import owner, product

LOOK_S: Final = 0.004
COUNTED: Final = "SELECT DISTINCT product AS id FROM standing WHERE product = ANY($1::uuid[])"
CONNECTIONS: Final = 32
KEPT_UP_S: Final = 0.1  # a load that is sent later than this is not the load that was meant
PATIENCE_S: Final = 60
WARM_S: Final = 2.0  # of the loop, not counted


class Watch:
    """Looks again and again which of the subjects on their way are there: `seen` says when each first was.

    `query` gives the ids that are, of those in $1.
    """

    def __init__(self, connection: Connection, query: str) -> None:
        self._connection, self._query = connection, query
        self.waiting: set[UUID] = set()
        self.seen: dict[UUID, float] = {}
        self.looks: list[float] = []  # seconds from one look to the next

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            began = time.perf_counter()
            if self.waiting:
                rows = await self._connection.fetch(self._query, list(self.waiting))
                now = time.perf_counter()
                for row in rows:
                    found = UUID(str(row["id"]))
                    self.seen[found] = now
                    self.waiting.discard(found)
            await asyncio.sleep(LOOK_S)
            self.looks.append(time.perf_counter() - began)


@asynccontextmanager
async def watching(url: str, query: str) -> AsyncIterator[Watch]:
    """A watch that looks, on a connection of its own; in the end everything that it waits for must have been there.

    Raises TimeoutError if it is not in a minute's time.
    """
    connection = await database.connect(url)
    watch = Watch(connection, query)
    looking = asyncio.create_task(watch.run())
    try:
        yield watch
        async with asyncio.timeout(PATIENCE_S):
            while watch.waiting and not looking.done():
                await asyncio.sleep(LOOK_S)
    finally:
        looking.cancel()
        await asyncio.wait([looking])
        await connection.close()
    if not looking.cancelled():
        looking.result()


async def run(bench: Bench, rate: int, seconds: float, together: int = 1) -> dict[str, Any]:
    """Milliseconds at this rate of events a second, so many `together` in a request. Raises AssertionError unless all
    were accepted and counted, and the oracle finds nothing."""
    await bench.reset_topics()
    count = int(rate * (WARM_S + seconds)) // together * together
    async with bench.system(*SERVICES) as under_test:
        await under_test.start_all(**UNLIMITED)
        key = await under_test.key(TENANT, "test")
        await _know(under_test, key, count)
        pids = {each.service: each.process.pid for each in under_test.processes} | bench.pids
        meter = process.Meter(pids)
        async with watching(under_test.databases["national"].app, COUNTED) as watch:
            answered, late = await _send(under_test.running("gateway")[0].url, key, rate, count, together, watch)
        cost = meter.cost(count)
        await under_test.settled(300)  # the oracle's word, too
        await end(under_test.processes)
    warm = int(rate * WARM_S)
    waits = [watch.seen[subject] - at for subject, at in list(answered.items())[warm:]]
    return {
        "ms": latencies(waits),
        "kept_up": max(late) < KEPT_UP_S,
        "look_ms": latencies(watch.looks),  # the coarseness of what is said
        "sent_late_ms": max(late) * 1000,  # how far the load fell behind its own times
        **cost,
    }


async def _know(under_test: System, key: str, count: int) -> None:
    """An owner and its products, known everywhere."""
    async with Client(under_test.running("gateway")[0].url) as client:
        acts = [owner("CT-1"), *(product(f"SP-{number}") for number in range(count))]
        for start in range(0, len(acts), BATCH):
            status, body = await client.post("/v1/events", MANY, key, json.dumps(acts[start : start + BATCH]).encode())
            assert status == 200 and b'"refused"' not in body, body[:300]
    left = await quiet.wait_until_quiet(under_test.bootstrap, under_test.urls, 300)
    assert not left, left


async def _send(
    url: str, key: str, rate: int, count: int, together: int, watch: Watch
) -> tuple[dict[UUID, float], list[float]]:
    """When each 202 came (of several together, their one answer), and how late each request was sent."""
    answered: dict[UUID, float] = {}
    late: list[float] = []
    due = asyncio.Queue[tuple[float, range]]()
    began = time.perf_counter() + 0.1
    for number in range(0, count, together):
        due.put_nowait((began + number / rate, range(number, number + together)))

    async def sender() -> None:
        async with Client(url) as client:
            while not due.empty():
                at, numbers = due.get_nowait()
                await asyncio.sleep(at - time.perf_counter())
                late.append(time.perf_counter() - at)
                subjects = [aggregate_id("product", Ref(namespace=TENANT, ref=f"SP-{number}")) for number in numbers]
                acts = [recognised("1-2025", "2025-06-01", of=f"SP-{n}", id_=f"r-{n}", stars=4) for n in numbers]
                watch.waiting.update(subjects)
                if together == 1:
                    status, body = await client.post("/v1/events", SINGLE, key, json.dumps(acts[0]).encode())
                    assert status == 202, body[:300]
                else:
                    status, body = await client.post("/v1/events", MANY, key, json.dumps(acts).encode())
                    assert body.count(b'"status":"accepted"') == together, body[:300]
                answered.update(dict.fromkeys(subjects, time.perf_counter()))

    await asyncio.gather(*(sender() for _ in range(CONNECTIONS)))
    return answered, late
