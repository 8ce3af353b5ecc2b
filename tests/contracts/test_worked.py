"""The worked example, computed anew from its first file."""

import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from contracts.cloudevent import Read, read
from contracts.envelope import Envelope, canonical, content_digest, encode, from_headers, to_headers
from contracts.evaluation import RecognitionState
from contracts.names import Ref, aggregate_id, event_id
from contracts.outcome import Outcome, outcome_id
from contracts.submission import decode_submission
from contracts.topics import decode_event
from tests.contracts.corpus import EXAMPLES

WORKED = EXAMPLES / "worked"
SENT: dict[str, Any] = json.loads((WORKED / "1-sent.json").read_text())
PRODUCT = aggregate_id("product", Ref(namespace="2004-67", ref="SP-0002"))
RECEIPT = UUID("019873d0-3c4e-7a10-9b51-5f0c6a1de202")


def record(name: str) -> tuple[str, str, Envelope, Any]:
    """Topic, key, envelope and payload of a record, its headers read as a consumer reads them."""
    content = json.loads((WORKED / name).read_text())
    envelope = from_headers((key, value.encode()) for key, value in content["headers"].items())
    assert to_headers(envelope) == content["headers"]
    return content["topic"], content["key"], envelope, content["payload"]


def test_the_files_are_those_of_the_table() -> None:
    told = (WORKED / "README.md").read_text()
    assert all(f"`{path.name}`" in told for path in WORKED.glob("*.json"))
    assert len(list(WORKED.glob("*.json"))) == 5


def test_what_the_province_sends_is_taken() -> None:
    found = read(SENT, datetime(2026, 8, 5, 1, 0, 2, tzinfo=UTC))
    assert isinstance(found, Read)
    assert str(found.ref) == SENT["subject"]


def test_the_submission_carries_the_same_facts_under_the_products_id() -> None:
    topic, key, envelope, payload = record("2-submission.json")
    assert (topic, key) == ("ocop.submission.evaluation", str(PRODUCT))
    assert payload == SENT["data"]
    assert (envelope.id, envelope.source, envelope.type) == (SENT["id"], SENT["source"], SENT["type"])
    assert envelope.time == datetime.fromisoformat(SENT["time"])
    assert (envelope.subject, envelope.correlationid, envelope.subjectsequence) == (key, str(RECEIPT), None)
    assert envelope.contentdigest == content_digest(SENT["type"], key, SENT["time"], canonical(SENT["data"]))


def outcome(name: str, number: int) -> Outcome:
    topic, key, envelope, payload = record(name)
    said = decode_event(envelope.type, json.dumps(payload).encode())
    assert isinstance(said, Outcome)
    assert json.loads(encode(said)) == payload
    assert (topic, key, envelope.subject) == ("ocop.evaluation.outcome", str(RECEIPT), str(RECEIPT))
    assert envelope.id == str(outcome_id(RECEIPT, "evaluation", number))
    assert envelope.subjectsequence == number
    assert envelope.type == f"vn.ocop.evaluation.outcome.{said.state}.v1"
    assert (said.submission_id, said.subject) == (RECEIPT, PRODUCT)
    assert (said.source, said.event_id, said.type) == (SENT["source"], SENT["id"], SENT["type"])
    return said


def test_first_it_waits_for_the_product() -> None:
    said = outcome("3-outcome-waiting.json", 1)
    assert (said.code, said.pointer, said.params) == ("unknown-product", "/data/product", {"ref": SENT["subject"]})


def test_then_it_is_said_on_the_products_stream() -> None:
    topic, key, envelope, payload = record("4-domain-event.json")
    state = decode_event(envelope.type, json.dumps(payload).encode())
    assert isinstance(state, RecognitionState)
    assert json.loads(encode(state)) == payload
    assert (topic, key, envelope.subject) == ("ocop.evaluation.recognition", str(PRODUCT), str(PRODUCT))
    assert envelope.id == str(event_id(RECEIPT, "evaluation", 0))
    assert (envelope.correlationid, envelope.causationid) == (str(RECEIPT), str(RECEIPT))
    assert envelope.time == datetime.fromisoformat(SENT["time"])
    assert envelope.subjectsequence == 1
    (recognition,) = state.recognitions
    submitted = decode_submission(SENT["type"], json.dumps(SENT["data"]).encode()).model_dump(exclude={"product"})
    said = recognition.model_dump(exclude={"basis", "origin", "previous_ref", "revoked", "void"})
    assert said == submitted
    assert (recognition.origin.submission_id, recognition.origin.sequence) == (RECEIPT, 1)
    assert recognition.origin.received_at == envelope.recordedtime


def test_last_it_is_applied() -> None:
    said = outcome("5-outcome-applied.json", 2)
    assert said.event_ids == (event_id(RECEIPT, "evaluation", 0),)
