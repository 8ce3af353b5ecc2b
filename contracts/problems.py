"""From what a model finds wrong to what a clerk is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, LiteralString

from pydantic import ValidationError
from pydantic_core import PydanticCustomError

from contracts.reasons import REASONS, words


@dataclass(frozen=True, slots=True)
class Problem:
    """A reason code and where it applies: a JSON pointer (RFC 6901) relative to the event."""

    code: str
    pointer: str
    params: Mapping[str, Any] = field(default_factory=dict)

    def answer(self) -> dict[str, Any]:
        """As it stands in an answer: `{code, pointer, message_vi, message_en, help: {vi, en}}`."""
        return {"code": self.code, "pointer": self.pointer, **words(self.code, self.params)}


# What pydantic itself finds in our models; everything else is raised by our fields with a code of ours.
_CODES: Final = {
    "missing": "missing-field",
    "extra_forbidden": "unknown-field",
    "json_invalid": "malformed-json",
    "string_unicode": "control-character",
    "too_short": "too-short",
}
_KINDS: Final = {
    "string": "string",
    "int": "integer",
    "bool": "boolean",
    "model": "object",
    "dict": "object",
    "tuple": "array",
    "uuid": "UUID",
    "date": "YYYY-MM-DD",
    "datetime": "YYYY-MM-DDThh:mm:ssZ",
    "timezone": "YYYY-MM-DDThh:mm:ssZ",
}


def refusal(code: LiteralString, /, at: str = "", **params: str | int) -> PydanticCustomError:
    """An error for a validator to raise; `at` points from the checked value to the field below it."""
    return PydanticCustomError(code, code, {"at": at, **params})


def problems_of(error: ValidationError, under: str = "") -> list[Problem]:
    """Every problem of a ValidationError; `under` is the pointer to what was validated."""
    found = error.errors(include_url=False, include_input=False)
    return [_problem(e["type"], e.get("ctx", {}), under + pointer(e["loc"])) for e in found]


def problem_of(error: PydanticCustomError, at: str) -> Problem:
    """The problem of a single value that was checked by itself."""
    return _problem(error.type, error.context or {}, at)


def pointer(path: tuple[int | str, ...]) -> str:
    """The JSON pointer of a path."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)


def _problem(kind: str, context: Mapping[str, Any], at: str) -> Problem:
    if kind in REASONS:
        return Problem(kind, at + context.get("at", ""), {k: v for k, v in context.items() if k != "at"})
    if kind in _CODES:
        return Problem(_CODES[kind], at)
    return Problem("wrong-type", at, {"expected": _KINDS.get(kind.split("_")[0], "value")})
