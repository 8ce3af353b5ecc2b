"""Fixtures only."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import httpx2
import pytest

from servicekit import database
from servicekit.database import Pool
from tests.engines import Database, Databases
from tests.national.asking import asking
from tests.national.feed import empty


@pytest.fixture(scope="module")
def one_database(run_databases: Databases) -> Iterator[Database]:
    """One for a module: to make and to drop one takes longer than most tests."""
    yield asyncio.run(run_databases.make("national"))
    asyncio.run(run_databases.drop(templates=False))


@pytest.fixture
async def national(one_database: Database) -> Database:
    """A national database without a row."""
    await empty(one_database)
    return one_database


@pytest.fixture
async def pool(national: Database) -> AsyncIterator[Pool]:
    """Its application role."""
    pool = await database.open_pool(national.app)
    yield pool
    await pool.close()


@pytest.fixture
async def http(national: Database) -> AsyncIterator[httpx2.AsyncClient]:
    """Its HTTP, over its HTTP role."""
    async with asking(national) as client:
        yield client
