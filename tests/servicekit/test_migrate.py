"""Migrations: run once, in order, by any number at a time; never changed afterwards."""

import asyncio

import asyncpg
import pytest

from servicekit import database, migrate
from servicekit.migrate import LINES, Migration, MigrationError, migrations
from tests.engines import Databases


def test_every_service_has_its_lines_in_order() -> None:
    for service, lines in LINES.items():
        found = migrations(service)
        assert [m.line for m in found] == sorted([m.line for m in found], key=[*lines, service].index)
        assert len({(m.line, m.name) for m in found}) == len(found)
        assert found[-1].line == service, "each has tables of its own"
        for line in {m.line for m in found}:
            numbers = [m.name[:4] for m in found if m.line == line]
            assert numbers == sorted(numbers)


async def test_run_again_and_at_once(databases: Databases) -> None:
    made = await databases.make("registry")
    assert await asyncio.gather(*(migrate.migrate(made.owner, "registry") for _ in range(4))) == [[]] * 4


async def test_a_changed_migration_is_refused(databases: Databases, monkeypatch: pytest.MonkeyPatch) -> None:
    made = await databases.make("registry")
    changed = [Migration(m.line, m.name, m.sql + "-- changed") for m in migrations("registry")]
    monkeypatch.setattr(migrate, "migrations", lambda _: changed)
    with pytest.raises(MigrationError, match="was changed"):
        await migrate.migrate(made.owner, "registry")


async def test_one_that_fails_leaves_nothing(databases: Databases, monkeypatch: pytest.MonkeyPatch) -> None:
    made = await databases.make("registry")
    broken = Migration("registry", "9999_broken.sql", "CREATE TABLE half (id int); SELECT 1 / 0;")
    monkeypatch.setattr(migrate, "migrations", lambda _: [broken])
    with pytest.raises(asyncpg.DivisionByZeroError):
        await migrate.migrate(made.owner, "registry")
    connection = await database.connect(made.app)
    assert await connection.fetchval("SELECT to_regclass('half')") is None
    assert await migrate.missing(connection, "registry") == ["registry.9999_broken.sql"]
    await connection.close()


async def test_the_application_cannot_change_the_schema(databases: Databases) -> None:
    for service in LINES:
        made = await databases.make(service)
        for url in (made.app, made.http):
            connection = await database.connect(url)
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute("CREATE TABLE intruder (id int)")
            await connection.close()
