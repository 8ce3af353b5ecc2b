"""Thirty seconds at a fixed rate, two replicas of the decider: in the end nothing is behind."""

import asyncio
import time
from pathlib import Path

from tests.delivery.system import system
from tests.delivery.test_spine import all_applied, families
from tests.engines import Databases

SECONDS = 30
BATCHES_A_SECOND = 4
FAMILIES_A_BATCH = 10  # of four events: 160 events a second
LATE_S = 5


async def test_a_fixed_rate_ends_with_no_lag(kafka_topics: str, databases: Databases, tmp_path: Path) -> None:
    async with system(kafka_topics, databases, tmp_path, ["gateway", "registry", "national"]) as under_test:
        for service in ("gateway", "registry", "registry", "national"):
            await under_test.start(service)
        await under_test.key("2025-68", "test")  # enrolled before many ask for it at once

        async def send(number: int) -> None:
            answers = await under_test.submit(families(FAMILIES_A_BATCH, start=number * FAMILIES_A_BATCH))
            assert {answer["status"] for answer in answers} == {"accepted"}

        started, latest = time.monotonic(), 0.0
        async with asyncio.TaskGroup() as group:
            for number in range(SECONDS * BATCHES_A_SECOND):
                # Open loop: each batch at its own moment, however long the last one takes.
                due = started + number / BATCHES_A_SECOND
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                latest = max(latest, time.monotonic() - due)
                group.create_task(send(number))
        assert latest < LATE_S, "the rate was not kept"
        await under_test.settled(20)
        await all_applied(under_test, SECONDS * BATCHES_A_SECOND * FAMILIES_A_BATCH * 4)
