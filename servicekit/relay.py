"""The way from the outbox to Kafka: one leader per service, in order, nothing removed before it is confirmed.

The leader holds an advisory lock on a connection of its own; connection lost = stop sending. It always begins
with the least row, sends all of a batch, and removes the longest confirmed prefix, by the ids that it listed: a
row with a lower id may commit later, and `id <= last` would remove it unsent. Repeats are legal; readers skip them.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import asyncpg
import structlog
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.client import ConnectionGroup
from aiokafka.errors import KafkaError, UnknownTopicOrPartitionError
from aiokafka.partitioner import DefaultPartitioner
from aiokafka.producer.message_accumulator import BatchBuilder
from opentelemetry.trace import SpanKind

from contracts.topics import TOPICS
from servicekit import database, health, loss
from servicekit.database import Connection
from servicekit.failpoint import failpoint
from servicekit.kafka import SEND_TIMEOUT_S, drop_producer, start_producer
from servicekit.metrics import METRICS
from servicekit.patience import Rounds
from servicekit.setback import still_knows
from servicekit.topic_ids import present_ids
from servicekit.tracing import TRACING, Of, of_record

log = structlog.get_logger(__name__)

BATCH = 500
MOST_BYTES = 8 * 1024 * 1024  # and so much of them that none but the first goes beyond it: they are sent within a time
POLL_S = 0.05
RETRY_S = 1.0
EPOCHS_S = 10.0  # how long the ids of topics are believed
TAKE_OVER_EVERY_S = 0.02  # well below RETRY_S, in which a leader that was cut off tries again
LEADER_IDLE_S = SEND_TIMEOUT_S + 5  # a leader that is stopped, not dead, loses the lock too
_LOCK = 0x0C0B_0002  # held by the one that sends
# Of an engine, or of the way to it: the next attempt may do.
INTERRUPTIONS = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    KafkaError,
    TimeoutError,
    OSError,
)

_FIRST = """SELECT id, topic, key, headers, payload, created_at
    FROM (SELECT *, sum(octet_length(payload)) OVER (ORDER BY id ROWS UNBOUNDED PRECEDING) AS bytes
          FROM outbox ORDER BY id LIMIT $1) o
    WHERE bytes <= greatest($2, octet_length(payload)) ORDER BY id"""

Row = asyncpg.Record | Mapping[str, Any]  # of the outbox, or of what is said again
Place = tuple[TopicPartition, int]  # where a record lies
_choose = DefaultPartitioner()  # by the key's hash, as every producer of Kafka's does


class Relay:
    """Runs in every replica; sends in one. `wake` shortens the wait after a commit in this process."""

    def __init__(self, service: str, bootstrap: str, database_url: str) -> None:
        self._service = service
        self._bootstrap = bootstrap
        self._database_url = database_url
        self._woken = asyncio.Event()
        self._producer: AIOKafkaProducer | None = None
        self._epochs: Mapping[str, UUID] = {}
        self._ask_at = 0.0

    def wake(self) -> None:
        """Something may have come into the outbox."""
        self._woken.set()

    async def run(self) -> None:
        """Leads when it can, until cancelled; on any error it starts again from the least row.

        Raises SetBackError if the database turns out not to know what it has said.
        """
        try:
            with health.loop():
                while True:
                    health.turned()
                    try:
                        await self._lead()
                    except INTERRUPTIONS as error:
                        log.warning("relay interrupted", error=repr(error))
                    await self._drop_producer()
                    await asyncio.sleep(RETRY_S)
        finally:
            await self._drop_producer()

    async def _lead(self) -> None:
        connection = await database.connect(self._database_url, name=f"{self._service}-relay", idle_s=LEADER_IDLE_S)
        try:
            while not await connection.fetchval("SELECT pg_try_advisory_lock($1)", _LOCK):
                health.turned()
                await asyncio.sleep(RETRY_S)
            # A connection that was lost may have come back to another database than it was.
            await still_knows(connection, self._bootstrap, self._service)
            log.info("relay leads")
            METRICS.leads.set(1)
            rounds = Rounds()
            while True:
                health.turned()
                self._woken.clear()
                rounds.begin()
                rows = await connection.fetch(_FIRST, BATCH, MOST_BYTES)
                if rows:
                    await self._send(connection, rows)
                elif self._producer is not None:
                    await self._look(self._producer, connection)
                if len(rows) < BATCH:
                    with suppress(TimeoutError):
                        async with asyncio.timeout(POLL_S):
                            await self._woken.wait()
                    await rounds.rest()
        finally:
            METRICS.leads.set(0)
            connection.terminate()  # lets the lock go at once, whatever state the connection is in

    async def _send(self, connection: "asyncpg.Connection[asyncpg.Record]", rows: Sequence[Row]) -> None:
        async with asyncio.timeout(SEND_TIMEOUT_S):  # who takes over waits until nothing of this can be under way
            if self._producer is None:
                self._producer = await start_producer(self._bootstrap, f"{self._service}-relay")
            epochs = await self._topic_ids(self._producer, connection, {row["topic"] for row in rows})
            began = time.time_ns()
            results = await _send_all(self._producer, rows)
        failpoint("relay-sent")
        confirmed: list[tuple[Row, Place]] = []
        for row, result in zip(rows, results, strict=True):
            if isinstance(result, BaseException):
                break
            confirmed.append((row, result))
        await _remove(connection, confirmed, epochs)
        TRACING.took("send", SpanKind.PRODUCER, (_traced(row, place) for row, place in confirmed), began)
        if len(confirmed) < len(rows):
            # The producer may be in a state that it does not leave; what is not confirmed is sent again by a new one.
            raise KafkaError(f"send failed: {results[len(confirmed)]!r}")

    async def _look(self, producer: AIOKafkaProducer, connection: Connection) -> None:
        """That the network has forgotten a way shows only when it is gone: the next rows then go a new one."""
        try:
            await self._topic_ids(producer, connection, set())
        except KafkaError as error:
            log.info("nothing to send, and Kafka does not answer", error=repr(error))
            await self._drop_producer()

    async def _topic_ids(
        self, producer: AIOKafkaProducer, connection: Connection, topics: set[str]
    ) -> Mapping[str, UUID]:
        """The epochs in which what follows will lie, as they were lately: an older one is noticed as such later."""
        if not topics <= self._epochs.keys() or self._ask_at <= time.monotonic():
            self._epochs = await present_ids(producer.client, TOPICS, over=ConnectionGroup.DEFAULT)
            if gone := topics - self._epochs.keys():  # what is confirmed is confirmed of an epoch
                raise UnknownTopicOrPartitionError(", ".join(sorted(gone)))
            await loss.notice(connection, self._epochs)
            self._ask_at = time.monotonic() + EPOCHS_S
        return self._epochs

    async def _drop_producer(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            await drop_producer(producer)


async def _send_all(producer: AIOKafkaProducer, rows: Sequence[Row]) -> list[Place | BaseException]:
    """Sends in order, then waits for all; a row's failure stands at its place.

    Batches are filled here, each of one partition: `producer.send` costs a future and more for every single row.
    """
    async with asyncio.timeout(SEND_TIMEOUT_S):
        partitions = {topic: sorted(await producer.partitions_for(topic)) for topic in {row["topic"] for row in rows}}
        batches: list[_Batch] = []
        last: dict[TopicPartition, _Batch] = {}
        for number, row in enumerate(rows):
            key = row["key"].encode()
            partition = TopicPartition(row["topic"], _choose(key, partitions[row["topic"]], ()))
            if partition not in last or not last[partition].takes(number, key, row):
                last[partition] = fresh = _Batch(partition, producer.create_batch())
                batches.append(fresh)
                fresh.takes(number, key, row)
        sent = [
            await producer.send_batch(batch.builder, batch.partition.topic, partition=batch.partition.partition)
            for batch in batches
        ]
        answers = await asyncio.gather(*sent, return_exceptions=True)
    results: list[Place | BaseException] = [KafkaError("not sent")] * len(rows)
    for batch, answer in zip(batches, answers, strict=True):
        for place, number in enumerate(batch.rows):
            results[number] = answer if isinstance(answer, BaseException) else (batch.partition, answer.offset + place)
    return results


@dataclass(slots=True)
class _Batch:
    """A batch to be of one partition; `rows` are the numbers of those that are in it."""

    partition: TopicPartition
    builder: BatchBuilder
    rows: list[int] = field(default_factory=list)

    def takes(self, number: int, key: bytes, row: Row) -> bool:
        """Puts the row in; False if there is no room. An empty one has room for any."""
        headers = [(name, value.encode()) for name, value in row["headers"].items()]
        if self.builder.append(timestamp=None, key=key, value=row["payload"], headers=headers) is None:
            return False
        self.rows.append(number)
        return True


async def _remove(connection: Connection, confirmed: Sequence[tuple[Row, Place]], epochs: Mapping[str, UUID]) -> None:
    """Removes confirmed rows and remembers how far each partition is confirmed, in one statement."""
    if not confirmed:
        return
    await confirm(connection, _ends(place for _, place in confirmed), epochs, [row["id"] for row, _ in confirmed])
    for topic, count in Counter(row["topic"] for row, _ in confirmed).items():
        METRICS.relayed.labels(topic).inc(count)


def _traced(row: Row, place: Place) -> Of:
    (topic, partition), offset = place
    headers: Mapping[str, str] = row["headers"]
    id_, type_ = headers.get("ce_id", ""), headers.get("ce_type", "")
    return headers.get("ce_traceparent"), of_record(topic, partition, offset, id_, type_)


async def send(producer: AIOKafkaProducer, rows: Sequence[Row]) -> dict[TopicPartition, int]:
    """Sends in order; returns how far each partition reaches with these records. Raises what kept one from it."""
    results = await _send_all(producer, rows)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return _ends(result for result in results if not isinstance(result, BaseException))


def _ends(places: Iterable[Place]) -> dict[TopicPartition, int]:
    ends: dict[TopicPartition, int] = {}
    for partition, offset in places:
        ends[partition] = max(ends.get(partition, 0), offset + 1)
    return ends


async def confirm(
    connection: Connection, ends: Mapping[TopicPartition, int], epochs: Mapping[str, UUID], rows: Sequence[int] = ()
) -> None:
    """Remembers how far each partition is confirmed: up to there the database knows what it has said. Rows of the
    outbox that were sent go in the same statement.

    `epochs` are the topics' ids as they were asked before anything was sent or read; a topic made anew since then is
    compared from its start.
    """
    ordered = sorted(ends)
    await connection.execute(
        """WITH sent AS (DELETE FROM outbox WHERE id = ANY($5::bigint[]))
           INSERT INTO relayed (topic, partition, next_offset, topic_id)
           SELECT * FROM unnest($1::text[], $2::int[], $3::bigint[], $4::uuid[])
           ON CONFLICT (topic, partition)
             DO UPDATE SET next_offset = EXCLUDED.next_offset, topic_id = EXCLUDED.topic_id""",
        [partition.topic for partition in ordered],
        [partition.partition for partition in ordered],
        [ends[partition] for partition in ordered],
        [epochs.get(partition.topic) for partition in ordered],
        rows,
    )


async def replicas(connection: Connection, service: str) -> int:
    """How many connections the replicas of a service have to the database."""
    return int(
        await connection.fetchval(
            """SELECT count(*) FROM pg_stat_activity
               WHERE datname = current_database() AND application_name IN ($1, $1 || '-http', $1 || '-relay')""",
            service,
        )
    )


async def take_over(connection: Connection, service: str) -> None:
    """Makes this connection the one that sends: cuts off the present leader, and waits until nothing that it sent can
    still be under way. It waits also if any replica is up, for one may just have lost the lock. The replicas go on
    deciding, and fill the outbox."""
    up = await replicas(connection, service)
    if await connection.fetchval("SELECT pg_try_advisory_lock($1)", _LOCK) and not up:
        return
    while not await connection.fetchval("SELECT pg_try_advisory_lock($1)", _LOCK):
        await connection.execute(
            """SELECT pg_terminate_backend(pid) FROM pg_locks JOIN pg_database d ON d.oid = database
               WHERE locktype = 'advisory' AND objid = $1 AND granted AND d.datname = current_database()""",
            _LOCK,
        )
        await asyncio.sleep(TAKE_OVER_EVERY_S)
    await asyncio.sleep(LEADER_IDLE_S)
