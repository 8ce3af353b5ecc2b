"""One product, one owner: everything that is known, with what holds on a day and the events behind it."""

from collections.abc import Sequence
from datetime import date
from typing import Any, Final, TypeVar
from uuid import UUID

import asyncpg
from pydantic import BaseModel

from contracts.evaluation import RecognitionState
from contracts.fields import INSIDE
from contracts.marketplace import ListingState
from contracts.registry import OwnerState, ProductState
from national import events, missing, products
from national.flags import flags
from servicekit.database import Connection

MOST_EVENTS: Final = 200
MOST_PRODUCTS: Final = 200
MOST_LISTINGS: Final = 200
State = TypeVar("State", bound=BaseModel)


async def product(connection: Connection, product_id: UUID, at: date) -> dict[str, Any] | None:
    """A product with its certificates, documents, listings, flags and events, or None if there is none.

    `from` and `to` of days are half-open, null is without limit. Of more than 200 events the latest are given; of more
    than 200 listings the first by their refs, and nothing else is said of the others but how many there are in all.
    """
    row = await products.on_the_day(connection, product_id, at)
    state = _state(ProductState, await connection.fetchval(_LATEST.format(table="product", key="id"), product_id))
    if row is None or state is None:
        return None
    recognised = _state(
        RecognitionState, await connection.fetchval(_LATEST.format(table="recognition", key="product"), product_id)
    )
    owner = _state(OwnerState, await connection.fetchval(_LATEST.format(table="owner", key="id"), row["owner"]))
    payloads = await connection.fetch(
        """SELECT e.payload::text
           FROM (SELECT * FROM listing WHERE product = $1 ORDER BY namespace, ref, id LIMIT $2) l
           JOIN event e ON e.id = l.event ORDER BY l.namespace, l.ref, l.id""",
        product_id,
        MOST_LISTINGS,
    )
    listings = [ListingState.model_validate_json(p["payload"], extra="ignore", context=INSIDE) for p in payloads]
    subjects = [product_id, *(listing.id for listing in listings)]
    whose = [
        (missing.PRODUCT, product_id),
        (missing.RECOGNITION, product_id),
        *((missing.LISTING, listing.id) for listing in listings),
    ]
    newest = [(listing.ref, max(listing.documents, key=lambda d: d.origin.sequence)) for listing in listings]
    listed = [(ref, document.listed_on, document.origin) for ref, document in newest]
    return {
        "at": at,
        **products.told(row),
        **(await missing.of_subjects(connection, whose)).told(),
        "documents": [_plain(document) for document in state.documents],
        "discontinued": _plain(state.discontinued),
        "certificates": await _certificates(connection, product_id, recognised),
        "standings": await _standings(connection, product_id),
        "listings": await _listings(connection, listings),
        "listings_in_all": await connection.fetchval("SELECT count(*) FROM listing WHERE product = $1", product_id),
        "flags": [flag.told() for flag in flags(state, recognised, listed, owner, at)],
        **await events.latest_of_subjects(connection, subjects, MOST_EVENTS),
    }


async def owner(connection: Connection, owner_id: UUID, at: date) -> dict[str, Any] | None:
    """An owner with its documents, the products that are its on the day (200 at most) and its events (the latest 200),
    or None."""
    state = _state(OwnerState, await connection.fetchval(_LATEST.format(table="owner", key="id"), owner_id))
    if state is None:
        return None
    row = await connection.fetchrow(
        "SELECT kind, business_name FROM owner_period WHERE owner = $1 AND day_from <= $2 AND day_to > $2",
        owner_id,
        at,
    )
    assert row is not None  # documents hold from ever to ever
    theirs = await products.of_owner(connection, owner_id, at, MOST_PRODUCTS)
    return {
        "at": at,
        "id": state.id,
        "namespace": state.namespace,
        "ref": state.ref,
        "kind": row["kind"],
        "business_name": row["business_name"],
        **(await missing.of_subjects(connection, [(missing.OWNER, owner_id)])).told(),
        "documents": [_plain(document) for document in state.documents],
        "closed": _plain(state.closed),
        "products": [products.told(each) for each in theirs],
        **await events.latest_of_subjects(connection, [owner_id], MOST_EVENTS),
    }


# The state as the latest event of a subject says it.
_LATEST: Final = """SELECT e.payload::text FROM {table} t JOIN event e ON e.id = t.event WHERE t.{key} = $1"""


def _state(model: type[State], payload: str | None) -> State | None:
    return None if payload is None else model.model_validate_json(payload, extra="ignore", context=INSIDE)


def _plain(value: BaseModel | None) -> dict[str, Any] | None:
    return None if value is None else value.model_dump(mode="json")


async def _certificates(
    connection: Connection, product_id: UUID, state: RecognitionState | None
) -> list[dict[str, Any]]:
    """All recognitions, newest first, with the days that their dates leave open; those never issued come last."""
    rows = await connection.fetch("SELECT * FROM certificate WHERE product = $1 ORDER BY place", product_id)
    ranges = {
        row["recognition_ref"]: {name: row[name] for name in ("issued_lo", "issued_hi", "ends_lo", "ends_hi")}
        for row in rows
    }
    newest_first = list(ranges)
    stated = {recognition.recognition_ref: recognition for recognition in state.recognitions} if state else {}
    void = [ref for ref, recognition in stated.items() if recognition.void]
    return [{**stated[ref].model_dump(mode="json"), "days": ranges.get(ref)} for ref in newest_first + void]


async def _standings(connection: Connection, product_id: UUID) -> list[dict[str, Any]]:
    rows = await connection.fetch("SELECT * FROM standing WHERE product = $1 ORDER BY day_from", product_id)
    return [
        {
            **_days(row),
            "recognition_ref": row["recognition_ref"],
            "stars": row["stars"],
            "group": row["product_group"],
            "certain": row["certain"],
            "stars_certain": row["stars_certain"],
            "group_certain": row["group_certain"],
        }
        for row in rows
    ]


async def _listings(connection: Connection, states: Sequence[ListingState]) -> list[dict[str, Any]]:
    rows = await connection.fetch(
        "SELECT * FROM offer WHERE listing = ANY($1::uuid[]) ORDER BY listing, day_from", [state.id for state in states]
    )
    days: dict[UUID, list[dict[str, Any]]] = {state.id: [] for state in states}
    for row in rows:
        days[row["listing"]].append({**_days(row), "certain": row["certain"]})
    return [
        {
            "id": state.id,
            "namespace": state.namespace,
            "ref": state.ref,
            "documents": [_plain(document) for document in state.documents],
            "delisted": _plain(state.delisted),
            "days": days[state.id],
        }
        for state in states
    ]


def _days(row: asyncpg.Record) -> dict[str, Any]:
    """The first day inside and the first outside; null is without limit."""
    return {
        "from": None if row["day_from"] == date.min else row["day_from"],
        "to": None if row["day_to"] == date.max else row["day_to"],
    }
