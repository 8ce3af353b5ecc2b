"""The gateway's OpenAPI and its page, without anything fetched from elsewhere."""

from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse
from starlette.staticfiles import StaticFiles
from swagger_ui_bundle import swagger_ui_path

from contracts.cloudevent import CloudEvent
from contracts.reasons import REASONS

_EVENT: Final[dict[str, Any]] = CloudEvent.model_json_schema(ref_template="#/components/schemas/{model}")
_ERROR: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["code", "pointer", "message_vi", "message_en", "help"],
    "properties": {
        "code": {"type": "string", "enum": sorted(REASONS)},
        "pointer": {"type": "string", "description": "JSON pointer, relative to the event"},
        "message_vi": {"type": "string"},
        "message_en": {"type": "string"},
        "help": {"type": "object", "properties": {"vi": {"type": "string"}, "en": {"type": "string"}}},
    },
}
_ANSWER: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["index", "id", "source", "status", "submission_id", "subject", "subject_id", "state", "errors"],
    "properties": {
        "index": {"type": "integer"},
        "id": {"type": ["string", "null"]},
        "source": {"type": ["string", "null"]},
        "status": {"type": "string", "enum": ["accepted", "duplicate", "conflict", "refused"]},
        "submission_id": {"type": ["string", "null"], "format": "uuid"},
        "subject": {"type": ["string", "null"]},
        "subject_id": {"type": ["string", "null"], "format": "uuid"},
        "state": {
            "type": ["string", "null"],
            "enum": ["received", "waiting", "applied", "rejected", "withdrawn", "failed", None],
        },
        "errors": {"type": "array", "items": _ERROR},
    },
}

SUBMIT: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/cloudevents+json": {"schema": _EVENT},
            "application/cloudevents-batch+json": {"schema": {"type": "array", "items": _EVENT, "maxItems": 1000}},
        },
    },
    "security": [{"key": []}],
}


def _problem(description: str) -> dict[str, Any]:
    return {"description": description, "content": {"application/problem+json": {"schema": _ERROR}}}


def _answer(description: str) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": _ANSWER}}}


SUBMIT_ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    200: _answer("A batch (`{results: […]}`, one answer per event, in order), or a duplicate with its present state"),
    202: _answer("Taken and kept; the outcome follows"),
    400: _problem("Not readable as CloudEvents"),
    401: _problem("No key, or not one in force"),
    403: _answer("A source or namespace that is not the key's"),
    409: _answer("The same id with other content; the first one stands"),
    413: _problem("Too large"),
    415: _problem("Not CloudEvents in JSON"),
    422: _answer("Refused, with the reason and the place; the id is not used up"),
    503: _problem("No room now; nothing was taken"),
}
READ_ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    401: _problem("No key, or not one in force"),
    404: _problem("None, or another tenant's"),
}


def mount(app: FastAPI) -> None:
    """`/docs` and its scripts."""
    app.mount("/docs/static", StaticFiles(directory=swagger_ui_path))

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return get_swagger_ui_html(
            openapi_url="/openapi.json",
            title=app.title,
            swagger_js_url="/docs/static/swagger-ui-bundle.js",
            swagger_css_url="/docs/static/swagger-ui.css",
            swagger_favicon_url="/docs/static/favicon-32x32.png",
        )
