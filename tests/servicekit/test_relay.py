"""Sending, bounded in time, and leading. Without Kafka: the producer does as it is told."""

import asyncio
import gc
from collections.abc import Sequence
from typing import Any

import pytest
from aiokafka.errors import KafkaError

from ocop.home import free_port
from servicekit import database, outbox, relay
from servicekit.database import Connection
from servicekit.kafka import start_producer
from servicekit.outbox import Outgoing
from servicekit.relay import Relay
from tests.engines import Databases
from tests.simulation.broker import Batch
from tests.waiting import until


class Deaf:
    """A producer whose records are never confirmed."""

    async def partitions_for(self, _: str) -> set[int]:
        return {0}

    def create_batch(self) -> Batch:
        return Batch()

    async def send_batch(self, *_: Any, **__: Any) -> "asyncio.Future[Any]":
        return asyncio.get_running_loop().create_future()


async def test_a_send_that_is_never_confirmed_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """With idempotence aiokafka tries for ever; the relay starts again from the least row instead."""
    monkeypatch.setattr(relay, "SEND_TIMEOUT_S", 0.05)
    row: Any = {"topic": "t", "key": "k", "payload": b"", "headers": {}}
    sending = asyncio.create_task(relay._send_all(Deaf(), [row]))
    done, _ = await asyncio.wait([sending], timeout=5)
    sending.cancel()
    assert done and isinstance(sending.exception(), TimeoutError)


async def test_what_comes_before_a_send_counts_in_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who takes the leader's place waits for so long as a leader may have something under way."""

    async def never(*_: Any) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(relay, "SEND_TIMEOUT_S", 0.05)
    monkeypatch.setattr(relay, "start_producer", never)
    row: Any = {"topic": "t", "key": "k", "payload": b"", "headers": {}}
    sending = asyncio.create_task(Relay("registry", "nowhere:1", "")._send(None, [row]))  # type: ignore[arg-type]  # not reached
    done, _ = await asyncio.wait([sending], timeout=5)
    sending.cancel()
    assert done and isinstance(sending.exception(), TimeoutError)


async def test_of_large_rows_so_much_is_sent_at_once_as_a_time_suffices_for(
    databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One alone goes, however large it is; what is within the bound is the first that there is."""
    made = await databases.make("registry")
    sizes: list[list[int]] = []

    async def send(_: Relay, connection: Connection, rows: Sequence[relay.Row]) -> None:
        sizes.append([len(row["payload"]) for row in rows])
        await connection.execute("DELETE FROM outbox WHERE id = ANY($1)", [row["id"] for row in rows])

    async def knows(*_: Any) -> None: ...

    monkeypatch.setattr(relay, "MOST_BYTES", 1000)
    monkeypatch.setattr(Relay, "_send", send)
    monkeypatch.setattr(relay, "still_knows", knows)
    connection = await database.connect(made.app)
    await outbox.put(connection, [Outgoing("t", "k", {}, b"x" * size) for size in (400, 400, 400, 5000, 900, 100)])
    sending = asyncio.create_task(Relay("registry", "nowhere:1", made.app).run())
    await until(lambda: connection.fetchval("SELECT NOT EXISTS (SELECT FROM outbox)"), 10)
    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)
    await connection.close()
    assert sizes == [[400, 400], [400], [5000], [900, 100]]


async def test_a_leader_that_stands_still_in_a_transaction_loses_its_lock(databases: Databases) -> None:
    made = await databases.make("registry")
    still = await database.connect(made.app, idle_s=1)
    other = await database.connect(made.app)
    await still.execute("BEGIN")
    assert await still.fetchval("SELECT pg_try_advisory_lock($1)", relay._LOCK)
    assert not await other.fetchval("SELECT pg_try_advisory_lock($1)", relay._LOCK)
    await until(lambda: other.fetchval("SELECT pg_try_advisory_lock($1)", relay._LOCK), 10)
    still.terminate()
    await other.close()


async def test_a_producer_that_could_not_start_is_closed() -> None:
    """What is left open says so when it is collected."""
    with pytest.raises(KafkaError):
        await start_producer(f"127.0.0.1:{free_port()}", "test")
    gc.collect()
