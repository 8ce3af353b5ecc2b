"""A request's bytes, taken apart into events: each with its own bytes, exactly as they came.

Own splitter, because no library gives both the value of an array's element and the bytes that it was read from,
and a receipt must be for those bytes.
"""

import json
import re
import unicodedata
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, NoReturn

from contracts.envelope import nfc
from contracts.problems import Problem, pointer

MAX_EVENT_BYTES: Final = 256 * 1024
MAX_BODY_BYTES: Final = 4 * 1024 * 1024
MAX_EVENTS: Final = 1000
MAX_SIGNS: Final = 500_000  # that part values: five times what a thousand of the longest events have
MAX_VALUES: Final = 1000  # of one event, ten times what the longest has: each may be wrong by itself
_SIGNS: Final = (b"{", b"[", b",", b":")
MAX_DEPTH: Final = 32  # far beyond any type's; readers by recursion come to their end at some hundreds
_SPACE: Final = re.compile(r"[ \t\n\r]*")


class RequestRefused(Exception):  # noqa: N818  # a refusal is an answer, not an accident
    """The request as a whole cannot be read; nothing of it was taken."""

    def __init__(self, status: int, problem: Problem) -> None:
        super().__init__(problem.code)
        self.status, self.problem = status, problem


@dataclass(frozen=True, slots=True)
class Piece:
    """One event of a request: its bytes, and its value in NFC or why that cannot be had."""

    raw: bytes
    value: dict[str, Any]
    problem: Problem | None = None


class _Doubled(dict[str, Any]):
    """An object in which a key stands twice: two readers might disagree on what it says."""

    key = ""


def inflate(body: bytes, limit: int) -> bytes:
    """Unpacks gzip, never to more than the limit. Raises RequestRefused (400, 413)."""
    unpacker = zlib.decompressobj(wbits=31)
    try:
        unpacked = unpacker.decompress(body, limit + 1)
    except zlib.error:
        raise RequestRefused(400, Problem("malformed-json", "")) from None
    if len(unpacked) > limit:
        raise RequestRefused(413, Problem("request-too-large", "", {"max": limit}))
    if not unpacker.eof or unpacker.unused_data:
        raise RequestRefused(400, Problem("malformed-json", ""))
    return unpacked


def pieces(body: bytes, *, batch: bool) -> list[Piece]:
    """The events of a body: one object, or an array of them. Raises RequestRefused (400 or 413).

    Work is bounded: a body of nothing but brackets would take a hundred times as long to read as one of events.
    """
    if signs(body) > MAX_SIGNS:
        raise RequestRefused(413, Problem("too-many-values", "", {"max": MAX_SIGNS}))
    try:
        text = body.decode()
        found = list(islice(_elements(text), MAX_EVENTS + 1) if batch else _whole(text))
    except (ValueError, RecursionError):
        raise RequestRefused(400, Problem("malformed-json", "")) from None
    if len(found) > MAX_EVENTS:
        raise RequestRefused(413, Problem("too-many-events", "", {"max": MAX_EVENTS}))
    return [_piece(text[start:end], value) for start, end, value in found]


def signs(body: bytes) -> int:
    """How many signs part values in it, in texts too: at least as many as there are values."""
    return sum(map(body.count, _SIGNS))


def _whole(text: str) -> Iterator[tuple[int, int, Any]]:
    start = _skip(text, 0)
    value, end = _DECODER.raw_decode(text, start)
    if _skip(text, end) != len(text):
        raise ValueError("something follows the object")
    yield start, end, value


def _elements(text: str) -> Iterator[tuple[int, int, Any]]:
    at = _skip(text, 0)
    if text[at : at + 1] != "[":
        raise ValueError("not an array")
    at = _skip(text, at + 1)
    if text[at : at + 1] != "]":
        while True:
            value, end = _DECODER.raw_decode(text, at)
            yield at, end, value
            at = _skip(text, end)
            if text[at : at + 1] == "]":
                break
            if text[at : at + 1] != ",":
                raise ValueError("no comma between elements")
            at = _skip(text, at + 1)
    if _skip(text, at + 1) != len(text):
        raise ValueError("something follows the array")


def _skip(text: str, at: int) -> int:
    matched = _SPACE.match(text, at)
    return matched.end() if matched else at


def _piece(text: str, value: Any) -> Piece:
    raw = text.encode()
    if len(raw) > MAX_EVENT_BYTES:
        return Piece(raw, {}, Problem("event-too-large", "", {"max": MAX_EVENT_BYTES}))
    if not isinstance(value, dict):
        return Piece(raw, {}, Problem("wrong-type", "", {"expected": "object"}))
    if raw.count(b"{") + raw.count(b"[") > MAX_DEPTH and _deeper_than(value, MAX_DEPTH):
        return Piece(raw, {}, Problem("malformed-json", ""))
    if b"\\ud" in raw or b"\\uD" in raw:
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError:  # half of a surrogate pair: not text
            return Piece(raw, {}, Problem("control-character", ""))
    doubled = next(_doubled(value, ()), None)
    if doubled is not None:
        path, key = doubled
        return Piece(raw, value, Problem("duplicate-key", pointer((*path, key)), {"key": key}))
    if signs(raw) > MAX_VALUES and _values(value) > MAX_VALUES:
        return Piece(raw, value, Problem("too-many-values", "", {"max": MAX_VALUES}))
    # Text in NFC without escapes has only parts in NFC: most events need not be walked.
    plain = "\\u" not in text and unicodedata.is_normalized("NFC", text)
    return Piece(raw, value if plain else nfc(value))


def _deeper_than(value: Any, limit: int) -> bool:
    level = [value]
    for _ in range(limit):
        level = [inner for each in level for inner in (each.values() if isinstance(each, dict) else each)]
        level = [inner for inner in level if isinstance(inner, dict | list)]
    return bool(level)


def _values(value: Any) -> int:
    """How many values it holds, at any depth."""
    inner = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
    return len(inner) + sum(map(_values, inner))


def _doubled(value: Any, path: tuple[int | str, ...]) -> Iterator[tuple[tuple[int | str, ...], str]]:
    if isinstance(value, _Doubled):
        yield path, value.key
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inner:
        if isinstance(each, dict | list):
            yield from _doubled(each, (*path, key))


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) == len(pairs):
        return made
    doubled, seen = _Doubled(made), set[str]()
    for name, _ in pairs:
        if name in seen:
            doubled.key = name
        seen.add(name)
    return doubled


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_DECODER: Final = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_no_constant)
