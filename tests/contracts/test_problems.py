"""From what pydantic says to what a clerk reads."""

from datetime import UTC, date, datetime
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from contracts.cloudevent import Read, read
from contracts.problems import Problem, pointer, problems_of
from contracts.registry import OwnerRegistered
from tests.contracts.corpus import NOW, VALID

EVENT = next(e.content for e in VALID if e.submitted and e.name.endswith("/valid-act-in-full"))


@pytest.mark.parametrize(
    ("path", "text"),
    [((), ""), (("data", "act", "number"), "/data/act/number"), (("a/b", "c~d", 0), "/a~1b/c~0d/0")],
)
def test_pointers_are_rfc_6901(path: tuple[int | str, ...], text: str) -> None:
    assert pointer(path) == text


def test_a_field_with_a_slash_is_pointed_at() -> None:
    with pytest.raises(ValidationError) as caught:
        OwnerRegistered.model_validate({"owner": {"namespace": "2004-67", "ref": "A"}, "a/b": 1})
    assert problems_of(caught.value, under="/data") == [Problem("unknown-field", "/data/a~1b")]


@pytest.mark.parametrize(
    ("type_", "value", "problem"),
    [
        (str, 1, Problem("wrong-type", "", {"expected": "string"})),
        (int, "1", Problem("wrong-type", "", {"expected": "integer"})),
        (int, 1.5, Problem("wrong-type", "", {"expected": "integer"})),
        (bool, "true", Problem("wrong-type", "", {"expected": "boolean"})),
        (dict[str, Any], [], Problem("wrong-type", "", {"expected": "object"})),
        (OwnerRegistered, [], Problem("wrong-type", "", {"expected": "object"})),
        (tuple[int, ...], 1, Problem("wrong-type", "", {"expected": "array"})),
        (date, "2025", Problem("wrong-type", "", {"expected": "YYYY-MM-DD"})),
        (datetime, "2025", Problem("wrong-type", "", {"expected": "YYYY-MM-DDThh:mm:ssZ"})),
        (type(None), 1, Problem("wrong-type", "", {"expected": "value"})),
    ],
)
def test_kinds_are_named_as_in_json(type_: type, value: object, problem: Problem) -> None:
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(type_).validate_python(value, strict=True)
    assert problems_of(caught.value) == [problem]


def test_an_answer_speaks_both_languages() -> None:
    assert Problem("too-long", "/data/name", {"max": 200}).answer() == {
        "code": "too-long",
        "pointer": "/data/name",
        "message_vi": "Nội dung dài quá 200 ký tự.",
        "message_en": "The text is longer than 200 characters.",
        "help": {"vi": "Rút ngắn lại.", "en": "Shorten it."},
    }


def test_a_problem_of_a_code_that_nobody_knows_cannot_be_answered() -> None:
    with pytest.raises(KeyError):
        Problem("no-such-code", "").answer()


def test_everything_wrong_with_an_event_is_told_at_once() -> None:
    event = {**EVENT, "time": "2026-08-05", "source": "lam-dong", "data": {**EVENT["data"], "stars": 6}}
    del event["id"]
    found = read(event, NOW)
    assert not isinstance(found, Read)
    assert {(p.code, p.pointer) for p in found} == {
        ("missing-field", "/id"),
        ("bad-pattern", "/source"),
        ("bad-time", "/time"),
        ("bad-value", "/data/stars"),
    }


@pytest.mark.parametrize("value", [{}, {"type": 1}, {"type": None, "time": 3, "data": "x"}, {"data": {}}])
def test_hopeless_events_are_refused_without_an_accident(value: dict[str, Any]) -> None:
    found = read(value, NOW)
    assert not isinstance(found, Read)
    assert found
    assert all(problem.answer() for problem in found)


def test_a_read_event_knows_its_subject_and_moment() -> None:
    found = read(EVENT, NOW)
    assert isinstance(found, Read)
    assert (found.kind, str(found.ref)) == ("product", "2004-67/SP-0003")
    assert found.time == datetime(2026, 8, 4, 17, tzinfo=UTC)


def test_a_withdrawal_has_no_subject_of_its_own() -> None:
    found = read(next(e.content for e in VALID if "withdrawn.v1/valid-by-id" in e.name and e.submitted), NOW)
    assert isinstance(found, Read)
    assert (found.kind, found.ref) == (None, None)
