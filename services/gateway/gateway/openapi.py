"""What the gateway's OpenAPI says that the framework cannot know: bodies that it does not parse, and answers."""

from typing import Any, Final

from fastapi.security import HTTPBearer
from pydantic.json_schema import models_json_schema

from contracts.cloudevent import CloudEvent
from contracts.submission import MODELS
from servicekit.http import PROBLEM

STATES: Final = ("received", "waiting", "applied", "rejected", "withdrawn", "failed")
_REF: Final = "#/components/schemas/{model}"
_DATA, _DEFINED = models_json_schema([(model, "validation") for model in MODELS.values()], ref_template=_REF)
_ENVELOPE: Final[dict[str, Any]] = CloudEvent.model_json_schema(ref_template=_REF)
_EVENTS: Final[dict[str, Any]] = {
    "oneOf": [
        _ENVELOPE
        | {
            "title": name,
            "description": model.__doc__,
            "properties": _ENVELOPE["properties"] | {"type": {"const": name}, "data": _DATA[model, "validation"]},
        }
        for name, model in MODELS.items()
    ]
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
        "state": {"type": ["string", "null"], "enum": [*STATES, None]},
        "errors": {"type": "array", "items": PROBLEM},
    },
}

_EVENT: Final = {"$ref": _REF.format(model="Event")}
DEFINED: Final[dict[str, Any]] = _DEFINED["$defs"] | {"Event": _EVENTS}
SUBMIT: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/cloudevents+json": {"schema": _EVENT},
            "application/cloudevents-batch+json": {"schema": {"type": "array", "items": _EVENT, "maxItems": 1000}},
        },
    },
}


_PROBLEMS: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["type", "status", "title", "code", "errors"],
    "properties": {
        **PROBLEM["properties"],
        "type": {"type": "string"},
        "status": {"type": "integer"},
        "title": {"type": "string"},
        "errors": {"type": "array", "items": PROBLEM},
    },
}
_LATER: Final[dict[str, Any]] = {
    "Retry-After": {"description": "Seconds after which to send the same request again", "schema": {"type": "integer"}}
}


def _problem(description: str, headers: dict[str, Any] | None = None) -> dict[str, Any]:
    content = {"application/problem+json": {"schema": _PROBLEMS}}
    return {"description": description, "content": content, **({"headers": headers} if headers else {})}


def _answer(description: str, *more: dict[str, Any], problem: bool = False) -> dict[str, Any]:
    schema: dict[str, Any] = {"anyOf": [_ANSWER, *more]} if more else _ANSWER
    content: dict[str, Any] = {"application/json": {"schema": schema}}
    if problem:
        content["application/problem+json"] = {"schema": _PROBLEMS}
    return {"description": description, "content": content}


def _json(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


_BATCH: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["results"],
    "properties": {"results": {"type": "array", "items": _ANSWER, "maxItems": 1000}},
}
_OUTCOME: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["number", "state", "at", "code", "pointer", "event_ids"],
    "properties": {
        "number": {"type": "integer"},
        "state": {"type": "string", "enum": list(STATES)},
        "at": {"type": "string", "format": "date-time"},
        "code": {"type": ["string", "null"]},
        "pointer": {"type": ["string", "null"]},
        "message_vi": {"type": "string"},
        "message_en": {"type": "string"},
        "help": PROBLEM["properties"]["help"],
        "event_ids": {"type": "array", "items": {"type": "string", "format": "uuid"}},
    },
}
_SUBMISSION: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["submission_id", "id", "source", "type", "subject", "subject_id", "service", "received_at", "state"],
    "properties": {
        "submission_id": {"type": "string", "format": "uuid"},
        "id": {"type": "string"},
        "source": {"type": "string"},
        "type": {"type": "string"},
        "subject": {"type": "string"},
        "subject_id": {"type": "string", "format": "uuid"},
        "service": {"type": "string"},
        "received_at": {"type": "string", "format": "date-time"},
        "state": {"type": "string", "enum": list(STATES)},
        "outcomes": {"type": "array", "items": _OUTCOME},
    },
}
_PAGE: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["submissions", "next"],
    "properties": {
        "submissions": {"type": "array", "items": _SUBMISSION, "maxItems": 500},
        "next": {"type": ["string", "null"]},
    },
}
_ALWAYS: Final[dict[int | str, dict[str, Any]]] = {
    401: _problem("No key, or not one in force"),
    429: _problem("More than a key may send at a time; nothing was taken", _LATER),
    503: _problem("Cannot be served now", _LATER),
}

SUBMIT_ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    200: _answer("A batch: one answer per event, in order; or a duplicate with its present state", _BATCH),
    202: _answer("Taken and kept; the outcome follows"),
    400: _problem("Not readable as CloudEvents"),
    403: _answer("A source or namespace that is not the key's"),
    408: _problem("The body did not come in time"),
    409: _answer("The same id with other content; the first one stands"),
    413: _problem("Too large"),
    415: _problem("Not CloudEvents in JSON"),
    422: _answer("Refused, with the reason and the place; the id is not used up", problem=True),
    **_ALWAYS,
}
LIST_ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    200: _json("A page of submissions", _PAGE),
    422: _problem("A parameter is not understood"),
    **_ALWAYS,
}
READ_ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    200: _json("The submission", _SUBMISSION),
    404: _problem("None, or another tenant's"),
    422: _problem("A parameter is not understood"),
    **_ALWAYS,
}
# Says in the description that a key is needed; the gate looks at it.
KEY: Final = HTTPBearer(scheme_name="key", description="The key of a province's system", auto_error=False)
