"""Says again what the service has said, from its log of record: for a topic that was lost, or a reader that begins.

Domain events come from the log and outcomes from the inbox; from the gateway come all submissions without an end.
While it runs it is the service's relay: what is decided meanwhile waits in the outbox, so that on a topic made anew
each subject's events still come in the order of their numbers. Repeats are legal; readers skip what they have.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any

import asyncpg
from aiokafka import AIOKafkaProducer, TopicPartition

from contracts.topics import TOPICS, Topic
from servicekit import loss, records, relay
from servicekit.database import Connection
from servicekit.kafka import drop_producer, start_producer
from servicekit.setback import still_knows
from servicekit.topic_ids import present_ids

BATCH = 500
FETCHED = 50  # rows at a time: each may be close to a megabyte


async def republish(
    connection: Connection,
    bootstrap: str,
    service: str,
    topic: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    say: Callable[[str, int], None] = lambda _topic, _count: None,
    make: Callable[[], Awaitable[object]] | None = None,
) -> dict[str, int]:
    """Sends one topic of the service again, or all; returns how many records each got.

    `since` and `until` limit it to what was recorded (outcomes, submissions: received) from then and before then.
    `make` makes topics that are lost: not before nobody else sends, for a leader would begin a new one with what is
    youngest. `connection` must be one of its own: it holds the relay's lock until it is closed. Raises KafkaError or
    TimeoutError if Kafka does not take a record; what was sent until then does no harm. Raises SetBackError if the
    database does not know what it has said: what is confirmed here would hide that, and it must be adopted first.
    """
    await relay.take_over(connection, service)
    if make is not None:
        await make()
    await still_knows(connection, bootstrap, service)
    producer = await start_producer(bootstrap, f"{service}-republish")
    counts: dict[str, int] = {}
    try:
        async with connection.transaction(isolation="repeatable_read"):
            for each in TOPICS.values():
                if each.service == service and topic in (None, each.name):
                    counts[each.name] = 0
                    epochs = await present_ids(producer.client, [each.name])
                    await loss.notice(connection, epochs)
                    ends: dict[TopicPartition, int] = {}
                    async for sent, reached in _send(connection, producer, each, since, until):
                        counts[each.name] += sent
                        ends |= reached
                        say(each.name, counts[each.name])
                    await relay.confirm(connection, ends, epochs)
                    if since is until is None:
                        await loss.mended(connection, each.name, epochs[each.name])
    finally:
        await drop_producer(producer)
    return counts


async def _send(
    connection: Connection, producer: AIOKafkaProducer, topic: Topic, since: datetime | None, until: datetime | None
) -> AsyncIterator[tuple[int, dict[TopicPartition, int]]]:
    batch: list[Mapping[str, Any]] = []
    size = 0
    async for row in _rows(connection, topic, since, until):
        batch.append(row)
        size += len(row["payload"])
        if len(batch) == BATCH or size >= relay.MOST_BYTES:
            yield len(batch), await relay.send(producer, batch)
            batch, size = [], 0
    if batch:
        yield len(batch), await relay.send(producer, batch)


async def _rows(
    connection: Connection, topic: Topic, since: datetime | None, until: datetime | None
) -> AsyncIterator[Mapping[str, Any]]:
    """A topic's records, in the order in which a reader must get those of one key."""
    if topic.kind == "domain":
        query, of = _EVENTS, topic.aggregate
    elif topic.kind == "outcome":
        query, of = _OUTCOMES, None
    else:
        query, of = _SUBMISSIONS, topic.reader
    arguments = [since, until] if of is None else [since, until, of]
    async for row in connection.cursor(query, *arguments, prefetch=FETCHED):
        if topic.kind == "outcome":
            yield _outcome(topic.service, row)
        else:
            yield {**row, "topic": topic.name, "key": str(row["subject"])}


_EVENTS = """SELECT subject, headers, payload FROM event
    WHERE ($1::timestamptz IS NULL OR recorded_at >= $1) AND ($2::timestamptz IS NULL OR recorded_at < $2)
      AND aggregate = $3 ORDER BY subject, sequence"""

# Without a tenant: rows from before inbox kept what an outcome names; the gateway has those outcomes.
_OUTCOMES = """SELECT * FROM inbox
    WHERE ($1::timestamptz IS NULL OR received_at >= $1) AND ($2::timestamptz IS NULL OR received_at < $2)
      AND state <> 'said' AND outcome_seq > 0 AND submission_id IS NOT NULL AND tenant IS NOT NULL"""

_SUBMISSIONS = """SELECT subject, headers, payload FROM submission
    WHERE ($1::timestamptz IS NULL OR received_at >= $1) AND ($2::timestamptz IS NULL OR received_at < $2)
      AND service = $3 AND state NOT IN ('applied', 'rejected', 'withdrawn')
      AND fed_at IS DISTINCT FROM 'infinity' ORDER BY received_at, id"""


def _outcome(service: str, row: asyncpg.Record) -> Mapping[str, Any]:
    to = records.About(
        submission_id=row["submission_id"],
        source=row["source"],
        event_id=row["event_id"],
        type=row["type"],
        subject=row["subject"] or row["submission_id"],
        tenant=row["tenant"],
        time=row["time"] or records.UNKNOWN_TIME,
        received_at=row["received_at"] or records.UNKNOWN_TIME,
    )
    said = records.outcome(
        service,
        to,
        row["outcome_seq"],
        row["state"],
        row["code"],
        row["pointer"],
        row["params"] or {},
        list(row["event_ids"]),
    )
    return {"topic": said.topic, "key": said.key, "headers": said.headers, "payload": said.payload}
