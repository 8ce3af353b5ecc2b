"""Services that die, stand still, come and go, or whose producer is fenced: F1, F2, F8, F9, F24."""

import asyncio
import json
import signal
import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.record.memory_records import MemoryRecords

from contracts.topics import TOPICS
from ocop.rules.evidence import partitions
from servicekit import database
from tests.delivery.healing import SENDERS
from tests.delivery.system import SERVICES, Process
from tests.faults.frame import WELL_S, Fault, Stage

PLACES = ("before-transaction", "before-commit", "after-commit", "relay-sent", "drain-before-commit")
DECIDING = ("registry", "evaluation", "marketplace")
FAILPOINT = "OCOP_FAILPOINT"
STRUCK_S = 90  # on a slow machine five services start at once, and their turn has to come
LEADS_S = 5  # in which a new leader comes to send, there, too
REBUILT_S = 5
FEWEST_TURNS = 5


async def failpoints(stage: Stage) -> None:
    """Deciders die at each place where they may, a projector beside its commit, the postman between a mail and its
    mark."""
    places = stage.chance.sample(PLACES, len(PLACES))
    stage.cuts += 1
    async with asyncio.TaskGroup() as group:
        group.create_task(_die_at(stage, "notifications", ["mail-sent"]))
        group.create_task(_die_at(stage, "national", ["before-commit", "after-commit"]))
        for number, service in enumerate(DECIDING):
            group.create_task(_die_at(stage, service, places[number :: len(DECIDING)]))


async def gateway_commits(stage: Stage) -> None:
    """A gateway dies between its commit and its answer, on each host; its clients send the same again."""
    for host in stage.hosts:
        await _dies_at(stage, host.processes["gateway"], "request-committed")


async def _die_at(stage: Stage, service: str, places: Sequence[str]) -> None:
    for place in places:
        await _dies_at(stage, stage.chance.choice(stage.hosts).processes[service], place)


async def _dies_at(stage: Stage, process: Process, place: str) -> None:
    """Armed, dead, started again as it was."""
    process.send(signal.SIGTERM)
    await asyncio.to_thread(process.process.wait, 30)
    plain = process.environment
    process.environment = {**plain, FAILPOINT: place}
    process.launch()
    dying = asyncio.create_task(process.died(STRUCK_S))
    while place == "relay-sent" and not (await asyncio.wait({dying}, timeout=LEADS_S))[0]:
        await _new_leader(stage, process.service)
    await dying
    process.environment = plain
    process.launch()
    stage.mended()
    await stage.ready(process)


async def _new_leader(stage: Stage, service: str) -> None:
    """Takes the relay's lock from whoever has it."""
    connection = await database.connect(stage.system.databases[service].superuser)
    try:
        await connection.execute(
            """SELECT pg_terminate_backend(pid) FROM pg_locks JOIN pg_database d ON d.oid = database
               WHERE locktype = 'advisory' AND granted AND d.datname = current_database() AND objsubid = 1"""
        )
    finally:
        await connection.close()


async def stands_still(stage: Stage) -> None:
    """A whole host is stopped past its session, each process in the middle of something; the other reads on in its
    place, and it wakes up."""
    host = stage.chance.choice(stage.hosts)
    stage.cuts += 1
    for process in host.processes.values():
        process.send(signal.SIGSTOP)
        await asyncio.sleep(stage.chance.uniform(0, 0.3))
    await stage.last(15)
    try:
        await stage.taken_over()
        await stage.alone()
    finally:
        for process in host.processes.values():
            process.send(signal.SIGCONT)


async def storm(stage: Stage) -> None:
    """Replicas come and go, in order or by `kill -9`, faster than a group settles."""
    until = time.monotonic() + (stage.seconds or 20)
    turns = 0
    while time.monotonic() < until:
        host = stage.chance.choice(stage.hosts)
        process = host.processes[stage.chance.choice(SERVICES[1:])]
        turns += 1
        stage.cuts += process.service == "notifications"
        process.send(stage.chance.choice((signal.SIGTERM, signal.SIGKILL)))
        await asyncio.to_thread(process.process.wait, 30)
        process.launch()
        stage.mended()
        await asyncio.sleep(stage.chance.uniform(0, 1))
    stage.figures["restarts"] = turns
    stage.expect(turns >= FEWEST_TURNS, f"replicas come and go {FEWEST_TURNS} times at least")


async def producers_fenced(stage: Stage) -> None:
    """Kafka has heard of a later epoch of each relay's producer, and takes nothing more from it. A new one is made, and
    what the old one had in hand is sent by it."""
    fenced = 0
    for topic in TOPICS:
        for each in partitions(topic):
            segment = stage.engines.directory / "kafka" / "data" / f"{topic}-{each.partition}" / f"{0:020}.log"
            last = _last_batch(segment.read_bytes())
            if last is not None:
                await _fence(stage.system.bootstrap, each, *last)
                fenced += 1
    stage.mended()
    await stage.system.healed(WELL_S)
    waits = [wait for service in SENDERS for wait in _without_leader(stage, service)]
    stage.figures["partitions fenced"], stage.figures["producers given up"] = fenced, len(waits)
    stage.figures["until the next leads, s"] = max(waits, default=None)
    stage.expect(waits, "some relay has met the fence")
    stage.expect(max(waits, default=0) <= REBUILT_S, f"another producer is there within {REBUILT_S} s")


def _without_leader(stage: Stage, service: str) -> list[float]:
    """Seconds from each fence that a service's relays have met until one of them leads again."""
    said: list[tuple[datetime, str]] = []
    for process in stage.system.processes:
        if process.service == service:
            lines = (json.loads(line) for line in process.log.read_text().splitlines() if '"servicekit.relay"' in line)
            said += [(datetime.fromisoformat(line["timestamp"]), json.dumps(line)) for line in lines]
    said.sort()
    fences = [at for at, line in said if "ProducerFenced" in line]
    leads = [at for at, line in said if '"relay leads"' in line]
    return [round((next(lead for lead in leads if lead > at) - at).total_seconds(), 1) for at in fences]


def _last_batch(log: bytes) -> tuple[int, int, Any] | None:
    """Producer, epoch and last record of what lies in a partition; None if nothing of a producer with an id does."""
    found, batches = None, MemoryRecords(log)
    while batches.has_next() and (batch := batches.next_batch()) is not None:
        if batch.producer_id >= 0:
            *_, record = batch
            found = (batch.producer_id, batch.producer_epoch, record)
    return found


async def _fence(bootstrap: str, partition: TopicPartition, producer_id: int, epoch: int, record: Any) -> None:
    """Says a record again, as the same producer in its next epoch."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, enable_idempotence=True, acks="all")
    producer._txn_manager.set_pid_and_epoch(producer_id, epoch + 1)  # instead of asking for an id of its own
    await producer.start()
    try:
        await producer.send_and_wait(
            partition.topic, record.value, record.key, partition.partition, headers=list(record.headers)
        )
    finally:
        await producer.stop()


FAULTS = (
    Fault("F1", "a decider dies at each failpoint, a projector and the postman at theirs", failpoints),
    Fault("F2", "a gateway dies between commit and answer", gateway_commits),
    Fault("F8", "a host stands still past its session (SIGSTOP), and goes on", stands_still),
    Fault("F9", "rebalance storm: replicas come and go", storm),
    Fault("F24", "the relays' producers fenced by Kafka", producers_fenced),
)
