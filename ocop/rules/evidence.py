"""What the rules look at: records of topics one after another, rows of large tables, and what is found.

Topics and tables may be larger than the memory, so nothing here keeps them: a rule keeps digests.
"""

import hashlib
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

import asyncpg
from aiokafka import TopicPartition

from contracts.topics import TOPICS
from servicekit import database, log
from servicekit.message import from_json

# Who reads which numbered topics.
READERS: Mapping[str, tuple[str, ...]] = {
    "evaluation": ("ocop.registry.product",),
    "marketplace": ("ocop.registry.product",),
    "notifications": ("ocop.evaluation.recognition",),
    "national": tuple(topic.name for topic in TOPICS.values() if topic.kind == "domain"),
}
FETCHED = 2000  # rows or records at a time

Connection = asyncpg.Connection
Databases = Mapping[str, Connection]
Named = tuple[str, str]  # (source, id) of a submission
Who = Named | UUID | None  # a submission by its name, or by its id or that of an event that it caused


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule that is broken: what, and by whom if it can be said."""

    rule: str
    text: str
    who: Who = None

    def __str__(self) -> str:
        return f"{self.rule} {self.text}"


@dataclass(frozen=True, slots=True)
class Record:
    """A record of a topic."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    value: bytes

    @property
    def place(self) -> str:
        """topic/partition@offset."""
        return f"{self.topic}/{self.partition}@{self.offset}"

    def is_under(self, key: str) -> bool:
        """Whether it has this key, and lies in the partition that keys like it belong into."""
        return (self.key, self.partition) == (key.encode(), log.home(self.topic, key))

    @property
    def content(self) -> bytes:
        """A digest of headers and value: what it says, wherever it lies."""
        return digest(of_headers(self.headers), self.value)

    def said(self, name: str) -> str | None:
        """What a header says."""
        # Kafka knows headers without a value, though aiokafka's type does not.
        said = (value for key, value in self.headers if key == name and value is not None)
        return next((value.decode(errors="replace") for value in said), None)

    @property
    def event(self) -> Named | None:
        """Source and id as the headers name them."""
        source, event_id = self.said("ce_source"), self.said("ce_id")
        return (source, event_id) if source and event_id else None

    @property
    def number(self) -> tuple[str, UUID, int] | None:
        """On a numbered topic: the topic, the subject, and its number."""
        subject, number = uuid_of(self.said("ce_subject")), self.said("ce_subjectsequence") or ""
        readable = number.isascii() and number.isdigit() and len(number) < 19  # as readers read it
        return (self.topic, subject, int(number)) if subject and readable else None


class Witness(Protocol):
    """Sees every record of a topic, in the order of each partition, and then says what is wrong."""

    def see(self, record: Record) -> None: ...

    async def end(self) -> list[Finding]: ...


@asynccontextmanager
async def opened(urls: Mapping[str, str], name: str) -> AsyncIterator[Databases]:
    """A connection to each database, by service; `name` is what the server knows them by."""
    async with AsyncExitStack() as stack:
        databases = {}
        for service, url in urls.items():
            databases[service] = connection = await database.connect(url, name=name)
            stack.push_async_callback(connection.close)
        yield databases


async def skipped(connection: Connection) -> set[tuple[str, UUID, int]]:
    """Numbers that an operator has passed over, by topic and subject: a reader goes on without them."""
    query = "SELECT topic, subject, n FROM skipped WHERE n IS NOT NULL"
    return {(row["topic"], row["subject"], row["n"]) for row in await connection.fetch(query)}


async def passed_over(databases: Databases) -> frozenset[tuple[str, bytes]]:
    """Topic and content of the records that an operator has passed over, in whichever reader: he knows of them."""
    found = [
        (row["topic"], digest(of_headers(from_json(row["headers"])), row["payload"]))
        for connection in databases.values()
        for row in await connection.fetch("SELECT topic, headers, payload FROM skipped")
    ]
    return frozenset(found)


async def submissions_passed_over(decider: Connection) -> set[Named]:
    """What an operator has passed over, by the names that its bytes bore; what nobody accepted was a stranger's."""
    query = "SELECT source, event_id FROM skipped WHERE source <> '' AND event_id <> ''"
    return {(row["source"], row["event_id"]) for row in await decider.fetch(query)}


def all_partitions() -> list[TopicPartition]:
    """Every partition of the catalogue's topics."""
    return [partition for topic in TOPICS for partition in partitions(topic)]


def partitions(topic: str) -> list[TopicPartition]:
    """Every partition of a topic of the catalogue."""
    return [TopicPartition(topic, number) for number in range(TOPICS[topic].partitions)]


async def records(bootstrap: str, topic: str) -> AsyncIterator[Record]:
    """Every record of a topic that is there now, from its start, in the order of each partition."""
    async with log.opened(bootstrap, "ocop-oracle") as consumer:
        starts, ends = await log.limits(consumer, [topic])
        async for found in log.what_stays(consumer, starts, ends, FETCHED):
            for each in found:
                yield Record(topic, each.partition, each.offset, each.key, tuple(each.headers), each.value or b"")


async def shortened(bootstrap: str, topic: str) -> bool:
    """Whether records are gone from its start: by retention, or by hand."""
    async with log.opened(bootstrap, "ocop-oracle") as consumer:
        starts, _ = await log.limits(consumer, [topic])
        return any(starts.values())


async def rows(connection: Connection, query: str, *arguments: Any) -> AsyncIterator[asyncpg.Record]:
    """The rows of a query, some at a time."""
    async with connection.transaction(readonly=True):
        async for row in connection.cursor(query, *arguments, prefetch=FETCHED):
            yield row


def digest(*parts: bytes) -> bytes:
    """16 bytes that stand for these; enough to tell a difference by, not against an adversary."""
    made = hashlib.blake2b(digest_size=16)
    for part in parts:
        made.update(len(part).to_bytes(4))
        made.update(part)
    return made.digest()


def of_headers(headers: Mapping[str, str] | Sequence[tuple[str, bytes]]) -> bytes:
    """A digest of headers, however they are ordered."""
    pairs = (
        headers.items()
        if isinstance(headers, Mapping)
        else [(k, (v or b"").decode(errors="replace")) for k, v in headers]
    )
    return digest(json.dumps(sorted(pairs), ensure_ascii=False).encode(errors="replace"))


def uuid_of(text: str | None) -> UUID | None:
    """The id that a text is, or None."""
    try:
        return UUID(text or "")
    except ValueError:
        return None
