"""A fault of ours, from the first failure to the last retry: a topic is stopped, and goes on when it is mended."""

from itertools import count
from pathlib import Path
from typing import Any

from aiokafka.partitioner import DefaultPartitioner

from tests.delivery.system import System, system
from tests.engines import Databases
from tests.submissions import Province, owner
from tests.typed import ocop, said
from tests.waiting import until

TOPIC, PARTITIONS = "ocop.submission.registry", list(range(12))
SPOILT, GOOD = 25, 5


def of_one_partition(number: int, first: int, **fields: Any) -> list[dict[str, Any]]:
    """So many owners whose submissions lie on partition 0."""
    found: list[dict[str, Any]] = []
    for n in count(first):
        event = owner(f"CT-{n}", id_=f"o{n}", **fields)
        key = str(Province().send(event).subject).encode()
        if DefaultPartitioner()(key, PARTITIONS, PARTITIONS) == 0:
            found.append(event)
        if len(found) == number:
            return found
    raise AssertionError


async def states(under_test: System) -> dict[str, int]:
    rows = await under_test.fetch("gateway", "SELECT state, count(*) FROM submission GROUP BY 1")
    return {str(state): number for state, number in rows}


async def test_too_many_failures_stop_a_topic_until_it_is_mended(
    kafka_topics: str, databases: Databases, tmp_path: Path
) -> None:
    async with system(kafka_topics, databases, tmp_path, ["gateway", "registry"]) as under_test:
        made = under_test.databases["registry"]
        await under_test.start("gateway")
        broken = await under_test.start("registry", module="tests.delivery.hasty_registry")
        await under_test.submit(of_one_partition(SPOILT, 0, business_name="BUG"))

        async def stopped() -> bool:
            return await under_test.fetch("registry", "SELECT topic FROM stopped") == [(TOPIC,)]

        await until(stopped, 30)
        broken.kill()
        await under_test.start("registry")  # mended
        await under_test.submit(of_one_partition(GOOD, 1000))

        async def sent() -> bool:
            return await under_test.fetch("gateway", "SELECT count(*) FROM outbox") == [(0,)]

        await until(sent, 30)
        told = await ocop(made, "consumer", "status", "registry", bootstrap=kafka_topics)
        assert told.returncode == 1, "whoever starts"
        (line,) = [line.split() for line in told.stdout.splitlines() if line.startswith(TOPIC)]
        assert int(line[1]) >= GOOD, "unread"
        assert int(line[4]) > 20, "failed"
        assert line[7] == "stopped"
        assert (await states(under_test)).get("applied", 0) == 0

        await said(made, "consumer", "resume", "registry", "--actor", "Lan")

        async def read() -> bool:
            return (await states(under_test)).keys() <= {"applied", "failed"}

        await until(read, 30)
        assert (await states(under_test))["failed"] > 20, "what has failed is tried when that is said"
        assert "0 of " not in await said(made, "dlq", "retry", "registry", "--error", "RuntimeError", "--dry-run")
        await said(made, "dlq", "retry", "registry", "--error", "RuntimeError", "--actor", "Lan")
        await under_test.settled()
        assert await states(under_test) == {"applied": SPOILT + GOOD}
