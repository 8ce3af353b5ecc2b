"""What an operator does with failed rows: sees them, tries them again, passes over them; with the registry's rules."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from registry.__main__ import DECIDERS

from contracts.registry import OwnerState, ProductState
from servicekit import database, held
from servicekit.database import Connection, Pool
from servicekit.decider import Decider, Deciders
from servicekit.held import Changes, HeldRow
from servicekit.listener import Listener
from servicekit.message import Message
from servicekit.retry import MOST_RETRIES, Behind, behind, exhausted, retry, under_way, would_pass
from servicekit.skip import SkipError, skip
from servicekit.trouble import Which, behind_failures, count, failures
from tests.engines import Databases
from tests.notifications.test_notifications import outcome
from tests.submissions import Province, owner, owner_updated, product, product_updated

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


async def undecodable(pool: Pool, province: Province, event: dict[str, Any]) -> int:
    """Puts an event aside in bytes that nobody can read; returns its row."""
    spoilt = province.send(event).message(payload=b"{")
    assert spoilt.error is not None
    await handle(pool, spoilt)
    return int(await pool.fetchval("SELECT max(id) FROM held"))


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
        alone = await would_pass(connection, [REGISTRY], Which(type="vn.ocop.province.owner.updated.v1"))
        broken = Deciders("registry", [Decider("owner", OwnerState, _raise), Decider("product", ProductState, _raise)])
        still = await would_pass(connection, [broken], Which())
    assert [trial.why for trial in trials] == ["", "", "would be waiting"]
    first = trials[0].row
    assert [trial.why for trial in alone] == [f"stands behind row {first}"]
    bug = "RuntimeError: still broken"
    assert [trial.why for trial in still] == [bug, f"stands behind row {first}", bug]
    assert set((await states(pool)).values()) == {"failed"}
    assert await pool.fetchval("SELECT count(*) FROM event") == 0
    assert await pool.fetchval("SELECT count(*) FROM held WHERE ready") == 0


async def test_a_trial_goes_through_a_subject_as_a_retry_does(pool: Pool, province: Province) -> None:
    """With what stands between the failed ones, up to the first that stays."""
    await fail(pool, province.message(owner("CT-1")))
    await handle(pool, province.message(owner_updated("CT-1", on="2025-09-01")))
    for day in range(2, 9):
        await fail(pool, province.message(owner_updated("CT-1", on=f"2025-09-0{day}")))
    stays = await undecodable(pool, province, owner_updated("CT-1", on="2025-10-01"))
    await fail(pool, province.message(owner_updated("CT-1", on="2025-10-02")))
    async with pool.acquire() as connection:
        trials = await would_pass(connection, [REGISTRY], Which())
        some = await would_pass(connection, [REGISTRY], Which(), 3)
        assert await count(connection, Which()) == 10
    whys = [trial.why for trial in trials]
    assert whys[:8] == [""] * 8
    assert "EnvelopeError" in whys[8] or "ValidationError" in whys[8]
    assert whys[9] == f"stands behind row {stays}"
    assert [trial.why for trial in some] == [""] * 3
    async with pool.acquire() as connection:
        await retry(connection, Which())
    await drain(pool)
    assert list((await states(pool)).values()).count("applied") == 9


async def test_a_trial_leaves_what_a_retry_would_leave(pool: Pool, province: Province) -> None:
    await fail(pool, province.message(owner("CT-1")))
    await pool.execute("UPDATE held SET retried = $1", MOST_RETRIES)
    async with pool.acquire() as connection:
        (left,) = await would_pass(connection, [REGISTRY], Which())
        (insisted,) = await would_pass(connection, [REGISTRY], Which(), again=True)
    assert "3 times" in left.why
    assert insisted.why == ""


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


async def test_what_is_marked_is_not_counted_as_left(pool: Pool, province: Province) -> None:
    await fail(pool, province.message(owner("CT-1")))
    async with pool.acquire() as connection:
        for _ in range(MOST_RETRIES):
            await pool.execute("UPDATE held SET ready = false")
            await retry(connection, Which())
        assert await exhausted(connection, Which()) == 0, "the last retry has still to come"


async def test_nothing_is_marked_behind_what_is_not_tried(pool: Pool, province: Province) -> None:
    """Nobody would ever come to it."""
    await fail(pool, province.message(owner("CT-1")))
    first = await pool.fetchval("SELECT id FROM held")
    second = await undecodable(pool, province, owner_updated("CT-1"))
    await handle(pool, province.message(product("SP-1", of="CT-9")))
    waits = await pool.fetchval("SELECT id FROM held WHERE reason = 'waiting'")
    await undecodable(pool, province, product_updated("SP-1", of="CT-9"))
    alone = await undecodable(pool, province, owner("CT-2"))
    bad = Which(class_="undecodable")
    async with pool.acquire() as connection:
        assert await retry(connection, bad) == [alone]
        assert await behind(connection, bad) == [Behind(1, first, "failed"), Behind(1, waits, "waiting")]
        assert await behind_failures(connection) == 0, "failures themselves stand behind it, and are listed"
        assert await retry(connection, Which(row=first)) == [first]
        assert await retry(connection, bad) == [second], "what it stands behind is tried, now"
        assert await behind(connection, bad) == [Behind(1, waits, "waiting")]


async def test_what_does_not_queue_stands_behind_nothing(databases: Databases) -> None:
    topic = "ocop.registry.outcome"
    listener = Listener([topic], _take_all)
    submission = uuid4()
    async with await database.open_pool((await databases.make("gateway")).app) as pool, pool.acquire() as connection:
        said = outcome("applied", submission)
        rows = [HeldRow((topic, submission), "failed", replace(said, offset=n), error=BUG) for n in range(3)]
        await held.write(connection, Changes(added=rows))
        *_, last = [row["id"] for row in await connection.fetch("SELECT id FROM held ORDER BY id")]
        (trial,) = await would_pass(connection, [listener], Which(row=last))
        assert trial.why == ""
        assert await retry(connection, Which(row=last)) == [last]
        assert await under_way(connection) == 1
        assert await behind(connection, Which()) == []


async def _take_all(connection: Connection, messages: Sequence[Message]) -> None:
    pass


async def test_what_is_tried_together_is_marked_together(pool: Pool, province: Province) -> None:
    """Unless what comes first has failed again meanwhile."""
    for day in range(1, 5):
        await fail(pool, province.message(owner_updated("CT-1", on=f"2025-09-0{day}")))
    rows = [row["id"] for row in await pool.fetch("SELECT id FROM held ORDER BY id")]
    async with pool.acquire() as connection:
        assert await retry(connection, Which(class_="KeyError"), limit=2) == rows[:2]
        await pool.execute("UPDATE held SET ready = false WHERE id = $1", rows[0])  # it failed again
        assert await under_way(connection) == 0, "nobody will come to the second"
        assert await retry(connection, Which(class_="KeyError"), after=rows[1]) == []
        assert await retry(connection, Which(class_="KeyError")) == [rows[0], *rows[2:]]
        assert await under_way(connection) == 4


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
