"""The events of a history, as a province's own system sends them: CloudEvents 1.0, one dict each."""

from dataclasses import dataclass
from typing import Any

Event = dict[str, Any]


@dataclass(frozen=True, slots=True)
class History:
    """What one system of one province submits, in the order in which it submits it."""

    tenant: str
    system: str
    namespaces: tuple[str, ...]
    events: tuple[Event, ...]


@dataclass(frozen=True, slots=True)
class Reporter:
    """Who reports about which namespace, and the moment up to which the report holds."""

    tenant: str
    namespace: str
    time: str

    def ref(self, ref: str) -> dict[str, str]:
        return {"namespace": self.namespace, "ref": ref}


def owner_registered(reporter: Reporter, ref: str, **fields: Any) -> Event:
    data = {"owner": reporter.ref(ref), **fields}
    return _event(reporter, f"{reporter.namespace}-{ref}", "owner.registered", ref, data)


def product_registered(reporter: Reporter, ref: str, owner: str, **fields: Any) -> Event:
    data = {"product": reporter.ref(ref), "owner": reporter.ref(owner), **fields}
    return _event(reporter, f"{reporter.namespace}-{ref}", "product.registered", ref, data)


def recognised(reporter: Reporter, event_id: str, product: str, recognition_ref: str, **fields: Any) -> Event:
    return _recognition(reporter, "recognised", event_id, product, recognition_ref, fields)


def renewed(reporter: Reporter, event_id: str, product: str, recognition_ref: str, **fields: Any) -> Event:
    return _recognition(reporter, "renewed", event_id, product, recognition_ref, fields)


def listed(reporter: Reporter, ref: str, product: str, **fields: Any) -> Event:
    data = {"listing": reporter.ref(ref), "product": reporter.ref(product), **fields}
    return _event(reporter, f"{reporter.namespace}-{ref}", "listing.listed", ref, data)


def _recognition(
    reporter: Reporter, kind: str, event_id: str, product: str, recognition_ref: str, fields: dict[str, Any]
) -> Event:
    data = {"product": reporter.ref(product), "recognition_ref": recognition_ref, **fields}
    return _event(reporter, event_id, f"recognition.{kind}", product, data)


def _event(reporter: Reporter, event_id: str, type_: str, subject: str, data: dict[str, Any]) -> Event:
    return {
        "specversion": "1.0",
        "id": event_id,
        "source": f"/provinces/{reporter.tenant}/ocop",
        "type": f"vn.ocop.province.{type_}.v1",
        "subject": f"{reporter.namespace}/{subject}",
        "time": reporter.time,
        "datacontenttype": "application/json",
        # A field that nobody published is left out: absent means unknown.
        "data": {name: value for name, value in data.items() if value is not None},
    }
