"""Asking the national database over HTTP, in the process of the test."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx2
from national import api
from national.settings import Settings

from servicekit import database
from tests.engines import Database
from tests.history.count import Answer

TODAY = date(2026, 8, 6)
Params = list[tuple[str, str | int | float | bool | None]]


@asynccontextmanager
async def asking(made: Database, **limits: Any) -> AsyncIterator[httpx2.AsyncClient]:
    """The service's HTTP on a database, with its own role; limited only where limits are named."""
    pool = await database.open_pool(made.http)
    app = api.build(pool, today=lambda: TODAY)
    if limits:
        api.limit(app, Settings(kafka_bootstrap="-", database_url=made.app, **limits))
    try:
        transport = httpx2.ASGITransport(app=app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://national") as http:
            yield http
    finally:
        await pool.close()


async def ask(http: httpx2.AsyncClient, path: str, params: Params | None = None) -> dict[str, Any]:
    """An answer that is one."""
    answer = await http.get(path, params=params) if params else await http.get(path)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


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


def question(
    at: date, map_: str, province: tuple[str, str] | None, by: str | None, filters: tuple[tuple[str, str], ...]
) -> Params:
    """The parameters of a figure as the count on paper is asked for it."""
    params: Params = [("at", at.isoformat()), ("map", map_), *filters]
    params += [("province", "-".join(province))] if province else []
    return params + ([("by", by)] if by else [])


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
