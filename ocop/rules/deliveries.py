"""O3: each rejection, wait and revocation is one delivery of notifications, and there is no other."""

import json
from collections.abc import AsyncIterator, Collection, Mapping
from uuid import UUID, uuid5

from notifications.domain import REVOKED

from contracts.outcome import FINAL
from contracts.topics import DECIDERS, outcome_topic
from ocop.rules.evidence import Connection, Databases, Finding, Record, rows, uuid_of

ASKING = ("rejected", "waiting")  # states that are told; the third rule is a revocation
Number = tuple[str, UUID, int]  # topic, subject, sequence


class Deliveries:
    """Sees all that notifications reads, and compares it with what notifications has to tell.

    An outcome is kept on its topic for a while, and of a topic that was lost only the last of each is said again; so
    what asked for a delivery may be there no more. What is there has its delivery, unless it was put aside itself.
    """

    def __init__(self, skipped: Collection[Number]) -> None:
        self._skipped = skipped
        self._asked: dict[UUID, UUID] = {}  # delivery -> its cause
        self._revocations: dict[UUID, Number] = {}  # delivery -> the number of its event
        self._ended: set[UUID] = set()

    def see(self, record: Record) -> None:
        """One record of an outcome topic or of the recognitions."""
        if record.topic.endswith(".outcome"):
            cause, state = _said(record.value)
            if cause is not None and state in ASKING:
                self._asked[uuid5(cause, state)] = cause
            if cause is not None and state in FINAL:
                self._ended.add(cause)
            return
        cause, number = uuid_of(record.said("ce_id")), record.number
        if cause and number and record.said("ce_type") == REVOKED and number not in self._skipped:
            self._asked[uuid5(cause, "revoked")] = cause
            self._revocations[uuid5(cause, "revoked")] = number

    async def compare(self, databases: Databases) -> list[Finding]:
        """What is missing among the deliveries, or too many, when all topics have been seen."""
        notifications, findings = databases["notifications"], []
        missing, ended = dict(self._asked), set(self._ended)
        async for cause, state in _put_aside(notifications):
            if state in ASKING:
                missing.pop(uuid5(cause, state), None)
            if state in FINAL:
                ended.discard(cause)
        query = "SELECT topic, subject, applied FROM stream"
        stands = {(row["topic"], row["subject"]): row["applied"] async for row in rows(notifications, query)}
        for delivery, (topic, subject, number) in self._revocations.items():
            if number > stands.get((topic, subject), 0):
                missing.pop(delivery, None)  # not applied yet: whether that is right is another rule's
        strange = {}
        async for row in rows(notifications, "SELECT id, rule, cause, cancelled, mail FROM delivery"):
            missing.pop(row["id"], None)
            if row["id"] not in self._asked:
                strange[row["id"]] = (row["rule"], row["cause"])
            if row["rule"] == "waiting" and row["cause"] in ended and not (row["cancelled"] or row["mail"]):
                findings.append(Finding("O3", f"notifications: {row['cause']} no longer waits", row["cause"]))
        for delivery in strange.keys() - await _heard(databases, strange):
            rule, cause = strange[delivery]
            findings.append(Finding("O3", f"notifications: nothing asks for {rule} {cause}", cause))
        for cause in missing.values():
            findings.append(Finding("O3", f"notifications: {cause} has no delivery", cause))
        return findings


async def _put_aside(notifications: Connection) -> AsyncIterator[tuple[UUID, str]]:
    """What outcomes say that are held or were passed over."""
    query = "SELECT payload FROM held WHERE topic = ANY($1) UNION ALL SELECT payload FROM skipped WHERE topic = ANY($1)"
    async for row in rows(notifications, query, [outcome_topic(service) for service in DECIDERS]):
        cause, state = _said(row["payload"])
        if cause is not None:
            yield cause, state


async def _heard(databases: Databases, strange: Mapping[UUID, tuple[str, UUID]]) -> set[UUID]:
    """Deliveries of these causes that may have been asked for by outcomes which are on their topics no more.

    The gateway has heard it. What went with its topic before the gateway had read it leaves a number that the gateway
    lacks; that was no end, for ends are said again, but it may have been a wait.
    """
    gateway, causes = databases["gateway"], [cause for _, cause in strange.values()]
    query = "SELECT submission_id, state FROM outcome WHERE submission_id = ANY($1::uuid[])"
    heard = {uuid5(row["submission_id"], row["state"]) async for row in rows(gateway, query, causes)}
    unheard = [cause for delivery, (_, cause) in strange.items() if delivery not in heard]
    numbers = "SELECT count(DISTINCT number) FROM outcome WHERE source = $1 AND event_id = $2"
    for service in DECIDERS:
        if unheard and service in databases:
            query = "SELECT submission_id AS id, source, event_id, outcome_seq FROM inbox WHERE submission_id = ANY($1)"
            for row in await databases[service].fetch(query, unheard):
                if await gateway.fetchval(numbers, row["source"], row["event_id"]) < row["outcome_seq"]:
                    heard.add(uuid5(row["id"], "waiting"))
    return heard


def _said(payload: bytes) -> tuple[UUID | None, str]:
    """Of which submission an outcome tells what state; of none, if it cannot be read: O2 names it."""
    try:
        outcome = json.loads(payload)
        return UUID(outcome["submission_id"]), str(outcome["state"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None, ""
