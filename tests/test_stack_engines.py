"""The engines of the tests are the real ones, with nothing switched off, and survive ``kill -9``."""

import asyncio
import re
from urllib.parse import urlsplit

import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from contracts.topics import TOPICS, domain_topic
from ocop import kafka, postgres, provision
from ocop.errors import OcopError
from tests.engines import Engines


@pytest.mark.parametrize("setting", ["fsync", "synchronous_commit", "full_page_writes"])
async def test_what_is_acknowledged_is_on_disk(postgres_url: str, setting: str) -> None:
    connection = await asyncpg.connect(postgres_url)
    try:
        assert await connection.fetchval(f"SHOW {setting}") == "on"
        assert (await connection.fetchval("SHOW server_version")).split()[0] == postgres.VERSION
    finally:
        await connection.close()


async def test_engines_keep_what_they_acknowledged_through_kill_9(engines: Engines) -> None:
    connection = await asyncpg.connect(engines.postgres_url)
    await connection.execute("CREATE TABLE kept (n integer)")
    await connection.execute("INSERT INTO kept VALUES (1)")
    engines.kill_postgres()
    assert not await postgres.answers(engines.postgres_url)
    connection.terminate()
    await engines.start_postgres()
    connection = await asyncpg.connect(engines.postgres_url)
    assert await connection.fetchval("SELECT n FROM kept") == 1
    await connection.close()

    topic = TOPICS[domain_topic("registry", "owner")]
    await provision.topics(engines.kafka_bootstrap, [topic])
    async with AIOKafkaProducer(bootstrap_servers=engines.kafka_bootstrap, acks="all") as producer:
        await producer.send_and_wait(topic.name, b"kept", partition=0)
    engines.kill_kafka()
    assert not await kafka.answers(engines.kafka_bootstrap)
    await engines.start_kafka()
    consumer = AIOKafkaConsumer(bootstrap_servers=engines.kafka_bootstrap)
    async with consumer:
        partition = TopicPartition(topic.name, 0)
        consumer.assign([partition])
        await consumer.seek_to_beginning(partition)
        async with asyncio.timeout(30):
            assert (await consumer.getone()).value == b"kept"


async def test_nobody_gets_in_without_the_password(engines: Engines) -> None:
    for host in ("127.0.0.1", str(engines.directory / "postgres" / "data")):
        port = urlsplit(engines.postgres_url).port
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(host=host, port=port, user=postgres.SUPERUSER, password="guess", database="postgres")


async def test_a_killed_server_starts_though_its_number_was_given_to_another(engines: Engines) -> None:
    engines.kill_postgres()
    # Of the same user, since the server takes a process that it may not signal for no server at all.
    other = await asyncio.create_subprocess_exec(*postgres.unprivileged(), "sleep", "600")
    try:
        lock = engines.directory / "postgres" / "data" / "postmaster.pid"
        lock.write_text(re.sub(r"^\d+", str(other.pid), lock.read_text()))
        postgres.prepare(engines.directory / "postgres", "unused")
        await engines.start_postgres()
    finally:
        other.kill()
        await other.wait()


async def test_waiting_for_what_is_not_there_ends(engines: Engines) -> None:
    engines.stop_postgres()
    with pytest.raises(OcopError, match="does not answer"):
        await postgres.wait_until_answers(engines.postgres_url, 0.2)
    engines.stop_kafka()
    with pytest.raises(OcopError, match="does not answer"):
        await kafka.wait_until_answers(engines.kafka_bootstrap, 0.2)
