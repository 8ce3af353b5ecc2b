"""What a province sends: one CloudEvent 1.0 in structured JSON, read and checked in one place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticCustomError

from contracts.envelope import dataschema
from contracts.fields import EDGE, EventId, Form, OneOf, read_time
from contracts.names import Ref
from contracts.problems import Problem, problem_of, problems_of
from contracts.submission import MODELS, SUBMISSIONS

SubjectText = Annotated[str, Form("(2004|2025)-[0-9]{2}/[A-Za-z0-9._-]{1,64}", "2004-67/SP-0003")]
TraceParent = Annotated[  # W3C Trace Context
    str,
    Form(
        "[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    ),
]


class CloudEvent(BaseModel):
    """The attributes as they stand in the JSON; `data` is checked by the model of its type."""

    model_config = EDGE

    specversion: Annotated[str, OneOf("1.0")]
    id: EventId
    source: Annotated[str, Form("/provinces/2025-[0-9]{2}/[A-Za-z0-9._-]{1,64}", "/provinces/2025-68/ocop")]
    type: str
    subject: SubjectText | None = None
    time: str
    datacontenttype: Annotated[str, OneOf("application/json")] | None = None
    dataschema: str | None = None
    traceparent: TraceParent | None = None
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Read:
    """An event that keeps its schema, with its subject's kind and ref (withdrawals: None, they have their target's)."""

    event: CloudEvent
    time: datetime
    data: BaseModel
    kind: str | None
    ref: Ref | None


def read(value: Mapping[str, Any], now: datetime) -> Read | tuple[Problem, ...]:
    """The event in a JSON object, or everything that is wrong with it (pointers are relative to the event).

    Scope (source, namespaces, type of the key), earlier events and references are not looked at here.
    """
    problems: list[Problem] = []
    try:
        event = CloudEvent.model_validate(value)
    except ValidationError as error:
        problems += problems_of(error)
    name, time_text, given = value.get("type"), value.get("time"), value.get("data")
    time: datetime | None = None
    data: BaseModel | None = None
    if isinstance(time_text, str):
        try:
            time = read_time(time_text, now)
        except PydanticCustomError as error:
            problems.append(problem_of(error, "/time"))
    if isinstance(name, str) and name not in MODELS:
        problems.append(Problem("unknown-type", "/type", {"value": name[:100]}))
    elif isinstance(name, str) and isinstance(given, dict):
        try:
            data = MODELS[name].model_validate(given)
        except ValidationError as error:
            problems += problems_of(error, under="/data")
        if value.get("dataschema") not in (None, dataschema(name)):
            problems.append(Problem("bad-value", "/dataschema", {"allowed": dataschema(name)}))
    if problems or time is None or data is None:
        return tuple(problems)
    kind, ref = SUBMISSIONS[event.type].subject(data) if event.type in SUBMISSIONS else (None, None)
    if ref is not None and event.subject not in (None, str(ref)):
        return (Problem("subject-mismatch", "/subject", {"expected": str(ref)}),)
    return Read(event, time, data, kind, ref)
