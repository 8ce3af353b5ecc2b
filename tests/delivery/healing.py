"""When a system is well again: every process live and ready, and what lay on topics and in outboxes has gone on."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import asyncpg
import httpx2
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from contracts.topics import DECIDERS, outcome_topic, submission_topic
from ocop.rules.evidence import READERS, all_partitions
from servicekit import database

# Who reads what, numbered topics and others.
READS: Mapping[str, tuple[str, ...]] = {
    "gateway": tuple(outcome_topic(service) for service in DECIDERS),
    **{service: (submission_topic(service), *READERS.get(service, ())) for service in DECIDERS},
    "notifications": (*READERS["notifications"], *(outcome_topic(service) for service in DECIDERS)),
    "national": READERS["national"],
}
SENDERS = ("gateway", *DECIDERS)
AWAY = (asyncpg.PostgresError, asyncpg.InterfaceError, KafkaError, OSError, asyncio.TimeoutError)


class NotHealedError(AssertionError):
    """The time is over; the message says what is still missing."""


@dataclass(frozen=True, slots=True)
class Mark:
    """Where topics end and outboxes stand at a moment."""

    ends: Mapping[TopicPartition, int]
    outboxes: Mapping[str, int]


async def mark(bootstrap: str, urls: Mapping[str, str]) -> Mark:
    """What has to go on from now. Raises one of AWAY when an engine does not answer."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, request_timeout_ms=5000)
    try:
        await consumer.start()
        ends = await consumer.end_offsets(all_partitions())
    finally:
        await consumer.stop()
    outboxes = {}
    for service, url in urls.items():
        if service in SENDERS:
            outboxes[service] = await _value(url, "SELECT coalesce(max(id), 0) FROM outbox")
    return Mark(ends, outboxes)


async def left(since: Mark, urls: Mapping[str, str]) -> list[str]:
    """What of the mark has not gone on yet."""
    found = []
    for service, url in urls.items():
        connection = await database.connect(url, name="healing")
        try:
            rows = await connection.fetch("SELECT topic, partition, next_offset FROM position")
            sent = service not in SENDERS or not await connection.fetchval(
                "SELECT EXISTS (SELECT FROM outbox WHERE id <= $1)", since.outboxes[service]
            )
        finally:
            await connection.close()
        stands = {TopicPartition(row["topic"], row["partition"]): row["next_offset"] for row in rows}
        behind = [p for p, end in since.ends.items() if p.topic in READS[service] and stands.get(p, 0) < end]
        found += [f"{service}: {len(behind)} partitions not read on"] if behind else []
        found += [] if sent else [f"{service}: the outbox does not move"]
    return found


async def unwell(health: Sequence[str], means: Sequence[str] = ("live", "ready")) -> list[str]:
    """Processes, by their addresses, that are not live and ready."""
    async with httpx2.AsyncClient(timeout=5) as client:

        async def asked(url: str) -> list[str]:
            try:
                answers = [await client.get(f"{url}/health/{what}") for what in means]
            except httpx2.TransportError as error:
                return [f"{url}: {type(error).__name__}"]
            return [f"{url}: {answer.text}" for answer in answers if answer.status_code != 200]

        return [line for lines in await asyncio.gather(*map(asked, health)) for line in lines]


async def healed(bootstrap: str, urls: Mapping[str, str], health: Sequence[str], seconds: float) -> None:
    """Waits until all are live and ready, and then until what is there at that moment has gone on. Looks at least
    once."""
    until = time.monotonic() + seconds
    since = None
    while True:
        try:
            missing = await unwell(health)
            if not missing:
                since = since or await mark(bootstrap, urls)
                missing = await left(since, urls)
                if not missing:
                    return
        except AWAY as error:
            missing = [repr(error)]
        if time.monotonic() >= until:
            break
        await asyncio.sleep(0.1)
    raise NotHealedError(f"after {seconds:.0f} s: " + "; ".join(missing))


async def _value(url: str, query: str) -> int:
    connection = await database.connect(url, name="healing")
    try:
        value: int = await connection.fetchval(query)
        return value
    finally:
        await connection.close()
