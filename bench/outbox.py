"""The relay: a full outbox goes to Kafka, is acknowledged, and is removed."""

import json
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from bench import clock, process
from bench.data import PRODUCT, products
from bench.decider import SAYS, relay_elsewhere
from bench.engines import Bench, Gate, end
from contracts.topics import PARTITIONS
from servicekit.database import Connection


async def run(bench: Bench, rows: int, subjects: int) -> dict[str, Any]:
    """Rows a second, from the first visible removal to the last, by a registry that has nothing else to do. Raises
    AssertionError unless all are on the topic, each once, and in the order of their numbers."""
    await bench.reset_topics(SAYS)
    async with bench.system("registry") as under_test:
        made = under_test.databases["registry"]
        async with relay_elsewhere(made) as connection:
            await fill(connection, rows, subjects)
            await bench.settle(made.superuser)
            (started,) = await Gate(bench.directory).start(under_test, "registry", 1)
            pids = {"registry": started.process.pid, **bench.pids}
            meter = process.Meter(pids)
            await connection.execute("SELECT pg_advisory_unlock_all()")  # the registry's own relay leads from now on
            span = await clock.watch(lambda: confirmed(connection), rows)
            cost = meter.cost(rows)
            assert not await connection.fetchval("SELECT count(*) FROM outbox"), "rows are left"
            await end([started])
    await check(bench.bootstrap, rows)
    return {"rate": span.rate, "seconds": span.seconds, **cost}


async def fill(connection: Connection, rows: int, subjects: int) -> None:
    """Puts events of products into the outbox."""
    await connection.copy_records_to_table(
        "outbox",
        columns=("topic", "key", "headers", "payload"),
        records=[
            (
                record.topic,
                record.key,
                json.dumps({name: value.decode() for name, value in record.headers}),
                record.payload,
            )
            for record in products(rows, subjects)
        ],
    )


async def confirmed(connection: Connection) -> int:
    """How many the relay has had confirmed and removed."""
    return int(
        await connection.fetchval("SELECT coalesce(sum(next_offset), 0)::bigint FROM relayed WHERE topic = $1", PRODUCT)
    )


async def check(bootstrap: str, rows: int) -> None:
    """So many records are on the topic, and each subject's numbers are 1, 2, … in this order."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest", enable_auto_commit=False)
    await consumer.start()
    try:
        consumer.assign([TopicPartition(PRODUCT, number) for number in range(PARTITIONS)])
        found, numbers = 0, dict[bytes, int]()
        while records := [each for polled in (await consumer.getmany(timeout_ms=1000)).values() for each in polled]:
            for record in records:
                number = int(dict(record.headers)["ce_subjectsequence"])
                assert number == numbers.get(record.key, 0) + 1, f"{number} after {numbers.get(record.key, 0)}"
                numbers[record.key] = number
            found += len(records)
    finally:
        await consumer.stop()
    assert found == rows, f"{found} records of {rows} rows"
