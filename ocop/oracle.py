"""Says whether anything was lost, doubled or put out of order, from the databases and the topics alone.

Asked when all is quiet. Each finding names the first thing that breaks a rule:

    O1  every accepted submission is in exactly one state, and gateway and decider agree on it
    O2  every event of a log is on its topic, byte for byte, first appearances in order; nothing else is there
    O3  every reader has applied 1 … n of every subject, each once, or a held row says why not
    O4  state is the fold of the log, and national tables are what a rebuild from the topics gives
    O5  what was refused in the HTTP answer is nowhere
"""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import asyncpg
from aiokafka import AIOKafkaConsumer, TopicPartition
from national.projections import PROJECTIONS

from contracts.topics import DECIDERS, TOPICS, domain_topic, outcome_topic
from servicekit import database
from servicekit.message import Kept, decode
from servicekit.projector import Event, Projection

# Who reads which numbered topics.
READERS: Mapping[str, tuple[str, ...]] = {
    "evaluation": ("ocop.registry.product",),
    "marketplace": ("ocop.registry.product",),
    "notifications": ("ocop.evaluation.recognition",),
    "national": tuple(topic.name for topic in TOPICS.values() if topic.kind == "domain"),
}
# Where each deciding service looks references up.
REFERENCES: Mapping[str, str] = {"registry": "owner", "evaluation": "known_product", "marketplace": "known_product"}
HELD = {"waiting": ("waiting", "behind"), "failed": ("failed",)}

Connection = asyncpg.Connection
Named = tuple[str, str]  # (source, id) of a submission


@dataclass(frozen=True, slots=True)
class Record:
    """A record of a topic."""

    place: str
    headers: Mapping[str, str]
    value: bytes


async def examine(bootstrap: str, urls: Mapping[str, str], refused: Collection[Named] = ()) -> list[str]:
    """All findings; empty is well. `urls` gives the database of each service that runs, by its name on the wire."""
    findings: list[str] = []
    async with AsyncExitStack() as stack:
        databases = {service: await _open(stack, url) for service, url in urls.items()}
        topics = await read_topics(bootstrap)
        gateway = databases["gateway"]
        for service in DECIDERS:
            if service in databases:
                findings += await _submissions(gateway, service, databases[service])
                findings += await _log(service, databases[service], topics)
                findings += await _outcomes(gateway, service, databases[service], topics)
                findings += await _state(service, databases[service])
        findings += await _accepted(gateway, topics)
        for reader, names in READERS.items():
            for name in names:
                owner = TOPICS[name].service
                if reader in databases and owner in databases:
                    findings += await _applied(reader, databases[reader], name, databases[owner])
        if "national" in databases:
            findings += await rebuilt(databases["national"], PROJECTIONS, topics)
        findings += await _refused(databases, topics, refused)
    return findings


async def _open(stack: AsyncExitStack, url: str) -> Connection:
    connection = await database.connect(url, name="ocop-oracle")
    stack.push_async_callback(connection.close)
    return connection


# -------------------------------------------------------------------- is it quiet?


async def wait_until_quiet(bootstrap: str, urls: Mapping[str, str], seconds: float) -> list[str]:
    """Waits until nothing is on its way; returns what still is when the time is over."""
    until = time.monotonic() + seconds
    async with AsyncExitStack() as stack:
        databases = {service: await _open(stack, url) for service, url in urls.items()}
        consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap)
        await consumer.start()
        stack.push_async_callback(consumer.stop)
        ends: dict[TopicPartition, int] = {}
        while True:
            # One look goes round the databases while things move between them: only two alike tell.
            before, left = ends, await _unquiet(consumer, databases)
            ends = await consumer.end_offsets(all_partitions())
            if (not left and ends == before) or time.monotonic() > until:
                return left
            await asyncio.sleep(0.1)


async def _unquiet(consumer: AIOKafkaConsumer, databases: Mapping[str, Connection]) -> list[str]:
    left = []
    for service, connection in databases.items():
        if service != "national" and service != "notifications":
            rows = await connection.fetchval("SELECT count(*) FROM outbox")
            left += [f"{service}: {rows} rows in the outbox"] if rows else []
        ready = await connection.fetchval("SELECT count(*) FROM held WHERE ready")
        left += [f"{service}: {ready} held rows ready"] if ready else []
        if (known := REFERENCES.get(service)) is not None:
            waking = await connection.fetchval(f"SELECT count(*) FROM held h JOIN {known} k ON k.id = h.waits_for")  # noqa: S608  # names from above
            left += [f"{service}: {waking} held rows not woken yet"] if waking else []
    if waiting := await databases["gateway"].fetchval("SELECT count(*) FROM submission WHERE state = 'received'"):
        left.append(f"gateway: {waiting} submissions without an outcome")
    for service, connection in databases.items():
        rows = await connection.fetch("SELECT topic, partition, next_offset FROM position")
        read = {TopicPartition(row["topic"], row["partition"]): row["next_offset"] for row in rows}
        ends = await consumer.end_offsets(list(read)) if read else {}
        lag = sum(ends[partition] - offset for partition, offset in read.items())
        left += [f"{service}: {lag} records not read"] if lag else []
        left += [f"{service}: has read nothing yet"] if not read else []
    return left


def all_partitions() -> list[TopicPartition]:
    """Every partition of the catalogue's topics."""
    return [TopicPartition(topic.name, n) for topic in TOPICS.values() for n in range(topic.partitions)]


async def read_topics(bootstrap: str) -> dict[str, list[Record]]:
    """Every record of every topic of the catalogue, from offset 0, in the order of each partition."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest", enable_auto_commit=False)
    await consumer.start()
    try:
        partitions = all_partitions()
        consumer.assign(partitions)
        ends = await consumer.end_offsets(partitions)
        found: dict[str, list[Record]] = {name: [] for name in TOPICS}
        unread = {partition for partition in partitions if ends[partition] > 0}
        while unread:
            for partition, records in (await consumer.getmany(timeout_ms=500, max_records=5000)).items():
                for record in records:
                    headers = {name: value.decode(errors="replace") for name, value in record.headers}
                    place = f"{record.topic}/{record.partition}@{record.offset}"
                    found[partition.topic].append(Record(place, headers, record.value or b""))
            unread = {p for p in unread if await consumer.position(p) < ends[p]}
        return found
    finally:
        await consumer.stop()


# -------------------------------------------------------------------- O1, O5


async def _submissions(gateway: Connection, service: str, decider: Connection) -> list[str]:
    accepted = {
        (row["source"], row["event_id"]): row["state"]
        for row in await gateway.fetch("SELECT source, event_id, state FROM submission WHERE service = $1", service)
    }
    inbox = {
        (row["source"], row["event_id"]): row["state"]
        for row in await decider.fetch("SELECT source, event_id, state FROM inbox")
    }
    held: dict[Named, list[str]] = {}
    for row in await decider.fetch("SELECT source, event_id, reason FROM held WHERE source <> '' AND event_id <> ''"):
        held.setdefault((row["source"], row["event_id"]), []).append(row["reason"])
    findings = []
    for event, state in accepted.items():
        decided, reasons = inbox.get(event), held.get(event, [])
        if decided is None:
            findings.append(f"O1 {service}: {event} was accepted and never arrived")
        elif decided != state:
            findings.append(f"O1 {service}: {event} is {decided}, the gateway says {state}")
        elif len(reasons) != (1 if decided in HELD else 0) or not set(reasons) <= set(HELD.get(decided, ())):
            findings.append(f"O1 {service}: {event} is {decided}, with held rows {reasons}")
    findings += [f"O1 {service}: {event} was decided and never accepted" for event in inbox if event not in accepted]
    findings += [f"O1 {service}: {event} is held and unknown to the inbox" for event in held if event not in inbox]
    return findings


async def _accepted(gateway: Connection, topics: Mapping[str, list[Record]]) -> list[str]:
    known = {row["id"]: bytes(row["payload"]) for row in await gateway.fetch("SELECT id, payload FROM submission")}
    return [
        f"O2 {record.place} is no submission of the gateway's"
        for name, records in topics.items()
        if TOPICS[name].kind == "submission"
        for record in records
        if known.get(uuid_of(record.headers.get("ce_correlationid"))) != record.value
    ]


async def _refused(
    databases: Mapping[str, Connection], topics: Mapping[str, list[Record]], refused: Collection[Named]
) -> list[str]:
    unwanted = set(refused)
    findings = []
    for service, connection in databases.items():
        tables = {"gateway": ("submission", "outcome")}.get(service, ("inbox",) if service in DECIDERS else ())
        for table in tables:
            rows = await connection.fetch(f"SELECT source, event_id FROM {table}")  # noqa: S608  # names from above
            findings += [f"O5 {service}.{table}: {e} was refused" for e in unwanted & {tuple(row) for row in rows}]
    for records in topics.values():
        findings += [
            f"O5 {record.place} was refused"
            for record in records
            if (record.headers.get("ce_source"), record.headers.get("ce_id")) in unwanted
        ]
    return findings


# -------------------------------------------------------------------- O2


async def _log(service: str, decider: Connection, topics: Mapping[str, list[Record]]) -> list[str]:
    log = await decider.fetch("SELECT aggregate, subject, sequence, id, headers, payload FROM event ORDER BY 1, 2, 3")
    findings: list[str] = []
    last: dict[tuple[str, UUID], int] = {}
    for row in log:
        key = (row["aggregate"], row["subject"])
        if row["sequence"] != last.get(key, 0) + 1:
            findings.append(f"O2 {service}: the log of {key} jumps to {row['sequence']}")
        last[key] = row["sequence"]
    known = {row["id"]: row for row in log}
    for aggregate in sorted({row["aggregate"] for row in log}):
        missing = {row["id"] for row in log if row["aggregate"] == aggregate}
        first: dict[str, int] = {}
        for record in topics[domain_topic(service, aggregate)]:
            said = known.get(uuid_of(record.headers.get("ce_id")))
            if said is None:
                if record.headers.get("ce_source") == f"/services/{service}":
                    findings.append(f"O2 {record.place} is not in the log")
                continue
            if said["payload"] != record.value or said["headers"] != record.headers:
                findings.append(f"O2 {record.place} differs from the log")
            if said["id"] in missing:
                missing.discard(said["id"])
                subject = record.headers["ce_subject"]
                if said["sequence"] != first.get(subject, 0) + 1:
                    findings.append(f"O2 {record.place} appears before {first.get(subject, 0) + 1} of its subject")
                first[subject] = said["sequence"]
        findings += [f"O2 {service}: event {event_id} is not on its topic" for event_id in sorted(missing)]
    return findings


async def _outcomes(
    gateway: Connection, service: str, decider: Connection, topics: Mapping[str, list[Record]]
) -> list[str]:
    inbox = {
        (row["source"], row["event_id"]): row
        for row in await decider.fetch("SELECT source, event_id, state, outcome_seq, event_ids FROM inbox")
    }
    findings, said = [], set()
    for record in topics[outcome_topic(service)]:
        if record.headers.get("ce_source") != f"/services/{service}":
            continue
        try:
            outcome: dict[str, Any] = json.loads(record.value)
        except ValueError:
            findings.append(f"O2 {record.place} claims to be an outcome and cannot be read")
            continue
        event, number = (outcome["source"], outcome["event_id"]), int(record.headers["ce_subjectsequence"])
        row = inbox.get(event)
        if row is None or number > row["outcome_seq"]:
            findings.append(f"O2 {record.place} tells of {event} what its decider does not know")
        elif number == row["outcome_seq"] and outcome.get("code") != "conflict":
            said.add(event)
            if outcome["state"] != row["state"]:
                findings.append(f"O2 {record.place} says {outcome['state']}, the inbox {row['state']}")
    conflicts = {
        tuple(row) for row in await gateway.fetch("SELECT source, event_id FROM outcome WHERE code = 'conflict'")
    }
    findings += [f"O2 {service}: the end of {event} was never said" for event in inbox if event not in said | conflicts]
    return findings


# -------------------------------------------------------------------- O3, O4


async def _applied(reader: str, connection: Connection, topic: str, owner: Connection) -> list[str]:
    log = {
        row["subject"]: row["last"]
        for row in await owner.fetch(
            "SELECT subject, max(sequence) AS last FROM event WHERE aggregate = $1 GROUP BY 1", TOPICS[topic].aggregate
        )
    }
    applied = {
        row["subject"]: row["applied"]
        for row in await connection.fetch("SELECT subject, applied FROM stream WHERE topic = $1", topic)
    }
    explained = {
        row["subject"] for row in await connection.fetch("SELECT DISTINCT subject FROM held WHERE queue = $1", topic)
    }
    findings = [
        f"O3 {reader}: {topic} {subject} is applied to {applied.get(subject, 0)} of {last}"
        for subject, last in log.items()
        if applied.get(subject, 0) != last and subject not in explained
    ]
    findings += [
        f"O3 {reader}: {topic} {s} is applied and not in the log" for s in applied if applied[s] and s not in log
    ]
    if reader == "national":
        rows = await connection.fetch("SELECT id, count(*) AS n FROM event WHERE topic = $1 GROUP BY id", topic)
        findings += [f"O3 national: event {row['id']} has {row['n']} rows" for row in rows if row["n"] != 1]
        if len(rows) != sum(applied.values()):
            findings.append(f"O3 national: {topic} has {len(rows)} event rows, {sum(applied.values())} applied")
    return findings


async def _state(service: str, decider: Connection) -> list[str]:
    findings = []
    for topic in TOPICS.values():
        if topic.kind != "domain" or topic.service != service:
            continue
        rows = await decider.fetch(
            f"""SELECT coalesce(s.id, e.subject) AS id FROM {topic.aggregate} s
                FULL JOIN (SELECT DISTINCT ON (subject) subject, payload FROM event WHERE aggregate = $1
                           ORDER BY subject, sequence DESC) e ON e.subject = s.id
                WHERE s.data IS DISTINCT FROM convert_from(e.payload, 'UTF8')::jsonb""",  # noqa: S608  # the catalogue's
            topic.aggregate,
        )
        findings += [f"O4 {service}: {topic.aggregate} {row['id']} is not what its log says" for row in rows]
    return findings


async def rebuilt(
    connection: Connection, projections: Sequence[Projection], topics: Mapping[str, list[Record]]
) -> list[str]:
    """Tables that are not what their projection gives for the events on its topic, each taken once, in order."""
    held = {row["subject"] for row in await connection.fetch("SELECT DISTINCT subject FROM held")}
    findings = []
    for projection in projections:
        events = _events(topics[projection.topic], held)
        last = {event.subject: event for event in events}
        expected: dict[str, Counter[str]] = {table.name: Counter() for table in projection.tables}
        per_event = {table.name for table in projection.tables if table.per == "event"}
        for event in events:
            for name, rows in projection.rows(event).items():
                if name in per_event or last[event.subject] is event:
                    expected[name].update(map(_written, rows))
        for table in projection.tables:
            columns = ", ".join(f'"{column}"' for column in table.columns)
            found = Counter(
                _written(tuple(row))
                for row in await connection.fetch(f"SELECT {columns} FROM {table.name}")  # noqa: S608  # wiring
                if row[0] not in held
            )
            for row, count in list((found - expected[table.name]).items())[:1]:
                findings.append(f"O4 national.{table.name}: {count} times {row} is not what a rebuild gives")
            for row, count in list((expected[table.name] - found).items())[:1]:
                findings.append(f"O4 national.{table.name}: {count} times {row} is missing")
    return findings


def _events(records: Iterable[Record], held: Collection[UUID]) -> list[Event]:
    """The events of a topic by their numbers, each once; not those of subjects that something is held of."""
    found: dict[tuple[UUID, int], Event] = {}
    for record in records:
        topic, _, place = record.place.partition("/")
        partition, _, offset = place.partition("@")
        headers = tuple((name, value.encode()) for name, value in record.headers.items())
        message = decode(Kept(topic, int(partition), int(offset), headers, record.value))
        if message.envelope is None or message.data is None or message.envelope.subjectsequence is None:
            continue
        event = Event(message.envelope, message.data, topic, record.value)
        if event.subject not in held:
            found.setdefault((event.subject, message.envelope.subjectsequence), event)
    return [found[key] for key in sorted(found)]


def _written(row: Iterable[Any]) -> str:
    """A row in one form, whether it comes from a projection or from PostgreSQL."""
    return json.dumps([_plain(value) for value in row], ensure_ascii=False, sort_keys=True, default=str)


def _plain(value: Any) -> Any:
    if isinstance(value, tuple | list):
        return [_plain(each) for each in value]
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, str) and value[:1] in ("{", "["):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def uuid_of(text: str | None) -> UUID | None:
    """The id that a text is, or None."""
    try:
        return UUID(text or "")
    except ValueError:
        return None
