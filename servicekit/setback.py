"""Notices a database that was set back: one that has said more than it knows.

Numbers that readers have applied would be given again, with another cause; deciding once more is not safe, for
another partition may be faster this time. So a service compares its own topics with its database before it reads
or sends anything, and stays still until an operator adopts what was said.
"""

from collections.abc import Mapping, Sequence
from uuid import UUID

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from contracts.outcome import Outcome
from contracts.topics import TOPICS
from servicekit.database import Connection, Pool
from servicekit.message import decode

log = structlog.get_logger(__name__)

POLL_MS = 1000


async def unknown_records(pool: Pool, bootstrap: str, service: str) -> list[str]:
    """Records on the service's own topics, beyond what its relay has confirmed, that its database does not have.

    The first of each partition, as topic/partition@offset. Raises a KafkaError while the broker is away.
    """
    topics = [topic.name for topic in TOPICS.values() if topic.service == service]
    if not topics:
        return []
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
        client_id=f"{service}-setback",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
    )
    await consumer.start()
    try:
        partitions = [
            TopicPartition(topic, partition)
            for topic in topics
            for partition in sorted(consumer.partitions_for_topic(topic) or await _partitions(consumer, topic))
        ]
        ends = await consumer.end_offsets(partitions)
        async with pool.acquire() as connection:
            rows = await connection.fetch("SELECT topic, partition, next_offset FROM relayed")
            confirmed = {TopicPartition(row["topic"], row["partition"]): row["next_offset"] for row in rows}
            beyond = {p: confirmed.get(p, 0) for p in partitions if ends[p] > confirmed.get(p, 0)}
            return await _unknown(connection, consumer, beyond, ends)
    finally:
        await consumer.stop()


async def _partitions(consumer: AIOKafkaConsumer, topic: str) -> set[int]:
    await consumer._client.force_metadata_update()  # the only way to learn of a topic not subscribed
    return consumer.partitions_for_topic(topic) or set()


async def _unknown(
    connection: Connection,
    consumer: AIOKafkaConsumer,
    beyond: Mapping[TopicPartition, int],
    ends: Mapping[TopicPartition, int],
) -> list[str]:
    if not beyond:
        return []
    consumer.assign(list(beyond))
    first = await consumer.beginning_offsets(list(beyond))
    unread = {}
    for partition, start in beyond.items():
        consumer.seek(partition, max(start, first[partition]))
        if max(start, first[partition]) < ends[partition]:
            unread[partition] = ends[partition]
    found: dict[TopicPartition, str] = {}
    while unread:
        polled = await consumer.getmany(*unread, timeout_ms=POLL_MS, max_records=500)
        for partition, records in polled.items():
            missing = await _missing(connection, partition.topic, records)
            if missing is not None:
                found.setdefault(partition, f"{partition.topic}/{partition.partition}@{missing.offset}")
        unread = {p: end for p, end in unread.items() if p not in found and await consumer.position(p) < end}
    return sorted(found.values())


async def _missing(
    connection: Connection, topic: str, records: Sequence[ConsumerRecord[bytes, bytes]]
) -> ConsumerRecord[bytes, bytes] | None:
    """The first of these records that the database does not know to have said."""
    kind = TOPICS[topic].kind
    own = "/provinces/" if kind == "submission" else f"/services/{TOPICS[topic].service}"
    # What does not claim to be ours, or cannot be read, was thrown onto the topic by somebody else.
    named = [
        (r, headers)
        for r in records
        if (headers := _headers(r)).get("ce_source", "").startswith(own) and decode(r).error is None
    ]
    if kind == "domain":
        rows = await connection.fetch("SELECT id FROM event WHERE id = ANY($1::uuid[])", _uuids(named, "ce_id"))
        known = {row["id"] for row in rows}
        return next((r for r, headers in named if _uuid(headers.get("ce_id")) not in known), None)
    if kind == "submission":
        rows = await connection.fetch(
            "SELECT id FROM submission WHERE id = ANY($1::uuid[])", _uuids(named, "ce_correlationid")
        )
        known = {row["id"] for row in rows}
        return next((r for r, headers in named if _uuid(headers.get("ce_correlationid")) not in known), None)
    outcomes = [(record, _outcome(record)) for record, _ in named]
    rows = await connection.fetch(
        """SELECT source, event_id, outcome_seq FROM inbox
           WHERE (source, event_id) IN (SELECT * FROM unnest($1::text[], $2::text[]))""",
        [source for _, (source, _, _) in outcomes],
        [event_id for _, (_, event_id, _) in outcomes],
    )
    said = {(row["source"], row["event_id"]): row["outcome_seq"] for row in rows}
    return next((r for r, (source, event_id, n) in outcomes if n > said.get((source, event_id), 0)), None)


def _outcome(record: ConsumerRecord[bytes, bytes]) -> tuple[str, str, int]:
    """Whose outcome it is, and its number. By source and id: a repeat goes to the submission id that asked."""
    outcome = Outcome.model_validate_json(record.value or b"", extra="ignore")
    return outcome.source, outcome.event_id, int(_headers(record)["ce_subjectsequence"])


def _headers(record: ConsumerRecord[bytes, bytes]) -> dict[str, str]:
    return {name: value.decode(errors="replace") for name, value in record.headers}


def _uuid(text: str | None) -> UUID | None:
    try:
        return UUID(text or "")
    except ValueError:
        return None


def _uuids(named: Sequence[tuple[object, Mapping[str, str]]], header: str) -> list[UUID]:
    return [found for _, headers in named if (found := _uuid(headers.get(header))) is not None]
