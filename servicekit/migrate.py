"""Migrations: numbered SQL files in independent lines, run once under a lock.

A line is a folder's worth of numbering: `reading`, `deciding`, `sending` belong to this package, and each
service has one line of its own name in `<package>/migrations/`. Own runner instead of a library: there is no
ORM to migrate for, and several lines in one database are what the libraries do not have.

`python -m servicekit.migrate <service>` brings the database of OCOP_DATABASE_OWNER_URL to this code's schema; it waits
for a database that is not there yet. Exit status 1 if it cannot be done, 2 if it was asked wrongly.
"""

import asyncio
import hashlib
import importlib.resources
import os
import sys
import time
from dataclasses import dataclass
from typing import Final

import asyncpg

from servicekit import database

# Which of this package's lines a service needs, and the Python package that holds its own.
LINES: dict[str, tuple[str, ...]] = {
    "gateway": ("reading", "sending"),
    "registry": ("reading", "deciding", "sending"),
    "evaluation": ("reading", "deciding", "sending"),
    "marketplace": ("reading", "deciding", "sending"),
    "notifications": ("reading",),
    "national": ("reading",),
}
PACKAGES = {"marketplace": "marketplace_sync"}

PATIENCE_S: Final = 600.0  # for a database that is being made
AGAIN_S: Final = 2.0

_LOCK = 0x0C0B_0001  # one migration at a time per database
_LEDGER = """
CREATE TABLE IF NOT EXISTS migration (
    line    text NOT NULL,
    name    text NOT NULL,
    sha256  text NOT NULL,
    applied timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (line, name)
);
GRANT SELECT ON migration TO ocop_app, ocop_http;
"""


class MigrationError(Exception):
    """A migration that was run has been changed since."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file: `<line>.<number>_<what>.sql` here, `<number>_<what>.sql` in a service."""

    line: str
    name: str
    sql: str

    @property
    def sha256(self) -> str:
        """Of the file's text, so that a change after the fact is noticed."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


def migrations(service: str) -> list[Migration]:
    """All migrations of a service, in the order in which they run."""
    found = []
    kit = importlib.resources.files("servicekit") / "migrations"
    for line in LINES[service]:
        for file in sorted(kit.iterdir(), key=lambda file: file.name):
            if file.name.startswith(f"{line}.") and file.name.endswith(".sql"):
                found.append(Migration(line, file.name.removeprefix(f"{line}."), file.read_text("utf-8")))
    own = importlib.resources.files(PACKAGES.get(service, service)) / "migrations"
    for file in sorted(own.iterdir(), key=lambda file: file.name):
        if file.name.endswith(".sql"):
            found.append(Migration(service, file.name, file.read_text("utf-8")))
    return found


async def migrate(owner_url: str, service: str) -> list[str]:
    """Brings the service's database to this code's schema; returns the names of what was run.

    Each file in its own transaction, with a lock time-out; concurrent calls wait for each other.
    Raises MigrationError if a file that was already run reads differently now.
    """
    connection = await database.connect(owner_url, name="ocop-migrate")
    try:
        await connection.fetchval("SELECT pg_advisory_lock($1)", _LOCK)
        await connection.execute("SET lock_timeout = '10s'")
        await connection.execute(_LEDGER)
        done = {(row["line"], row["name"]): row["sha256"] for row in await connection.fetch("SELECT * FROM migration")}
        ran = []
        for migration in migrations(service):
            known = done.get((migration.line, migration.name))
            if known is None:
                async with connection.transaction():
                    await connection.execute(migration.sql)
                    await connection.execute(
                        "INSERT INTO migration (line, name, sha256) VALUES ($1, $2, $3)",
                        migration.line,
                        migration.name,
                        migration.sha256,
                    )
                ran.append(f"{migration.line}.{migration.name}")
            elif known != migration.sha256:
                raise MigrationError(f"{migration.line}.{migration.name} was changed after it had been run")
        return ran
    finally:
        await connection.close()


async def missing(connection: database.Connection, service: str) -> list[str]:
    """Names of the migrations that this code needs and the database lacks; empty when it is ready."""
    try:
        done = {(row["line"], row["name"]) for row in await connection.fetch("SELECT line, name FROM migration")}
    except asyncpg.UndefinedTableError:
        done = set()
    return [f"{m.line}.{m.name}" for m in migrations(service) if (m.line, m.name) not in done]


async def when_there(owner_url: str, service: str, patience_s: float = PATIENCE_S) -> list[str]:
    """`migrate`, as soon as the database answers. Raises what kept it from that so long, or what no waiting mends."""
    until = time.monotonic() + patience_s
    while True:
        try:
            return await migrate(owner_url, service)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
            # A cluster that is being made lacks the database for a while.
            passes = database.is_outage(error) or isinstance(error, asyncpg.InvalidCatalogNameError)
            if not passes or time.monotonic() > until:
                raise
            sys.stderr.write(f"waiting for the database: {error or type(error).__name__}\n")
        await asyncio.sleep(AGAIN_S)


def main(arguments: list[str]) -> int:
    """The command."""
    url = os.environ.get("OCOP_DATABASE_OWNER_URL")
    if len(arguments) != 1 or arguments[0] not in LINES or not url:
        sys.stderr.write(f"usage: OCOP_DATABASE_OWNER_URL=… python -m servicekit.migrate {'|'.join(LINES)}\n")
        return 2
    try:
        ran = asyncio.run(when_there(url, arguments[0]))
    except (MigrationError, asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
        sys.stderr.write(f"not migrated: {error or type(error).__name__}\n")
        return 1
    sys.stdout.write("".join(f"{name}\n" for name in ran) or "nothing to do\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
