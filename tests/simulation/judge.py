"""What must hold when everything is at rest: O1 to O6 of the protocol, in memory, against what was published."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from contracts.decision import Decision, Rejected, Waits
from contracts.submission import SUBMISSIONS, WITHDRAWN
from contracts.topics import TOPICS, domain_topic, submission_topic
from tests.deciding import submission
from tests.simulation.broker import Record
from tests.simulation.domain import DECIDING, DOMAIN
from tests.simulation.world import World

FINAL = ("applied", "rejected", "withdrawn")
Event = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Found:
    """The rows of one service."""

    inbox: dict[Event, Any]
    held: list[Any]
    log: dict[tuple[str, UUID], list[Any]]  # (aggregate, subject): events by number


async def judge(world: World) -> None:
    """Raises AssertionError with the first thing that is not as it must be."""
    masters = world.stage.masters
    submissions = {
        (row["source"], row["event_id"]): row for row in await masters["gateway"].fetch("SELECT * FROM submission")
    }
    _published(world, submissions)
    found = {service: await _found(world, service) for service in DECIDING}
    for service, decided in found.items():
        mine = {event: row for event, row in submissions.items() if row["service"] == service}
        known = await _known(world, service)
        _one_place(service, mine, decided, known, world)
        await _log(world, service, decided)
        _said(world, service, decided)
        _as_decided(world, service, mine, decided, known)
        _withdrawn(mine, decided)
    await _read(world, {key: events for decided in found.values() for key, events in decided.log.items()})


async def all_ended(world: World) -> None:
    """O1 before anything is repeated, which would mend a loss: each submission was decided, and its sender told."""
    silent = await world.stage.masters["gateway"].fetch(
        "SELECT service, source, event_id FROM submission WHERE state = 'received'"
    )
    assert not silent, f"nothing became of {silent}"


def _published(world: World, submissions: Mapping[Event, Any]) -> None:
    """O5, O6: what was answered for is there, what was refused is not, what is not known is there or not."""
    taken = {(f"/provinces/{sent.tenant}/test", sent.id) for sent in world.ledger if sent.answer == "accepted"}
    unknown = {(f"/provinces/{sent.tenant}/test", sent.id) for sent in world.ledger if sent.answer is None}
    assert taken <= submissions.keys(), f"accepted and lost: {taken - submissions.keys()}"
    assert submissions.keys() <= taken | unknown, f"never accepted: {submissions.keys() - taken - unknown}"
    for sent in world.ledger:
        if sent.answer == "accepted":
            body = json.loads(submissions[f"/provinces/{sent.tenant}/test", sent.id]["body"])
            assert (body["type"], body["data"]) == (sent.value["type"], sent.value["data"]), f"{sent.id}: {body}"


async def _found(world: World, service: str) -> Found:
    master = world.stage.masters[service]
    inbox = {(row["source"], row["event_id"]): row for row in await master.fetch("SELECT * FROM inbox")}
    held = await master.fetch("SELECT *, coalesce(n, id) AS place FROM held ORDER BY coalesce(n, id)")
    log: dict[tuple[str, UUID], list[Any]] = {}
    for row in await master.fetch("SELECT *, headers::text AS heads FROM event ORDER BY aggregate, subject, sequence"):
        log.setdefault((row["aggregate"], row["subject"]), []).append(row)
    return Found(inbox, held, log)


async def _known(world: World, service: str) -> dict[UUID, str]:
    """References that exist, with their tenants."""
    table = "owner" if service == "registry" else "known_product"
    rows = await world.stage.masters[service].fetch(f"SELECT id, tenant FROM {table}")  # noqa: S608  # one of two
    known = {row["id"]: row["tenant"] for row in rows}
    assert len(known) == len(rows), f"{table}: a row twice"
    return known


def _one_place(
    service: str, submissions: Mapping[Event, Any], found: Found, known: Mapping[UUID, str], world: World
) -> None:
    """O1: every submission is in exactly one state, gateway and decider agree, and what waits has a reason."""
    assert found.inbox.keys() <= submissions.keys(), f"{service}: strangers in the inbox"
    places = Counter((row["source"], row["event_id"]) for row in found.held if row["n"] is None and row["queue"])
    for event, row in submissions.items():
        inbox = found.inbox.get(event)
        assert inbox is not None, f"{service}: {event} never arrived"
        assert row["state"] == inbox["state"], f"{event}: {row['state']} at the gateway, {inbox['state']} here"
        expected = 0 if inbox["state"] in FINAL else 1
        assert places[event] == expected, f"{service}: {event} is {inbox['state']}, and held {places[event]} times"
        assert inbox["state"] != "failed", f"{service}: {event} is failed still: {inbox['code']}"
    nameless = [row for row in found.held if row["queue"] is None]
    assert len(nameless) <= world.nameless
    heads: dict[tuple[str, UUID], Any] = {}
    for row in found.held:
        if row["queue"] is not None:
            heads.setdefault((row["queue"], row["subject"]), row)
    for key, head in heads.items():
        assert head["reason"] == "waiting", f"{service}: at the head of {key} stands a row that is {head['reason']}"
        assert head["waits_for"] not in known, f"{service}: {key} waits for what is known"


async def _log(world: World, service: str, found: Found) -> None:
    """O4: numbered without a hole, recorded in order, caused by what was applied, and folded into the state."""
    master = world.stage.masters[service]
    by_submission = {row["submission_id"]: row for row in found.inbox.values()}
    said: Counter[UUID] = Counter()
    numbers = {(row["aggregate"], row["id"]): row for row in await master.fetch("SELECT * FROM subject")}
    for key, events in found.log.items():
        assert [row["sequence"] for row in events] == list(range(1, len(events) + 1)), f"{key}: {events}"
        assert numbers[key]["last_sequence"] == len(events), key
        times = [row["recorded_at"] for row in events]
        assert times == sorted(set(times)), f"{key}: recorded times step back"
        for row in events:
            inbox = by_submission.get(row["cause"])
            assert inbox is not None and row["id"] in inbox["event_ids"], f"{key}: an event without its submission"
            said[row["id"]] += 1
    claimed = Counter(event_id for row in found.inbox.values() for event_id in row["event_ids"])
    assert said == claimed, f"{service}: {claimed - said} was never written, or {said - claimed} nobody's"
    for decider in DECIDING[service]:
        name = decider.aggregate
        rows = await master.fetch(f"SELECT id, data::text AS data FROM {name}")  # noqa: S608  # from the wiring
        states = {row["id"]: json.loads(row["data"]) for row in rows}
        folded = {key[1]: json.loads(events[-1]["payload"]) for key, events in found.log.items() if key[0] == name}
        assert states == folded, f"{name}: state is not the fold of the log"


def _said(world: World, service: str, found: Found) -> None:
    """O2: every event is on its topic, byte-equal, first appearances in order; nothing there is anybody else's."""
    for decider in DECIDING[service]:
        topic = domain_topic(service, decider.aggregate)
        first: dict[str, Record] = {}
        for record in world.stage.broker.of(topic):
            if record.ours:
                first.setdefault(record.named("id"), record)
        log = [row for key, events in found.log.items() if key[0] == decider.aggregate for row in events]
        assert first.keys() == {str(row["id"]) for row in log}, f"{topic}: other events than in the log"
        for row in log:
            record = first[str(row["id"])]
            assert record.value == row["payload"], f"{topic}: {row['id']} says something else than the log"
            headers = {name: value.decode() for name, value in record.headers}
            assert headers == json.loads(row["heads"]), f"{topic}: {row['id']} has other headers than the log"
        order: dict[str, list[int]] = {}
        for record in first.values():
            order.setdefault(record.named("subject"), []).append(int(record.named("subjectsequence")))
        for subject, numbers in order.items():
            assert numbers == sorted(numbers), f"{topic}: {subject} came in the order {numbers}"
    made = {str(row["id"]) for events in found.log.values() for row in events}
    for record in world.stage.broker.of(f"ocop.{service}.outcome"):
        if record.ours:
            outcome = json.loads(record.value)
            inbox = found.inbox.get((outcome["source"], outcome["event_id"]))
            assert inbox is not None and int(record.named("subjectsequence")) <= inbox["outcome_seq"]
            # An end whose event was lost with the database before it came to its topic is decided again.
            if (
                outcome["state"] in FINAL
                and outcome.get("code") != "conflict"
                and made.issuperset(outcome["event_ids"])
            ):
                assert outcome["state"] == inbox["state"], f"{outcome['event_id']} was told {outcome}, and is {inbox}"


def _withdrawn(submissions: Mapping[Event, Any], found: Found) -> None:
    """Who was told that his withdrawal was applied has his submission withdrawn; and nobody else."""
    taken_back = {
        (event[0], json.loads(row["body"])["data"]["event_id"])
        for event, row in submissions.items()
        if row["type"] == WITHDRAWN and found.inbox[event]["state"] == "applied"
    }
    withdrawn = {event for event, row in found.inbox.items() if row["state"] == "withdrawn"}
    assert taken_back == withdrawn, f"withdrawals applied of {taken_back}, withdrawn are {withdrawn}"


def _as_decided(
    world: World, service: str, submissions: Mapping[Event, Any], found: Found, known: Mapping[UUID, str]
) -> None:
    """Per subject, in the order of arrival: what `decide` says of each is what became of it."""
    queues: dict[tuple[str, UUID], list[Event]] = {}
    seen: set[Event] = set()
    for record in world.stage.broker.history:
        if record.topic != submission_topic(service):
            continue
        event = (record.named("source"), record.named("id"))
        row = submissions.get(event)
        if row is None or event in seen or row["type"] == WITHDRAWN:
            continue
        seen.add(event)
        queues.setdefault((SUBMISSIONS[row["type"]].aggregate, row["subject"]), []).append(event)
    deciders = {decider.aggregate: decider for decider in DECIDING[service]}
    for key, events in queues.items():
        if any(id_ in world.unsure for _, id_ in events):
            continue
        applied = [row["id"] for row in found.log.get(key, [])]
        expected = [event_id for event in events for event_id in found.inbox[event]["event_ids"]]
        assert applied == expected, f"{key}: decided in another order than they came: {events}"
        state, number, blocked = None, 1, False
        for event in events:
            inbox = found.inbox[event]
            if inbox["state"] == "withdrawn":
                continue
            verdict = deciders[key[0]].decide(
                state, submission(json.loads(submissions[event]["body"]), number, submissions[event]["tenant"]), known
            )
            blocked |= isinstance(verdict, Waits)
            if blocked:
                assert inbox["state"] == "waiting", f"{event} is {inbox['state']} behind one that waits"
            elif isinstance(verdict, Rejected):
                assert (inbox["state"], inbox["code"]) == ("rejected", verdict.code), f"{event}: {inbox}"
            elif isinstance(verdict, Decision):
                assert inbox["state"] == "applied", f"{event} is {inbox['state']} {inbox['code']}, not applied"
                state, number = verdict.state, number + len(verdict.events)


async def _read(world: World, log: Mapping[tuple[str, UUID], list[Any]]) -> None:
    """O3: each reader has applied 1 … n of each subject, each once; what it keeps is the last."""
    master = world.stage.masters["national"]
    names = {topic: TOPICS[topic].aggregate or "" for topic in DOMAIN}
    topics = {name: topic for topic, name in names.items()}
    want = {(topics[name], subject): len(events) for (name, subject), events in log.items()}
    assert await _streams(world, "national") == want
    products = {key: number for key, number in want.items() if key[0] == topics["product"]}
    assert await _streams(world, "evaluation") == products
    effects = Counter(row["id"] for row in await master.fetch("SELECT id FROM sim_event"))
    assert effects == Counter(row["id"] for events in log.values() for row in events), "effects are not once each"
    for topic, name in names.items():
        rows = await master.fetch(f"SELECT subject, sequence FROM sim_{name}")  # noqa: S608  # from the wiring
        kept = sorted((row["subject"], row["sequence"]) for row in rows)
        assert kept == sorted((s, n) for (t, s), n in want.items() if t == topic), f"{name}: {kept}"
    for service in ("national", "evaluation"):
        left = await world.stage.masters[service].fetch("SELECT topic, subject, n, reason FROM held WHERE n > 0")
        assert not left, f"{service}: {left}"
    known = await world.stage.masters["evaluation"].fetch("SELECT id FROM known_product")
    assert {row["id"] for row in known} == {subject for _, subject in products}


async def _streams(world: World, service: str) -> dict[tuple[str, UUID], int]:
    rows = await world.stage.masters[service].fetch("SELECT * FROM stream WHERE applied > 0")
    return {(row["topic"], row["subject"]): row["applied"] for row in rows}
