"""What one answer and one page hold is bounded, however much was reported of a thing."""

from datetime import date
from itertools import pairwise
from typing import Any
from uuid import UUID

import httpx2
from national import details, events, folding
from national.timeline import timeline

from contracts.names import Ref, aggregate_id
from ocop.history.events import Event, Reporter, listed, owner_registered, product_registered, recognised, renewed
from servicekit.database import Pool
from tests.national.asking import TODAY, ask
from tests.national.feed import read, said_of

HERE = Reporter("2025-68", "2025-68", "2026-08-05T00:00:00+07:00")
PLACE = {"province": {"catalogue": "2025", "code": "68"}}
PRODUCT = aggregate_id("product", Ref(namespace="2025-68", ref="SP-1"))
BEGINNING = [
    owner_registered(HERE, "CT-1", kind="cooperative", business_name="Hợp tác xã minh họa"),
    product_registered(HERE, "SP-1", "CT-1", name="Gạo ST25", place=PLACE),
]


def offers(many: int) -> list[Event]:
    return [listed(HERE, f"NY-{n:03}", "SP-1", platform="voso", listed_on="2026-01-05") for n in range(many)]


async def test_of_many_listings_the_first_are_told_and_how_many_there_are(pool: Pool, http: httpx2.AsyncClient) -> None:
    await read(pool, said_of([*BEGINNING, *offers(200)]))
    found = await ask(http, f"/v1/products/{PRODUCT}")
    page = (await http.get(f"/san-pham/{PRODUCT}")).text
    assert (len(found["listings"]), found["listings_in_all"]) == (200, 200)
    assert "lần đăng bán" not in page
    await read(pool, said_of([*BEGINNING, *offers(203)])[-3:])
    found = await ask(http, f"/v1/products/{PRODUCT}")
    assert [listing["ref"] for listing in found["listings"]] == [f"NY-{n:03}" for n in range(200)]
    assert {len(listing["days"]) for listing in found["listings"]} == {1}
    assert found["listings_in_all"] == 203
    page = (await http.get(f"/san-pham/{PRODUCT}")).text
    assert "200 trong số 203 lần đăng bán" in page
    assert "NY-199" in page
    assert "NY-200" not in page


async def test_of_many_events_the_latest_are_told_and_how_many_there_are(pool: Pool, http: httpx2.AsyncClient) -> None:
    await read(pool, said_of([*BEGINNING, *offers(198)]))
    found = await ask(http, f"/v1/products/{PRODUCT}")
    assert (len(found["events"]), found["events_in_all"]) == (199, 199), "the owner's is none of the product"
    assert "mới nhất" not in (await http.get(f"/san-pham/{PRODUCT}")).text
    acts = [
        recognised(HERE, "1", "SP-1", "CN-1", stars=3, issued_on="2022-01-05"),
        renewed(HERE, "2", "SP-1", "CN-2", stars=4, issued_on="2025-01-05"),
    ]
    await read(pool, said_of([*BEGINNING, *offers(198), *acts])[-2:])
    found = await ask(http, f"/v1/products/{PRODUCT}")
    assert (len(found["events"]), found["events_in_all"]) == (200, 201)
    told = [event["event_id"] for event in found["events"]]
    assert (told[0], told[-2:]) == ("2025-68-NY-000", ["1", "2"])
    assert "200 sự kiện mới nhất trong số 201" in (await http.get(f"/san-pham/{PRODUCT}")).text


async def test_an_answer_asks_the_database_no_more_often_for_more_listings(pool: Pool) -> None:
    messages, counts = said_of([*BEGINNING, *offers(60)]), []
    for start, end in pairwise((0, 3, 62)):
        await read(pool, messages[start:end])
        asked: list[str] = []
        async with pool.acquire() as connection:
            with connection.query_logger(lambda query, asked=asked: asked.append(query.query)):
                found = await details.product(connection, PRODUCT, TODAY)
        assert found is not None
        assert len(found["listings"]) == end - 2
        counts.append(len(asked))
    assert counts[0] == counts[1]


async def test_each_listing_has_its_own_days(pool: Pool, http: httpx2.AsyncClient) -> None:
    first = listed(HERE, "NY-1", "SP-1", platform="voso", listed_on="2026-01-05")
    second = listed(HERE, "NY-2", "SP-1", platform="voso", listed_on="2026-02")
    await read(pool, said_of([*BEGINNING, first, second]))
    found = await ask(http, f"/v1/products/{PRODUCT}")
    days = [[(d["from"], d["to"]) for d in each["days"]] for each in found["listings"]]
    assert days == [[("2026-01-05", None)], [("2026-02-01", "2026-02-28"), ("2026-02-28", None)]]


def history(many: int) -> list[Event]:
    """A product that was recognised so often, with one listing and an end."""
    years = [date(1900 + 3 * n, 1, 1) for n in range(many)]
    return [
        *BEGINNING,
        recognised(HERE, "a0", "SP-1", "0", stars=3, issued_on=str(years[0]), valid_until=str(years[0].year + 1)),
        *(
            renewed(HERE, f"a{n}", "SP-1", str(n), stars=3, issued_on=str(day), valid_until=str(day.year + 1))
            for n, day in enumerate(years)
            if n
        ),
        *offers(1),
    ]


async def test_of_each_event_only_what_it_stated_is_read(pool: Pool, http: httpx2.AsyncClient) -> None:
    await read(pool, said_of(history(30)))
    told = (await ask(http, f"/v1/products/{PRODUCT}"))["events"]
    ids = [UUID(event["id"]) for event in told]
    async with pool.acquire() as connection:
        stated = await events.stated_by(connection, ids)
        rows = await connection.fetch("SELECT id, payload FROM event")
    whole: dict[UUID, dict[str, Any]] = {row["id"]: row["payload"] for row in rows}
    assert sum(len(data["recognitions"]) for data in stated.values()) == 30
    assert sum(len(data["documents"]) for data in stated.values()) == 2
    assert len(whole[ids[-2]]["recognitions"]) == 30
    typed = [event | {"id": UUID(event["id"])} for event in told]
    assert timeline(typed, stated) == timeline(typed, whole)


async def test_the_page_shows_each_statement(pool: Pool, http: httpx2.AsyncClient) -> None:
    await read(pool, said_of(history(5)))
    page = (await http.get(f"/san-pham/{PRODUCT}")).text
    for words in ("cấp 01/01/1900", "cấp 01/01/1912", "Gạo ST25 · Lâm Đồng", "Voso · từ 05/01/2026"):
        assert words in page


async def test_a_page_after_the_longest_name_can_be_asked_for(pool: Pool, http: httpx2.AsyncClient) -> None:
    """No sign becomes longer in folding than this one, and a name has 200 at most."""
    longest = product_registered(HERE, "SP-2", "CT-1", name="\ufdfa" * 200, place=PLACE)
    after_it = product_registered(HERE, "SP-3", "CT-1", name="中", place=PLACE)
    await read(pool, said_of([*BEGINNING, longest, after_it]))
    following = (await ask(http, "/v1/products?limit=2"))["next"]
    assert len(following) > 8000
    page = await ask(http, f"/v1/products?after={following}")
    assert [product["ref"] for product in page["products"]] == ["SP-3"]


def test_folding_forgets() -> None:
    signs = "".join(map(chr, range(0x4E00, 0x4E00 + folding.MOST_KNOWN + 2000)))
    assert folding.fold(signs + " Gạo") == signs + " gao"
    assert len(folding._FOLDED) <= folding.MOST_KNOWN
