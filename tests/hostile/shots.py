"""What is fired: bytes for a socket, and what may be asked of the answer. All from one seed."""

import copy
import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from contracts.submission import WITHDRAWN
from tests.hostile import bodies, protocol, queries
from tests.mutants.mutant import ROOT

Chance = random.Random
Event = dict[str, Any]

# One of each kind that a province may send: the published examples. A withdrawal is good only after its target.
EVENTS: Final[tuple[Event, ...]] = tuple(
    json.loads(path.read_text())
    for path in sorted((ROOT / "contracts" / "examples").glob("vn.ocop.province.*/valid-*.json"))
)
GOOD: Final = tuple(event for event in EVENTS if event["type"] != WITHDRAWN)


@dataclass(frozen=True, slots=True)
class Shot:
    """One piece of hostility. `answers`: how many are due (0: the server may answer or not, and the connection ends).

    `good`: ids of events that must be accepted. `slow`: its bytes come in pieces, with pauses. `dry`: what is
    accepted is not kept. `events`: source and id of those that it carries, however spoilt.
    """

    kind: str
    raw: bytes
    target: str = "gateway"
    answers: int = 1
    closes: bool = False
    head: bool = False
    good: tuple[str, ...] = ()
    slow: bool = False
    dry: bool = False
    events: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Keys:
    """Of the province that sends, and others that must not help."""

    tenant: str
    own: str
    other: str
    revoked: str


def http(
    method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None, *, length: bool = True
) -> bytes:
    """A request that is well-formed as HTTP."""
    lines = [f"{method} {path} HTTP/1.1", "Host: gateway"]
    if length and (body or method == "POST"):
        lines.append(f"Content-Length: {len(body)}")
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return "\r\n".join(lines).encode("latin-1", "replace") + b"\r\n\r\n" + body


class Arsenal:
    """Draws one shot after another."""

    def __init__(self, seed: str, keys: Keys, name: str) -> None:
        self._chance, self._keys, self._name, self._count = Chance(seed), keys, name, 0
        self._source = f"/provinces/{keys.tenant}/hostile"
        self._named: list[str] = []  # lately
        self._draws: list[tuple[Callable[[], Shot], int]] = [
            (self._good, 12),
            (self._good_batch, 2),
            (self._body, 40),
            (self._batch, 8),
            (self._encoded, 5),
            (self._content_type, 4),
            (self._key, 5),
            (self._gateway_query, 9),
            (self._national_query, 12),
            (self._protocol, 10),
            (self._oversized, 1),
        ]

    def draw(self) -> Shot:
        """The next."""
        draws, weights = zip(*self._draws, strict=True)
        return self._loaded(self._chance.choices(draws, weights)[0])

    def slow(self) -> Shot:
        """A body that comes drop by drop and may never end."""
        return self._loaded(self._slow)

    def _loaded(self, make: Callable[[], Shot]) -> Shot:
        """A shot that knows which events were made for it."""
        before, shot = self._count, make()
        return replace(shot, events=tuple((self._source, self._id(n)) for n in range(before + 1, self._count + 1)))

    def _id(self, number: int) -> str:
        return f"{self._name}-{number}"

    def _slow(self) -> Shot:
        raw = self._post(json.dumps(self._event()).encode())
        cut = self._chance.randrange(20, len(raw))
        return Shot("slow", raw[:cut], answers=0, closes=True, slow=True)

    # ---------------------------------------------------------------- good ones, and what they are spoilt into

    def _event(self, among: Sequence[Event] = GOOD) -> Event:
        """One that is good, of any type. It speaks of things of its own, or of those of events before it."""
        self._count += 1
        name = self._id(self._count)
        event = copy.deepcopy(self._chance.choice(among))
        event |= {"id": name, "source": self._source}
        event.pop("subject", None)
        for ref in bodies.refs(event):
            ref |= {"namespace": self._keys.tenant, "ref": self._chance.choice((name, *self._named))}
        self._named = [*self._named[-3:], name]
        return event

    def _post(self, body: bytes, path: str = "/v1/events", **headers: str) -> bytes:
        named = {"Content-Type": bodies.SINGLE, "Authorization": f"Bearer {self._keys.own}"}
        changed = named | {name.replace("_", "-"): value for name, value in headers.items()}
        return http("POST", path, body, {name: value for name, value in changed.items() if value})

    def _good(self) -> Shot:
        event = self._event()
        return Shot("good", self._post(json.dumps(event, ensure_ascii=False).encode()), good=(event["id"],))

    def _good_batch(self) -> Shot:
        events = [self._event() for _ in range(self._chance.randint(2, 9))]
        body = json.dumps(events, ensure_ascii=False).encode()
        raw = self._post(body, Content_Type=bodies.BATCH)
        return Shot("good batch", raw, good=tuple(event["id"] for event in events))

    def _body(self) -> Shot:
        kind, body = bodies.spoilt(self._chance, self._event(EVENTS))
        dry = self._chance.random() < 0.5
        return Shot(kind, self._post(body, "/v1/events?dry_run=true" if dry else "/v1/events"), dry=dry)

    def _batch(self) -> Shot:
        kind, body, good = bodies.batch(self._chance, self._event)
        return Shot(kind, self._post(body, Content_Type=bodies.BATCH), good=good)

    def _oversized(self) -> Shot:
        kind, body, single = bodies.oversized(self._chance, self._event())
        return Shot(kind, self._post(body, Content_Type=bodies.SINGLE if single else bodies.BATCH))

    def _encoded(self) -> Shot:
        encoding, body = bodies.encoded(self._chance, json.dumps(self._event()).encode())
        return Shot("content-encoding", self._post(body, Content_Encoding=encoding))

    def _content_type(self) -> Shot:
        body = json.dumps(self._event()).encode()
        return Shot("content-type", self._post(body, Content_Type=self._chance.choice(bodies.CONTENT_TYPES)))

    def _key(self) -> Shot:
        keys = self._keys
        value = self._chance.choice(
            (
                "",
                "Bearer",
                "Bearer ",
                "Bearer  ",
                f"Bearer {keys.own} {keys.own}",
                f"Basic {keys.own}",
                f"bearer {keys.other}",
                f"Bearer {keys.revoked}",
                f"Bearer {keys.own[:-1]}",
                f"Bearer {keys.own}x",
                "Bearer ocop_" + "x" * 190,
                "Bearer " + "x" * 5000,
                "Bearer ocop_\xff\xfe",
                "Bearer ' OR 1=1 --",
                f"Bearer ocop_{self._chance.randrange(10**12)}",
            )
        )
        if self._chance.random() < 0.3:
            return Shot("key", http("GET", "/v1/submissions", headers={"Authorization": value} if value else {}))
        return Shot("key", self._post(json.dumps(self._event()).encode(), Authorization=value))

    # ---------------------------------------------------------------- questions, and what is no HTTP

    def _gateway_query(self) -> Shot:
        path = queries.of_gateway(self._chance)
        return Shot("gateway query", http("GET", path, headers={"Authorization": f"Bearer {self._keys.own}"}))

    def _national_query(self) -> Shot:
        return Shot("national query", http("GET", queries.of_national(self._chance)), target="national")

    def _protocol(self) -> Shot:
        key = f"Authorization: Bearer {self._keys.own}\r\nContent-Type: {bodies.SINGLE}\r\n".encode()
        found = protocol.shot(self._chance, key, json.dumps(self._event()).encode())
        target = self._chance.choice(("gateway", "gateway", "national"))
        return Shot(f"http: {found.kind}", found.raw, target, found.answers, found.closes, found.head)
