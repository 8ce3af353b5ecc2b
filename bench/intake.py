"""The gateway: batches over HTTP from several keys, validated, durable, answered."""

import asyncio
import json
import time
from collections.abc import Iterator
from itertools import count, islice
from typing import Any, Final

from bench import process
from bench.client import Client
from bench.data import OWNERS, TENANT
from bench.engines import Bench, end
from bench.latency import latencies
from tests.delivery.stream import BATCH as KIND
from tests.delivery.system import Process, System
from tests.submissions import event, ref

BATCH: Final = 100  # events in a request
KEYS, LANES = 4, 2  # systems of the province; requests of each under way at once
WARM: Final = 20  # requests before the clock runs
# Limits are there so that nobody has the machine alone; here somebody shall.
UNLIMITED: Final[dict[str, Any]] = {
    "OCOP_KEY_EVENTS_S": "1000000",
    "OCOP_KEY_EVENTS_BURST": "1000000",
    "OCOP_KEY_REQUESTS_S": "100000",
    "OCOP_KEY_REQUESTS_AT_ONCE": "1000",
    "OCOP_ADDRESS_REQUESTS_S": "100000",
    "OCOP_OUTBOX_ROWS": "100000000",
    "OCOP_OUTBOX_AGE_S": "100000",
}


def products_of(system: str, first: int = 0, tenant: str = TENANT, owners: int = OWNERS) -> Iterator[dict[str, Any]]:
    """Registrations of products without end, as one system of a tenant sends them."""
    for number in count(first):
        name = f"{system}-{number}"
        data = {
            "product": ref(name, tenant),
            "owner": ref(f"CT-{number % owners}", tenant),
            "name": f"Sản phẩm đo tốc độ {name}",
            "place": {"province": {"catalogue": "2025", "code": tenant[-2:]}},
        }
        yield event("product.registered", data, id_=name) | {"source": f"/provinces/{tenant}/{system}"}


async def start(under_test: System, replicas: int) -> tuple[list[Process], dict[str, str]]:
    """Gateways without limits, and the keys of the systems that send."""
    gateways = [await under_test.start("gateway", ready=False, **UNLIMITED) for _ in range(replicas)]
    for each in gateways:
        await each.ready()
    systems = [f"s{number}" for number in range(KEYS)]
    return gateways, {system: await under_test.key(TENANT, system) for system in systems}


async def run(bench: Bench, events: int, replicas: int) -> dict[str, Any]:
    """Events a second that are answered, over so many gateways. Raises AssertionError unless every one was accepted,
    and is in the database."""
    await bench.reset_topics()
    async with bench.system("gateway") as under_test:
        gateways, keys = await start(under_test, replicas)
        await bench.settle(under_test.databases["gateway"].superuser)
        pids = {f"gateway-{number}": each.process.pid for number, each in enumerate(gateways, 1)} | bench.pids
        bodies = prepared(keys, max(1, (events // BATCH + WARM) // (KEYS * LANES)))
        took: list[tuple[float, float]] = []  # when a request ended, how long it took
        meter, began = process.Meter(pids), time.perf_counter()
        lanes = [
            lane(gateways[number % replicas].url, keys[system], found, took)
            for number, (system, found) in enumerate(bodies)
        ]
        await asyncio.gather(*lanes)
        sent = BATCH * len(took)
        cost = meter.cost(sent)
        ((kept,),) = await under_test.fetch("gateway", "SELECT count(*) FROM submission")
        assert kept == sent, f"{kept} kept of {sent}"
        await end(gateways)
    took.sort()
    warm = min(WARM, len(took) // 2)
    since = took[warm - 1][0] if warm else began
    measured = took[warm:]
    rate = BATCH * len(measured) / (measured[-1][0] - since)
    return {"rate": rate, "request_ms": latencies([seconds for _, seconds in measured]), **cost}


def prepared(keys: dict[str, str], requests: int) -> list[tuple[str, list[bytes]]]:
    """The bodies of each lane, made before the clock runs."""
    found = []
    for system in keys:
        source = products_of(system)
        for _ in range(LANES):
            batches = [list(islice(source, BATCH)) for _ in range(requests)]
            found.append((system, [json.dumps(batch, ensure_ascii=False).encode() for batch in batches]))
    return found


async def lane(url: str, key: str, bodies: list[bytes], took: list[tuple[float, float]]) -> None:
    """Sends one request after another."""
    async with Client(url) as client:
        for body in bodies:
            began = time.perf_counter()
            status, answer = await client.post("/v1/events", KIND, key, body)
            ended = time.perf_counter()
            took.append((ended, ended - began))
            accepted = answer.count(b'"status":"accepted"')
            assert status == 200 and accepted == BATCH, f"{status}: {accepted} accepted: {answer[:300]!r}"
