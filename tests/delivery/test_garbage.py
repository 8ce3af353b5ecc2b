"""Bytes thrown straight onto every topic of the catalogue, bare or made of real records: nothing stands still.

What can be read as a record of the topic's own writer is trusted: who may write to a topic is Kafka's business. All
else is put aside, or passed over where the protocol says so, and everybody else goes on.
"""

import asyncio
import random
import signal
import struct
from collections.abc import AsyncIterator, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.record.util import calc_crc32c

from contracts.topics import TOPICS
from ocop import oracle
from tests.acts import delisted, listed, recognised, revoked
from tests.delivery import judging
from tests.delivery.system import SERVICES, System, system
from tests.engines import Databases
from tests.submissions import owner, owner_updated, product, product_updated

Headers = list[tuple[str, Any]]
NO_UTF8 = "a name that is no UTF-8"
ENDLESS = random.Random(1).randbytes(5000).hex().encode()  # noqa: S311  # repeatable, and nothing compresses it
CRC_AT = 17  # of a batch: where its checksum stands, over all that follows
ATTRIBUTES = (
    "id",
    "source",
    "type",
    "subject",
    "time",
    "recordedtime",
    "tenant",
    "correlationid",
    "causationid",
    "dataschema",
    "specversion",
    "subjectsequence",
)
BAD: dict[str, tuple[bytes, ...]] = {
    "id": (b"", b"a\x00b", b"\xff", b"x" * 10_000, b"' OR 1=1"),
    "source": (b"", b"/services/nobody", b"/provinces/2025-01/ocop", b"a\x00b"),
    "type": (b"", b"x", b"a\x00b", b"\xed\xa0\x80"),
    "subject": (b"", b"not-a-uuid", b"{}", b"00000000-0000-0000-0000-000000000000"),
    "time": (b"", b"now", b"0001-01-01T00:00:00+14:00", b"9999-12-31T23:59:59-14:00", b"2026-08-05T00:00:00"),
    "recordedtime": (b"", b"0001-01-01T00:00:00+14:00", b"9999-12-31T23:59:59-14:00"),
    "tenant": (b"", b"2025-01", b"a\x00b"),
    "correlationid": (b"", b"x", b"a\x00b"),
    "causationid": (b"", b"x"),
    "subjectsequence": (b"", b"0", b"-1", b"1.5", b"\xd9\xa1", b"9" * 18, b"9" * 19, b"9" * 5000, b"NaN"),
    "specversion": (b"2.0",),
    "contentdigest": (b"", b"x", b"a\x00b"),
}
# What its writer would not have written so: with these a record is not its subject's next.
NOT_OF_THE_WRITER = ("id", "source", "correlationid", "causationid", "specversion")
PAYLOADS = (
    b"",
    b"\x00\xff",
    b"{}",
    b"[]",
    b"null",
    b'{"owner":',
    b"[" * 50_000,
    b'{"a":' * 50_000,
    b"NaN",
    b'{"id": "\\ud800"}',
    b'{"id": "\\u0000"}',
    b"9" * 5000,
    bytes(range(256)),
    b"x" * 900_000,
)


# By what the oracle names what was thrown, where not by its place.
THROWN = (
    "' OR 1=1",
    "x" * 10_000,
    "'garbage'",
    "/services/nobody",
    "/provinces/2025-01/ocop",
    "00000000-0000-0000-0000-000000000000",
    "00000000-0000-4000-8000-000000000002",
    "applied and not passed over",
    "('/services/registry', ",
)


@dataclass(frozen=True)
class Real:
    """A record that lies on its topic."""

    topic: str
    partition: int
    offset: int
    key: bytes
    headers: Headers
    payload: bytes

    def named(self, name: str) -> str:
        """What a header says."""
        return str(dict(self.headers)[f"ce_{name}"].decode())

    def changed(self, **attributes: bytes | None) -> Headers:
        """Its headers with some replaced, or left out."""
        left = [(name, value) for name, value in self.headers if name.removeprefix("ce_") not in attributes]
        return left + [(f"ce_{name}", value) for name, value in attributes.items() if value is not None]


def spoilt(real: Real, following: int) -> Iterator[tuple[Headers, bytes | None]]:
    """Headers and payload that nobody has said, made of a record that somebody has; `following` is its subject's next
    number."""
    nxt = {"subjectsequence": str(following).encode(), "id": b"00000000-0000-4000-8000-000000000001"}
    numbered = TOPICS[real.topic].kind != "submission"
    for payload in PAYLOADS:
        yield [], payload
        yield real.changed(**nxt) if numbered else real.changed(id=b"garbage"), payload
    yield [], None
    yield real.headers, None  # a tombstone of what was said
    for name in ATTRIBUTES:
        if name == "subjectsequence" and not numbered:
            continue
        yield real.changed(**{name: None}), real.payload
    for name, values in BAD.items():
        if (name == "subjectsequence") != numbered and name in ("subjectsequence", "contentdigest"):
            continue
        for value in values:
            yield real.changed(**{name: value}), real.payload
            if numbered and name in NOT_OF_THE_WRITER:  # where it would be the next of its subject
                yield real.changed(**nxt | {name: value}), real.payload
    major = real.named("type").rpartition(".v")[0].encode() + b".v9"
    unknown = b"vn.ocop.registry.owner.dissolved.v1"
    elsewhere = b"vn.ocop.marketplace.listing.listed.v1"
    for type_ in (major, unknown, elsewhere, b"vn.ocop.registry.outcome.applied.v1"):
        if numbered:
            yield real.changed(**nxt, type=type_, source=b"/services/nobody"), real.payload
        yield real.changed(type=type_), real.payload
    yield [*real.headers, ("ce_\x00", b"x")], real.payload
    yield [*real.changed(**nxt if numbered else {"id": b"garbage"}), ("a\x00b", b"x")], b"garbage"
    # Header names that are no UTF-8: a record that is good but for that, and two that are not.
    if numbered:
        yield [*real.headers, (NO_UTF8, b"x")], real.payload
    yield [*real.changed(**nxt if numbered else {"id": b"garbage"}), (NO_UTF8, b"x")], b"garbage"
    yield [(NO_UTF8, b"\xff"), (f"ce_{NO_UTF8}", b"\xff")], b"{}"
    yield [("", b""), ("ce_", b""), ("\U0001f4a5" * 300, b"x")] * 50, b"{}"
    yield real.headers * 30, b"{}"
    # What Kafka and Python have and PostgreSQL has not: no value, a name beyond any index, a moment before all years.
    fresh = nxt if numbered else {"id": b"garbage"}
    for name in ("id", "source", "type", "subject", "tenant", "x"):
        yield [*real.changed(**fresh | {name: None}), (f"ce_{name}", None)], real.payload
    for name in ("id", "source", "type", "tenant", "traceparent"):
        yield real.changed(**fresh | {name: ENDLESS}), real.payload
    for moment in (b"0001-01-01T00:00:00+14:00", b"9999-12-31T23:59:59-14:00"):
        yield real.changed(**fresh | {"time": moment, "recordedtime": moment}), real.payload
    # Numbers that were applied already, with other content.
    if TOPICS[real.topic].kind != "outcome":  # else it would be one of another submission
        yield real.headers, real.payload.replace(b"2025", b"2024")
    yield real.changed(id=b"00000000-0000-4000-8000-000000000002"), b"garbage"


def everything(n: int) -> list[dict[str, Any]]:
    """One of each type, of things of their own."""
    return [
        owner(f"CT-{n}", id_=f"o{n}"),
        product(f"SP-{n}", of=f"CT-{n}", id_=f"p{n}"),
        recognised("1", "2025-08-01", of=f"SP-{n}", id_=f"r{n}", stars=3),
        listed(f"NY-{n}", "2025-08", of=f"SP-{n}", id_=f"l{n}"),
    ]


def more(n: int) -> list[dict[str, Any]]:
    """What follows on that, of the same subjects."""
    return [
        owner_updated(f"CT-{n}", id_=f"ou{n}"),
        product_updated(f"SP-{n}", of=f"CT-{n}", id_=f"pu{n}"),
        revoked("1", "2026-01", of=f"SP-{n}", id_=f"rr{n}", cause="a"),
        delisted(f"NY-{n}", "2026-01", id_=f"ll{n}"),
    ]


@pytest.fixture(autouse=True)
def _names_that_are_no_utf8(monkeypatch: pytest.MonkeyPatch) -> None:
    """Producers of this process write such a name where a header is called NO_UTF8."""
    real = BatchBuilder._build

    def build(self: BatchBuilder) -> bytearray:
        written: bytearray = real(self)
        if NO_UTF8.encode() in written:
            written[:] = written.replace(NO_UTF8.encode(), b"\xff\xc3\xa9\xed\xa0\x80".ljust(len(NO_UTF8), b"\xfe"))
            struct.pack_into(">I", written, CRC_AT, calc_crc32c(bytes(written[CRC_AT + 4 :])))
        return written

    monkeypatch.setattr(BatchBuilder, "_build", build)


@pytest.fixture
async def whole(kafka_topics: str, databases: Databases, tmp_path: Path) -> AsyncIterator[System]:
    async with system(kafka_topics, databases, tmp_path, SERVICES) as under_test:
        await under_test.start_all()
        yield under_test


async def one_real(bootstrap: str, topic: str, but: Collection[str]) -> Real:
    """A record on a topic that is not of these subjects; in each run the same. What stands behind garbage is said
    nowhere, and garbage that nothing real follows, but that looks as said by its topic's writer, sets that one back."""
    found = [
        Real(topic, record.partition, record.offset, record.key or b"", list(record.headers), record.value or b"")
        async for record in oracle.records(bootstrap, topic)
    ]
    return min(
        (real for real in found if real.named("subject") not in but), key=lambda real: (real.partition, real.offset)
    )


async def throw(under_test: System, producer: AIOKafkaProducer) -> tuple[set[str], set[str]]:
    """Garbage on every topic; returns where it lies, and the subjects whose submissions stand behind some of it."""
    thrown: set[str] = set()
    behind: set[str] = set()
    for topic in TOPICS.values():
        real = await one_real(under_test.bootstrap, topic.name, behind)
        if topic.kind == "submission":
            behind.add(real.named("subject"))
        for n, (headers, payload) in enumerate(spoilt(real, following=2)):
            # Under the real key where it lies, and elsewhere under none. What has no subject counts each for one, and
            # more than twenty in a hundred stop a topic, as they should: so these are spread.
            bare = topic.kind == "outcome" or not any(name == "ce_subject" for name, _ in headers)
            elsewhere = (real.partition + 1 + n % 11) % 12
            for partition, key in [(elsewhere, b"\xff"), *([] if bare else [(real.partition, real.key)])]:
                sent = await producer.send_and_wait(topic.name, payload, key, partition=partition, headers=headers)
                thrown.add(f"{topic.name}/{sent.partition}@{sent.offset}")
    return thrown, behind


async def settled(under_test: System, thrown: set[str]) -> None:
    """All is quiet, and the oracle knows of nothing but what was thrown."""
    left = await oracle.wait_until_quiet(under_test.bootstrap, under_test.urls, 180)
    assert left == []
    found = await oracle.find(under_test.bootstrap, under_test.urls, under_test.refused)
    strange = [finding for finding in found if not judging.names(finding, thrown)]
    unexpected = [finding for finding in strange if not any(each in str(finding) for each in THROWN)]
    assert unexpected == [], "\n".join(await oracle.told(under_test.bootstrap, under_test.urls, unexpected))


async def all_applied(under_test: System, count: int, behind: set[str]) -> None:
    """But for those of a subject that stand behind what failed, in their order."""
    rows = await under_test.fetch(
        "gateway", "SELECT event_id, state, subject::text FROM submission WHERE state <> 'applied' ORDER BY received_at"
    )
    assert {(state, subject in behind) for _, state, subject in rows} <= {("waiting", True)}, rows
    assert await under_test.fetch("gateway", "SELECT count(*) FROM submission") == [(count,)]


async def readable(under_test: System) -> None:
    """Whoever asks is answered."""
    key = await under_test.key("2025-68", "test")
    async with httpx2.AsyncClient(timeout=30) as client:
        gateway, national = under_test.running("gateway")[0].url, under_test.running("national")[0].url
        answer = await client.get(f"{gateway}/v1/submissions?limit=500", headers={"Authorization": f"Bearer {key}"})
        assert answer.status_code == 200, answer.text
        for path in ("/v1/products?at=2026-08-06", "/v1/figures/online?at=2025-09-01&by=province", "/san-pham"):
            assert (await client.get(f"{national}{path}")).status_code == 200, path
        for row in (await client.get(f"{national}/v1/products?at=2026-08-06")).json()["products"]:
            assert (await client.get(f"{national}{row['url']}")).status_code == 200


async def test_garbage_on_every_topic(whole: System, producer: AIOKafkaProducer) -> None:
    await whole.submit([event for n in range(3) for event in everything(n)])
    await whole.settled()
    thrown, behind = await throw(whole, producer)
    # The next real event of the very subjects whose next number was spoilt, their neighbours, and new ones.
    await whole.submit([event for n in range(3) for event in more(n)])
    await whole.submit([event for n in range(100, 110) for event in (*everything(n), *more(n))])
    await settled(whole, thrown)
    await all_applied(whole, 3 * 8 + 10 * 8, behind)
    for service in whole.databases:
        assert await whole.fetch(service, "SELECT topic, reason FROM stopped") == [], service
    await readable(whole)

    for process in whole.processes:
        process.send(signal.SIGTERM)
    for process in list(whole.processes):
        await asyncio.to_thread(process.process.wait, 30)
    await whole.start_all()
    await whole.submit([event for n in range(200, 205) for event in (*everything(n), *more(n))])
    await settled(whole, thrown)
    await all_applied(whole, 3 * 8 + 10 * 8 + 5 * 8, behind)
    await readable(whole)
    for service in whole.databases:
        read = await whole.fetch(service, "SELECT DISTINCT topic FROM position ORDER BY 1")
        kept = await whole.fetch(service, "SELECT DISTINCT topic FROM held WHERE reason = 'failed' ORDER BY 1")
        assert kept == read, f"what {service} could not read of each topic is kept"
    gone = await whole.fetch("notifications", "DELETE FROM delivery WHERE rule = 'revoked' RETURNING cause")
    assert len(gone) >= 10 + 5  # of the others some may stand behind garbage
    found = [str(each) for each in await oracle.find(whole.bootstrap, whole.urls, whole.refused)]
    missed = [cause for (cause,) in gone if f"O3 notifications: {cause} has no delivery" not in found]
    assert missed == [], "what was put aside excuses nobody else's delivery"
