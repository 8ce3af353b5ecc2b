"""Every published figure, asked for over HTTP; and random histories, against the intervals' own answers."""

import asyncio
from collections.abc import AsyncIterator

import httpx2
import pytest

from ocop.history import Figure, figures, histories
from tests.engines import Database
from tests.history.count import sheet
from tests.national.asking import Params, all_products, as_counted, ask, asking, question
from tests.national.feed import fill, said_of

FIGURES = figures()


@pytest.fixture(scope="module")
def filled(one_database: Database) -> Database:
    """The demo's histories, read by the projectors."""
    asyncio.run(fill(one_database, said_of(event for history in histories() for event in history.events)))
    return one_database


@pytest.fixture
async def http(filled: Database) -> AsyncIterator[httpx2.AsyncClient]:
    async with asking(filled) as client:
        yield client


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


@pytest.mark.parametrize("figure", [figure for figure in FIGURES if figure.cells], ids=named)
async def test_a_cell_leads_to_what_it_counts(http: httpx2.AsyncClient, figure: Figure) -> None:
    params = question(figure.at, figure.map, figure.province, figure.by, figure.filters)
    for cell in (await ask(http, f"/v1/figures/{figure.indicator}", params))["cells"]:
        behind = await all_products(http, cell["products"])
        things = {product["owner"]["id"] if figure.indicator == "owners" else product["id"] for product in behind}
        assert len(things) == cell["count"]


async def test_a_cell_within_a_province_of_the_other_map_leads_to_its_own_only(http: httpx2.AsyncClient) -> None:
    asked: Params = [("at", "2025-07-01"), ("map", "2004"), ("province", "2025-80"), ("by", "province,stars")]
    found = await ask(http, "/v1/figures/products", asked)
    assert [(cell["province"], cell["stars"], cell["count"]) for cell in found["cells"]] == [
        ("72", "5", 1),
        ("72", "4", 42),
        ("72", "3", 96),
        ("80", "4", 49),
        ("80", "3", 186),
    ]
    for cell in found["cells"]:
        behind = await all_products(http, cell["products"])
        assert len(behind) == cell["count"]
        assert {product["province"]["2004"]["code"] for product in behind} == {cell["province"]}
        assert {product["stars"] for product in behind} == {cell["stars"]}


async def test_values_of_a_filter_are_alternatives_repeated_or_with_commas(http: httpx2.AsyncClient) -> None:
    day: Params = [("at", "2025-03-14"), ("map", "2004")]
    both = await ask(http, "/v1/figures/products", [*day, ("province", "2004-80"), ("province", "2004-72")])
    same = await ask(http, "/v1/figures/products", [*day, ("province", "2004-80,2004-72,2004-80")])
    assert both == same
    assert both["count"] == 374
    assert both["filters"] == {"province": ["2004-80", "2004-72"]}


async def test_kinds_that_reports_merge_have_a_merged_total(http: httpx2.AsyncClient) -> None:
    asked: Params = [("at", "2024-12-31"), ("map", "2004"), ("province", "2004-80"), ("by", "owner_kind_merged")]
    found = await ask(http, "/v1/figures/owners", asked)
    assert [(cell["owner_kind_merged"], cell["count"]) for cell in found["cells"]] == [
        ("cooperative", 15),
        ("enterprise", 24),
        ("household_to_establishment", 69),
    ]
    behind = await all_products(http, found["cells"][2]["products"])
    assert len({product["owner"]["id"] for product in behind}) == 69


async def test_what_is_reported_up_to_when(http: httpx2.AsyncClient) -> None:
    paper = sheet(event for history in histories() for event in history.events)
    found = await ask(http, "/v1/figures/products")
    assert found["reported_up_to"] == {ns: day.isoformat() for ns, day in sorted(paper.reported_up_to.items())}
    assert (found["at"], found["map"]) == ("2026-08-06", "2025")


async def test_a_figure_as_a_table(http: httpx2.AsyncClient) -> None:
    asked: Params = [("at", "2026-08-05"), ("map", "2004"), ("province", "2025-68"), ("by", "province")]
    answer = await http.get("/v1/figures/products.csv", params=asked)
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == 'attachment; filename="products.csv"'
    lines = answer.content.decode("utf-8-sig").split("\r\n")
    link = "/v1/products?indicator=products&at=2026-08-05&map=2004&province=2025-68&map_province="
    assert lines == [
        "indicator,at,map,part,province,candidates,count,of_which_uncertain,denominator,incomplete,products",
        "products,2026-08-05,2004,total,,,25,0,,false,",
        f"products,2026-08-05,2004,cell,60,,11,0,,false,{link}60",
        f"products,2026-08-05,2004,cell,67,,5,0,,false,{link}67",
        "products,2026-08-05,2004,not attributable,,60 67 68,9,0,,false,",
        "",
    ]
    assert answer.content.startswith(b"\xef\xbb\xbf")
    assert (await http.get("/v1/figures/products.json", params=asked)).json()["count"] == 25


async def test_a_share_stands_in_the_table_too(http: httpx2.AsyncClient) -> None:
    asked: Params = [("at", "2023-12-31"), ("map", "2004"), ("province", "2004-87")]
    lines = (await http.get("/v1/figures/online.csv", params=asked)).content.decode("utf-8-sig").split("\r\n")
    assert lines[1] == "online,2023-12-31,2004,total,,370,0,453,false,"
