"""Decides again: each log is what `decide` makes of the submissions that its events name, one after another, and those
stand in it as their sender knows that they followed each other.

Beside the oracle, which knows nothing of the sender, and compares a state with the last event of its log alone.
"""

from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from math import inf
from uuid import UUID

import asyncpg
from evaluation.__main__ import RECOGNITIONS
from marketplace_sync.__main__ import LISTINGS
from registry.__main__ import DECIDERS as OWNERS_AND_PRODUCTS

from contracts.decision import Decision, Submission
from contracts.envelope import encode
from contracts.topics import submission_topic
from ocop.rules.evidence import FETCHED, Connection, Finding, Named, opened, rows
from servicekit.decider import Decider
from servicekit.held import Key
from servicekit.message import Kept, Message, decode
from tests.delivery.ledger import Entry

DECIDERS: Mapping[str, Sequence[Decider]] = {
    "registry": OWNERS_AND_PRODUCTS,
    "evaluation": [RECOGNITIONS],
    "marketplace": [LISTINGS],
}
# The events of a log, each with the submission that it is said to come from.
LOG = """SELECT e.subject, e.sequence, e.type, e.recorded_at, e.cause, e.payload, i.source, i.event_id
         FROM event e JOIN (SELECT source, event_id, unnest(event_ids) AS id FROM inbox) i ON i.id = e.id
         WHERE e.aggregate = $1 ORDER BY e.subject, e.sequence"""
SENT = """SELECT source, event_id, headers, payload FROM submission
          WHERE (source, event_id) IN (SELECT * FROM unnest($1::text[], $2::text[]))"""


async def compare(urls: Mapping[str, str], ledger: Sequence[Entry]) -> list[Finding]:
    """Findings in the logs of all deciding services. What the gateway does not have is another rule's."""
    findings: list[Finding] = []
    logs: dict[Key, list[Named]] = {}  # what each is made of
    async with opened(urls, "decisions") as databases:
        for service, deciders in DECIDERS.items():
            for decider in deciders:
                findings += await _decided(service, decider, databases[service], databases["gateway"], logs)
    return findings + in_order(logs.values(), ledger)


async def _decided(
    service: str, decider: Decider, connection: Connection, gateway: Connection, logs: dict[Key, list[Named]]
) -> list[Finding]:
    """Events that are not what is decided now, on what those before them made; notes what each log was made of."""
    known: dict[UUID, str] = {}
    if decider.known is not None:  # what is known now, whatever was applied could know
        query = f"SELECT id, tenant FROM {decider.known}"  # noqa: S608  # from the wiring
        known = {row["id"]: row["tenant"] async for row in rows(connection, query)}
    findings: list[Finding] = []
    subject, state, recorded = None, None, None
    async for events in _some_at_a_time(connection, decider.aggregate):
        sent = await _sent(gateway, service, [(row["source"], row["event_id"]) for row in events])
        for row in events:
            if row["subject"] != subject:
                subject, state, recorded = row["subject"], None, None
            event = (row["source"], row["event_id"])
            logs.setdefault((decider.aggregate, row["subject"]), []).append(event)
            what = f"{service}: event {row['sequence']} of {decider.aggregate} {subject}"
            if recorded is not None and row["recorded_at"] <= recorded:
                findings.append(Finding("O4", f"{what} is recorded before the one before it", event))
            recorded = row["recorded_at"]
            if event in sent and not _says(row, decider.decide(state, _submission(row, sent[event]), known)):
                findings.append(Finding("O4", f"{what} is not as it is decided again", event))
            state = decider.state.model_validate_json(row["payload"])
    return findings


def _says(row: asyncpg.Record, verdict: object) -> bool:
    """Whether this event is what was decided."""
    said = verdict.events if isinstance(verdict, Decision) else ()
    return [(each.type, encode(each.data)) for each in said] == [(row["type"], row["payload"])]


async def _some_at_a_time(connection: Connection, aggregate: str) -> AsyncIterator[list[asyncpg.Record]]:
    found: list[asyncpg.Record] = []
    async for row in rows(connection, LOG, aggregate):
        found.append(row)
        if len(found) == FETCHED:
            yield found
            found = []
    yield found


async def _sent(gateway: Connection, service: str, events: Sequence[Named]) -> dict[Named, Message]:
    """These submissions as the gateway has them, decoded."""
    found = await gateway.fetch(SENT, [source for source, _ in events], [event_id for _, event_id in events])
    topic = submission_topic(service)
    return {
        (row["source"], row["event_id"]): decode(
            Kept(topic, 0, 0, tuple((name, text.encode()) for name, text in row["headers"].items()), row["payload"])
        )
        for row in found
    }


def _submission(row: asyncpg.Record, message: Message) -> Submission:
    """As `decide` was given it; its id, its number and the time at which it was recorded are the log's."""
    assert message.envelope is not None and message.data is not None, message.error
    return Submission(
        submission_id=row["cause"],
        source=row["source"],
        event_id=row["event_id"],
        type=message.envelope.type,
        subject=row["subject"],
        tenant=message.envelope.tenant,
        time=message.envelope.time,
        recorded_at=row["recorded_at"],
        sequence=row["sequence"],
        data=message.data,
    )


def in_order(logs: Collection[Sequence[Named]], ledger: Sequence[Entry]) -> list[Finding]:
    """Of two submissions about one subject, where the second was sent after its sender had been told that the first is
    there, the second stands behind the first: those that do not. So it is with two that were sent first in one request
    and accepted together, by their places there. Each log is what was applied to a subject, in order.
    """
    sent: dict[Named, int] = {}
    told: dict[Named, int] = {}
    first: dict[Named, int] = {}  # the request in which it was sent first
    places: dict[Named, tuple[int, int, int]] = {}  # request and attempt that it was accepted by, and where it stood
    for number, entry in enumerate(ledger):
        event = (entry.sending.source, entry.sending.id)
        sent.setdefault(event, entry.sent)
        if first.setdefault(event, entry.request) == entry.request and entry.answer.said == "accepted":
            places[event] = (entry.request, entry.attempt, number)
        if entry.answer.said in ("accepted", "duplicate") and entry.told is not None:
            told[event] = min(entry.told, told.get(event, entry.told))
    findings = []
    for log in logs:
        behind: tuple[float, Named] = (inf, ("", ""))  # of those behind it, the one whose sender was told first
        for event in reversed(log):
            if behind[0] < sent.get(event, -1):
                text = f"{event} was sent when {behind[1]} had been accepted, and is applied before it"
                findings.append(Finding("O3", text, event))
            behind = min(behind, (told.get(event, inf), event))
    return findings + _in_place(logs, places)


def _in_place(logs: Iterable[Sequence[Named]], places: Mapping[Named, tuple[int, int, int]]) -> list[Finding]:
    """What stands in a log before something that stood before it in the request that brought both."""
    findings = []
    for log in logs:
        behind: dict[tuple[int, int], tuple[int, Named]] = {}  # of each request, the one behind it that stood first
        for event in reversed(log):
            if event in places:
                request, attempt, place = places[event]
                least = behind.setdefault((request, attempt), (place, event))
                if least[0] < place:
                    text = f"{event} stood behind {least[1]} in the request of both, and is applied before it"
                    findings.append(Finding("O3", text, event))
                else:
                    behind[request, attempt] = (place, event)
    return findings
