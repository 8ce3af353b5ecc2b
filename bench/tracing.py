"""What tracing costs: the same load over all services without spans and with them, in turn, again and again.

Spans go to a receiver beside the load. CPU is that of the services alone, over the same length of time in each run, for
what is collected is sent every five seconds.
"""

import asyncio
import json
import time
from collections.abc import Iterator
from itertools import islice
from typing import Any, Final

from bench import clock, process
from bench.client import Client
from bench.data import TENANT
from bench.engines import Bench, end
from bench.intake import UNLIMITED, products_of
from servicekit import database
from servicekit.tracing import ENDPOINT
from tests.delivery.spans import receiver
from tests.delivery.stream import BATCH as MANY
from tests.delivery.system import SERVICES, System
from tests.submissions import owner

RATE: Final = 200  # events a second
TOGETHER: Final = 10  # in a request
SENDERS: Final = 8
WARM: Final = 400  # events before the clock runs
SEND_AFTER_S: Final = 6.0  # until all spans of the load have been sent
WAYS: Final[dict[str, dict[str, str]]] = {"without": {}, "a share": {}, "all": {"OCOP_TRACE_SHARE": "1"}}


async def run(bench: Bench, rounds: int, seconds: float) -> dict[str, Any]:
    """CPU seconds of the services per 1,000 events: without spans, with those of a share of all traces, with all.

    Raises AssertionError unless all was accepted, and spans came if and only if they were asked for, of every service
    if of all traces; TimeoutError unless all of it came to the national database.
    """
    await bench.reset_topics()
    found: list[dict[str, Any]] = []
    async with bench.system(*SERVICES) as under_test:
        acts = products_of("traced", owners=1)
        with receiver() as (endpoint, spans):
            for number in range(rounds):
                costs = {}
                for way in WAYS if number % 2 else reversed(WAYS):
                    spans.clear()
                    told = {} if way == "without" else {ENDPOINT: endpoint, **WAYS[way]}
                    costs[way] = await _run(under_test, acts, seconds, told) | {"spans": len(spans)}
                    assert bool(spans) == (way != "without"), f"{way}: {len(spans)} spans"
                    if way == "all":
                        assert {service for service, _ in spans} == {f"ocop-{service}" for service in SERVICES}
                found.append(costs)
    return {"rounds": found, "rate": RATE, "seconds": seconds}


async def _run(
    under_test: System, acts: Iterator[dict[str, Any]], seconds: float, told: dict[str, Any]
) -> dict[str, Any]:
    await under_test.start_all(**UNLIMITED, **told)
    services = {each.service: each for each in under_test.processes if each.process.poll() is None}
    key, url = await under_test.key(TENANT, "traced"), services["gateway"].url
    await _send(url, key, [owner("CT-0", id_="CT-0") | {"source": f"/provinces/{TENANT}/traced"}])
    connection = await database.connect(under_test.urls["national"])
    try:

        async def there() -> int:
            return int(await connection.fetchval("SELECT count(*) FROM product"))

        before = await there()
        await _send(url, key, list(islice(acts, WARM)))
        await clock.watch(there, before + WARM)
        count = int(RATE * seconds)
        meter, began = process.Meter({name: each.process.pid for name, each in services.items()}), time.perf_counter()
        await _send(url, key, list(islice(acts, count)))
        await clock.watch(there, before + WARM + count)
        await asyncio.sleep(began + seconds + SEND_AFTER_S - time.perf_counter())
        cost = meter.cost(count)
    finally:
        await connection.close()
    await end(list(services.values()))
    return cost


async def _send(url: str, key: str, acts: list[dict[str, Any]]) -> None:
    """Open loop: each request at its time."""
    bodies = [acts[start : start + TOGETHER] for start in range(0, len(acts), TOGETHER)]
    began = time.perf_counter()
    due = iter(enumerate(bodies))

    async def sender() -> None:
        async with Client(url) as client:
            for number, batch in due:
                await asyncio.sleep(began + number * TOGETHER / RATE - time.perf_counter())
                status, body = await client.post("/v1/events", MANY, key, json.dumps(batch).encode())
                taken = body.count(b'"status":"accepted"') + body.count(b'"status":"duplicate"')
                assert taken == len(batch), f"{status}: {body[:300]!r}"

    await asyncio.gather(*(sender() for _ in range(SENDERS)))
