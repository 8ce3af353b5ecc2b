"""Domain events for the national database, as the services that decide would say them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from uuid import UUID, uuid5

from evaluation import domain as evaluation
from marketplace_sync import domain as marketplace
from national.projections import PROJECTIONS
from pydantic import BaseModel
from registry import domain as registry

from contracts import envelope as wire
from contracts.decision import Decision, Rejected, Submission, Waits
from contracts.envelope import Envelope, dataschema, to_headers
from contracts.names import NAMES, aggregate_id, event_id
from contracts.submission import SUBMISSIONS, decode_submission
from contracts.topics import domain_topic
from servicekit import database
from servicekit.database import Pool
from servicekit.message import Kept, Message, decode
from servicekit.projector import Projectors
from tests.engines import Database
from tests.history.lookup import States

RECEIVED = datetime(2026, 8, 6, 1, 0, tzinfo=UTC)
_offsets = count()


def message(
    service: str,
    aggregate: str,
    happening: str,
    subject: UUID,
    sequence: int,
    data: BaseModel,
    *,
    tenant: str = "2025-68",
    time: datetime = RECEIVED,
    recorded_at: datetime | None = None,
    submission_id: UUID | None = None,
    canary: bool = False,
) -> Message:
    """One domain event, as it lies on its topic."""
    cause = submission_id or uuid5(NAMES, f"{aggregate}/{subject}/{sequence}")
    stated = {"tenant": tenant, "time": time, "recordedtime": recorded_at or RECEIVED, "canary": canary}
    headers = headers_of(service, aggregate, happening, subject, sequence, cause, **stated)
    return decode(Kept(domain_topic(service, aggregate), 0, next(_offsets), headers, wire.encode(data)))


def headers_of(
    service: str, aggregate: str, happening: str, subject: UUID, sequence: int, cause: UUID, **stated: Any
) -> tuple[tuple[str, bytes], ...]:
    """The headers of a domain event that this submission has caused; `stated` are the envelope's other attributes."""
    type_ = f"vn.ocop.{service}.{aggregate}.{happening}.v1"
    envelope = Envelope(
        id=str(event_id(cause, service, 0)),
        source=f"/services/{service}",
        type=type_,
        subject=str(subject),
        dataschema=dataschema(type_),
        correlationid=str(cause),
        causationid=str(cause),
        subjectsequence=sequence,
        **stated,
    )
    return tuple((name, value.encode()) for name, value in to_headers(envelope).items())


DECIDE: dict[str, Any] = {
    "owner": registry.decide_owner,
    "product": registry.decide_product,
    "recognition": evaluation.decide_recognition,
    "listing": marketplace.decide_listing,
}


@dataclass
class Services:
    """The deciding services, without anything between them: every submission is decided as it comes."""

    states: dict[tuple[str, UUID], Any] = field(default_factory=dict)
    sequences: dict[tuple[str, UUID], int] = field(default_factory=dict)
    known: dict[UUID, str] = field(default_factory=dict)
    received_at: datetime = RECEIVED

    def submit(self, event: dict[str, Any]) -> Message:
        """What is said of a submission, which must be one that is applied."""
        kind = SUBMISSIONS[event["type"]]
        data = decode_submission(event["type"], wire.canonical(event["data"]))
        subject = aggregate_id(*kind.subject(data))
        key = (kind.aggregate, subject)
        tenant = event["source"].split("/")[2]
        self.received_at += timedelta(microseconds=1)
        self.sequences[key] = self.sequences.get(key, 0) + 1
        submission = Submission(
            submission_id=uuid5(NAMES, f"{event['source']}#{event['id']}"),
            source=event["source"],
            event_id=event["id"],
            type=event["type"],
            subject=subject,
            tenant=tenant,
            time=datetime.fromisoformat(event["time"]),
            recorded_at=self.received_at,
            sequence=self.sequences[key],
            data=data,
        )
        decision: Decision | Rejected | Waits = DECIDE[kind.aggregate](self.states.get(key), submission, self.known)
        assert isinstance(decision, Decision), decision
        self.states[key] = decision.state
        self.known[subject] = tenant
        [said] = decision.events
        return message(
            kind.service,
            kind.aggregate,
            said.type.split(".")[4],
            subject,
            submission.sequence,
            said.data,
            tenant=tenant,
            time=submission.time,
            recorded_at=submission.recorded_at,
            submission_id=submission.submission_id,
        )


def said_of(events: Iterable[dict[str, Any]]) -> list[Message]:
    """What the services say of these submissions, in their order."""
    services = Services()
    return [services.submit(event) for event in events]


def at_once(states: States) -> list[Message]:
    """One event per subject that says its whole state."""
    return [
        *(message("registry", "owner", "registered", id_, 1, state) for id_, state in states.owners.items()),
        *(message("registry", "product", "registered", id_, 1, state) for id_, state in states.products.items()),
        *(
            message("evaluation", "recognition", "recognised", id_, 1, state)
            for id_, state in states.recognitions.items()
        ),
        *(message("marketplace", "listing", "listed", id_, 1, state) for id_, state in states.listings.items()),
    ]


async def read(pool: Pool, messages: Sequence[Message], at_a_time: int = 500) -> None:
    """As the service reads its topics: so many records in one transaction."""
    projectors = Projectors(PROJECTIONS)
    for start in range(0, len(messages), at_a_time):
        async with pool.acquire() as connection, connection.transaction():
            await projectors.handle(connection, messages[start : start + at_a_time])


async def empty(made: Database) -> None:
    """Deletes every row that reading has made."""
    tables = ["event", *(t.name for p in PROJECTIONS for t in p.tables if t.per == "subject"), "stream", "held"]
    owner = await database.connect(made.owner)
    await owner.execute("; ".join(f"DELETE FROM {table}" for table in tables))  # noqa: S608  # names from the code's own wiring
    await owner.close()


async def fill(made: Database, messages: Sequence[Message]) -> None:
    """The same as `read`, with a pool of its own."""
    pool = await database.open_pool(made.app)
    try:
        await read(pool, messages)
    finally:
        await pool.close()
