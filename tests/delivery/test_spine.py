"""Crashes, repeats, garbage and rebalances between gateway and registry, on real Kafka and PostgreSQL."""

import asyncio
import signal
from collections.abc import AsyncIterator
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import httpx2
import pytest
from aiokafka import AIOKafkaProducer

from contracts.topics import TOPICS
from ocop import provision
from servicekit import database
from tests.delivery import judging
from tests.delivery.system import Process, System, system
from tests.delivery.test_metrics import scraped
from tests.delivery.test_services import shared
from tests.engines import Databases
from tests.servicekit.test_forgotten import copies, gone
from tests.submissions import owner, owner_updated, product, product_updated, withdrawal
from tests.waiting import until, waits_for_lock


@pytest.fixture
async def spine(kafka_topics: str, databases: Databases, tmp_path: Path) -> AsyncIterator[System]:
    async with system(kafka_topics, databases, tmp_path, ["gateway", "registry"]) as under_test:
        await under_test.start("gateway")
        yield under_test


def families(count: int, start: int = 0) -> list[dict[str, Any]]:
    """Owners with a product each and an update of both: four events a family, in one batch's order."""
    events: list[dict[str, Any]] = []
    for n in range(start, start + count):
        events += [owner(f"CT-{n}", id_=f"o{n}"), product(f"SP-{n}", of=f"CT-{n}", id_=f"p{n}")]
    for n in range(start, start + count):
        events += [
            owner_updated(f"CT-{n}", id_=f"ou{n}"),
            product_updated(f"SP-{n}", of=f"CT-{n}", id_=f"pu{n}"),
        ]
    return events


async def all_applied(spine: System, count: int) -> None:
    states = await spine.fetch("gateway", "SELECT state, count(*) FROM submission GROUP BY 1")
    assert states == [("applied", count)]
    assert await spine.fetch("registry", "SELECT count(*) FROM event") == [(count,)]


async def test_everything_arrives_once(spine: System) -> None:
    await spine.start("registry")
    events = families(50)
    assert {answer["status"] for answer in await spine.submit(events)} == {"accepted"}
    assert {answer["status"] for answer in await spine.submit(events)} == {"duplicate"}
    await spine.settled()
    await all_applied(spine, 200)


@pytest.mark.parametrize("place", ["before-transaction", "before-commit", "after-commit", "relay-sent"])
async def test_registry_dies(spine: System, place: str) -> None:
    dying = await spine.start("registry", OCOP_FAILPOINT=place)
    await spine.submit(families(30))
    await dying.died()
    await spine.start("registry")
    await spine.settled()
    await all_applied(spine, 120)


async def test_gateway_dies_while_its_relay_sends(spine: System) -> None:
    await spine.start("registry")
    spine.running("gateway")[0].kill()
    dying = await spine.start("gateway", OCOP_FAILPOINT="relay-sent")
    await spine.submit(families(30))
    await dying.died()
    await spine.start("gateway")
    await spine.settled()
    await all_applied(spine, 120)


async def test_drain_dies_before_its_commit(spine: System) -> None:
    dying = await spine.start("registry", OCOP_FAILPOINT="drain-before-commit")
    await spine.submit([product(f"SP-{n}", id_=f"p{n}") for n in range(20)])
    await spine.settled()
    await spine.submit([owner(id_="o")])
    await dying.died()
    await spine.start("registry")
    await spine.settled()
    await all_applied(spine, 21)


async def test_duplicates_and_conflicts(spine: System) -> None:
    await spine.start("registry")
    answers = await spine.submit([owner(id_="o"), owner(id_="o"), owner(id_="o", business_name="Hợp tác xã khác")])
    assert [answer["status"] for answer in answers] == ["accepted", "duplicate", "conflict"]
    answers = await spine.submit([owner(id_="o", business_name="Hợp tác xã khác nữa")])
    assert answers[0]["errors"][0]["code"] == "conflict"
    await spine.settled()
    await all_applied(spine, 1)


async def test_refused_is_nowhere_and_its_id_is_not_used_up(spine: System) -> None:
    await spine.start("registry")
    bad = owner(id_="o", kind="band")
    assert [answer["status"] for answer in await spine.submit([bad, owner("CT-2", id_="o2")])] == [
        "refused",
        "accepted",
    ]
    await spine.settled()
    spine.refused.clear()
    assert (await spine.submit([owner(id_="o")]))[0]["status"] == "accepted"
    await spine.settled()
    await all_applied(spine, 2)


async def test_garbage_beside_good_neighbours(spine: System, producer: AIOKafkaProducer) -> None:
    thrown = set()
    for garbage in (b"", b"\x00\xff", b"{}", b'{"owner":'):
        for headers in ([], [("ce_id", b"\xff")]):
            thrown |= await _everywhere(producer, "ocop.submission.registry", garbage, headers)
    await spine.start("registry")
    await spine.submit(families(20))
    await spine.settled(ignore=partial(judging.names, thrown=thrown))
    await all_applied(spine, 80)
    kinds = await spine.fetch("registry", "SELECT DISTINCT reason, queue FROM held")
    assert kinds == [("failed", None)]


async def test_garbage_that_claims_to_be_ours_keeps_nobody_from_starting(
    spine: System, producer: AIOKafkaProducer
) -> None:
    first = await spine.start("registry")
    await spine.submit(families(2))
    await spine.settled()
    thrown = set()
    for topic in ("ocop.registry.outcome", "ocop.registry.owner"):
        headers = [("ce_source", b"/services/registry"), ("ce_id", b"x"), ("ce_subjectsequence", b"1")]
        thrown |= await _everywhere(producer, topic, b"garbage", headers)
    first.kill()
    await spine.start("registry")
    await spine.submit(families(2, start=100))
    await spine.settled(ignore=partial(judging.names, thrown=thrown))
    await all_applied(spine, 16)


async def _everywhere(
    producer: AIOKafkaProducer, topic: str, payload: bytes, headers: list[tuple[str, bytes]]
) -> set[str]:
    """Throws it into each partition; returns the places, as the oracle names them."""
    sent = [
        await producer.send_and_wait(topic, payload, partition=partition, headers=headers)
        for partition in range(TOPICS[topic].partitions)
    ]
    return {f"{topic}/{each.partition}@{each.offset}" for each in sent}


async def test_an_event_that_the_code_cannot_handle(spine: System) -> None:
    """It alone fails, after five tries; its subject stands behind it, everything else goes on; a mended
    service takes it at a retry."""
    broken = await spine.start("registry", module="tests.delivery.broken_registry")
    events = families(5)
    bug = owner("CT-BUG", id_="bug", business_name="Hợp tác xã BUG")
    await spine.submit([*events[:10], bug, owner_updated("CT-BUG", id_="behind"), *events[10:]])
    await spine.settled()
    states = dict(await spine.fetch("gateway", "SELECT event_id, state FROM submission"))
    assert states.pop("bug") == "failed"
    assert states.pop("behind") == "waiting"
    assert set(states.values()) == {"applied"}
    ((error,),) = await spine.fetch("registry", "SELECT error FROM held WHERE event_id = 'bug'")
    assert (error["class"], error["attempts"]) == ("RuntimeError", 5)
    broken.kill()
    await spine.start("registry")
    await spine.execute("registry", "UPDATE held SET ready = true WHERE event_id = 'bug'")
    await spine.settled()
    await all_applied(spine, 22)


async def test_a_held_event_that_the_code_cannot_handle(spine: System) -> None:
    """It was put aside in good order; when its turn comes it fails, and says so."""
    await spine.start("registry", module="tests.delivery.broken_registry")
    bug = product("SP-BUG", id_="bug") | {}
    bug["data"]["name"] = "Sản phẩm BUG"
    await spine.submit([bug, *(product(f"SP-{n}", id_=f"p{n}") for n in range(5))])
    await spine.settled()
    await spine.submit([owner(id_="o")])
    await spine.settled()
    states = dict(await spine.fetch("gateway", "SELECT event_id, state FROM submission"))
    assert states.pop("bug") == "failed"
    assert set(states.values()) == {"applied"}


async def test_two_replicas_and_a_rebalance_in_the_middle(spine: System) -> None:
    first = await spine.start("registry")
    both_read = asyncio.Event()
    sending = asyncio.create_task(_send_until(spine, both_read))
    second = await spine.start("registry")
    await until(lambda: shared(spine, "registry"))
    both_read.set()
    sent = await sending
    first.kill()
    await spine.submit(families(10, start=sent))
    await spine.start("registry")
    second.send(signal.SIGTERM)
    await spine.submit(families(10, start=sent + 10))
    await spine.settled()
    await all_applied(spine, (sent + 20) * 4)


async def _send_until(spine: System, stop: asyncio.Event) -> int:
    """Sends one family after the other; returns how many."""
    for n in count():
        await spine.submit(families(1, start=n))
        if stop.is_set():
            return n + 1
    raise AssertionError("it counts for ever")


async def test_a_zombie_wakes_up_and_changes_nothing(spine: System) -> None:
    """Stopped past its session, with a poll in hand and leading the relay; another has taken over when it goes on."""
    zombie = await spine.start("registry")
    await spine.submit(families(20))
    await spine.settled()

    async def leads() -> bool:
        return (await scraped(zombie))["ocop_relay_leads", ()] == 1

    await until(leads)
    superuser = spine.databases["registry"].superuser
    async with await database.open_pool(superuser) as pool, pool.acquire() as ours, ours.transaction():
        await ours.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
        await ours.execute("SELECT FROM position FOR UPDATE")
        await spine.submit(families(20, start=100))
        await until(lambda: waits_for_lock(pool))
        zombie.send(signal.SIGSTOP)
    await spine.start("registry", ready=False)  # the locks that it needs are the zombie's now

    async def all_have_an_end() -> bool:
        return not await spine.fetch("gateway", "SELECT 1 FROM submission WHERE state <> 'applied'")

    await until(all_have_an_end, 60)
    zombie.send(signal.SIGCONT)
    await spine.submit(families(20, start=200))
    await spine.settled()
    await all_applied(spine, 240)


async def test_locks_of_a_client_that_the_network_forgot_go(spine: System) -> None:
    """In the middle of a COPY, where no time limit of the server is heard."""
    await spine.start("registry")
    await spine.submit(families(20))
    await spine.settled()
    async with gone(spine.urls["registry"], copies, lock="SELECT FROM position FOR UPDATE"):
        await spine.submit(families(20, start=100))
        await spine.settled(60)
    await all_applied(spine, 160)


async def test_another_replica_leads_the_relay_when_the_leader_dies(spine: System) -> None:
    await spine.start("registry")
    leader = spine.running("gateway")[0]
    await spine.start("gateway")
    await spine.submit(families(10))
    await spine.settled()
    leader.kill()
    await spine.submit(families(10, start=100))
    await spine.settled()
    await all_applied(spine, 80)


async def test_withdrawal_through_the_gateway(spine: System) -> None:
    await spine.start("registry")
    await spine.submit([product(id_="p")])
    await spine.settled()
    answers = await spine.submit([withdrawal("p", id_="w"), withdrawal("nothing", id_="w2")])
    assert [answer["status"] for answer in answers] == ["accepted", "refused"]
    assert answers[1]["errors"][0]["code"] == "target-not-found"
    await spine.settled()
    states = await spine.fetch("gateway", "SELECT event_id, state FROM submission ORDER BY 1")
    assert states == [("p", "withdrawn"), ("w", "applied")]


async def test_a_database_set_back_stops_and_says_so(spine: System, databases: Databases) -> None:
    registry = await spine.start("registry")
    await spine.submit(families(5))
    await spine.settled()
    registry.kill()
    made = spine.databases["registry"]
    saved = await databases.save(made)
    registry = await spine.start("registry")
    await spine.submit(families(5, start=100))
    await spine.settled()
    registry.kill()
    await databases.set_back(made, saved)
    events = await spine.fetch("registry", "SELECT count(*) FROM event")
    stopped = await spine.start("registry", ready=False)
    async with asyncio.timeout(20):
        while not any("set back" in each for each in await _missing(stopped)):
            await asyncio.sleep(0.1)
    await spine.submit(families(1, start=200))
    assert any("set back" in each for each in await _missing(stopped))
    assert await spine.fetch("registry", "SELECT count(*) FROM event") == events, "it decides nothing"


async def _missing(process: Process) -> list[str]:
    try:
        return await process.missing()
    except httpx2.TransportError:  # it does not listen yet
        return []


async def test_a_topic_made_anew_is_read_from_its_start(spine: System, kafka_topics: str) -> None:
    """The gateway's repeats bring again what had no final outcome; what was decided stays decided."""
    registry = await spine.start("registry")
    await spine.submit(families(20))
    await spine.settled()
    registry.kill()
    name = "ocop.submission.registry"
    await provision.remove_topics(kafka_topics, [name])
    await provision.topics(kafka_topics, [TOPICS[name]])
    await spine.submit(families(20, start=100))
    await spine.start("registry")
    await spine.settled()
    await all_applied(spine, 160)
