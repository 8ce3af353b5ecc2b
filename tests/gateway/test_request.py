"""Bytes of requests, good and hostile, taken apart."""

import gzip
import json
from typing import Any

import pytest
from gateway.request import MAX_BODY_BYTES, MAX_EVENT_BYTES, MAX_EVENTS, MAX_VALUES, RequestRefused, inflate, pieces
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.envelope import nfc


def test_each_event_keeps_its_own_bytes() -> None:
    body = ' [ {"a" : 1} ,\n{"tên":"Rong nho"},{"e":[]} ] '.encode()
    found = pieces(body, batch=True)
    assert [piece.raw for piece in found] == [b'{"a" : 1}', '{"tên":"Rong nho"}'.encode(), b'{"e":[]}']
    assert [piece.value for piece in found] == [{"a": 1}, {"tên": "Rong nho"}, {"e": []}]


def test_one_event_may_stand_between_spaces() -> None:
    (piece,) = pieces(b' {"a":1}\r\n', batch=False)
    assert piece.raw == b'{"a":1}'


def test_an_empty_batch_is_a_batch() -> None:
    assert pieces(b"[]", batch=True) == []


def test_text_is_in_nfc_and_its_bytes_as_they_came() -> None:
    decomposed = '{"tên":"Đắk Lắk"}'.encode()
    (piece,) = pieces(decomposed, batch=False)
    assert piece.raw == decomposed
    assert piece.value == {"tên": "Đắk Lắk"}


# Letters and marks that combine, and what JSON writes in another way than it is.
LETTERS = st.text(
    st.sampled_from('aeđnrtu\u0103\u0300\u0301\u0302\u0323\u031b\u0327\u1100\u1161"\\/\n\r\t\x08\x0c\x01'), max_size=6
)


@settings(deadline=None)  # the machine may be busy
@given(st.dictionaries(LETTERS, LETTERS | st.lists(LETTERS, max_size=3), max_size=3), st.booleans())
def test_all_text_is_in_nfc_however_it_is_escaped(value: dict[str, Any], escaped: bool) -> None:
    (piece,) = pieces(json.dumps(value, ensure_ascii=escaped).encode(), batch=False)
    assert piece.value == nfc(value)


MALFORMED = [
    b"",
    b"nothing",
    b'{"a":1',
    b'{"a":1}}',
    b'{"a":NaN}',
    b'{"a":-Infinity}',
    b'{"a":' + b"9" * 5000 + b"}",
    b'{"a":' * 5000 + b"1" + b"}" * 5000,
    b'\xff{"a":1}',
    b'{"a":"\xc3"}',
    '{"a":1}'.encode("utf-16"),
    b'\xef\xbb\xbf{"a":1}',
]


@pytest.mark.parametrize("body", MALFORMED)
@pytest.mark.parametrize("batch", [False, True])
def test_what_is_no_json_is_refused_as_a_whole(body: bytes, batch: bool) -> None:
    with pytest.raises(RequestRefused) as refused:
        pieces(body, batch=batch)
    assert (refused.value.status, refused.value.problem.code) == (400, "malformed-json")


@pytest.mark.parametrize("body", [b"[,]", b"[{}", b"[{} {}]", b"[{},]", b"{}", b"[{}]x"])
def test_what_is_no_array_is_no_batch(body: bytes) -> None:
    with pytest.raises(RequestRefused) as refused:
        pieces(body, batch=True)
    assert refused.value.problem.code == "malformed-json"


ONE_BAD: list[tuple[bytes, str, str]] = [
    (b'{"id":"a","id":"b"}', "duplicate-key", "/id"),
    (b'{"data":{"owner":[{"ref":1,"ref":2}]}}', "duplicate-key", "/data/owner/0/ref"),
    (b'{"id":"\\ud800"}', "control-character", ""),
    (b'{"\\ud800":1}', "control-character", ""),
    (b'{"a":' * 33 + b"1" + b"}" * 33, "malformed-json", ""),
    (b'{"a":' + b"[" * 700 + b"]" * 700 + b"}", "malformed-json", ""),
    (b"7", "wrong-type", ""),
    (b"[]", "wrong-type", ""),
    (b'"text"', "wrong-type", ""),
    (b'{"a":"' + b"x" * MAX_EVENT_BYTES + b'"}', "event-too-large", ""),
]


@pytest.mark.parametrize(("body", "code", "pointer"), ONE_BAD)
def test_one_bad_event_is_refused_beside_good_neighbours(body: bytes, code: str, pointer: str) -> None:
    first, bad, last = pieces(b'[{"a":1},' + body + b',{"b":2}]', batch=True)
    assert (first.problem, last.problem) == (None, None)
    assert bad.problem is not None
    assert (bad.problem.code, bad.problem.pointer) == (code, pointer)


def test_a_doubled_key_among_very_many() -> None:
    names = [f'"k{n}":1' for n in range(15_000)]
    (piece,) = pieces(("{" + ",".join([*names, names[-1]]) + "}").encode(), batch=False)
    assert piece.problem is not None
    assert (piece.problem.code, piece.problem.pointer) == ("duplicate-key", "/k14999")


def test_a_pair_of_surrogates_is_a_letter() -> None:
    (piece,) = pieces(b'{"a":"\\ud83d\\ude00"}', batch=False)
    assert piece.value == {"a": "😀"}


def test_too_many_events() -> None:
    assert len(pieces(json.dumps([{}] * MAX_EVENTS).encode(), batch=True)) == MAX_EVENTS
    with pytest.raises(RequestRefused) as refused:
        pieces(json.dumps([{}] * (MAX_EVENTS + 1)).encode(), batch=True)
    assert (refused.value.status, refused.value.problem.code) == (413, "too-many-events")


def test_no_more_is_read_than_may_be() -> None:
    with pytest.raises(RequestRefused) as refused:
        pieces(b"[" + b"{}," * (MAX_EVENTS + 1) + b"and more, that is not looked at", batch=True)
    assert refused.value.problem.code == "too-many-events"


@pytest.mark.parametrize("body", [b"[[" + b"[]," * 300_000, b'[{"a":' * 300_000, b"{" + b'"":{},' * 200_000])
def test_a_body_of_brackets_is_not_read(body: bytes) -> None:
    with pytest.raises(RequestRefused) as refused:
        pieces(body, batch=True)
    assert (refused.value.status, refused.value.problem.code) == (413, "too-many-values")


def test_an_event_of_names_is_not_examined() -> None:
    """Each may be wrong by itself; what stands in texts is no value."""
    for value in ([0] * MAX_VALUES, {f"k{n}": 1 for n in range(MAX_VALUES)}):
        (piece,) = pieces(json.dumps({"a": value}).encode(), batch=False)
        assert piece.problem is not None
        assert piece.problem.code == "too-many-values"
    (piece,) = pieces(json.dumps({"a": ",:" * 2 * MAX_VALUES}).encode(), batch=False)
    assert piece.problem is None


def test_gzip_is_unpacked_never_beyond_the_limit() -> None:
    assert inflate(gzip.compress(b"[]"), MAX_BODY_BYTES) == b"[]"
    with pytest.raises(RequestRefused) as refused:
        inflate(gzip.compress(b" " * (MAX_BODY_BYTES + 1)), MAX_BODY_BYTES)
    assert (refused.value.status, refused.value.problem.code) == (413, "request-too-large")


@pytest.mark.parametrize("packed", [b"", b"no gzip", gzip.compress(b"[]")[:-3], gzip.compress(b"[]") + b"more"])
def test_broken_gzip(packed: Any) -> None:
    with pytest.raises(RequestRefused) as refused:
        inflate(packed, MAX_BODY_BYTES)
    assert refused.value.status == 400
