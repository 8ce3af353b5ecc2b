"""From domain events to rows of the national database, topic by topic.

An event carries its aggregate's whole state, so the latest one of a subject gives all rows of that subject; besides,
every event is kept. A trial event (canary) is kept and gives nothing else, so that no figure can count it; its
subject is its own.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, TypeVar
from uuid import UUID

from pydantic import BaseModel

from contracts.evaluation import RecognitionState
from contracts.fields import Origin, local_date, span
from contracts.marketplace import ListingState
from contracts.names import Key
from contracts.registry import OwnerState, ProductState
from contracts.topics import domain_topic
from national import domain
from national.folding import fold
from servicekit.projector import Event, Projection, Table

Rows = Mapping[str, Sequence[tuple[Any, ...]]]
State = TypeVar("State", bound=BaseModel)

EVENT_COLUMNS: Final = (
    "id",
    "topic",
    "subject",
    "sequence",
    "type",
    "time",
    "stated_on",
    "recorded_at",
    "tenant",
    "namespace",
    "canary",
    "source",
    "event_id",
    "correlationid",
    "causationid",
    "payload",
)


def owner_rows(event: Event) -> Rows:
    """The owner (chủ thể) and the days on which each of its documents holds."""
    state = _state(event, OwnerState)
    made_by = event.id
    closed = span(state.closed.closed_on, state.closed.origin.stated_on) if state.closed else (None, None)
    periods = domain.owner_periods(state)
    return {
        "owner": [(state.id, state.namespace, state.ref, *closed, made_by)],
        "owner_period": [(state.id, p.day_from, p.day_to, p.kind, p.business_name, made_by) for p in periods],
    }


def product_rows(event: Event) -> Rows:
    """The product (sản phẩm) and the days on which each of its documents holds, with its places on both maps."""
    state = _state(event, ProductState)
    made_by = event.id
    end = state.discontinued
    discontinued = span(end.discontinued_on, end.origin.stated_on) if end else (None, None)
    return {
        "product": [(state.id, state.namespace, state.ref, *discontinued, made_by)],
        "product_period": [
            (
                state.id,
                p.day_from,
                p.day_to,
                p.owner,
                p.name,
                fold(p.name),
                p.place_printed,
                p.province_2004,
                p.candidates_2004,
                p.province_2025,
                p.candidates_2025,
                made_by,
            )
            for p in domain.product_periods(state)
        ],
    }


def recognition_rows(event: Event) -> Rows:
    """A product's recognitions (công nhận): what was issued, and on which days the product counts by which."""
    state = _state(event, RecognitionState)
    product, made_by = state.product.id, event.id
    certificates = list(enumerate(domain.certificates(state), 1))
    return {
        "recognition": [(product, made_by)],
        "certificate": [
            (
                product,
                place,
                c.recognition_ref,
                _cell(c.occasion),
                _cell(c.stars),
                _cell(c.group),
                c.issued_lo,
                c.issued_hi,
                c.ends_lo,
                c.ends_hi,
                made_by,
            )
            for place, c in certificates
        ],
        "issue": [
            (
                product,
                place,
                str(i.year),
                _cell(c.occasion),
                _cell(c.stars),
                _cell(c.group),
                i.possible_from,
                i.certain_from,
                made_by,
            )
            for place, c in certificates
            for i in domain.issues(c)
        ],
        "standing": [
            (
                product,
                s.day_from,
                s.day_to,
                s.recognition_ref,
                _cell(s.stars),
                _cell(s.group),
                s.certain,
                s.stars_certain,
                s.group_certain,
                made_by,
            )
            for s in domain.standings(state)
        ],
    }


def listing_rows(event: Event) -> Rows:
    """The listing (tin bán trên sàn) and the days on which its product is offered by it."""
    state = _state(event, ListingState)
    made_by = event.id
    latest = max(state.documents, key=lambda document: document.origin.sequence)
    return {
        "listing": [(state.id, state.namespace, state.ref, latest.product.id, made_by)],
        "offer": [
            (state.id, o.day_from, o.day_to, o.product, o.platform, o.certain, made_by) for o in domain.offers(state)
        ],
    }


def _state(event: Event, model: type[State]) -> State:
    assert isinstance(event.data, model)  # what the topic's types decode to
    return event.data


def _cell(value: str | int | None) -> str:
    """The value as it stands in a cell of a figure."""
    return "unknown" if value is None else str(value)


def event_row(event: Event) -> tuple[Any, ...]:
    """The event itself, with the origin of what it adds to the state: the submission behind it."""
    envelope = event.envelope
    assert envelope.subjectsequence is not None  # the topics are numbered
    correlation = UUID(envelope.correlationid)
    origin = next((o for o in _origins(event.data) if o.submission_id == correlation), None)
    return (
        event.id,
        event.topic,
        event.subject,
        envelope.subjectsequence,
        envelope.type,
        envelope.time,
        local_date(envelope.time),
        envelope.recordedtime,
        envelope.tenant,
        _namespace(event.data),
        envelope.canary,
        origin.source if origin else None,
        origin.event_id if origin else None,
        correlation,
        UUID(envelope.causationid),
        event.payload.decode(),
    )


def _origins(state: BaseModel) -> Iterable[Origin]:
    match state:
        case OwnerState(documents=documents, closed=end):
            yield from (document.origin for document in documents)
        case ProductState(documents=documents, discontinued=end):
            yield from (document.origin for document in documents)
        case ListingState(documents=documents, delisted=end):
            yield from (document.origin for document in documents)
        case RecognitionState(recognitions=recognitions):
            end = None
            for recognition in recognitions:
                yield recognition.origin
                if recognition.revoked:
                    yield recognition.revoked.origin
    if end:
        yield end.origin


def _namespace(state: BaseModel) -> str:
    key = state.product if isinstance(state, RecognitionState) else state
    assert isinstance(key, Key)
    return key.namespace


def _projection(
    service: str, aggregate: str, rows: Callable[[Event], Rows], tables: Mapping[str, tuple[str, ...]]
) -> Projection:
    log = f"{aggregate}_event"

    def with_event(event: Event) -> Rows:
        kept = {log: [event_row(event)]}
        return kept if event.envelope.canary else {**kept, **rows(event)}

    return Projection(
        topic=domain_topic(service, aggregate),
        tables=(
            Table(log, EVENT_COLUMNS, per="event"),
            *(Table(name, (*columns, "event")) for name, columns in tables.items()),
        ),
        rows=with_event,
    )


PROJECTIONS: Final = (
    _projection(
        "registry",
        "owner",
        owner_rows,
        {
            "owner": ("id", "namespace", "ref", "closed_lo", "closed_hi"),
            "owner_period": ("owner", "day_from", "day_to", "kind", "business_name"),
        },
    ),
    _projection(
        "registry",
        "product",
        product_rows,
        {
            "product": ("id", "namespace", "ref", "discontinued_lo", "discontinued_hi"),
            "product_period": (
                "product",
                "day_from",
                "day_to",
                "owner",
                "name",
                "words",
                "place_printed",
                "province_2004",
                "candidates_2004",
                "province_2025",
                "candidates_2025",
            ),
        },
    ),
    _projection(
        "evaluation",
        "recognition",
        recognition_rows,
        {
            "recognition": ("product",),
            "certificate": (
                "product",
                "place",
                "recognition_ref",
                "occasion",
                "stars",
                "product_group",
                "issued_lo",
                "issued_hi",
                "ends_lo",
                "ends_hi",
            ),
            "issue": (
                "product",
                "place",
                "year",
                "occasion",
                "stars",
                "product_group",
                "possible_from",
                "certain_from",
            ),
            "standing": (
                "product",
                "day_from",
                "day_to",
                "recognition_ref",
                "stars",
                "product_group",
                "certain",
                "stars_certain",
                "group_certain",
            ),
        },
    ),
    _projection(
        "marketplace",
        "listing",
        listing_rows,
        {
            "listing": ("id", "namespace", "ref", "product"),
            "offer": ("listing", "day_from", "day_to", "product", "platform", "certain"),
        },
    ),
)
