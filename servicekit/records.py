"""The records that a deciding service says: its domain events, and the outcomes of submissions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from contracts import envelope as wire
from contracts.decision import NewEvent
from contracts.envelope import Envelope, dataschema
from contracts.outcome import Outcome, outcome_id, outcome_type
from contracts.topics import domain_topic, outcome_topic
from servicekit.held import Key
from servicekit.message import Message, is_of
from servicekit.outbox import Outgoing

UNKNOWN_TIME: Final = datetime(1970, 1, 1, tzinfo=UTC)  # of bytes that name none


def domain_event(
    service: str, key: Key, cause: Message, sequence: int, recorded_at: datetime, event_id: UUID, event: NewEvent
) -> Outgoing:
    """An aggregate's event, numbered, with the submission that caused it."""
    aggregate, subject = key
    submission = cause.envelope
    assert submission is not None  # only what decoded is decided
    envelope = Envelope(
        id=str(event_id),
        source=f"/services/{service}",
        type=event.type,
        subject=str(subject),
        time=submission.time,
        dataschema=dataschema(event.type),
        tenant=submission.tenant,
        correlationid=submission.correlationid,
        causationid=submission.correlationid,
        recordedtime=recorded_at,
        subjectsequence=sequence,
        traceparent=submission.traceparent,
        canary=submission.canary,
    )
    return Outgoing(domain_topic(service, aggregate), str(subject), wire.to_headers(envelope), wire.encode(event.data))


@dataclass(frozen=True, slots=True)
class About:
    """A submission, as an outcome names it."""

    submission_id: UUID
    source: str
    event_id: str
    type: str
    subject: UUID
    tenant: str
    time: datetime
    received_at: datetime
    traceparent: str | None = None
    canary: bool = False


def about(message: Message) -> About | None:
    """The submission in a record, also where the whole does not decode: that must be answered too.

    None where the bytes name no submission id to answer to, or no tenant who would hear it, or one whose source it is
    not: what became of a submission is told to nobody else.
    """
    submission_id = message.named_uuid("correlationid")
    tenant, source = message.named("tenant"), message.named("source")
    if submission_id is None or not tenant or (source and not is_of(source, tenant)):
        return None
    cause = message.envelope
    time = message.named_time("time") or message.named_time("recordedtime") or UNKNOWN_TIME
    return About(
        submission_id=submission_id,
        source=source or "",
        event_id=message.named("id") or "",
        type=message.named("type") or "",
        subject=message.named_uuid("subject") or submission_id,
        tenant=tenant,
        time=time,
        received_at=message.named_time("recordedtime") or time,
        traceparent=cause.traceparent if cause else None,
        canary=cause.canary if cause else False,
    )


def outcome(
    service: str,
    to: About,
    number: int,
    state: str,
    code: str | None,
    pointer: str | None,
    params: Mapping[str, Any],
    event_ids: Sequence[UUID],
) -> Outgoing:
    """What a submission's sender is told."""
    type_ = outcome_type(service, state)
    envelope = Envelope(
        id=str(outcome_id(to.submission_id, service, number)),
        source=f"/services/{service}",
        type=type_,
        subject=str(to.submission_id),
        time=to.time,
        dataschema=dataschema(type_),
        tenant=to.tenant,
        correlationid=str(to.submission_id),
        causationid=str(to.submission_id),
        recordedtime=to.received_at,
        subjectsequence=number,
        traceparent=to.traceparent,
        canary=to.canary,
    )
    said = Outcome(
        submission_id=to.submission_id,
        source=to.source,
        event_id=to.event_id,
        type=to.type,
        subject=to.subject,
        state=state,
        code=code,
        pointer=pointer,
        params=dict(params),
        event_ids=tuple(event_ids),
    )
    return Outgoing(outcome_topic(service), str(to.submission_id), wire.to_headers(envelope), wire.encode(said))
