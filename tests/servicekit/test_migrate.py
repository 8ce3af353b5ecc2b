"""Migrations: run once, in order, by any number at a time; never changed afterwards."""

import asyncio
import os
import sys
from asyncio.subprocess import PIPE

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


async def test_the_command(databases: Databases) -> None:
    made = await databases.make("registry")
    assert await run(made.owner, "registry") == (0, "nothing to do\n", "")
    status, _, told = await run(made.owner, "nobody")
    assert (status, "registry|evaluation" in told) == (2, True)
    status, _, told = await run("", "registry")
    assert (status, "OCOP_DATABASE_OWNER_URL" in told) == (2, True)
    status, _, told = await run(made.app, "registry")
    assert (status, told.startswith("not migrated: ")) == (1, True), "the application's role may not"


async def test_the_command_waits_for_a_database_that_is_being_made(
    databases: Databases, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = await databases.make("registry")
    real, there = migrate.migrate, asyncio.Event()

    async def later(url: str, service: str) -> list[str]:
        if not there.is_set():
            there.set()
            return await real(url.replace(made.name, "not_made_yet"), service)
        return await real(url, service)

    monkeypatch.setattr(migrate, "migrate", later)
    monkeypatch.setattr(migrate, "AGAIN_S", 0)
    assert await migrate.when_there(made.owner, "registry") == []
    assert "waiting for the database" in capsys.readouterr().err
    there.clear()
    with pytest.raises(asyncpg.InvalidCatalogNameError):
        await migrate.when_there(made.owner, "registry", patience_s=0)


async def run(owner_url: str, *arguments: str) -> tuple[int | None, str, str]:
    environment = os.environ | {"OCOP_DATABASE_OWNER_URL": owner_url, "PYTHONPATH": ":".join(p for p in sys.path if p)}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "servicekit.migrate", *arguments, env=environment, stdout=PIPE, stderr=PIPE
    )
    out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()
