"""The shadow of a database's tables: made beside the live ones, filled, indexed, and put in their place.

All of it is the owner's work. A shadow stands in the schema `shadow`, under the same names; what a swap has put aside
is in `outgoing` until it is dropped. Nobody but the owner sees either.
"""

import asyncio
import re
import time
from collections.abc import Sequence
from typing import Final

import asyncpg

from servicekit.database import Connection
from servicekit.projector import Projection

NAME: Final = "shadow"
OUTGOING: Final = "outgoing"
# Tables that Projectors write besides: what they hold back is brought into the live one, the breaker's is forgotten.
BESIDE: Final = ("held", "stopped")

LOCK_MS: Final = 300  # far below a second, after which PostgreSQL would end a reader that stands in a circle with us
PAUSE_S: Final = 0.2
PATIENCE_S: Final = 60


class ShadowError(Exception):
    """The tables cannot be put in each other's place; nothing was changed."""


async def make(connection: Connection, projections: Sequence[Projection]) -> bool:
    """Makes empty tables like the live ones, with their checks and without indexes; whether an old shadow was dropped.

    Partitions are made as tables of their own, and become partitions in `index`. Raises ShadowError if a table has what
    a shadow would not have: policies, triggers, foreign keys.
    """
    tables = of(projections)
    async with connection.transaction():
        left = await connection.fetchval("SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = $1)", NAME)
        await drop(connection)
        await _refuse(connection, [*tables, *await parents(connection, tables)])
        await connection.execute(f"CREATE SCHEMA {NAME}")
        for parent in await parents(connection, tables):
            key = await connection.fetchval("SELECT pg_get_partkeydef($1::regclass)", f"public.{parent}")
            like = f"LIKE public.{parent} INCLUDING ALL EXCLUDING INDEXES"
            await connection.execute(f"CREATE TABLE {NAME}.{parent} ({like}) PARTITION BY {key}")
        for table in tables:
            await connection.execute(
                f"CREATE TABLE {NAME}.{table} (LIKE public.{table} INCLUDING ALL EXCLUDING INDEXES)"
            )
            options = await connection.fetchval(
                "SELECT array_to_string(reloptions, ', ') FROM pg_class WHERE oid = $1::regclass", f"public.{table}"
            )
            if options:
                await connection.execute(f"ALTER TABLE {NAME}.{table} SET ({options})")
        for table in BESIDE:
            await connection.execute(f"CREATE TABLE {NAME}.{table} (LIKE public.{table} INCLUDING ALL)")
        # What an operator has passed over is on no topic: it is looked up where it was written.
        await connection.execute(f"CREATE VIEW {NAME}.skipped AS TABLE public.skipped")
    return bool(left)


async def drop(connection: Connection) -> None:
    """Removes the shadow, and what a swap has put aside. Raises ShadowError if that is never free for a moment: a query
    that was planned before the swap still locks what it was planned for, and only then plans anew."""
    async with connection.transaction():
        rows = await connection.fetch(
            """SELECT oid::regclass::text AS name FROM pg_class
               WHERE relnamespace IN (SELECT oid FROM pg_namespace WHERE nspname IN ($1, $2)) AND relkind IN ('r', 'p')
               ORDER BY oid""",
            NAME,
            OUTGOING,
        )
        if rows:
            await _lock(connection, [row["name"] for row in rows])
        await connection.execute(f"DROP SCHEMA IF EXISTS {NAME}, {OUTGOING} CASCADE")


def of(projections: Sequence[Projection]) -> list[str]:
    """The tables that are made again: those of the projections, and where their subjects stand."""
    return [*(table.name for projection in projections for table in projection.tables), "stream"]


async def swapped(connection: Connection, projections: Sequence[Projection]) -> list[str]:
    """All tables that a swap exchanges, the partitioned ones first."""
    return [*await parents(connection, of(projections)), *of(projections)]


async def parents(connection: Connection, tables: Sequence[str]) -> list[str]:
    """The partitioned tables of which these are partitions."""
    rows = await connection.fetch(
        """SELECT DISTINCT p.relname FROM pg_inherits i
           JOIN pg_class c ON c.oid = i.inhrelid AND c.relnamespace = 'public'::regnamespace
           JOIN pg_class p ON p.oid = i.inhparent
           WHERE c.relname = ANY($1::text[]) ORDER BY 1""",
        list(tables),
    )
    return [row["relname"] for row in rows]


async def _refuse(connection: Connection, tables: Sequence[str]) -> None:
    rows = await connection.fetch(
        """SELECT c.relname FROM pg_class c
           WHERE c.relnamespace = 'public'::regnamespace AND c.relname = ANY($1::text[])
             AND (c.relhasrules OR c.relrowsecurity
                  OR EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = c.oid)
                  OR EXISTS (SELECT FROM pg_constraint f
                             WHERE f.contype = 'f' AND c.oid IN (f.conrelid, f.confrelid)))""",
        list(tables),
    )
    if rows:
        names = ", ".join(row["relname"] for row in rows)
        raise ShadowError(f"{names}: policies, rules, triggers and foreign keys would not be in a rebuilt table.")


# ---------------------------------------------------------------- once it is filled


async def index(connection: Connection, table: str) -> None:
    """Gives a filled table the live one's keys and indexes. Raises asyncpg.UniqueViolationError, naming the index."""
    await _index(connection, table)


async def attach(connection: Connection, projections: Sequence[Projection]) -> None:
    """Makes indexed tables partitions, as the live ones are."""
    tables = of(projections)
    for parent in await parents(connection, tables):
        await _index(connection, parent)
    rows = await connection.fetch(
        """SELECT c.relname AS name, p.relname AS parent, pg_get_expr(c.relpartbound, c.oid) AS bound
           FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_class p ON p.oid = i.inhparent
           WHERE c.relnamespace = 'public'::regnamespace AND c.relname = ANY($1::text[]) ORDER BY 1""",
        list(tables),
    )
    for row in rows:
        await connection.execute(
            f"ALTER TABLE {NAME}.{row['parent']} ATTACH PARTITION {NAME}.{row['name']} {row['bound']}"
        )


async def _index(connection: Connection, table: str) -> None:
    keys = await connection.fetch(
        """SELECT conname AS name, pg_get_constraintdef(oid) AS definition FROM pg_constraint
           WHERE conrelid = $1::regclass AND contype IN ('p', 'u') ORDER BY conname""",
        f"public.{table}",
    )
    for key in keys:
        await connection.execute(f"ALTER TABLE {NAME}.{table} ADD CONSTRAINT {key['name']} {key['definition']}")
    definitions = await connection.fetch(
        """SELECT pg_get_indexdef(i.indexrelid) AS definition FROM pg_index i
           WHERE i.indrelid = $1::regclass
             AND NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conindid = i.indexrelid AND c.contype IN ('p', 'u'))
           ORDER BY 1""",
        f"public.{table}",
    )
    for row in definitions:
        await connection.execute(re.sub(r" ON (ONLY )?public\.", rf" ON \1{NAME}.", row["definition"], count=1))


async def keyed(connection: Connection, table: str) -> list[list[str]]:
    """The columns of each key of a live table, the primary one first."""
    rows = await connection.fetch(
        """SELECT array(SELECT attname::text FROM unnest(conkey) WITH ORDINALITY AS k(number, place)
                        JOIN pg_attribute a ON a.attrelid = conrelid AND a.attnum = k.number ORDER BY place) AS columns
           FROM pg_constraint WHERE conrelid = $1::regclass AND contype IN ('p', 'u') ORDER BY contype, conname""",
        f"public.{table}",
    )
    return [row["columns"] for row in rows]


async def grant(connection: Connection, tables: Sequence[str]) -> None:
    """Lets the roles do with the shadow's tables what they may with the live ones."""
    rows = await connection.fetch(
        """SELECT c.relname AS name, privilege_type AS privilege, '' AS columns, grantee::regrole::text AS role
           FROM pg_class c, aclexplode(c.relacl)
           WHERE c.relnamespace = 'public'::regnamespace AND c.relname = ANY($1::text[]) AND grantee <> c.relowner
           UNION ALL
           SELECT c.relname, privilege_type, format('(%I)', a.attname), grantee::regrole::text
           FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid, aclexplode(a.attacl)
           WHERE c.relnamespace = 'public'::regnamespace AND c.relname = ANY($1::text[]) AND grantee <> c.relowner""",
        list(tables),
    )
    for row in rows:
        await connection.execute(f"GRANT {row['privilege']} {row['columns']} ON {NAME}.{row['name']} TO {row['role']}")


async def vacuum(connection: Connection, tables: Sequence[str]) -> None:
    """Leaves them as readers want them: statistics, and pages that need not be looked at for visibility."""
    for table in tables:
        await connection.execute(f"VACUUM (ANALYZE) {NAME}.{table}")


# ---------------------------------------------------------------- the swap


async def lock(connection: Connection, tables: Sequence[str]) -> None:
    """Waits for a moment without readers, and keeps all of them out of the live tables until the transaction ends.

    Raises ShadowError if there is no such moment in a minute.
    """
    await _lock(connection, [f"{schema}.{table}" for schema in ("public", NAME) for table in tables])


async def _lock(connection: Connection, names: Sequence[str]) -> None:
    """All of them for us alone. A reader that has begun goes on to its end: we step back rather than wait in a circle
    with it."""
    every = ", ".join(names)
    # Only vacuum stands against this, and it gives way; without it a long vacuum would outlast every short attempt.
    await connection.execute(f"LOCK TABLE {every} IN SHARE UPDATE EXCLUSIVE MODE")
    until = time.monotonic() + PATIENCE_S
    while True:
        try:
            async with connection.transaction():
                await connection.execute(f"SET LOCAL statement_timeout = {LOCK_MS}")
                await connection.execute(f"LOCK TABLE {every} IN ACCESS EXCLUSIVE MODE")
                await connection.execute("SET LOCAL statement_timeout = 0")
            return
        # On a machine that stands still for a second PostgreSQL may see the circle before our time is over.
        except (asyncpg.QueryCanceledError, asyncpg.DeadlockDetectedError) as error:
            if time.monotonic() > until:
                raise ShadowError(f"The tables were read without a pause for {PATIENCE_S} s.") from error
        await asyncio.sleep(PAUSE_S)


async def swap(connection: Connection, tables: Sequence[str]) -> None:
    """Puts the shadow's tables in the place of the live ones, which `lock` has locked."""
    await connection.execute(f"CREATE SCHEMA {OUTGOING}")
    for table in tables:
        await connection.execute(f"ALTER TABLE public.{table} SET SCHEMA {OUTGOING}")
        await connection.execute(f"ALTER TABLE {NAME}.{table} SET SCHEMA public")
