"""Notices that a topic of the service's own was made anew: what lay on it is nowhere but in this database, and readers
that had not read it never will, until `republish` has said it again.

Whoever confirms looks first, whenever the topics' ids were asked for: afterwards what is confirmed is of the new topic,
and nothing would tell of the old one.
"""

from collections.abc import Mapping
from uuid import UUID

import structlog

from servicekit.database import Connection

log = structlog.get_logger(__name__)


async def notice(connection: Connection, present: Mapping[str, UUID]) -> None:
    """Keeps the topics that are others by now than those on which something was confirmed."""
    rows = await connection.fetch(
        """INSERT INTO lost_topic (topic)
           SELECT DISTINCT r.topic FROM relayed r JOIN unnest($1::text[], $2::uuid[]) AS now(topic, id) USING (topic)
           WHERE r.topic_id <> now.id ON CONFLICT DO NOTHING RETURNING topic""",
        list(present.keys()),
        list(present.values()),
    )
    for row in rows:
        log.error("topic made anew: republish says again what was on it", topic=row["topic"])


async def mended(connection: Connection, topic: str, present: UUID) -> None:
    """All of it has been said again; how far the old topic was confirmed is of no more use."""
    await connection.execute("DELETE FROM lost_topic WHERE topic = $1", topic)
    await connection.execute("DELETE FROM relayed WHERE topic = $1 AND topic_id <> $2", topic, present)


async def count(connection: Connection) -> int:
    """How many topics are lost now."""
    return int(await connection.fetchval("SELECT count(*) FROM lost_topic"))
