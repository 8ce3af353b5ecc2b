"""When a system is well again: every process live and ready, and what was under way has gone on: on topics, in
outboxes, among what is held and may be tried, to an outcome, and into mails."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

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
# What was there before a moment and has not gone on. What is dated later than now was there, too: a clock has run
# away since. In the backfill lane nothing is under way before it is fed.
READY = "SELECT count(*) FROM held WHERE ready AND since NOT BETWEEN $1 AND clock_timestamp()"
UNDER_WAY: Mapping[str, tuple[tuple[str, str], ...]] = {
    **dict.fromkeys(READS, (("held rows that may go on", READY),)),
    "gateway": (
        (
            "submissions without an outcome",
            """SELECT count(*) FROM submission WHERE state = 'received' AND fed_at IS DISTINCT FROM 'infinity'
                 AND received_at NOT BETWEEN $1 AND clock_timestamp()""",
        ),
    ),
    "notifications": (
        ("held rows that may go on", READY),
        (
            "deliveries without a mail",
            """SELECT count(*) FROM delivery JOIN contact USING (tenant)
               WHERE mail IS NULL AND NOT cancelled AND due_at < $1""",
        ),
    ),
}
AWAY = (asyncpg.PostgresError, asyncpg.InterfaceError, KafkaError, OSError, asyncio.TimeoutError)


class NotHealedError(AssertionError):
    """The time is over; the message says what is still missing."""


@dataclass(frozen=True, slots=True)
class Mark:
    """Where topics end and outboxes stand at a moment, and which one that is by each database's clock."""

    ends: Mapping[TopicPartition, int]
    outboxes: Mapping[str, int]
    clocks: Mapping[str, datetime]


async def mark(bootstrap: str, urls: Mapping[str, str]) -> Mark:
    """What has to go on from now. Raises one of AWAY when an engine does not answer."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, request_timeout_ms=5000)
    try:
        await consumer.start()
        ends = await consumer.end_offsets(all_partitions())
    finally:
        await consumer.stop()
    outboxes, clocks = {}, {}
    for service, url in urls.items():
        connection = await database.connect(url, name="healing")
        try:
            if service in SENDERS:
                outboxes[service] = await connection.fetchval("SELECT coalesce(max(id), 0) FROM outbox")
            clocks[service] = await connection.fetchval("SELECT clock_timestamp()")
        finally:
            await connection.close()
    return Mark(ends, outboxes, clocks)


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
            under_way = [
                (await connection.fetchval(query, since.clocks[service]), what) for what, query in UNDER_WAY[service]
            ]
        finally:
            await connection.close()
        stands = {TopicPartition(row["topic"], row["partition"]): row["next_offset"] for row in rows}
        behind = [p for p, end in since.ends.items() if p.topic in READS[service] and stands.get(p, 0) < end]
        found += [f"{service}: {len(behind)} partitions not read on"] if behind else []
        found += [] if sent else [f"{service}: the outbox does not move"]
        found += [f"{service}: {count} {what}" for count, what in under_way if count]
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
