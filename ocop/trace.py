"""`ocop trace ID`: one submission's whole way, from its receipt to the rows that it made, as far as it has come."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from uuid import UUID

import asyncpg
from aiokafka import AIOKafkaConsumer
from national.projections import PROJECTIONS

from contracts.topics import DECIDERS, domain_topic
from ocop import stack
from ocop.errors import OcopError
from ocop.home import Home
from ocop.rules.evidence import READERS, all_partitions, uuid_of
from servicekit import database

Databases = Mapping[str, asyncpg.Connection]
Line = tuple[str, str]  # where, what

MOMENT = "%Y-%m-%d %H:%M:%S"
EARLIER = timedelta(minutes=1)  # the broker's clock may be behind the database's


async def trace(bootstrap: str, urls: Mapping[str, str], name: str) -> list[Line]:
    """Everything that is known of a submission. `name`: its id, the id of an event that it caused, or the province's.

    Reads the topics from the moment of its receipt on. Raises OcopError if there is none.
    """
    async with AsyncExitStack() as opened:
        databases = {}
        for service, url in urls.items():
            databases[service] = connection = await database.connect(url, name="ocop-trace")
            opened.push_async_callback(connection.close)
        submission = await _submission(databases, name)
        received = f"{submission['received_at']:{MOMENT}}"
        lines = [
            ("gateway", f"received {received} as {submission['id']}"),
            ("gateway", f"{submission['type']} {submission['event_id']} of {submission['source']}"),
            ("gateway", f"subject {submission['subject_ref']} ({submission['subject']})"),
            ("gateway", f"{submission['state']}; repeated {submission['repeated']} times"),
        ]
        lines += await _waiting_to_be_sent(databases, submission["id"])
        lines += await _on_topics(bootstrap, submission)
        if submission["service"] in databases:
            events, decided = await _decided(databases[submission["service"]], submission)
            lines += decided
            for event in events:
                lines += await _applied(databases, submission["service"], event)
        if "notifications" in databases:
            lines += await _told(databases["notifications"], submission["id"])
        return lines


async def _submission(databases: Databases, name: str) -> asyncpg.Record:
    ids = [identifier] if (identifier := uuid_of(name)) else []
    for service in DECIDERS:
        if ids and service in databases:
            ids += [
                row["cause"] for row in await databases[service].fetch("SELECT cause FROM event WHERE id = $1", ids[0])
            ]
    rows = await databases["gateway"].fetch(
        "SELECT * FROM submission WHERE id = ANY($1::uuid[]) OR event_id = $2 ORDER BY received_at", ids, name
    )
    if not rows:
        raise OcopError(f"There is no submission {name}, and no event of that id.")
    if len(rows) > 1:
        found = ", ".join(f"{row['id']} ({row['source']})" for row in rows[:5])
        raise OcopError(f"{len(rows)} submissions are called {name}; take one by its own id: {found}.")
    return rows[0]


async def _waiting_to_be_sent(databases: Databases, submission_id: UUID) -> list[Line]:
    lines = []
    for service, connection in databases.items():
        if service in ("gateway", *DECIDERS):
            rows = await connection.fetch(
                "SELECT id, topic FROM outbox WHERE headers ->> 'ce_correlationid' = $1 ORDER BY id", str(submission_id)
            )
            lines += [(service, f"outbox row {row['id']} for {row['topic']}: not sent yet") for row in rows]
    return lines


async def _on_topics(bootstrap: str, submission: asyncpg.Record) -> list[Line]:
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)
    await consumer.start()
    try:
        partitions = all_partitions()
        consumer.assign(partitions)
        since = int((submission["received_at"] - EARLIER).timestamp() * 1000)
        first = await consumer.offsets_for_times(dict.fromkeys(partitions, since))
        ends = await consumer.end_offsets(partitions)
        unread = {p for p in partitions if (found := first.get(p)) is not None and found.offset < ends[p]}
        for partition in partitions:
            found = first.get(partition)
            consumer.seek(partition, found.offset if found is not None else ends[partition])
        lines = []
        wanted = ("ce_correlationid", str(submission["id"]).encode())
        while unread:
            for records in (await consumer.getmany(*unread, timeout_ms=500, max_records=5000)).values():
                lines += [
                    ("kafka", f"{record.topic}/{record.partition}@{record.offset}: {_type(record.headers)}")
                    for record in records
                    if wanted in record.headers
                ]
            unread = {p for p in unread if await consumer.position(p) < ends[p]}
        return sorted(lines, key=lambda line: ("submission" not in line[1], line[1]))
    finally:
        await consumer.stop()


async def _decided(
    connection: asyncpg.Connection, submission: asyncpg.Record
) -> tuple[list[asyncpg.Record], list[Line]]:
    service, named = submission["service"], (submission["source"], submission["event_id"])
    lines = []
    row = await connection.fetchrow("SELECT * FROM inbox WHERE source = $1 AND event_id = $2", *named)
    if row is None:
        return [], [(service, "has not arrived")]
    reason = f", {row['code']} {row['pointer'] or ''}".rstrip() if row["code"] else ""
    lines.append((service, f"inbox: {row['state']}{reason}; {row['outcome_seq']} outcomes said"))
    for held in await connection.fetch("SELECT * FROM held WHERE source = $1 AND event_id = $2", *named):
        what = f" for {held['waits_for']}" if held["waits_for"] else ""
        lines.append(
            (service, f"held row {held['id']}: {held['reason']}{what}, since {held['since']:%Y-%m-%d %H:%M:%S}")
        )
    events = await connection.fetch(
        "SELECT * FROM event WHERE id = ANY($1::uuid[]) ORDER BY sequence", row["event_ids"]
    )
    lines += [(service, f"event {e['id']}: {e['type']}, {e['aggregate']} number {e['sequence']}") for e in events]
    return events, lines


async def _applied(databases: Databases, service: str, event: asyncpg.Record) -> list[Line]:
    topic, lines = domain_topic(service, event["aggregate"]), []
    for reader, topics in READERS.items():
        if topic not in topics or reader not in databases:
            continue
        applied = await databases[reader].fetchval(
            "SELECT applied FROM stream WHERE topic = $1 AND subject = $2", topic, event["subject"]
        )
        word = "applied" if (applied or 0) >= event["sequence"] else "NOT applied"
        lines.append((reader, f"{word}: stands at {applied or 0} of this subject"))
    if "national" in databases:
        for projection in PROJECTIONS:
            for table in projection.tables:
                column = "id" if table.per == "event" else "event"
                count = await databases["national"].fetchval(
                    f"SELECT count(*) FROM {table.name} WHERE {column} = $1",  # noqa: S608  # the code's own wiring
                    event["id"],
                )
                lines += [("national", f"{count} rows of {table.name} are from this event")] if count else []
    return lines


async def _told(connection: asyncpg.Connection, submission_id: UUID) -> list[Line]:
    rows = await connection.fetch(
        """SELECT d.rule, d.due_at, d.cancelled, m.sent_at, m.attempts FROM delivery d LEFT JOIN mail m ON m.id = d.mail
           WHERE d.cause = $1""",
        submission_id,
    )
    return [("notifications", f"{row['rule']}: {_mail(row)}") for row in rows]


def _mail(row: asyncpg.Record) -> str:
    if row["cancelled"]:
        return "cancelled"
    if row["sent_at"]:
        return f"mailed {row['sent_at']:{MOMENT}}"
    return f"tried {row['attempts']} times" if row["attempts"] else f"due {row['due_at']:{MOMENT}}"


def _type(headers: Sequence[tuple[str, bytes]]) -> str:
    return next((value.decode(errors="replace") for name, value in headers if name == "ce_type"), "?")


def of_stack(name: str) -> list[Line]:
    """The same for the stack of this machine."""
    memory = Home.here().recall()
    return asyncio.run(trace(stack.kafka_bootstrap(memory), stack.application_urls(memory), name))
