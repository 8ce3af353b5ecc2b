"""A barrage on real services with real engines, and the verdict on it."""

import asyncio
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import linear_regression
from typing import Any
from urllib.parse import urlsplit

import psutil
from gateway import tenants

from servicekit import database
from tests.delivery.system import System
from tests.hostile.gun import Found, Gun
from tests.hostile.shots import Arsenal, Keys

TENANT = "2025-68"
SERVICES = ["gateway", "registry", "evaluation", "marketplace", "national"]
DRIPS = 4
WARM = 0.3  # of a run, before memory is looked at
MOST_GROWTH_MB = 60
MOST_SLOPE_MB_MIN = 2.0  # where a run is long enough to have one
SLOPE_NEEDS_S = 300
# Nothing is to be refused for its number here, and slow bodies are to end within the run.
SETTINGS = {
    "OCOP_KEY_EVENTS_S": "10000000",
    "OCOP_KEY_EVENTS_BURST": "10000000",
    "OCOP_KEY_REQUESTS_S": "1000000",
    "OCOP_KEY_REQUESTS_AT_ONCE": "1000",
    "OCOP_ADDRESS_UNKNOWN_KEYS_S": "1000000",
    "OCOP_ADDRESS_REQUESTS_S": "1000000",
    "OCOP_ADDRESS_REQUESTS_AT_ONCE": "1000",
    "OCOP_BODY_TIMEOUT_S": "3",
}


@dataclass(slots=True)
class Memory:
    """Resident megabytes of one process, over time."""

    process: psutil.Process
    samples: list[tuple[float, float]]

    def sample(self) -> None:
        """Now."""
        self.samples.append((time.monotonic(), self.process.memory_info().rss / 1e6))

    def told(self) -> dict[str, float]:
        """First, last, growth and slope (MB/min) after warming up."""
        settled = self.samples[int(len(self.samples) * WARM) :]
        slope = linear_regression(*zip(*settled, strict=True)).slope * 60 if len(settled) > 2 else 0.0
        return {
            "first": round(self.samples[0][1]),
            "warm": round(settled[0][1]),
            "last": round(settled[-1][1]),
            "most": round(max(mb for _, mb in self.samples)),
            "slope_mb_min": round(slope, 2),
        }


async def keys_of(under_test: System) -> Keys:
    """Enrols who takes part; one key is revoked already."""
    connection = await database.connect(under_test.databases["gateway"].app)
    try:
        own = await tenants.enrol(connection, TENANT, "hostile")
        revoked = await tenants.enrol(connection, TENANT, "revoked")
        await tenants.rotate(connection, TENANT, "revoked")
        return Keys(TENANT, own, await tenants.enrol(connection, "2025-01", "hostile"), revoked)
    finally:
        await connection.close()


async def fire(under_test: System, seed: int, requests: int, connections: int) -> dict[str, Any]:
    """Fires so many requests, waits until all is quiet, and says what was seen and what is wrong."""
    keys = await keys_of(under_test)
    processes = {name: under_test.running(name)[0] for name in ("gateway", "national")}
    ports = {name: urlsplit(each.url).port or 0 for name, each in processes.items()}
    found = Found()
    memory = {name: Memory(psutil.Process(each.process.pid), []) for name, each in processes.items()}
    share = [requests // connections + (n < requests % connections) for n in range(connections)]
    guns = [Gun(Arsenal(f"{seed}/{n}", keys, f"h{seed}-{n}"), ports, found) for n in range(connections + DRIPS)]
    done, began = asyncio.Event(), time.monotonic()
    async with asyncio.TaskGroup() as firing:
        watching = firing.create_task(_watch(memory, found))
        drips = [firing.create_task(gun.drip(done)) for gun in guns[connections:]]
        await asyncio.gather(*(gun.fire(count) for gun, count in zip(guns, share, strict=False)))
        seconds = time.monotonic() - began
        watching.cancel()
        done.set()
        await asyncio.gather(*drips)
    await _judge(under_test, found)
    remembered = {name: each.told() for name, each in memory.items()}
    for name, each in remembered.items():
        _judge_memory(found, name, each, seconds)
    return {
        "seed": seed,
        "requests": requests,
        "seconds": round(seconds, 1),
        "per_second": round(requests / seconds),
        "statuses": dict(sorted(found.statuses.items())),
        "pages_of_refusals": found.pages,
        "without_answer_where_none_is_due": found.unseen,
        "accepted": len(found.accepted),
        "refused": len(found.nowhere),
        "codes": dict(found.codes.most_common()),
        "shots": dict(found.shots.most_common()),
        "memory_mb": remembered,
        "wrong": dict(found.wrongs),
        "first_wrong": found.wrong,
    }


async def _watch(memory: Mapping[str, Memory], found: Found) -> None:
    while True:
        for each in memory.values():
            each.sample()
        await asyncio.sleep(1)


def _judge_memory(found: Found, name: str, told: Mapping[str, float], seconds: float) -> None:
    if told["last"] - told["warm"] > MOST_GROWTH_MB:
        found.wrongs[f"memory of {name} grows"] += 1
    if seconds >= SLOPE_NEEDS_S and told["slope_mb_min"] > MOST_SLOPE_MB_MIN:
        found.wrongs[f"memory of {name} has a slope"] += 1


async def _judge(under_test: System, found: Found) -> None:
    """Whether what was accepted is there and has its end, what was refused is nowhere, nothing stands still, and no
    service had an accident."""
    under_test.refused |= found.nowhere
    await under_test.settled(600)
    rows = await under_test.fetch("gateway", "SELECT id::text, event_id, state FROM submission")
    kept = {event_id: submission_id for submission_id, event_id, _ in rows}
    lost = {i: s for i, s in found.accepted.items() if kept.get(i) != s}
    if lost:
        found.wrongs["accepted and not there"] += len(lost)
        found.wrong.append(f"accepted and not there: {list(lost.items())[:5]}")
    unsaid = kept.keys() - found.accepted.keys() - {event_id for _, event_id in found.unanswered}
    if unsaid:
        found.wrongs["taken and not said so"] += len(unsaid)
        found.wrong.append(f"taken and not said so: {sorted(unsaid)[:5]}")
    for _, event_id, state in rows:
        if state not in ("applied", "rejected", "waiting"):
            found.wrongs[f"in the end {state}"] += 1
            found.wrong.append(f"in the end {state}: {event_id}")
    for process in under_test.processes:
        if process.process.poll() is not None:
            found.wrongs[f"{process.service} has ended"] += 1
        for line in accidents(process.log):
            found.wrongs[f"an accident in {process.service}"] += 1
            if len(found.wrong) < 40:
                found.wrong.append(f"{process.service}: {line[:200]} … {line[-1500:]}")


def accidents(log: Path) -> list[str]:
    """What a service has written that it must not."""
    found = []
    for line in log.read_text(errors="replace").splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            found.append(line)
            continue
        # What Kafka's client says while the broker starts is no accident.
        if entry.get("level") in ("error", "critical") and not entry.get("logger", "").startswith("aiokafka"):
            found.append(line)
    return found
