"""Figures (số liệu): how many on a day, in which cells, and what of it is uncertain."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Any, Final
from urllib.parse import urlencode

import asyncpg

from contracts import provinces
from national import missing
from national.counting import MERGED, ORDER, Arguments, Question, by_year, counted, thing_of
from national.domain import MERGED_KINDS
from servicekit.database import Connection

NAMESPACES: Final = [f"{catalogue}-{code}" for catalogue in ("2004", "2025") for code in provinces.codes(catalogue)]


async def figure(connection: Connection, question: Question) -> dict[str, Any]:
    """The answer to a question, counts taken from one snapshot if the connection's transaction has one.

    Totals are counted, never summed up: an owner may have products in several cells. A cell's `products` leads to
    what was counted in it. `not_attributable`: what the map cannot place, by the provinces that it can be in; of a
    province asked for, also what is perhaps in it. `share` is given for what is sold online: of all products.
    """
    rows = await _tallies(connection, question)
    total = next(row for row in rows if row["part"] == "total")
    share = None
    if question.indicator == "online":
        share = {"numerator": total["count"], "denominator": await _all_products(connection, question)}
    return {
        "indicator": question.indicator,
        "at": question.at,
        "map": question.map,
        "filters": {name: list(values) for name, values in question.filters.items()},
        "by": list(question.by),
        "count": total["count"],
        "of_which_uncertain": total["uncertain"],
        "share": share,
        **(await missing.of_topics(connection, missing.feeding(question))).told(),
        "cells": _cells(question, rows),
        "not_attributable": [
            {"candidates": row["candidates"], "count": row["count"], "of_which_uncertain": row["uncertain"]}
            for row in sorted(
                (row for row in rows if row["part"] == "not attributable"), key=lambda row: row["candidates"]
            )
        ],
        "reported_up_to": await reported_up_to(connection),
    }


def link(question: Question, cell: Mapping[str, str]) -> str:
    """The products behind a cell, or behind the whole figure for a cell without values."""
    chosen = dict(question.filters)
    for dimension, value in cell.items():
        if dimension == "province" and "province" not in chosen:
            chosen["province"] = (f"{question.map}-{value}",)
        elif dimension == "province":  # may be of the other catalogue, and stays beside the cell's own
            chosen["map_province"] = (value,)
        elif dimension == "owner_kind_merged" and value == MERGED:
            kinds = chosen.get("owner_kind", MERGED_KINDS)
            chosen["owner_kind"] = tuple(kind for kind in kinds if kind in MERGED_KINDS)
        else:
            chosen[dimension.removesuffix("_merged")] = (value,)
    pairs = [("indicator", question.indicator), ("at", question.at.isoformat()), ("map", question.map)]
    return "/v1/products?" + urlencode([*pairs, *((name, value) for name, found in chosen.items() for value in found)])


async def reported_up_to(connection: Connection) -> dict[str, date]:
    """Per namespace, the latest local date of what was applied."""
    rows = await connection.fetch(
        """SELECT n.namespace, e.stated_on
           FROM unnest($1::text[]) AS n(namespace)
           CROSS JOIN LATERAL (SELECT stated_on FROM event WHERE namespace = n.namespace AND NOT canary
                               ORDER BY stated_on DESC LIMIT 1) e
           ORDER BY n.namespace""",
        NAMESPACES,
    )
    return {row["namespace"]: row["stated_on"] for row in rows}


async def _tallies(connection: Connection, question: Question) -> Sequence[asyncpg.Record]:
    arguments, names = Arguments(), [f'"{dimension}"' for dimension in question.by]
    by, nulls = ", ".join(names), "".join(f", NULL AS {name}" for name in names)
    tables, whole = [f"rows AS MATERIALIZED ({_alike(question, arguments)})"], "rows"
    if by_year(question):
        tables.append(f"acts AS MATERIALIZED ({_alike(replace(question, by=()), arguments)})")
        whole = "acts"
    # Whether the whole is certain does not hang on what it is broken down by.
    parts = [
        f"SELECT 'total' AS part{nulls}, NULL::text[] AS candidates, {_tally(question, whole, 'certain', 'inside')}"
    ]
    if question.by:
        placed = " AND ".join(["inside", *(f"{name} IS NOT NULL" for name in names)])
        cells = _tally(question, "rows", "certain_in_cell", placed, by)
        parts.append(f"SELECT 'cell', {by}, NULL, {cells} GROUP BY {by}")
    unplaced = _tally(question, whole, "certain", "cardinality(candidates) > 0", "candidates")
    parts.append(f"SELECT 'not attributable'{nulls}, candidates, {unplaced} GROUP BY candidates")
    return await connection.fetch(f"WITH {', '.join(tables)} {' UNION ALL '.join(parts)}", *arguments.values)


def _alike(question: Question, arguments: Arguments) -> str:
    """The rows of a figure, those that are alike in all that it looks at as one, with their number `n`.

    Acts are three times as many as products and mostly alike: what follows then has little left to read.
    """
    thing, names = thing_of(question), [f'"{dimension}"' for dimension in question.by]
    columns = ", ".join([*([thing] if thing else []), "certain", "certain_in_cell", "inside", "candidates", *names])
    rows = counted(question, arguments)
    return f"SELECT {columns}, count(*) AS n FROM ({rows}) counted GROUP BY {columns}"  # noqa: S608  # see `counted`


def _tally(question: Question, source: str, certain: str, condition: str, by: str = "") -> str:
    """Count and uncertain, from the rows that meet a condition; a thing is certain if one of its rows is."""
    thing = thing_of(question)
    if thing is None:
        uncertain = f"sum(n) FILTER (WHERE NOT {certain})"
        return f"""coalesce(sum(n), 0)::bigint AS count, coalesce({uncertain}, 0)::bigint AS uncertain
                   FROM {source} WHERE {condition}"""
    grouped = f"{thing}, {by}" if by else thing
    return f"""count(*) AS count, count(*) FILTER (WHERE NOT certain) AS uncertain
               FROM (SELECT {grouped}, bool_or({certain}) AS certain FROM {source}
                     WHERE {condition} GROUP BY {grouped}) things"""  # noqa: S608  # dimensions' names


async def _all_products(connection: Connection, question: Question) -> int:
    """How many products there are with the same filters, online or not."""
    rest = {name: values for name, values in question.filters.items() if name != "platform"}
    arguments = Arguments()
    rows = counted(Question("products", question.at, question.map, (), rest), arguments)
    number = await connection.fetchval(
        f"SELECT count(*) FROM ({rows}) counted WHERE inside",  # noqa: S608  # see `counted`
        *arguments.values,
    )
    assert isinstance(number, int)
    return number


def _cells(question: Question, rows: Sequence[asyncpg.Record]) -> list[dict[str, Any]]:
    cells = []
    for row in rows:
        if row["part"] == "cell":
            values = {dimension: row[dimension] for dimension in question.by}
            tally = {"count": row["count"], "of_which_uncertain": row["uncertain"]}
            cells.append({**values, **tally, "products": link(question, values)})
    return sorted(cells, key=lambda cell: [_place(dimension, cell[dimension]) for dimension in question.by])


def _place(dimension: str, value: str) -> tuple[int, str]:
    order = ORDER.get(dimension, ())
    return (order.index(value) if value in order else len(order), value)
