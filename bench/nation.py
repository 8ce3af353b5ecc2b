"""Histories of a whole nation: products of all provinces with owners, recognitions and listings."""

from collections.abc import Iterator
from datetime import date
from typing import Any, Final

from bench.data import Record, domain_event, origin
from contracts import envelope as wire
from contracts import provinces
from contracts.evaluation import OCCASIONS, SETS, Recognition, RecognitionState
from contracts.fields import PartialDate, Unit
from contracts.marketplace import ListingDocument, ListingState
from contracts.names import Key, Ref
from contracts.registry import OwnerDocument, OwnerState, ProductDocument, ProductState, StatedPlace
from contracts.topics import domain_topic

CODES: Final = provinces.codes("2025")
GOODS: Final = ("Gạo nếp", "Trà xanh", "Mật ong", "Cà phê", "Nước mắm", "Chiếu cói", "Rượu nếp", "Bánh đa", "Hạt điều")
KINDS: Final = ("cooperative", "enterprise", "association", "cooperative_group")
SITES: Final = ("shopee", "lazada", "voso", "postmart", "tiktok_shop")
YEARS: Final = ("2019", "2022", "2025")  # in which each product was recognised
PER_OWNER: Final = 4  # products


def histories(products: int, events: int) -> dict[str, Iterator[Record]]:
    """By topic, each subject's events in order; together at least so many events. Every second product is listed."""
    owners = max(1, products // PER_OWNER)
    said = max(1, -(-(events - owners - len(YEARS) * products - products // 2) // products))  # of each product
    return {
        domain_topic("registry", "owner"): (_owner(number) for number in range(owners)),
        domain_topic("registry", "product"): (
            _product(number, number % owners, sequence) for number in range(products) for sequence in range(1, said + 1)
        ),
        domain_topic("evaluation", "recognition"): (
            _recognition(number, sequence) for number in range(products) for sequence in range(1, len(YEARS) + 1)
        ),
        domain_topic("marketplace", "listing"): (_listing(number) for number in range(0, products, 2)),
    }


def key(kind: str, number: int) -> Key:
    """The owner, product or listing of this number; provinces take turns."""
    return Key.of(kind, Ref(namespace=f"2025-{CODES[number % len(CODES)]}", ref=f"{kind}-{number}"))


def _owner(number: int) -> Record:
    own = key("owner", number)
    document = OwnerDocument(
        kind=KINDS[number % len(KINDS)], business_name=f"Cơ sở thử {number}", origin=origin(own.id, 1)
    )
    return _said("registry", "owner", "registered", own, 1, OwnerState(**_named(own), documents=(document,)))


def _product(number: int, owner: int, sequence: int) -> Record:
    own = key("product", number)
    province = own.namespace[5:]

    def document(since: date | None, nth: int) -> ProductDocument:
        return ProductDocument(
            from_=since,
            owner=key("owner", owner),
            name=f"{GOODS[number % len(GOODS)]} {number}",
            place=StatedPlace(province=Unit(catalogue="2025", code=province)),
            origin=origin(own.id, nth),
        )

    documents = [document(None, 1)] + ([document(date(2025, 9, 1), sequence)] if sequence > 1 else [])
    happening = "registered" if sequence == 1 else "updated"
    state = ProductState(**_named(own), documents=tuple(documents))
    return _said("registry", "product", happening, own, sequence, state)


def _recognition(number: int, sequence: int) -> Record:
    own = key("product", number)
    group = list(SETS)[number % len(SETS)]
    found = tuple(
        Recognition(
            recognition_ref=f"{nth}-{year}",
            occasion=OCCASIONS[0 if nth == 1 else 1],
            basis="attested",
            stars=3 + (number + nth) % 3,
            issued_on=PartialDate(f"{year}-{1 + number % 12:02}-15" if number % 5 else year),
            group=group,
            origin=origin(own.id, nth),
        )
        for nth, year in enumerate(YEARS[:sequence], 1)
    )
    happening = "recognised" if sequence == 1 else "renewed"
    state = RecognitionState(product=own, recognitions=found)
    return _said("evaluation", "recognition", happening, own, sequence, state)


def _listing(number: int) -> Record:
    own = key("listing", number)
    document = ListingDocument(
        product=key("product", number),
        platform=SITES[number // 2 % len(SITES)],
        listed_on=PartialDate("2025-03"),
        origin=origin(own.id, 1),
    )
    return _said("marketplace", "listing", "listed", own, 1, ListingState(**_named(own), documents=(document,)))


def _named(own: Key) -> dict[str, Any]:
    return {"id": own.id, "namespace": own.namespace, "ref": own.ref}


def _said(service: str, aggregate: str, happening: str, own: Key, sequence: int, state: Any) -> Record:
    return domain_event(service, aggregate, happening, own.id, sequence, wire.encode(state))
