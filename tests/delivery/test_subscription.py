"""The subscription on real Kafka: what its consumer takes off and does not hand on is read again; a connection that the
network has forgotten is given up soon."""

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, ConsumerRecord
from aiokafka.client import AIOKafkaClient, ConnectionGroup
from aiokafka.errors import CorruptRecordException, RequestTimedOutError

from servicekit import access, database, kafka, topic_ids
from servicekit.health import Health
from servicekit.listener import Listener
from servicekit.runner import Runner
from servicekit.settings import Settings
from servicekit.topic_ids import present_ids
from tests.engines import Databases
from tests.waiting import until

TOPIC = "ocop.registry.outcome"


class Unmoved(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types
    """Whatever is assigned: reading begins where Kafka says."""

    def on_partitions_revoked(self, revoked: object) -> None: ...

    def on_partitions_assigned(self, assigned: object) -> None: ...


def forget(client: AIOKafkaClient, used_for: object) -> None:
    """Nothing that is asked over the connections that there are for this arrives any more, and nobody is told."""
    for (_, group), connection in client._conns.items():
        if group == used_for:
            connection._writer.write = lambda _: None


async def test_reading_goes_on_soon_when_the_network_has_forgotten_its_connections(
    kafka_topics: str, producer: AIOKafkaProducer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access, "REQUEST_TIMEOUT_MS", 4000)
    monkeypatch.setattr(kafka, "REBALANCE_TIMEOUT_MS", 3000)
    read: list[bytes | None] = []

    async def handle(records: Sequence[ConsumerRecord[bytes, bytes]]) -> None:
        read.extend(record.value for record in records)

    subscription = kafka.Subscription(
        kafka_topics,
        "gateway",
        [TOPIC],
        handle=handle,
        turned=lambda: None,
        polled=lambda _: None,
        lost=lambda: None,
        listener=Unmoved(),
        poll_records=10,
        session_timeout_ms=6000,
    )

    async def has_read(value: bytes) -> bool:
        return value in read

    await subscription.start()
    try:
        await producer.send_and_wait(TOPIC, b"before")
        await until(partial(has_read, b"before"))
        forget(subscription.consumer._client, ConnectionGroup.DEFAULT)
        for value in b"asked for before", b"after":
            await producer.send_and_wait(TOPIC, value)
            await until(partial(has_read, value), 20)
    finally:
        await subscription.stop()


async def test_the_ids_of_topics_are_asked_over_a_new_connection_when_one_is_silent(
    kafka_topics: str, producer: AIOKafkaProducer, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await present_ids(producer.client, [TOPIC])
    forget(producer.client, topic_ids.ASKED_BESIDE)
    monkeypatch.setattr(topic_ids, "ASKED_S", 0.2)
    with pytest.raises(RequestTimedOutError):
        await present_ids(producer.client, [TOPIC])
    monkeypatch.undo()
    assert await present_ids(producer.client, [TOPIC])


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
