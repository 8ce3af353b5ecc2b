"""Brings a database that was set back up to what it has said: its own topics are the memory that it lost.

What readers have heard stays true: the same numbers, ids and causes. So domain events go to the log, the states and
the numbering; final outcomes to the inbox, and of what is held, they take away what is finished; an outcome that is
not final only tells from which number to go on. So does one that names an event which is nowhere: the relay was killed
between the two, and the event is made once more, under the same id. An end that only another record tells of (an event
its submission's, an applied withdrawal its target's) gets its number after all outcomes were read, above what its
sender was told before. The position stays where the database has it: what was decided is read again and gets its
outcome again, what nobody has heard of is decided now.

A gateway takes submissions back from its topics, with the ids that were answered for them (`gateway.adoption`).
"""

import json
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from aiokafka import TopicPartition

from contracts.outcome import FINAL, Outcome
from contracts.submission import WITHDRAWN
from contracts.topics import TOPICS, Topic
from servicekit import held, inbox, loss, records, relay, state
from servicekit.database import Connection
from servicekit.held import Changes, Key
from servicekit.inbox import Event, InboxRow
from servicekit.message import Message
from servicekit.setback import ours, said_beyond
from servicekit.topic_ids import topic_ids

Take = Callable[[Connection, Sequence[Message]], Awaitable[int]]


class AdoptError(Exception):
    """What is on the topics cannot be brought together with the database; nothing was changed."""


@dataclass(slots=True)
class Adopted:
    """How many were taken from the topics, of each kind."""

    events: int = 0
    outcomes: int = 0
    submissions: int = 0
    finished: int = 0  # held rows whose end was on a topic
    ends: dict[TopicPartition, int] = field(default_factory=dict)
    unsaid: set[Event] = field(default_factory=set)  # submissions whose end was on no topic, only what follows from it


async def adopt(connection: Connection, bootstrap: str, service: str, submissions: Take | None = None) -> Adopted:
    """Takes over, in the transaction of the connection, what the service's topics know and its database does not.

    `submissions` is the gateway's way of keeping them. Raises AdoptError if a replica of the service is up, or if a
    number is missing on a topic or was given to another event here: then this is not a database that was set back.
    """
    up = await relay.replicas(connection, service)
    if up:
        raise AdoptError(f"{service} is up ({up} connections to its database): stop all its replicas first.")
    found = Adopted()
    topics = sorted(
        (topic for topic in TOPICS.values() if topic.service == service), key=lambda topic: topic.kind != "domain"
    )  # events first: an outcome is asked whether its events are there
    epochs = await topic_ids(bootstrap, [topic.name for topic in topics])
    for topic in topics:
        await _adopt_topic(connection, bootstrap, topic, submissions, found)
    if any(TOPICS[partition.topic].kind != "submission" for partition in found.ends):
        await _number(connection, found.unsaid)
        found.finished = await _finish(connection)
    await loss.notice(connection, epochs)
    await relay.confirm(connection, found.ends, epochs)
    return found


async def _adopt_topic(
    connection: Connection, bootstrap: str, topic: Topic, submissions: Take | None, found: Adopted
) -> None:
    async for partition, messages in said_beyond(connection, bootstrap, [topic.name]):
        said = ours(messages)
        if topic.kind == "submission":
            assert submissions is not None  # only the gateway writes these topics
            found.submissions += await submissions(connection, said)
        elif topic.kind == "outcome":
            found.outcomes += await _outcomes(connection, said, found.unsaid)
        else:
            assert topic.aggregate is not None  # a domain topic is an aggregate's
            found.events += await _events(connection, topic.aggregate, said, found.unsaid)
        found.ends[partition] = max(found.ends.get(partition, 0), messages[-1].offset + 1)


# ---------------------------------------------------------------- a deciding service


async def _events(connection: Connection, aggregate: str, said: Sequence[Message], unsaid: set[Event]) -> int:
    """Domain events into log, numbering, state and inbox; those already there are left."""
    ids = [event_id for message in said if (event_id := message.named_uuid("id"))]
    known = {row["id"] for row in await connection.fetch("SELECT id FROM event WHERE id = ANY($1::uuid[])", ids)}
    new: dict[UUID, Message] = {}
    for message in said:
        event_id = message.named_uuid("id")
        if event_id is not None and event_id not in known:
            new.setdefault(event_id, message)
    subjects = {subject for message in new.values() if (subject := message.named_uuid("subject"))}
    rows = await connection.fetch(
        "SELECT id, last_sequence FROM subject WHERE aggregate = $1 AND id = ANY($2::uuid[]) FOR UPDATE",
        aggregate,
        sorted(subjects),
    )
    last = {row["id"]: row["last_sequence"] for row in rows}
    newest: dict[UUID, Message] = {}
    for event_id, message in new.items():
        assert message.envelope is not None  # `ours` lets only what decodes through
        subject, number = UUID(message.envelope.subject), message.envelope.subjectsequence
        if number != last.get(subject, 0) + 1:
            stands = last.get(subject, 0)
            raise AdoptError(f"{message.place}: event {event_id} is number {number} of {subject}, which is at {stands}")
        last[subject], newest[subject] = number, message
    await _write_events(connection, aggregate, new, newest)
    causes = {origin: event_id for event_id, message in new.items() if (origin := _origin(message))}
    events = await inbox.read(connection, causes)
    for event, event_id in causes.items():
        row = events.setdefault(event, InboxRow(None, None, new=True))
        message = new[event_id]
        row.submission_id = row.submission_id or message.named_uuid("correlationid")
        if row.new:
            row.about = _about(message, event, "", message.named_uuid("subject"))
        if row.state != "applied":
            row.state, row.code, row.pointer, row.params = "applied", None, None, {}
            unsaid.add(event)
        if event_id not in row.event_ids:
            row.event_ids.append(event_id)
        row.changed = True
    await inbox.write(connection, events)
    return len(new)


async def _write_events(
    connection: Connection, aggregate: str, new: dict[UUID, Message], newest: dict[UUID, Message]
) -> None:
    if not new:
        return
    await connection.copy_records_to_table(
        "event",
        columns=("aggregate", "subject", "sequence", "id", "type", "recorded_at", "cause", "headers", "payload"),
        records=[
            (
                aggregate,
                message.named_uuid("subject"),
                message.named_number("subjectsequence"),
                event_id,
                message.named("type"),
                message.named_time("recordedtime"),
                message.named_uuid("causationid"),
                message.shown(),
                message.payload,
            )
            for event_id, message in new.items()
        ],
    )
    subjects = sorted(newest)
    await connection.execute(
        """INSERT INTO subject (aggregate, id, last_sequence, last_recorded)
           SELECT $1, id, last_sequence, last_recorded
           FROM unnest($2::uuid[], $3::bigint[], $4::timestamptz[]) AS n(id, last_sequence, last_recorded)
           ON CONFLICT (aggregate, id) DO UPDATE
             SET last_sequence = EXCLUDED.last_sequence, last_recorded = EXCLUDED.last_recorded""",
        aggregate,
        subjects,
        [newest[subject].named_number("subjectsequence") for subject in subjects],
        [newest[subject].named_time("recordedtime") for subject in subjects],
    )
    said = {subject: message.payload for subject, message in newest.items() if message.data is not None}
    tenants = {subject: newest[subject].named("tenant") or "" for subject in said}
    await state.save(connection, aggregate, said, tenants)


def _origin(message: Message) -> Event | None:
    """The submission that made this event: the mark in its data that carries the event's cause."""
    return _find_origin(json.loads(message.payload), message.named("causationid") or "")


def _find_origin(value: Any, submission_id: str) -> Event | None:
    if isinstance(value, dict):
        if value.get("submission_id") == submission_id and "source" in value and "event_id" in value:
            return (value["source"], value["event_id"])
        value = list(value.values())
    if isinstance(value, list):
        return next((found for each in value if (found := _find_origin(each, submission_id))), None)
    return None


async def _outcomes(connection: Connection, said: Sequence[Message], unsaid: set[Event]) -> int:
    """Final outcomes into the inbox, with what they took back; of the others, and of what another copy of an id was
    told, only the number."""
    told = [(message, message.data) for message in said if isinstance(message.data, Outcome)]
    taken_back = {target for _, outcome in told if (target := _taken_back(outcome)) is not None}
    rows = await inbox.read(connection, [*((outcome.source, outcome.event_id) for _, outcome in told), *taken_back])
    named = [event_id for _, outcome in told for event_id in outcome.event_ids]
    known = {row["id"] for row in await connection.fetch("SELECT id FROM event WHERE id = ANY($1::uuid[])", named)}
    for message, outcome in told:
        event = (outcome.source, outcome.event_id)
        row = rows.setdefault(event, InboxRow(outcome.submission_id, None, state="said", new=True))
        number = message.named_number("subjectsequence") or 0
        final = outcome.state in FINAL and outcome.code != "conflict" and known.issuperset(outcome.event_ids)
        if final:
            unsaid.discard(event)
        if final and (number >= row.outcome_seq or row.state not in FINAL):
            row.state, row.code, row.pointer, row.params = outcome.state, outcome.code, outcome.pointer, outcome.params
            row.event_ids = list(outcome.event_ids)
            row.changed = True
        if number > row.outcome_seq:
            row.outcome_seq, row.changed = number, True
        if row.changed:
            row.about = _about(message, event, outcome.type, outcome.subject)
    count = sum(row.changed for row in rows.values())
    for target in taken_back:
        row = rows.setdefault(target, InboxRow(None, None, new=True))
        if row.state in FINAL:
            continue
        row.state, row.code, row.pointer, row.params, row.changed = "withdrawn", None, None, {}, True
        unsaid.add(target)
    await inbox.write(connection, rows)
    return count


def _taken_back(outcome: Outcome) -> Event | None:
    """What a withdrawal took back whose own outcome this is: its target's may be on no topic."""
    target = outcome.params.get("event_id")
    if outcome.type != WITHDRAWN or outcome.state != "applied" or not isinstance(target, str):
        return None
    return (outcome.source, target)


def _about(message: Message, event: Event, type_: str, subject: UUID | None) -> records.About:
    """The submission that a record tells of. A domain event does not say of which type it was."""
    assert message.envelope is not None  # `ours` lets only what decodes through
    submission_id = UUID(message.envelope.correlationid)
    return records.About(
        submission_id=submission_id,
        source=event[0],
        event_id=event[1],
        type=type_,
        subject=subject or submission_id,
        tenant=message.envelope.tenant,
        time=message.envelope.time,
        received_at=message.envelope.recordedtime,
    )


async def _number(connection: Connection, unsaid: Iterable[Event]) -> None:
    """Ends that nobody has heard get a number above all that was told before, and are told to whoever asks again."""
    rows = await inbox.read(connection, unsaid)
    for row in rows.values():
        row.outcome_seq += 1
        row.changed = True
    await inbox.write(connection, rows)


async def _finish(connection: Connection) -> int:
    """Removes held rows whose end is known, and lets the next of their queue be tried."""
    rows = await connection.fetch(
        """DELETE FROM held h USING inbox i
           WHERE h.source = i.source AND h.event_id = i.event_id AND h.n IS NULL
             AND i.state IN ('applied', 'rejected', 'withdrawn') RETURNING h.queue, h.subject"""
    )
    behind: set[Key] = {(row["queue"], row["subject"]) for row in rows if row["queue"] and row["subject"]}
    await held.write(connection, Changes(promoted=behind))
    return len(rows)
