"""Who is told to end, ends: whatever comes at that moment, and whatever a library makes of it."""

import asyncio
import os
import signal
from contextlib import suppress
from typing import Any

import pytest

from ocop.home import free_port
from servicekit import relay, service
from servicekit.relay import Relay
from servicekit.service import Service
from servicekit.settings import Settings
from tests.engines import Databases
from tests.waiting import until


async def _knows(*_: Any) -> None: ...


@pytest.mark.parametrize("steps", range(5))
async def test_a_relay_that_is_woken_as_it_is_told_to_end_ends(
    databases: Databases, monkeypatch: pytest.MonkeyPatch, steps: int
) -> None:
    """However many steps of the event loop lie between the two."""
    monkeypatch.setattr(relay, "POLL_S", 60)
    monkeypatch.setattr(relay, "still_knows", _knows)
    sending = Relay("registry", "nowhere:1", (await databases.make("registry")).app)
    running = asyncio.create_task(sending.run())

    async def rests() -> bool:
        return bool(sending._woken._waiters)

    await until(rests, 10)
    sending.wake()
    for _ in range(steps):
        await asyncio.sleep(0)
    running.cancel()
    done, _ = await asyncio.wait({running}, timeout=5)
    running.cancel()
    assert done


async def test_a_service_ends_though_what_it_runs_does_not(
    databases: Databases, kafka_topics: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "ENDED_S", 0.5)
    url, working, deaf = (await databases.make("national")).app, asyncio.Event(), True

    async def work() -> None:
        while deaf:
            with suppress(asyncio.CancelledError):
                working.set()
                await asyncio.sleep(3600)

    settings = Settings(kafka_bootstrap=kafka_topics, database_url=url, http_port=free_port())
    try:
        async with Service("national", settings) as made:
            running = asyncio.create_task(made.run(workers=[work]))
            await working.wait()
            os.kill(os.getpid(), signal.SIGTERM)
            done, _ = await asyncio.wait({running}, timeout=10)
            assert done
    finally:
        deaf = False  # asyncio cancels what is left
