"""O2: what was decided is on its topic, byte for byte, first appearances in order; nothing else is there.

Nothing but what an operator has passed over: its bytes stay on the topic, but somebody knows of them.
"""

import json
from collections.abc import Collection, Iterable, Mapping
from sys import intern
from typing import Any
from uuid import UUID

from contracts.outcome import FINAL
from contracts.topics import domain_topic, outcome_topic
from ocop.rules.evidence import (
    Connection,
    Finding,
    Named,
    Record,
    digest,
    of_headers,
    rows,
    shortened,
    submissions_passed_over,
    uuid_of,
)

PassedOver = Collection[tuple[str, bytes]]  # topic and content
NEVER_DECIDED: tuple[str, int, bytes, UUID | None] = ("", 0, b"", None)


class Submissions:
    """Sees a submission topic: every record is a submission of the gateway's, headers too, under its subject's key."""

    def __init__(self, known: Mapping[UUID, bytes], passed_over: PassedOver) -> None:
        self._known, self._passed_over = known, passed_over
        self._findings: list[Finding] = []

    @classmethod
    async def of(cls, gateway: Connection, service: str, passed_over: PassedOver) -> "Submissions":
        """For the submissions that a service decides."""
        query = "SELECT id, headers, payload FROM submission WHERE service = $1"
        return cls(
            {
                row["id"]: digest(of_headers(row["headers"]), row["payload"])
                async for row in rows(gateway, query, service)
            },
            passed_over,
        )

    def see(self, record: Record) -> None:
        """One record."""
        submission_id = uuid_of(record.said("ce_correlationid"))
        if submission_id is None or self._known.get(submission_id) != record.content:
            if (record.topic, record.content) not in self._passed_over:
                self._findings.append(Finding("O2", f"{record.place} is no submission of the gateway's", record.event))
        elif not record.is_under(record.said("ce_subject") or ""):
            self._findings.append(Finding("O2", f"{record.place} is not under its subject's key", record.event))

    async def end(self) -> list[Finding]:
        """What was wrong."""
        return self._findings


class Log:
    """Sees a domain topic: the log of one aggregate, each event at least once, and nothing else, whoever said it."""

    def __init__(self, service: str, aggregate: str, passed_over: PassedOver) -> None:
        self.service, self.aggregate = service, aggregate
        self._passed_over = passed_over
        self._known: dict[UUID, tuple[UUID, int, bytes]] = {}
        self._missing: set[UUID] = set()
        self._first: dict[UUID, int] = {}
        self._findings: list[Finding] = []

    @classmethod
    async def of(cls, service: str, aggregate: str, decider: Connection, passed_over: PassedOver) -> "Log":
        """For what a service's log says of one kind of aggregate."""
        log, last = cls(service, aggregate, passed_over), (UUID(int=0), 0)
        query = "SELECT subject, sequence, id, headers, payload FROM event WHERE aggregate = $1 ORDER BY 1, 2"
        async for row in rows(decider, query, aggregate):
            subject, number = row["subject"], row["sequence"]
            if number != (last[1] + 1 if subject == last[0] else 1):
                log._found(f"{service}: the log of {aggregate} {subject} jumps to {number}", row["id"])
            last = (subject, number)
            log._known[row["id"]] = (subject, number, digest(of_headers(row["headers"]), row["payload"]))
        log._missing = set(log._known)
        query = """SELECT s.id, s.last_sequence, max(e.sequence) AS last FROM subject s
                   LEFT JOIN event e ON e.aggregate = s.aggregate AND e.subject = s.id
                   WHERE s.aggregate = $1 GROUP BY 1, 2 HAVING s.last_sequence <> coalesce(max(e.sequence), 0)"""
        for row in await decider.fetch(query, aggregate):
            log._found(f"{service}: {aggregate} {row['id']} stands at {row['last_sequence']}, its log at {row['last']}")
        return log

    def _found(self, text: str, who: UUID | None = None) -> None:
        self._findings.append(Finding("O2", text, who))

    def see(self, record: Record) -> None:
        """One record."""
        event_id = uuid_of(record.said("ce_id"))
        known = self._known.get(event_id) if event_id else None
        if event_id is None or known is None:
            if (record.topic, record.content) not in self._passed_over:
                self._found(f"{record.place} is not in the log", event_id)
            return
        subject, number, content = known
        if record.content != content:
            self._found(f"{record.place} differs from the log", event_id)
        if not record.is_under(str(subject)):
            self._found(f"{record.place} is not under its subject's key", event_id)
        if event_id in self._missing:
            self._missing.discard(event_id)
            due = self._first.get(subject, 0) + 1
            if number != due:
                self._found(f"{record.place} appears before {due} of its subject", event_id)
            self._first[subject] = number

    async def end(self) -> list[Finding]:
        """What was wrong, and what never came."""
        topic = domain_topic(self.service, self.aggregate)
        for event_id in sorted(self._missing):
            self._found(f"{self.service}: event {event_id} is not on its topic {topic}", event_id)
        return self._findings


class Outcomes:
    """Sees an outcome topic: it says what the inbox says, and says the end of every submission.

    An end is one for ever: with another number, too, none is said that is not the inbox's. What a conflict was told is
    of another copy, and no end. Where the topic has lost its beginning, what the gateway has heard was said.
    """

    def __init__(self, service: str, gateway: Connection, bootstrap: str, passed_over: PassedOver) -> None:
        self.service = service
        self._gateway, self._bootstrap, self._passed_over = gateway, bootstrap, passed_over
        self._inbox: dict[Named, tuple[str, int, bytes, UUID | None]] = {}
        self._received: dict[Named, UUID] = {}  # under which id, where the inbox has another: told to both
        self._unsaid: set[Named] = set()
        self._twice: set[Named] = set()  # what another copy conflicted with
        self._findings: list[Finding] = []

    @classmethod
    async def of(
        cls, service: str, decider: Connection, gateway: Connection, bootstrap: str, passed_over: PassedOver
    ) -> "Outcomes":
        """For what a service says of its inbox."""
        seen = cls(service, gateway, bootstrap, passed_over)
        query = "SELECT source, event_id, submission_id, state, outcome_seq, code, pointer, event_ids FROM inbox"
        async for row in rows(decider, query):
            said = _told(row["code"], row["pointer"], map(str, row["event_ids"]))
            seen._inbox[intern(row["source"]), row["event_id"]] = (
                intern(row["state"]),
                row["outcome_seq"],
                said,
                row["submission_id"],
            )
        strange = await submissions_passed_over(decider)
        async for row in rows(gateway, "SELECT source, event_id, id FROM submission WHERE service = $1", service):
            event = (intern(row["source"]), row["event_id"])
            strange.discard(event)
            if seen._inbox.get(event, NEVER_DECIDED)[3] != row["id"]:
                seen._received[event] = row["id"]
        conflicts = await gateway.fetch("SELECT source, event_id FROM outcome WHERE code = 'conflict'")
        seen._twice = {(row["source"], row["event_id"]) for row in conflicts}
        seen._unsaid = seen._inbox.keys() - strange
        return seen

    def see(self, record: Record) -> None:
        """One record."""
        if record.said("ce_source") != f"/services/{self.service}":
            self._found(record, record.event, f"{record.place} is not said by {self.service}")
            return
        try:
            outcome: dict[str, Any] = json.loads(record.value)
            event = (outcome["source"], outcome["event_id"])
            number, state = int(record.said("ce_subjectsequence") or ""), outcome["state"]
            code, told = outcome.get("code"), _told(outcome.get("code"), outcome.get("pointer"), outcome["event_ids"])
            known, last, said, submission = self._inbox.get(event, NEVER_DECIDED)
            to = str(outcome["submission_id"])
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            self._found(record, None, f"{record.place} claims to be an outcome and cannot be read")
            return
        if number > last:
            self._found(record, event, f"{record.place} tells of {event} what its decider does not know")
        elif set(_names(record)) != {to} or not record.is_under(to):
            self._found(record, event, f"{record.place} is not under the submission {to} that it tells of")
        elif code == "conflict":
            return
        elif uuid_of(to) not in (submission, self._received.get(event)):
            self._found(record, event, f"{record.place} tells of {event} to another submission, {to}")
        elif state != known:
            if number == last or state in FINAL:
                self._found(record, event, f"{record.place} says {state}, the inbox {known}")
        elif number == last and told != said:
            self._found(record, event, f"{record.place} says {state} otherwise than the inbox")
        # A conflict takes a number too; then the end of the first has an earlier one.
        if number == last or (event in self._twice and (state, told) == (known, said)):
            self._unsaid.discard(event)

    def _found(self, record: Record, event: Named | None, text: str) -> None:
        if (record.topic, record.content) not in self._passed_over:
            self._findings.append(Finding("O2", text, event))

    async def end(self) -> list[Finding]:
        """What was wrong, and what was never said."""
        # Asked after reading: what goes while the topic is read is missed by nobody.
        if self._unsaid and await shortened(self._bootstrap, outcome_topic(self.service)):
            query = """SELECT source, event_id, number, state, code FROM outcome
                       WHERE (source, event_id) IN (SELECT * FROM unnest($1::text[], $2::text[]))"""
            names = [source for source, _ in self._unsaid], [event_id for _, event_id in self._unsaid]
            async for row in rows(self._gateway, query, *names):
                event = (row["source"], row["event_id"])
                known, last, *_ = self._inbox[event]
                first = event in self._twice and row["code"] != "conflict" and row["state"] == known
                if row["number"] == last or first:
                    self._unsaid.discard(event)
        unsaid = [Finding("O2", f"{self.service}: the end of {e} was never said", e) for e in sorted(self._unsaid)]
        return [*self._findings, *unsaid]


def _names(record: Record) -> tuple[str, str]:
    """The submission in an outcome's headers: as its subject, and as what it is about."""
    return record.said("ce_subject") or "", record.said("ce_correlationid") or ""


def _told(code: str | None, pointer: str | None, event_ids: Iterable[str]) -> bytes:
    """A digest of what an outcome says besides its state; what is not written is empty."""
    return digest((code or "").encode(), (pointer or "").encode(), *(each.encode() for each in event_ids))
