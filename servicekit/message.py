"""A record off a partition, decoded as far as its bytes allow."""

import base64
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

import asyncpg
from asyncpg.pgproto import pgproto
from pydantic import BaseModel, ValidationError

from contracts import envelope as wire
from contracts.envelope import Envelope, EnvelopeError
from contracts.problems import problems_of
from contracts.submission import decode_submission
from contracts.topics import TOPICS, Topic, decode_event, topic_of, unknown_major
from servicekit import header_names

MOST_OUTCOMES = 2**31 - 1  # of one submission, as they are counted

# Where the whole decodes, the envelope says the same as the headers.
_TEXTS = frozenset(("id", "source", "type", "subject", "tenant", "correlationid", "causationid"))
_TIMES = frozenset(("time", "recordedtime"))
_is_uuid = re.compile("[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}").fullmatch  # as every writer of ours puts it


class Record(Protocol):
    """What a Kafka client hands out; aiokafka's ConsumerRecord is one."""

    @property
    def topic(self) -> str: ...
    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def headers(self) -> Iterable[tuple[str, bytes]]: ...
    @property
    def value(self) -> bytes | None: ...


@dataclass(frozen=True, slots=True)
class Message:
    """One record. `envelope` and `data` are set where the bytes decode, `error` where they do not."""

    topic: str
    partition: int
    offset: int
    headers: tuple[tuple[str, bytes], ...]
    payload: bytes
    envelope: Envelope | None = None
    data: BaseModel | None = None
    ignored: bool = False  # a type that this version does not know, on a numbered topic
    error: str | None = None
    field: str = ""  # a JSON pointer to what is wrong first

    @property
    def place(self) -> str:
        """For logs: topic/partition@offset."""
        return f"{self.topic}/{self.partition}@{self.offset}"

    def same_bytes(self, other: "Message") -> bool:
        """Whether it is a repeat of the same send, wherever it lies."""
        return (self.topic, self.headers, self.payload) == (other.topic, other.headers, other.payload)

    def shown(self) -> dict[str, str]:
        """Headers as text: for people, and for a log that is adopted. What is no text is escaped."""
        escaped = "backslashreplace"
        return {
            header_names.encode(name).decode(errors=escaped): value.decode(errors=escaped)
            for name, value in self.headers
            if value is not None
        }

    def named(self, name: str) -> str | None:
        """What a CloudEvents header says, also where the whole does not decode."""
        if self.envelope is not None and name in _TEXTS:
            text: str = getattr(self.envelope, name)
            return text
        return next((wire.attribute(value) for key, value in self.headers if key == f"ce_{name}"), None)

    def named_uuid(self, name: str) -> UUID | None:
        """The same as a UUID, or None where it is not one."""
        try:
            return pgproto.UUID(self.named(name) or "")  # equal to UUID; made, compared and sent by asyncpg in C
        except ValueError:
            return None

    def numbered(self) -> tuple[UUID, int] | None:
        """Of a numbered topic: the subject and its number, or None where the bytes do not say both."""
        subject, number = self.named_uuid("subject"), self.named_number("subjectsequence")
        return (subject, number) if subject is not None and number else None

    def named_time(self, name: str) -> datetime | None:
        """The same as a time with its zone, or None where it is not one."""
        if self.envelope is not None and name in _TIMES:
            time: datetime = getattr(self.envelope, name)
            return time
        return wire.moment(self.named(name) or "")

    def named_number(self, name: str) -> int | None:
        """The same as a positive number, or None where it is not one."""
        if self.envelope is not None and name == "subjectsequence":
            return self.envelope.subjectsequence
        text = self.named(name) or ""
        return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


def is_of(source: str, tenant: str) -> bool:
    """Whether this source of submissions is a system of this tenant's."""
    return source.startswith(f"/provinces/{tenant}/")


def decode(record: Record) -> Message:
    """Never raises: what does not decode, or cannot be of the topic's writer, carries the reason in `error`."""
    headers = tuple(record.headers)
    payload = record.value if record.value is not None else b""
    place = (record.topic, record.partition, record.offset, headers, payload)
    topic = TOPICS[record.topic]
    submission = topic.kind == "submission"
    try:
        envelope = wire.from_headers(headers)
        if (wrong := _misplaced(topic, envelope)) is not None:
            return Message(*place, error=f"not of this topic's writer: {wrong}", field=wrong)
        data = (decode_submission if submission else decode_event)(envelope.type, payload)
        return Message(*place, envelope, data)
    except KeyError as unknown:
        # Consumers are upgraded first: an unknown major is a mistake, an unknown type is not for us.
        if submission or unknown_major(envelope.type):
            return Message(*place, error=f"unknown type {unknown}", field="/type")
        return Message(*place, envelope, ignored=True)
    except EnvelopeError as error:
        return Message(*place, error=f"EnvelopeError: {error}", field=error.pointer)
    except ValidationError as error:
        return Message(*place, error=f"ValidationError: {error}", field=problems_of(error, "/data")[0].pointer)


def _misplaced(topic: Topic, envelope: Envelope) -> str | None:
    """The attribute that the topic's writer would not have written so, or None."""
    if topic.kind == "submission":
        if not envelope.source.startswith("/provinces/"):
            return "/source"
        if not is_of(envelope.source, envelope.tenant):
            return "/tenant"
    elif envelope.source != f"/services/{topic.service}":
        return "/source"
    elif topic_of(envelope.type) not in (topic.name, None):
        return "/type"
    if topic.kind == "outcome" and not 0 < (envelope.subjectsequence or 0) <= MOST_OUTCOMES:
        return "/subjectsequence"
    if not _is_uuid(envelope.subject):
        return "/subject"
    if not _is_uuid(envelope.correlationid):
        return "/correlationid"
    if not _is_uuid(envelope.causationid):
        return "/causationid"
    if topic.kind == "domain" and not _is_uuid(envelope.id):
        return "/id"
    return None


def to_json(headers: Iterable[tuple[str, bytes]]) -> list[list[Any]]:
    """Headers as they are kept in a held row: text where they are text that PostgreSQL has, else base64."""
    return [[_kept(header_names.encode(name)), _kept(value)] for name, value in headers]


def from_json(kept: Iterable[Iterable[Any]]) -> tuple[tuple[str, bytes], ...]:
    """The inverse of `to_json`, byte for byte."""
    return tuple((header_names.decode(_bytes(name)), _bytes(value)) for name, value in kept)


def _kept(written: bytes | None) -> Any:
    if written is None:  # Kafka knows headers without a value
        return None
    try:
        text = written.decode()
    except UnicodeDecodeError:
        text = "\0"
    return text if "\0" not in text else {"base64": base64.b64encode(written).decode()}


def _bytes(kept: Any) -> Any:
    if kept is None:
        return None
    return kept.encode() if isinstance(kept, str) else base64.b64decode(kept["base64"])


@dataclass(frozen=True, slots=True)
class Kept:
    """A held row's record, as `decode` takes it."""

    topic: str
    partition: int
    offset: int
    headers: tuple[tuple[str, bytes], ...]
    value: bytes


def from_row(row: asyncpg.Record) -> Message:
    """Decodes a held row again: the code may have learnt its type meanwhile."""
    return decode(Kept(row["topic"], row["partition"], row["offset"], from_json(row["headers"]), row["payload"]))
