"""What provinces publish in a history: owners, products that name them, recognitions that name those."""

from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

from contracts.names import Ref, aggregate_id
from tests.submissions import event, ref

Kind = Literal["owner", "owner-updated", "product", "product-updated", "recognition", "revocation"]
KINDS: tuple[Kind, ...] = ("owner", "owner-updated", "product", "product-updated", "recognition", "revocation")
OTHER_DAYS = ("2025-09-01", "2025-10-01", "2025-11-01")


@dataclass(frozen=True, slots=True)
class Said:
    """One submission to be: who says what of which thing."""

    kind: Kind
    tenant: str
    number: int  # of the thing, few, so that submissions meet
    other: int  # of what it names

    def value(self, id_: str, *, changed: bool = False) -> dict[str, Any]:
        """As a CloudEvent; `changed` says something else under the same id."""
        mark = " khác" if changed else ""
        if self.kind in ("recognition", "revocation"):
            data = {"product": ref(f"SP-{self.number}", self.tenant), "recognition_ref": str(self.other) + mark}
            if self.kind == "revocation":
                data["revoked_on"] = "2026-01-05"
            type_ = "recognition.recognised" if self.kind == "recognition" else "recognition.revoked"
            return event(type_, data, id_=id_, tenant=self.tenant)
        thing, _, updated = self.kind.partition("-")
        data = {"effective_on": OTHER_DAYS[self.other]} if updated else {}
        if thing == "owner":
            data |= {
                "owner": ref(f"CT-{self.number}", self.tenant),
                "kind": "cooperative",
                "business_name": f"Hợp tác xã thử nghiệm {id_}{mark}",
            }
        else:
            data |= {
                "product": ref(f"SP-{self.number}", self.tenant),
                "owner": ref(f"CT-{self.other}", self.tenant),
                "name": f"Sản phẩm thử nghiệm {id_}{mark}",
                "place": {"province": {"catalogue": "2025", "code": self.tenant.partition("-")[2]}},
            }
        return event(f"{thing}.{'updated' if updated else 'registered'}", data, id_=id_, tenant=self.tenant)

    @property
    def subject(self) -> UUID:
        """The id of the thing."""
        name = f"CT-{self.number}" if self.kind.startswith("owner") else f"SP-{self.number}"
        kind = "owner" if self.kind.startswith("owner") else "product"
        return aggregate_id(kind, Ref(namespace=self.tenant, ref=name))


def withdrawal(id_: str, tenant: str, target: str) -> dict[str, Any]:
    """Takes back what may be held."""
    return event("submission.withdrawn", {"event_id": target}, id_=id_, tenant=tenant)
