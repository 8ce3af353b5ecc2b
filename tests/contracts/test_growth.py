"""A new revision of a schema is proved to take every document that the old one took.

Documents of the old schema have no fields but its own, so it is closed before the comparison; else even a new optional
field could contradict what nobody ever sent. What cannot be proved does not pass.
"""

import json
from copy import deepcopy
from typing import Any

import jsonschema_rs
import pytest

from contracts.generate import REVISIONS, SCHEMAS

Schema = dict[str, Any]


def compatible(old: Schema, new: Schema) -> bool:
    """Whether it is proved that whatever keeps `old` also keeps `new`."""
    verdict = jsonschema_rs.canonicalize(_nameless(new)).covers(jsonschema_rs.canonicalize(_closed(_nameless(old))))
    return str(verdict) == "yes"


def _nameless(schema: Schema) -> Schema:
    return {key: part for key, part in schema.items() if key not in ("$id", "$schema")}


def _closed(schema: Any, names: bool = False) -> Any:
    """`names`: the keys are names of fields or definitions, not keywords."""
    if isinstance(schema, list):
        return [_closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: _closed(part, not names and key in ("properties", "$defs")) for key, part in schema.items()}
    if not names and schema.get("type") == "object" and "properties" in schema:
        closed["additionalProperties"] = False
    return closed


def published(type_: str, revision: int) -> Schema:
    schema: Schema = json.loads((SCHEMAS / f"{type_}.r{revision}.schema.json").read_text())
    return schema


def test_every_revision_covers_the_one_before() -> None:
    grown = [(type_, n) for type_, last in REVISIONS.items() for n in range(2, last + 1)]
    assert [each for each in grown if not compatible(published(each[0], each[1] - 1), published(*each))] == []


@pytest.mark.parametrize("path", sorted(SCHEMAS.glob("*.schema.json")), ids=lambda p: p.stem)
def test_every_schema_can_be_proved_to_grow(path: Any) -> None:
    """Were the prover at a loss with our patterns or conditions, it would be so from the first growth on."""
    old = json.loads(path.read_text())
    grown = deepcopy(old)
    grown["properties"]["brand_new"] = {"type": "string"}
    assert compatible(old, old)
    assert compatible(old, grown)
    grown["required"] = [*grown.get("required", []), "brand_new"]
    assert not compatible(old, grown)


LISTED = published("vn.ocop.province.listing.listed.v1", 1)


def test_a_new_value_is_a_growth_and_a_lost_one_a_break() -> None:
    grown, shrunk = deepcopy(LISTED), deepcopy(LISTED)
    grown["properties"]["platform"]["enum"].append("own_shop")
    shrunk["properties"]["platform"]["enum"].remove("sendo")
    assert compatible(LISTED, grown)
    assert not compatible(LISTED, shrunk)


def test_a_lost_field_is_a_break() -> None:
    shrunk = deepcopy(LISTED)
    del shrunk["properties"]["url"]
    assert not compatible(LISTED, shrunk)


def test_what_cannot_be_proved_does_not_pass() -> None:
    shorter = deepcopy(LISTED)
    shorter["properties"]["platform_name"]["anyOf"][0]["maxLength"] = 40
    assert not compatible(LISTED, shorter)
