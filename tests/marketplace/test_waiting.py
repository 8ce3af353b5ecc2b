"""Listings and the products that they wait for, which another service tells of. On PostgreSQL, without Kafka."""

import json
from collections.abc import AsyncIterator

import pytest
from marketplace_sync.__main__ import READS

from servicekit import database
from servicekit.database import Pool
from tests.acts import delisted, listed
from tests.engines import Databases
from tests.known import drain, poll, product_told
from tests.submissions import Province, withdrawal

APPLIED, WAITING, BEHIND = ("applied", None), ("waiting", "unknown-product"), ("waiting", "behind-earlier")


@pytest.fixture
async def pool(databases: Databases) -> AsyncIterator[Pool]:
    made = await databases.make("marketplace")
    pool = await database.open_pool(made.app)
    yield pool
    await pool.close()


@pytest.fixture
def province() -> Province:
    return Province()


async def said(pool: Pool) -> list[tuple[str, str, str | None]]:
    """Outcomes so far, in order: (event id, state, code)."""
    rows = await pool.fetch("SELECT payload FROM outbox WHERE topic = 'ocop.marketplace.outcome' ORDER BY id")
    outcomes = [json.loads(row["payload"]) for row in rows]
    return [(outcome["event_id"], outcome["state"], outcome.get("code")) for outcome in outcomes]


async def test_all_listings_of_a_product_wait_for_it_each_with_what_stands_behind(
    pool: Pool, province: Province
) -> None:
    await poll(
        pool,
        READS,
        province.message(listed("NY-1", id_="a")),
        province.message(listed("NY-2", id_="b", platform="shopee")),
        province.message(delisted("NY-1", "2026", id_="end")),
        province.message(listed("NY-3", id_="other", of="SP-2")),
    )
    assert await said(pool) == [("a", *WAITING), ("b", *WAITING), ("end", *BEHIND), ("other", *WAITING)]
    await poll(pool, READS, product_told())
    assert await drain(pool, READS) == 2
    assert sorted((await said(pool))[4:]) == [("a", *APPLIED), ("b", *APPLIED), ("end", *APPLIED)]
    assert await pool.fetchval("SELECT count(*) FROM held") == 1
    types = await pool.fetch("SELECT type FROM event ORDER BY sequence, type")
    assert [row["type"] for row in types] == [
        f"vn.ocop.marketplace.listing.{t}.v1" for t in ("listed", "listed", "delisted")
    ]


async def test_in_one_poll_it_does_not_wait_for_its_product(pool: Pool, province: Province) -> None:
    await poll(pool, READS, province.message(listed(id_="a")), product_told())
    assert await said(pool) == [("a", *APPLIED)]


async def test_an_end_waits_for_nothing(pool: Pool, province: Province) -> None:
    await poll(pool, READS, province.message(delisted(id_="end")))
    assert await said(pool) == [("end", "rejected", "not-listed")]


async def test_a_waiting_one_is_withdrawn(pool: Pool, province: Province) -> None:
    await poll(pool, READS, province.message(listed(id_="a")), province.message(delisted(id_="end")))
    await poll(pool, READS, province.message(withdrawal("a", id_="w")))
    await drain(pool, READS)
    assert (await said(pool))[2:] == [("a", "withdrawn", None), ("w", *APPLIED), ("end", "rejected", "not-listed")]
    assert await pool.fetchval("SELECT count(*) FROM held") == 0


async def test_another_provinces_product(pool: Pool, province: Province) -> None:
    await poll(pool, READS, product_told(tenant="2025-80"))
    await poll(pool, READS, province.message(listed(id_="a")))
    assert await said(pool) == [("a", "rejected", "foreign-reference")]


async def test_a_lost_wake_up_is_found_by_the_sweep(pool: Pool, province: Province) -> None:
    products, deciders = READS
    async with pool.acquire() as one, pool.acquire() as other:
        waiting, making = one.transaction(), other.transaction()
        await waiting.start()
        await making.start()
        await deciders.handle(one, [province.message(listed(id_="a"))])
        await products.handle(other, [product_told()])
        await making.commit()
        await waiting.commit()
    assert await drain(pool, READS) == 0, "the wake-up was not lost, so this test shows nothing"
    async with pool.acquire() as connection:
        assert await deciders.sweep(connection) == 1
    assert await drain(pool, READS) == 1
    assert await said(pool) == [("a", *WAITING), ("a", *APPLIED)]
