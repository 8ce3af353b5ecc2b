"""`ocop trace`: where a submission is, from any of its names."""

import re
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer

from ocop import oracle
from ocop.errors import OcopError
from ocop.oracle import wait_until_quiet
from ocop.trace import trace
from tests.delivery.system import system
from tests.engines import Databases
from tests.submissions import owner, product
from tests.typed import said


async def test_each_submission_is_followed_to_where_it_is(
    kafka_topics: str, databases: Databases, tmp_path: Path
) -> None:
    services = ["gateway", "registry", "national", "notifications"]
    async with system(kafka_topics, databases, tmp_path, services) as under_test:
        for service in services:
            await under_test.start(service)
        applied, rejected, waiting = await under_test.submit(
            [owner(id_="o"), owner(id_="again"), product(of="CT-9", id_="p")]
        )
        await under_test.settled()

        async def followed(name: str) -> str:
            return "\n".join(" ".join(line) for line in await trace(kafka_topics, under_test.urls, name))

        way = await followed(applied["submission_id"])
        ((event_id,),) = await under_test.fetch("registry", "SELECT id::text FROM event")
        for part in (
            "vn.ocop.province.owner.registered.v1 o of /provinces/2025-68/test",
            "kafka ocop.submission.registry/",
            "kafka ocop.registry.outcome/",
            "kafka ocop.registry.owner/",
            ": vn.ocop.registry.owner.registered.v1, read by national",
            ": vn.ocop.province.owner.registered.v1, read by registry",
            ": vn.ocop.registry.outcome.applied.v1, read by gateway, notifications",
            "registry inbox: applied; 1 outcomes said",
            f"registry event {event_id}",
            "national applied: stands at 1 of this subject",
            "national 1 rows of owner_event are from this event",
        ):
            assert part in way
        assert await followed(event_id) == await followed("o") == way, "any of its names will do"
        without = await trace("127.0.0.1:1", under_test.urls, "o")
        assert [what for where, what in without if where == "kafka"][0].startswith("does not tell all")  # noqa: RUF015  # the only one
        assert ("registry", "inbox: applied; 1 outcomes said") in without, "what the databases know"
        for service in services:
            others = under_test.urls | {service: "postgresql://127.0.0.1:1/x"}
            where, what = (partial := await trace(kafka_topics, others, applied["submission_id"]))[0]
            assert (where, what[:28]) == (service, "its database does not answer")
            assert len([line for line in partial if line[0] == "kafka"]) == 3, "what the others know"

        assert "registry inbox: rejected, already-registered /data/owner" in await followed(rejected["submission_id"])
        assert "notifications rejected: due" in await followed("again")
        held = await followed(waiting["submission_id"])
        assert "registry held row" in held
        assert "waiting for" in held
        assert "notifications waiting: due" in held

        under_test.running("national")[0].kill()
        await under_test.submit([owner("CT-2", id_="late")])
        urls = {service: url for service, url in under_test.urls.items() if service != "national"}
        assert not await wait_until_quiet(kafka_topics, urls, 30)
        late = await followed("late")
        assert "national NOT applied: stands at 0" in late
        assert re.search(r"owner.registered.v1, read by nobody; national stands at \d+$", late, re.MULTILINE)

        with pytest.raises(OcopError, match="no submission"):
            await trace(kafka_topics, under_test.urls, "nobody")


async def test_who_has_passed_a_submission_over_and_who_holds_what_became_of_it(
    kafka_topics: str, databases: Databases, tmp_path: Path, producer: AIOKafkaProducer
) -> None:
    services = ["gateway", "registry", "notifications"]
    async with system(kafka_topics, databases, tmp_path, services) as under_test:
        await under_test.start("gateway")
        await under_test.start("notifications")
        await under_test.start("registry", module="tests.delivery.broken_registry")
        await under_test.submit([owner("CT-BUG", id_="bug", business_name="Hợp tác xã BUG")])
        await under_test.settled()
        registry, notifications = under_test.databases["registry"], under_test.databases["notifications"]
        await said(registry, "dlq", "skip", "registry", "1", "--reason", "bản ghi thử", "--actor", "Lan")
        outcome, *_ = [record async for record in oracle.records(kafka_topics, "ocop.registry.outcome")]
        await producer.send_and_wait(outcome.topic, b"nobody can read this", headers=list(outcome.headers))
        assert not await wait_until_quiet(kafka_topics, under_test.urls, 30)
        await said(notifications, "dlq", "skip", "notifications", "1", "--reason", "rác", "--actor", "Lan")
        way = [" ".join(line) for line in await trace(kafka_topics, under_test.urls, "bug")]
        assert "registry passed over, RuntimeError: a bug: bản ghi thử (Lan)" in way
        assert any(line.startswith("gateway holds an outcome of it: failed, undecodable: ") for line in way), way
        assert any(line.startswith("notifications passed over an outcome of it, undecodable: ") for line in way), way
