"""Memory of a service at full rate, for half an hour: how much it holds, and whether that grows.

So that no disk fills, what was written is thrown away each minute, in the database and in Kafka; of that the service
notices nothing. There is always more to read than its client fetches ahead, and no end to it.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import count, islice
from statistics import linear_regression
from typing import Any, Final
from uuid import uuid4

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from bench import clock, process
from bench.client import Client
from bench.data import OWNERS, PRODUCT, Record, owner_submissions, product_event, product_submissions, put, send
from bench.decider import SUBMISSIONS
from bench.engines import Bench, end, read
from bench.intake import BATCH, KEYS, LANES, products_of, start
from contracts.topics import TOPICS
from servicekit import database
from servicekit.kafka import start_producer
from tests.delivery.stream import BATCH as MANY
from tests.delivery.system import Process, System

EVERY_S: Final = 10.0
WARM: Final = 0.2  # of the time, not counted in the slope
CHUNK, AHEAD = 2000, 60_000  # records that are sent at a time; that may be unread, more than clients fetch ahead
SUBJECTS: Final = 2000
RETENTION: Final = {"retention.bytes": str(32 << 20), "segment.bytes": str(8 << 20)}
GROWS: Final = {
    "registry": ("inbox", "event"),
    "national": ("event",),
    "gateway": ("submission", "outcome"),
}


async def run(bench: Bench, service: str, minutes: float) -> dict[str, Any]:
    """The most that it held, in MB, and the slope after a warm-up, in MB a minute; its events a second."""
    await bench.reset_topics()
    await _short_lived(bench.bootstrap)
    async with bench.system(service) as under_test, asyncio.TaskGroup() as group:
        load: Callable[[System], Any] = {"registry": _registry, "national": _national, "gateway": _gateway}[service]
        async with load(under_test) as (started, feed):
            tasks = [group.create_task(feed), group.create_task(_throw_away(under_test, service))]
            samples, began = [], time.perf_counter()
            counted = await _events(under_test, service)
            while (now := time.perf_counter() - began) < minutes * 60:
                samples.append((now / 60, process.resident_mb(started.process.pid)))
                await asyncio.sleep(EVERY_S)
            rate = (await _events(under_test, service) - counted) / (time.perf_counter() - began)
            for task in tasks:
                task.cancel()
            peak = process.peak_mb(started.process.pid)
        await end([started])
    assert rate > 0, f"{service} has done nothing"
    return {"rate": rate, "rss_mb": peak, "slope_mb_min": slope(samples), "samples": samples}


def slope(samples: list[tuple[float, float]]) -> float:
    """Least squares over (minute, MB), the warm-up left out."""
    rest = samples[int(len(samples) * WARM) :]
    return linear_regression(*zip(*rest, strict=True)).slope


async def _events(under_test: System, service: str) -> int:
    """What it has done so far: records read, or submissions taken (its outbox's numbers)."""
    query = {
        "registry": "SELECT sum(next_offset) FROM position",
        "national": "SELECT sum(next_offset) FROM position",
        "gateway": "SELECT last_value FROM outbox_id_seq",
    }[service]
    connection = await database.connect(under_test.databases[service].superuser)
    try:
        return int(await connection.fetchval(query) or 0)
    finally:
        await connection.close()


async def _short_lived(bootstrap: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.alter_configs(
            [
                ConfigResource(ConfigResourceType.TOPIC, topic.name, topic.config | RETENTION)
                for topic in TOPICS.values()
            ]
        )
    finally:
        await admin.close()


async def _throw_away(under_test: System, service: str) -> None:
    connection = await database.connect(under_test.databases[service].superuser)
    try:
        while True:
            await asyncio.sleep(60)
            await connection.execute("TRUNCATE " + ", ".join(GROWS[service]))
    finally:
        await connection.close()


@asynccontextmanager
async def _registry(under_test: System) -> AsyncIterator[tuple[Process, Any]]:
    """Updates of products without end; the service sends what it says, too."""
    started = await under_test.start("registry")
    await put(under_test.bootstrap, owner_submissions())
    connection = await database.connect(under_test.databases["registry"].app)
    await clock.watch(lambda: read(connection, SUBMISSIONS), OWNERS)
    first = list(product_submissions(2 * SUBJECTS, SUBJECTS))
    await put(under_test.bootstrap, first)
    updates = [record for record in first if b"effective_on" in record.payload]

    def again() -> Iterator[Record]:
        for _ in count():
            for record in updates:
                yield _headed(record, ce_id=str(uuid4()), ce_correlationid=str(uuid4()))

    yield started, _feed(under_test, "registry", SUBMISSIONS, again())
    await connection.close()


@asynccontextmanager
async def _national(under_test: System) -> AsyncIterator[tuple[Process, Any]]:
    """Events of products without end: the same documents under new ids and numbers."""
    started = await under_test.start("national")
    templates = [product_event(f"SP-{number}", 2) for number in range(SUBJECTS)]

    def again() -> Iterator[Record]:
        for sequence in count(1):
            for record in templates:
                yield _headed(record, ce_id=str(uuid4()), ce_subjectsequence=str(sequence))

    yield started, _feed(under_test, "national", PRODUCT, again())


@asynccontextmanager
async def _gateway(under_test: System) -> AsyncIterator[tuple[Process, Any]]:
    """Registrations over HTTP without end, from several keys."""
    (started,), keys = await start(under_test, 1)

    async def lane(system: str, key: str, number: int) -> None:
        source = products_of(f"{system}", number * 10**9)
        async with Client(started.url) as client:
            while True:
                body = json.dumps(list(islice(source, BATCH)), ensure_ascii=False).encode()
                status, answer = await client.post("/v1/events", MANY, key, body)
                assert status == 200 and b'"refused"' not in answer, answer[:300]

    async def all_lanes() -> None:
        async with asyncio.TaskGroup() as group:
            for number in range(KEYS * LANES):
                system = sorted(keys)[number % KEYS]
                group.create_task(lane(system, keys[system], number))

    yield started, all_lanes()


def _headed(record: Record, **headers: str) -> Record:
    """The record with other values of some headers."""
    new = {name: value.encode() for name, value in headers.items()}
    return replace(record, headers=tuple((name, new.get(name, value)) for name, value in record.headers))


async def _feed(under_test: System, service: str, topic: str, records: Iterator[Record]) -> None:
    """Keeps the service supplied: never idle, never far behind."""
    connection = await database.connect(under_test.databases[service].app)
    producer, sent = await start_producer(under_test.bootstrap, "bench"), await read(connection, topic)
    try:
        while True:
            while sent - await read(connection, topic) > AHEAD:
                await asyncio.sleep(0.05)
            sent += await send(producer, islice(records, CHUNK))
    finally:
        await producer.stop()
        await connection.close()
