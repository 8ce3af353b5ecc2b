"""What the national OpenAPI says that the framework cannot know: parameters that it does not parse, answers."""

from typing import Any, Final

from pydantic import BaseModel

from servicekit.http import PROBLEM

_TALLY: Final[dict[str, Any]] = {"count": {"type": "integer"}, "of_which_uncertain": {"type": "integer"}}
_INCOMPLETE: Final[dict[str, Any]] = {
    "incomplete": {"type": "boolean", "description": "Events are missing that may belong to this answer"},
    "missing": {
        "type": "object",
        "description": "How many, and why",
        "properties": {
            "held": {"type": "integer", "description": "Received and held back so far: unreadable, or behind another"},
            "skipped": {"type": "integer", "description": "Passed over for good by an operator"},
        },
    },
}
ONE: Final[dict[str, Any]] = {"type": "object", "properties": _INCOMPLETE, "additionalProperties": True}
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
        **_INCOMPLETE,
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
    "properties": {
        **PROBLEM["properties"],
        "status": {"type": "integer"},
        "errors": {"type": "array", "items": PROBLEM},
    },
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
        429: _problem("More than an address may ask at a time; ask again after Retry-After"),
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
