"""Records as they are read: what is not of the topic's writer, and bytes that no row can hold as text."""

from typing import Any

import pytest

from servicekit.failure import undecodable
from servicekit.message import Kept, Message, decode, from_json, to_json
from tests.national.feed import said_of
from tests.submissions import Province, owner

SUBMISSION = Province().message(owner(id_="o"))
DOMAIN = said_of([owner(id_="o")])[0]


def again(real: Message, **changed: bytes | None) -> Message:
    """The same record with some attributes otherwise."""
    left = [(name, value) for name, value in real.headers if name.removeprefix("ce_") not in changed]
    headers: Any = (*left, *((f"ce_{name}", value) for name, value in changed.items()))
    return decode(Kept(real.topic, 0, 0, headers, real.payload))


def test_what_the_writer_says_is_read() -> None:
    assert again(SUBMISSION).error is again(DOMAIN).error is None


@pytest.mark.parametrize(
    ("real", "name", "value"),
    [
        (SUBMISSION, "source", b"/services/registry"),
        (SUBMISSION, "subject", b"CT-1"),
        (SUBMISSION, "correlationid", b"x"),
        (SUBMISSION, "id", b"a\x00b"),
        (SUBMISSION, "tenant", b"\x00"),
        (SUBMISSION, "tenant", b"2025-01"),
        (SUBMISSION, "tenant", b"2025-6"),
        (SUBMISSION, "id", None),
        (SUBMISSION, "id", b"x" * 1025),
        (SUBMISSION, "type", b"x" * 900_000),
        (SUBMISSION, "time", b"0001-01-01T00:00:00+14:00"),
        (SUBMISSION, "recordedtime", b"9999-12-31T23:59:59-01:00"),
        (DOMAIN, "source", b"/services/evaluation"),
        (DOMAIN, "source", b"/services/registry/"),
        (DOMAIN, "type", b"vn.ocop.registry.product.registered.v1"),
        (DOMAIN, "type", b"vn.ocop.registry.outcome.applied.v1"),
        (DOMAIN, "id", b"o"),
        (DOMAIN, "causationid", b"o"),
        (DOMAIN, "subject", b""),
    ],
)
def test_what_it_would_not_say_so_is_put_aside(real: Message, name: str, value: bytes | None) -> None:
    found = again(real, **{name: value})
    assert found.envelope is None
    assert found.field == f"/{name}"


@pytest.mark.parametrize("value", [None, b"x" * 1025, b"a\x00b", b"\xff"])
def test_what_no_row_can_name_is_no_name(value: bytes | None) -> None:
    assert again(SUBMISSION, id=value).named("id") is None


@pytest.mark.parametrize("value", [b"0001-01-01T00:00:00+14:00", b"9999-12-31T23:59:59-01:00", b"2026-01-01T00:00:00"])
def test_a_time_that_no_row_can_hold_is_none(value: bytes) -> None:
    assert again(SUBMISSION, time=value).named_time("time") is None


def test_any_headers_are_kept_byte_for_byte_and_without_a_nul() -> None:
    headers: Any = (
        *(("a", b"text"), ("a\x00b", b"x\x00y"), ("", b""), ("đ", b"\xff\xfe"), ("base64", b'{"base64": 1}')),
        ("null", None),
    )
    assert from_json(to_json(headers)) == headers
    assert "\0" not in str(to_json(headers))


def test_why_it_failed_can_be_kept() -> None:
    text = undecodable("NUL \0, half a pair \ud800")["text"]
    assert "\0" not in text
    assert text.encode() == b"NUL \\0, half a pair \\ud800"
