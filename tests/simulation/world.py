"""The replicas of a history, and what may happen to them."""

import json
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError
from gateway import adoption, intake
from gateway.domain import Holder
from gateway.repeater import Repeater
from gateway.request import Piece

from contracts.names import namespaces_of
from contracts.topics import TOPICS
from servicekit import database
from servicekit.adopt import adopt
from servicekit.database import Pool
from servicekit.health import Health
from servicekit.relay import Relay
from servicekit.republish import republish
from servicekit.runner import Runner
from servicekit.setback import unknown_records
from servicekit.waker import Waker
from tests.simulation.broker import USED, Consumer
from tests.simulation.connections import GatedPool
from tests.simulation.domain import SENDING, SERVICES, Bugs, handlers
from tests.simulation.schedule import Actor, Fault, Process, Schedule, gate
from tests.simulation.stage import Saved, Stage

REPLICAS = 2
REPEAT_AFTER_S = 600
MOST_ROUNDS = 60  # until everything is at rest
RELAY_RESTS = frozenset({"connect", "SELECT lock", "SELECT outbox"})


class Replica:
    """One process of a service."""

    def __init__(self, stage: Stage, service: str, number: int, bugs: Bugs) -> None:
        self.service, self.name = service, f"{service}-{number}"
        self.process = Process(self.name)
        self.pool = cast(Pool, GatedPool(self.process, stage.pools[service]))
        self.process.connect = GatedPool(self.process, stage.pools[service]).connect
        self.consumer = Consumer(stage.broker, service)
        settings: Any = SimpleNamespace(kafka_bootstrap=self.consumer, poll_records=500, session_timeout_ms=6000)
        self.relay = Relay(service, "model", "model")
        reads = handlers(service, bugs)
        health = Health()
        self.runner = Runner(service, settings, self.pool, reads, health, self.relay.wake)
        self.waker = Waker(self.pool, reads, self.relay.wake)
        self.topics = [topic for handler in reads for topic in handler.topics]


@dataclass(slots=True)
class Sent:
    """A submission that was sent, and what the gateway answered; None if the answer was lost."""

    id: str
    tenant: str
    value: dict[str, Any]
    answer: str | None = None


@dataclass(slots=True)
class World:
    """A history as it stands. Every method that does something returns when nobody can go on by himself."""

    stage: Stage
    bugs: Bugs = field(default_factory=Bugs)
    replicas: dict[str, Replica] = field(default_factory=dict)
    ledger: list[Sent] = field(default_factory=list)
    unsure: set[str] = field(default_factory=set)  # ids whose place in the order of arrival was lost with a topic
    nameless: int = 0
    saved: dict[str, Saved] = field(default_factory=dict)
    set_back: set[str] = field(default_factory=set)  # services that must adopt before they start
    calamity: str = ""  # topics lost, or databases set back: not both in one history
    counts: Counter[str] = field(default_factory=Counter)
    schedule: Schedule = field(init=False)

    def __post_init__(self) -> None:
        self.schedule = Schedule(self.stage.blocked)

    # ---------------------------------------------------------------- replicas

    def alive(self, service: str) -> list[Replica]:
        """Its replicas that run."""
        return [each for each in self.replicas.values() if each.service == service and not each.process.dead]

    def busy(self, replica: Replica, what: str) -> Actor | None:
        """The actor of that name, if it has not come to its end."""
        name = f"{replica.name}:{what}"
        return next((each for each in self.schedule.actors if each.name == name and not each.done), None)

    async def act(
        self,
        replica: Replica,
        what: str,
        work: Callable[[], Awaitable[object]],
        fuel: int | None = None,
        fault: tuple[int, Fault] | None = None,
    ) -> None:
        """Begins an actor, or lets the one that there is go on, as far as it may."""
        actor = self.busy(replica, what)
        if actor is None:
            actor = Actor(f"{replica.name}:{what}", replica.process, self.schedule, fuel, fault)
            self.schedule.start(actor, work)
        else:
            actor.go_on(fuel, fault)
        await self.schedule.settle()

    async def start(self, service: str, number: int) -> None:
        """Starts a replica that does not run; it looks first whether its database was set back."""
        name = f"{service}-{number}"
        if name in self.replicas and not self.replicas[name].process.dead:
            return
        replica = Replica(self.stage, service, number, self.bugs)

        async def begin() -> None:
            with suppress(KafkaError):
                async with replica.pool.acquire() as connection:
                    unknown = await unknown_records(connection, "model", service)
                assert not unknown or service in self.set_back, f"{service} is said to be set back: {unknown}"
                if not unknown:
                    self.replicas[name] = replica

        if self.stage.broker.up:
            await self.act(replica, "start", begin)

    async def rebalance(self, service: str, split: Sequence[int], zombies: Iterable[int] = ()) -> None:
        """Gives partition p of each topic to the split[p]-th living replica; zombies learn nothing of it."""
        alive = self.alive(service)
        if not alive:
            return
        asleep = {alive[number % len(alive)].name for number in zombies}
        for replica in alive:
            mine = {
                TopicPartition(topic, p)
                for p in range(USED)
                for topic in replica.topics
                if alive[split[p] % len(alive)] is replica
            }
            if replica.name in asleep or self.busy(replica, "rebalance"):
                replica.consumer.member = False
                continue

            async def rejoin(replica: Replica = replica, mine: set[TopicPartition] = mine) -> None:
                await replica.runner.on_partitions_revoked(replica.consumer.assignment())
                replica.consumer.member = True
                replica.consumer.assign(mine)
                with suppress(Exception):  # aiokafka logs what is raised here, and reads on
                    await replica.runner.on_partitions_assigned(mine)

            await self.act(replica, "rebalance", rejoin)

    # ---------------------------------------------------------------- in

    async def publish(self, replica: Replica, sent: Sequence[Sent], fuel: int | None, fault: Any) -> None:
        """One request of one tenant."""
        if self.busy(replica, "publish"):
            await self.act(replica, "publish", _nothing, fuel, fault)
            return
        self.ledger += sent
        tenant = sent[0].tenant
        holder = Holder(tenant, "test", namespaces_of(tenant))
        pieces = [Piece(json.dumps(each.value, ensure_ascii=False).encode(), each.value) for each in sent]

        async def take() -> None:
            try:
                answers = await intake.take(replica.pool, holder, pieces, repeat_after_s=REPEAT_AFTER_S)
            except Exception as error:
                if not database.is_outage(error):
                    raise
                return  # 503
            for each, answer in zip(sent, answers, strict=True):
                each.answer = answer.status

        await self.act(replica, "publish", take, fuel, fault)

    async def ten_minutes_later(self, replica: Replica) -> None:
        """What has no end yet is sent again."""
        await self.stage.masters["gateway"].execute("UPDATE submission SET repeat_at = received_at")
        repeater = Repeater(replica.pool, REPEAT_AFTER_S)
        await self.act(replica, "repeat", lambda: _surviving(repeater.once))

    # ---------------------------------------------------------------- through

    async def poll(
        self, replica: Replica, limit: int = 500, fuel: int | None = None, fault: Any = None, *, lost: bool = False
    ) -> None:
        """One poll; `lost`: the framework fails on it, and the runner never sees it."""
        consumer, runner = replica.consumer, replica.runner

        async def poll() -> None:
            taken = consumer.take(limit)
            runner._polled(taken)
            if lost or not taken:
                return
            await gate("poll taken")
            await runner.poll([record for records in taken.values() for record in records])

        await self.act(replica, "poll", poll, fuel, fault)

    async def background(self, replica: Replica, what: str, fuel: int | None = None, fault: Any = None) -> None:
        """One turn of a background task: drain, sweep, or looking round for what is not settled."""
        runner, waker = replica.runner, replica.waker
        work = {"drain": waker.drain, "sweep": waker.sweep, "look round": runner._look_round}[what]

        async def turn() -> None:
            self.counts["found"] += await _surviving(work)

        await self.act(replica, what, turn, fuel, fault)

    async def relay(self, replica: Replica, fault: Any = None) -> None:
        """One turn of the relay, from its look into the outbox to the next; before that it must lead."""
        actor = self.busy(replica, "relay")
        if actor is None:
            actor = Actor(f"{replica.name}:relay", replica.process, self.schedule, rests_at=RELAY_RESTS)
            self.schedule.start(actor, replica.relay.run)
            await self.schedule.settle()
        for _ in range(3):
            was = actor.at
            actor.go_on(None, fault)
            await self.schedule.settle()
            if was == "SELECT outbox" or actor.done or actor.at == was:
                break

    async def cut(self, service: str) -> None:
        """The server ends the connections that are in a transaction or lead the relay; their clients do not know."""
        leads = "pid IN (SELECT pid FROM pg_locks WHERE locktype = 'advisory')"
        await self.stage.masters[service].execute(
            f"""SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                WHERE datname = current_database() AND application_name = 'sim'
                  AND (state LIKE 'idle in transaction%' OR {leads})"""  # noqa: S608  # no input
        )

    async def kill(self, replica: Replica) -> None:
        """As by `kill -9`."""
        replica.process.kill()
        for actor in self.schedule.actors:
            if actor.process is replica.process:
                actor.go_on()
        await self.schedule.settle()

    # ---------------------------------------------------------------- calamities

    async def lose_topic(self, service: str, topic: str) -> None:
        """A topic is deleted and made anew. Submissions and outcomes come back by the gateway's repeats; a domain
        topic is filled from the log of record."""
        broker, kind = self.stage.broker, TOPICS[topic].kind
        if kind == "submission":
            reads = await self.stage.masters[service].fetch("SELECT * FROM position WHERE topic = $1", topic)
            read = {row["partition"]: row["next_offset"] for row in reads if row["topic_id"] == broker.ids[topic]}
            lost = [record for record in broker.of(topic) if record.offset >= read.get(record.partition, 0)]
            self.unsure |= {record.named("id") for record in lost}
        broker.make_anew(topic)
        if kind == "domain":
            async with self.stage.pools[service].acquire() as operator:
                try:
                    await republish(operator, "model", service, topic)
                finally:
                    operator.terminate()  # it has the relay's lock, and nobody but its end takes that away

    async def save(self, service: str) -> None:
        """A backup is taken."""
        self.saved[service] = await self.stage.save(service)

    async def restore(self, service: str) -> None:
        """All replicas are ended, and the database is what the backup says. Nothing is on its way any more."""
        for replica in self.alive(service):
            await self.kill(replica)
        for actor in self.schedule.actors:
            if actor.process.name.startswith(service):
                actor.process.kill()
                actor.go_on()
        await self.schedule.settle()
        self.stage.broker.arrive(len(self.stage.broker.late))
        await self.stage.set_back(service, self.saved[service])
        if service in SENDING:  # who says nothing reads again, and that is all
            self.set_back.add(service)
        if service == "gateway":  # what never reached a topic is lost with the database, and its sender sends again
            topics = [topic.name for topic in TOPICS.values() if topic.kind == "submission"]
            there = {record.named("id") for topic in topics for record in self.stage.broker.of(topic)}
            kept = await self.stage.masters["gateway"].fetch("SELECT event_id FROM submission")
            there |= {row["event_id"] for row in kept}
            for sent in self.ledger:
                if sent.answer == "accepted" and sent.id not in there:
                    sent.answer = None

    async def adopt(self, service: str) -> None:
        """`ocop adopt`: it takes over what it has said, and may start again."""
        if service not in self.set_back or not self.stage.broker.up:
            return
        async with self.stage.pools[service].acquire() as operator, operator.transaction():
            await adopt(operator, "model", service, adoption.take if service == "gateway" else None)
        self.set_back.discard(service)

    # ---------------------------------------------------------------- the end

    async def heal(self) -> None:
        """Everything is mended: what is late comes, whoever was stopped goes on, everybody knows his partitions."""
        broker = self.stage.broker
        broker.up, self.bugs.on = True, False
        for _ in range(20):
            stopped = [each for each in self.schedule.actors if each.parked and each.at not in each.rests_at]
            if not stopped:
                break
            for actor in stopped:
                actor.go_on()
                await self.schedule.settle()
        broker.arrive(len(broker.late))
        for service in SERVICES:
            for replica in self.alive(service):
                replica.process.plan.clear()
            await self.adopt(service)
            if not self.alive(service):
                await self.start(service, 0)
            await self.rebalance(service, list(range(USED)))
            # As `ocop consumer resume` and `ocop dlq retry` do.
            await self.stage.masters[service].execute(
                """UPDATE stopped SET resumed_at = clock_timestamp() WHERE resumed_at IS NULL;
                   UPDATE held SET ready = true WHERE reason = 'failed' AND subject IS NOT NULL"""
            )
            for replica in self.alive(service):
                await self.background(replica, "look round")

    async def rest(self) -> None:
        """Runs until nobody finds anything to do."""
        for _ in range(MOST_ROUNDS):
            before = self.counts["found"]
            moved = False
            for service in SERVICES:
                if service in SENDING:
                    moved |= await self._send_all(service)
                for replica in self.alive(service):
                    if replica.consumer.unread():
                        moved = True
                        await self.poll(replica)
                if service != "gateway" and await self._holds(service):
                    for what in ("drain", "sweep"):
                        await self.background(self.alive(service)[0], what)
            if not moved and self.counts["found"] == before:
                return
        raise AssertionError(f"after {MOST_ROUNDS} rounds still not at rest")

    async def _holds(self, service: str) -> bool:
        return bool(await self.stage.masters[service].fetchval("SELECT EXISTS (SELECT FROM held)"))

    async def _send_all(self, service: str) -> bool:
        if not await self.stage.masters[service].fetchval("SELECT EXISTS (SELECT FROM outbox)"):
            return False
        for replica in self.alive(service):
            await self.relay(replica)
        return True


async def _nothing() -> None: ...


async def _surviving(work: Callable[[], Awaitable[int]]) -> int:
    """A turn of `waker.repeat`, which goes on after an outage."""
    try:
        return await work()
    except Exception as error:
        if not database.is_outage(error) and not isinstance(error, KafkaError):
            raise
        return 0
