"""The limit L: plain COPY of the rows that a projection ends with, into the same tables with the same indexes.

What the database alone can take, in one transaction, from rows that are ready in COPY's binary form.
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from national.projections import PROJECTIONS

from bench.data import PRODUCT, Record, products
from bench.engines import Bench
from servicekit import database
from servicekit.database import Connection
from servicekit.projector import Event, Projection
from tests.engines import Database

PROJECTION: Final = next(each for each in PROJECTIONS if each.topic == PRODUCT)
BEFORE_EVENTS, BEFORE_SUBJECTS = 100_000, 10_000  # what the tables hold before every run
PART: Final = 20_000  # events whose rows are made at a time


@dataclass(frozen=True, slots=True)
class Limit:
    """The rows in files, and what the tables hold when all is right."""

    events: int
    before: dict[str, Path]
    rows: dict[str, Path]
    digests: dict[str, str]

    async def fill(self, made: Database) -> None:
        """Puts into the tables what is there before every run."""
        connection = await database.connect(made.app)
        try:
            await _load(connection, self.before)
        finally:
            await connection.close()

    async def measure(self, bench: Bench) -> float:
        """Events a second. Raises AssertionError if the tables do not hold then what they should."""
        made = await bench.databases.make("national")
        try:
            await self.fill(made)
            await bench.settle(made.superuser)
            connection = await database.connect(made.app)
            try:
                start = time.perf_counter()
                async with connection.transaction():
                    await _load(connection, self.rows)
                seconds = time.perf_counter() - start
                found = await digests(connection)
                assert found == self.digests, f"the tables hold {found}, not {self.digests}"
            finally:
                await connection.close()
        finally:
            await bench.databases.drop(templates=False)
        return self.events / seconds


async def prepare(bench: Bench, events: int, subjects: int) -> Limit:
    """Makes the rows of `products(events, subjects)`, and those before, by the projection's own code."""
    made = await bench.databases.make("national")
    connection = await database.connect(made.app)
    try:
        await write(connection, products(min(BEFORE_EVENTS, events), min(BEFORE_SUBJECTS, subjects), prefix="TRUOC"))
        before = await _dump(connection, bench.fresh("before"))
        await _empty(made)
        await write(connection, products(events, subjects))
        rows = await _dump(connection, bench.fresh("rows"))
        await _load(connection, before)
        found = await digests(connection)
    finally:
        await connection.close()
        await bench.databases.drop(templates=False)
    return Limit(events, before, rows, found)


async def write(connection: Connection, records: Iterable[Record], projection: Projection = PROJECTION) -> None:
    """Writes the rows of whole histories by the pure projection and COPY, without position, stream or held rows."""
    last: dict[str, dict[str, list[tuple[Any, ...]]]] = {}
    of_events = {table.name for table in projection.tables if table.per == "event"}
    rows: dict[str, list[tuple[Any, ...]]] = {name: [] for name in of_events}
    columns = {table.name: table.columns for table in projection.tables}

    async def flush() -> None:
        for name, found in rows.items():
            await connection.copy_records_to_table(name, columns=columns[name], records=found)
            found.clear()

    for number, record in enumerate(records, 1):
        message = record.message()
        assert message.error is None, message.error
        found = projection.rows(Event.of(message))
        for name in of_events:
            rows[name] += found[name]
        last[record.key] = {name: list(made) for name, made in found.items() if name not in of_events}
        if number % PART == 0:
            await flush()
    await flush()
    for table in projection.tables:
        if table.per == "subject":
            found_rows = [row for of_subject in last.values() for row in of_subject[table.name]]
            await connection.copy_records_to_table(table.name, columns=table.columns, records=found_rows)


async def _dump(connection: Connection, directory: Path) -> dict[str, Path]:
    files = {}
    for table in PROJECTION.tables:
        files[table.name] = directory / table.name
        await connection.copy_from_table(
            table.name, columns=table.columns, output=files[table.name], format="binary", timeout=600
        )
    return files


async def _load(connection: Connection, files: dict[str, Path]) -> None:
    for table in PROJECTION.tables:
        await connection.copy_to_table(
            table.name, columns=table.columns, source=files[table.name], format="binary", timeout=600
        )


async def _empty(made: Database) -> None:
    owner = await database.connect(made.owner)
    try:
        await owner.execute("TRUNCATE " + ", ".join(table.name for table in PROJECTION.tables))
    finally:
        await owner.close()


async def digests(connection: Connection) -> dict[str, str]:
    """Of each table the count of its rows and a sum over all that they say, whatever their order."""
    found = {}
    for table in PROJECTION.tables:
        found[table.name] = await connection.fetchval(
            f"SELECT count(*) || ' rows, ' || coalesce(sum(hashtextextended(t::text, 0)), 0) FROM {table.name} t",  # noqa: S608  # names of the wiring
            timeout=600,
        )
    return found
