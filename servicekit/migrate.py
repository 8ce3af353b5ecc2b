"""Migrations: numbered SQL files in independent lines, run once under a lock.

A line is a folder's worth of numbering: `reading`, `deciding`, `sending` belong to this package, and each
service has one line of its own name in `<package>/migrations/`. Own runner instead of a library: there is no
ORM to migrate for, and several lines in one database are what the libraries do not have.
"""

import hashlib
import importlib.resources
from dataclasses import dataclass

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
    """A migration that was run has been changed since, or the database is newer than the code."""


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
