"""Fixtures only; what they are made of is in ``engines``. Nothing runs until a test asks for it."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from tests.engines import Broker, Databases, Engines, private_engines, shared_broker, shared_postgres


@pytest.fixture(scope="session")
def broker() -> Iterator[Broker]:
    """The run's Kafka; ``await broker.reset()`` gives empty topics of the catalogue."""
    with shared_broker() as shared:
        yield shared


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """The run's PostgreSQL, as its superuser."""
    with shared_postgres() as url:
        yield url


@pytest.fixture(scope="session")
def run_databases(postgres_url: str) -> Iterator[Databases]:
    """The migrated templates of the run."""
    databases = Databases(postgres_url)
    yield databases
    asyncio.run(databases.drop(templates=True))


@pytest.fixture
async def databases(run_databases: Databases) -> AsyncIterator[Databases]:
    """``await databases.make("registry")`` gives a fresh, migrated database, dropped after the test."""
    yield run_databases
    await run_databases.drop(templates=False)


@pytest.fixture
async def kafka_topics(broker: Broker) -> str:
    """The run's Kafka with empty topics of the catalogue: its bootstrap address."""
    await broker.reset()
    return broker.bootstrap


@pytest.fixture
async def engines() -> AsyncIterator[Engines]:
    """A Kafka and a PostgreSQL of the test's own, to be stopped, killed and started again."""
    async with private_engines() as private:
        yield private
