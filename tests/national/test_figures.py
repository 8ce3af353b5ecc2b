"""Every published figure, asked for over HTTP; and random histories, against the intervals' own answers."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import date
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from national import api

from ocop.history import Event, Figure, figures, histories
from servicekit import database
from tests.engines import Database, Databases
from tests.history.count import Answer, sheet
from tests.history.lookup import fold, look_up, open_book
from tests.national.feed import at_once, fill, said_of
from tests.unit.test_national_domain import BY, DAYS, FILTERS, INDICATORS, PROVINCES, small_histories

FIGURES = figures()
TODAY = date(2026, 8, 6)
TABLES = (
    "event, owner, owner_period, product, product_period, recognition, certificate, standing, listing, offer, stream"
)


@pytest.fixture(scope="module")
def filled(run_databases: Databases) -> Iterator[Database]:
    """The demo's histories, read by the projectors."""

    async def make() -> Database:
        made = await run_databases.make("national")
        await fill(made.app, said_of(event for history in histories() for event in history.events))
        return made

    yield asyncio.run(make())
    asyncio.run(run_databases.drop(templates=False))


@pytest.fixture
async def http(filled: Database) -> AsyncIterator[httpx2.AsyncClient]:
    pool = await database.open_pool(filled.http)
    transport = httpx2.ASGITransport(app=api.build(pool, today=lambda: TODAY))
    async with httpx2.AsyncClient(transport=transport, base_url="http://national") as client:
        yield client
    await pool.close()


Params = list[tuple[str, str | int | float | bool | None]]


def question(
    at: date, map_: str, province: tuple[str, str] | None, by: str | None, filters: tuple[tuple[str, str], ...]
) -> Params:
    params: Params = [("at", at.isoformat()), ("map", map_), *filters]
    params += [("province", "-".join(province))] if province else []
    return params + ([("by", by)] if by else [])


async def ask(http: httpx2.AsyncClient, path: str, params: Params | None = None) -> dict[str, Any]:
    answer = await http.get(path, params=params or [])
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def as_counted(found: dict[str, Any]) -> Answer:
    """An answer in the form of the count on paper."""
    [by] = found["by"] or [None]
    return Answer(
        found["count"],
        found["of_which_uncertain"],
        {cell[by]: (cell["count"], cell["of_which_uncertain"]) for cell in found["cells"]},
        {tuple(row["candidates"]): (row["count"], row["of_which_uncertain"]) for row in found["not_attributable"]},
        (found["share"]["numerator"], found["share"]["denominator"]) if found["share"] else None,
    )


async def all_products(http: httpx2.AsyncClient, link: str) -> list[dict[str, Any]]:
    """Every product of a list, page by page."""
    found: list[dict[str, Any]] = []
    after: Params = []
    while True:
        page = await ask(http, urlsplit(link).path, [*parse_qsl(urlsplit(link).query), *after])
        found += page["products"]
        if page["next"] is None:
            return found
        after = [("after", page["next"])]


def named(figure: Figure) -> str:
    return f"{figure.indicator}-{'-'.join(figure.province)}-{figure.at}-map{figure.map}-by-{figure.by}"


@pytest.mark.parametrize("figure", FIGURES, ids=named)
async def test_a_published_figure_is_the_national_one(http: httpx2.AsyncClient, figure: Figure) -> None:
    params = question(figure.at, figure.map, figure.province, figure.by, figure.filters)
    found = await ask(http, f"/v1/figures/{figure.indicator}", params)
    assert (found["count"], found["of_which_uncertain"]) == (figure.count, figure.uncertain)
    assert as_counted(found).cells == {cell.value: (cell.count, cell.uncertain) for cell in figure.cells}
    assert sum(row["count"] for row in found["not_attributable"]) == figure.not_attributable
    if figure.share:
        assert found["share"] == {"numerator": figure.share.numerator, "denominator": figure.share.denominator}
    assert found["incomplete"] is False
    for cell in found["cells"]:
        behind = await all_products(http, cell["products"])
        things = {product["owner"]["id"] if figure.indicator == "owners" else product["id"] for product in behind}
        assert len(things) == cell["count"]


async def test_what_is_reported_up_to_when(http: httpx2.AsyncClient) -> None:
    paper = sheet(event for history in histories() for event in history.events)
    found = await ask(http, "/v1/figures/products")
    assert found["reported_up_to"] == {ns: day.isoformat() for ns, day in sorted(paper.reported_up_to.items())}


async def reload(made: Database, events: list[Event]) -> None:
    owner = await database.connect(made.owner)
    await owner.execute(f"TRUNCATE {TABLES}")
    await owner.close()
    await fill(made.app, at_once(fold(events)))


@pytest.fixture(scope="module")
def scratch(run_databases: Databases) -> Iterator[Database]:
    yield asyncio.run(run_databases.make("national"))
    asyncio.run(run_databases.drop(templates=False))


QUESTIONS = st.one_of(
    st.tuples(INDICATORS, DAYS, st.sampled_from(("2004", "2025")), PROVINCES, BY, FILTERS),
    st.tuples(
        st.just("recognitions"),
        DAYS,
        st.just("2025"),
        PROVINCES,
        st.sampled_from(("occasion", "year", "stars")),
        st.sampled_from(((("year", "2024"),), (("year", "2025"),), (("occasion", "renewed"),))),
    ),
    st.tuples(
        st.just("online"), DAYS, st.just("2004"), PROVINCES, st.just("platform"), st.just((("platform", "voso"),))
    ),
)


@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(small_histories(), st.lists(QUESTIONS, min_size=6, max_size=12))
def test_a_figure_from_the_database_is_the_one_from_the_intervals(
    scratch: Database, events: list[Event], questions: list[Any]
) -> None:
    async def compare() -> None:
        await reload(scratch, events)
        book = open_book(fold(events))
        pool = await database.open_pool(scratch.http)
        transport = httpx2.ASGITransport(app=api.build(pool, today=lambda: TODAY))
        async with httpx2.AsyncClient(transport=transport, base_url="http://national") as http:
            for indicator, at, map_, province, by, filters in questions:
                found = await ask(http, f"/v1/figures/{indicator}", question(at, map_, province, by, filters))
                assert as_counted(found) == look_up(book, indicator, at, map_, province, by, filters)
        await pool.close()

    asyncio.run(compare())
