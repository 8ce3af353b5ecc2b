"""The catalogue of topics, and the tables of types."""

import json
from uuid import UUID, uuid5

import pytest
from pydantic import ValidationError

from contracts.outcome import FINAL, STATES, Outcome, outcome_id, outcome_type
from contracts.submission import MODELS, SUBMISSIONS, WITHDRAWN, decode_submission
from contracts.topics import (
    DECIDERS,
    EVENTS,
    OUTCOMES,
    TOPICS,
    Topic,
    decode_event,
    domain_topic,
    outcome_topic,
    submission_topic,
    unknown_major,
)
from tests.contracts.corpus import VALID, Example

MIB = 1024 * 1024
OUTBOX_BOUND = 900 * 1024  # bytes of payload and headers that a service may say at once


def test_the_catalogue() -> None:
    assert {(t.name, t.kind, t.service, t.reader, t.aggregate) for t in TOPICS.values()} == {
        ("ocop.submission.registry", "submission", "gateway", "registry", None),
        ("ocop.submission.evaluation", "submission", "gateway", "evaluation", None),
        ("ocop.submission.marketplace", "submission", "gateway", "marketplace", None),
        ("ocop.registry.owner", "domain", "registry", None, "owner"),
        ("ocop.registry.product", "domain", "registry", None, "product"),
        ("ocop.evaluation.recognition", "domain", "evaluation", None, "recognition"),
        ("ocop.marketplace.listing", "domain", "marketplace", None, "listing"),
        ("ocop.registry.outcome", "outcome", "registry", None, None),
        ("ocop.evaluation.outcome", "outcome", "evaluation", None, None),
        ("ocop.marketplace.outcome", "outcome", "marketplace", None, None),
    }


@pytest.mark.parametrize("topic", TOPICS.values(), ids=lambda t: t.name)
def test_domain_topics_are_kept_for_ever_and_nothing_is_compacted(topic: Topic) -> None:
    assert topic.partitions == 12
    assert topic.config["cleanup.policy"] == "delete"
    assert topic.config["retention.ms"] == ("-1" if topic.kind == "domain" else str(30 * 86_400_000))


def test_what_fits_the_outbox_fits_the_topic() -> None:
    assert all(OUTBOX_BOUND + 64 * 1024 <= topic.max_message_bytes <= MIB for topic in TOPICS.values())


def test_every_type_has_its_topic() -> None:
    for type_, (topic, _) in EVENTS.items():
        _, _, service, aggregate, *_ = type_.split(".")
        assert topic == domain_topic(service, aggregate)
        assert TOPICS[topic].service == service
    for type_, topic in OUTCOMES.items():
        assert TOPICS[topic].service == type_.split(".")[2]
        assert topic == outcome_topic(type_.split(".")[2])
    for submitted in SUBMISSIONS.values():
        assert TOPICS[submission_topic(submitted.service)].reader == submitted.service


def test_every_domain_topic_is_spoken_on() -> None:
    assert {topic for topic, _ in EVENTS.values()} == {t.name for t in TOPICS.values() if t.kind == "domain"}
    assert set(OUTCOMES.values()) == {t.name for t in TOPICS.values() if t.kind == "outcome"}
    assert len(OUTCOMES) == len(DECIDERS) * len(STATES)


def test_what_is_submitted_is_what_is_said() -> None:
    """Each submission type leads to the domain event of the same name."""
    said = {type_.removeprefix("vn.ocop.").split(".", 1)[1] for type_ in EVENTS}
    assert {name.removeprefix("vn.ocop.province.") for name in SUBMISSIONS} == said


def test_the_withdrawal_is_nobodys_own() -> None:
    assert set(MODELS) - set(SUBMISSIONS) == {WITHDRAWN}


SUBJECTS = {
    "owner.registered": ("owner", "2025-68/CT-0004", None),
    "owner.updated": ("owner", "2025-68/CT-0004", None),
    "owner.closed": ("owner", "2025-68/CT-0004", None),
    "product.registered": ("product", "2025-68/SP-0031", ("owner", "2025-68/CT-0004")),
    "product.updated": ("product", "2004-67/SP-0003", ("owner", "2004-67/CT-0002")),
    "product.discontinued": ("product", "2004-67/SP-0003", None),
    "recognition.recognised": ("product", "2004-67/SP-0003", ("product", "2004-67/SP-0003")),
    "recognition.renewed": ("product", "2004-67/SP-0003", ("product", "2004-67/SP-0003")),
    "recognition.upgraded": ("product", "2004-67/SP-0003", ("product", "2004-67/SP-0003")),
    "recognition.corrected": ("product", "2004-67/SP-0003", ("product", "2004-67/SP-0003")),
    "recognition.revoked": ("product", "2004-67/SP-0003", ("product", "2004-67/SP-0003")),
    "listing.listed": ("listing", "2004-67/NY-0003", ("product", "2004-67/SP-0003")),
    "listing.delisted": ("listing", "2004-67/NY-0003", None),
}
FIRST = {
    "product.registered": "valid-of-today",
    "recognition.recognised": "valid-act-in-full",
    "listing.listed": "valid-on-voso",
    "owner.registered": "valid-cooperative",
}


@pytest.mark.parametrize("name", SUBJECTS)
def test_subject_and_reference(name: str) -> None:
    type_ = SUBMISSIONS[f"vn.ocop.province.{name}.v1"]
    wanted = FIRST.get(name, "valid-")
    example = next(e for e in VALID if e.type == type_.name and f"/{wanted}" in e.name)
    data = type_.model.model_validate(example.data)
    kind, ref = type_.subject(data)
    needed = type_.reference(data)
    assert (kind, str(ref), needed and (needed[0], str(needed[1]))) == SUBJECTS[name]
    assert type_.aggregate == name.split(".")[0]


def test_every_submission_type_is_in_the_table_above() -> None:
    assert {f"vn.ocop.province.{name}.v1" for name in SUBJECTS} == set(SUBMISSIONS)


NEWER = {"owner": {"namespace": "2025-68", "ref": "CT-4", "since": 1}, "kind": "guild", "business_name": "X", "new": 1}


def test_deciders_pass_over_new_fields_and_take_new_values() -> None:
    type_ = "vn.ocop.province.owner.registered.v1"
    assert decode_submission(type_, json.dumps(NEWER).encode()).model_dump()["kind"] == "guild"
    with pytest.raises(ValidationError):
        MODELS[type_].model_validate(NEWER)


@pytest.mark.parametrize("example", [e for e in VALID if not e.submitted], ids=lambda e: e.name)
def test_readers_pass_over_new_fields_anywhere(example: Example) -> None:
    newer = decode_event(example.type, json.dumps(_with_new_fields(example.data)).encode())
    bare = decode_event(example.type, json.dumps(example.data).encode())
    # An outcome's params are an open map: there a new name is kept.
    assert newer.model_dump(exclude={"params"}) == bare.model_dump(exclude={"params"})


def _with_new_fields(value: object) -> object:
    if isinstance(value, list):
        return [_with_new_fields(each) for each in value]
    if isinstance(value, dict):
        return {"brand_new": {"a": 1}} | {key: _with_new_fields(each) for key, each in value.items()}
    return value


@pytest.mark.parametrize("payload", [b"", b"{", b"\xff", b"null", b"[]", b'{"documents":NaN}', b'{"a":' * 300])
def test_garbage_does_not_decode(payload: bytes) -> None:
    for type_ in EVENTS:
        with pytest.raises(ValidationError):
            decode_event(type_, payload)
    for type_ in MODELS:
        with pytest.raises(ValidationError):
            decode_submission(type_, payload)


def test_unknown_types() -> None:
    with pytest.raises(KeyError):
        decode_event("vn.ocop.registry.owner.merged.v1", b"{}")
    with pytest.raises(KeyError):
        decode_submission("vn.ocop.province.owner.registered.v2", b"{}")


@pytest.mark.parametrize(
    ("type_", "unknown"),
    [
        ("vn.ocop.registry.owner.registered.v1", False),
        ("vn.ocop.registry.owner.registered.v2", True),
        ("vn.ocop.registry.outcome.applied.v10", True),
        ("vn.ocop.registry.owner.merged.v1", False),
        ("", False),
    ],
)
def test_an_unknown_major_is_told_from_an_unknown_type(type_: str, unknown: bool) -> None:
    assert unknown_major(type_) is unknown


def test_outcomes() -> None:
    submission = UUID("019873d0-3c4e-7a10-9b51-5f0c6a1de202")
    assert outcome_type("registry", "applied") == "vn.ocop.registry.outcome.applied.v1"
    assert outcome_id(submission, "registry", 2) == uuid5(submission, "registry/outcome/2")
    assert set(STATES) > FINAL
    assert Outcome.model_fields["state"].is_required()
