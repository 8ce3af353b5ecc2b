"""The way out: nothing removed that is not confirmed, nothing sent out of order, one leader."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.client import ConnectionGroup
from aiokafka.errors import KafkaError

from contracts.topics import TOPICS
from ocop import oracle, provision
from servicekit import database, outbox, relay, topic_ids
from servicekit.database import Pool
from servicekit.kafka import start_producer
from servicekit.metrics import METRICS
from servicekit.outbox import Outgoing
from servicekit.relay import Relay
from servicekit.republish import republish
from servicekit.setback import SetBackError, unknown_records
from tests.delivery.test_subscription import forget
from tests.engines import Database, Databases
from tests.national.feed import said_of
from tests.submissions import owner
from tests.waiting import until

TOPIC = "ocop.registry.owner"
DEADLINE_S = 20


@pytest.fixture
async def registry(databases: Databases) -> Database:
    return await databases.make("registry")


@pytest.fixture
async def pool(registry: Database) -> AsyncIterator[Pool]:
    pool = await database.open_pool(registry.app)
    yield pool
    await pool.close()


def row(number: int, *, size: int = 0, key: str = "same-key") -> Outgoing:
    return Outgoing(TOPIC, key, {"ce_id": str(number)}, str(number).encode().ljust(size))


@asynccontextmanager
async def relaying(bootstrap: str, made: Database) -> AsyncIterator[Relay]:
    running = Relay("registry", bootstrap, made.app)
    task = asyncio.create_task(running.run())
    try:
        yield running
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def emptied(pool: Pool) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while await pool.fetchval("SELECT count(*) FROM outbox"):
            await asyncio.sleep(0.02)


async def relayed(bootstrap: str, made: Database, pool: Pool, *rows: Outgoing) -> None:
    """Puts these into the outbox, and lets a relay send them."""
    async with pool.acquire() as connection:
        await outbox.put(connection, rows)
    async with relaying(bootstrap, made):
        await emptied(pool)


async def made_anew(bootstrap: str) -> None:
    """Deletes the topic, and makes it again."""
    await provision.remove_topics(bootstrap, [TOPIC])
    await provision.topics(bootstrap, TOPICS.values())


async def sent(bootstrap: str) -> list[int]:
    return [int(record.value) async for record in oracle.records(bootstrap, TOPIC)]


async def test_in_order_and_removed_when_confirmed(kafka_topics: str, registry: Database, pool: Pool) -> None:
    await relayed(kafka_topics, registry, pool, *(row(n) for n in range(1200)))
    assert await sent(kafka_topics) == list(range(1200))
    assert await pool.fetchval("SELECT sum(next_offset) FROM relayed") == 1200


async def test_what_fills_several_batches_stays_in_order(kafka_topics: str, registry: Database, pool: Pool) -> None:
    """Of one partition, and one record that is larger than a batch by itself."""
    sizes = [100_000, 0, 0, 600_000, 0, *[50_000] * 20, 0]
    async with pool.acquire() as connection:
        for number, size in enumerate(sizes):
            others = [row(1000 + number, key=f"other-{number}")]
            await outbox.put(connection, [row(number, size=size), *others])
    async with relaying(kafka_topics, registry):
        await emptied(pool)
    found = await sent(kafka_topics)
    assert [number for number in found if number < 1000] == list(range(len(sizes)))
    assert sorted(number - 1000 for number in found if number >= 1000) == list(range(len(sizes)))
    assert await pool.fetchval("SELECT sum(next_offset) FROM relayed") == 2 * len(sizes)


async def test_a_key_lies_where_every_producer_puts_it(kafka_topics: str) -> None:
    producer = await start_producer(kafka_topics, "test")
    try:
        keys = [f"key-{number}" for number in range(50)]
        rows = [{"topic": TOPIC, "key": key, "payload": b"", "headers": {}} for key in keys]
        placed = await relay._send_all(producer, rows)
        usual = [await producer.send_and_wait(TOPIC, b"", key=key.encode()) for key in keys]
    finally:
        await producer.stop()
    assert [place[0].partition for place in placed if isinstance(place, tuple)] == [each.partition for each in usual]


async def test_a_lower_id_that_commits_while_others_are_sent_is_not_removed(
    kafka_topics: str, registry: Database, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`DELETE … WHERE id <= last` would remove it unsent."""
    send_all = relay._send_all
    async with pool.acquire() as late:
        transaction = late.transaction()
        await transaction.start()
        await outbox.put(late, [row(1)])
        async with pool.acquire() as connection:
            await outbox.put(connection, [row(2)])
        committed = False

        async def commit_meanwhile(producer: Any, rows: Sequence[Any]) -> Any:
            nonlocal committed
            results = await send_all(producer, rows)
            if not committed:
                committed = True
                await transaction.commit()
            return results

        monkeypatch.setattr(relay, "_send_all", commit_meanwhile)
        async with relaying(kafka_topics, registry):
            await emptied(pool)
    assert sorted(await sent(kafka_topics)) == [1, 2]


async def test_nothing_is_removed_around_a_hole(
    kafka_topics: str, registry: Database, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A send that failed in the middle: what follows it was perhaps sent, and is sent again behind it."""
    send_all = relay._send_all
    producers: list[Any] = []
    removed: list[list[int]] = []
    remove = relay._remove

    async def fail_once(producer: Any, rows: Sequence[Any]) -> list[relay.Place | BaseException]:
        results: list[relay.Place | BaseException] = await send_all(producer, rows)
        producers.append(producer)
        if len(producers) == 1:
            results[1] = KafkaError("lost")
        return results

    async def watched(connection: Any, confirmed: Sequence[Any], epochs: Any) -> None:
        removed.append([int(each["payload"]) for each, _ in confirmed])
        await remove(connection, confirmed, epochs)

    monkeypatch.setattr(relay, "_send_all", fail_once)
    monkeypatch.setattr(relay, "_remove", watched)
    await relayed(kafka_topics, registry, pool, *(row(n) for n in range(4)))
    assert removed == [[0], [1, 2, 3]]
    assert await sent(kafka_topics) == [0, 1, 2, 3, 1, 2, 3]
    assert producers[0] is not producers[1], "after an error the producer is made anew"


async def test_the_producer_is_idempotent_and_waits_for_all(kafka_topics: str) -> None:
    producer = await start_producer(kafka_topics, "test")
    try:
        assert producer._txn_manager is not None  # aiokafka shows its idempotence nowhere else
        assert producer._sender._acks == -1
    finally:
        await producer.stop()


async def test_one_leader_and_its_lock_goes_with_its_connection(
    kafka_topics: str, registry: Database, pool: Pool
) -> None:
    async def leaders() -> list[int]:
        rows = await pool.fetch(
            """SELECT pid FROM pg_locks JOIN pg_database d ON d.oid = database
               WHERE locktype = 'advisory' AND granted AND d.datname = current_database()"""
        )
        return [each["pid"] for each in rows]

    async with relaying(kafka_topics, registry), relaying(kafka_topics, registry):
        async with asyncio.timeout(DEADLINE_S):
            while len(await leaders()) != 1:
                await asyncio.sleep(0.02)
        (first,) = await leaders()
        owner = await database.connect(registry.superuser)
        await owner.execute("SELECT pg_terminate_backend($1)", first)
        await owner.close()
        async with pool.acquire() as connection:
            await outbox.put(connection, [row(n) for n in range(10)])
        await emptied(pool)
        (second,) = await leaders()
        assert second != first
    assert await sent(kafka_topics) == list(range(10))


async def said_elsewhere(bootstrap: str, producer: AIOKafkaProducer) -> TopicPartition:
    """An event of the service on its topic that this database does not have."""
    event = said_of([owner(id_="o")])[0]
    key = (event.named("subject") or "").encode()
    sent = await producer.send_and_wait(event.topic, event.payload, key=key, headers=list(event.headers))
    return TopicPartition(event.topic, sent.partition)


async def test_who_does_not_know_what_it_has_said_sends_nothing_more(
    kafka_topics: str, registry: Database, pool: Pool, producer: AIOKafkaProducer
) -> None:
    """A database may go back under a running service: its connections are lost, and come back to another past."""
    await said_elsewhere(kafka_topics, producer)
    async with pool.acquire() as connection:
        await outbox.put(connection, [row(1)])
    with pytest.raises(SetBackError, match=TOPIC):
        async with asyncio.timeout(DEADLINE_S):
            await Relay("registry", kafka_topics, registry.app).run()
    assert await pool.fetchval("SELECT count(*) FROM outbox") == 1


@pytest.mark.parametrize("of_now", [True, False])
async def test_what_was_confirmed_of_a_topic_that_is_no_more_says_nothing_of_this_one(
    kafka_topics: str, pool: Pool, producer: AIOKafkaProducer, of_now: bool
) -> None:
    partition = await said_elsewhere(kafka_topics, producer)
    epoch = (await topic_ids.topic_ids(kafka_topics, [TOPIC]))[TOPIC] if of_now else uuid4()
    async with pool.acquire() as connection:
        await relay.confirm(connection, {partition: 5000}, {TOPIC: epoch})
        unknown = await unknown_records(connection, kafka_topics, "registry")
    assert len(unknown) == (0 if of_now else 1)


async def test_how_far_it_is_confirmed_is_remembered_with_the_topics_epoch(
    kafka_topics: str, registry: Database, pool: Pool
) -> None:
    await relayed(kafka_topics, registry, pool, row(1))
    epochs = await topic_ids.topic_ids(kafka_topics, [TOPIC])
    assert await pool.fetchval("SELECT topic_id FROM relayed") == epochs[TOPIC]


async def test_a_topic_made_anew_is_lost_until_it_has_been_said_again(
    kafka_topics: str, registry: Database, pool: Pool
) -> None:
    lost = "SELECT array_agg(topic) FROM lost_topic"
    await relayed(kafka_topics, registry, pool, *(row(n, key=f"key-{n}") for n in range(40)))
    assert await pool.fetchval(lost) is None
    await made_anew(kafka_topics)
    await relayed(kafka_topics, registry, pool, row(40))
    assert await pool.fetchval(lost) == [TOPIC]
    for since, left in ((datetime.now(UTC), [TOPIC]), (None, None)):
        own = await database.connect(registry.app)
        await republish(own, kafka_topics, "registry", TOPIC, since)
        await own.close()
        assert await pool.fetchval(lost) == left
    await relayed(kafka_topics, registry, pool, row(41))
    assert await pool.fetchval(lost) is None


async def test_what_is_said_again_in_part_does_not_hide_that_the_topic_is_lost(
    kafka_topics: str, registry: Database, pool: Pool
) -> None:
    """Also where no relay has seen the new topic: the page tells to stop the service first."""
    await relayed(kafka_topics, registry, pool, row(1))
    await made_anew(kafka_topics)
    own = await database.connect(registry.app)
    await republish(own, kafka_topics, "registry", TOPIC, datetime.now(UTC))
    await own.close()
    assert await pool.fetchval("SELECT array_agg(topic) FROM lost_topic") == [TOPIC]


async def test_who_has_nothing_to_send_finds_out_that_the_way_is_forgotten(
    kafka_topics: str, registry: Database, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise the next row would wait for a whole time-out."""
    monkeypatch.setattr(relay, "EPOCHS_S", 0.1)
    monkeypatch.setattr(topic_ids, "ASKED_S", 0.5)
    async with relaying(kafka_topics, registry) as running:
        async with pool.acquire() as connection:
            await outbox.put(connection, [row(1)])
        await emptied(pool)
        assert running._producer is not None
        forget(running._producer.client, ConnectionGroup.DEFAULT)

        async def dropped() -> bool:
            return running._producer is None

        await until(dropped, DEADLINE_S)
        assert METRICS.leads._value.get() == 1, "whose lead hangs on the database alone"
        async with pool.acquire() as connection:
            await outbox.put(connection, [row(2)])
        await emptied(pool)
    assert await sent(kafka_topics) == [1, 2]


async def test_a_producer_that_is_dropped_sends_nothing_more(kafka_topics: str, registry: Database) -> None:
    """Idempotent batches never expire: what still waits for a leader would be sent behind our back."""
    dropped = Relay("registry", kafka_topics, registry.app)
    producer = dropped._producer = await start_producer(kafka_topics, "test")
    producer._message_accumulator.close = asyncio.Event().wait  # it never gets rid of what it has
    await dropped._drop_producer()
    assert producer._sender.sender_task.done()
