"""Stops reading a topic in which too much fails at once: a fault of ours, not of the events.

More than 20 subjects newly failed within 100 records of a partition, and the service reads no more of that topic, in
any replica and after any restart, until an operator resumes it. What has failed is held; what was not read waits in
Kafka; the other topics go on.
"""

from collections.abc import Sequence

import structlog

from servicekit.database import Connection

log = structlog.get_logger(__name__)

MOST_FAILED, WITHIN = 20, 100

Place = tuple[str, int, int]  # topic, partition, offset


async def watch(connection: Connection, failed: Sequence[Place]) -> None:
    """Stops the topics in which these failures, written in this transaction, are too many."""
    rows = await connection.fetch(
        """INSERT INTO stopped (topic, reason)
           SELECT DISTINCT ON (p.topic) p.topic,
                  format('%s subjects failed within %s records of partition %s', f.n, $4::int, p.partition)
           FROM unnest($1::text[], $2::int[], $3::bigint[]) AS p(topic, partition, place),
             LATERAL (SELECT count(DISTINCT coalesce(h.subject::text, h.id::text)) AS n FROM held h
                      WHERE h.topic = p.topic AND h.partition = p.partition AND h.reason = 'failed'
                        AND h."offset" > p.place - $4 AND h."offset" <= p.place
                        AND h.since > coalesce((SELECT max(s.resumed_at) FROM stopped s WHERE s.topic = p.topic),
                                               '-infinity')) f
           WHERE f.n > $5
           ON CONFLICT DO NOTHING RETURNING topic, reason""",
        [topic for topic, _, _ in failed],
        [partition for _, partition, _ in failed],
        [offset for _, _, offset in failed],
        WITHIN,
        MOST_FAILED,
    )
    for row in rows:
        log.error("reading stopped", topic=row["topic"], reason=row["reason"])


async def stopped(connection: Connection) -> dict[str, str]:
    """The topics that are not read, and why."""
    rows = await connection.fetch("SELECT topic, reason FROM stopped WHERE resumed_at IS NULL ORDER BY topic")
    return {row["topic"]: row["reason"] for row in rows}


async def resume(connection: Connection, topic: str | None = None) -> list[str]:
    """Lets the service read on, in one topic or in all; returns which. Failures are counted anew from here."""
    rows = await connection.fetch(
        """UPDATE stopped SET resumed_at = clock_timestamp()
           WHERE resumed_at IS NULL AND ($1::text IS NULL OR topic = $1) RETURNING topic""",
        topic,
    )
    return sorted(row["topic"] for row in rows)
