"""A network that has forgotten a connection says nothing, and nothing of ours waits for that without end."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from ocop.home import free_port
from servicekit import access, database, kafka, service
from tests.engines import Databases
from tests.faults.proxy import Proxy, proxy
from tests.waiting import until

Link = tuple[Proxy, str, database.Pool]

TOO_LONG_S = 20
ROWS = [("ocop.registry.owner", 0, b"x" * 1000) for _ in range(40_000)]  # more than there is room for on the way


@pytest.fixture
async def link(databases: Databases, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Link]:
    monkeypatch.setattr(database, "ANSWER_S", 1)
    url = (await databases.make("registry")).app
    target = urlsplit(url).port
    assert target is not None
    async with proxy(free_port(), target) as between:
        url = url.replace(f":{target}/", f":{between.port}/")
        pool = await database.open_pool(url)
        yield between, url, pool
        pool.terminate()


async def test_a_copy_that_finds_no_room_on_the_way_ends(link: Link) -> None:
    """asyncpg waits for room without regard to any time, and to whether the connection is still there."""
    between, _, pool = link

    def rows() -> Iterator[tuple[str, int, bytes]]:
        between.cut()
        yield from ROWS

    async def copy() -> None:
        async with database.transaction(pool) as connection:
            await connection.execute("CREATE TEMPORARY TABLE copied (topic text, n int, value bytea)")
            await connection.copy_records_to_table("copied", records=rows())

    copying = asyncio.create_task(copy())
    await asyncio.wait({copying}, timeout=TOO_LONG_S)
    assert copying.done()
    assert isinstance(copying.exception(), database.OUTAGE)
    between.mend("forgotten")
    async with asyncio.timeout(TOO_LONG_S):
        async with database.acquire(pool) as connection:
            assert await connection.fetchval("SELECT 1") == 1


async def test_closing_statements_ends_too(link: Link) -> None:
    """asyncpg closes those that have left its cache before it asks the next one, without any limit."""
    between, _, pool = link
    async with asyncio.timeout(TOO_LONG_S), pool.acquire() as connection:
        own: Any = connection._con  # type: ignore[attr-defined]  # what the pool holds
        assert await connection.fetchval("SELECT 1") == 1
        own._stmt_cache.clear()
        between.cut()
        with pytest.raises(TimeoutError):
            await own._cleanup_stmts()
        connection.terminate()


async def test_a_farewell_is_not_waited_for(link: Link) -> None:
    between, url, _ = link
    async with asyncio.timeout(TOO_LONG_S):
        connection = await database.connect(url)
        between.cut()
        await connection.close(timeout=0.1)
    assert connection.is_closed()


async def test_a_producer_is_dropped_though_its_connections_do_not_close(kafka_topics: str) -> None:
    """As in TLS, where a farewell is waited for: what is cut short there would come back as our own cancellation."""
    producer = await kafka.start_producer(kafka_topics, "test")
    await producer.send_and_wait("ocop.registry.owner", b"")
    connections = list(producer.client._conns.values())
    transports = [connection._writer.transport for connection in connections]
    for connection in connections:
        connection._writer.close = lambda: None
    try:
        async with asyncio.timeout(access.ENDED_S / 2):
            await kafka.drop_producer(producer)
        assert all(connection._closed_fut.done() for connection in connections)
    finally:
        for transport in transports:
            transport.abort()


async def test_what_does_not_end_is_left_and_nobody_is_cancelled_for_it() -> None:
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def ending() -> None:
        await asyncio.gather(future)

    async with asyncio.timeout(TOO_LONG_S):
        await access.ended(ending(), None, 0.1)
        await until(cancelled(future))
        await access.ended(ending(), None, 0.1)


def cancelled(future: "asyncio.Future[None]") -> Callable[[], Awaitable[bool]]:
    async def ask() -> bool:
        return future.cancelled()

    return ask


async def _lasts() -> None:
    await asyncio.Event().wait()


async def _returns() -> None:
    pass


async def _is_cancelled_by_nobody() -> None:
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    future.cancel()
    await future


@pytest.mark.parametrize("work", [_returns, _is_cancelled_by_nobody])
async def test_work_that_ends_without_a_word_ends_its_service(work: service.Work) -> None:
    async def both() -> None:
        async with asyncio.timeout(TOO_LONG_S), asyncio.TaskGroup() as group:
            group.create_task(service._for_ever(work))
            group.create_task(service._for_ever(_lasts))

    with pytest.raises(ExceptionGroup) as ended:
        await both()
    assert [str(error) for error in ended.value.exceptions] == [f"{work.__qualname__} has ended"]
