"""The examples of contracts/examples, read."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, Final

import jsonschema_rs
from pydantic import ValidationError

from contracts.cloudevent import Read, read
from contracts.generate import REVISIONS, SCHEMAS
from contracts.problems import problems_of
from contracts.submission import MODELS
from contracts.topics import decode_event

ROOT: Final = Path(__file__).parents[2]
EXAMPLES: Final = ROOT / "contracts" / "examples"
# Examples are of the year in which they were written; `time` is judged as if it were then.
NOW: Final = datetime(2026, 9, 1, tzinfo=UTC)

Expected = list[tuple[str, str]]


@dataclass(frozen=True)
class Example:
    """One file. `content` is a CloudEvent for what provinces submit, and the data alone for what services say."""

    name: str
    type: str
    content: dict[str, Any]
    expected: Expected
    schema_refuses: bool

    @property
    def submitted(self) -> bool:
        return self.type in MODELS

    @property
    def data(self) -> Any:
        return self.content["data"] if self.submitted else self.content

    def problems(self) -> Expected:
        """What is found wrong with it, as (code, pointer)."""
        if self.submitted:
            found = read(self.content, NOW)
            problems = [] if isinstance(found, Read) else list(found)
        else:
            try:
                decode_event(self.type, json.dumps(self.content).encode())
                problems = []
            except ValidationError as error:
                problems = problems_of(error)
        return [(problem.code, problem.pointer) for problem in problems]


@cache
def validator(type_: str) -> jsonschema_rs.Draft202012Validator:
    """Of the present revision of its published schema."""
    schema = json.loads((SCHEMAS / f"{type_}.r{REVISIONS.get(type_, 1)}.schema.json").read_text())
    return jsonschema_rs.Draft202012Validator(schema, validate_formats=True)


def _example(path: Path) -> Example:
    content = json.loads(path.read_text())
    name, type_ = f"{path.parent.name}/{path.stem}", path.parent.name
    if path.stem.startswith("valid-"):
        return Example(name, type_, content, [], False)
    expected = [(each["code"], each["pointer"]) for each in content["expected"]]
    inner = content["event"] if type_ in MODELS else content["data"]
    return Example(name, type_, inner, expected, content.get("schema_refuses", True))


ALL: Final = [_example(path) for path in sorted(EXAMPLES.glob("vn.*/*.json"))]
VALID: Final = [example for example in ALL if not example.expected]
INVALID: Final = [example for example in ALL if example.expected]
