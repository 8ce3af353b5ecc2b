"""Figures as the national database gives them: intervals from the domain, and for a day those that contain it."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID, uuid5

from national.domain import (
    Certificate,
    Offer,
    OwnerPeriod,
    ProductPeriod,
    Standing,
    certificates,
    offers,
    owner_periods,
    product_periods,
    standings,
)

from contracts.evaluation import Recognition, RecognitionState, Revocation
from contracts.fields import Origin, local_date
from contracts.marketplace import Delisting, ListingDocument, ListingState
from contracts.names import NAMES, Key
from contracts.registry import OwnerDocument, OwnerState, ProductDocument, ProductState, StatedPlace
from contracts.submission import SUBMISSIONS
from tests.history.count import Answer, Case, Event, Filters, total


@dataclass
class States:
    """The states that the services would tell after these events, all of them accepted."""

    owners: dict[UUID, OwnerState] = field(default_factory=dict)
    products: dict[UUID, ProductState] = field(default_factory=dict)
    recognitions: dict[UUID, RecognitionState] = field(default_factory=dict)
    listings: dict[UUID, ListingState] = field(default_factory=dict)


@dataclass
class Book:
    """The intervals of everything."""

    owners: dict[UUID, list[OwnerPeriod]]
    products: dict[UUID, list[ProductPeriod]]
    certificates: dict[UUID, list[Certificate]]
    standings: dict[UUID, list[Standing]]
    offers: list[Offer]


def fold(events: Iterable[Event]) -> States:
    states = States()
    for number, event in enumerate(events, 1):
        data: Any = SUBMISSIONS[event["type"]].model.model_validate(event["data"])
        stated_on = local_date(datetime.fromisoformat(event["time"]))
        origin = Origin(
            source=event["source"],
            event_id=event["id"],
            submission_id=uuid5(NAMES, event["id"]),
            stated_on=stated_on,
            received_at=datetime(2026, 8, 6, tzinfo=UTC),
            sequence=number,
        )
        _apply(states, event["type"].split(".")[3:5], data, origin)
    return states


def _apply(states: States, kind: list[str], data: Any, origin: Origin) -> None:
    fields = data.model_dump(exclude={"owner", "product", "listing"})
    match kind:
        case ["owner", _]:
            key = Key.of("owner", data.owner)
            document = OwnerDocument(**fields, from_=fields.get("effective_on"), origin=origin)
            states.owners[key.id] = _with(OwnerState, states.owners.get(key.id), key, document)
        case ["product", _]:
            key = Key.of("product", data.product)
            stated = ProductDocument(
                from_=fields.get("effective_on"),
                owner=Key.of("owner", data.owner),
                name=data.name,
                place=StatedPlace.model_validate(data.place.model_dump()),
                origin=origin,
            )
            states.products[key.id] = _with(ProductState, states.products.get(key.id), key, stated)
        case ["listing", "delisted"]:
            listing = Key.of("listing", data.listing)
            delisted = Delisting(delisted_on=data.delisted_on, origin=origin)
            states.listings[listing.id] = states.listings[listing.id].model_copy(update={"delisted": delisted})
        case ["listing", _]:
            key = Key.of("listing", data.listing)
            listed = ListingDocument(**fields, product=Key.of("product", data.product), origin=origin)
            states.listings[key.id] = ListingState(**key.model_dump(), documents=(listed,))
        case ["recognition", happening]:
            key = Key.of("product", data.product)
            before = states.recognitions[key.id].recognitions if key.id in states.recognitions else ()
            found = {r.recognition_ref: r for r in before}
            found[data.recognition_ref] = _recognition(found.get(data.recognition_ref), happening, fields, origin)
            states.recognitions[key.id] = RecognitionState(product=key, recognitions=tuple(found.values()))


def _with(model: Any, state: Any, key: Key, document: Any) -> Any:
    documents = state.documents if state else ()
    return model(**key.model_dump(), documents=(*documents, document))


def _recognition(before: Recognition | None, happening: str, fields: Any, origin: Origin) -> Recognition:
    if before and happening == "revoked":
        revoked = Revocation(revoked_on=fields["revoked_on"], cause=fields["cause"], origin=origin)
        return before.model_copy(update={"revoked": revoked})
    if before:
        kept = {"occasion": before.occasion, "previous_ref": before.previous_ref, "revoked": before.revoked}
        corrected = fields | {"void": bool(fields["void"])}
        return Recognition(**kept, **corrected, basis="attested", origin=origin)
    if happening != "recognised":
        fields = fields | {"occasion": happening}
    return Recognition(**fields, basis="attested", origin=origin)


def open_book(states: States) -> Book:
    return Book(
        {id_: owner_periods(state) for id_, state in states.owners.items()},
        {id_: product_periods(state) for id_, state in states.products.items()},
        {id_: certificates(state) for id_, state in states.recognitions.items()},
        {id_: standings(state) for id_, state in states.recognitions.items()},
        [offer for state in states.listings.values() for offer in offers(state)],
    )


def look_up(
    book: Book,
    indicator: str,
    at: date,
    map_: str,
    province: tuple[str, str] | None = None,
    by: str | None = None,
    filters: Filters = (),
) -> Answer:
    used = {dimension for dimension, _ in filters} | {by}
    cases = _acts(book, at, map_, used) if indicator == "recognitions" else _products(book, indicator, at, map_, used)
    answer = total(cases, map_, province, by, filters)
    if by:
        # Whether the whole is certain does not hang on what it is broken down by.
        whole = look_up(book, indicator, at, map_, province, None, filters)
        answer.count, answer.uncertain, answer.not_attributable = whole.count, whole.uncertain, whole.not_attributable
    if indicator == "online":
        rest = tuple(f for f in filters if f[0] != "platform")
        answer.share = (answer.count, look_up(book, "products", at, map_, province, None, rest).count)
    return answer


def _products(book: Book, indicator: str, at: date, map_: str, used: set[str | None]) -> Iterable[Case]:
    for id_, found in book.standings.items():
        for standing in (s for s in found if s.day_from <= at < s.day_to):
            values, candidates = _dimensions(book, id_, at, map_)
            values |= {"stars": _text(standing.stars), "group": _text(standing.group)}
            certain = standing.certain
            certain &= "stars" not in used or standing.stars_certain
            certain &= "group" not in used or standing.group_certain
            if indicator == "products":
                yield Case(str(id_), values, certain, candidates)
            elif indicator == "owners":
                yield Case(values["owner"][0], values, certain, candidates)
            else:
                for offer in (o for o in book.offers if o.product == id_ and o.day_from <= at < o.day_to):
                    yield Case(
                        str(id_),
                        values | {"platform": (offer.platform,)},
                        certain and offer.certain,
                        candidates,
                    )


def _acts(book: Book, at: date, map_: str, used: set[str | None]) -> Iterable[Case]:
    for id_, acts in book.certificates.items():
        for act in acts:
            values, candidates = _dimensions(book, id_, at, map_)
            values |= {"stars": _text(act.stars), "group": _text(act.group), "occasion": _text(act.occasion)}
            years = range(act.issued_lo.year, act.issued_hi.year + 1) if "year" in used else (None,)
            for year in years:
                first = date(year, 1, 1) if year else date.min
                last = min(at, date(year, 12, 31)) if year else at
                if max(first, act.issued_lo) <= min(last, act.issued_hi):
                    certain = first <= act.issued_lo and act.issued_hi <= last
                    key = f"{id_}/{act.recognition_ref}"
                    yield Case(key, values | {"year": (str(year),)}, certain, candidates)


def _dimensions(book: Book, product: UUID, at: date, map_: str) -> tuple[dict[str, tuple[str, ...]], tuple[str, ...]]:
    [period] = [p for p in book.products[product] if p.day_from <= at < p.day_to]
    [owner] = [p for p in book.owners[period.owner] if p.day_from <= at < p.day_to]
    values: dict[str, tuple[str, ...]] = {
        "owner": (str(period.owner),),
        "owner_kind": (owner.kind,),
        "province-2004": (period.province_2004,) if period.province_2004 else (),
        "province-2025": (period.province_2025,) if period.province_2025 else (),
    }
    return values, period.candidates_2004 if map_ == "2004" else period.candidates_2025


def _text(value: object) -> tuple[str, ...]:
    return ("unknown" if value is None else str(value),)
