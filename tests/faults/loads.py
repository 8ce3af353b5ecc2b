"""Too much, or nothing but bad: F14, F16."""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import AsyncExitStack
from functools import cache, partial
from multiprocessing import get_context
from statistics import median

import httpx2

from tests.faults.frame import RATE, Fault, Stage
from tests.gateway.serving import BATCH
from tests.hostile.floods import FLOODERS, Flood, refused, told

BURST_S, TIMES = 10, 10
FLOOD_S = 15
POISONER = "2025-01"
SLOWER, AS_BEFORE_S = 4, 0.5  # two cores carry the flood beside the others; so fast is fast enough
LIMITS = {"OCOP_KEY_EVENTS_S": "300", "OCOP_KEY_REQUESTS_S": "50"}


async def burst(stage: Stage) -> None:
    """Ten times as much. What does not fit is answered 503 or 429, and comes again; all that was taken arrives."""
    began, before, unavailable = time.monotonic(), stage.load.sent, stage.load.answers["unavailable"]
    events = RATE * TIMES * (stage.seconds or BURST_S)
    stage.load.burst(events)
    while stage.load.sent < before + events:
        await asyncio.sleep(0.05)
    stage.figures["events a second"] = round((stage.load.sent - before) / (time.monotonic() - began))
    stage.figures["answered 503 or 429"] = stage.load.answers["unavailable"] - unavailable
    stage.expect(stage.load.answers["unavailable"] > unavailable, "the bound of the outbox is felt")


async def poison(stage: Stage) -> None:
    """One province sends batches in which all is wrong, as fast as it is answered; the others are as they were."""
    began, unavailable = time.monotonic(), stage.load.answers["unavailable"]
    await asyncio.sleep(5)
    before = stage.load.took(began, time.monotonic())
    began = time.monotonic()
    answers = await _flood(stage)
    during = stage.load.took(began, time.monotonic())
    stage.figures["poison answered"] = dict(answers)
    stage.figures["others before"], stage.figures["others meanwhile"] = told(before), told(during)
    stage.expect(answers[429], "the poisoner is limited")
    stage.expect(not answers[500], "no poison is a fault of ours")
    stage.expect(stage.load.answers["unavailable"] == unavailable, "nobody else is refused")
    as_before = median(during) < max(AS_BEFORE_S, SLOWER * median(before))
    stage.expect(as_before, "the others are answered as fast as before")


async def _flood(stage: Stage) -> Counter[int]:
    """What a flood over both gateways is answered. It comes from a process of its own, as from another machine: in this
    one it would hold up those whose time is taken."""
    key, gateways = await stage.system.key(POISONER, "test"), stage.load.gateways
    with ProcessPoolExecutor(1, get_context("spawn")) as flooder:
        poured = partial(_poured, key, gateways, stage.seconds or FLOOD_S)
        return await asyncio.get_running_loop().run_in_executor(flooder, poured)


def _poured(key: str, gateways: Sequence[str], seconds: float) -> Counter[int]:
    return asyncio.run(_pour(key, gateways, seconds))


async def _pour(key: str, gateways: Sequence[str], seconds: float) -> Counter[int]:
    headers = {"Authorization": f"Bearer {key}", "Content-Type": BATCH}
    async with AsyncExitStack() as stack:
        floods = []
        for gateway in gateways:
            client = await stack.enter_async_context(httpx2.AsyncClient(base_url=gateway, timeout=60))
            floods.append(Flood(client, headers, cache(lambda: refused(POISONER))))
        running = [asyncio.create_task(flood.run()) for flood in floods for _ in range(FLOODERS)]
        await asyncio.sleep(seconds)
        for flood in floods:
            flood.stop.set()
        await asyncio.gather(*running)
    return sum((flood.answers for flood in floods), Counter())


FAULTS = (
    Fault("F14", "a burst of ten times the load, beyond the outbox's bound", burst, {"OCOP_OUTBOX_ROWS": "50"}),
    Fault("F16", "one province sends nothing but poison, as fast as it can", poison, LIMITS),
)
