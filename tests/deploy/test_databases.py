"""What dev's script and production's operator make of a server, on a real one: enough to migrate and to work on."""

from collections.abc import Callable, Iterator
from pathlib import Path

import asyncpg
import pytest

from deploy.k8s.manifests import HERE, render
from ocop import provision
from ocop.services import SERVICES, Service
from servicekit import migrate
from tests.engines import Engines


def by_dev() -> Iterator[str]:
    """The script's statements."""
    lines = (HERE / "overlays/dev/init.sql").read_text().splitlines()
    yield from (line for line in lines if line and not line.startswith("--"))


EXPORTER = "cnpg_metrics_exporter"


def by_production() -> Iterator[str]:
    """What CloudNativePG does, cluster by cluster; here all six share one server, so the groups come once."""
    yield f"CREATE ROLE {EXPORTER} LOGIN PASSWORD 'dev' IN ROLE pg_monitor"
    done: set[str] = set()
    for each in render("production").of("Cluster"):
        begun = each["spec"]["bootstrap"]["initdb"]
        yield from (line for line in begun["postInitSQL"] if line not in done)
        done |= set(begun["postInitSQL"])
        yield f"CREATE ROLE {begun['owner']} LOGIN PASSWORD 'dev'"
        yield f"CREATE DATABASE {begun['database']} OWNER {begun['owner']}"
        yield from begun["postInitApplicationSQL"]
        for role in each["spec"]["managed"]["roles"]:
            yield f"CREATE ROLE {role['name']} LOGIN PASSWORD 'dev' IN ROLE {', '.join(role['inRoles'])}"


@pytest.mark.parametrize("made", [by_dev, by_production], ids=["dev", "production"])
async def test_services_can_be_migrated_and_connect(made: Callable[[], Iterator[str]], tmp_path: Path) -> None:
    engines = Engines(tmp_path)
    await engines.start_postgres()
    try:
        connection = await asyncpg.connect(engines.postgres_url)
        for statement in made():
            await connection.execute(statement)
        await connection.close()
        for service in SERVICES:
            owner, app, http = (address(engines, service, role) for role in service.roles)
            assert await migrate.migrate(owner, service.wire)
            for url in (app, http):
                connection = await asyncpg.connect(url)
                assert await migrate.missing(connection, service.wire) == []
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    await connection.execute("CREATE TABLE mine (id int)")
                await connection.close()
            if made is by_production:  # what the operator's own metrics are asked by
                connection = await asyncpg.connect(address(engines, service, EXPORTER))
                assert await connection.fetchval("SELECT count(*) FROM pg_stat_archiver") == 1
                await connection.close()
    finally:
        engines.kill_postgres()


def address(engines: Engines, service: Service, role: str) -> str:
    """Of the service's database, for a role."""
    return provision.address(engines.postgres_url, service.database, role, "dev")
