"""What the HTTP roles may touch, read from the databases themselves: behind the second wall, or public."""

import asyncpg
import pytest

from servicekit import database
from servicekit.migrate import LINES
from tests.engines import Databases

# All that is national is public, and only read; that something of a subject was put aside may be known, not what.
PUBLIC = {
    "national": {
        f"{table}.{right}"
        for table, right in (
            *((name, "SELECT") for name in ("event", "owner", "owner_period", "product", "product_period")),
            *((name, "SELECT") for name in ("recognition", "certificate", "issue", "standing", "listing", "offer")),
            ("held(id)", "SELECT"),
            *((f"held({column})", "SELECT") for column in ("queue", "topic", "subject")),
            *((f"skipped({column})", "SELECT") for column in ("topic", "subject", "n")),
        )
    }
}
OF_EVERY_SERVICE = {"migration.SELECT"}
WALLED = {"gateway": {"submission.SELECT", "submission.INSERT", "outcome.SELECT", "outbox.INSERT"}}
FUNCTIONS = {"gateway": {"key_holder", "outbox_bound", "in_backfill"}}
RIGHTS = ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER")

TOUCHED = """
    SELECT c.relname || '.' || r AS touched, c.relname, c.relrowsecurity AND c.relforcerowsecurity AS walled
    FROM pg_class c, unnest($1::text[]) r
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
      AND has_table_privilege(current_user, c.oid, r)
    UNION ALL
    SELECT c.relname || '(' || a.attname || ').' || r, c.relname, c.relrowsecurity AND c.relforcerowsecurity
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0,
         unnest($1::text[]) r
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
      AND r IN ('SELECT', 'INSERT', 'UPDATE', 'REFERENCES')
      AND NOT has_table_privilege(current_user, c.oid, r)
      AND has_column_privilege(current_user, c.oid, a.attnum, r)"""


@pytest.mark.parametrize("service", LINES)
async def test_what_the_http_role_may_touch_is_walled_or_public(databases: Databases, service: str) -> None:
    made = await databases.make(service)
    connection = await database.connect(made.http)
    try:
        rows = await connection.fetch(TOUCHED, RIGHTS)
        walled = {row["touched"] for row in rows if row["walled"]}
        assert walled == WALLED.get(service, set())
        assert {row["touched"] for row in rows} - walled == OF_EVERY_SERVICE | PUBLIC.get(service, set())
        policies = await connection.fetch(
            "SELECT tablename, policyname, roles::text[], qual, with_check FROM pg_policies"
        )
        for table in {each.partition(".")[0] for each in walled}:
            mine = [p for p in policies if p["tablename"] == table and {"ocop_http", "public"} & set(p["roles"])]
            assert mine, table
            for policy in mine:
                for condition in (policy["qual"], policy["with_check"]):
                    assert condition is None or "app.tenant" in condition, (table, policy["policyname"])
    finally:
        await connection.close()


@pytest.mark.parametrize("service", LINES)
async def test_the_http_role_can_be_nobody_else(databases: Databases, service: str) -> None:
    made = await databases.make(service)
    connection = await database.connect(made.http)
    try:
        role = await connection.fetchrow("SELECT * FROM pg_roles WHERE rolname = current_user")
        assert role is not None
        assert not any(role[f"rol{name}"] for name in ("super", "createrole", "createdb", "bypassrls", "replication"))
        member = await connection.fetch(
            "SELECT rolname FROM pg_roles WHERE pg_has_role(current_user, oid, 'MEMBER') AND rolname <> current_user"
        )
        assert [row["rolname"] for row in member] == ["ocop_http"]
        owned = "SELECT count(*) FROM pg_class c JOIN pg_roles r ON r.oid = c.relowner WHERE r.rolname = current_user"
        assert await connection.fetchval(owned) == 0
        functions = await connection.fetch(
            """SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace
                 AND prorettype <> 'trigger'::regtype AND has_function_privilege(current_user, oid, 'EXECUTE')"""
        )
        assert {row["proname"] for row in functions} == FUNCTIONS.get(service, set())
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute("SET ROLE ocop_app")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute("CREATE FUNCTION public.intruder() RETURNS int LANGUAGE sql AS 'SELECT 1'")
    finally:
        await connection.close()


async def test_the_http_role_of_one_service_is_kept_out_of_the_others(databases: Databases) -> None:
    gateway, national = await databases.make("gateway"), await databases.make("national")
    elsewhere = national.http.rpartition("/")[0] + "/" + gateway.name
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await database.connect(elsewhere)


async def test_national_writes_nothing_for_http(databases: Databases) -> None:
    made = await databases.make("national")
    connection = await database.connect(made.http)
    try:
        named = "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
        tables = [row["relname"] for row in await connection.fetch(named)]
        assert "held" in tables
        for table in tables:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(f"DELETE FROM {table}")  # noqa: S608  # names from the catalogue
        for hidden in ("payload", "headers", "error", "source"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.fetch(f"SELECT {hidden} FROM held")  # noqa: S608  # the names above
    finally:
        await connection.close()
