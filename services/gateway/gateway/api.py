"""HTTP of the gateway: submit, and ask what became of it."""

import asyncio
import base64
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import FastAPI, Query, Request, Security
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.requests import ClientDisconnect
from starlette.types import Scope

from contracts.outcome import FINAL
from contracts.problems import Problem
from contracts.reasons import REASONS, words
from gateway import body, intake, openapi, store
from gateway.domain import Holder
from gateway.gate import Gate
from gateway.request import MAX_BODY_BYTES, MAX_EVENT_BYTES, Piece, RequestRefused, pieces
from gateway.settings import Settings
from servicekit import database, tracing
from servicekit.database import Connection, Pool
from servicekit.http import RETRY_AFTER_S, PlainJSON, application, problem_response, written
from servicekit.limits import AtOnce, Limited, Meter, PerAddress, Shares
from servicekit.metrics import METRICS

SINGLE: Final = "application/cloudevents+json"
BATCH: Final = "application/cloudevents-batch+json"
LONG_BODY_BYTES: Final = 64 * 1024
MOST_WAIT_S: Final = 30.0
MOST_PER_PAGE: Final = 500
WAIT_STEP_S: Final = 0.05  # at first; then ever longer
LONGEST_STEP_S: Final = 0.5
_STATUS: Final = {"accepted": 202, "duplicate": 200, "conflict": 409}
# What is said of each parameter that cannot be read.
_WRONGLY_ASKED: Final = {
    "dry_run": Problem("bad-value", "/dry_run", {"allowed": "true, false"}),
    "submission_id": Problem("wrong-type", "/submission_id", {"expected": "UUID"}),
    "wait": Problem("bad-value", "/wait", {"allowed": f"0-{MOST_WAIT_S:g}"}),
    "state": Problem("bad-value", "/state", {"allowed": ", ".join(openapi.STATES)}),
    "since": Problem("bad-time", "/since"),
    "after": Problem("bad-cursor", "/after"),
    "limit": Problem("bad-value", "/limit", {"allowed": f"1-{MOST_PER_PAGE}"}),
}


def build(pool: Pool, settings: Settings, *, taken: Callable[[], None], begun: Callable[[], bool]) -> FastAPI:
    """The application; `pool` is the HTTP role's, `taken` is called when something came into the outbox. Until the
    service has `begun`, every request is answered with 503."""
    app = application("OCOP Interconnect: gateway")
    gate, needs_key = Gate(pool, settings, begun), Security(openapi.KEY)
    app.add_middleware(
        PerAddress,
        meter=Meter("requests of an address", settings.address_requests_s),
        at_once=AtOnce("requests of an address at once", settings.address_requests_at_once),
        shares=Shares(settings.half_of_pool),
        concerns=_without_key,
        refused=lambda _, error: _limited(error),
    )

    @app.exception_handler(404)
    @app.exception_handler(405)
    async def nothing(request: Request, error: Exception) -> Response:  # noqa: ARG001  # the framework's form
        status = getattr(error, "status_code", 404)
        return problem_response(status, Problem("no-such-thing", ""), headers=getattr(error, "headers", None))

    @app.exception_handler(RequestValidationError)
    async def asked_wrongly(request: Request, error: RequestValidationError) -> Response:  # noqa: ARG001  # the same
        return problem_response(422, *(_WRONGLY_ASKED[str(each["loc"][1])] for each in error.errors()))

    @app.exception_handler(RequestRefused)
    async def refused(request: Request, error: RequestRefused) -> Response:  # noqa: ARG001  # the framework's form
        headers = {503: {"Retry-After": str(RETRY_AFTER_S)}, 401: {"WWW-Authenticate": "Bearer"}}.get(error.status)
        return problem_response(error.status, error.problem, headers=headers)

    @app.exception_handler(Limited)
    async def limited(request: Request, error: Limited) -> Response:  # noqa: ARG001  # the framework's form
        return _limited(error)

    @app.exception_handler(Exception)
    async def failed(request: Request, error: Exception) -> Response:  # noqa: ARG001  # the framework's form
        if database.is_outage(error):
            return problem_response(503, Problem("busy", ""), headers={"Retry-After": str(RETRY_AFTER_S)})
        return problem_response(500, Problem("server-error", ""))  # the framework logs it

    for kind in database.OUTAGE:  # named, for what it knows as `Exception` only the framework logs with its traceback
        app.add_exception_handler(kind, failed)

    async def _taken(
        holder: Holder, found: list[Piece], trace: tracing.Request, *, dry_run: bool
    ) -> list[intake.Answer]:
        after_s = settings.repeat_after_s
        try:
            return await intake.take(pool, holder, found, repeat_after_s=after_s, trace=trace, dry_run=dry_run)
        except Exception as error:
            if database.is_outage(error):
                raise RequestRefused(503, Problem("busy", "")) from error
            raise

    @app.post("/v1/events", dependencies=[needs_key], openapi_extra=openapi.SUBMIT, responses=openapi.SUBMIT_ANSWERS)
    async def submit(request: Request, dry_run: bool = False) -> Response:
        """Hand in one event or a batch; the answer says of each whether it was taken, down to the field."""
        traceparent = request.headers.get("traceparent")
        async with gate.passed(request) as holder:
            kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
            if kind not in (SINGLE, BATCH):
                raise RequestRefused(415, Problem("unsupported-media-type", ""))
            batch = kind == BATCH
            bill = gate.bill(holder)
            await bill.reach(1)
            try:
                limit = MAX_BODY_BYTES if batch else MAX_EVENT_BYTES
                content = await body.read(request, bill, limit=limit, seconds=settings.body_timeout_s)
            except ClientDisconnect:
                return Response(status_code=499)
            async with gate.work(holder):
                found = await _pieces(gate, holder, content, batch=batch)
                await bill.reach(len(found))
                await gate.room()
                holder = await gate.holder(request)  # the body may have taken its time
                with tracing.TRACING.request(traceparent) as trace:
                    answers = await _taken(holder, found, trace, dry_run=dry_run)
        if not dry_run:
            taken()
            _count(holder, answers)
        if batch:
            return await _results(answers)
        answer = answers[0]
        status = _STATUS.get(answer.status, 422)
        if any(problem.code == "forbidden" for problem in answer.problems):
            status = 403
        return PlainJSON(answer.body(0), status)

    @asynccontextmanager
    async def reading(holder: Holder) -> AsyncIterator[Connection]:
        async with gate.work(holder), database.transaction(pool, readonly=True) as connection:
            await store.enter(connection, holder.tenant)
            yield connection

    @app.get("/v1/submissions/{submission_id}", dependencies=[needs_key], responses=openapi.READ_ANSWERS)
    async def submission(
        request: Request, submission_id: UUID, wait: Annotated[float, Query(ge=0, le=MOST_WAIT_S)] = 0
    ) -> Response:
        """One submission with every outcome so far. With `wait`, up to so many seconds for a final state."""
        until, pause = time.monotonic() + wait, WAIT_STEP_S
        async with gate.passed(request) as holder:
            while True:
                async with reading(holder) as connection:
                    found = await store.submission(connection, submission_id)
                if found is None:
                    raise RequestRefused(404, Problem("not-found", ""))
                if found["state"] in FINAL or time.monotonic() >= until:
                    return PlainJSON(_told(found))
                await asyncio.sleep(pause)
                holder = await gate.holder(request)
                pause = min(pause * 1.5, LONGEST_STEP_S)

    @app.get("/v1/submissions", dependencies=[needs_key], responses=openapi.LIST_ANSWERS)
    async def submissions(
        request: Request,
        state: Annotated[str | None, Query(pattern=f"^({'|'.join(openapi.STATES)})$")] = None,
        since: datetime | None = None,
        after: Annotated[str | None, Query(max_length=200)] = None,
        limit: Annotated[int, Query(ge=1, le=MOST_PER_PAGE)] = 100,
    ) -> Response:
        """The tenant's submissions, oldest first; `next` is the `after` of the following page."""
        async with gate.passed(request) as holder:
            if since is not None:
                since = _utc(since)
            place = _place(after)
            async with reading(holder) as connection:
                rows = await store.submissions(connection, state, since, place, limit)
        following = _cursor(rows[-1]) if len(rows) == limit else None
        return PlainJSON({"submissions": [_told(row) for row in rows], "next": following})

    app.openapi().setdefault("components", {}).setdefault("schemas", {}).update(openapi.DEFINED)  # it is made once
    return app


def _without_key(scope: Scope) -> bool:
    """Who shows a key is counted by it, for many may come from one address."""
    if scope["path"].startswith(("/health/", "/metrics")):
        return False
    return not scope["path"].startswith("/v1/") or not any(name == b"authorization" for name, _ in scope["headers"])


def _limited(error: Limited) -> Response:
    return problem_response(429, Problem("rate-limited", ""), headers={"Retry-After": str(error.retry_after_s)})


async def _pieces(gate: Gate, holder: Holder, content: bytes, *, batch: bool) -> list[Piece]:
    """A long body is read beside the event loop, where it keeps nobody from being answered."""
    if len(content) < LONG_BODY_BYTES:
        return pieces(content, batch=batch)
    async with gate.thread(holder):
        return await asyncio.to_thread(pieces, content, batch=batch)


async def _results(answers: Sequence[intake.Answer]) -> Response:
    """What each event of a batch is answered; a long answer, too, keeps nobody from his."""
    results: list[bytes] = []
    for index, answer in enumerate(answers):
        results.append(written(answer.body(index)))
        if index % intake.AT_A_TIME == 0:
            await asyncio.sleep(0)
    return Response(b'{"results":[' + b",".join(results) + b"]}", media_type=PlainJSON.media_type)


def _count(holder: Holder, answers: Sequence[intake.Answer]) -> None:
    for answer in answers:
        code = answer.problems[0].code if answer.problems else ""
        METRICS.answers.labels(holder.tenant, answer.status, code).inc()


def _told(row: Mapping[str, Any]) -> dict[str, Any]:
    outcomes = [
        {
            "number": outcome["number"],
            "state": outcome["state"],
            "at": outcome["heard_at"].isoformat(),
            "code": outcome["code"],
            "pointer": outcome["pointer"],
            # A code of a newer version has no words here yet.
            **(words(outcome["code"], outcome["params"]) if outcome["code"] in REASONS else {}),
            "event_ids": [str(event_id) for event_id in outcome["event_ids"]],
        }
        for outcome in row["outcomes"]
    ]
    return {
        "submission_id": str(row["id"]),
        "id": row["event_id"],
        "source": row["source"],
        "type": row["type"],
        "subject": row["subject_ref"],
        "subject_id": str(row["subject"]),
        "service": row["service"],
        "received_at": row["received_at"].isoformat(),
        "state": row["state"],
        "outcomes": outcomes,
    }


def _cursor(row: Mapping[str, Any]) -> str:
    return base64.urlsafe_b64encode(f"{row['received_at'].isoformat()}|{row['id']}".encode()).decode()


def _place(cursor: str | None) -> tuple[datetime, UUID] | None:
    if cursor is None:
        return None
    try:
        written, _, submission_id = base64.urlsafe_b64decode(cursor.encode()).decode().partition("|")
        place = datetime.fromisoformat(written), UUID(submission_id)
        if place[0].utcoffset() != timedelta(0):
            raise ValueError("not as it was given")
    except ValueError:
        raise RequestRefused(422, _WRONGLY_ASKED["after"]) from None
    return place


def _utc(since: datetime) -> datetime:
    """The moment in UTC. Raises RequestRefused for one without zone, or at the edge of what has a name."""
    try:
        if since.tzinfo is not None:
            return since.astimezone(UTC)
    except OverflowError:
        pass
    raise RequestRefused(422, _WRONGLY_ASKED["since"])
