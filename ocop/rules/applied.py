"""O3: every reader has applied 1 … n of every subject, each once, or the next number is held as failed."""

import json
from collections.abc import Collection
from uuid import UUID, uuid5

from notifications.domain import REVOKED

from contracts.outcome import FINAL
from contracts.topics import TOPICS
from ocop.rules.evidence import Connection, Finding, Record, rows, skipped, uuid_of


async def applied(reader: str, connection: Connection, topic: str, owner: Connection) -> list[Finding]:
    """Compares how far a reader stands in a numbered topic with the log of who writes it.

    Only the next number explains that a subject stands: it was read and failed. A row held before a gap explains
    nothing, for what is missing is on the topic (O2) and all of the topic has been read. Nothing of a numbered topic
    waits for a reference, and bytes that name no number are of no queue.
    """
    query = "SELECT subject, applied FROM stream WHERE topic = $1"
    stands = {row["subject"]: row["applied"] async for row in rows(connection, query, topic)}
    query = """SELECT DISTINCT ON (subject) subject, n, reason FROM held WHERE queue = $1
               ORDER BY subject, coalesce(n, id)"""
    heads = {row["subject"]: (row["n"], row["reason"]) for row in await connection.fetch(query, topic)}
    findings = []
    logged = set()
    query = """SELECT DISTINCT ON (subject) subject, sequence, id FROM event WHERE aggregate = $1
               ORDER BY subject, sequence DESC"""
    async for row in rows(owner, query, TOPICS[topic].aggregate):
        subject, last = row["subject"], row["sequence"]
        logged.add(subject)
        stand, head = stands.get(subject, 0), heads.get(subject)
        if stand != last and not (stand < last and head == (stand + 1, "failed")):
            held = f", and holds {head[0]} as {head[1]}" if head else ""
            text = f"{reader}: {topic} {subject} is applied to {stand} of {last}{held}"
            findings.append(Finding("O3", text, row["id"]))
    for subject, number in stands.items():
        if number and subject not in logged:
            findings.append(Finding("O3", f"{reader}: {topic} {subject} is applied and not in the log"))
    if reader == "national":
        query = "SELECT id, count(*) AS n FROM event WHERE topic = $1 GROUP BY id HAVING count(*) <> 1"
        for row in await connection.fetch(query, topic):
            findings.append(Finding("O3", f"national: event {row['id']} has {row['n']} rows", row["id"]))
        count = await connection.fetchval("SELECT count(*) FROM event WHERE topic = $1", topic)
        due = sum(stands.values()) - sum(1 for where, _, _ in await skipped(connection) if where == topic)
        if count != due:
            text = f"national: {topic} has {count} event rows, {due} applied and not passed over"
            findings.append(Finding("O3", text))
    return findings


class Deliveries:
    """Sees all that notifications reads: each rejection, wait and revocation is one delivery, and there is no other."""

    def __init__(self, skipped: Collection[tuple[str, UUID, int]]) -> None:
        self._skipped = skipped
        self._expected: dict[UUID, UUID] = {}  # delivery -> its cause
        self._ended: set[UUID] = set()

    def see(self, record: Record) -> None:
        """One record of an outcome topic or of the recognitions."""
        if not record.topic.endswith(".outcome"):
            cause = uuid_of(record.said("ce_id"))
            if cause is not None and record.said("ce_type") == REVOKED and record.number not in self._skipped:
                self._expected[uuid5(cause, "revoked")] = cause
            return
        try:
            outcome = json.loads(record.value)
            cause, state = UUID(outcome["submission_id"]), outcome["state"]
        except (ValueError, KeyError, TypeError, RecursionError):
            return  # O2 names it
        if state in ("rejected", "waiting"):
            self._expected[uuid5(cause, state)] = cause
        if state in FINAL:
            self._ended.add(cause)

    async def compare(self, connection: Connection) -> list[Finding]:
        """What is missing among the deliveries, or too many, when all topics have been seen."""
        named = "queue IS NOT NULL OR source <> ''"
        if await connection.fetchval(
            f"""SELECT EXISTS (SELECT FROM held WHERE {named}
                               UNION ALL SELECT FROM skipped WHERE n IS NULL AND ({named}))"""  # noqa: S608  # from above
        ):
            return []  # what was put aside explains itself; which deliveries hang on it cannot be told
        # What names nothing hangs on nothing: it was thrown in beside what was said.
        findings = []
        missing = dict(self._expected)
        async for row in rows(connection, "SELECT id, rule, cause, cancelled, mail FROM delivery"):
            if missing.pop(row["id"], None) is None:
                findings.append(
                    Finding("O3", f"notifications: nothing asks for {row['rule']} {row['cause']}", row["cause"])
                )
            elif row["rule"] == "waiting" and row["cause"] in self._ended and not (row["cancelled"] or row["mail"]):
                findings.append(Finding("O3", f"notifications: {row['cause']} no longer waits", row["cause"]))
        for cause in missing.values():
            findings.append(Finding("O3", f"notifications: {cause} has no delivery", cause))
        return findings
