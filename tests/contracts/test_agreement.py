"""Models and schemas agree, also on documents that nobody thought of as examples."""

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest
from pydantic import ValidationError

from contracts.problems import problems_of
from contracts.submission import MODELS
from tests.contracts.corpus import VALID, Example, validator

# What a JSON Schema cannot say: the sense of a text, the calendar, two fields compared.
BEYOND_SCHEMAS = {"personal-data", "house-address", "legacy-encoding", "personal-page", "ends-before-issue", "bad-date"}
ODD: list[Any] = [
    *(None, True, False, 0, 1, 3, 5, 13, 26, 27, -1, 4.5, [], {}, "", " ", "x", "x "),
    *("a\u200bb", "a\nb", "Đ" * 61, "Đ" * 201, "C\xb8 kh\xab", "xã A, thôn 3"),
    *("2025", "2025-06", "2025-06-19", "2025-02-30", "2025-13", "2025-06-19T00:00:00Z", "2004", "67", "68", "99"),
    *("other", "household", "cooperative", "first", "26-2026", "148-2023", "food", "tourism", "dd", "đ", "ministry"),
    *("0900000000", "001000000000", "0300000000", "https://voso.vn/a", "https://zalo.me/a", "http://voso.vn/a"),
    *("https://voso.vn" + ".a" * 243, "https://voso.vn" + ".a" * 242 + "b"),
    {"namespace": "2004-67", "ref": "A"},
    {"catalogue": "2025", "code": "67"},
]


def objects(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        for inner in value.values():
            yield from objects(inner)


def variations(type_: str, data: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The document with each field in turn left out, set to something odd, or joined by one more."""
    fields = set(MODELS[type_].model_fields)
    for at, inner in enumerate(objects(data)):
        for name in sorted(set(inner) | (fields if inner is data else {"unknown"})):
            for odd in ODD:
                varied = deepcopy(data)
                list(objects(varied))[at][name] = odd
                yield varied
            if name in inner:
                varied = deepcopy(data)
                del list(objects(varied))[at][name]
                yield varied


def refused(type_: str, data: dict[str, Any]) -> set[str]:
    """The reasons for which the model refuses it."""
    try:
        MODELS[type_].model_validate(data)
    except ValidationError as error:
        return {problem.code for problem in problems_of(error)}
    return set()


@pytest.mark.parametrize("example", [e for e in VALID if e.submitted], ids=lambda e: e.name)
def test_models_and_schemas_agree(example: Example) -> None:
    taken = 0
    for data in variations(example.type, example.data):
        reasons = refused(example.type, data)
        if validator(example.type).is_valid(data):
            assert reasons <= BEYOND_SCHEMAS, data
        else:
            assert reasons, data
        taken += not reasons
    assert taken
