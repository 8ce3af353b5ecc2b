"""One tenant floods a real gateway, with good events or bad ones: it is kept down, and nothing of the others is refused
or lost (F14, F16). How long they wait beside it is measured by `make bench WHAT=floods`."""

from pathlib import Path

import httpx2

from tests.delivery.system import system
from tests.engines import Databases
from tests.hostile import floods


async def test_a_flood_is_kept_down_and_nobody_else_is(kafka_topics: str, databases: Databases, tmp_path: Path) -> None:
    async with system(kafka_topics, databases, tmp_path, floods.SERVICES) as under_test:
        found = await floods.run(under_test)
        for kind, (answers, _, _) in found.items():
            assert answers[429] > 0, f"{kind}: the flood is kept down"
            assert not any(status >= 500 for status in answers), kind
        async with httpx2.AsyncClient(base_url=under_test.processes[0].url) as client:
            assert "ocop_limited_total{" in (await client.get("/metrics")).text
        await under_test.settled()
        states = await under_test.fetch(
            "gateway", "SELECT state, count(*) FROM submission WHERE tenant = ANY($1) GROUP BY 1", list(floods.OTHERS)
        )
        sent = 2 * len(found) * len(floods.OTHERS) * floods.ROUNDS * floods.EVENTS
        assert states == [("applied", sent)], "all that was accepted has arrived"
