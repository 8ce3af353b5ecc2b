"""Bodies that a gateway must refuse: whole requests, and single events whose neighbours are good."""

from collections.abc import Mapping


def whole(content: bytes) -> list[tuple[bytes, str]]:
    """Requests that cannot be read, made of a good event: body and content type."""
    single, batch = "application/cloudevents+json", "application/cloudevents-batch+json"
    return [
        (content, "text/plain"),
        (content[:-1], single),
        (content + b"x", single),
        (b"\xff" + content, single),
        (content.replace(b'"data"', b'"x": NaN, "data"', 1), single),
        (b"[" + content, batch),
        (b"[" * 900 + content + b"]" * 900, batch),
        (b"[" + content + b" " * (4 * 1024 * 1024) + b"]", batch),
    ]


def alone(content: bytes, source: str, owner: Mapping[str, str]) -> list[bytes]:
    """Registrations of an owner that are wrong by themselves, made of a good one."""
    text = content.decode()
    return [
        each.encode()
        for each in (
            text.replace('"specversion": "1.0"', '"specversion": "1.0", "specversion": "1.0"'),
            text.replace('"cooperative"', '"person"'),
            text.replace("thử nghiệm", "thử\\ud800nghiệm"),
            text.replace("thử nghiệm", "thử\\u0000nghiệm"),
            text.replace("owner.registered", "owner.invented"),
            text.replace('"kind"', '"phone": "0901234567", "kind"'),
            text.replace(f'"{owner["namespace"]}"', '"2025-01"'),
            text.replace(source, "/provinces/2025-01/ocop"),
            text.replace("2026-08-05", "1970-01-01"),
            text.replace('"data"', f'"padding": "{"x" * 200_000}", "data"'),
            text.replace(f'"{owner["ref"]}"', '"٣٣"'),
        )
    ]
