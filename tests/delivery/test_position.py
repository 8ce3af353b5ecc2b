"""Where a database has read, compared with a real log that was cut, lost its tail, or was made anew."""

from collections.abc import AsyncIterator

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from contracts.topics import TOPICS
from ocop import provision
from servicekit import database, position
from servicekit.database import Pool
from servicekit.kafka import start_producer
from servicekit.topic_ids import topic_ids
from tests.engines import Databases

TOPIC = "ocop.registry.owner"
PARTITION = TopicPartition(TOPIC, 3)


@pytest.fixture
async def pool(databases: Databases) -> AsyncIterator[Pool]:
    made = await databases.make("national")
    pool = await database.open_pool(made.app)
    yield pool
    await pool.close()


async def fill(bootstrap: str, count: int) -> None:
    producer = await start_producer(bootstrap, "test")
    for number in range(count):
        await producer.send_and_wait(TOPIC, str(number).encode(), partition=PARTITION.partition)
    await producer.stop()


async def settle(pool: Pool, bootstrap: str) -> int:
    consumer = AIOKafkaConsumer(TOPIC, bootstrap_servers=bootstrap)
    await consumer.start()
    try:
        settled = await position.settle(pool, consumer, bootstrap, [PARTITION])
    finally:
        await consumer.stop()
    row = await pool.fetchrow("SELECT next_offset, topic_id FROM position")
    assert row is not None
    assert row["next_offset"] == settled[PARTITION]
    assert row["topic_id"] == (await topic_ids(bootstrap, [TOPIC]))[TOPIC]
    return settled[PARTITION]


async def stand(pool: Pool, offset: int) -> None:
    await pool.execute("UPDATE position SET next_offset = $1", offset)


async def test_first_sight_within_beyond_and_below(kafka_topics: str, pool: Pool) -> None:
    await fill(kafka_topics, 10)
    assert await settle(pool, kafka_topics) == 0, "at first sight the log's start"
    await stand(pool, 7)
    assert await settle(pool, kafka_topics) == 7, "within: as it is"
    await stand(pool, 99)
    assert await settle(pool, kafka_topics) == 10, "the log has lost its tail: what comes next is read"
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka_topics)
    await admin.start()
    await admin.delete_records({PARTITION: RecordsToDelete(before_offset=5)})
    await admin.close()
    await stand(pool, 2)
    assert await settle(pool, kafka_topics) == 5, "gone unread: on from where the log begins"


async def test_a_topic_made_anew_is_a_new_epoch(kafka_topics: str, pool: Pool) -> None:
    await fill(kafka_topics, 4)
    assert await settle(pool, kafka_topics) == 0
    await stand(pool, 4)
    await provision.remove_topics(kafka_topics, [TOPIC])
    await provision.topics(kafka_topics, [TOPICS[TOPIC]])
    await fill(kafka_topics, 6)
    assert await settle(pool, kafka_topics) == 0, "the old place lies within the new log, and means nothing there"
