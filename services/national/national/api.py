"""HTTP of the national database: figures, products, owners and events, for everybody to read."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import date
from typing import Any, Final
from urllib.parse import urlencode

from fastapi import FastAPI, Request
from fastapi.responses import Response

from contracts.problems import Problem
from national import details, events, figures, openapi, pages, products, query, tables
from national.answers import Busy, NotFound, csv_response
from national.counting import Question, filters_of
from national.query import QueryRefused
from national.settings import Settings
from servicekit import database
from servicekit.database import Connection, Pool
from servicekit.http import RETRY_AFTER_S, PlainJSON, application, problem_response
from servicekit.limits import AtOnce, Limited, Meter, PerAddress, Shares

WAIT_STEP_S: Final = 0.1


def build(pool: Pool, *, today: Callable[[], date]) -> FastAPI:
    """The application; `pool` is the HTTP role's, `today` says which day it is in Vietnam."""
    app = application("OCOP Interconnect: national database")
    _answer_errors(app)

    @asynccontextmanager
    async def snapshot() -> AsyncIterator[Connection]:
        """All that one answer says is of one moment."""
        try:
            async with database.transaction(pool, isolation="repeatable_read", readonly=True) as connection:
                yield connection
        except Exception as error:
            if database.is_outage(error):
                raise Busy from error
            raise

    @app.get(
        "/v1/figures/{indicator}",
        openapi_extra=openapi.asks(query.FigureQuery),
        responses=openapi.answers("The figure", openapi.FIGURE, csv=True),
    )
    async def figure(request: Request, indicator: str) -> Response:
        """A figure: products, owners, recognitions or online. With .csv or .json behind it, in that form."""
        name, _, form = indicator.partition(".")
        if name not in query.DIMENSIONS or form not in ("", "json", "csv"):
            raise NotFound
        asked = query.read(query.FigureQuery, request.query_params)
        query.suits(name, asked)
        question = Question(name, asked.at or today(), asked.map, asked.by, filters_of(asked))
        async with snapshot() as connection:
            found = await figures.figure(connection, question)
        return csv_response(name, *tables.of_figure(found)) if form == "csv" else PlainJSON(found)

    @app.get("/v1/products.csv", include_in_schema=False)
    @app.get("/v1/products.json", include_in_schema=False)
    @app.get(
        "/v1/products",
        openapi_extra=openapi.asks(query.ProductQuery),
        responses=openapi.answers("A page of products; `next` is the `after` of the following one", csv=True),
    )
    async def product_list(request: Request) -> Response:
        """Products on a day, by name; at /v1/products.csv as a table, the next page named in the header Link."""
        asked = query.read(query.ProductQuery, request.query_params)
        query.suits(asked.indicator or "products", asked)
        at = asked.at or today()
        async with snapshot() as connection:
            rows = await products.page(connection, asked, at)
        following = products.cursor(rows[-1]) if len(rows) == asked.limit else None
        if request.url.path.endswith(".csv"):
            return csv_response("products", *tables.of_products(rows, at), _next_link(request, following))
        return PlainJSON({"at": at, "products": [products.told(row) for row in rows], "next": following})

    @app.get(
        "/v1/products/{product_id}",
        openapi_extra=openapi.asks(query.DayQuery),
        responses=openapi.answers("The product", openapi.ONE),
    )
    async def product(request: Request, product_id: str) -> Response:
        """A product: certificates, documents, listings, what does not fit together, and the events behind them."""
        asked, identifier = query.read(query.DayQuery, request.query_params), query.identifier(product_id)
        async with snapshot() as connection:
            return _found(await details.product(connection, identifier, asked.at or today()))

    @app.get(
        "/v1/owners/{owner_id}",
        openapi_extra=openapi.asks(query.DayQuery),
        responses=openapi.answers("The owner", openapi.ONE),
    )
    async def owner(request: Request, owner_id: str) -> Response:
        """An owner: documents, the products that are its on the day, and its events."""
        asked, identifier = query.read(query.DayQuery, request.query_params), query.identifier(owner_id)
        async with snapshot() as connection:
            return _found(await details.owner(connection, identifier, asked.at or today()))

    @app.get(
        "/v1/events/{event_id}", openapi_extra=openapi.asks(query.WaitQuery), responses=openapi.answers("The event")
    )
    async def event(request: Request, event_id: str) -> Response:
        """An event with its data and the submission behind it. With `wait`, up to so many seconds for it to arrive."""
        asked, identifier = query.read(query.WaitQuery, request.query_params), query.identifier(event_id)
        until = time.monotonic() + asked.wait
        while True:
            async with snapshot() as connection:
                found = await events.event(connection, identifier)
            if found is not None or time.monotonic() >= until:
                return _found(found)
            await asyncio.sleep(WAIT_STEP_S)

    @app.get(
        "/v1/events",
        openapi_extra=openapi.asks(query.EventsQuery),
        responses=openapi.answers("A page of events; `next` is the `after` of the following one"),
    )
    async def event_list(request: Request) -> Response:
        """Events of one subject, in the order of their receipt."""
        asked = query.read(query.EventsQuery, request.query_params)
        after = events.place_of(asked.after) if asked.after is not None else None
        async with snapshot() as connection:
            rows = await events.of_subjects(connection, [asked.subject], after, asked.limit)
        following = events.cursor(rows[-1]) if len(rows) == asked.limit else None
        return PlainJSON({"events": [events.told(row) for row in rows], "next": following})

    pages.mount(app, snapshot, today=today)
    return app


def limit(app: FastAPI, settings: Settings) -> None:
    """From now on no address may ask for too much. Health, metrics and the pages' own files are always answered."""
    app.add_middleware(
        PerAddress,
        meter=Meter("requests of an address", settings.address_requests_s),
        at_once=AtOnce("requests of an address at once", settings.address_requests_at_once),
        shares=Shares(settings.half_of_pool),
        concerns=lambda scope: not scope["path"].startswith(("/health/", "/metrics", "/static/", "/docs/static/")),
        costly=lambda path: not path.startswith("/v1/events/"),  # one row; who asks may wait for it to come
        refused=_limited,
    )


def _limited(path: str, error: Limited) -> Response:
    answer = pages.problem_page if pages.is_page(path) else problem_response
    return answer(429, Problem("rate-limited", ""), headers={"Retry-After": str(error.retry_after_s)})


def _found(answer: dict[str, Any] | None) -> Response:
    if answer is None:
        raise NotFound
    return PlainJSON(answer)


def _next_link(request: Request, following: str | None) -> dict[str, str]:
    if following is None:
        return {}
    pairs = [pair for pair in request.query_params.multi_items() if pair[0] != "after"]
    return {"Link": f'<{request.url.path}?{urlencode([*pairs, ("after", following)])}>; rel="next"'}


def _answer_errors(app: FastAPI) -> None:
    def told(request: Request, status: int, *problems: Problem, headers: dict[str, str] | None = None) -> Response:
        """To a person a page, to a program problem+json."""
        answer = pages.problem_page if pages.is_page(request.url.path) else problem_response
        return answer(status, *problems, headers=headers)

    @app.exception_handler(QueryRefused)
    async def refused(request: Request, error: QueryRefused) -> Response:
        return told(request, 422, *error.problems)

    @app.exception_handler(NotFound)
    @app.exception_handler(404)
    @app.exception_handler(405)
    async def nothing(request: Request, error: Exception) -> Response:
        status = getattr(error, "status_code", 404)
        return told(request, status, Problem("no-such-thing", ""), headers=getattr(error, "headers", None))

    @app.exception_handler(Busy)
    async def busy(request: Request, error: Busy) -> Response:  # noqa: ARG001  # the framework's form
        return told(request, 503, Problem("busy", ""), headers={"Retry-After": str(RETRY_AFTER_S)})

    @app.exception_handler(Exception)
    async def failed(request: Request, error: Exception) -> Response:  # noqa: ARG001  # the framework's form
        return told(request, 500, Problem("server-error", ""))  # the framework logs it and goes on
