"""The barrage in its short form; `make hostile REQUESTS=1000000` is the long one."""

from pathlib import Path

from tests.delivery.system import system
from tests.engines import Databases
from tests.hostile import barrage

REQUESTS = 4000


async def test_no_request_is_an_accident(kafka_topics: str, databases: Databases, tmp_path: Path) -> None:
    async with system(kafka_topics, databases, tmp_path, barrage.SERVICES) as under_test:
        await under_test.start_all(1, **barrage.SETTINGS)
        found = await barrage.fire(under_test, seed=68, requests=REQUESTS, connections=16)
        assert found["wrong"] == {}, "\n".join(found["first_wrong"])
        assert found["accepted"] > REQUESTS / 10
        assert len(found["codes"]) > 15, "it must hit in many ways"
