"""Notices a database that was set back: one that has said more than it knows.

Numbers that readers have applied would be given again, with another cause; deciding once more is not safe, for
another partition may be faster this time. So a service compares its own topics with its database before it reads
or sends anything, and stays still until an operator adopts what was said.
"""

from collections.abc import AsyncIterator, Container, Iterable, Sequence
from uuid import UUID

from aiokafka import TopicPartition

from contracts.outcome import Outcome
from contracts.topics import TOPICS
from servicekit import health, log
from servicekit.database import Connection
from servicekit.message import Message, decode

POLL_RECORDS = 500


class SetBackError(Exception):
    """The database was set back while the service ran: it must end, and look at itself when it starts again."""


async def unknown_records(connection: Connection, bootstrap: str, service: str) -> list[str]:
    """Records on the service's own topics, beyond what its relay has confirmed, that its database does not have.

    The first of each partition, as topic/partition@offset. Raises a KafkaError while the broker is away.
    """
    found: dict[TopicPartition, str] = {}
    topics = [topic.name for topic in TOPICS.values() if topic.service == service]
    async for partition, records in said_beyond(connection, bootstrap, topics, found):
        health.turned()
        missing = await _missing(connection, partition.topic, ours(records))
        if missing is not None:
            found[partition] = f"{partition.topic}/{partition.partition}@{missing.offset}"
    return sorted(found.values())


async def still_knows(connection: Connection, bootstrap: str, service: str) -> None:
    """Raises SetBackError if the database does not know what it has said."""
    if unknown := await unknown_records(connection, bootstrap, service):
        raise SetBackError(f"The database was set back: it does not know {', '.join(unknown)}")


async def said_beyond(
    connection: Connection, bootstrap: str, topics: Sequence[str], done: Container[TopicPartition] = ()
) -> AsyncIterator[tuple[TopicPartition, Sequence[Message]]]:
    """What lies on these topics of the service beyond what its relay has confirmed, in order, up to the present ends.

    A partition that is in `done` by then is read no further. Raises a KafkaError while the broker is away.
    """
    if not topics:
        return
    rows = await connection.fetch("SELECT topic, partition, next_offset, topic_id FROM relayed")
    async with log.opened(bootstrap, "setback") as consumer:
        epochs = await log.epochs(consumer, topics)  # what was confirmed of an earlier one says nothing of this
        confirmed = {
            TopicPartition(row["topic"], row["partition"]): row["next_offset"]
            for row in rows
            if row["topic_id"] == epochs.get(row["topic"])
        }
        first, ends = await log.limits(consumer, topics)
        starts = {partition: max(confirmed.get(partition, 0), start) for partition, start in first.items()}
        async for records in log.records(consumer, starts, ends, POLL_RECORDS, done):
            yield TopicPartition(records[0].topic, records[0].partition), [decode(record) for record in records]


def ours(records: Iterable[Message]) -> list[Message]:
    """Those that the service has written: what anybody else has put there does not decode."""
    return [record for record in records if record.envelope is not None]


async def _missing(connection: Connection, topic: str, records: Sequence[Message]) -> Message | None:
    """The first of these records that the database does not know to have said."""
    kind = TOPICS[topic].kind
    if kind == "domain":
        rows = await connection.fetch("SELECT id FROM event WHERE id = ANY($1::uuid[])", _uuids(records, "id"))
        known = {row["id"] for row in rows}
        return next((record for record in records if record.named_uuid("id") not in known), None)
    if kind == "submission":
        ids = _uuids(records, "correlationid")
        known = {
            row["id"] for row in await connection.fetch("SELECT id FROM submission WHERE id = ANY($1::uuid[])", ids)
        }
        return next((record for record in records if record.named_uuid("correlationid") not in known), None)
    outcomes = [(record, record.data) for record in records if isinstance(record.data, Outcome)]
    # By source and id, not by submission id: a repeat goes to the submission id that asked.
    rows = await connection.fetch(
        """SELECT source, event_id, outcome_seq FROM inbox
           WHERE (source, event_id) IN (SELECT * FROM unnest($1::text[], $2::text[]))""",
        [outcome.source for _, outcome in outcomes],
        [outcome.event_id for _, outcome in outcomes],
    )
    said = {(row["source"], row["event_id"]): row["outcome_seq"] for row in rows}
    return next((r for r, outcome in outcomes if _number(r) > said.get((outcome.source, outcome.event_id), 0)), None)


def _number(record: Message) -> int:
    return record.named_number("subjectsequence") or 0


def _uuids(records: Iterable[Message], header: str) -> list[UUID]:
    return [found for record in records if (found := record.named_uuid(header)) is not None]
