"""Recognitions and the products that they wait for, which another service tells of. On PostgreSQL, without Kafka."""

import json
from collections.abc import AsyncIterator

import pytest
from evaluation.__main__ import READS

from servicekit import database
from servicekit.database import Pool
from tests.acts import corrected, recognised, renewed, revoked
from tests.engines import Databases
from tests.known import drain, poll, product_id, product_told
from tests.submissions import Province, withdrawal

APPLIED, WAITING, BEHIND = ("applied", None), ("waiting", "unknown-product"), ("waiting", "behind-earlier")


@pytest.fixture
async def pool(databases: Databases) -> AsyncIterator[Pool]:
    made = await databases.make("evaluation")
    pool = await database.open_pool(made.app)
    yield pool
    await pool.close()


@pytest.fixture
def province() -> Province:
    return Province()


async def said(pool: Pool) -> list[tuple[str, str, str | None]]:
    """Outcomes so far, in order: (event id, state, code)."""
    rows = await pool.fetch("SELECT payload FROM outbox WHERE topic = 'ocop.evaluation.outcome' ORDER BY id")
    outcomes = [json.loads(row["payload"]) for row in rows]
    return [(outcome["event_id"], outcome["state"], outcome.get("code")) for outcome in outcomes]


async def told(pool: Pool) -> list[str]:
    """Domain events so far, in order, of all products."""
    rows = await pool.fetch("SELECT type FROM event ORDER BY recorded_at, subject, sequence")
    return [row["type"].removeprefix("vn.ocop.evaluation.recognition.").removesuffix(".v1") for row in rows]


async def held(pool: Pool) -> int:
    found: int = await pool.fetchval("SELECT count(*) FROM held")
    return found


async def test_it_waits_and_its_products_first_event_wakes_it(pool: Pool, province: Province) -> None:
    await poll(pool, READS, province.message(recognised("1", id_="r")))
    assert await drain(pool, READS) == 0
    await poll(pool, READS, product_told())
    assert await drain(pool, READS) == 1
    assert await said(pool) == [("r", *WAITING), ("r", *APPLIED)]
    assert await held(pool) == 0


async def test_in_one_poll_it_does_not_wait_for_its_product(pool: Pool, province: Province) -> None:
    await poll(pool, READS, province.message(recognised("1", id_="r")), product_told())
    assert await said(pool) == [("r", *APPLIED)]


async def test_a_waiting_one_does_not_stand_in_its_products_way(pool: Pool, province: Province) -> None:
    """It has the product's id for its subject; yet its queue is recognitions', not the topic's that tells of it."""
    await poll(pool, READS, province.message(recognised("1", "2025-06-19", id_="r1")))
    news = province.message(revoked("1", "2026-01-05", id_="r2"))
    await poll(pool, READS, news, product_told(number=1), product_told(number=2))
    assert await pool.fetchval("SELECT applied FROM stream WHERE subject = $1", product_id()) == 2
    assert (await said(pool))[1:] == [("r1", *APPLIED), ("r2", *APPLIED)], "woken and decided in the same transaction"
    assert await told(pool) == ["recognised", "revoked"]
    assert await held(pool) == 0


async def test_what_stands_behind_keeps_its_order_and_others_go_on(pool: Pool, province: Province) -> None:
    await poll(pool, READS, product_told("SP-2"))
    await poll(
        pool,
        READS,
        province.message(recognised("1", "2022-06-19", id_="a1")),
        province.message(renewed("2", "2025-06-19", previous_ref="1", id_="a2")),
        province.message(recognised("1", id_="b", of="SP-2")),
        province.message(corrected("1", "2022-06-20", id_="a3")),
    )
    assert await said(pool) == [("a1", *WAITING), ("a2", *BEHIND), ("b", *APPLIED), ("a3", *BEHIND)]
    await poll(pool, READS, product_told())
    await drain(pool, READS)
    assert (await said(pool))[4:] == [("a1", *APPLIED), ("a2", *APPLIED), ("a3", *APPLIED)]
    state = json.loads(await pool.fetchval("SELECT data::text FROM recognition WHERE id = $1", product_id()))
    assert [(each["recognition_ref"], each["issued_on"]) for each in state["recognitions"]] == [
        ("1", "2022-06-20"),
        ("2", "2025-06-19"),
    ]


async def test_a_waiting_one_is_withdrawn_and_the_next_waits_in_its_place(pool: Pool, province: Province) -> None:
    await poll(pool, READS, province.message(recognised("1", id_="r1")), province.message(recognised("2", id_="r2")))
    await poll(pool, READS, province.message(withdrawal("r1", id_="w")))
    await drain(pool, READS)
    assert (await said(pool))[2:] == [("r1", "withdrawn", None), ("w", *APPLIED), ("r2", *WAITING)]
    await poll(pool, READS, product_told())
    await drain(pool, READS)
    assert (await said(pool))[5:] == [("r2", *APPLIED)]
    assert await held(pool) == 0


@pytest.mark.parametrize("first", ["waits", "makes known"])
async def test_neither_sees_the_other_and_the_sweep_finds_it(pool: Pool, province: Province, first: str) -> None:
    """Both transactions are open at once: the recognition that waits, and its product's event."""
    products, deciders = READS
    async with pool.acquire() as one, pool.acquire() as other:
        waiting, making = one.transaction(), other.transaction()
        await waiting.start()
        await making.start()
        await deciders.handle(one, [province.message(recognised("1", id_="r"))])
        await products.handle(other, [product_told()])
        for transaction in (waiting, making) if first == "waits" else (making, waiting):
            await transaction.commit()
    assert await drain(pool, READS) == 0, "the wake-up was not lost, so this test shows nothing"
    async with pool.acquire() as connection:
        assert await deciders.sweep(connection) == 1
    assert await drain(pool, READS) == 1
    assert await said(pool) == [("r", *WAITING), ("r", *APPLIED)]


async def test_another_provinces_product(pool: Pool, province: Province) -> None:
    await poll(pool, READS, product_told(tenant="2025-80"))
    stray = province.send(recognised("2", id_="stray", of="SP-2")).message(
        ce_tenant="2025-80", ce_source="/provinces/2025-80/test"
    )
    await poll(pool, READS, province.message(recognised("1", id_="r")), stray)
    foreign = ("rejected", "foreign-reference")
    assert await said(pool) == [("r", *foreign), ("stray", *foreign)]
    assert await held(pool) == 0, "it would wait for ever"


async def test_one_that_waits_is_refused_if_the_product_turns_out_to_be_anothers(
    pool: Pool, province: Province
) -> None:
    await poll(pool, READS, province.message(recognised("1", id_="r")))
    await poll(pool, READS, product_told(tenant="2025-80"))
    await drain(pool, READS)
    assert (await said(pool))[1:] == [("r", "rejected", "foreign-reference")]


async def test_a_product_is_known_once_however_much_is_told_of_it(pool: Pool) -> None:
    for number in (1, 2, 3, 2):
        await poll(pool, READS, product_told(number=number))
    rows = await pool.fetch("SELECT id, tenant FROM known_product")
    assert [tuple(row) for row in rows] == [(product_id(), "2025-68")]


async def test_ten_thousand_wait_each_for_its_product(pool: Pool, province: Province) -> None:
    names = [f"SP-{n}" for n in range(10_000)]
    for start in range(0, len(names), 500):
        some = names[start : start + 500]
        await poll(pool, READS, *(province.message(recognised("1", id_=name, of=name)) for name in some))
    assert await held(pool) == 10_000
    for start in range(0, len(names), 500):
        await poll(pool, READS, *(product_told(name) for name in names[start : start + 500]))
        assert await drain(pool, READS) == 500, "woken: the sweep was not needed"
    assert await pool.fetchval("SELECT count(*) FROM recognition") == 10_000
    assert await held(pool) == 0
