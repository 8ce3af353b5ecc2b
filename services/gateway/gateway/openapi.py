"""What the gateway's OpenAPI says that the framework cannot know: bodies that it does not parse, and answers."""

from typing import Any, Final

from contracts.cloudevent import CloudEvent
from servicekit.http import PROBLEM

_EVENT: Final[dict[str, Any]] = CloudEvent.model_json_schema(ref_template="#/components/schemas/{model}")
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
        "errors": {"type": "array", "items": PROBLEM},
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
    return {"description": description, "content": {"application/problem+json": {"schema": PROBLEM}}}


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
