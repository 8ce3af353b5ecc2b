"""The oracle sees what it is there to see: each planted break is found, and named by its rule."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ocop import oracle
from servicekit import database
from servicekit.kafka import start_producer
from tests.delivery.system import System, system
from tests.delivery.test_spine import families
from tests.engines import Databases
from tests.submissions import product


@pytest.fixture
async def quiet(kafka_topics: str, databases: Databases, tmp_path: Path) -> AsyncIterator[System]:
    """A system in which ten families were applied and one product waits; nothing runs any more."""
    async with system(kafka_topics, databases, tmp_path, ["gateway", "registry", "national"]) as under_test:
        for service in under_test.databases:
            await under_test.start(service)
        await under_test.submit([*families(10), product("SP-X", of="CT-X", id_="waits")])
        await under_test.settled()
        for process in under_test.processes:
            process.kill()
        yield under_test


# What is done to a database as its owner, and the beginning of what the oracle must say.
BREAKS: list[tuple[str, str, str]] = [
    (
        "registry",
        "DELETE FROM inbox WHERE event_id = 'o3'",
        "O1 registry: ('/provinces/2025-68/test', 'o3') was accepted",
    ),
    ("gateway", "UPDATE submission SET state = 'waiting' WHERE event_id = 'o3'", "O1 registry"),
    ("registry", "UPDATE inbox SET state = 'waiting' WHERE event_id = 'o3'", "O1 registry"),
    ("registry", "DELETE FROM held WHERE event_id = 'waits'", "O1 registry"),
    ("gateway", "DELETE FROM submission WHERE event_id = 'o3'", "O1 registry"),
    ("registry", "DELETE FROM event WHERE sequence = 1 AND subject = (SELECT min(id::text)::uuid FROM owner)", "O2"),
    ("registry", "UPDATE event SET payload = '{}' WHERE sequence = 1", "O2"),
    ("registry", 'UPDATE event SET headers = headers || \'{"ce_time":"x"}\' WHERE sequence = 2', "O2"),
    ("registry", "UPDATE inbox SET outcome_seq = outcome_seq + 1 WHERE event_id = 'o3'", "O2"),
    ("national", "UPDATE stream SET applied = 1 WHERE topic = 'ocop.registry.owner'", "O3 national"),
    ("national", "DELETE FROM stream WHERE topic = 'ocop.registry.product'", "O3 national"),
    ("national", "DELETE FROM owner_event WHERE sequence = 2", "O3 national"),
    ("registry", 'UPDATE owner SET data = data || \'{"ref":"CT-0"}\'', "O4 registry: owner"),
    ("registry", "DELETE FROM product", "O4 registry: product"),
    ("national", "UPDATE product_period SET name = 'x' WHERE name LIKE '%SP-3'", "O4 national.product_period"),
    ("national", "DELETE FROM owner_period WHERE business_name LIKE '%CT-3'", "O4 national.owner_period"),
    ("national", "INSERT INTO owner SELECT gen_random_uuid(), namespace, ref, NULL, NULL, event FROM owner", "O4"),
]


async def test_each_planted_break_is_found(quiet: System, databases: Databases) -> None:
    saved = {service: await databases.save(made) for service, made in quiet.databases.items()}
    missed = []
    for service, statement, finding in BREAKS:
        owner = await database.connect(quiet.databases[service].superuser)
        await owner.execute("SET session_replication_role = replica")
        status = await owner.execute(statement)
        await owner.close()
        assert not status.endswith(" 0"), f"not planted: {statement}"
        findings = await oracle.examine(quiet.bootstrap, quiet.urls)
        if not any(each.startswith(finding) for each in findings):
            missed.append((statement, findings))
        await databases.set_back(quiet.databases[service], saved[service])
    assert not missed
    assert await oracle.examine(quiet.bootstrap, quiet.urls) == []


async def test_a_stranger_on_a_topic_is_found(quiet: System, kafka_topics: str) -> None:
    producer = await start_producer(kafka_topics, "test")
    headers = [("ce_source", b"/services/registry"), ("ce_id", b"00000000-0000-0000-0000-000000000001")]
    await producer.send_and_wait("ocop.registry.owner", b"{}", headers=headers)
    await producer.send_and_wait("ocop.submission.registry", b"{}")
    await producer.stop()
    findings = await oracle.examine(quiet.bootstrap, quiet.urls)
    assert any("is not in the log" in each for each in findings)
    assert any("is no submission" in each for each in findings)


async def test_what_was_refused_is_found_where_it_should_not_be(quiet: System) -> None:
    findings = await oracle.examine(quiet.bootstrap, quiet.urls, {("/provinces/2025-68/test", "o3")})
    assert any(each.startswith("O5 gateway.submission") for each in findings)
    assert any(each.startswith("O5 registry.inbox") for each in findings)
    assert any(each.startswith("O5 ocop.submission.registry") for each in findings)
