"""What is counted where the dates, the maps and the dimensions leave something open: one situation each."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from ocop.history.events import Event, Reporter, listed, owner_registered, product_registered, recognised, renewed
from tests.engines import Database
from tests.national.asking import all_products, ask, asking
from tests.national.feed import fill, said_of

REPORTER = Reporter("2025-68", "2004-67", "2026-08-05T00:00:00+07:00")
OLD = {"province": {"catalogue": "2004", "code": "67"}}
NEW = {"province": {"catalogue": "2025", "code": "68"}}


def product(ref: str, owner: str = "CT", place: dict[str, Any] = OLD) -> Event:
    return product_registered(REPORTER, ref, owner, name=f"Sản phẩm minh họa {ref}", place=place)


def act(product: str, ref: str, issued_on: str | None, **fields: Any) -> Event:
    return recognised(REPORTER, f"{product}-{ref}", product, ref, issued_on=issued_on, **fields)


HISTORY = (
    owner_registered(REPORTER, "CT", kind="household"),
    owner_registered(REPORTER, "CT-2", kind="farm"),
    # Renewed with other stars on some day of 2025, while the first act runs: it counts for certain, its stars do not.
    product("A"),
    act("A", "1", "2024-01-15", stars=3, group="food"),
    renewed(REPORTER, "A-2", "A", "2", issued_on="2025", stars=4, group="drink", previous_ref="1"),
    # Of the new map only, in one of three provinces of the old.
    product("B", "CT-2", NEW),
    act("B", "1", "2025-09-01", stars=4, group="craft"),
    # Reported with no day at all: of some year since 2018.
    product("C"),
    act("C", "1", None, stars=5),
    listed(REPORTER, "A-voso", "A", platform="voso", listed_on="2024-02-01"),
    listed(REPORTER, "A-shopee", "A", platform="shopee", listed_on="2025"),
    listed(REPORTER, "B-shopee", "B", platform="shopee", listed_on="2026"),
)


@pytest.fixture(scope="module")
def filled(one_database: Database) -> Database:
    """These situations, read by the projectors."""
    asyncio.run(fill(one_database, said_of(HISTORY)))
    return one_database


@pytest.fixture
async def http(filled: Database) -> AsyncIterator[httpx2.AsyncClient]:
    async with asking(filled) as client:
        yield client


Cells = dict[tuple[str, ...], tuple[int, int]]


@pytest.mark.parametrize(
    ("asked", "total", "cells", "nowhere"),
    [
        ("products?at=2025-06-30", (2, 1), {}, {}),
        ("products?at=2025-06-30&by=stars", (2, 1), {("4",): (1, 1), ("5",): (1, 1)}, {}),
        ("products?at=2025-06-30&by=group", (2, 1), {("drink",): (1, 1), ("unknown",): (1, 1)}, {}),
        ("products?at=2025-06-30&group=drink", (1, 1), {}, {}),
        ("products?at=2025-06-30&stars=4", (1, 1), {}, {}),
        ("products?at=2025-06-30&owner_kind=household", (2, 1), {}, {}),
        (
            "products?at=2026-01-01&by=stars,group",
            (3, 1),
            {("5", "unknown"): (1, 1), ("4", "drink"): (1, 0), ("4", "craft"): (1, 0)},
            {},
        ),
        (
            "products?at=2026-01-01&by=group&by=stars",
            (3, 1),
            {("unknown", "5"): (1, 1), ("drink", "4"): (1, 0), ("craft", "4"): (1, 0)},
            {},
        ),
        ("products?at=2026-01-01&by=province", (3, 1), {("68",): (3, 1)}, {}),
        (
            "products?at=2026-01-01&by=province&map=2004",
            (3, 1),
            {("67",): (2, 1)},
            {("60", "67", "68"): (1, 0)},
        ),
        # Asked for a province of the map: what is perhaps in it is told beside it, not counted in it.
        ("products?at=2026-01-01&map=2004&province=2004-67", (2, 1), {}, {("60", "67", "68"): (1, 0)}),
        ("products?at=2026-01-01&map=2004&province=2004-60", (0, 0), {}, {("60", "67", "68"): (1, 0)}),
        ("products?at=2026-01-01&map=2025&province=2004-60", (0, 0), {}, {}),
        ("products?at=2026-01-01&map=2004&province=2004-60,2025-68", (3, 1), {}, {("60", "67", "68"): (1, 0)}),
        ("products?at=2026-01-01&map=2004&map_province=67&province=2025-68", (2, 1), {}, {}),
        # One owner in two cells is one owner.
        ("owners?at=2026-01-01&by=stars", (2, 0), {("5",): (1, 1), ("4",): (2, 0)}, {}),
        ("owners?at=2026-01-01&by=owner_kind", (2, 0), {("household",): (1, 0), ("other",): (1, 0)}, {}),
        (
            "owners?at=2026-01-01&by=owner_kind_merged",
            (2, 0),
            {("household_to_establishment",): (1, 0), ("other",): (1, 0)},
            {},
        ),
        # One product on two platforms is one product; listed on some day of the year is not certain within it.
        ("online?at=2025-06-30", (1, 0), {}, {}),
        ("online?at=2025-06-30&by=platform", (1, 0), {("shopee",): (1, 1), ("voso",): (1, 0)}, {}),
        ("online?at=2025-06-30&platform=shopee", (1, 1), {}, {}),
        ("online?at=2026-02-01&by=platform", (2, 1), {("shopee",): (2, 1), ("voso",): (1, 0)}, {}),
        # Acts: until the day, of each year that they can be of, one act being one.
        ("recognitions?at=2024-12-31", (2, 1), {}, {}),
        ("recognitions?at=2025-06-30", (3, 2), {}, {}),
        ("recognitions?at=2026-08-05&by=occasion", (4, 0), {("renewed",): (1, 0), ("unknown",): (3, 0)}, {}),
        (
            "recognitions?at=2026-08-05&by=year&stars=4,5",
            (3, 0),
            {(str(year),): (1, 1) for year in (2018, 2019, 2020, 2021, 2022, 2023, 2024, 2026)} | {("2025",): (3, 1)},
            {},
        ),
        ("recognitions?at=2026-08-05&year=2024,2025&stars=5", (1, 1), {}, {}),
        ("recognitions?at=2025-06-30&year=2025&stars=4", (1, 1), {}, {}),
        ("recognitions?at=2023-12-31&year=2024", (0, 0), {}, {}),
    ],
    ids=str,
)
async def test_what_is_counted(
    http: httpx2.AsyncClient,
    asked: str,
    total: tuple[int, int],
    cells: Cells,
    nowhere: Cells,
) -> None:
    found = await ask(http, f"/v1/figures/{asked}")
    assert (found["count"], found["of_which_uncertain"]) == total
    assert {
        tuple(cell[dimension] for dimension in found["by"]): (cell["count"], cell["of_which_uncertain"])
        for cell in found["cells"]
    } == cells
    assert {
        tuple(row["candidates"]): (row["count"], row["of_which_uncertain"]) for row in found["not_attributable"]
    } == nowhere
    for cell in found["cells"]:
        behind = await all_products(http, cell["products"])
        assert len({each["owner"]["id"] for each in behind}) == cell["count"] or found["indicator"] != "owners"
        assert len(behind) == cell["count"] or found["indicator"] in ("owners", "recognitions")
        assert behind


async def test_a_share_is_of_the_products_with_the_same_filters(http: httpx2.AsyncClient) -> None:
    for asked, share in (
        ("online?at=2026-02-01", (2, 3)),
        ("online?at=2026-02-01&platform=voso", (1, 3)),
        ("online?at=2026-02-01&stars=4&platform=voso", (1, 2)),
        ("online?at=2026-02-01&province=2004-67&by=stars", (1, 2)),
    ):
        found = await ask(http, f"/v1/figures/{asked}")
        assert found["share"] == {"numerator": share[0], "denominator": share[1]}
    assert (await ask(http, "/v1/figures/products"))["share"] is None


async def test_cells_stand_in_the_order_of_their_dimensions(http: httpx2.AsyncClient) -> None:
    found = await ask(http, "/v1/figures/products?at=2026-01-01&by=stars,group")
    assert [(cell["stars"], cell["group"]) for cell in found["cells"]] == [
        ("5", "unknown"),
        ("4", "drink"),
        ("4", "craft"),
    ]
