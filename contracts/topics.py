"""THE catalogue of topics, and of what is said on them. Topics are made from it, and from nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pydantic import BaseModel

from contracts import evaluation, marketplace, registry
from contracts.outcome import STATES, Outcome, outcome_type

DECIDERS: Final = ("registry", "evaluation", "marketplace")
PARTITIONS: Final = 12  # for ever: another count would move keys, and with them the order
FOREVER: Final = -1
THIRTY_DAYS: Final = 30 * 24 * 3600 * 1000  # ms
MAX_MESSAGE_BYTES: Final = 1024 * 1024  # above the outbox's bound of 900 KiB, for the protocol's own framing


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic. `service` writes it; a submission topic has one `reader`, a domain topic one `aggregate`."""

    name: str
    kind: str  # submission, domain or outcome
    service: str
    reader: str | None = None
    aggregate: str | None = None
    partitions: int = PARTITIONS
    retention_ms: int = THIRTY_DAYS
    max_message_bytes: int = MAX_MESSAGE_BYTES

    @property
    def config(self) -> dict[str, str]:
        """Its settings in Kafka's words. Never compacted: a log of record keeps every event."""
        return {
            "cleanup.policy": "delete",
            "retention.ms": str(self.retention_ms),
            "max.message.bytes": str(self.max_message_bytes),
        }


def submission_topic(service: str) -> str:
    """Where the gateway puts what `service` decides."""
    return f"ocop.submission.{service}"


def domain_topic(service: str, aggregate: str) -> str:
    """Where `service` says what happened to its aggregates."""
    return f"ocop.{service}.{aggregate}"


def outcome_topic(service: str) -> str:
    """Where `service` says what became of submissions."""
    return f"ocop.{service}.outcome"


# service, aggregate, data model, events
_DOMAIN: tuple[tuple[str, str, type[BaseModel], tuple[str, ...]], ...] = (
    ("registry", "owner", registry.OwnerState, ("registered", "updated", "closed")),
    ("registry", "product", registry.ProductState, ("registered", "updated", "discontinued")),
    (
        "evaluation",
        "recognition",
        evaluation.RecognitionState,
        ("recognised", "renewed", "upgraded", "corrected", "revoked"),
    ),
    ("marketplace", "listing", marketplace.ListingState, ("listed", "delisted")),
)

TOPICS: Final[dict[str, Topic]] = {
    topic.name: topic
    for topic in (
        *(Topic(submission_topic(s), "submission", "gateway", reader=s) for s in DECIDERS),
        *(Topic(domain_topic(s, a), "domain", s, aggregate=a, retention_ms=FOREVER) for s, a, _, _ in _DOMAIN),
        *(Topic(outcome_topic(s), "outcome", s) for s in DECIDERS),
    )
}

# Type of domain event -> its topic and data model.
EVENTS: Final[dict[str, tuple[str, type[BaseModel]]]] = {
    f"vn.ocop.{service}.{aggregate}.{event}.v1": (domain_topic(service, aggregate), model)
    for service, aggregate, model, events in _DOMAIN
    for event in events
}

# Type of outcome -> its topic.
OUTCOMES: Final[dict[str, str]] = {
    outcome_type(service, state): outcome_topic(service) for service in DECIDERS for state in STATES
}

_MODELS: Final[dict[str, type[BaseModel]]] = {
    **{type_: model for type_, (_, model) in EVENTS.items()},
    **dict.fromkeys(OUTCOMES, Outcome),
}
_WITHOUT_MAJOR: Final = frozenset(t.rpartition(".v")[0] for t in _MODELS)


def decode_event(type: str, data: bytes) -> BaseModel:  # noqa: A002 (CloudEvents calls it so)
    """The data of a domain event or an outcome; new fields and new values of lists go through.

    Raises KeyError for an unknown type, pydantic.ValidationError for bytes that are not of the type.
    """
    return _MODELS[type].model_validate_json(data)


def topic_of(type: str) -> str | None:  # noqa: A002 (CloudEvents calls it so)
    """The topic of a domain event or an outcome, or None for a type that is not known."""
    return EVENTS[type][0] if type in EVENTS else OUTCOMES.get(type)


def unknown_major(type: str) -> bool:  # noqa: A002 (CloudEvents calls it so)
    """Whether it is a known type in a major version that this code cannot read: a failure, never ignored."""
    return type not in _MODELS and type.rpartition(".v")[0] in _WITHOUT_MAJOR
