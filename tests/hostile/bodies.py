"""Bodies: a good event spoilt in every way that a careless or a malicious sender finds."""

import copy
import gzip
import json
import random
import zlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

SINGLE, BATCH = "application/cloudevents+json", "application/cloudevents-batch+json"
MIB = 1024 * 1024
CONTENT_TYPES = (
    "",
    "application/json",
    "text/plain",
    "application/cloudevents",
    "application/cloudevents+xml",
    "application/cloudevents+json; charset=utf-16",
    "application/cloudevents+json; charset=TCVN3",
    "application/cloudevents+json;" + "x" * 3000,
    "APPLICATION/CLOUDEVENTS+JSON",
    "application/cloudevents+json, text/plain",
    "multipart/form-data; boundary=x",
    "application/x-www-form-urlencoded",
    "\xff\xfe",
    ";;;",
)
# What stands in JSON text where a value should; not all of it is JSON.
TOKENS = (
    "NaN",
    "Infinity",
    "-Infinity",
    "1e999",
    "-1e-999",
    "9" * 400,
    "9" * 5000,
    "1." + "0" * 5000,
    "-0",
    "01",
    "+1",
    "0x10",
    ".5",
    "null",
    "true",
    "[]",
    "{}",
    '""',
    '" "',
    "'x'",
    "undefined",
    '"\\ud800"',
    '"\\udc00\\ud800"',
    '"\\u0000"',
    '"\\x00"',
    '"\\u0001\\u001f\\u007f\\u0085"',
    '"\x01\x7f"',
    '"\t"',
    '"\\ufffe\\uffff"',
    '"\\u202eevil"',
    '"a\\u200bb"',
    '"\\ufeffx"',
    '"12345678901"',
    '"0901234567"',
    '"a@b.vn"',
    '"H\u00eep t\u00b8c x\u00b7"',  # TCVN3, then VNI
    '"Hôïp taùc xaõ"',
    '"' + "x" * 300 + '"',
    '"1"',
    '"Đa\u0306\u0301k La\u0306\u0301k"',  # decomposed
    '"' + "\u0301" * 200 + '"',
    '"2026-13-45"',
    '"9999-12-31T23:59:59Z"',
    '"1970-01-01T00:00:00Z"',
    '"2026-08-05 00:00:00"',
    '"٢٠٢٦"',
    '"../../etc/passwd"',
    '"\'; DROP TABLE submission; --"',
    '"<script>alert(1)</script>"',
    '"${jndi:ldap://x}"',
    '"%00"',
    '"=cmd()"',
)


def refs(event: dict[str, Any]) -> list[dict[str, Any]]:
    """What it names."""
    return [value for value in event["data"].values() if isinstance(value, dict) and "namespace" in value]


def spoilt(chance: random.Random, event: dict[str, Any]) -> tuple[str, bytes]:
    """What was done, and the body. Now and then it is still a good event, as after a change in a name."""
    done = chance.choice(_WAYS)
    return done.__name__.strip("_").replace("_", " "), done(chance, event)


def _written(event: Any) -> bytes:
    return json.dumps(event, ensure_ascii=False).encode()


def _truncated(chance: random.Random, event: dict[str, Any]) -> bytes:
    body = _written(event)
    return body[: chance.randrange(len(body))]


def _flipped(chance: random.Random, event: dict[str, Any]) -> bytes:
    body = bytearray(_written(event))
    for _ in range(chance.randint(1, 4)):
        body[chance.randrange(len(body))] = chance.randrange(256)
    return bytes(body)


def _not_utf8(chance: random.Random, event: dict[str, Any]) -> bytes:
    body = _written(event)
    kind = chance.randrange(6)
    if kind == 0:
        return b"\xef\xbb\xbf" + body
    if kind == 1:
        return body.decode().encode(chance.choice(("utf-16", "utf-32", "utf-16-le", "utf-7")))
    at = body.rindex(b'"')  # within a text
    bad = (b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe1\xba")
    return body[:at] + chance.choice(bad) + body[at:]


def _token(chance: random.Random, event: dict[str, Any]) -> bytes:
    place = chance.choice(list(_places(event)))
    marked = copy.deepcopy(event)
    _set(marked, place, "@@")
    return _written(marked).replace(b'"@@"', chance.choice(TOKENS).encode())


def _deep(chance: random.Random, event: dict[str, Any]) -> bytes:
    depth = chance.choice((10, 31, 33, 100, 200, 500, 999, 1001, 5000, 50_000))
    opening, closing = chance.choice(((b"[", b"]"), (b'{"a":', b"}")))
    nested = opening * depth + b"1" + closing * depth * chance.choice((1, 1, 0))
    return nested if chance.random() < 0.3 else _written(event | {"data": "@@"}).replace(b'"@@"', nested)


def _doubled(chance: random.Random, event: dict[str, Any]) -> bytes:
    text = _written(event).decode()
    name = chance.choice(("specversion", "id", "source", "data", "owner", "namespace"))
    return text.replace(f'"{name}":', f'"{name}": {chance.choice(TOKENS)}, "{name}":', 1).encode()


def _keys(chance: random.Random, event: dict[str, Any]) -> bytes:
    many = {f"k{n}": n for n in range(chance.choice((50, 1000, 8000)))}
    return _written(event | many if chance.random() < 0.5 else event | {"data": event["data"] | many})


def _fields(chance: random.Random, event: dict[str, Any]) -> bytes:
    changed = copy.deepcopy(event)
    place = chance.choice(list(_places(changed)))
    if chance.random() < 0.5:
        _set(changed, place, None, remove=True)
    else:
        _set(changed, (*place[:-1], chance.choice(("", "phone", "a/b~c", "\0", "ID", "__proto__", "x" * 5000))), 1)
    return _written(changed)


def _names(chance: random.Random, event: dict[str, Any]) -> bytes:
    changed = copy.deepcopy(event)
    ref = chance.choice(refs(changed) or [changed["data"]])
    chance.choice(
        (
            lambda: changed.update(type=chance.choice(_TYPES)),
            lambda: changed.update(source=chance.choice(_SOURCES)),
            lambda: ref.update(namespace=chance.choice(_NAMESPACES)),
            lambda: ref.update(ref=chance.choice(("", ".", "..", "a/b", "x" * 65, "0901234567"))),
            lambda: changed.update(time=(datetime.now(UTC) + timedelta(minutes=6)).isoformat()),
            lambda: changed.update(subject=chance.choice(("", "/", "2025-68/other", "x" * 10_000, "2025-68/../x"))),
            lambda: changed.update(traceparent=chance.choice(("", "00-0-0-0", "x" * 5000))),
            lambda: changed.update(dataschema=chance.choice(("", "urn:x", "http://169.254.169.254/"))),
            lambda: changed.update(subjectsequence="1", recordedtime="2026-01-01T00:00:00Z", tenant="2025-01"),
        )
    )()
    return _written(changed)


_TYPES = (
    "vn.ocop.province.owner.registered.v2",
    "vn.ocop.province.owner.registered.v99999",
    "vn.ocop.province.owner.registered",
    "vn.ocop.registry.owner.registered.v1",
    "vn.ocop.registry.outcome.applied.v1",
    "vn.ocop.province.product.registered.v1",
    "vn.ocop.province.submission.withdrawn.v1",
    "x" * 10_000,
    "",
)
_SOURCES = ("", "/", "/provinces/2025-01/hostile", "/services/registry", "/provinces/2025-68/" + "x" * 5000)
_NAMESPACES = ("2025-01", "2004-68", "2025-680", "٢٠٢٥-٦٨", "2025-68\n", "")


def _something_else(chance: random.Random, event: dict[str, Any]) -> bytes:
    body = _written(event)
    return chance.choice(
        (
            b"",
            b" ",
            b"null",
            b"true",
            b'"text"',
            b"0",
            b"[]",
            b"{}",
            b"[" + body + b"]",
            body + body,
            body + b"\n" + body,
            body + b"x",
            b"<?xml version='1.0'?><a/>",
            b"%PDF-1.7",
            b"a=b&c=d",
            b"\0" * 1000,
            bytes(chance.randrange(256) for _ in range(200)),
            b"'" + body + b"'",
            body.replace(b'"', b"'"),
            b"/* c */" + body,
            body[:-1] + b",}",
        )
    )


_WAYS = (
    _truncated,
    _flipped,
    _not_utf8,
    _token,
    _token,
    _token,
    _deep,
    _doubled,
    _keys,
    _fields,
    _names,
    _something_else,
)


def batch(chance: random.Random, event: Callable[[], dict[str, Any]]) -> tuple[str, bytes, tuple[str, ...]]:
    """A batch that is none, or in which good ones stand beside bad ones; and the ids of the good."""
    kind = chance.randrange(9)
    if kind < 5:
        parts, good = [], []
        for _ in range(chance.randint(2, 8)):
            each = event()
            if chance.random() < 0.4:
                parts.append(_written(each))
                good.append(each["id"])
            else:
                parts.append(_wrong(chance, each))
        return "batch of good and bad", b"[" + b",".join(parts) + b"]", tuple(good)
    if kind == 5:
        return "batch of too many", b"[" + b",".join([b"{}"] * chance.choice((1001, 5000))) + b"]", ()
    if kind == 6:
        return "batch of values", b"[" + b",".join([b"1"] * chance.choice((1, 1000, 50_000))) + b"]", ()
    bodies = (b"", b"[", b"[]", b"[[]]", b"[,]", b"{}", b"[1,]", b"[" * 5000, b"null", b"[" + _written(event()))
    return "no batch", chance.choice(bodies), ()


def _wrong(chance: random.Random, event: dict[str, Any]) -> bytes:
    """An event that is JSON by itself, and wrong for certain."""
    changed = copy.deepcopy(event)
    changed["data"][f"unknown-{chance.randrange(100)}"] = chance.choice((None, 1, [[[]]], "x" * 2000, {"a": {}}))
    return chance.choice((b"1", b"[]", b"null", b"{}", b'"x"', _written(changed), _written(changed)))


@cache
def _padding(size: int) -> str:
    return "x" * size


def oversized(chance: random.Random, event: dict[str, Any]) -> tuple[str, bytes, bool]:
    """At the limit and one beyond it: the body, and whether it is a single event."""
    single = chance.random() < 0.85
    limit = 256 * 1024 if single else 4 * MIB
    size = limit + chance.choice((-1, 0, 1, 1000))
    if single:
        bare = _written(event | {"padding": ""})
        return "limit of an event", _written(event | {"padding": _padding(size - len(bare))}), True
    return "limit of a batch", b"[" + b" " * (size - 2) + b"]", False


@cache
def _bomb(layers: int) -> bytes:
    packed = b" " * (32 * MIB)
    for _ in range(layers):
        packed = gzip.compress(packed)
    return packed


def encoded(chance: random.Random, body: bytes) -> tuple[str, bytes]:
    """A content encoding, and what it says it is or is not."""
    packed = gzip.compress(body)
    return chance.choice(
        (
            ("gzip", _bomb(1)),
            ("gzip", _bomb(2)),
            ("gzip", packed[:-5]),
            ("gzip", packed[:10]),
            ("gzip", packed + packed),
            ("gzip", body),
            ("gzip", b""),
            ("gzip", gzip.compress(b"")),
            ("gzip", zlib.compress(body)),
            ("deflate", zlib.compress(b" " * MIB)),
            ("gzip, gzip", gzip.compress(packed)),
            ("gzip,identity", packed),
            ("br", body),
            ("identity, gzip", packed),
            ("GZIP ", packed[:-1]),
            ("x" * 1000, body),
            ("\xff", body),
        )
    )


def _places(value: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found = []
    for name, inner in value.items():
        found.append((*path, name))
        if isinstance(inner, dict):
            found += _places(inner, (*path, name))
    return found


def _set(value: dict[str, Any], place: tuple[str, ...], new: Any, *, remove: bool = False) -> None:
    for name in place[:-1]:
        value = value[name]
    if remove:
        del value[place[-1]]
    else:
        value[place[-1]] = new
