"""The lane of backfill: one namespace sends years of records at once; how long others wait for theirs meanwhile."""

import asyncio
import json
import time
from collections.abc import Iterator
from itertools import islice
from typing import Any, Final
from uuid import UUID

from gateway import backfill

from bench.client import Client
from bench.data import OWNERS, TENANT
from bench.engines import Bench, end
from bench.freshness import Watch, watching
from bench.intake import BATCH, products_of
from bench.latency import latencies
from contracts.names import Ref, aggregate_id
from servicekit import database
from tests.delivery.stream import BATCH as MANY
from tests.delivery.stream import SINGLE
from tests.delivery.system import SERVICES, System
from tests.submissions import owner

OTHER: Final = "2025-80"
OTHERS_S: Final = 10  # events a second of the other tenant
QUIET_S: Final = 10.0  # before the backfill, to compare with
PATIENCE_S: Final = 1800
LOOK_S: Final = 0.25
PUBLISHED: Final = "SELECT id FROM product WHERE id = ANY($1::uuid[])"


async def run(bench: Bench, events: int) -> dict[str, Any]:
    """The other tenant's milliseconds from sending until its product is in the national database: before, and while
    so many events of one namespace go through the lane. Limits and lane are as they are set for everybody. Raises
    AssertionError unless the oracle finds nothing in the end."""
    await bench.reset_topics()
    async with bench.system(*SERVICES) as under_test:
        await under_test.start_all()
        url = under_test.running("gateway")[0].url
        keys = {TENANT: await under_test.key(TENANT, "many"), OTHER: await under_test.key(OTHER, "few")}
        owners = [_from(owner(f"CT-{number}", id_=f"owner-{number}"), TENANT, "many") for number in range(OWNERS)]
        await send(url, keys[TENANT], iter(owners))
        async with watching(under_test.databases["national"].app, PUBLISHED) as watch:
            others = Others(url, keys[OTHER], watch)
            sending = asyncio.create_task(others.run())
            await asyncio.sleep(QUIET_S)
            before = len(others.sent)
            began = time.perf_counter()
            await _declare(under_test)
            await send(url, keys[TENANT], islice(products_of("many"), events))
            taken_s = time.perf_counter() - began
            await _all_decided(under_test, events)
            took_s = time.perf_counter() - began
            others.enough = True
            await sending
        await under_test.settled(300)
        await end(under_test.processes)
    waits = [watch.seen[subject] - at for subject, at in others.sent.items()]
    return {
        "quiet_ms": latencies(waits[:before]),
        "beside_backfill_ms": latencies(waits[before:]),
        "backfill_rate": events / took_s,
        "taken_rate": events / taken_s,
    }


class Others:
    """Another tenant, which registers a product every now and then; `sent` says when each was sent."""

    def __init__(self, url: str, key: str, watch: Watch) -> None:
        self._url, self._key, self._watch = url, key, watch
        self.sent: dict[UUID, float] = {}
        self.enough = False

    async def run(self) -> None:
        """At its rate, until it is `enough`."""
        async with Client(self._url) as client:
            await self._one(client, _from(owner("CT-0", id_="owner"), OTHER, "few"))
            started = time.perf_counter()
            for number, act in enumerate(products_of("few", tenant=OTHER, owners=1)):
                await asyncio.sleep(started + number / OTHERS_S - time.perf_counter())
                if self.enough:
                    return
                ref = act["data"]["product"]["ref"]
                subject = aggregate_id("product", Ref(namespace=OTHER, ref=ref))
                self.sent[subject] = time.perf_counter()
                self._watch.waiting.add(subject)
                await self._one(client, act)

    async def _one(self, client: Client, act: dict[str, Any]) -> None:
        status, body = await client.post("/v1/events", SINGLE, self._key, json.dumps(act).encode())
        assert status == 202, f"{status}: {body[:300]!r}"


def _from(act: dict[str, Any], tenant: str, system: str) -> dict[str, Any]:
    data = json.loads(json.dumps(act["data"]).replace(TENANT, tenant))
    return act | {"source": f"/provinces/{tenant}/{system}", "data": data}


async def send(url: str, key: str, acts: Iterator[dict[str, Any]]) -> None:
    """Sends batches one after another, as fast as the key's limits let it."""
    async with Client(url) as client:
        while batch := list(islice(acts, BATCH)):
            body = json.dumps(batch, ensure_ascii=False).encode()
            while (answer := await client.post("/v1/events", MANY, key, body))[0] == 429:
                await asyncio.sleep(1)  # what Retry-After says, at least
            accepted = answer[1].count(b'"status":"accepted"')
            assert accepted == len(batch), f"{answer[0]}: {answer[1][:300]!r}"


async def _declare(under_test: System) -> None:
    connection = await database.connect(under_test.databases["gateway"].app)
    try:
        async with connection.transaction():
            assert await backfill.declare(connection, TENANT, "bench")
    finally:
        await connection.close()


async def _all_decided(under_test: System, events: int) -> None:
    """Waits until every product of the namespace has its outcome."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            ((left,),) = await under_test.fetch(
                "gateway", "SELECT count(*) FROM submission WHERE fed_at IS NOT NULL AND state = 'received'"
            )
            if not left:
                break
            await asyncio.sleep(LOOK_S)
    rows = await under_test.fetch(
        "gateway", "SELECT state, count(*) FROM submission WHERE fed_at IS NOT NULL GROUP BY 1"
    )
    assert rows == [("applied", events)], rows
