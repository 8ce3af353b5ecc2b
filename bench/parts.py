"""What can be measured, each a part with a result of its own: rounds one after another, with the limit beside them."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from types import ModuleType
from typing import Any, Final

from bench import (
    decider,
    floods,
    freshness,
    intake,
    lane,
    limit,
    memory,
    outbox,
    peer,
    projection,
    queries,
    rebuild,
    text,
    tracing,
    weight,
)
from bench.data import PRODUCT, products, put
from bench.engines import Bench
from bench.limit import Limit

Result = dict[str, Any]
SUBJECTS: Final = 20_000
TRACED_ROUNDS: Final = 10  # what is looked for is smaller than what one run differs from another


@dataclass(slots=True)
class Session:
    """Engines, what was asked for, and what several parts need and one makes."""

    bench: Bench
    rounds: int
    events: int
    minutes: float
    profiles: Path | None = None
    _made: dict[str, Any] = field(default_factory=dict)

    @property
    def subjects(self) -> int:
        """Products that the events are of."""
        return max(1, min(SUBJECTS, self.events // 10))

    async def limit(self) -> Limit:
        """The limit's rows, made once."""
        if "limit" not in self._made:
            self._made["limit"] = await limit.prepare(self.bench, self.events, self.subjects)
        found: Limit = self._made["limit"]
        return found

    async def product_topic(self) -> None:
        """The events of products on their topic, put there once."""
        if "product" not in self._made:
            await self.bench.reset_topics([PRODUCT])
            self._made["product"] = await put(self.bench.bootstrap, products(self.events, self.subjects))

    def forget(self, name: str) -> None:
        """What was made has gone with its topic."""
        self._made.pop(name, None)

    def profile(self, name: str) -> Path | None:
        """Where a profile of this name goes, if profiles are wanted."""
        return self.profiles / f"{name}.prof" if self.profiles else None


@dataclass(frozen=True, slots=True)
class Part:
    """What can be measured: by the module that says what it is."""

    module: ModuleType
    measure: Callable[[Session], Awaitable[Result]]


async def measure_projection(session: Session) -> Result:
    """L, one process and two, in turn."""
    rows, rounds = await session.limit(), []
    await session.product_topic()
    for number in range(session.rounds):
        profile = session.profile("projection") if number == 0 else None
        found = {
            "limit": await rows.measure(session.bench),
            "one": await projection.run(session.bench, rows, 1, profile=profile),
        }
        if not session.profiles:
            found["one_of_two_readers"] = await projection.run(session.bench, rows, 1, readers=2)
            found["two"] = await projection.run(session.bench, rows, 2)
        rounds.append(found)
    return {"rounds": rounds}


async def measure_peer(session: Session) -> Result:
    """L, we and the peer, in turn: one process and one task, two and two. The peer's JVM is warmed by a run that does
    not count."""
    rows, rounds = await session.limit(), []
    await session.product_topic()
    async with peer.worker(session.bench, session.events, session.subjects) as worker:
        cold = await peer.run(session.bench, rows, worker, 1)
        for _ in range(session.rounds):
            rounds.append(
                {
                    "limit": await rows.measure(session.bench),
                    "one": await projection.run(session.bench, rows, 1),
                    "one_of_two_readers": await projection.run(session.bench, rows, 1, readers=2),
                    "peer_one": await peer.run(session.bench, rows, worker, 1),
                    "two": await projection.run(session.bench, rows, 2),
                    "peer_two": await peer.run(session.bench, rows, worker, 2),
                }
            )
    return {"cold": cold, "rounds": rounds}


async def measure_decider(session: Session) -> Result:
    """The step in one process, and in two."""
    session.forget("product")  # the registry's topics are made anew
    events = session.events // 2
    await decider.prepare(session.bench, events, session.subjects)
    rounds = []
    for number in range(session.rounds):
        profile = session.profile("decider") if number == 0 else None
        found = {"one": await decider.run(session.bench, events, session.subjects, 1, profile=profile)}
        if not session.profiles:
            found["one_of_two_readers"] = await decider.run(session.bench, events, session.subjects, 1, readers=2)
            found["two"] = await decider.run(session.bench, events, session.subjects, 2)
        rounds.append(found)
    return {"rounds": rounds, "submissions": events}


async def measure_relay(session: Session) -> Result:
    """L and the relay, in turn."""
    session.forget("product")
    rows, count = await session.limit(), session.events // 2
    rounds = [
        {"limit": await rows.measure(session.bench), "one": await outbox.run(session.bench, count, session.subjects)}
        for _ in range(session.rounds)
    ]
    return {"rounds": rounds, "rows": count}


async def measure_gateway(session: Session) -> Result:
    """One process, and two."""
    session.forget("product")
    events = session.events // 2
    rounds = [
        {
            "one": await intake.run(session.bench, events, 1),
            "two": await intake.run(session.bench, events, 2),
        }
        for _ in range(session.rounds)
    ]
    return {"rounds": rounds, "sent": events}


async def measure_floods(session: Session) -> Result:
    """All floods one after another, in an empty system each time."""
    session.forget("product")
    return {"rounds": [await floods.run(session.bench) for _ in range(session.rounds)]}


async def measure_freshness(session: Session) -> Result:
    """At 300 events a second and at 1,000, one in a request and ten in a request."""
    session.forget("product")
    seconds = max(2.0, session.events / 10_000)
    loads = {"at_300": (300, 1), "at_300_by_10": (300, 10), "at_1000": (1000, 1), "at_1000_by_10": (1000, 10)}
    rounds = [
        {name: await freshness.run(session.bench, rate, seconds, together) for name, (rate, together) in loads.items()}
        for _ in range(session.rounds)
    ]
    return {"rounds": rounds, "seconds": seconds}


async def measure_queries(session: Session) -> Result:
    """On one filling; of ten times as many events as the rounds of the others have."""
    return await queries.run(session.bench, session.subjects, 10 * session.events, session.rounds)


async def measure_memory(session: Session) -> Result:
    """Each service for so many minutes."""
    session.forget("product")
    found = {name: await memory.run(session.bench, name, session.minutes) for name in memory.GROWS}
    await session.bench.reset_topics()  # with their own settings again
    return {"minutes": session.minutes, **found}


async def measure_backfill(session: Session) -> Result:
    """One namespace in the lane, in an empty system each time."""
    session.forget("product")
    return {"rounds": [await lane.run(session.bench, session.events) for _ in range(session.rounds)]}


async def measure_rebuild(session: Session) -> Result:
    """Of ten times as many events as the rounds of the others have."""
    session.forget("product")
    events = 10 * session.events
    rounds = [await rebuild.run(session.bench, events, session.subjects) for _ in range(session.rounds)]
    return {"read": events, "rounds": rounds}


async def measure_growth(session: Session) -> Result:
    """Once, of fifty times as many: whether the rate holds."""
    session.forget("product")
    events = 50 * session.events
    return {"read": events, "rounds": [await rebuild.run(session.bench, events, session.subjects)]}


async def measure_tracing(session: Session) -> Result:
    """Without, a share and all, so often that chance evens out."""
    session.forget("product")
    return await tracing.run(session.bench, max(TRACED_ROUNDS, session.rounds), max(2.0, session.events / 10_000))


async def measure_weight(session: Session) -> Result:
    """Once, of a quarter as many events."""
    session.forget("product")
    return await weight.run(session.bench, session.events // 4)


async def measure_text(session: Session) -> Result:
    """So often as the others; it needs no engine."""
    return {"rounds": [text.measure() for _ in range(session.rounds)]}


PARTS: Final[Mapping[str, Part]] = {
    "projection": Part(projection, measure_projection),
    "peer": Part(peer, measure_peer),
    "decider": Part(decider, measure_decider),
    "relay": Part(outbox, measure_relay),
    "gateway": Part(intake, measure_gateway),
    "floods": Part(floods, measure_floods),
    "freshness": Part(freshness, measure_freshness),
    "rebuild": Part(rebuild, measure_rebuild),
    "growth": Part(rebuild, measure_growth),
    "queries": Part(queries, measure_queries),
    "memory": Part(memory, measure_memory),
    "backfill": Part(lane, measure_backfill),
    "tracing": Part(tracing, measure_tracing),
    "weight": Part(weight, measure_weight),
    "text": Part(text, measure_text),
}


def spread(values: list[float]) -> dict[str, float]:
    """Least, middle and most."""
    return {"min": min(values), "median": median(values), "max": max(values)}
