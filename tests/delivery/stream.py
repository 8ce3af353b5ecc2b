"""What provinces send in the delivery proofs: seeded, random, and the same again for the same seed.

Each lane is one province's system. It sends one step after another; the requests of a step go out at the same
time, over different gateways. A lane knows how each of its events must end, for it decides beforehand what comes
late, what never comes and what it takes back.
"""

import hashlib
import json
import random
import unicodedata
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import cycle, islice
from typing import Any

from tests.delivery import hostile
from tests.delivery.author import APPLIED, REFUSED, REJECTED, WAITING, WITHDRAWN, Author, Item, Product

SINGLE, BATCH = "application/cloudevents+json", "application/cloudevents-batch+json"
# Tenant and system: five provinces, each with the namespaces of its forerunners; of one, two systems.
LANES = (
    ("2025-68", "ocop"),
    ("2025-80", "ocop"),
    ("2025-82", "ocop"),
    ("2025-68", "coop-union"),
    ("2025-92", "ocop"),
    ("2025-33", "ocop"),
)
MOST_IN_A_BATCH = 60
HOSTILE_EVERY, RACE_EVERY = 5, 9  # steps of a lane: so 1,500 events of all lanes meet every form of both
HOSTILE_IN_A_BATCH = 3
NO_KEY = "no key"
# Forms of `hostile`, by their places there.
WHOLE = (*(f"whole {n}" for n in range(len(hostile.whole(b"")))), NO_KEY)
ALONE = tuple(f"alone {n}" for n in range(len(hostile.alone(b"", "source", {"namespace": "", "ref": ""}))))
RACES = ("two register", "the same twice", "the same id otherwise", "two update", "taken back as it comes")
REPEATABLE = ("good", "late-reference", "rule-breach")
LONGEST_DEBT = 40  # steps until what was named early comes


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request. `own_key` false: without a valid key. `body` stands for what the items would give."""

    source: str
    items: tuple[Item, ...]
    kind: str = BATCH
    body: bytes | None = None
    own_key: bool = True
    forms: tuple[str, ...] = ()  # what it is an instance of: hostile forms, a race

    @property
    def content(self) -> bytes:
        """What goes over the wire."""
        if self.body is not None:
            return self.body
        if self.kind == SINGLE:
            return self.items[0].content
        return b"[" + b",".join(item.content for item in self.items) + b"]"


class Lane:
    """One system of a province, step after step."""

    def __init__(self, seed: int, tenant: str, system: str) -> None:
        self.source = f"/provinces/{tenant}/{system}"
        self._random = random.Random(f"{seed}/{self.source}")  # noqa: S311  # repeatable, not secret
        self._author = Author(tenant, system, self._random)
        self._step = 0
        self._owners: list[dict[str, str]] = []
        self._products: list[Product] = []
        self._rest: list[Item] = []  # of what has begun, goes first
        self._debts: list[tuple[int, list[Item]]] = []
        self._sent: deque[Item] = deque(maxlen=300)  # accepted for certain when the next step goes out
        # In turn, so that all are met soon; each lane begins somewhere else.
        place = [f"/provinces/{tenant}/{name}" for tenant, name in LANES].index(self.source)
        self._whole, self._alone, self._races = (_turns(each, place) for each in (WHOLE, ALONE, RACES))
        self._next_race, self._next_hostile = RACE_EVERY, HOSTILE_EVERY

    # ---------------------------------------------------------------- steps

    def step(self) -> list[Request]:
        """The next requests; they may be sent at the same time, and must be answered before the next step."""
        self._step += 1
        if self._step >= self._next_race and not self._rest:
            self._next_race = self._step + RACE_EVERY
            return self._race()
        if self._step >= self._next_hostile and not self._rest:
            self._next_hostile = self._step + HOSTILE_EVERY
            return self._hostile()
        wanted = 1 if self._random.random() < 0.3 else self._random.randint(2, MOST_IN_A_BATCH)
        items = self._rest
        while len(items) < wanted:
            items += self._due() or self._random.choices(*self._acts())[0]()
        wanted = 1 if wanted == 1 else len(items)
        self._rest = items[wanted:]
        request = self._one(items[0]) if wanted == 1 else Request(self.source, tuple(items))
        self._sent += [item for item in request.items if item.sending.intent in REPEATABLE]
        return [request]

    def last(self) -> list[Request]:
        """What is still owed: afterwards nothing waits but what was meant to."""
        items = self._rest + [item for _, owed in self._debts for item in owed]
        self._rest, self._debts = [], []
        return [Request(self.source, tuple(items))] if items else []

    def _one(self, item: Item) -> Request:
        return Request(self.source, (item,), kind=SINGLE)

    def _due(self) -> list[Item]:
        """What was owed to this step; the rest of what came before it goes first."""
        due = [debt for debt in self._debts if debt[0] <= self._step]
        self._debts = [debt for debt in self._debts if debt[0] > self._step]
        return [item for _, owed in due for item in owed]

    def _owe(self, *items: Item) -> None:
        self._debts.append((self._step + self._random.randint(1, LONGEST_DEBT), list(items)))

    def _acts(self) -> tuple[list[Callable[[], list[Item]]], list[int]]:
        acts: list[tuple[Callable[[], list[Item]], int]] = [
            (self._family, 30),
            (self._early, 8),
            (self._never, 4),
            (self._taken_back, 5),
            (self._nothing_to_take_back, 1),
        ]
        if self._products:
            acts += [(self._more, 30), (self._breach, 12)]
        if self._sent:
            acts += [(self._again, 8), (self._otherwise, 3)]
        return [act for act, _ in acts], [weight for _, weight in acts]

    # ---------------------------------------------------------------- acts

    def _family(self) -> list[Item]:
        """An owner with products, each with a history, in one go."""
        owner = self._author.name("CT")
        items = [self._author.owner(owner)]
        self._owners.append(owner)
        for _ in range(self._random.randint(1, 3)):
            product = Product(self._author.name("SP"), owner)
            items.append(self._author.product(product))
            items += self._history(product)
            self._products.append(product)
        return items

    def _history(self, product: Product, **kind: Any) -> list[Item]:
        items: list[Item] = []
        for _ in range(self._random.randint(0, 3)):
            chosen = self._random.random()
            if chosen < 0.4:
                items.append(self._author.product_updated(product, **kind))
            elif chosen < 0.75:
                items += self._author.recognition(product, **kind)
            else:
                items += self._author.listing(product, **kind)
        return items

    def _more(self) -> list[Item]:
        """More of what is there; now and then its end."""
        product = self._random.choice(self._products)
        if self._random.random() < 0.05:
            self._products.remove(product)
            data = {"product": product.name, "discontinued_on": "2026-07"}
            return [self._author.item("product.discontinued", product.name, data)]
        if self._random.random() < 0.05 and self._owners:
            owner = self._owners.pop(self._random.randrange(len(self._owners)))
            return [self._author.item("owner.closed", owner, {"owner": owner, "closed_on": "2026-07"})]
        if self._random.random() < 0.3 and self._owners:
            owner = self._random.choice(self._owners)
            return [self._author.owner_updated(owner) for _ in range(self._random.randint(1, 4))]
        return self._history(product) or [self._author.product_updated(product)]

    def _early(self) -> list[Item]:
        """A product before its owner, with a history; the owner comes later."""
        product = Product(self._author.name("SP"), self._author.name("CT"))
        late: dict[str, Any] = {"intent": "late-reference"}
        items = [*self._history(product, **late), *self._author.listing(product, **late)]
        # Updates come behind the product, what other services decide may come before it.
        items.sort(key=lambda item: item.sending.type.split(".")[3] == "product")
        first_update = next((n for n, i in enumerate(items) if i.sending.type.split(".")[3] == "product"), len(items))
        items.insert(first_update, self._author.product(product, **late))
        self._owe(self._author.owner(product.owner))
        self._products.append(product)
        return items

    def _never(self) -> list[Item]:
        """Something of an owner or a product that never comes: it waits, and what is behind it."""
        product = Product(self._author.name("SP"), self._author.name("CT"))
        kind: dict[str, Any] = {"intent": "never-reference", "ends": WAITING}
        if self._random.random() < 0.5:
            return self._author.listing(product, **kind)
        items = [self._author.product(product, **kind), self._author.product_updated(product, **kind)]
        if self._random.random() < 0.5:  # what stands behind is taken back
            behind = self._author.product_updated(product, intent="withdrawn", ends=WITHDRAWN)
            items.append(behind)
            self._owe(self._author.withdrawal(behind))
        return items

    def _taken_back(self) -> list[Item]:
        """Something that waits, what stands behind it, and its withdrawal, at once or later."""
        product = Product(self._author.name("SP"), self._author.name("CT"))
        waits = self._author.product(product, intent="withdrawn", ends=WITHDRAWN)
        behind = self._author.product_updated(product, intent="rule-breach", ends=REJECTED)
        withdrawal = self._author.withdrawal(waits)
        if self._random.random() < 0.5:
            return [waits, behind, withdrawal]
        self._owe(withdrawal)
        return [waits, behind]

    def _nothing_to_take_back(self) -> list[Item]:
        data = {"event_id": f"never-sent-{self._step}"}
        return [self._author.item("submission.withdrawn", data["event_id"], data, "withdrawn", REFUSED)]

    def _breach(self) -> list[Item]:
        """Something that a rule refuses, whatever else is on its way."""
        product = self._random.choice(self._products)
        kind: dict[str, Any] = {"intent": "rule-breach", "ends": REJECTED}
        nobody = self._author.name("CT")
        listing = self._author.name("NY")
        choices: list[Callable[[], list[Item]]] = [
            lambda: [self._author.product(product, **kind)],
            lambda: [self._author.owner_updated(nobody, **kind)],
            lambda: [
                self._author.item(
                    "recognition.revoked",
                    product.name,
                    {"product": product.name, "recognition_ref": "none", "revoked_on": "2026"},
                    **kind,
                )
            ],
            lambda: [
                self._author.item(
                    "listing.listed",
                    listing,
                    {"listing": listing, "product": product.name, "platform": "sendo", "listed_on": "2025-09"},
                    **kind,
                )
            ],
            lambda: [
                self._author.item("listing.delisted", listing, {"listing": listing, "delisted_on": "2026"}, **kind),
            ],
            lambda: [owner := self._author.owner(nobody), self._author.withdrawal(owner, "rule-breach", REJECTED)],
            self._foreign,
        ]
        return self._random.choice(choices)()

    def _foreign(self) -> list[Item]:
        """A product of one's own that names another province's owner, be there such a one or not."""
        others = [tenant for tenant, _ in LANES if tenant != self._author.tenant]
        owner = {"namespace": self._random.choice(others), "ref": "CT-ocop-1"}
        return [self._author.product(Product(self._author.name("SP"), owner), intent="foreign-reference", ends=REFUSED)]

    def _again(self) -> list[Item]:
        """The same id and content, in the same bytes or written otherwise."""
        item = self._random.choice(self._sent)
        content = item.content
        if self._random.random() < 0.5:
            decomposed = unicodedata.normalize("NFD", content.decode())
            content = json.dumps(json.loads(decomposed), indent=1).encode()
        sha256 = hashlib.sha256(content).hexdigest()
        return [Item(content, replace(item.sending, sha256=sha256, intent="duplicate"))]

    def _otherwise(self) -> list[Item]:
        """The same id with other content."""
        return [self._author.other(self._random.choice(self._sent))]

    # ---------------------------------------------------------------- at the same time

    def _race(self) -> list[Request]:
        """Two requests about one thing, over two gateways."""
        owner, race = self._author.name("CT"), next(self._races)
        if race == "two update" and not self._owners:
            race = next(self._races)
        either = ("applied", "rejected")
        pair: list[tuple[Item, ...]]
        if race == "two register":  # whichever is first registers it
            pair = [(self._author.owner(owner, ends=either),), (self._author.owner(owner, ends=either),)]
        elif race == "the same twice":  # one is accepted, one a duplicate
            item = self._author.owner(owner)
            pair = [(item,), (replace(item, sending=replace(item.sending, intent="duplicate")),)]
        elif race == "the same id otherwise":  # one is accepted, one a conflict
            item = self._author.owner(owner)
            pair = [(item,), (self._author.other(item),)]
        elif race == "two update":
            owner = self._random.choice(self._owners)
            updates = [(self._author.owner_updated(owner),) for _ in range(2)]
            pair = [(*updates[0], *(self._author.owner_updated(owner) for _ in range(3))), updates[1]]
        else:  # it comes while what waits for it is taken back
            product = Product(self._author.name("SP"), owner)
            waits = self._author.product(product, intent="withdrawn", ends=("applied", "withdrawn"))
            pair = [(waits, self._author.withdrawal(waits, "withdrawn", either)), (self._author.owner(owner),)]
        return [Request(self.source, items, SINGLE if len(items) == 1 else BATCH, forms=(race,)) for items in pair]

    # ---------------------------------------------------------------- hostile

    def _hostile(self) -> list[Request]:
        """What must be refused: a whole request, whose good event's id is not used up, and events beside good ones."""
        whole = hostile_request(self._author, next(self._whole))
        (item,) = whole.items
        self._owe(Item(item.content, replace(item.sending, intent="good", ends=APPLIED)))
        forms = tuple(next(self._alone) for _ in range(HOSTILE_IN_A_BATCH))
        bad = [hostile_request(self._author, name).items[0] for name in forms]
        good = self._family()
        return [whole, Request(self.source, (*good[:1], *bad, *good[1:]), forms=forms)]


def hostile_request(author: Author, form: str) -> Request:
    """A request of this form, that must be refused."""
    owner = author.name("CT")
    item = author.owner(owner, intent="hostile", ends=REFUSED)
    if form == NO_KEY:
        return Request(author.source, (item,), own_key=False, forms=(form,))
    place = int(form.split()[1])
    if form in WHOLE:
        body, kind = hostile.whole(item.content)[place]
        return Request(author.source, (item,), kind, body, forms=(form,))
    content = hostile.alone(item.content, author.source, owner)[place]
    assert content != item.content, f"{form} is no other form"
    sha256 = hashlib.sha256(content).hexdigest()
    return Request(author.source, (Item(content, replace(item.sending, sha256=sha256)),), SINGLE, forms=(form,))


def _turns(forms: Sequence[str], lane: int) -> Iterator[str]:
    """All of them again and again; each lane begins somewhere else."""
    return islice(cycle(forms), lane * len(forms) // len(LANES), None)
