"""The OpenAPI of the national database and its page, without anything fetched from elsewhere."""

from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse
from pydantic import BaseModel
from starlette.staticfiles import StaticFiles
from swagger_ui_bundle import swagger_ui_path

from contracts.reasons import REASONS

_ERROR: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["code", "pointer", "message_vi", "message_en", "help"],
    "properties": {
        "code": {"type": "string", "enum": sorted(REASONS)},
        "pointer": {"type": "string", "description": "/ and the name of the parameter; for lists also which value"},
        "message_vi": {"type": "string"},
        "message_en": {"type": "string"},
        "help": {"type": "object", "properties": {"vi": {"type": "string"}, "en": {"type": "string"}}},
    },
}
_TALLY: Final[dict[str, Any]] = {"count": {"type": "integer"}, "of_which_uncertain": {"type": "integer"}}
FIGURE: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "indicator": {"type": "string"},
        "at": {"type": "string", "format": "date"},
        "map": {"type": "string", "enum": ["2004", "2025"]},
        "filters": {"type": "object", "additionalProperties": {"type": "array", "items": {"type": "string"}}},
        "by": {"type": "array", "items": {"type": "string"}},
        **_TALLY,
        "share": {
            "type": ["object", "null"],
            "properties": {"numerator": {"type": "integer"}, "denominator": {"type": "integer"}},
        },
        "incomplete": {"type": "boolean", "description": "Something that was said could not be read so far"},
        "cells": {
            "type": "array",
            "items": {
                "type": "object",
                "description": "One value for each dimension of `by`",
                "properties": {**_TALLY, "products": {"type": "string", "description": "Path of the products behind"}},
                "additionalProperties": {"type": "string"},
            },
        },
        "not_attributable": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"candidates": {"type": "array", "items": {"type": "string"}}, **_TALLY},
            },
        },
        "reported_up_to": {"type": "object", "additionalProperties": {"type": "string", "format": "date"}},
    },
}
_PROBLEM: Final = {
    "type": "object",
    "properties": {**_ERROR["properties"], "status": {"type": "integer"}, "errors": {"type": "array", "items": _ERROR}},
}


def _problem(description: str) -> dict[str, Any]:
    return {"description": description, "content": {"application/problem+json": {"schema": _PROBLEM}}}


def answers(description: str, schema: dict[str, Any] | None = None, *, csv: bool = False) -> dict[int | str, Any]:
    """What a route answers."""
    content: dict[str, Any] = {"application/json": {"schema": schema or {"type": "object"}}}
    if csv:
        content["text/csv"] = {"schema": {"type": "string"}}
    return {
        200: {"description": description, "content": content},
        404: _problem("There is no such thing"),
        422: _problem("A parameter is not understood"),
        503: _problem("The database is away; ask again"),
    }


def asks(model: type[BaseModel]) -> dict[str, Any]:
    """The parameters of a route, from the model that reads them."""
    schema = model.model_json_schema()
    needed = schema.get("required", ())
    return {
        "parameters": [
            {
                "name": name,
                "in": "query",
                "required": name in needed,
                "description": field.get("description", ""),
                "schema": {key: value for key, value in field.items() if key not in ("title", "description")},
            }
            for name, field in schema["properties"].items()
        ]
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
