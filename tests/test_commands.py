"""Operators' commands, as they are typed, on a service's database."""

import asyncio
import os
import subprocess
import sys

from registry.__main__ import DECIDERS

from servicekit import database
from servicekit.decider import Deciders
from servicekit.message import Message
from tests.engines import Database, Databases
from tests.submissions import Province, owner, owner_updated, product, product_updated


async def ocop(made: Database, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs a command beside a service: with its database."""
    return await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "ocop", *arguments],
        env=os.environ | {"OCOP_DATABASE_URL": made.app, "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


async def said(made: Database, *arguments: str) -> str:
    """What a command says that succeeds."""
    done = await ocop(made, *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


async def test_dead_letters_and_what_waits(databases: Databases) -> None:
    made, province = await databases.make("registry"), Province()
    registry = Deciders("registry", DECIDERS)
    assert "Nothing has failed." in await said(made, "dlq", "list", "registry")
    assert "Nothing waits." in await said(made, "waiting", "registry")
    pool = await database.open_pool(made.app)
    bug = province.message(owner("CT-7", id_="bug"))
    async with pool.acquire() as connection, connection.transaction():
        await registry.fail(connection, bug, {"class": "KeyError", "field": "/data/owner", "text": "a bug"})
        await registry.handle(
            connection,
            [
                province.message(owner_updated("CT-7", id_="behind")),
                province.message(product("SP-1", of="CT-9", id_="waits")),
                province.message(product_updated("SP-1", of="CT-9", id_="behind-it")),
            ],
        )
    row = await pool.fetchval("SELECT id FROM held WHERE event_id = 'bug'")

    listed = await said(made, "dlq", "list", "registry")
    assert "vn.ocop.province.owner.registered.v1" in listed
    assert listed.splitlines()[1].split()[1:6] == ["KeyError", "/data/owner", "1", "1", "2025-68"]
    shown = await said(made, "dlq", "show", "registry", str(row))
    assert "ce_id: bug" in shown
    assert "a bug" in shown
    assert "Hợp tác xã thử nghiệm CT-7" in shown, "the bytes, as people read them"
    waiting = await said(made, "waiting", "registry")
    assert waiting.splitlines()[1].split()[:6] == ["owner", "2025-68/CT-9", "product", "1", "1", "2025-68"]

    refused = await ocop(made, "dlq", "retry", "registry")
    assert refused.returncode == 1, "retrying everything must be said"
    assert "0 rows" in await said(made, "dlq", "retry", "registry", "--error", "ValueError")
    assert "1 of 1 would pass now." in await said(made, "dlq", "retry", "registry", "--row", str(row), "--dry-run")
    assert "1 rows" in await said(made, "dlq", "retry", "registry", "--row", str(row), "--actor", "Lan")
    assert (await ocop(made, "dlq", "show", "registry", "999999")).returncode == 1
    async with pool.acquire() as connection, connection.transaction():
        await registry.drain(connection, await registry.ready(connection, 500))
    assert await pool.fetchval("SELECT state FROM inbox WHERE event_id = 'behind'") == "applied"
    assert "Nothing has failed." in await said(made, "dlq", "list", "registry")
    assert (await said(made, "operations", "registry")).splitlines()[1].split()[2:4] == ["Lan", "retry"]
    await pool.close()


async def test_skipping_and_dropping_want_a_reason(databases: Databases) -> None:
    made, province = await databases.make("registry"), Province()
    registry = Deciders("registry", DECIDERS)
    async with await database.open_pool(made.app) as pool, pool.acquire() as connection, connection.transaction():
        await registry.fail(connection, province.message(owner("CT-7", id_="bug")), {"class": "KeyError"})
        await registry.handle(connection, [Message("ocop.submission.registry", 0, 99, (), b"nobody can read this")])
    bug, garbage = "1", "2"
    assert (await ocop(made, "dlq", "skip", "registry", bug)).returncode != 0
    assert (await ocop(made, "dlq", "skip", "registry", bug, "--reason", " ")).returncode == 1
    assert "drop it" in (await ocop(made, "dlq", "skip", "registry", garbage, "--reason", "noise")).stderr
    await said(made, "dlq", "drop", "registry", garbage, "--reason", "noise", "--actor", "Lan")
    await said(made, "dlq", "skip", "registry", bug, "--reason", "bản ghi thử", "--actor", "Lan")
    assert "Nothing has failed." in await said(made, "dlq", "list", "registry")
    done = await said(made, "operations", "registry")
    assert [line.split()[2:4] for line in done.splitlines()[1:]] == [["Lan", "skip"], ["Lan", "drop"]]
    assert "bản ghi thử" in done


async def test_tenants(databases: Databases) -> None:
    made = await databases.make("gateway")
    key = (
        await said(made, "tenant", "enrol", "2025-80", "--system", "ocop", "--namespaces", "2004-80,2004-72")
    ).strip()
    assert key.startswith("ocop_")
    again = await ocop(made, "tenant", "enrol", "2025-80", "--system", "ocop")
    assert again.returncode == 1
    assert "rotate" in again.stderr
    assert (await said(made, "tenant", "rotate", "2025-80", "--system", "ocop")).strip() != key
    await said(made, "tenant", "suspend", "2025-80", "--actor", "Lan")
    listed = await said(made, "tenant", "list")
    assert "2004-72 2004-80" in listed
    assert key not in listed
    await said(made, "tenant", "reinstate", "2025-80")
    assert (await ocop(made, "tenant", "suspend", "2025-01")).returncode == 1
    assert (await ocop(made, "tenant", "enrol", "2004-80", "--system", "ocop")).returncode == 1
    done = await said(made, "operations", "gateway")
    assert [line.split()[4] for line in done.splitlines()[1:]] == ["reinstate", "suspend", "rotate", "enrol"]
    assert "Lan tenant suspend" in " ".join(done.split())
    assert key not in done


async def test_contacts(databases: Databases) -> None:
    made = await databases.make("notifications")
    await said(made, "notifications", "contact", "2025-80", "ocop@tayninh.example")
    assert "ocop@tayninh.example" in await said(made, "notifications", "contacts")
    for wrong in (("2025-80", "nobody"), ("2025-80", "a@b,c@d"), ("2025-02", "ocop@b.example")):
        assert (await ocop(made, "notifications", "contact", *wrong)).returncode == 1


async def test_a_database_that_is_not_there_is_said_in_a_line(databases: Databases) -> None:
    made = await databases.make("registry")
    nowhere = Database(made.service, made.name, made.owner, "postgresql://127.0.0.1:1/x", made.http, made.superuser)
    done = await ocop(nowhere, "dlq", "list", "registry")
    assert done.returncode == 1
    assert "does not answer" in done.stderr
    assert "Traceback" not in done.stderr
