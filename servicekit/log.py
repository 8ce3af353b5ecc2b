"""Topics read once, beside the group that lives on them: from given offsets to given offsets, and no further."""

from collections.abc import AsyncIterator, Container, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final
from uuid import UUID

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError, OffsetOutOfRangeError
from aiokafka.partitioner import murmur2

from contracts.topics import TOPICS
from servicekit import access
from servicekit.kafka import MAX_PARTITION_FETCH_BYTES
from servicekit.topic_ids import present_ids

POLL_MS: Final = 1000
SILENCE_POLLS: Final = 60  # without a record, while there are some: Kafka is away

Records = Sequence[ConsumerRecord[bytes, bytes]]
Offsets = Mapping[TopicPartition, int]


class LogError(KafkaError):  # type: ignore[misc]  # untyped
    """What lies on the topics does not come."""


@asynccontextmanager
async def opened(bootstrap: str, name: str) -> AsyncIterator[AIOKafkaConsumer]:
    """A consumer that is in no group and commits nothing. Raises a KafkaError while no broker answers."""
    consumer = AIOKafkaConsumer(
        **access.to(bootstrap),
        client_id=name,
        enable_auto_commit=False,
        auto_offset_reset="none",
        max_partition_fetch_bytes=MAX_PARTITION_FETCH_BYTES,
    )
    try:
        await consumer.start()
        yield consumer
    finally:
        await access.ended(consumer.stop(), consumer._client)


async def limits(consumer: AIOKafkaConsumer, topics: Iterable[str]) -> tuple[Offsets, Offsets]:
    """Where each partition begins and ends now."""
    partitions = [TopicPartition(topic, number) for topic in topics for number in range(TOPICS[topic].partitions)]
    consumer.assign(partitions)
    return await consumer.beginning_offsets(partitions), await consumer.end_offsets(partitions)


def home(topic: str, key: str) -> int:
    """The partition that our writers put what has this key into (Kafka's own formula)."""
    number: int = (murmur2(key.encode()) & 0x7FFFFFFF) % TOPICS[topic].partitions
    return number


async def epochs(consumer: AIOKafkaConsumer, topics: Iterable[str]) -> Mapping[str, UUID]:
    """The present id of each topic."""
    return await present_ids(consumer._client, topics)


async def records(
    consumer: AIOKafkaConsumer, starts: Offsets, ends: Offsets, most: int, done: Container[TopicPartition] = ()
) -> AsyncIterator[Records]:
    """Records in the order of each partition, of one at a time and at most so many; then the next ones are read.

    A partition that is in `done` by then is read no further. Raises LogError if there are some, and for a minute none
    comes.
    """
    unread = {partition for partition, start in starts.items() if start < ends[partition]}
    if not unread:
        return
    consumer.assign(unread)
    for partition in unread:
        consumer.seek(partition, starts[partition])
    silent = 0
    while unread:
        polled = await consumer.getmany(*unread, timeout_ms=POLL_MS, max_records=most)
        silent = 0 if polled else silent + 1
        if silent > SILENCE_POLLS:
            raise LogError(f"{len(unread)} partitions give no records any more: {min(unread)} for one.")
        for partition, found in polled.items():
            wanted = [record for record in found if record.offset < ends[partition]]
            if wanted:
                yield wanted
        unread = {p for p in unread if p not in done and await consumer.position(p) < ends[p]}


async def what_stays(consumer: AIOKafkaConsumer, starts: Offsets, ends: Offsets, most: int) -> AsyncIterator[Records]:
    """The same, for who only looks on: what retention takes before it is read is passed over."""
    stands = dict(starts)
    while True:
        try:
            async for found in records(consumer, stands, ends, most):
                stands[TopicPartition(found[-1].topic, found[-1].partition)] = found[-1].offset + 1
                yield found
            return
        except OffsetOutOfRangeError:
            begins = await consumer.beginning_offsets(list(stands))
            stands = {partition: max(stand, begins[partition]) for partition, stand in stands.items()}
