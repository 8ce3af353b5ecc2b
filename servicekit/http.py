"""HTTP as the services answer it: plain JSON, problems in two languages, an offline page of documentation."""

import json
from collections.abc import Mapping
from datetime import date
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse, JSONResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from swagger_ui_bundle import swagger_ui_path

from contracts.problems import Problem
from contracts.reasons import REASONS
from servicekit.metrics import METRICS

RETRY_AFTER_S: Final = 5
MOST_PROBLEMS: Final = 20
UNCOUNTED: Final = ("/health/", "/metrics")

# How a problem is described in an OpenAPI.
PROBLEM: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["code", "pointer", "message_vi", "message_en", "help"],
    "properties": {
        "code": {"type": "string", "enum": sorted(REASONS)},
        "pointer": {"type": "string", "description": "JSON pointer to what is wrong"},
        "message_vi": {"type": "string"},
        "message_en": {"type": "string"},
        "help": {"type": "object", "properties": {"vi": {"type": "string"}, "en": {"type": "string"}}},
    },
}


class PlainJSON(JSONResponse):
    """Vietnamese letters as they are; days and moments as ISO 8601, ids as text."""

    def render(self, content: Any) -> bytes:
        return written(content)


def written(content: Any) -> bytes:
    """Content as `PlainJSON` has it in its body."""
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"), default=_text).encode(
        errors="backslashreplace"
    )


def _text(value: Any) -> str:
    return value.isoformat() if isinstance(value, date) else str(value)


def problem_response(status: int, *problems: Problem, headers: Mapping[str, str] | None = None) -> Response:
    """problem+json (RFC 9457): the first problem's reason in both languages, and all of them (20) in `errors`."""
    answers = [problem.answer() for problem in problems[:MOST_PROBLEMS]]
    body = {"type": "about:blank", "status": status, "title": answers[0]["message_en"], **answers[0], "errors": answers}
    return PlainJSON(body, status, headers=dict(headers or {}), media_type="application/problem+json")


class Counted:
    """Counts answers, by their class (`2xx`), around the whole application: what its middleware refuses is counted, and
    what nobody has caught. Probes and scrapes are no requests of anybody's: a service that is not ready yet says 503
    to each."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        for status in ("2xx", "3xx", "4xx", "5xx"):
            METRICS.requests.labels(status)  # there from the start: else the first would be no rise

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith(UNCOUNTED):
            await self._app(scope, receive, send)
            return

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                METRICS.requests.labels(f"{message['status'] // 100}xx").inc()
            await send(message)

        await self._app(scope, receive, counted)


class Files(StaticFiles):
    """Files of a folder, each as a whole whatever part of it is asked for: a part that cannot be had would be refused
    in plain text, without a reason of ours."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(name, value) for name, value in scope["headers"] if name != b"range"]
        await super().__call__({**scope, "headers": headers}, receive, send)


def application(title: str) -> FastAPI:
    """What the services' interfaces have in common: plain JSON, and `/docs` with nothing fetched from elsewhere."""
    app = FastAPI(
        title=title,
        version="1",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # it would lead to whatever host the request names
        default_response_class=PlainJSON,
    )
    app.mount("/docs/static", Files(directory=swagger_ui_path))

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return get_swagger_ui_html(
            openapi_url="/openapi.json",
            title=app.title,
            swagger_js_url="/docs/static/swagger-ui-bundle.js",
            swagger_css_url="/docs/static/swagger-ui.css",
            swagger_favicon_url="/docs/static/favicon-32x32.png",
        )

    return app
