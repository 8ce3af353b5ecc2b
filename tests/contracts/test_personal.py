"""Persons' data: marked where it could stand, kept out of domain events, and refused at the edge."""

from collections.abc import Iterator
from typing import Any

import pytest

from contracts.generate import TYPES
from contracts.submission import MODELS
from contracts.topics import EVENTS, OUTCOMES

# Fields of domain events that could come to hold a person, and the rule that keeps the person out. All others must not
# be marked at all: the mark means that a field needs such a rule.
GUARDED = {
    "business_name": "a person-like owner only by its trade name (not-a-trade-name)",
    "tax_code": "never of a person-like owner (tax-code-of-person)",
    "place_printed": "administrative units only (house-address)",
    "url": "no user part, no query, no personal page (bad-pattern, personal-page)",
}
FORBIDDEN = (
    "representative",
    "signatory",
    "phone",
    "mail",
    "email",
    "sex",
    "ethnic",
    "address",
    "note",
    "birth",
    "citizen",
)


def fields(schema: Any) -> Iterator[tuple[str, Any]]:
    """Every field of a schema, at any depth, with its own schema."""
    if isinstance(schema, dict):
        for name, inner in schema.get("properties", {}).items():
            if isinstance(inner, dict):
                yield name, inner
        for inner in schema.values():
            yield from fields(inner)
    elif isinstance(schema, list):
        for inner in schema:
            yield from fields(inner)


def marked(schema: Any) -> set[str]:
    return {name for name, inner in fields(schema) if _says_personal(inner)}


def _says_personal(schema: Any) -> bool:
    return schema.get("x-personal") is True or any(_says_personal(each) for each in schema.get("anyOf", []))


@pytest.mark.parametrize("type_", [*EVENTS, *OUTCOMES])
def test_no_event_of_ours_carries_unguarded_personal_data(type_: str) -> None:
    assert marked(TYPES[type_].model_json_schema()) <= set(GUARDED)


def test_what_could_be_a_person_is_marked() -> None:
    of = {type_.removeprefix("vn.ocop."): marked(model.model_json_schema()) for type_, model in TYPES.items()}
    for name in ("province.owner.registered.v1", "province.owner.updated.v1", "registry.owner.closed.v1"):
        assert of[name] == {"business_name", "tax_code"}
    for name in ("province.product.registered.v1", "registry.product.updated.v1"):
        assert of[name] == {"place_printed"}
    for name in ("province.listing.listed.v1", "marketplace.listing.delisted.v1"):
        assert of[name] == {"url"}
    assert of["evaluation.recognition.revoked.v1"] == set()


@pytest.mark.parametrize("type_", TYPES)
def test_no_type_has_a_field_for_a_person(type_: str) -> None:
    names = {name for name, _ in fields(TYPES[type_].model_json_schema())}
    assert [n for n in names if any(word in n for word in FORBIDDEN)] == []


@pytest.mark.parametrize("type_", MODELS)
def test_the_edge_takes_no_field_that_is_not_listed(type_: str) -> None:
    schema = MODELS[type_].model_json_schema()
    objects = [schema, *schema.get("$defs", {}).values()]
    assert all(each["additionalProperties"] is False for each in objects)


def test_a_planted_personal_field_is_seen() -> None:
    planted = {"properties": {"owner_name": {"anyOf": [{"type": "string", "x-personal": True}, {"type": "null"}]}}}
    assert marked(planted) - set(GUARDED) == {"owner_name"}
