"""Products (sản phẩm OCOP) on a day: lists to search and to page through, and what stands behind a figure."""

import base64
import binascii
from datetime import date
from typing import Any, Final
from uuid import UUID

import asyncpg

from contracts.problems import Problem
from national.counting import Arguments, Question, counted, filters_of, on_day, value_of
from national.folding import fold
from national.query import ProductQuery, QueryRefused
from servicekit.database import Connection

MOST_WORDS: Final = 12  # of a search; each is looked for in every name
# Of the place in a list: the longest name has 200 signs, each of 33 bytes at most when it is folded, before the id.
MOST_OF_A_PLACE: Final = 9_000
# Of the product on the day: `valid` for certain, `uncertain`, `ended` (expired or revoked), `none` (not recognised).
_STATUS: Final = """CASE WHEN s.certain THEN 'valid' WHEN s.product IS NOT NULL THEN 'uncertain'
                         WHEN EXISTS (SELECT FROM certificate c WHERE c.product = p.product AND c.issued_lo <= {at})
                         THEN 'ended' ELSE 'none' END"""
_ROW: Final = """SELECT p.product AS id, r.namespace, r.ref, p.name, p.words, p.place_printed,
                        p.province_2004, p.candidates_2004, p.province_2025, p.candidates_2025,
                        p.owner, o.business_name, coalesce(o.kind, 'not_stated') AS owner_kind,
                        s.recognition_ref, s.stars, s.product_group, s.stars_certain, s.group_certain,
                        {status} AS status
                 FROM product_period p
                 JOIN product r ON r.id = p.product
                 LEFT JOIN owner_period o ON o.owner = p.owner AND {owner_holds}
                 LEFT JOIN standing s ON s.product = p.product AND {stands}
                 WHERE {holds}"""


def _row(at: str) -> str:
    return _ROW.format(
        status=_STATUS.format(at=at), owner_holds=on_day("o", at), stands=on_day("s", at), holds=on_day("p", at)
    )


async def page(connection: Connection, query: ProductQuery, at: date) -> list[asyncpg.Record]:
    """A page of products in the order of their names, marks off, then of their ids.

    With an indicator: those that its figure counts. Raises QueryRefused for a cursor that is none.
    """
    arguments = Arguments()
    day = arguments.put(at)
    conditions = [_row(day)]
    if query.indicator is not None:
        behind = counted(Question(query.indicator, at, query.map, (), filters_of(query)), arguments)
        conditions.append(f"p.product IN (SELECT product FROM ({behind}) behind WHERE inside)")  # noqa: S608  # see `counted`
    else:
        conditions += _filtered(query, arguments)
    if query.status:
        conditions.append(f"{_STATUS.format(at=day)} = ANY({arguments.put(list(query.status))}::text[])")
    if query.owner is not None:
        conditions.append(f"p.owner = {arguments.put(query.owner)}")
    sought = list(dict.fromkeys(fold(query.q or "").split()))[:MOST_WORDS]
    conditions += [f"' ' || p.words LIKE {arguments.put(f'% {word}%')}" for word in sought]
    if query.after is not None:
        words, product = place_of(query.after)
        conditions.append(f"(p.words, p.product) > ({arguments.put(words)}, {arguments.put(product)})")
    limit = arguments.put(query.limit)
    return await connection.fetch(
        " AND ".join(conditions) + f" ORDER BY p.words, p.product LIMIT {limit}", *arguments.values
    )


def _filtered(query: ProductQuery, arguments: Arguments) -> list[str]:
    filters = filters_of(query)
    asked = filters.pop("province", ())
    conditions = [
        f"{value_of(name, query.map)} = ANY({arguments.put(list(values))}::text[])" for name, values in filters.items()
    ]
    if asked:
        places = {c: [code[5:] for code in asked if code.startswith(c)] for c in ("2004", "2025")}
        either = [f"p.province_{c} = ANY({arguments.put(codes)}::text[])" for c, codes in places.items() if codes]
        conditions.append(f"({' OR '.join(either)})")
    return conditions


async def on_the_day(connection: Connection, product: UUID, at: date) -> asyncpg.Record | None:
    """One product as it is on a day, or None if there is none."""
    return await connection.fetchrow(f"{_row('$1')} AND p.product = $2", at, product)


async def of_owner(connection: Connection, owner: UUID, at: date, limit: int) -> list[asyncpg.Record]:
    """The products that are an owner's on a day, in the order of a list."""
    return await connection.fetch(
        f"{_row('$1')} AND p.owner = $2 ORDER BY p.words, p.product LIMIT $3", at, owner, limit
    )


def told(row: asyncpg.Record) -> dict[str, Any]:
    """A product of a list, as it stands in an answer."""
    return {
        "id": row["id"],
        "namespace": row["namespace"],
        "ref": row["ref"],
        "name": row["name"],
        "owner": {"id": row["owner"], "business_name": row["business_name"], "kind": row["owner_kind"]},
        "place_printed": row["place_printed"],
        "province": {
            map_: {"code": row[f"province_{map_}"], "candidates": row[f"candidates_{map_}"]}
            for map_ in ("2004", "2025")
        },
        "status": row["status"],
        "stars": row["stars"],
        "stars_certain": row["stars_certain"],
        "group": row["product_group"],
        "group_certain": row["group_certain"],
        "recognition_ref": row["recognition_ref"],
        "url": f"/v1/products/{row['id']}",
    }


def cursor(row: asyncpg.Record) -> str:
    """The `after` of the page that begins behind this row."""
    return base64.urlsafe_b64encode(f"{row['words']}|{row['id']}".encode()).decode().rstrip("=")


def place_of(after: str) -> tuple[str, UUID]:
    """Where the page begins. Raises QueryRefused for what no page has given."""
    try:
        if len(after) > MOST_OF_A_PLACE:
            raise ValueError("longer than any name")
        words, _, product = base64.urlsafe_b64decode(after + "=" * (-len(after) % 4)).decode().partition("|")
        place = words, UUID(product)
        if fold(words) != words:
            raise ValueError("not the words of a name")
    except (ValueError, binascii.Error):
        raise QueryRefused(Problem("bad-cursor", "/after")) from None
    return place
