"""Every example behaves, by the models and by the published schemas."""

import json
from collections import Counter

import pytest

from contracts.cloudevent import Read, read
from contracts.generate import TYPES
from contracts.submission import decode_submission
from contracts.topics import decode_event
from tests.contracts.corpus import ALL, EXAMPLES, INVALID, NOW, VALID, Example, validator


def name(example: Example) -> str:
    return example.name


def test_every_type_has_a_valid_and_two_invalid_examples() -> None:
    valid, invalid = Counter(e.type for e in VALID), Counter(e.type for e in INVALID)
    assert {t for t in TYPES if valid[t] < 1 or invalid[t] < 2} == set()


def test_there_are_no_examples_of_unknown_types() -> None:
    assert {folder.name for folder in EXAMPLES.iterdir()} - {"worked"} == set(TYPES)
    assert all(e.content["type"] == e.type for e in VALID if e.submitted)


@pytest.mark.parametrize("example", VALID, ids=name)
def test_a_valid_example_is_taken(example: Example) -> None:
    assert example.problems() == []
    assert validator(example.type).is_valid(example.data)


@pytest.mark.parametrize("example", INVALID, ids=name)
def test_an_invalid_example_is_refused_for_its_reasons_and_no_other(example: Example) -> None:
    assert sorted(example.problems()) == sorted(example.expected)


@pytest.mark.parametrize("example", INVALID, ids=name)
def test_the_schema_refuses_what_a_schema_can_express(example: Example) -> None:
    assert validator(example.type).is_valid(example.data) is not example.schema_refuses


@pytest.mark.parametrize("example", [e for e in ALL if e.submitted and not e.expected], ids=name)
def test_the_decider_reads_what_the_edge_read(example: Example) -> None:
    at_the_edge = read(example.content, NOW)
    assert isinstance(at_the_edge, Read)
    assert decode_submission(example.type, json.dumps(example.data).encode()) == at_the_edge.data


@pytest.mark.parametrize("example", [e for e in VALID if not e.submitted], ids=name)
def test_what_services_say_is_written_as_it_was_read(example: Example) -> None:
    read_again = decode_event(example.type, json.dumps(example.data).encode())
    assert json.loads(read_again.model_dump_json(exclude_none=True)) == example.data
