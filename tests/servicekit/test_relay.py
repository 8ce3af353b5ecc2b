"""Sending, bounded in time. Without Kafka: the producer does as it is told."""

import asyncio
from typing import Any

import pytest

from servicekit import relay


class Deaf:
    """A producer whose records are never confirmed."""

    async def send(self, *_: Any, **__: Any) -> "asyncio.Future[Any]":
        return asyncio.get_running_loop().create_future()


async def test_a_send_that_is_never_confirmed_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """With idempotence aiokafka tries for ever; the relay starts again from the least row instead."""
    monkeypatch.setattr(relay, "SEND_TIMEOUT_S", 0.05)
    row: Any = {"topic": "t", "key": "k", "payload": b"", "headers": {}}
    sending = asyncio.create_task(relay._send_all(Deaf(), [row]))
    done, _ = await asyncio.wait([sending], timeout=5)
    sending.cancel()
    assert done and isinstance(sending.exception(), TimeoutError)
