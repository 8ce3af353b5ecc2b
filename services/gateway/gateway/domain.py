"""Whether an event may be taken: its form, and whether the key that brought it may speak of these things.

Rules of the programme are not looked at here; they belong to the services that decide.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, Final
from uuid import UUID

from contracts.cloudevent import Read, read
from contracts.envelope import Envelope, canonical, content_digest, dataschema, to_headers
from contracts.names import Ref, aggregate_id, namespaces_of
from contracts.problems import Problem
from contracts.submission import SUBMISSIONS, WITHDRAWN, SubmissionWithdrawn


@dataclass(frozen=True, slots=True)
class Holder:
    """Whose key it is. `namespaces` are those that the key may speak of, some or all of the tenant's."""

    tenant: str
    system: str
    namespaces: frozenset[str]

    @property
    def source(self) -> str:
        """The one source that the key may send as."""
        return f"/provinces/{self.tenant}/{self.system}"


@dataclass(frozen=True)  # no slots: what it says is worked out once
class Candidate:
    """An event that may be taken. A withdrawal's service and subject are its target's, found later."""

    id: str
    source: str
    type: str
    time: datetime
    time_text: str
    traceparent: str | None
    data: Mapping[str, Any]
    raw: bytes
    service: str = ""
    subject: UUID | None = None
    ref: str = ""
    withdraws: str | None = None

    @property
    def event(self) -> tuple[str, str]:
        """What makes it one submission and no other."""
        return (self.source, self.id)

    @property
    def namespace(self) -> str:
        """Whose name for the subject `ref` is."""
        return self.ref.partition("/")[0]

    @cached_property
    def digest(self) -> str:
        """Equal for two events that say the same, however they are written."""
        return content_digest(self.type, str(self.subject), self.time_text, self.payload)

    @cached_property
    def payload(self) -> bytes:
        """What the deciding service reads."""
        return canonical(self.data)

    def headers(self, tenant: str, submission_id: UUID, received_at: datetime) -> dict[str, str]:
        """The envelope on the way to the deciding service."""
        return to_headers(
            Envelope(
                id=self.id,
                source=self.source,
                type=self.type,
                subject=str(self.subject),
                time=self.time,
                dataschema=dataschema(self.type),
                tenant=tenant,
                correlationid=str(submission_id),
                causationid=str(submission_id),
                recordedtime=received_at,
                contentdigest=self.digest,
                traceparent=self.traceparent,
            )
        )


_REFS: Final = ("owner", "product", "listing")


def examine(raw: bytes, value: Mapping[str, Any], holder: Holder, now: datetime) -> Candidate | tuple[Problem, ...]:
    """The event as it may be taken, or all that is wrong with it. An event of another's is refused for that alone."""
    if isinstance(value.get("source"), str) and value["source"] != holder.source:
        return (Problem("forbidden", "/source", {"what": value["source"][:200], "allowed": holder.source}),)
    found = read(value, now)
    if not isinstance(found, Read):
        return found
    event, ref = found.event, found.ref
    fields: dict[str, Any] = {
        "id": event.id,
        "source": event.source,
        "type": event.type,
        "time": found.time,
        "time_text": event.time,
        "traceparent": event.traceparent,
        "data": event.data,
        "raw": raw,
    }
    if event.type == WITHDRAWN:
        assert isinstance(found.data, SubmissionWithdrawn)
        return Candidate(**fields, ref=event.subject or "", withdraws=found.data.event_id)
    assert ref is not None and found.kind is not None
    foreign = _foreign(found, holder, ref)
    if foreign:
        return tuple(foreign)
    return Candidate(
        **fields, service=SUBMISSIONS[event.type].service, subject=aggregate_id(found.kind, ref), ref=str(ref)
    )


def _foreign(found: Read, holder: Holder, subject: Ref) -> list[Problem]:
    """The subject must be the key's own; what is named besides, the tenant's."""
    own = namespaces_of(holder.tenant)
    problems = []
    for name in _REFS:
        ref = getattr(found.data, name, None)
        if not isinstance(ref, Ref):
            continue
        allowed = holder.namespaces if ref == subject else own
        if ref.namespace not in allowed:
            params = {"what": ref.namespace, "allowed": ", ".join(sorted(allowed))}
            problems.append(Problem("forbidden", f"/data/{name}/namespace", params))
    return problems
