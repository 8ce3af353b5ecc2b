"""What a province is told, and when: pure rules from events to deliveries."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID, uuid5

from contracts.envelope import Envelope
from contracts.evaluation import RecognitionState
from contracts.outcome import FINAL, Outcome
from contracts.reasons import REASONS, words
from contracts.vietnamese import CAUSES

RULES: Final = ("rejected", "waiting", "revoked")  # for which a province is told
REVOKED: Final = "vn.ocop.evaluation.recognition.revoked.v1"


@dataclass(frozen=True, slots=True)
class Delivery:
    """One thing to tell a tenant, from `due_at` on; its id is the same whenever it is derived again."""

    rule: str
    tenant: str
    cause: UUID
    due_at: datetime
    told: dict[str, Any]
    traceparent: str | None = None

    @property
    def id(self) -> UUID:
        """One per rule and cause."""
        return delivery_id(self.cause, self.rule)


def delivery_id(cause: UUID, rule: str) -> UUID:
    """The id of what is told by a rule because of a submission or an event."""
    return uuid5(cause, rule)


def mail_id(deliveries: Sequence[UUID]) -> UUID:
    """The id of the mail that tells these, in this order: after a restore the same mail has it again."""
    return uuid5(deliveries[0], " ".join(map(str, deliveries)))


def of_outcome(outcome: Outcome, envelope: Envelope, waiting_after: timedelta) -> Delivery | None:
    """A rejection is told at once, waiting when it has lasted; everything else needs nobody."""
    if outcome.state not in ("rejected", "waiting"):
        return None
    told: dict[str, Any] = {
        "event_id": outcome.event_id,
        "source": outcome.source,
        "type": outcome.type,
        "submission_id": str(outcome.submission_id),
        "pointer": outcome.pointer or "",
    }
    if outcome.code:
        told["code"] = outcome.code
    if outcome.code in REASONS:  # else said by a newer version: the code alone must do
        told |= words(outcome.code, outcome.params)
    due_at = envelope.recordedtime + (waiting_after if outcome.state == "waiting" else timedelta())
    return Delivery(outcome.state, envelope.tenant, outcome.submission_id, due_at, told, envelope.traceparent)


def ended(outcomes: Sequence[Outcome]) -> list[UUID]:
    """What would be told of submissions that no longer wait."""
    return [delivery_id(outcome.submission_id, "waiting") for outcome in outcomes if outcome.state in FINAL]


def of_revocation(state: RecognitionState, envelope: Envelope) -> Delivery | None:
    """A revoked recognition (thu hồi công nhận) is told to the province that reported it."""
    if envelope.type != REVOKED:
        return None
    ended = [(each, each.revoked) for each in state.recognitions if each.revoked is not None]
    recognition, revocation = max(ended, key=lambda pair: pair[1].origin.sequence)
    act = revocation.act
    told = {
        "product": f"{state.product.namespace}/{state.product.ref}",
        "recognition_ref": recognition.recognition_ref,
        "stars": recognition.stars,
        "revoked_on": str(revocation.revoked_on or ""),
        "cause": CAUSES.get(revocation.cause or "", revocation.cause or ""),
        "act": (act.number if act else None) or "",
        "event_id": envelope.id,
    }
    return Delivery("revoked", envelope.tenant, UUID(envelope.id), envelope.recordedtime, told, envelope.traceparent)
