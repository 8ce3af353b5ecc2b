"""What is no HTTP, or HTTP that few have seen. A server may refuse it before any application hears of it."""

import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Bytes:
    """`answers`: how many must come; 0 where the server may as well hang up. `closes`: nothing can follow."""

    kind: str
    raw: bytes
    answers: int = 1
    closes: bool = True
    head: bool = False


METHODS = ("PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "GET", "post", "PROPFIND", "X" * 100, "G@T")
TARGETS = (
    b"/v1/events/../../../etc/passwd",
    b"/%2e%2e/%2e%2e/etc/passwd",
    b"/static/..%2f..%2f..%2fetc/passwd",
    b"/docs/static/../../../../etc/passwd",
    b"/docs/static/%2e%2e%2f%2e%2e%2fpyproject.toml",
    b"/%00",
    b"/%ff%fe%fd",
    b"/%c0%ae%c0%ae/",
    b"/%252e%252e/",
    b"//evil.example/v1/events",
    b"/v1//events",
    b"/v1/events;x=y",
    b"/v1/events#f",
    b"http://evil.example/v1/events",
    b"*",
    b"/" + b"a" * 8000,
    b"/v1/submissions?" + b"a=b&" * 2000,
    b"/v1/submissions?" + b"x" * 30_000,
)
BROKEN_HEADS = (
    b"GET\r\n\r\n",
    b"GET /\r\n\r\n",
    b"GET / HTTP/0.9\r\n\r\n",
    b"GET / HTTP/2.0\r\nHost: x\r\n\r\n",
    b"GET / HTTP/1.1.1\r\nHost: x\r\n\r\n",
    b"GET  /  HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET / HTTP/1.1\nHost: x\n\n",
    b"GET \xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /v1 events HTTP/1.1\r\nHost: x\r\n\r\n",
    b"\r\n\r\nGET /x HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost : x\r\n\r\n",
    b"GET / HTTP/1.1\r\n Host: x\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nX: a\r\n folded\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nX: a\0b\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nX: a\rb\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nno colon\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nB\xffd: a\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\n: a\r\n\r\n",
    b"GET / HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nBig: " + b"x" * 70_000 + b"\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 12_000 + b"\r\n",
    b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 200,
    b"\x00" * 500,
    b"SSH-2.0-x\r\n",
    b"{}\r\n\r\n",
    b"EHLO x\r\n",
)


def shot(chance: random.Random, key: bytes, body: bytes) -> Bytes:
    """One of them; `key` is header lines that make the request a good one otherwise."""
    post = b"POST /v1/events HTTP/1.1\r\nHost: x\r\n" + key
    chunk = b"%x\r\n%s\r\n" % (len(body), body)
    kind = chance.randrange(8)
    if kind == 0:
        return Bytes("head", chance.choice(BROKEN_HEADS), answers=0)
    if kind == 1:
        return _method(chance, key)
    if kind == 2:
        raw = b"GET " + chance.choice(TARGETS) + b" HTTP/1.1\r\nHost: x\r\n" + key + b"\r\n"
        return Bytes("target", raw, answers=0)
    if kind == 3:
        return Bytes("length", post + chance.choice(_lengths(body)), answers=0)
    if kind == 4:
        return Bytes("chunks", post + b"Transfer-Encoding: chunked\r\n\r\n" + chance.choice(_chunks(chunk)), answers=0)
    if kind == 5:
        several = chance.randint(2, 6)
        one = b"GET /v1/submissions?limit=1 HTTP/1.1\r\nHost: x\r\n" + key + b"\r\n"
        return Bytes("pipeline", one * several, answers=several, closes=False)
    if kind == 6:
        version = chance.choice((b"HTTP/1.0", b"HTTP/1.0\r\nConnection: keep-alive", b"HTTP/1.1\r\nConnection: close"))
        length = b"Content-Length: %d\r\n\r\n" % len(body)
        raw = post.replace(b"HTTP/1.1", version, 1) + length + body
        return Bytes("version", raw, answers=1)
    return Bytes("header", chance.choice(_headers(key)), answers=0)


def _method(chance: random.Random, key: bytes) -> Bytes:
    method = chance.choice((*METHODS, "HEAD"))
    path = chance.choice(("/v1/events", "/v1/submissions", "/v1/products", "/", "/docs", "/health/live", "/metrics"))
    raw = f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n".encode() + key + b"\r\n"
    return Bytes("method", raw, answers=0, head=method == "HEAD")


def _lengths(body: bytes) -> list[bytes]:
    size = len(body)

    def said(length: object, more: bytes = b"") -> bytes:
        return f"Content-Length: {length}\r\n".encode() + more + b"\r\n" + body

    return [
        said(size - 5),
        said(size + 100),
        said(0),
        said(-1),
        said(f"+{size}"),
        said(hex(size)),
        said("1e3"),
        said("9" * 30),
        said("9" * 5000),
        said(""),
        said(f"{size}, {size}"),
        said(size, b"Content-Length: 5\r\n"),
        said(size, f"Content-Length: {size}\r\n".encode()),
        said(size, b"Transfer-Encoding: chunked\r\n"),
        said(size, b"Transfer-Encoding: gzip\r\n"),
        said(size, b"Transfer-Encoding: xchunked\r\n"),
        said(10**15),
        b"\r\n" + body,
    ]


def _chunks(chunk: bytes) -> list[bytes]:
    return [
        chunk + b"0\r\n\r\n",
        b";ext=1\r\n".join(chunk.split(b"\r\n", 1)) + b"0\r\n\r\n",
        b"zz\r\n" + chunk,
        b"-5\r\nhello\r\n0\r\n\r\n",
        b"fffffffffffffffffffffffff\r\nx",
        b"5\r\nhel",
        chunk[:-2] + b"xx0\r\n\r\n",
        chunk,
        chunk + b"0\r\n" + b"T: x\r\n" * 20_000 + b"\r\n",
        chunk + b"0\r\nTrailer: \0\r\n\r\n",
        b"1\r\nx\r\n" * 3000 + b"0\r\n\r\n",
        b"0\r\n\r\n" * 3,
        b"5;" + b"x" * 70_000 + b"\r\nhello\r\n0\r\n\r\n",
        b"",
    ]


def _headers(key: bytes) -> list[bytes]:
    def get(more: bytes) -> bytes:
        return b"GET /v1/submissions?limit=1 HTTP/1.1\r\nHost: x\r\n" + key + more + b"\r\n\r\n"

    return [
        get(b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\nSec-WebSocket-Version: 13"),
        get(b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA"),
        get(b"Expect: 100-continue"),
        get(b"Expect: something-else"),
        get(b"Range: bytes=0-18446744073709551615"),
        get(b"If-None-Match: *"),
        get(b"X-Forwarded-For: " + b"1.1.1.1, " * 500),
        get(b"X-Forwarded-For: \xff\xfe"),
        get(b"X-Forwarded-Proto: gopher"),
        get(b"X-HTTP-Method-Override: DELETE"),
        get(b"Accept-Encoding: " + b"gzip;q=1," * 1000),
        get(b"Cookie: " + b"a=b; " * 5000),
        get(b"Authorization: Bearer second"),
        get(b"Origin: http://evil.example"),
    ]
