"""How far a database has read: the rows of `position`, and their comparison with Kafka's log.

The rows are the truth. They move in the transaction that does the work; a reader whose own reading stands
elsewhere has been overtaken, and puts its records back.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from uuid import UUID

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition

from servicekit import database
from servicekit.database import Connection, Pool
from servicekit.metrics import METRICS
from servicekit.topic_ids import topic_ids

log = structlog.get_logger(__name__)


async def lock(connection: Connection, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, tuple[int, UUID]]:
    """Locks the rows, sorted, and returns where each stands, and in which epoch of its topic. A partition without a row
    is not in the answer.
    """
    wanted = sorted(partitions)
    rows = await connection.fetch(
        """SELECT topic, partition, next_offset, topic_id FROM position
           WHERE (topic, partition) IN (SELECT * FROM unnest($1::text[], $2::int[]))
           ORDER BY topic, partition FOR UPDATE""",
        [partition.topic for partition in wanted],
        [partition.partition for partition in wanted],
    )
    return {TopicPartition(row["topic"], row["partition"]): (row["next_offset"], row["topic_id"]) for row in rows}


async def advance(connection: Connection, to: Mapping[TopicPartition, int]) -> None:
    """Moves locked rows to the next offset to read."""
    await connection.execute(
        """UPDATE position p SET next_offset = n.next_offset
           FROM unnest($1::text[], $2::int[], $3::bigint[]) AS n(topic, partition, next_offset)
           WHERE p.topic = n.topic AND p.partition = n.partition""",
        [partition.topic for partition in to],
        [partition.partition for partition in to],
        list(to.values()),
    )


async def of_other_epochs(
    connection: Connection, partitions: Sequence[TopicPartition], ids: Mapping[str, UUID]
) -> list[TopicPartition]:
    """Whose rows tell of another epoch of their topic than `ids`; of a topic that is not there nothing is said."""
    rows = await _rows(connection, partitions)
    return [partition for partition, (_, epoch) in rows.items() if ids.get(partition.topic, epoch) != epoch]


async def settle(
    pool: Pool, consumer: AIOKafkaConsumer, bootstrap: str, partitions: Sequence[TopicPartition]
) -> dict[TopicPartition, int]:
    """Brings rows and log together, in a transaction of its own, before anything is read; returns where to seek.

    Made on first sight at the log's start. A topic made anew starts from its beginning: seeking alone would
    leave the old row, below which records are dropped silently. Below the log's start: records are gone unread,
    which is counted and logged. Beyond its end: the log has lost its tail; what comes next is read from there.
    A row that has moved since the log was asked stays: another reads there, and what the log said then is old.
    """
    async with database.acquire(pool) as connection:
        before = await _rows(connection, partitions)
    ids = await topic_ids(bootstrap, {partition.topic for partition in partitions})
    first = await consumer.beginning_offsets(list(partitions))
    last = await consumer.end_offsets(list(partitions))
    settled: dict[TopicPartition, int] = {}
    epochs = {partition: ids[partition.topic] for partition in partitions}
    async with database.transaction(pool) as connection:
        wanted = sorted(partitions)
        await connection.execute(
            """INSERT INTO position (topic, partition, next_offset, topic_id)
               SELECT * FROM unnest($1::text[], $2::int[], $3::bigint[], $4::uuid[]) ON CONFLICT DO NOTHING""",
            [partition.topic for partition in wanted],
            [partition.partition for partition in wanted],
            [first[partition] for partition in wanted],
            [ids[partition.topic] for partition in wanted],
        )
        await lock(connection, wanted)
        stands = await _rows(connection, wanted)
        for partition in wanted:
            where, topic_id = stands[partition]
            if before.get(partition, (first[partition], ids[partition.topic])) != stands[partition]:
                epochs[partition] = topic_id
            elif topic_id != ids[partition.topic]:
                log.warning("topic made anew, reading from its start", partition=str(partition), was=where)
                where = first[partition]
                await _free_places(connection, partition)
            elif where < first[partition]:
                log.error("records gone unread", partition=str(partition), lost=first[partition] - where)
                database.on_commit(partial(METRICS.records_lost.labels(partition.topic).inc, first[partition] - where))
                where = first[partition]
            elif where > last[partition]:
                log.error("log shorter than what was read", partition=str(partition), read=where, end=last[partition])
                where = last[partition]
                await _free_places(connection, partition, where)
            settled[partition] = where
        await connection.execute(
            """UPDATE position p SET next_offset = n.next_offset, topic_id = n.topic_id
               FROM unnest($1::text[], $2::int[], $3::bigint[], $4::uuid[])
                 AS n(topic, partition, next_offset, topic_id)
               WHERE p.topic = n.topic AND p.partition = n.partition
                 AND (p.next_offset, p.topic_id) IS DISTINCT FROM (n.next_offset, n.topic_id)""",
            [partition.topic for partition in wanted],
            [partition.partition for partition in wanted],
            [settled[partition] for partition in wanted],
            [epochs[partition] for partition in wanted],
        )
    return settled


async def _rows(connection: Connection, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, tuple[int, UUID]]:
    """Where each row stands, and in which epoch of its topic."""
    rows = await connection.fetch(
        """SELECT topic, partition, next_offset, topic_id FROM position
           WHERE (topic, partition) IN (SELECT * FROM unnest($1::text[], $2::int[]))""",
        [partition.topic for partition in partitions],
        [partition.partition for partition in partitions],
    )
    return {TopicPartition(row["topic"], row["partition"]): (row["next_offset"], row["topic_id"]) for row in rows}


async def _free_places(connection: Connection, partition: TopicPartition, from_: int = 0) -> None:
    """Held rows keep their bytes; the offsets that they came from belong to a log that is no more."""
    await connection.execute(
        'UPDATE held SET "offset" = -id WHERE topic = $1 AND partition = $2 AND "offset" >= $3',
        partition.topic,
        partition.partition,
        from_,
    )
