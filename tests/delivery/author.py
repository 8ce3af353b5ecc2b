"""Events as one system of a province writes them, each with what it was meant to be."""

import hashlib
import json
import random
from dataclasses import dataclass
from typing import Any

from contracts.names import namespaces_of
from tests.delivery.ledger import Sending
from tests.submissions import event, ref

APPLIED, REJECTED, WAITING, WITHDRAWN, REFUSED = (
    ("applied",),
    ("rejected",),
    ("waiting",),
    ("withdrawn",),
    ("refused",),
)


@dataclass(frozen=True, slots=True)
class Item:
    """An event as it is sent: its bytes, and what the ledger says of it."""

    content: bytes
    sending: Sending


@dataclass(slots=True)
class Product:
    """A product that is or will be registered."""

    name: dict[str, str]
    owner: dict[str, str]
    recognitions: int = 0
    stars: int = 3


class Author:
    """Writes with names and ids of its own, never the same twice. The same for the same `chance`."""

    def __init__(self, tenant: str, system: str, chance: random.Random) -> None:
        self.tenant, self.system = tenant, system
        self.source = f"/provinces/{tenant}/{system}"
        self._random = chance
        self._namespaces = sorted(namespaces_of(tenant))
        self._count = 0

    def name(self, kind: str) -> dict[str, str]:
        self._count += 1
        return ref(f"{kind}-{self.system}-{self._count}", self._random.choice(self._namespaces))

    def item(
        self,
        type_: str,
        subject: dict[str, str] | str,
        data: dict[str, Any],
        intent: str = "good",
        ends: tuple[str, ...] = APPLIED,
        **fields: Any,
    ) -> Item:
        self._count += 1
        made = event(type_, data, id_=f"{self.system}-{self._count}", tenant=self.tenant, source=self.source, **fields)
        return self.as_item(made, _written(subject), intent, ends)

    def as_item(self, made: dict[str, Any], subject: str, intent: str, ends: tuple[str, ...]) -> Item:
        content = json.dumps(made, ensure_ascii=False).encode()
        sha256 = hashlib.sha256(content).hexdigest()
        sending = Sending(self.source, made["id"], self.tenant, made["type"], subject, sha256, intent, ends)
        return Item(content, sending)

    def owner(self, name: dict[str, str], **kind: Any) -> Item:
        data = {"owner": name, "kind": "cooperative", "business_name": f"Hợp tác xã thử nghiệm {name['ref']}"}
        return self.item("owner.registered", name, data, **kind)

    def owner_updated(self, name: dict[str, str], **kind: Any) -> Item:
        data = {"owner": name, "kind": "enterprise", "business_name": f"Công ty thử nghiệm {name['ref']}"}
        return self.item("owner.updated", name, data | {"effective_on": self._day()}, **kind)

    def product(self, product: Product, **kind: Any) -> Item:
        data = {"product": product.name, "owner": product.owner, "name": f"Nước mắm thử nghiệm {product.name['ref']}"}
        return self.item("product.registered", product.name, data | {"place": self._place()}, **kind)

    def product_updated(self, product: Product, **kind: Any) -> Item:
        data = {"product": product.name, "owner": product.owner, "name": f"Chè thử nghiệm {product.name['ref']}"}
        fields = {"place": self._place(), "effective_on": self._day()}
        return self.item("product.updated", product.name, data | fields, **kind)

    def recognition(self, product: Product, **kind: Any) -> list[Item]:
        """The next of a product's recognitions: the first, then renewed or upgraded; often mended at once."""
        number, previous = product.recognitions + 1, product.recognitions
        product.recognitions = number
        data: dict[str, Any] = {"product": product.name, "recognition_ref": str(number), "issued_on": self._day()}
        type_ = "recognition.recognised"
        if previous:
            type_ = "recognition.renewed"
            data["previous_ref"] = str(previous)
            if product.stars < 5 and self._random.random() < 0.5:
                type_, product.stars = "recognition.upgraded", product.stars + 1
        data["stars"] = product.stars
        items = [self.item(type_, product.name, data, **kind)]
        if self._random.random() < 0.3:
            mended = {key: value for key, value in data.items() if key != "previous_ref"} | {"group": "food"}
            items.append(self.item("recognition.corrected", product.name, mended, **kind))
        if self._random.random() < 0.15:
            taken = {"product": product.name, "recognition_ref": str(number), "revoked_on": "2026-07", "cause": "dd"}
            items.append(self.item("recognition.revoked", product.name, taken, **kind))
        return items

    def listing(self, product: Product, **kind: Any) -> list[Item]:
        name = self.name("NY")
        data = {"listing": name, "product": product.name, "platform": "voso", "listed_on": "2025-09"}
        items = [self.item("listing.listed", name, data, **kind)]
        if self._random.random() < 0.4:
            items.append(self.item("listing.delisted", name, {"listing": name, "delisted_on": "2026"}, **kind))
        return items

    def withdrawal(self, target: Item, intent: str = "good", ends: tuple[str, ...] = APPLIED) -> Item:
        data = {"event_id": target.sending.id}
        return self.item("submission.withdrawn", target.sending.id, data, intent, ends)

    def _day(self) -> str:
        return f"2025-{self._random.randint(7, 12):02}-{self._random.randint(1, 28):02}"

    def _place(self) -> dict[str, Any]:
        return {"province": {"catalogue": "2025", "code": self.tenant[-2:]}}

    def other(self, item: Item) -> Item:
        made = json.loads(item.content) | {"time": "2026-08-04T00:00:00+07:00"}
        return self.as_item(made, item.sending.subject, "conflict", item.sending.ends)


def _written(subject: dict[str, str] | str) -> str:
    return subject if isinstance(subject, str) else f"{subject['namespace']}/{subject['ref']}"
