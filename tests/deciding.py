"""Deciding without a service: events in, verdicts out, each on the state that those before it left."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

from contracts.decision import Decision, Rejected, Submission, Waits
from contracts.names import NAMES, aggregate_id
from contracts.submission import SUBMISSIONS
from tests.submissions import TENANT

Verdict = Decision | Rejected | Waits
Decide = Callable[[Any, Submission, Mapping[UUID, str]], Verdict]
RECEIVED = datetime(2026, 9, 1, tzinfo=UTC)


def submission(event: Mapping[str, Any], sequence: int = 1, tenant: str = TENANT) -> Submission:
    """The event as a decider gets it."""
    kind = SUBMISSIONS[event["type"]]
    data = kind.model.model_validate(event["data"])
    return Submission(
        submission_id=uuid5(NAMES, event["id"]),
        source=event["source"],
        event_id=event["id"],
        type=event["type"],
        subject=aggregate_id(*kind.subject(data)),
        tenant=tenant,
        time=datetime.fromisoformat(event["time"]),
        recorded_at=RECEIVED + timedelta(seconds=sequence),
        sequence=sequence,
        data=data,
    )


def decide(decide: Decide, events: Iterable[Mapping[str, Any]], known: Mapping[UUID, str]) -> list[Verdict]:
    """The verdict on each."""
    state, sequence, verdicts = None, 1, []
    for event in events:
        verdict = decide(state, submission(event, sequence), known)
        if isinstance(verdict, Decision):
            state, sequence = verdict.state, sequence + len(verdict.events)
        verdicts.append(verdict)
    return verdicts


def last(decide_: Decide, events: Sequence[Mapping[str, Any]], known: Mapping[UUID, str]) -> Verdict:
    """The verdict on the last; those before it must have been applied."""
    *before, verdict = decide(decide_, events, known)
    assert all(isinstance(each, Decision) for each in before), before
    return verdict


def word(verdict: Verdict) -> str:
    """In a word: the event that is said, or the code; what waits says so."""
    if isinstance(verdict, Decision):
        return " ".join("→ " + event.type.split(".")[-2] for event in verdict.events)
    return f"waits {verdict.code}" if isinstance(verdict, Waits) else verdict.code
