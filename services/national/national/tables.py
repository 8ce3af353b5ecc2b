"""Answers as tables, for spreadsheets: one row says all that it needs to be understood alone."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any, Final

import asyncpg

Table = tuple[Sequence[str], list[Sequence[Any]]]

PRODUCT_COLUMNS: Final = (
    "at",
    "id",
    "namespace",
    "ref",
    "name",
    "owner_id",
    "owner",
    "owner_kind",
    "place_printed",
    "province_2004",
    "province_2025",
    "status",
    "stars",
    "group",
    "recognition_ref",
)


def of_figure(figure: Mapping[str, Any]) -> Table:
    """The total, then the cells, then what the map cannot place."""
    by = figure["by"]
    columns: list[str] = ["indicator", "at", "map", "part", *by, "candidates", "count", "of_which_uncertain"]
    columns += ["denominator", "incomplete", "products"]
    asked = [figure["indicator"], figure["at"], figure["map"]]
    blank = [None] * len(by)

    def row(part: str, values: Sequence[Any], tally: Mapping[str, Any], candidates: str | None = None) -> list[Any]:
        denominator = figure["share"]["denominator"] if figure["share"] and part == "total" else None
        counts = [tally["count"], tally["of_which_uncertain"], denominator, figure["incomplete"], tally.get("products")]
        return [*asked, part, *values, candidates, *counts]

    rows: list[Sequence[Any]] = [row("total", blank, figure)]
    rows += [row("cell", [cell[dimension] for dimension in by], cell) for cell in figure["cells"]]
    rows += [
        row("not attributable", blank, tally, " ".join(tally["candidates"])) for tally in figure["not_attributable"]
    ]
    return columns, rows


def of_products(products: Iterable[asyncpg.Record], at: date) -> Table:
    """One row per product of a page."""
    return PRODUCT_COLUMNS, [
        [
            at,
            row["id"],
            row["namespace"],
            row["ref"],
            row["name"],
            row["owner"],
            row["business_name"],
            row["owner_kind"],
            row["place_printed"],
            row["province_2004"] or " ".join(row["candidates_2004"]),
            row["province_2025"] or " ".join(row["candidates_2025"]),
            row["status"],
            row["stars"],
            row["product_group"],
            row["recognition_ref"],
        ]
        for row in products
    ]
