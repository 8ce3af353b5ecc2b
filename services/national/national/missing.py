"""What an answer may lack: events that are held back, and events that an operator has passed over.

Known of either is the topic, mostly the subject, and no more: where a product is, for one, stands in the very event
that was not read. So a figure lacks what its topics lack, of whatever province; an answer about one thing what is of
that thing.

Events carry the whole state, so one that was passed over is made good by the next of its subject, but for its place
among the events.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from contracts.topics import domain_topic
from national.counting import Question
from servicekit.database import Connection

OWNER: Final = domain_topic("registry", "owner")
PRODUCT: Final = domain_topic("registry", "product")
RECOGNITION: Final = domain_topic("evaluation", "recognition")
LISTING: Final = domain_topic("marketplace", "listing")


@dataclass(frozen=True, slots=True)
class Missing:
    """How many events: `held` may come yet, `skipped` never will."""

    held: int
    skipped: int

    def told(self) -> dict[str, Any]:
        """As it stands in an answer."""
        incomplete = bool(self.held or self.skipped)
        return {"incomplete": incomplete, "missing": {"held": self.held, "skipped": self.skipped}}


def feeding(question: Question) -> set[str]:
    """The topics that a figure is counted from."""
    topics = {PRODUCT, RECOGNITION}
    if question.used & {"owner_kind", "owner_kind_merged"}:
        topics.add(OWNER)
    if question.indicator == "online":
        topics.add(LISTING)
    return topics


async def of_topics(connection: Connection, topics: Collection[str]) -> Missing:
    """What is held of these topics, and what was passed over and not made good by a later event of its subject."""
    row = await connection.fetchrow(
        """SELECT (SELECT count(*) FROM held WHERE topic = ANY($1::text[])) AS held,
                  (SELECT count(*) FROM skipped s WHERE topic = ANY($1::text[]) AND n IS NOT NULL
                     AND NOT EXISTS (SELECT FROM event e WHERE e.topic = s.topic AND e.subject = s.subject
                                       AND e.sequence > s.n)) AS skipped""",
        sorted(topics),
    )
    assert row is not None  # two counts
    return Missing(row["held"], row["skipped"])


async def of_subjects(connection: Connection, subjects: Iterable[tuple[str, UUID]]) -> Missing:
    """How much is held, and was passed over, of these subjects by their topics. What was passed over counts for ever,
    for it is not in the list of a subject's events.
    """
    topics, ids = zip(*subjects, strict=True)
    row = await connection.fetchrow(
        """WITH asked AS (SELECT * FROM unnest($1::text[], $2::uuid[]) AS a(topic, subject))
           SELECT (SELECT count(*) FROM held h JOIN asked a ON h.queue = a.topic AND h.subject = a.subject) AS held,
                  (SELECT count(*) FROM skipped s JOIN asked a ON s.topic = a.topic AND s.subject = a.subject
                   WHERE s.n IS NOT NULL) AS skipped""",
        topics,
        ids,
    )
    assert row is not None  # two counts
    return Missing(row["held"], row["skipped"])
