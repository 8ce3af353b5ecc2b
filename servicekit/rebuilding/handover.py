"""What a rebuilt shadow hands over besides its tables: how far it was read, and what is held back."""

from collections.abc import Mapping, Sequence
from typing import Final
from uuid import UUID

from aiokafka import TopicPartition

from servicekit.database import Connection
from servicekit.rebuilding import shadow

# The rows that are held back in both, by their numbers or by their bytes: two joins, for what is held may be much. The
# live row stays, with its number and its age, by which operators know it.
_PAIRS: Final = f"""WITH pair AS MATERIALIZED (
    SELECT h.id AS live, s.* FROM public.held h JOIN {shadow.NAME}.held s
        ON h.topic = s.topic AND h.subject = s.subject AND h.n = s.n
    UNION ALL SELECT h.id, s.* FROM public.held h JOIN {shadow.NAME}.held s
        ON h.topic = s.topic AND h.headers = s.headers AND h.payload = s.payload
        WHERE h.queue IS NULL AND s.queue IS NULL
)"""  # noqa: S608  # a schema's name
# Its bytes are on no topic any more, and nothing that is there has made it good.
_NOWHERE_ELSE: Final = f"""h."offset" < 0 AND NOT EXISTS (SELECT FROM {shadow.NAME}.stream a
    WHERE a.topic = h.topic AND a.subject = h.subject AND a.applied >= h.n)"""
_COLUMNS: Final = """queue, subject, n, reason, waits_for, ready, error, source, event_id, headers, payload, topic,
    partition, "offset", since"""


async def positions(connection: Connection, topics: Sequence[str]) -> dict[TopicPartition, int]:
    """How far the live reader has read these topics."""
    rows = await connection.fetch(
        "SELECT topic, partition, next_offset FROM public.position WHERE topic = ANY($1::text[])", topics
    )
    return {TopicPartition(row["topic"], row["partition"]): row["next_offset"] for row in rows}


async def set_positions(connection: Connection, to: Mapping[TopicPartition, int], ids: Mapping[str, UUID]) -> None:
    """The live reader goes on from here: if it stood elsewhere, it sees that at its next poll."""
    partitions = sorted(to)
    await connection.execute(
        """INSERT INTO public.position (topic, partition, next_offset, topic_id)
           SELECT * FROM unnest($1::text[], $2::int[], $3::bigint[], $4::uuid[])
           ON CONFLICT (topic, partition) DO UPDATE
             SET next_offset = EXCLUDED.next_offset, topic_id = EXCLUDED.topic_id""",
        [partition.topic for partition in partitions],
        [partition.partition for partition in partitions],
        [to[partition] for partition in partitions],
        [ids[partition.topic] for partition in partitions],
    )


async def take_held(connection: Connection, topics: Sequence[str]) -> None:
    """Brings the live rows of these topics to what the shadow holds back; where a topic was made anew, the dead letters
    stay of which nothing was said again.

    Whether a row stands behind a failed one or before a gap tells the order in which partitions were read: it stays.
    """
    await connection.execute(
        f"""{_PAIRS} DELETE FROM public.held h WHERE h.topic = ANY($1::text[])
              AND NOT EXISTS (SELECT FROM pair WHERE live = h.id) AND NOT ({_NOWHERE_ELSE})""",  # noqa: S608  # constants
        topics,
    )
    await connection.execute(
        f"""{_PAIRS} UPDATE public.held h SET reason = s.reason, error = s.error, headers = s.headers,
                            payload = s.payload, partition = s.partition, "offset" = s."offset"
            FROM pair s WHERE s.live = h.id AND (h.reason = 'failed', h.payload, h.headers)
                       IS DISTINCT FROM (s.reason = 'failed', s.payload, s.headers)"""  # noqa: S608  # constants
    )
    await connection.execute(
        f"""{_PAIRS} INSERT INTO public.held ({_COLUMNS}) SELECT {_COLUMNS} FROM {shadow.NAME}.held s
            WHERE NOT EXISTS (SELECT FROM pair WHERE pair.id = s.id) ORDER BY s.id"""  # noqa: S608  # constants
    )
