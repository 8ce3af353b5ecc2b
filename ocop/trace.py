"""`ocop trace ID`: one submission's whole way, from its receipt to the rows that it made, as far as it has come."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
from aiokafka.errors import KafkaError
from national.projections import PROJECTIONS

from contracts.topics import DECIDERS, TOPICS, domain_topic, outcome_topic
from ocop import stack
from ocop.databases import AWAY, memory
from ocop.errors import OcopError
from ocop.operator import MOMENT
from ocop.rules.evidence import READERS, Databases, Named, opened, uuid_of
from servicekit import log

Line = tuple[str, str]  # where, what

EARLIER = timedelta(hours=1)  # a record's time is its sender's, whose clock may be behind the database's
FETCHED = 5000  # records at once
SHOWN = 5  # held or passed over rows of a subject


@dataclass(slots=True)
class Sought:
    """A submission, as far as it is known: the gateway may have lost it, or never have had it."""

    text: str  # as it was asked for
    named: Named | None = None
    ids: set[UUID] = field(default_factory=set)
    services: Sequence[str] = ()  # who decides it, or has heard of it
    since: datetime | None = None  # when it was received

    def is_in(self, headers: Sequence[tuple[str, bytes | None]]) -> bool:
        """Whether a record is the submission, or was caused by it."""
        said = {name: (value or b"").decode(errors="replace") for name, value in headers}
        event = (said.get("ce_source", ""), said.get("ce_id", ""))
        if uuid_of(said.get("ce_correlationid")) in self.ids:
            return True
        return event == self.named if self.named else event[1] == self.text


async def trace(bootstrap: str, urls: Mapping[str, str], name: str | Named) -> list[Line]:
    """Everything that is known of a submission. `name`: its id, the id of an event that it caused, the province's, or
    the province's with its source.

    Reads the topics from the moment of its receipt on; all of them for one that the gateway does not have. Raises
    OcopError if it is nowhere. What is away says so, and hides nothing of what the others know.
    """
    async with _answering(urls) as (databases, away):
        sought, lines = await _received(databases, name)
        lines += await _waiting_to_be_sent(databases, sought)
        found, silent = await _on_topics(bootstrap, databases, sought)
        away += silent
        if not (sought.since or sought.services or found):
            but = "".join(f" {where}: {what}." for where, what in away)
            raise OcopError(f"There is no submission {sought.text}, and no event of that id.{but}")
        lines = [*away, *lines, *found]
        causes = set(sought.ids)
        for service in sought.services:
            events, decided = await _decided(databases[service], service, sought)
            lines += decided
            for event in events:
                lines += await _applied(databases, service, event)
            causes |= {event["id"] for event in events}
        lines += await _unheard(databases, sought)
        if "notifications" in databases:
            lines += await _told(databases["notifications"], causes)
        return lines


@asynccontextmanager
async def _answering(urls: Mapping[str, str]) -> AsyncIterator[tuple[Databases, list[Line]]]:
    """A connection to each database that answers, and a line for each that does not."""
    async with AsyncExitStack() as opening:
        databases: dict[str, asyncpg.Connection] = {}
        lines: list[Line] = []
        for service, url in urls.items():
            try:
                databases |= await opening.enter_async_context(opened({service: url}, "ocop-trace"))
            except AWAY as error:
                lines.append((service, f"its database does not answer: {error!r}"))
        yield databases, lines


# -------------------------------------------------------------------- who it is


async def _received(databases: Databases, name: str | Named) -> tuple[Sought, list[Line]]:
    """What is sought, and what the gateway says of it."""
    source, text = name if isinstance(name, tuple) else (None, name)
    ids = [identifier] if source is None and (identifier := uuid_of(text)) else []
    for service in DECIDERS:
        if ids and service in databases:
            query = "SELECT cause FROM event WHERE id = $1"
            ids += [row["cause"] for row in await databases[service].fetch(query, ids[0])]
    if "gateway" not in databases:
        return await _heard_of(databases, text, source, ids), []
    rows = await databases["gateway"].fetch(
        """SELECT * FROM submission WHERE id = ANY($1::uuid[]) OR (event_id = $2 AND source = coalesce($3, source))
           ORDER BY received_at""",
        ids,
        text,
        source,
    )
    _one(text, [((row["source"], row["event_id"]), row["id"]) for row in rows])
    if not rows:
        return await _heard_of(databases, text, source, ids), [("gateway", f"has no submission {text}")]
    (row,) = rows
    service = row["service"]
    sought = Sought(
        text,
        (row["source"], row["event_id"]),
        {row["id"]},
        [service] if service in databases else [],
        row["received_at"],
    )
    return sought, [
        ("gateway", f"received {row['received_at']:{MOMENT}} as {row['id']}"),
        ("gateway", f"{row['type']} {row['event_id']} of {row['source']}"),
        ("gateway", f"subject {row['subject_ref']} ({row['subject']})"),
        ("gateway", f"{row['state']}; repeated {row['repeated']} times"),
    ]


async def _heard_of(databases: Databases, text: str, source: str | None, ids: Sequence[UUID]) -> Sought:
    """What deciding services have of a submission that the gateway does not have."""
    found: dict[Named, UUID | None] = {}
    services = []
    for service in DECIDERS:
        if service in databases:
            rows = await databases[service].fetch(
                """SELECT source, event_id, submission_id FROM inbox
                   WHERE submission_id = ANY($1::uuid[]) OR (event_id = $2 AND source = coalesce($3, source))
                   UNION ALL SELECT source, event_id, NULL FROM held
                   WHERE n IS NULL AND event_id = $2 AND source = coalesce($3, source)""",
                ids,
                text,
                source,
            )
            for row in rows:
                event = (row["source"], row["event_id"])
                found[event] = found.get(event) or row["submission_id"]
            services += [service] if rows else []
    _one(text, list(found.items()))
    named = next(iter(found), (source, text) if source else None)
    return Sought(text, named, {*ids, *filter(None, found.values())}, services)


def _one(text: str, found: Sequence[tuple[Named, UUID | None]]) -> None:
    if len(found) > 1:
        which = ", ".join(f"{identifier} ({source})" for (source, _), identifier in found[:5])
        raise OcopError(f"{len(found)} submissions are called {text}; take one by its own id: {which}.")


# -------------------------------------------------------------------- where it is


async def _waiting_to_be_sent(databases: Databases, sought: Sought) -> list[Line]:
    lines = []
    for service, connection in databases.items():
        if service in ("gateway", *DECIDERS):
            rows = await connection.fetch(
                "SELECT id, topic FROM outbox WHERE headers ->> 'ce_correlationid' = ANY($1::text[]) ORDER BY id",
                [str(each) for each in sought.ids],
            )
            lines += [(service, f"outbox row {row['id']} for {row['topic']}: not sent yet") for row in rows]
    return lines


async def _on_topics(bootstrap: str, databases: Databases, sought: Sought) -> tuple[list[Line], list[Line]]:
    """Its records, and what is to be said where Kafka does not tell them all."""
    lines: list[Line] = []
    silent: list[Line] = []
    stands = await _stands(databases)
    try:
        async with log.opened(bootstrap, "ocop-trace") as consumer:
            first, ends = await log.limits(consumer, TOPICS)
            if sought.since is not None:
                since = int((sought.since - EARLIER).timestamp() * 1000)
                found = await consumer.offsets_for_times(dict.fromkeys(ends, since))
                first = {p: each.offset if (each := found.get(p)) is not None else ends[p] for p in ends}
            async for records in log.what_stays(consumer, first, ends, FETCHED):
                for record in records:
                    if sought.is_in(record.headers):
                        place = f"{record.topic}/{record.partition}@{record.offset}"
                        readers = stands.get((record.topic, record.partition), {})
                        lines.append(("kafka", f"{place}: {_type(record.headers)}{_read_by(readers, record.offset)}"))
    except KafkaError as error:
        silent.append(("kafka", f"does not tell all that lies there: {error!r}"))
    return sorted(lines, key=lambda line: ("submission" not in line[1], line[1])), silent


async def _stands(databases: Databases) -> dict[tuple[str, int], dict[str, int]]:
    """Where each service stands in each partition that it reads."""
    stands: dict[tuple[str, int], dict[str, int]] = {}
    for service, connection in databases.items():
        for row in await connection.fetch("SELECT topic, partition, next_offset FROM position"):
            stands.setdefault((row["topic"], row["partition"]), {})[service] = row["next_offset"]
    return stands


def _read_by(readers: Mapping[str, int], offset: int) -> str:
    """Who has read a record, and where the others stand."""
    read = ", ".join(service for service, at in readers.items() if at > offset)
    unread = "".join(f"; {service} stands at {at}" for service, at in readers.items() if at <= offset)
    return (f", read by {read}" if read else ", read by nobody") + unread


async def _decided(
    connection: asyncpg.Connection, service: str, sought: Sought
) -> tuple[list[asyncpg.Record], list[Line]]:
    named = sought.named or ("", "")
    lines = []
    row = await connection.fetchrow("SELECT * FROM inbox WHERE source = $1 AND event_id = $2", *named)
    if row is None:
        lines.append((service, "has not arrived"))
    else:
        reason = f", {row['code']} {row['pointer'] or ''}".rstrip() if row["code"] else ""
        lines.append((service, f"inbox: {row['state']}{reason}; {row['outcome_seq']} outcomes said"))
    for held in await connection.fetch("SELECT * FROM held WHERE source = $1 AND event_id = $2", *named):
        what = f" for {held['waits_for']}" if held["waits_for"] else ""
        lines.append(
            (
                service,
                f"held row {held['id']}: {held['reason']}{what}{_why(held['error'])}, since {held['since']:{MOMENT}}",
            )
        )
    query = "SELECT actor, reason, error FROM skipped WHERE source = $1 AND event_id = $2 ORDER BY id"
    for skipped in await connection.fetch(query, *named):
        lines.append((service, f"passed over{_why(skipped['error'])}: {skipped['reason']} ({skipped['actor']})"))
    events = await connection.fetch(
        "SELECT * FROM event WHERE id = ANY($1::uuid[]) ORDER BY sequence", row["event_ids"] if row else []
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
        lines += [(reader, what) for what in await _aside(databases[reader], topic, event["subject"])]
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


async def _aside(reader: asyncpg.Connection, topic: str, subject: UUID) -> list[str]:
    """What a reader holds of a subject and what it was made to pass over, and why."""
    held = await reader.fetch(
        "SELECT n, reason, error, since FROM held WHERE queue = $1 AND subject = $2 ORDER BY n LIMIT $3",
        topic,
        subject,
        SHOWN,
    )
    skipped = await reader.fetch(
        "SELECT n, actor, reason, error FROM skipped WHERE topic = $1 AND subject = $2 ORDER BY n LIMIT $3",
        topic,
        subject,
        SHOWN,
    )
    return [
        *(f"holds number {r['n']}: {r['reason']}{_why(r['error'])}, since {r['since']:{MOMENT}}" for r in held),
        *(f"passed over number {r['n']}{_why(r['error'])}: {r['reason']} ({r['actor']})" for r in skipped),
    ]


async def _unheard(databases: Databases, sought: Sought) -> list[Line]:
    """Outcomes of it that those who hear them hold, or were made to pass over, and why."""
    of_it = """topic = ANY($1::text[]) AND EXISTS (SELECT FROM unnest($2::text[]) AS sought(id) WHERE
                   headers @> jsonb_build_array(jsonb_build_array('ce_correlationid', sought.id)))"""
    which = [outcome_topic(service) for service in DECIDERS], [str(each) for each in sought.ids]
    lines = []
    for hearer in ("gateway", "notifications"):
        if hearer in databases:
            query = f"SELECT reason, error, since FROM held WHERE {of_it} ORDER BY id LIMIT {SHOWN}"  # noqa: S608  # from above
            for r in await databases[hearer].fetch(query, *which):
                what = f"holds an outcome of it: {r['reason']}{_why(r['error'])}, since {r['since']:{MOMENT}}"
                lines.append((hearer, what))
            query = f"SELECT actor, reason, error FROM skipped WHERE {of_it} ORDER BY id LIMIT {SHOWN}"  # noqa: S608  # from above
            for r in await databases[hearer].fetch(query, *which):
                lines.append((hearer, f"passed over an outcome of it{_why(r['error'])}: {r['reason']} ({r['actor']})"))
    return lines


def _why(error: Mapping[str, Any] | None) -> str:
    """The first line of what went wrong."""
    return f", {error['class']}: {(str(error.get('text', '')).splitlines() or [''])[0]}" if error else ""


async def _told(connection: asyncpg.Connection, causes: set[UUID]) -> list[Line]:
    rows = await connection.fetch(
        """SELECT d.rule, d.due_at, d.cancelled, m.sent_at, m.attempts FROM delivery d LEFT JOIN mail m ON m.id = d.mail
           WHERE d.cause = ANY($1::uuid[]) ORDER BY d.due_at""",
        list(causes),
    )
    return [("notifications", f"{row['rule']}: {_mail(row)}") for row in rows]


def _mail(row: asyncpg.Record) -> str:
    if row["cancelled"]:
        return "cancelled"
    if row["sent_at"]:
        return f"mailed {row['sent_at']:{MOMENT}}"
    return f"tried {row['attempts']} times" if row["attempts"] else f"due {row['due_at']:{MOMENT}}"


def _type(headers: Sequence[tuple[str, bytes]]) -> str:
    return next(((value or b"").decode(errors="replace") for name, value in headers if name == "ce_type"), "?")


def of_stack(name: str) -> list[Line]:
    """The same for the stack of this machine. Raises OcopError where there is none, too."""
    found = memory()
    return asyncio.run(trace(stack.kafka_bootstrap(found), stack.application_urls(found), name))
