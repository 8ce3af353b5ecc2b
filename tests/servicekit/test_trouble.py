"""What an operator does with failed rows: sees them, tries them again, passes over them; with the registry's rules."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest
from registry.__main__ import DECIDERS

from contracts.registry import OwnerState, ProductState
from servicekit import database
from servicekit.database import Pool
from servicekit.decider import Decider, Deciders
from servicekit.message import Message
from servicekit.retry import MOST_RETRIES, exhausted, retry, would_pass
from servicekit.skip import SkipError, skip
from servicekit.trouble import Which, failures
from tests.engines import Databases
from tests.submissions import Province, owner, owner_updated, product

BUG = {"class": "KeyError", "field": "registry/domain.py:1", "text": "a bug"}


@pytest.fixture
async def pool(databases: Databases) -> AsyncIterator[Pool]:
    made = await databases.make("registry")
    async with await database.open_pool(made.app) as opened:
        yield opened


@pytest.fixture
def province() -> Province:
    return Province()


REGISTRY = Deciders("registry", DECIDERS)


async def fail(pool: Pool, message: Message, error: dict[str, Any] | None = None) -> None:
    async with pool.acquire() as connection, connection.transaction():
        await REGISTRY.fail(connection, message, error or BUG)


async def handle(pool: Pool, *messages: Message) -> None:
    async with pool.acquire() as connection, connection.transaction():
        await REGISTRY.handle(connection, messages)


async def drain(pool: Pool) -> None:
    async with pool.acquire() as connection, connection.transaction():
        await REGISTRY.drain(connection, await REGISTRY.ready(connection, 500))


async def states(pool: Pool) -> dict[str, str]:
    return {row["event_id"]: row["state"] for row in await pool.fetch("SELECT event_id, state FROM inbox")}


async def test_failures_are_grouped_by_type_class_and_field(pool: Pool, province: Province) -> None:
    await fail(pool, province.message(owner("CT-1")))
    await fail(pool, province.message(owner("CT-2")))
    await fail(pool, province.message(product("SP-1", of="CT-1")))
    await handle(pool, replace(province.message(owner("CT-3")), payload=b"{", error="broken", field="/data/kind"))
    async with pool.acquire() as connection:
        found = [(row["class"], row["field"], row["rows"]) for row in await failures(connection)]
    assert found[0] == ("KeyError", BUG["field"], 2)
    assert set(found[1:]) == {("undecodable", "/data/kind", 1), ("KeyError", BUG["field"], 1)}


async def test_a_trial_changes_nothing_and_says_why_not(pool: Pool, province: Province) -> None:
    await fail(pool, province.message(owner("CT-1", id_="good-now")))
    await fail(pool, province.message(owner_updated("CT-1", id_="behind")))
    await fail(pool, province.message(product("SP-9", of="CT-9", id_="would-wait")))
    async with pool.acquire() as connection:
        trials = await would_pass(connection, [REGISTRY], Which())
        broken = Deciders("registry", [Decider("owner", OwnerState, _raise), Decider("product", ProductState, _raise)])
        still = await would_pass(connection, [broken], Which())
    assert [trial.why for trial in trials][:2] == ["", f"stands behind row {trials[0].row}"]
    assert trials[2].why == "would be waiting"
    assert still[0].why == "RuntimeError: still broken"
    assert set((await states(pool)).values()) == {"failed"}
    assert await pool.fetchval("SELECT count(*) FROM event") == 0
    assert await pool.fetchval("SELECT count(*) FROM held WHERE ready") == 0


def _raise(*_: object) -> Any:
    raise RuntimeError("still broken")


async def test_retry_takes_a_group_a_few_at_a_time(pool: Pool, province: Province) -> None:
    for number in range(5):
        await fail(pool, province.message(owner(f"CT-{number}")))
    await fail(pool, province.message(owner("CT-X", id_="other")), {**BUG, "class": "ValueError"})
    async with pool.acquire() as connection:
        first = await retry(connection, Which(class_="KeyError"), limit=3)
        rest = await retry(connection, Which(class_="KeyError"), limit=3, after=first[-1])
    assert [len(first), len(rest)] == [3, 2]
    await drain(pool)
    found = await states(pool)
    assert found.pop("other") == "failed"
    assert set(found.values()) == {"applied"}


async def test_retry_takes_what_was_first_seen_in_a_time(pool: Pool, province: Province) -> None:
    await fail(pool, province.message(owner("CT-1")))
    now = await pool.fetchval("SELECT clock_timestamp()")
    await fail(pool, province.message(owner("CT-2")))
    async with pool.acquire() as connection:
        assert len(await retry(connection, Which(since=now))) == 1
        assert await retry(connection, Which(until=datetime(2020, 1, 1, tzinfo=UTC))) == []


async def test_a_row_is_not_tried_for_ever(pool: Pool, province: Province) -> None:
    await fail(pool, province.message(owner("CT-1")))
    async with pool.acquire() as connection:
        for _ in range(MOST_RETRIES):
            assert len(await retry(connection, Which(class_="KeyError"))) == 1
            await pool.execute("UPDATE held SET ready = false")  # it failed again
        assert await retry(connection, Which(class_="KeyError")) == []
        assert await exhausted(connection, Which(class_="KeyError")) == 1
        assert len(await retry(connection, Which(class_="KeyError"), again=True)) == 1


async def test_skipping_tells_the_sender_and_lets_the_next_go_on(pool: Pool, province: Province) -> None:
    await fail(pool, province.message(owner("CT-1", id_="bug")))
    await handle(pool, province.message(owner("CT-1", id_="next")))
    assert await states(pool) == {"bug": "failed", "next": "waiting"}
    rows = {row["event_id"]: row["id"] for row in await pool.fetch("SELECT id, event_id FROM held")}
    async with pool.acquire() as connection, connection.transaction():
        await skip(connection, [REGISTRY], rows["bug"], actor="Lan", reason="a bug")
    await drain(pool)
    assert await states(pool) == {"bug": "rejected", "next": "applied"}
    said = await pool.fetch("SELECT convert_from(payload, 'UTF8') AS text FROM outbox ORDER BY id")
    assert any("passed-over" in row["text"] for row in said)
    (kept,) = await pool.fetch("SELECT * FROM skipped")
    assert (kept["event_id"], kept["actor"], kept["reason"]) == ("bug", "Lan", "a bug")
    assert await pool.fetchval("SELECT what FROM operation") == "skip"


async def test_only_the_first_of_a_queue_is_skipped(pool: Pool, province: Province) -> None:
    await fail(pool, province.message(owner("CT-1", id_="first")))
    await fail(pool, province.message(owner_updated("CT-1", id_="second")))
    rows = {row["event_id"]: row["id"] for row in await pool.fetch("SELECT id, event_id FROM held")}
    for wrong in (rows["second"], 999):
        with pytest.raises(SkipError):
            async with pool.acquire() as connection, connection.transaction():
                await skip(connection, [REGISTRY], wrong, actor="Lan", reason="a bug")
    assert await pool.fetchval("SELECT count(*) FROM skipped") == 0


async def test_what_waits_cannot_be_skipped(pool: Pool, province: Province) -> None:
    """It is its sender's, who may withdraw it."""
    await handle(pool, province.message(product("SP-1", of="CT-1")))
    row = await pool.fetchval("SELECT id FROM held")
    with pytest.raises(SkipError):
        async with pool.acquire() as connection, connection.transaction():
            await skip(connection, [REGISTRY], row, actor="Lan", reason="impatience")


async def test_bytes_that_were_dropped_are_not_put_aside_again(pool: Pool, province: Province) -> None:
    """A sender that was not told says them again."""
    bare = replace(province.message(owner("CT-1")), envelope=None, data=None, headers=(), error="names nothing")
    await handle(pool, bare)
    async with pool.acquire() as connection, connection.transaction():
        row = await pool.fetchval("SELECT id FROM held")
        await skip(connection, [REGISTRY], row, actor="Lan", reason="noise", nameless=True)
    await handle(pool, replace(bare, offset=2))
    assert await pool.fetchval("SELECT count(*) FROM held") == 0
    await handle(pool, replace(bare, offset=3, payload=b"other bytes"))
    assert await pool.fetchval("SELECT count(*) FROM held") == 1


async def test_what_was_skipped_stays_on_record(pool: Pool, province: Province) -> None:
    await fail(pool, province.message(owner("CT-1")))
    async with pool.acquire() as connection, connection.transaction():
        row = await pool.fetchval("SELECT id FROM held")
        await skip(connection, [REGISTRY], row, actor="Lan", reason="a bug")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await pool.execute("DELETE FROM skipped")
