"""What stands around every event on Kafka: CloudEvents 1.0 in binary mode, one header per attribute.

Own extensions: `recordedtime` (when the fact was taken), `subjectsequence` (CloudEvents' `sequence` belongs
to a source, ours to a subject), `tenant`, `correlationid` (the submission), `causationid`, `contentdigest`
(of a submission), `canary` (a mark for trial events that no figure may count).
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import rfc8785
from pydantic import BaseModel

CONTENT_TYPE: Final = "application/json"
LONGEST: Final = 1024  # bytes of an attribute: the longest id has 256, and PostgreSQL indexes no text without bound


def dataschema(type: str, revision: int = 1) -> str:  # noqa: A002 (CloudEvents calls it so)
    """The name of the schema of a type's data."""
    return f"urn:ocop:schema:{type}:r{revision}"


@dataclass(frozen=True, slots=True)
class Envelope:
    """The attributes of an event. `subject` is the aggregate's id (of an outcome: the submission's)."""

    id: str
    source: str
    type: str
    subject: str
    time: datetime
    dataschema: str
    tenant: str
    correlationid: str
    causationid: str
    recordedtime: datetime
    subjectsequence: int | None = None
    contentdigest: str | None = None
    traceparent: str | None = None
    canary: bool = False


class EnvelopeError(Exception):
    """Headers that are not an envelope of ours. `pointer` names the attribute ("/time")."""

    def __init__(self, pointer: str, message: str) -> None:
        super().__init__(f"{pointer}: {message}")
        self.pointer, self.message = pointer, message


def to_headers(envelope: Envelope) -> dict[str, str]:
    """The headers of the record, absent attributes left out."""
    headers = {
        "ce_specversion": "1.0",
        "ce_id": envelope.id,
        "ce_source": envelope.source,
        "ce_type": envelope.type,
        "ce_subject": envelope.subject,
        "ce_time": envelope.time.isoformat(),
        "ce_dataschema": envelope.dataschema,
        "ce_tenant": envelope.tenant,
        "ce_correlationid": envelope.correlationid,
        "ce_causationid": envelope.causationid,
        "ce_recordedtime": envelope.recordedtime.isoformat(),
    }
    if envelope.subjectsequence is not None:
        headers["ce_subjectsequence"] = str(envelope.subjectsequence)
    if envelope.contentdigest is not None:
        headers["ce_contentdigest"] = envelope.contentdigest
    if envelope.traceparent is not None:
        headers["ce_traceparent"] = envelope.traceparent
    if envelope.canary:
        headers["ce_canary"] = "true"
    headers["content-type"] = CONTENT_TYPE
    return headers


def from_headers(headers: Iterable[tuple[str, bytes]]) -> Envelope:
    """The envelope of a record; headers of others are passed over. Raises EnvelopeError."""
    found: dict[str, str] = {}
    for name, value in headers:
        if name.startswith("ce_") or name == "content-type":
            if (text := attribute(value)) is None:
                raise EnvelopeError(_pointer(name), f"is no text of at most {LONGEST} bytes")
            found[name] = text
    if found.get("ce_specversion") != "1.0":
        raise EnvelopeError("/specversion", "is not 1.0")
    if found.get("content-type") != CONTENT_TYPE:
        raise EnvelopeError("/datacontenttype", f"is not {CONTENT_TYPE}")
    try:
        return Envelope(
            id=found["ce_id"],
            source=found["ce_source"],
            type=found["ce_type"],
            subject=found["ce_subject"],
            time=_time(found, "ce_time"),
            dataschema=found["ce_dataschema"],
            tenant=found["ce_tenant"],
            correlationid=found["ce_correlationid"],
            causationid=found["ce_causationid"],
            recordedtime=_time(found, "ce_recordedtime"),
            subjectsequence=_sequence(found.get("ce_subjectsequence")),
            contentdigest=found.get("ce_contentdigest"),
            traceparent=found.get("ce_traceparent"),
            canary=found.get("ce_canary") == "true",
        )
    except KeyError as missing:
        raise EnvelopeError(_pointer(missing.args[0]), "is missing") from None


def attribute(value: bytes | None) -> str | None:
    """The text of a header, or None for what cannot be an attribute of ours: no UTF-8, too long, with a NUL (which
    PostgreSQL does not have in text), or no value at all, which Kafka knows."""
    if value is None or len(value) > LONGEST or b"\0" in value:
        return None
    try:
        return value.decode()
    except UnicodeDecodeError:
        return None


def moment(text: str) -> datetime | None:
    """The time in an attribute, or None where it is none: without its zone, or where UTC has no such year."""
    try:
        time = datetime.fromisoformat(text)
        return time if time.tzinfo is not None and time.astimezone(UTC) else None
    except (ValueError, OverflowError):
        return None


def _pointer(header: str) -> str:
    return "/" + header.removeprefix("ce_").replace("content-type", "datacontenttype")


def _time(found: dict[str, str], header: str) -> datetime:
    time = moment(found[header])
    if time is None:
        raise EnvelopeError(_pointer(header), "is not a time with its zone")
    return time


def _sequence(text: str | None) -> int | None:
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 19 and int(text) > 0):
        raise EnvelopeError("/subjectsequence", "is not a positive number")
    return int(text)


def encode(data: BaseModel) -> bytes:
    """The payload of a record: what is not known is left out."""
    return data.model_dump_json(exclude_none=True).encode()


def nfc(value: Any) -> Any:
    """A JSON value with all its text in NFC."""
    if isinstance(value, str):
        return value if value.isascii() else unicodedata.normalize("NFC", value)
    if isinstance(value, dict):
        return {nfc(key): nfc(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [nfc(inner) for inner in value]
    return value


# The standard library's encoder, ten times as fast, writes an object as RFC 8785 asks but for fractions, whole numbers
# that a fraction could not hold, and the order of names beyond Unicode's first plane. In a text in NFC each string is.
_sorted = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode
_odd_number = re.compile(r"[:,\[]-?(?:[0-9]+[.e]|[0-9]{16}|[NI])").search
_odd_letter = re.compile("[\ud800-\udfff\U00010000-\U0010ffff]").search


def canonical(value: Any) -> bytes:
    """The canonical JSON (RFC 8785) of a JSON value, its text in NFC: equal for equal content, however written."""
    text = _sorted(value)
    if text[0] != "{" or _odd_number(text) or _odd_letter(text) or not unicodedata.is_normalized("NFC", text):
        return rfc8785.dumps(nfc(value))
    return text.encode()


def content_digest(type: str, subject: str, time_text: str, data: bytes) -> str:  # noqa: A002 (CloudEvents' word)
    """SHA-256, in hex, of the canonical JSON of a submission's type, subject, time and data.

    `subject` is the id of the aggregate; `data` is canonical already.
    """
    rest = canonical({"subject": subject, "time": time_text, "type": type})
    return hashlib.sha256(b'{"data":' + data + b"," + rest.removeprefix(b"{")).hexdigest()
