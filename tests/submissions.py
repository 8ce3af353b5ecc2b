"""Submissions for tests: as a province sends them, and as they lie on a topic."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import count
from typing import Any
from uuid import UUID, uuid4

from gateway.domain import Candidate, Holder, examine

from contracts.names import namespaces_of
from contracts.topics import submission_topic
from servicekit.message import Kept, Message, decode

NOW = datetime(2026, 9, 1, 12, 0, tzinfo=UTC)
TENANT = "2025-68"
_offsets = count()


def event(
    type_: str, data: dict[str, Any], *, id_: str | None = None, tenant: str = TENANT, **fields: Any
) -> dict[str, Any]:
    """A CloudEvent of a province's system `test`; `type_` without prefix and version."""
    return {
        "specversion": "1.0",
        "id": id_ or str(uuid4()),
        "source": f"/provinces/{tenant}/test",
        "type": f"vn.ocop.province.{type_}.v1",
        "time": "2026-08-05T00:00:00+07:00",
        "data": data,
        **fields,
    }


def ref(name: str, namespace: str = TENANT) -> dict[str, str]:
    """A ref in a namespace."""
    return {"namespace": namespace, "ref": name}


def owner(name: str = "CT-1", *, id_: str | None = None, **fields: Any) -> dict[str, Any]:
    """Registers a cooperative that says that it is invented."""
    data = {"owner": ref(name), "kind": "cooperative", "business_name": f"Hợp tác xã thử nghiệm {name}"}
    return event("owner.registered", data | fields, id_=id_)


def owner_updated(
    name: str = "CT-1", *, on: str = "2025-09-01", id_: str | None = None, **fields: Any
) -> dict[str, Any]:
    """Renames it from a day on."""
    data = {
        "owner": ref(name),
        "kind": "cooperative",
        "business_name": f"Hợp tác xã đổi tên {name}",
        "effective_on": on,
    }
    return event("owner.updated", data | fields, id_=id_)


def product(name: str = "SP-1", of: str = "CT-1", *, id_: str | None = None, **fields: Any) -> dict[str, Any]:
    """Registers a product of an owner."""
    data = {
        "product": ref(name),
        "owner": ref(of),
        "name": f"Sản phẩm thử nghiệm {name}",
        "place": {"province": {"catalogue": "2025", "code": "68"}},
    }
    return event("product.registered", data | fields, id_=id_)


def product_updated(
    name: str = "SP-1", of: str = "CT-1", *, on: str = "2025-09-01", id_: str | None = None
) -> dict[str, Any]:
    """Renames a product from a day on."""
    data = {
        "product": ref(name),
        "owner": ref(of),
        "name": f"Sản phẩm đổi tên {name}",
        "place": {"province": {"catalogue": "2025", "code": "68"}},
        "effective_on": on,
    }
    return event("product.updated", data, id_=id_)


def withdrawal(event_id: str, *, id_: str | None = None) -> dict[str, Any]:
    """Takes back a held submission."""
    return event("submission.withdrawn", {"event_id": event_id}, id_=id_)


@dataclass(frozen=True, slots=True)
class Sent:
    """A submission on its topic."""

    service: str
    subject: UUID
    headers: dict[str, str]
    payload: bytes
    submission_id: UUID

    def message(self, *, payload: bytes | None = None, **headers: str) -> Message:
        """As a reader gets it; `payload` and single headers may be spoilt."""
        lines = tuple((name, value.encode()) for name, value in (self.headers | headers).items())
        record = Kept(
            submission_topic(self.service),
            0,
            next(_offsets),
            lines,
            self.payload if payload is None else payload,
        )
        return decode(record)


@dataclass(slots=True)
class Province:
    """Turns events into what the gateway would put on a topic."""

    tenant: str = TENANT
    received_at: datetime = NOW
    targets: dict[str, Candidate] = field(default_factory=dict)

    def send(self, value: dict[str, Any], *, submission_id: UUID | None = None) -> Sent:
        """What the gateway makes of the event; a withdrawal's target must have been sent before."""
        holder = Holder(self.tenant, "test", namespaces_of(self.tenant))
        found = examine(b"", value, holder, self.received_at)
        assert isinstance(found, Candidate), found
        if found.withdraws is not None:
            target = self.targets[found.withdraws]
            found = replace(found, service=target.service, subject=target.subject, ref=target.ref)
        self.targets[found.id] = found
        submission_id = submission_id or uuid4()
        assert found.subject is not None
        headers = found.headers(self.tenant, submission_id, self.received_at)
        return Sent(found.service, found.subject, headers, found.payload, submission_id)

    def message(self, value: dict[str, Any]) -> Message:
        """The event on its topic, as a reader gets it."""
        return self.send(value).message()
