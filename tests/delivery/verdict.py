"""Compares what the sender wrote down with what the system has, when all is quiet: the sender's side of O1 to O7."""

import hashlib
import json
import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

import httpx2

from contracts.envelope import canonical
from contracts.topics import TOPICS
from ocop.rules.evidence import Connection, Finding, Named, digest, records, rows, uuid_of
from servicekit import database
from tests.delivery import decisions
from tests.delivery.ledger import NO_RETRY_AFTER, Entry

SAMPLED = 200  # submissions that are asked for with other keys
OPEN = ("unknown", "unavailable")


@dataclass(frozen=True, slots=True)
class Kept:
    """A submission as the gateway has it."""

    id: UUID
    sha256: str
    payload: bytes  # a digest
    state: str


def refused(ledger: Iterable[Entry]) -> set[Named]:
    """What was only ever refused: it must be nowhere."""
    said: dict[Named, set[str]] = {}
    for entry in ledger:
        said.setdefault((entry.sending.source, entry.sending.id), set()).add(entry.answer.said)
    return {event for event, answers in said.items() if answers == {"refused"}}


async def compare(bootstrap: str, urls: Mapping[str, str], ledger: Sequence[Entry]) -> list[Finding]:
    """Findings by the ledger, the gateway's table, the topics of submissions and the logs."""
    return [*await taken(bootstrap, urls["gateway"], ledger), *await decisions.compare(urls, ledger)]


async def taken(bootstrap: str, gateway_url: str, ledger: Sequence[Entry]) -> list[Finding]:
    """The same without the logs: what the gateway took, and what went on from there."""
    gateway = await database.connect(gateway_url, name="verdict")
    try:
        kept, findings = await _gateway(gateway)
    finally:
        await gateway.close()
    findings += await _topics(bootstrap, kept)
    of_event: dict[Named, list[Entry]] = {}
    for entry in ledger:
        of_event.setdefault((entry.sending.source, entry.sending.id), []).append(entry)
    for event, entries in of_event.items():
        findings += [Finding(rule, f"{event} {text}", event) for rule, text in _event(entries, kept.get(event))]
    findings += [Finding("O1", f"{e} is in the gateway and was never sent", e) for e in kept.keys() - of_event.keys()]
    return findings + _wholes(ledger, kept)


async def _gateway(gateway: Connection) -> tuple[dict[Named, Kept], list[Finding]]:
    """What the gateway has; the payload that goes on is what the bytes say."""
    kept, findings = {}, []
    async for row in rows(gateway, "SELECT id, source, event_id, body, payload, state FROM submission"):
        event, body, payload = (row["source"], row["event_id"]), row["body"], row["payload"]
        kept[event] = Kept(row["id"], hashlib.sha256(body).hexdigest(), digest(payload), row["state"])
        if canonical(json.loads(body)["data"]) != payload:
            findings.append(Finding("O2", f"{event} goes on as other than it came", event))
    return kept, findings


async def _topics(bootstrap: str, kept: Mapping[Named, Kept]) -> list[Finding]:
    """Every submission is on a topic as the gateway has it."""
    missing = {each.id: event for event, each in kept.items()}
    payloads = {each.id: each.payload for each in kept.values()}
    for topic in TOPICS.values():
        if topic.kind == "submission":
            async for record in records(bootstrap, topic.name):
                submission_id = uuid_of(record.said("ce_correlationid"))
                if submission_id is not None and payloads.get(submission_id) == digest(record.value):
                    missing.pop(submission_id, None)
    return [Finding("O2", f"{event} is on no topic as it was accepted", event) for event in missing.values()]


def _event(entries: Sequence[Entry], kept: Kept | None) -> list[tuple[str, str]]:
    """What is wrong with one event, after all that was answered of it."""
    said = Counter(entry.answer.said for entry in entries)
    found: list[tuple[str, str]] = []
    for entry in entries:
        if entry.answer.said == "refused" and entry.sending.ends != ("refused",):
            found.append(("O5", f"was meant as {entry.sending.intent} and was refused: {entry.answer.code}"))
    crashed = [entry.answer.code for entry in entries if entry.answer.said == "unknown" and entry.answer.code]
    if crashed:
        found.append(("O6", f"was answered {crashed[0]}, which is no answer"))
    hopeless = [entry.answer.code for entry in entries if (entry.answer.code or "").endswith(NO_RETRY_AFTER)]
    if hopeless:
        found.append(("O6", f"was answered {hopeless[0]}"))
    if said["accepted"] > 1:
        found.append(("O1", f"was accepted {said['accepted']} times"))
    if kept is None:
        if said["accepted"] or said["duplicate"] or said["conflict"]:
            found.append(("O1", "was accepted and is not in the gateway"))
        return found
    if set(said) == {"refused"}:
        found.append(("O5", "was refused and is in the gateway"))
    taken = [e for e in entries if e.answer.said == "accepted"] or [
        e for e in entries if e.answer.said in ("duplicate", *OPEN)
    ]
    same = [entry for entry in taken if entry.sending.sha256 == kept.sha256]
    if not same:
        found.append(("O1", "is in the gateway in bytes that were not accepted"))
    elif kept.state not in {end for entry in same for end in entry.sending.ends}:
        found.append(("O1", f"is {kept.state}; meant as {same[0].sending.intent}, to be {same[0].sending.ends}"))
    for entry in entries:
        if entry.answer.submission_id not in (None, str(kept.id)):
            found.append(("O1", f"was answered as {entry.answer.submission_id}, the gateway has {kept.id}"))
        if entry.answer.said == "duplicate" and entry.sending.intent == "conflict" and entry not in taken:
            found.append(("O1", "has other content and was answered duplicate"))
        if entry.answer.said == "conflict" and entry.sending.sha256 == kept.sha256:
            found.append(("O1", "was accepted and answered conflict"))
        if entry.sending.ends == ("refused",) and entry.answer.said not in ("refused", *OPEN):
            found.append(("O5", f"was to be refused and was answered {entry.answer.said}"))
    return found


def _wholes(ledger: Sequence[Entry], kept: Mapping[Named, Kept]) -> list[Finding]:
    """O6: a request whose answer was lost is there as a whole or not at all.

    It was sent again until it was answered: then its events are all accepted, or all duplicates.
    """
    findings = []
    first: dict[Named, int] = {}
    last: dict[int, tuple[int, list[Entry]]] = {}  # request -> its last attempt
    for entry in ledger:
        if entry.sending.ends != ("refused",):
            first.setdefault((entry.sending.source, entry.sending.id), entry.request)
            attempt, entries = last.get(entry.request, (-1, []))
            last[entry.request] = (entry.attempt, [*entries, entry] if attempt == entry.attempt else [entry])
    for request, (_, entries) in last.items():
        own = {event: e for e in entries if first[event := (e.sending.source, e.sending.id)] == request}
        said = {entry.answer.said for entry in own.values()} - {"conflict", "refused"}
        there = {event in kept for event in own}
        if len(said) > 1 or (said & set(OPEN) and len(there) > 1):
            event = next(iter(own))
            findings.append(Finding("O6", f"{event} and those sent with it are there in part: {sorted(said)}", event))
    return findings


async def repeats(bootstrap: str) -> tuple[dict[str, int], dict[str, int]]:
    """Records that say what an earlier one of their topic has said, and all records; by kind of topic."""
    again: Counter[str] = Counter()
    every: Counter[str] = Counter()
    for topic in TOPICS.values():
        seen = set()
        async for record in records(bootstrap, topic.name):
            what = digest(*((record.said(name) or "").encode() for name in ("ce_source", "ce_id")))
            every[topic.kind] += 1
            again[topic.kind] += what in seen
            seen.add(what)
    return dict(again), dict(every)


async def reachable(gateway: str, keys: Mapping[str, str], ledger: Sequence[Entry], seed: int) -> list[Finding]:
    """O7: what one tenant sent cannot be had with another's key, asked for one by one and in lists."""
    findings = []
    accepted = [entry for entry in ledger if entry.answer.said == "accepted"]
    sample = random.Random(seed).sample(accepted, min(SAMPLED, len(accepted)))  # noqa: S311  # repeatable, not secret
    async with httpx2.AsyncClient(base_url=gateway, timeout=30) as client:
        for source, key in keys.items():
            tenant, headers = source.split("/")[2], {"Authorization": f"Bearer {key}"}
            for entry in sample:
                sending, address = entry.sending, f"/v1/submissions/{entry.answer.submission_id}"
                status = (await client.get(address, headers=headers)).status_code
                if status != (200 if sending.tenant == tenant else 404):
                    event = (sending.source, sending.id)
                    findings.append(Finding("O7", f"{event} is answered {status} to {tenant}", event))
            page = (await client.get("/v1/submissions?limit=500", headers=headers)).json()
            for told in page["submissions"]:
                if told["source"].split("/")[2] != tenant:
                    event = (told["source"], told["id"])
                    findings.append(Finding("O7", f"{event} is listed to {tenant}", event))
    return findings
