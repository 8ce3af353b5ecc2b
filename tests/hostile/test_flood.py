"""One tenant floods a real gateway, with good events or bad ones: the others are answered as before (F14, F16)."""

import asyncio
import contextlib
import gzip
import json
import time
from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import httpx2

from tests.delivery.system import system
from tests.engines import Databases
from tests.gateway.serving import BATCH
from tests.submissions import owner, ref

FLOODERS = 8
OTHERS = ("2025-68", "2025-80", "2025-92")
ROUNDS = 10
ANSWERED_S = 10.0  # far more than it takes; without limits others wait their turn behind megabytes
COUNT = iter(range(10**9))


def good(tenant: str, count: int) -> bytes:
    """A batch of owners, each new."""
    events = [owner(id_=f"o-{n}", owner=ref(f"CT-{n}", tenant)) for n in (next(COUNT) for _ in range(count))]
    return json.dumps([event | {"source": f"/provinces/{tenant}/test"} for event in events]).encode()


def refused(tenant: str) -> bytes:
    """A batch as large as may be of events that are wrong in many places."""
    event = json.loads(good(tenant, 1))[0]
    event["data"] |= {f"unknown-{n}": [n] for n in range(100)}
    return json.dumps([event] * 1000).encode()


# Each by a tenant of its own, so that none finds its limits used up by another's flood.
FLOODS: dict[str, tuple[str, Callable[[], bytes], dict[str, str]]] = {
    "good": ("2025-01", lambda: good("2025-01", 500), {}),
    "refused": ("2025-04", cache(lambda: refused("2025-04")), {}),
    "brackets": ("2025-08", cache(lambda: b"[" + b'{"a":[' * 100_000), {}),
    "malformed": ("2025-11", cache(lambda: b'["' + b"x" * 4_000_000), {}),
    "bombs": ("2025-12", cache(lambda: gzip.compress(b" " * 64_000_000)), {"Content-Encoding": "gzip"}),
    "many values": ("2025-14", cache(lambda: b"[" + b",".join([b'{"a":1}'] * 200_000) + b"]"), {}),
    "no key": ("2025-15", lambda: good("2025-15", 10), {"Authorization": "Bearer ocop_nobody"}),
}


async def test_a_flood_leaves_the_others_as_they_were(kafka_topics: str, databases: Databases, tmp_path: Path) -> None:
    async with system(kafka_topics, databases, tmp_path, ["gateway", "registry"]) as under_test:
        gateway = await under_test.start(
            "gateway", OCOP_KEY_EVENTS_S="300", OCOP_KEY_REQUESTS_S="50", OCOP_ADDRESS_UNKNOWN_KEYS_S="2"
        )
        await under_test.start("registry")
        keys = {
            tenant: {"Authorization": f"Bearer {await under_test.key(tenant, 'test')}", "Content-Type": BATCH}
            for tenant in (*OTHERS, *(flooder for flooder, _, _ in FLOODS.values()))
        }
        async with (
            httpx2.AsyncClient(base_url=gateway.url, timeout=60) as client,
            httpx2.AsyncClient(base_url=gateway.url, timeout=60) as flooding,
        ):
            for kind, (flooder, make, more) in FLOODS.items():
                took, answers = await beside(client, Flood(flooding, keys[flooder] | more, make), keys)
                print(  # noqa: T201  # the figures
                    f"{kind}: flood {dict(answers)}, others median {took[len(took) // 2]:.3f}, slowest {took[-1]:.3f} s"
                )
                assert took[-1] < ANSWERED_S, kind
                assert answers[429] > 0, f"{kind}: the flood is kept down"
                assert not any(status >= 500 for status in answers), kind
            assert "ocop_limited_total{" in (await client.get("/metrics")).text
        await under_test.settled()
        states = await under_test.fetch(
            "gateway", "SELECT state, count(*) FROM submission WHERE tenant = ANY($1) GROUP BY 1", list(OTHERS)
        )
        assert states == [("applied", len(FLOODS) * len(OTHERS) * ROUNDS * 5)], "all that was accepted has arrived"


class Flood:
    """Sends the same thing as fast as it is answered, over many connections."""

    def __init__(self, client: httpx2.AsyncClient, headers: dict[str, str], make: Callable[[], bytes]) -> None:
        self._client, self._headers, self._make = client, headers, make
        self.answers: Counter[int] = Counter()
        self.stop = asyncio.Event()

    async def run(self) -> None:
        """Until it is stopped."""
        while not self.stop.is_set():
            content = self._make()
            with contextlib.suppress(httpx2.TransportError):
                answer = await self._client.post("/v1/events", content=content, headers=self._headers)
                self.answers[answer.status_code] += 1
                assert answer.status_code != 429 or int(answer.headers["retry-after"]) >= 1


async def beside(
    client: httpx2.AsyncClient, flood: Flood, keys: dict[str, dict[str, str]]
) -> tuple[list[float], Counter[int]]:
    """What the others experience: seconds for each of their rounds, sorted."""
    async with asyncio.TaskGroup() as flooding:
        for _ in range(FLOODERS):
            flooding.create_task(flood.run())
        async with asyncio.timeout(30):
            while not flood.answers:
                await asyncio.sleep(0.01)
        took = await asyncio.gather(*(rounds(client, tenant, keys[tenant]) for tenant in OTHERS))
        assert (await client.get("/health/live")).status_code == 200
        flood.stop.set()
    return sorted(each for tenant in took for each in tenant), flood.answers


async def rounds(client: httpx2.AsyncClient, tenant: str, headers: dict[str, str]) -> list[float]:
    """A tenant at its daily work: it sends, and asks what became of it."""
    took = []
    for _ in range(ROUNDS):
        began = time.monotonic()
        answer = await client.post("/v1/events", content=good(tenant, 5), headers=headers)
        assert answer.status_code == 200, answer.text
        results: list[dict[str, Any]] = answer.json()["results"]
        assert [result["status"] for result in results] == ["accepted"] * 5
        asked = await client.get(f"/v1/submissions/{results[0]['submission_id']}", headers=headers)
        assert asked.status_code == 200
        took.append(time.monotonic() - began)
    return took
