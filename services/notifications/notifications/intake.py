"""From events to deliveries: outcomes of every deciding service, and recognitions that were revoked."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any, Final

from contracts.evaluation import RecognitionState
from contracts.outcome import Outcome
from contracts.topics import DECIDERS, domain_topic, outcome_topic
from notifications import domain, store
from servicekit.database import Connection
from servicekit.message import Message
from servicekit.projector import Event, Projection, Table

OUTCOMES: Final = tuple(outcome_topic(service) for service in DECIDERS)
DELIVERY: Final = Table("delivery", ("id", "rule", "tenant", "cause", "due_at", "told", "traceparent"), per="event")


def hear(waiting_after: timedelta) -> Callable[[Connection, Sequence[Message]], Awaitable[None]]:
    """What is done with outcomes: rejections and waits become deliveries, an end cancels the wait."""

    async def take(connection: Connection, messages: Sequence[Message]) -> None:
        outcomes = [(m.data, m.envelope) for m in messages if isinstance(m.data, Outcome) and m.envelope]
        found = [domain.of_outcome(outcome, envelope, waiting_after) for outcome, envelope in outcomes]
        await store.add(connection, [delivery for delivery in found if delivery is not None])
        await store.cancel(connection, domain.ended([outcome for outcome, _ in outcomes]))

    return take


def rows(event: Event) -> dict[str, list[tuple[Any, ...]]]:
    """A delivery for a revocation, nothing for any other event."""
    assert isinstance(event.data, RecognitionState)
    found = domain.of_revocation(event.data, event.envelope)
    if found is None:
        return {}
    row = (found.id, found.rule, found.tenant, found.cause, found.due_at, found.told, found.traceparent)
    return {"delivery": [row]}


REVOCATIONS: Final = Projection(domain_topic("evaluation", "recognition"), (DELIVERY,), rows)
