"""A client that is gone without a word in the middle of a COPY, or of what it is answered: its locks go, too."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from structlog.testing import capture_logs

from ocop.home import free_port
from servicekit import database
from servicekit.forgotten import Forgotten
from tests.engines import Databases
from tests.waiting import until

Silence = Callable[[database.Connection], Awaitable[object]]


@pytest.fixture
async def url(databases: Databases) -> str:
    return (await databases.make("registry")).app


@pytest.fixture
async def pool(url: str) -> AsyncIterator[database.Pool]:
    pool = await database.open_pool(url, name="registry")
    yield pool
    await pool.close()


async def copies(connection: database.Connection) -> object:
    """Rows that do not come."""

    async def rows() -> AsyncIterator[bytes]:
        await asyncio.Event().wait()
        yield b""

    return await connection.copy_to_table("skipped", source=rows(), timeout=60)


async def does_not_read(connection: database.Connection) -> object:
    """An answer for which there is no room on the way."""
    connection._transport.pause_reading()  # type: ignore[union-attr]  # a network that takes no more
    return await connection.fetch("SELECT repeat('x', 1000000) FROM generate_series(1, 100)", timeout=60)


@asynccontextmanager
async def gone(
    url: str, silence: Silence, name: str = "registry", lock: str = "SELECT pg_advisory_xact_lock(1)"
) -> AsyncIterator[None]:
    """A client that has locked something and is not heard of any more."""
    connection = await database.connect(url, name=name)
    await connection.execute("BEGIN")
    await connection.execute(lock)
    task = asyncio.ensure_future(silence(connection))
    yield
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    connection.terminate()


async def is_silent(pool: database.Pool) -> bool:
    silent = "datname = current_database() AND state = 'active' AND wait_event IN ('ClientRead', 'ClientWrite')"
    return bool(await pool.fetchval(f"SELECT EXISTS (SELECT FROM pg_stat_activity WHERE {silent})"))  # noqa: S608  # no input


@pytest.mark.parametrize("silence", [copies, does_not_read])
async def test_what_it_has_locked_is_free_again(pool: database.Pool, url: str, silence: Silence) -> None:
    async with gone(url, silence):
        await until(lambda: is_silent(pool))
        assert not await pool.fetchval("SELECT pg_try_advisory_lock(1)")
        assert await Forgotten(pool).end(0.0) == 1
        assert await pool.fetchval("SELECT pg_try_advisory_lock(1)")
        assert await Forgotten(pool).end(0.0) == 0


async def test_it_has_the_time_that_our_clients_have(pool: database.Pool, url: str) -> None:
    async with gone(url, copies):
        await until(lambda: is_silent(pool))
        assert await Forgotten(pool).end() == 0


async def test_nobody_elses_session_is_ended(pool: database.Pool, url: str) -> None:
    async with gone(url, copies, name="ocop-rebuild"):
        await until(lambda: is_silent(pool))
        assert await Forgotten(pool).end(0.0) == 0


async def test_a_database_that_is_away_ends_nothing_but_a_look() -> None:
    """A service lives as long as all of its loops do."""
    pool = await database.open_pool(f"postgresql://registry@127.0.0.1:{free_port()}/registry")
    with capture_logs() as said:
        looking = asyncio.create_task(Forgotten(pool).run())

        async def put_off() -> bool:
            return bool(said)

        await until(put_off)
        assert not looking.done()
    assert [(line["event"], line["work"]) for line in said] == [("background work put off", "Forgotten.end")]
    looking.cancel()
    await asyncio.gather(looking, return_exceptions=True)
    await pool.close()


async def test_the_server_asks_whether_its_client_is_there(pool: database.Pool, url: str) -> None:
    """What TCP was told, as the server reads it from the socket."""
    single = await database.connect(url)
    async with pool.acquire() as pooled:
        for connection in (single, pooled):
            told = {name: await connection.fetchval("SELECT current_setting($1)", name) for name in database.KEPT_ALIVE}
            assert told == database.KEPT_ALIVE
    await single.close()
