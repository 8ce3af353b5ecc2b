"""Whether anything is still on its way."""

import asyncio
import time
from collections.abc import Mapping

from aiokafka import AIOKafkaConsumer, TopicPartition

from ocop.rules.evidence import Connection, all_partitions, opened
from servicekit import log

# Where each deciding service looks references up.
REFERENCES: Mapping[str, str] = {"registry": "owner", "evaluation": "known_product", "marketplace": "known_product"}


async def wait_until_quiet(bootstrap: str, urls: Mapping[str, str], seconds: float) -> list[str]:
    """Waits until nothing is on its way; returns what still is when the time is over."""
    until = time.monotonic() + seconds
    async with opened(urls, "ocop-oracle") as databases, log.opened(bootstrap, "ocop-oracle") as consumer:
        ends: dict[TopicPartition, int] = {}
        while True:
            # One look goes round the databases while things move between them: only two alike tell.
            before, left = ends, await _unquiet(consumer, databases)
            ends = await consumer.end_offsets(all_partitions())
            if not left and ends != before:
                left = ["records have come to topics"]
            if not left or time.monotonic() > until:
                return left
            await asyncio.sleep(0.1)


async def _unquiet(consumer: AIOKafkaConsumer, databases: Mapping[str, Connection]) -> list[str]:
    left = []
    for service, connection in databases.items():
        if service != "national" and service != "notifications":
            rows = await connection.fetchval("SELECT count(*) FROM outbox")
            left += [f"{service}: {rows} rows in the outbox"] if rows else []
        ready = await connection.fetchval("SELECT count(*) FROM held WHERE ready")
        left += [f"{service}: {ready} held rows ready"] if ready else []
        if (known := REFERENCES.get(service)) is not None:
            waking = await connection.fetchval(f"SELECT count(*) FROM held h JOIN {known} k ON k.id = h.waits_for")  # noqa: S608  # names from above
            left += [f"{service}: {waking} held rows not woken yet"] if waking else []
    # What the backfill lane has not fed yet is not on its way: it stands where it was accepted.
    sent = "state = 'received' AND fed_at IS DISTINCT FROM 'infinity'"
    if waiting := await databases["gateway"].fetchval(f"SELECT count(*) FROM submission WHERE {sent}"):  # noqa: S608  # from above
        left.append(f"gateway: {waiting} submissions without an outcome")
    for service, connection in databases.items():
        topics = await unread(consumer, connection)
        lag = sum(topics.values())
        left += [f"{service}: {lag} records not read"] if lag else []
        left += [f"{service}: has read nothing yet"] if not topics else []
    return left


async def unread(consumer: AIOKafkaConsumer, connection: Connection) -> dict[str, int]:
    """Per topic that a service reads, how many records lie beyond where its database stands: of a topic that was made
    anew since, all."""
    rows = await connection.fetch("SELECT topic, partition, next_offset, topic_id FROM position")
    read = {TopicPartition(row["topic"], row["partition"]): row for row in rows}
    ids = await log.epochs(consumer, {partition.topic for partition in read})
    ends = await consumer.end_offsets(list(read)) if read else {}
    starts = await consumer.beginning_offsets(list(read)) if read else {}
    topics: dict[str, int] = {}
    for partition, row in read.items():
        of_this_log = row["topic_id"] == ids.get(partition.topic)
        stands = max(row["next_offset"], starts[partition]) if of_this_log else starts[partition]
        topics[partition.topic] = topics.get(partition.topic, 0) + max(0, ends[partition] - stands)
    return topics
