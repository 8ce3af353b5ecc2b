"""A service begins when its database and its topics are as its code has them, and says until then what is missing."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from contracts.topics import TOPICS
from ocop.home import free_port
from servicekit import database, migrate, service
from servicekit.service import Service
from servicekit.settings import Settings
from tests.engines import Databases
from tests.waiting import until


def says(waiting: Service, missing: list[str]) -> Callable[[], Awaitable[bool]]:
    async def ask() -> bool:
        return await waiting.health.missing() == missing

    return ask


async def test_a_service_waits_for_its_schema_and_then_for_its_topics(
    databases: Databases, kafka_topics: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "AGAIN_S", 0.01)
    other, made, last = (
        next(iter(TOPICS.values())),
        await databases.make("national"),
        migrate.migrations("national")[-1],
    )
    more = [replace(other, partitions=13), replace(other, name="ocop.nobody.made.this")]
    monkeypatch.setattr(service, "TOPICS", TOPICS | {topic.name: topic for topic in more})
    owner = await database.connect(made.owner)
    await owner.execute("DELETE FROM migration WHERE name = $1", last.name)
    settings = Settings(kafka_bootstrap=kafka_topics, database_url=made.app, http_port=free_port())
    async with Service("national", settings) as waiting:
        beginning = asyncio.create_task(waiting._begin())
        await until(says(waiting, [f"schema: migration national.{last.name}"]))
        await owner.execute("INSERT INTO migration VALUES ($1, $2, $3)", last.line, last.name, last.sha256)
        await owner.close()
        wrong = f"kafka: topic {other.name} has 12 partitions, not 13"
        await until(says(waiting, [wrong, "kafka: no topic ocop.nobody.made.this"]))
        assert not waiting.begun()
        monkeypatch.setattr(service, "TOPICS", TOPICS)
        async with asyncio.timeout(10):
            await beginning
        assert waiting.begun()
        assert await waiting.health.missing() == []
