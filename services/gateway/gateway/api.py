"""HTTP of the gateway: submit, and ask what became of it."""

import asyncio
import base64
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.requests import ClientDisconnect

from contracts.outcome import FINAL
from contracts.problems import Problem
from contracts.reasons import words
from gateway import intake, openapi, store
from gateway.domain import Holder
from gateway.request import MAX_BODY_BYTES, MAX_EVENT_BYTES, RequestRefused, inflate, pieces
from gateway.settings import Settings
from servicekit import database
from servicekit.database import Pool
from servicekit.http import RETRY_AFTER_S, PlainJSON, mount_docs, problem_response

SINGLE: Final = "application/cloudevents+json"
BATCH: Final = "application/cloudevents-batch+json"
KEY_CACHE_S: Final = 2.0  # a suspended key is refused within 5 s
BOUND_CACHE_S: Final = 1.0
BODY_TIMEOUT_S: Final = 60.0
MOST_WAIT_S: Final = 30.0
WAIT_STEP_S: Final = 0.05
STATES: Final = ("received", "waiting", "applied", "rejected", "withdrawn", "failed")
_STATUS: Final = {"accepted": 202, "duplicate": 200, "conflict": 409}


class _Gate:
    """What every request passes: whose key it is, and whether there is room. Looked up at most every few seconds."""

    def __init__(self, pool: Pool, settings: Settings) -> None:
        self._pool, self._settings = pool, settings
        self._holders: dict[bytes, tuple[float, Holder]] = {}
        self._room: tuple[float, bool] = (0.0, True)

    async def holder(self, request: Request) -> Holder:
        """Whose key the request carries. Raises RequestRefused (401)."""
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not key or len(key) > 200:
            raise RequestRefused(401, Problem("unauthenticated", ""))
        now, hashed = time.monotonic(), store.hashed(key)
        until, found = self._holders.get(hashed, (0.0, None))
        if found is None or until < now:
            async with self._pool.acquire() as connection:
                found = await store.holder(connection, key)
            if found is None:
                self._holders.pop(hashed, None)
                raise RequestRefused(401, Problem("unauthenticated", ""))
            if len(self._holders) > 10_000:
                self._holders.clear()
            self._holders[hashed] = (now + KEY_CACHE_S, found)
        return found

    async def room(self) -> None:
        """Raises RequestRefused (503) while the outbox is deeper or older than its bound."""
        until, free = self._room
        if until < time.monotonic():
            async with self._pool.acquire() as connection:
                rows, age = await store.outbox_bound(connection, self._settings.outbox_rows)
            free = rows < self._settings.outbox_rows and age < self._settings.outbox_age_s
            self._room = (time.monotonic() + BOUND_CACHE_S, free)
        if not free:
            raise RequestRefused(503, Problem("busy", ""))


async def _body(request: Request, limit: int) -> bytes:
    """The body, never more than the limit of it. Raises RequestRefused (413, 415)."""
    encoding = request.headers.get("content-encoding", "identity").lower()
    if encoding not in ("identity", "gzip"):
        raise RequestRefused(415, Problem("unsupported-media-type", ""))
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            async for chunk in request.stream():
                body += chunk
                if len(body) > limit:
                    raise RequestRefused(413, Problem("request-too-large", "", {"max": limit}))
    except TimeoutError:
        raise RequestRefused(408, Problem("malformed-json", "")) from None
    unpacked = inflate(bytes(body)) if encoding == "gzip" else bytes(body)
    if len(unpacked) > limit:
        raise RequestRefused(413, Problem("request-too-large", "", {"max": limit}))
    return unpacked


def build(pool: Pool, settings: Settings, *, taken: Callable[[], None]) -> FastAPI:
    """The application; `pool` is the HTTP role's, `taken` is called when something came into the outbox."""
    app = FastAPI(
        title="OCOP Interconnect: gateway", version="1", docs_url=None, redoc_url=None, default_response_class=PlainJSON
    )
    gate = _Gate(pool, settings)
    mount_docs(app)

    @app.exception_handler(404)
    @app.exception_handler(405)
    async def nothing(request: Request, error: Exception) -> Response:  # noqa: ARG001  # the framework's form
        status = getattr(error, "status_code", 404)
        return problem_response(status, Problem("not-found", ""), headers=getattr(error, "headers", None))

    @app.exception_handler(RequestValidationError)
    async def asked_wrongly(request: Request, error: RequestValidationError) -> Response:  # noqa: ARG001  # the same
        problems = [
            Problem("bad-value", "/" + "/".join(map(str, each["loc"][1:])), {"allowed": each["msg"]})
            for each in error.errors()
        ]
        return problem_response(422, *problems)

    @app.exception_handler(RequestRefused)
    async def refused(request: Request, error: RequestRefused) -> Response:  # noqa: ARG001  # the framework's form
        headers = {503: {"Retry-After": str(RETRY_AFTER_S)}, 401: {"WWW-Authenticate": "Bearer"}}.get(error.status)
        return problem_response(error.status, error.problem, headers=headers)

    @app.exception_handler(Exception)
    async def failed(request: Request, error: Exception) -> Response:  # noqa: ARG001  # the framework's form
        if database.is_outage(error):
            return problem_response(503, Problem("busy", ""), headers={"Retry-After": str(RETRY_AFTER_S)})
        return problem_response(500, Problem("server-error", ""))  # the framework logs it

    @app.post("/v1/events", openapi_extra=openapi.SUBMIT, responses=openapi.SUBMIT_ANSWERS)
    async def submit(request: Request, dry_run: bool = False) -> Response:
        """Hand in one event or a batch; the answer says of each whether it was taken, down to the field."""
        holder = await gate.holder(request)
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind not in (SINGLE, BATCH):
            raise RequestRefused(415, Problem("unsupported-media-type", ""))
        batch = kind == BATCH
        try:
            body = await _body(request, MAX_BODY_BYTES if batch else MAX_EVENT_BYTES)
        except ClientDisconnect:
            return Response(status_code=499)
        found = pieces(body, batch=batch)
        await gate.room()
        try:
            answers = await intake.take(pool, holder, found, repeat_after_s=settings.repeat_after_s, dry_run=dry_run)
        except Exception as error:
            if database.is_outage(error):
                raise RequestRefused(503, Problem("busy", "")) from error
            raise
        taken()
        if batch:
            return PlainJSON({"results": [answer.body(index) for index, answer in enumerate(answers)]}, 200)
        answer = answers[0]
        status = _STATUS.get(answer.status, 422)
        if any(problem.code == "forbidden" for problem in answer.problems):
            status = 403
        return PlainJSON(answer.body(0), status)

    @app.get("/v1/submissions/{submission_id}", responses=openapi.READ_ANSWERS)
    async def submission(
        request: Request, submission_id: UUID, wait: Annotated[float, Query(ge=0, le=MOST_WAIT_S)] = 0
    ) -> Response:
        """One submission with every outcome so far. With `wait`, up to so many seconds for a final state."""
        holder = await gate.holder(request)
        until = time.monotonic() + wait
        while True:
            async with pool.acquire() as connection, connection.transaction(readonly=True):
                await store.enter(connection, holder.tenant)
                found = await store.submission(connection, submission_id)
            if found is None:
                raise RequestRefused(404, Problem("not-found", ""))
            if found["state"] in FINAL or time.monotonic() >= until:
                return PlainJSON(_told(found))
            await asyncio.sleep(WAIT_STEP_S)

    @app.get("/v1/submissions", responses=openapi.READ_ANSWERS)
    async def submissions(
        request: Request,
        state: Annotated[str | None, Query(pattern=f"^({'|'.join(STATES)})$")] = None,
        since: datetime | None = None,
        after: Annotated[str | None, Query(max_length=200)] = None,
        limit: Annotated[int, Query(ge=1, le=500)] = 100,
    ) -> Response:
        """The tenant's submissions, oldest first; `next` is the `after` of the following page."""
        holder = await gate.holder(request)
        if since is not None:
            since = _utc(since, "/since")
        place = _place(after)
        async with pool.acquire() as connection, connection.transaction(readonly=True):
            await store.enter(connection, holder.tenant)
            rows = await store.submissions(connection, state, since, place, limit)
        following = _cursor(rows[-1]) if len(rows) == limit else None
        return PlainJSON({"submissions": [_told(row) for row in rows], "next": following})

    return app


def _told(row: Mapping[str, Any]) -> dict[str, Any]:
    outcomes = [
        {
            "number": outcome["number"],
            "state": outcome["state"],
            "at": outcome["heard_at"].isoformat(),
            "code": outcome["code"],
            "pointer": outcome["pointer"],
            **(words(outcome["code"], outcome["params"]) if outcome["code"] else {}),
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
        moment, _, submission_id = base64.urlsafe_b64decode(cursor.encode()).decode().partition("|")
        return _utc(datetime.fromisoformat(moment), "/after"), UUID(submission_id)
    except ValueError:
        raise RequestRefused(422, Problem("bad-value", "/after", {"allowed": "next"})) from None


def _utc(moment: datetime, pointer: str) -> datetime:
    """The moment in UTC. Raises RequestRefused for one without zone, or at the edge of what has a name."""
    try:
        if moment.tzinfo is not None:
            return moment.astimezone(UTC)
    except OverflowError:
        pass
    raise RequestRefused(422, Problem("bad-time", pointer))
