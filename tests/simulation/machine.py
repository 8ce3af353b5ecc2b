"""The random histories: what hypothesis may do, in any order, and what must hold in the end."""

import asyncio
import json
from collections import Counter
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any, ClassVar

from aiokafka import TopicPartition
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from contracts.topics import TOPICS, domain_topic, outcome_topic, submission_topic
from tests.simulation.broker import USED
from tests.simulation.domain import DECIDING, SENDING, SERVICES, TENANTS
from tests.simulation.events import KINDS, Said, withdrawal
from tests.simulation.judge import all_ended, judge
from tests.simulation.schedule import Actor
from tests.simulation.stage import Stage
from tests.simulation.world import REPLICAS, Replica, Sent, World

SERVICE = st.sampled_from(SERVICES)
WHICH = st.integers(0, 1)
FEW = st.integers(0, 5)
FUEL = st.none() | st.integers(1, 16)
FAULT = st.none() | st.tuples(st.integers(0, 18), st.sampled_from(("crash", "lost", "answer lost")))
PLAN = st.lists(st.sampled_from(("fine", "fine", "not answered", "late", "never")), max_size=5)
SAID = st.builds(
    Said,
    st.sampled_from((*KINDS, "owner", "product", "product-updated")),
    st.sampled_from(TENANTS[:1] * 3 + TENANTS[1:]),
    st.integers(0, 1),
    st.integers(0, 2),
)


PUBLISH = st.fixed_dictionaries(
    {"do": st.just("publish"), "said": st.lists(SAID, min_size=1, max_size=5), "fuel": FUEL, "fault": FAULT}
)
PUBLISH_MORE = st.fixed_dictionaries(
    {
        "do": st.just("publish_more"),
        "which": st.integers(0, 50),
        "kind": st.sampled_from(("again", "conflict", "withdrawal", "withdrawal", "refused")),
    }
)
WORK = st.fixed_dictionaries(
    {
        "do": st.just("work"),
        "what": st.sampled_from(
            (
                "relay",
                "relay",
                "relay",
                "poll",
                "poll",
                "poll",
                "poll",
                "drain",
                "drain",
                "sweep",
                "look round",
                "lose poll",
            )
        ),
        "service": SERVICE,
        "which": WHICH,
        "limit": st.sampled_from((1, 2, 500)),
        "plan": PLAN,
        "fuel": FUEL,
        "fault": FAULT,
    }
)
STEP = st.fixed_dictionaries({"do": st.just("step")})
GO_ON = st.fixed_dictionaries({"do": st.just("go_on"), "which": FEW, "fuel": FUEL, "fault": FAULT})
DISTURB = st.fixed_dictionaries(
    {
        "do": st.just("disturb"),
        "what": st.sampled_from(
            ("crash", "start", "start", "rebalance", "rebalance", "zombie", "cut", "away", "back", "late ones", "lie")
        ),
        "service": SERVICE,
        "which": WHICH,
        "split": st.tuples(WHICH, WHICH),
        "n": st.integers(0, 12),
    }
)
SPOIL = st.fixed_dictionaries(
    {
        "do": st.just("spoil"),
        "what": st.sampled_from(
            ("twice", "twice", "spoilt", "nameless", "spoilt before", "hole", "bug", "ten minutes")
        ),
        "which": st.integers(0, 40),
        "topic": st.sampled_from(sorted(TOPICS)),
    }
)
MEANWHILE = st.fixed_dictionaries(
    {
        "do": st.just("meanwhile"),
        "what": st.sampled_from(("drain", "drain", "poll", "relay", "sweep")),
        "service": st.sampled_from(("registry", "registry", "evaluation", "national")),
        "fuel": st.integers(2, 14),
        "said": st.lists(SAID, min_size=1, max_size=3),
        "drain": st.booleans(),
    }
)
CALAMITY = st.fixed_dictionaries(
    {
        "do": st.just("calamity"),
        "what": st.sampled_from(("topic", "save", "save", "restore", "restore", "adopt")),
        "service": SERVICE,
        "topic": st.sampled_from(("submission", "outcome", "domain")),
        "which": WHICH,
    }
)
# One rule with weights: hypothesis would leave out half of many rules in each history, and most would stay shallow.
WEIGHED: st.SearchStrategy[st.SearchStrategy[Any]] = st.sampled_from(
    (
        *[PUBLISH] * 3,
        *[PUBLISH_MORE] * 2,
        *[WORK] * 9,
        *[STEP] * 2,
        *[GO_ON] * 4,
        *[DISTURB] * 4,
        *[SPOIL] * 3,
        MEANWHILE,
        *[CALAMITY] * 2,
    )
)


class Machine(RuleBasedStateMachine):
    """One history. The class holds what all histories of a process share."""

    stage: ClassVar[Stage]
    runner: ClassVar[asyncio.Runner]
    tally: ClassVar[Counter[str]] = Counter()
    awaits: ClassVar[Counter[str]] = Counter()
    faults: ClassVar[Counter[str]] = Counter()
    histories: ClassVar[int] = 0

    def __init__(self) -> None:
        super().__init__()
        self.story: list[str] = []
        self.broken = False
        self.do("begin", self._begin())

    async def _begin(self) -> None:
        await self.stage.empty()
        self.world = World(self.stage)
        for service in SERVICES:
            for number in range(REPLICAS if service in DECIDING else 1):
                await self.world.start(service, number)
            await self.world.rebalance(service, list(range(USED)))

    def do(self, what: str, work: Coroutine[Any, Any, None]) -> None:
        """Runs a step of the history; remembers it, and whether it broke."""
        if what:
            self.note(what)
        try:
            self.runner.run(work)
        except BaseException as error:
            self.broken = True
            error.add_note("the history:\n  " + "\n  ".join(self.story))
            raise

    def replica(self, service: str, which: int) -> Replica | None:
        """One that lives."""
        alive = self.world.alive(service)
        return alive[which % len(alive)] if alive else None

    @rule(moves=st.data())
    def move(self, moves: st.DataObject) -> None:
        """One of what follows."""
        arguments: dict[str, Any] = dict(moves.draw(moves.draw(WEIGHED)))
        getattr(self, arguments.pop("do"))(**arguments)

    # ---------------------------------------------------------------- what provinces do

    @initialize(said=st.lists(SAID, min_size=2, max_size=6))
    def begin(self, said: list[Said]) -> None:
        """No history without something to lose."""
        self._publish(said, None, None)

    def publish(self, said: list[Said], fuel: int | None, fault: Any) -> None:
        self._publish(said, fuel, fault)

    def _publish(self, said: list[Said], fuel: int | None, fault: Any) -> None:
        if (gateway := self.replica("gateway", 0)) is not None:
            n, tenant = len(self.world.ledger), said[0].tenant
            mine = [replace(each, tenant=tenant) for each in said]
            sent = [Sent(f"s{n + i}", tenant, each.value(f"s{n + i}")) for i, each in enumerate(mine)]
            self.do(f"publish s{n} {mine} {fuel} {fault}", self.world.publish(gateway, sent, fuel, fault))

    def publish_more(self, which: int, kind: str) -> None:
        if (gateway := self.replica("gateway", 0)) is None or not self.world.ledger:
            return
        target = self.world.ledger[-1 - which % len(self.world.ledger)]
        n = len(self.world.ledger)
        if kind == "again":
            sent = Sent(target.id, target.tenant, target.value)
        elif kind == "withdrawal":
            sent = Sent(f"s{n}", target.tenant, withdrawal(f"s{n}", target.tenant, target.id))
        elif kind == "conflict":
            sent = Sent(target.id, target.tenant, Said("owner", target.tenant, 0, 0).value(target.id, changed=True))
        else:
            sent = Sent(f"s{n}", target.tenant, Said("owner", "2025-01", 0, 0).value(f"s{n}"))
        self.do(f"{kind} {target.id}", self.world.publish(gateway, [sent], None, None))

    # ---------------------------------------------------------------- what services do

    def work(
        self, what: str, service: str, which: int, limit: int, plan: list[Any], fuel: int | None, fault: Any
    ) -> None:
        """One turn of one task of a replica, as far as its fuel or its fault lets it."""
        world, replica = self.world, self.replica(service, which)
        if replica is None:
            return
        told = f"{what} {replica.name}"
        if what == "relay":
            if service in SENDING:
                replica.process.plan[:] = plan
                self.do(f"{told} {plan} {fault}", world.relay(replica, fault))
        elif what == "poll":
            self.do(f"{told} {limit} {fuel} {fault}", world.poll(replica, limit, fuel, fault))
        elif what == "lose poll":
            if not world.busy(replica, "poll"):
                self.do(told, world.poll(replica, limit, lost=True))
        elif service != "gateway":
            self.do(f"{told} {fuel} {fault}", world.background(replica, what, fuel, fault))

    def step(self) -> None:
        """Everybody does his work once, so that histories come far."""
        self.note("step")
        for service in SERVICES:
            for replica in self.world.alive(service):
                if service in SENDING:
                    replica.process.plan.clear()
                    self.do("", self.world.relay(replica))
                self.do("", self.world.poll(replica))

    def meanwhile(self, what: str, service: str, fuel: int, said: list[Said], drain: bool) -> None:
        """The first replica is stopped in the middle of something; the second works on, on what comes now."""
        alive = self.world.alive(service)
        if len(alive) < 2:
            return
        self.note(f"meanwhile {service}")
        self.work(what, service, 0, 500, [], fuel, None)
        self._publish(said, None, None)
        if self.stage.broker.up:
            self.work("relay", "gateway", 0, 500, [], None, None)
        self.work("poll", service, 1, 500, [], None, None)
        if drain:
            self.work("drain", service, 1, 500, [], None, None)

    def go_on(self, which: int, fuel: int | None, fault: Any) -> None:
        stopped = self.stopped()
        if not stopped:
            return
        actor = stopped[which % len(stopped)]

        async def resume() -> None:
            actor.go_on(fuel, fault)
            await self.world.schedule.settle()

        self.do(f"go_on {actor.name} at {actor.at} {fuel} {fault}", resume())

    def stopped(self) -> list[Actor]:
        """Who was stopped between two gates."""
        return [each for each in self.world.schedule.actors if each.parked and each.at not in each.rests_at]

    # ---------------------------------------------------------------- what goes wrong

    def disturb(self, what: str, service: str, which: int, split: tuple[int, int], n: int) -> None:
        """Processes, connections and the group."""
        world, broker, replica = self.world, self.stage.broker, self.replica(service, which)
        if what == "start":
            self.do(f"start {service}-{which}", world.start(service, which))
        elif what in ("rebalance", "zombie"):
            zombies = [which] if what == "zombie" else []
            self.do(f"{what} {service} {split} {zombies}", world.rebalance(service, split, zombies))
        elif what == "crash" and replica is not None:
            self.do(f"crash {replica.name}", world.kill(replica))
        elif what == "cut" and service in SENDING:
            self.do(f"cut {service}", world.cut(service))
        elif what in ("away", "back"):
            broker.up = what == "back"
            self.note(what)
        elif what == "late ones":
            if broker.late:
                broker.arrive(n)
                self.note(f"late_ones {n}")
        elif what == "lie" and replica is not None:
            place = TopicPartition(replica.topics[n % len(replica.topics)], split[0])
            broker.groups[service, place] = n
            self.note(f"lie {service} {place} {n}")

    def spoil(self, what: str, which: int, topic: str) -> None:
        """Records that lie there twice, or that nobody can read; offsets without a record; bugs."""
        broker = self.stage.broker
        if what == "spoilt before":
            self.do(f"spoil_before {which}", self._spoil_before(which))
        elif what == "ten minutes":
            if (gateway := self.replica("gateway", 0)) is not None:
                self.do("ten_minutes_later", self.world.ten_minutes_later(gateway))
        elif what == "hole":
            broker.logs[TopicPartition(topic, which % USED)].next += 1
            self.note(f"hole {topic} {which % USED}")
        elif what == "bug":
            bugs = self.world.bugs
            bugs.on = True
            if self.world.ledger:
                bugs.events.add(self.world.ledger[-1 - which % len(self.world.ledger)].id)
            bugs.subjects.add(Said("product", TENANTS[0], which % 2, 0).subject)
            self.note(f"bug {which}")
        elif broker.history:
            record = broker.history[-1 - which % len(broker.history)]
            if not record.ours:
                return
            headers, value = record.headers, record.value
            if what == "spoilt":
                value = b"\xff{"
            elif what == "nameless":
                headers, value = (("ce_id", b"\xff"),), b"?"
                self.world.nameless += 1
            broker.append(record.topic, record.key, headers, value, ours=what == "twice")
            self.note(f"{what} {record.topic} {record.partition} {record.offset}")

    async def _spoil_before(self, which: int) -> None:
        """The bad copy of a record comes before the good one."""
        service = SENDING[which % len(SENDING)]
        rows = await self.stage.masters[service].fetch("SELECT * FROM outbox ORDER BY id DESC LIMIT 10")
        if rows:
            row = rows[which % len(rows)]
            headers = [(name, value.encode()) for name, value in json.loads(row["headers"]).items()]
            self.stage.broker.append(row["topic"], row["key"].encode(), headers, b"{", ours=False)

    def calamity(self, what: str, service: str, topic: str, which: int) -> None:
        """Topics lost, or databases set back; not both in one history."""
        world = self.world
        if what == "topic":
            if world.calamity in ("", "topic") and service in DECIDING and self.stage.broker.up:
                world.calamity = what
                domain = [domain_topic(service, decider.aggregate) for decider in DECIDING[service]]
                name = {"submission": submission_topic(service), "outcome": outcome_topic(service)}.get(topic)
                name = name or domain[which % len(domain)]
                self.do(f"lose {name}", world.lose_topic(service, name))
        elif what == "save":
            self.do(f"save {service}", world.save(service))
        elif what == "restore" and service in world.saved and world.calamity in ("", "restore"):
            world.calamity = what
            self.do(f"restore {service}", world.restore(service))
        elif what == "adopt":
            self.do(f"adopt {service}", self._adopt(service))

    async def _adopt(self, service: str) -> None:
        if service in self.world.set_back:
            await self.world.adopt(service)
            await self.world.start(service, 0)
            await self.world.rebalance(service, [0] * USED)

    def note(self, what: str) -> None:
        """A step that needed nobody."""
        Machine.tally[what.split()[0]] += 1
        self.story.append(what)

    # ---------------------------------------------------------------- the end

    def teardown(self) -> None:
        """Everything is mended and comes to rest; then what must hold is looked at."""
        try:
            if not self.broken:
                self._end()
        finally:
            Machine.awaits += self.world.schedule.awaits
            Machine.faults += self.world.schedule.faults
            self.runner.run(self.world.schedule.end())

    def _end(self) -> None:
        Machine.histories += 1
        self.do("heal", self.world.heal())
        self.do("rest", self.world.rest())
        if not self.world.calamity:
            self.do("all_ended", all_ended(self.world))
        gateway = self.replica("gateway", 0)
        assert gateway is not None
        self.do("ten_minutes_later", self.world.ten_minutes_later(gateway))
        self.do("rest", self.world.rest())
        self.do("judge", judge(self.world))
