"""What refers to another service's things: recognitions and listings before their products, on real engines."""

from collections.abc import AsyncIterator, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from aiokafka.admin import AIOKafkaAdminClient

from ocop.history import histories
from tests.acts import corrected, delisted, listed, recognised, revoked
from tests.delivery.system import System, system
from tests.engines import Databases
from tests.submissions import owner, product, withdrawal
from tests.waiting import until

BATCH = 1000


@pytest.fixture
async def services(kafka_topics: str, databases: Databases, tmp_path: Path) -> AsyncIterator[System]:
    """Everything that decides; of evaluation two replicas."""
    names = ["gateway", "registry", "evaluation", "marketplace"]
    async with system(kafka_topics, databases, tmp_path, names) as under_test:
        for name in (*names, "evaluation"):
            await under_test.start(name, ready=False)
        for process in under_test.processes:
            await process.ready()
        await until(lambda: shared(under_test, "evaluation"))
        yield under_test


async def shared(services: System, service: str) -> bool:
    """Whether both replicas of a service have partitions."""
    admin = AIOKafkaAdminClient(bootstrap_servers=services.bootstrap)
    await admin.start()
    try:
        (answer,) = await admin.describe_consumer_groups([service])
    finally:
        await admin.close()
    ((_, _, state, _, _, members, *_),) = answer.groups
    # A member's last field is its assignment.
    return state == "Stable" and len(members) == 2 and all(member[4] for member in members)


def batches(events: Sequence[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    rest = iter(events)
    while batch := list(islice(rest, BATCH)):
        yield batch


async def states(services: System) -> dict[tuple[str, str], str]:
    """What the gateway says of each submission."""
    rows = await services.fetch("gateway", "SELECT source, event_id, state FROM submission")
    return {(source, event_id): state for source, event_id, state in rows}


async def codes(services: System, service: str) -> dict[str, str | None]:
    """Why a service holds or refused submissions, by event id."""
    return dict(await services.fetch(service, "SELECT event_id, code FROM inbox"))


async def test_whoever_comes_first_waits_for_what_it_names(services: System) -> None:
    """Listings and recognitions, then their products, then the owners; in the end everything is applied."""
    said: list[dict[str, Any]] = []
    for n in range(60):
        said += [
            recognised("1", "2024-06-19", of=f"SP-{n}", id_=f"r{n}"),
            listed(f"NY-{n}", "2024", of=f"SP-{n}", id_=f"l{n}"),
        ]
    for n in range(60):
        said += [
            corrected("1", "2024-06-20", of=f"SP-{n}", id_=f"rc{n}"),
            delisted(f"NY-{n}", "2026", id_=f"ld{n}"),
            revoked("1", "2026-03", of=f"SP-{n}", id_=f"rr{n}"),
        ]
    products = [product(f"SP-{n}", of=f"CT-{n % 7}", id_=f"p{n}") for n in range(60)]
    owners = [owner(f"CT-{n}", id_=f"o{n}") for n in range(7)]
    await services.submit(said)
    await services.settled()
    assert set((await states(services)).values()) == {"waiting"}
    why = await codes(services, "evaluation") | await codes(services, "marketplace")
    assert {why[f"{kind}{n}"] for n in range(60) for kind in ("r", "l")} == {"unknown-product"}
    assert {why[f"{kind}{n}"] for n in range(60) for kind in ("rc", "rr", "ld")} == {"behind-earlier"}
    await services.submit(products)
    await services.submit(owners)
    await services.settled()
    assert set((await states(services)).values()) == {"applied"}
    assert await services.fetch("evaluation", "SELECT count(*) FROM event") == [(180,)]
    assert await services.fetch("marketplace", "SELECT count(*) FROM event") == [(120,)]
    for service in ("registry", "evaluation", "marketplace"):
        assert await services.fetch(service, "SELECT count(*) FROM held") == [(0,)]


async def test_a_waiting_recognition_is_taken_back_and_a_replica_dies(services: System) -> None:
    await services.submit([recognised("1", of=f"SP-{n}", id_=f"r{n}") for n in range(40)])
    await services.submit([withdrawal(f"r{n}", id_=f"w{n}") for n in range(20)])
    await services.submit([owner(id_="o"), *(product(f"SP-{n}", id_=f"p{n}") for n in range(20))])
    services.running("evaluation")[0].kill()
    await services.submit([product(f"SP-{n}", id_=f"p{n}") for n in range(20, 40)])
    await services.settled()
    found = {event_id: state for (_, event_id), state in (await states(services)).items()}
    # Which of the two was faster, the withdrawal or the product, is open; that they agree is not.
    ends = [(found[f"r{n}"], found[f"w{n}"]) for n in range(20)]
    assert set(ends) <= {("withdrawn", "applied"), ("applied", "rejected")}
    assert {found[f"r{n}"] for n in range(20, 40)} == {"applied"}
    applied = 20 + ends.count(("applied", "rejected"))
    assert await services.fetch("evaluation", "SELECT count(*) FROM recognition") == [(applied,)]


async def test_the_histories_of_five_provinces_upside_down(services: System) -> None:
    """All that the demo submits; of each province what refers to other things first, so that nearly all of it waits."""
    kinds = ("listing", "recognition", "product", "owner")
    sent = 0
    for history in histories():
        events = sorted(history.events, key=lambda event: kinds.index(event["type"].split(".")[3]))
        for batch in batches(events):
            answers = await services.submit(batch, tenant=history.tenant, system=history.system)
            assert {answer["status"] for answer in answers} == {"accepted"}
        sent += len(events)
    await services.settled()
    found = await states(services)
    assert (len(found), set(found.values())) == (sent, {"applied"})
    acts = sum("recognition" in event["type"] for history in histories() for event in history.events)
    assert await services.fetch("evaluation", "SELECT count(*) FROM event") == [(acts,)]
