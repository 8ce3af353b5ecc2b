"""What one tenant floods a gateway with, good or bad, and what the others experience beside it (F14, F16)."""

import asyncio
import contextlib
import gzip
import json
import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache
from statistics import median
from typing import Any, Final

import httpx2

from tests.delivery.system import System
from tests.gateway.serving import BATCH
from tests.submissions import owner, ref

SERVICES: Final = ("gateway", "registry")
LIMITS: Final[dict[str, Any]] = {
    "OCOP_KEY_EVENTS_S": "300",
    "OCOP_KEY_REQUESTS_S": "50",
    "OCOP_ADDRESS_UNKNOWN_KEYS_S": "2",
}
FLOODERS: Final = 8
OTHERS: Final = ("2025-68", "2025-80", "2025-92")
ROUNDS: Final = 10
EVENTS: Final = 5  # of a round
COUNT: Final = iter(range(10**9))


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
FLOODS: Final[dict[str, tuple[str, Callable[[], bytes], dict[str, str]]]] = {
    "good events": ("2025-01", lambda: good("2025-01", 500), {}),
    "bad events": ("2025-04", cache(lambda: refused("2025-04")), {}),
    "brackets": ("2025-08", cache(lambda: b"[" + b'{"a":[' * 100_000), {}),
    "malformed text": ("2025-11", cache(lambda: b'["' + b"x" * 4_000_000), {}),
    "bombs": ("2025-12", cache(lambda: gzip.compress(b" " * 64_000_000)), {"Content-Encoding": "gzip"}),
    "many values": ("2025-14", cache(lambda: b"[" + b",".join([b'{"a":1}'] * 200_000) + b"]"), {}),
    "unknown keys": ("2025-15", lambda: good("2025-15", 10), {"Authorization": "Bearer ocop_nobody"}),
}


async def run(under_test: System) -> dict[str, tuple[Counter[int], list[float], list[float]]]:
    """Each flood in turn, on a gateway and a registry that are started here.

    For each: what it was answered, and the seconds of the others' rounds before it and beside it, sorted. Raises
    AssertionError if another is refused anything, or waits a minute.
    """
    gateway = await under_test.start("gateway", **LIMITS)
    await under_test.start("registry")
    flooders = [flooder for flooder, _, _ in FLOODS.values()]
    keys = {
        tenant: {"Authorization": f"Bearer {await under_test.key(tenant, 'test')}", "Content-Type": BATCH}
        for tenant in (*OTHERS, *flooders)
    }
    found = {}
    async with (
        # Each request on a connection of its own: one that has been idle the gateway may end at that very moment.
        httpx2.AsyncClient(
            base_url=gateway.url, timeout=60, limits=httpx2.Limits(max_keepalive_connections=0)
        ) as client,
        httpx2.AsyncClient(base_url=gateway.url, timeout=60) as flooding,
    ):
        for kind, (flooder, make, more) in FLOODS.items():
            before = await working(client, keys)
            took, answers = await beside(client, Flood(flooding, keys[flooder] | more, make), keys)
            found[kind] = answers, before, took
    return found


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
    """What the others experience when the flood has used up what it may: seconds for each of their rounds, sorted."""
    async with asyncio.TaskGroup() as flooding:
        for _ in range(FLOODERS):
            flooding.create_task(flood.run())
        async with asyncio.timeout(60):
            while not flood.answers[429]:
                await asyncio.sleep(0.01)
        took = await working(client, keys)
        assert (await client.get("/health/live")).status_code == 200
        flood.stop.set()
    return took, flood.answers


async def working(client: httpx2.AsyncClient, keys: dict[str, dict[str, str]]) -> list[float]:
    """All the others at their daily work beside each other: seconds for each round, sorted."""
    took = await asyncio.gather(*(rounds(client, tenant, keys[tenant]) for tenant in OTHERS))
    return sorted(each for tenant in took for each in tenant)


def told(seconds: Sequence[float]) -> str:
    """Sorted seconds, for people."""
    return f"median {median(seconds):.3f}, 99 % {seconds[len(seconds) * 99 // 100]:.3f} s, of {len(seconds)}"


async def rounds(client: httpx2.AsyncClient, tenant: str, headers: dict[str, str]) -> list[float]:
    """A tenant at its daily work: it sends, and asks what became of it."""
    took = []
    for _ in range(ROUNDS):
        began = time.monotonic()
        answer = await client.post("/v1/events", content=good(tenant, EVENTS), headers=headers)
        assert answer.status_code == 200, answer.text
        results: list[dict[str, Any]] = answer.json()["results"]
        assert [result["status"] for result in results] == ["accepted"] * EVENTS
        asked = await client.get(f"/v1/submissions/{results[0]['submission_id']}", headers=headers)
        assert asked.status_code == 200
        took.append(time.monotonic() - began)
    return took
