"""The subscription on real Kafka: what its consumer takes off and does not hand on is read again."""

import asyncio
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import CorruptRecordException

from servicekit import database
from servicekit.health import Health
from servicekit.listener import Listener
from servicekit.runner import Runner
from servicekit.settings import Settings
from servicekit.topic_ids import present_ids
from tests.engines import Databases
from tests.waiting import until

TOPIC = "ocop.registry.outcome"


async def test_what_a_failing_consumer_took_is_read_again(
    kafka_topics: str, databases: Databases, producer: AIOKafkaProducer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a batch whose checksum is wrong: aiokafka has moved on behind records that nobody got."""
    real, failures = AIOKafkaConsumer.getmany, [CorruptRecordException(), CorruptRecordException()]

    async def failing(self: AIOKafkaConsumer, *partitions: Any, **options: Any) -> Any:
        records = await real(self, *partitions, **options)
        if records and failures:
            raise failures.pop()
        return records

    monkeypatch.setattr(AIOKafkaConsumer, "getmany", failing)
    for number in range(10):
        await producer.send_and_wait(TOPIC, b"%d" % number, partition=number % 2)
    made = await databases.make("gateway")
    pool = await database.open_pool(made.app)
    settings = Settings(kafka_bootstrap=kafka_topics, database_url=made.app, session_timeout_ms=6000)

    async def nothing(*_: Any) -> None: ...

    runner = Runner("gateway", settings, pool, [Listener([TOPIC], nothing)], Health())
    running = asyncio.create_task(runner.run())
    try:

        async def all_read() -> bool:
            read = await pool.fetchval("SELECT sum(next_offset) FROM position WHERE topic = $1", TOPIC)
            return bool(read == 10)

        await until(all_read, 60)
        held = await pool.fetchval("SELECT count(*) FROM held")
        assert (held, failures) == (10, [])  # nameless, each put aside
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await pool.close()


async def test_the_ids_of_topics_do_not_wait_for_something_to_read(kafka_topics: str) -> None:
    """They are asked for at each poll, and a broker answers what comes over one connection one after another."""
    consumer = AIOKafkaConsumer(TOPIC, bootstrap_servers=kafka_topics, fetch_max_wait_ms=60_000)
    await consumer.start()
    try:
        assert not await consumer.getmany(timeout_ms=500), "from now on a fetch is under way that waits for a minute"
        async with asyncio.timeout(20):
            assert TOPIC in await present_ids(consumer._client, [TOPIC])
    finally:
        await consumer.stop()
