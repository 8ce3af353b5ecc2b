"""The pages: what the HTTP answers to a person, in Vietnamese, drawn here and readable without scripts.

Every address says all that its page shows. Numbers lead to their products, products to their events.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import urlencode
from uuid import UUID

import jinja2
from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, Response
from pydantic import Field

from contracts import provinces
from contracts.fields import OneOf
from contracts.problems import Problem
from national import certainty, details, events, figures, products, query, words
from national.answers import NotFound
from national.counting import Question, filters_of
from national.overview import overview
from national.query import QueryRefused
from national.timeline import said, timeline
from servicekit.database import Connection
from servicekit.http import MOST_PROBLEMS, Files

Snapshot = Callable[[], AbstractAsyncContextManager[Connection]]
Pairs = list[tuple[str, str]]

HERE: Final = Path(__file__).parent
# Nothing from elsewhere, no script and no style within a page, no frame around it, forms only to us.
HEADERS: Final = {
    "Content-Security-Policy": "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
}
# What programs ask; all other addresses are people's.
PROGRAMS: Final = ("/v1/", "/health/", "/metrics", "/docs", "/openapi.json", "/static/")
# Filters that the form shows; what else an address says goes along in it unseen, and stands in the chips.
CHOICES: Final[Mapping[str, Mapping[str, str]]] = {
    "stars": words.STARS,
    "status": words.STATUSES,
    "group": words.GROUPS,
    "owner_kind": words.OWNER_KINDS,
}
# Dimensions that only some figures have, so that they go when the figure goes.
OF_A_FIGURE: Final = ("occasion", "year", "platform")


class OverviewQuery(query.DayQuery):
    """The overview, on a day and a map."""

    map: Annotated[Annotated[str, OneOf("2004", "2025")], Field(description="63 or 34 provinces.")] = "2025"


@dataclass(frozen=True, slots=True)
class Chip:
    """A filter that is on: its words, and the address without it."""

    field: str
    value: str
    without: str


def mount(app: FastAPI, snapshot: Snapshot, *, today: Callable[[], date]) -> None:
    """`/`, `/san-pham`, `/san-pham/{id}` and their files. A request that is not understood raises as in the API."""
    app.mount("/static", Files(directory=HERE / "static"))

    @app.get("/", include_in_schema=False)
    async def country(request: Request) -> Response:
        asked = query.read(OverviewQuery, request.query_params)
        async with snapshot() as connection:
            found = await overview(connection, asked.at or today(), asked.map)
        return _page("overview.html", overview=found, here="/")

    @app.get("/san-pham", include_in_schema=False)
    async def product_list(request: Request) -> Response:
        asked = query.read(query.ProductQuery, request.query_params)
        query.suits(asked.indicator or "products", asked)
        if asked.limit > query.PER_PAGE:  # longer ones are for programs
            raise QueryRefused(Problem("bad-value", "/limit", {"allowed": f"1-{query.PER_PAGE}"}))
        at = asked.at or today()
        async with snapshot() as connection:
            rows = await products.page(connection, asked, at)
            figure = await _figure(connection, asked, at)
        following = products.cursor(rows[-1]) if len(rows) == asked.limit else None
        pairs = _pairs(asked)
        return _page(
            "products.html",
            asked=asked,
            at=at,
            products=[products.told(row) for row in rows],
            figure=figure,
            chips=_chips(asked, pairs),
            choices=CHOICES,
            provinces=_provinces(),
            unseen=[pair for pair in pairs if pair[0] not in ("at", "q", "province", *CHOICES)],
            next=_address("/san-pham", [*pairs, ("after", following)]) if following else None,
            first=_address("/san-pham", pairs) if asked.after else None,
            data_query=urlencode([*pairs, *([("after", asked.after)] if asked.after else [])]),
            here="/san-pham",
        )

    @app.get("/san-pham/{product_id}", include_in_schema=False)
    async def product(request: Request, product_id: str) -> Response:
        asked = query.read(query.DayQuery, request.query_params)
        at = asked.at or today()
        async with snapshot() as connection:
            found = await details.product(connection, _identifier(product_id), at)
            if found is None:
                raise NotFound
            stated = await events.stated_by(connection, [event["id"] for event in found["events"]])
        return _page(
            "product.html",
            product=found,
            certificates=_certificates(found),
            listings=[_listing(each, at) for each in found["listings"]],
            timeline=timeline(found["events"], stated),
            here="/san-pham",
        )


def is_page(path: str) -> bool:
    """Whether people look there, and not programs."""
    return not path.startswith(PROGRAMS)


def problem_page(status: int, *problems: Problem, headers: Mapping[str, str] | None = None) -> Response:
    """Why there is no page, and for parameters the reason of each."""
    return _page(
        "problem.html",
        status=status,
        problems=[(problem, problem.answer()) for problem in problems[:MOST_PROBLEMS]],
        here=None,
        status_code=status,
        headers=headers,
    )


def _page(
    template: str, *, status_code: int = 200, headers: Mapping[str, str] | None = None, **what: Any
) -> HTMLResponse:
    return HTMLResponse(_templates().get_template(template).render(what), status_code, {**HEADERS, **(headers or {})})


@cache
def _templates() -> jinja2.Environment:
    found = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.globals.update(words=words, said=said, sentences=certainty.SENTENCES)
    for name in ("number", "day", "partial", "moment"):
        found.filters[name] = getattr(words, name)
    found.filters["page"] = lambda link: "/san-pham" + link.removeprefix("/v1/products")
    return found


def _certificates(product: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Each with how it is on the day; one that was never issued is on none."""
    found = product["certificates"]
    counted = next((each for each in found if each["recognition_ref"] == product["recognition_ref"]), None)
    return [
        {**each, "on_day": None if each["void"] else certainty.of_certificate(each, product["at"], counted)}
        for each in found
    ]


def _listing(listing: dict[str, Any], at: date) -> dict[str, Any]:
    document = listing["documents"][-1]
    return {
        "ref": listing["ref"],
        "platform": words.platform(document),
        "url": document["url"],
        "since": words.partial(document["listed_on"]) if document["listed_on"] else "không rõ",
        "until": certainty.until(listing),
        "on_day": certainty.of_listing(listing, at),
    }


def _identifier(written: str) -> UUID:
    """The id in a page's address; what is none names no page."""
    try:
        return UUID(written)
    except ValueError:
        raise NotFound from None


async def _figure(connection: Connection, asked: query.ProductQuery, at: date) -> dict[str, Any] | None:
    """The figure that the list stands behind, where it is exactly that."""
    if asked.indicator is None or asked.q or asked.status or asked.owner:
        return None
    return await figures.figure(connection, Question(asked.indicator, at, asked.map, (), filters_of(asked)))


def _provinces() -> list[tuple[str, list[tuple[str, str]]]]:
    """Both catalogues, each in the order of names' codes: label, then value and name of each province."""
    return [
        (label, [(f"{catalogue}-{code}", words.province(catalogue, code)) for code in provinces.codes(catalogue)])
        for catalogue, label in words.MAPS.items()
    ]


def _address(path: str, pairs: Iterable[tuple[str, str | None]]) -> str:
    written = urlencode([(name, value) for name, value in pairs if value is not None])
    return f"{path}?{written}" if written else path


def _pairs(asked: query.ProductQuery) -> Pairs:
    """What the address says, without the place in the list and without what goes without saying."""
    found: Pairs = []
    for name, field in query.ProductQuery.model_fields.items():
        value = getattr(asked, name)
        if name != "after" and value != field.default:
            values: Sequence[Any] = value if isinstance(value, tuple) else (value,)
            found += [(name, str(each)) for each in values]
    return found


def _chips(asked: query.ProductQuery, pairs: Pairs) -> list[Chip]:
    return [
        Chip(words.FIELDS[name], _said(name, value, asked.map), _address("/san-pham", _without(pairs, name, value)))
        for name, value in pairs
        if name not in ("at", "map", "limit")
    ]


def _without(pairs: Pairs, name: str, value: str) -> Pairs:
    gone = OF_A_FIGURE if name == "indicator" else ()
    return [pair for pair in pairs if pair != (name, value) and pair[0] not in gone]


def _said(name: str, value: str, map_: str) -> str:
    """A filter's value in words."""
    match name:
        case "province":
            catalogue, _, code = value.partition("-")
            return f"{words.province(catalogue, code)} ({'34 tỉnh' if catalogue == '2025' else '63 tỉnh'})"
        case "map_province":
            return words.province(map_, value)
        case "indicator":
            return words.INDICATORS[value]
        case "occasion":
            return words.OCCASIONS[value]
        case "platform":
            return words.PLATFORMS[value]
        case "owner":
            return "một chủ thể"
        case "q":
            return f"“{value}”"
    return CHOICES[name][value] if name in CHOICES else value
