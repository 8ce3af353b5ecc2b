"""The envelope's way through headers and back, and what is no envelope."""

import hashlib
import json
import math
import unicodedata
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
import rfc8785
from hypothesis import example, given, settings
from hypothesis import strategies as st

from contracts.envelope import (
    Envelope,
    EnvelopeError,
    canonical,
    content_digest,
    dataschema,
    encode,
    from_headers,
    nfc,
    to_headers,
)
from contracts.names import Ref
from contracts.registry import OwnerClosed

ENVELOPE = Envelope(
    id="858-sp3",
    source="/provinces/2025-68/ocop",
    type="vn.ocop.province.owner.closed.v1",
    subject="a160c50d-8d64-5c72-a5a4-c5599efbdce1",
    time=datetime(2026, 8, 5, 8, 0, tzinfo=timezone(timedelta(hours=7))),
    dataschema=dataschema("vn.ocop.province.owner.closed.v1"),
    tenant="2025-68",
    correlationid="019873d0-3c4e-7a10-9b51-5f0c6a1de202",
    causationid="019873d0-3c4e-7a10-9b51-5f0c6a1de202",
    recordedtime=datetime(2026, 8, 5, 1, 0, 2, 318457, tzinfo=UTC),
)
FULL = replace(
    ENVELOPE,
    subjectsequence=7,
    contentdigest="ab" * 32,
    traceparent="00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    canary=True,
)


def on_the_wire(envelope: Envelope) -> dict[str, bytes]:
    return {name: value.encode() for name, value in to_headers(envelope).items()}


@pytest.mark.parametrize("envelope", [ENVELOPE, FULL, replace(ENVELOPE, id="mã-858/Đ")])
def test_there_and_back(envelope: Envelope) -> None:
    assert from_headers(on_the_wire(envelope).items()) == envelope


def test_headers_are_cloudevents_binary_mode() -> None:
    assert to_headers(FULL) == {
        "ce_specversion": "1.0",
        "ce_id": "858-sp3",
        "ce_source": "/provinces/2025-68/ocop",
        "ce_type": "vn.ocop.province.owner.closed.v1",
        "ce_subject": "a160c50d-8d64-5c72-a5a4-c5599efbdce1",
        "ce_time": "2026-08-05T08:00:00+07:00",
        "ce_dataschema": "urn:ocop:schema:vn.ocop.province.owner.closed.v1:r1",
        "ce_tenant": "2025-68",
        "ce_correlationid": "019873d0-3c4e-7a10-9b51-5f0c6a1de202",
        "ce_causationid": "019873d0-3c4e-7a10-9b51-5f0c6a1de202",
        "ce_recordedtime": "2026-08-05T01:00:02.318457+00:00",
        "ce_subjectsequence": "7",
        "ce_contentdigest": "ab" * 32,
        "ce_traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "ce_canary": "true",
        "content-type": "application/json",
    }


def test_attribute_names_are_cloudevents_names() -> None:
    names = [name.removeprefix("ce_") for name in to_headers(FULL) if name.startswith("ce_")]
    assert all(name.isalnum() and name.islower() and len(name) <= 20 for name in names)


def test_absent_attributes_have_no_header() -> None:
    optional = {"ce_subjectsequence", "ce_contentdigest", "ce_traceparent", "ce_canary"}
    assert to_headers(FULL).keys() - to_headers(ENVELOPE).keys() == optional


def test_headers_of_others_are_passed_over() -> None:
    headers = [("b3", b"\xff\xfe"), *on_the_wire(ENVELOPE).items(), ("ce_ownextension", b"x")]
    assert from_headers(headers) == ENVELOPE


REQUIRED = sorted(to_headers(ENVELOPE))


@pytest.mark.parametrize("header", REQUIRED)
def test_every_required_attribute_is_missed(header: str) -> None:
    headers = on_the_wire(FULL)
    del headers[header]
    with pytest.raises(EnvelopeError) as caught:
        from_headers(headers.items())
    assert caught.value.pointer == "/" + {"content-type": "datacontenttype"}.get(header, header[3:])


@pytest.mark.parametrize(
    ("header", "value", "pointer"),
    [
        ("ce_specversion", b"0.3", "/specversion"),
        ("content-type", b"application/cloudevents+json", "/datacontenttype"),
        ("ce_time", b"yesterday", "/time"),
        ("ce_time", b"2026-08-05T08:00:00", "/time"),
        ("ce_recordedtime", b"", "/recordedtime"),
        ("ce_subjectsequence", b"0", "/subjectsequence"),
        ("ce_subjectsequence", b"-1", "/subjectsequence"),
        ("ce_subjectsequence", b"1.0", "/subjectsequence"),
        ("ce_subjectsequence", "٣".encode(), "/subjectsequence"),
        ("ce_subjectsequence", b"9" * 19, "/subjectsequence"),
        ("ce_source", b"\xff\xfe", "/source"),
    ],
)
def test_what_is_no_envelope(header: str, value: bytes, pointer: str) -> None:
    with pytest.raises(EnvelopeError) as caught:
        from_headers((on_the_wire(FULL) | {header: value}).items())
    assert caught.value.pointer == pointer
    assert pointer in str(caught.value)


def test_a_header_without_a_value_is_no_text() -> None:
    # Kafka knows null headers, though our type of a record does not.
    headers: Any = (on_the_wire(ENVELOPE) | {"ce_id": None}).items()
    with pytest.raises(EnvelopeError, match="/id"):
        from_headers(headers)


def test_canonical_json_sorts_and_spaces_nothing() -> None:
    assert canonical({"b": [1, True, None], "a": "ă"}) == '{"a":"ă","b":[1,true,null]}'.encode()


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(JSON)
@example({"a": [1.0, -0.0, 1e22, 1e-7, 333333333.3333333, 9007199254740991, -123456789012345]})
@example({"\U00010000": 1, "\uffff": 2, "\r": 3, "e\u0301": "\u0301", "\u212b": ["e\u0301"], '"': "\x00\x1f\x7f\\"})
@example([{"a": ":1.5"}, 1.5])
@example(0.5)
@example("")
def test_canonical_json_is_what_the_standard_says(value: Any) -> None:
    assert canonical(value) == rfc8785.dumps(nfc(value))


@pytest.mark.parametrize("value", [2**53, [-(2**53)], {"a": 10**40}, math.nan, [math.inf], {"a": [-math.inf]}])
def test_a_number_without_a_canonical_form_is_none(value: Any) -> None:
    with pytest.raises(rfc8785.CanonicalizationError):
        canonical(value)


DATA = {"owner": {"namespace": "2004-67", "ref": "CT-1"}, "business_name": "Hợp tác xã Ví Dụ"}
DIGEST = content_digest("t", "s", "2026-08-05T08:00:00+07:00", canonical(DATA))


def test_equal_content_has_equal_digests_however_it_is_written() -> None:
    turned = json.loads(json.dumps(DATA, sort_keys=True, indent=3))
    apart = {**DATA, "business_name": unicodedata.normalize("NFD", "Hợp tác xã Ví Dụ")}
    assert apart != DATA
    for same in (turned, apart):
        assert content_digest("t", "s", "2026-08-05T08:00:00+07:00", canonical(same)) == DIGEST


@pytest.mark.parametrize(
    "other",
    [
        ("u", "s", "2026-08-05T08:00:00+07:00", DATA),
        ("t", "r", "2026-08-05T08:00:00+07:00", DATA),
        ("t", "s", "2026-08-05T01:00:00Z", DATA),
        ("t", "s", "2026-08-05T08:00:00+07:00", {**DATA, "business_name": "Hợp tác xã Ví dụ"}),
        ("t", "s", "2026-08-05T08:00:00+07:00", {**DATA, "tax_code": None}),
    ],
)
def test_other_content_has_another_digest(other: tuple[str, str, str, Any]) -> None:
    type_, subject, time, data = other
    assert content_digest(type_, subject, time, canonical(data)) != DIGEST


def test_a_digest_is_that_of_the_whole_canonical_content() -> None:
    content = {"type": "t", "subject": "s", "time": "2026-08-05T08:00:00+07:00", "data": DATA}
    assert hashlib.sha256(canonical(content)).hexdigest() == DIGEST


def test_a_digest_never_changes() -> None:
    assert DIGEST == "b363f6694c64f60e0b3d96083d21aa91ee564dec429c91e301f553bbd6c1db10"


def test_a_payload_leaves_out_what_is_not_known() -> None:
    assert encode(OwnerClosed(owner=Ref(namespace="2004-67", ref="CT-1"))) == (
        b'{"owner":{"namespace":"2004-67","ref":"CT-1"}}'
    )


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@settings(deadline=None)  # the machine may be busy
@given(VALUES)
def test_nfc_is_stable_and_keeps_the_shape(value: Any) -> None:
    once = nfc(value)
    assert nfc(once) == once
    assert json.loads(json.dumps(once)) == once
