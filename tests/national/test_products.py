"""Products, owners and their events, as anybody reads them."""

import asyncio
import csv
import io
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit
from uuid import UUID, uuid4

import httpx2
import pytest
from national.flags import WORDS

from contracts.names import Ref, aggregate_id
from ocop.history.events import Event, Reporter, listed, owner_registered, product_registered, recognised, renewed
from tests.engines import Database
from tests.national.asking import Params, ask, asking
from tests.national.feed import RECEIVED, fill, said_of

OLD = Reporter("2025-68", "2004-67", "2025-06-30T00:00:00+07:00")
NEW = Reporter("2025-68", "2004-67", "2026-08-05T00:00:00+07:00")
IN_67 = {"province": {"catalogue": "2004", "code": "67"}, "place_printed": "huyện Đắk Song"}
IN_68 = {"province": {"catalogue": "2025", "code": "68"}}
ACT = {
    "number": "858/QĐ-UBND",
    "authority_level": "province",
    "authority_province": {"catalogue": "2004", "code": "67"},
}


def then(event: Event, happening: str, **data: Any) -> Event:
    """What happened later to the thing that an event is about."""
    thing = event["type"].split(".")[3]
    type_ = f"vn.ocop.province.{thing}.{happening}.v1"
    named = {thing: event["data"][thing]}
    return event | {"type": type_, "id": f"{event['id']}-{happening}", "time": NEW.time, "data": named | data}


def id_of(kind: str, ref: str) -> str:
    return str(aggregate_id(kind, Ref(namespace="2004-67", ref=ref)))


HOUSEHOLD = owner_registered(OLD, "CT-1", kind="household", business_name="@Lộc Phát", name_is_trade_name=True)
COOPERATIVE = owner_registered(OLD, "CT-2", kind="cooperative", business_name="Hợp tác xã minh họa")
RICE = product_registered(OLD, "SP-1", "CT-1", name="Gạo ST25", place=IN_67)
HISTORY = (
    HOUSEHOLD,
    COOPERATIVE,
    RICE,
    product_registered(NEW, "SP-2", "CT-2", name="Gạo nếp cái hoa vàng", place=IN_68),
    product_registered(NEW, "SP-3", "CT-2", name='=HYPERLINK("x";"Cà phê")', place=IN_68),
    product_registered(NEW, "SP-4", "CT-2", name="Đường thốt nốt, 100%", place=IN_68),
    product_registered(OLD, "SP-5", "CT-1", name="gạo st25", place=IN_67),
    recognised(OLD, "a1", "SP-1", "2022-1", stars=4, issued_on="2022-06-19", valid_until="2025-06-19", act=ACT),
    recognised(OLD, "a2", "SP-2", "2019-1", stars=3, issued_on="2019-05-02"),
    recognised(NEW, "a3", "SP-3", "2026-1", stars=3, group="drink", issued_on="2026", valid_until="2028"),
    then(RICE, "discontinued", discontinued_on="2026-01"),
    then(COOPERATIVE, "closed", closed_on="2026-07-15"),
    renewed(NEW, "a4", "SP-1", "2026-1", stars=3, issued_on="2026-03-02"),
    listed(NEW, "NY-1", "SP-1", platform="other", platform_name="Sàn minh họa", listed_on="2026-05"),
)


@pytest.fixture(scope="module")
def filled(one_database: Database) -> Database:
    """Five products of two owners."""
    asyncio.run(fill(one_database, said_of(HISTORY)))
    return one_database


@pytest.fixture
async def http(filled: Database) -> AsyncIterator[httpx2.AsyncClient]:
    async with asking(filled) as client:
        yield client


async def refs(http: httpx2.AsyncClient, **params: str) -> list[str]:
    """Refs of the products of a list."""
    given: Params = list(params.items())
    return [product["ref"] for product in (await ask(http, "/v1/products", given))["products"]]


# --- lists ---


async def test_products_come_by_name_marks_off_then_by_id(http: httpx2.AsyncClient) -> None:
    same_name = sorted(("SP-1", "SP-5"), key=lambda ref: id_of("product", ref))
    assert await refs(http) == ["SP-4", "SP-2", *same_name, "SP-3"]


@pytest.mark.parametrize(
    ("searched", "found"),
    [
        ("gao st25", {"SP-1", "SP-5"}),
        ("GẠO", {"SP-1", "SP-2", "SP-5"}),
        ("nep gao", {"SP-2"}),
        ("vàn", {"SP-2"}),
        ("duong", {"SP-4"}),
        ("ao", set()),  # words are found from their beginning
        ("gạo 100", set()),
        ("100%", {"SP-4"}),
        ("ca phe", {"SP-3"}),
        ("_ % \\ '", {"SP-1", "SP-2", "SP-3", "SP-4", "SP-5"}),  # nothing to search for
        ("g\x00ao", set()),
        ("Gạo".encode().decode("latin-1"), set()),
    ],
)
async def test_search_without_accents(http: httpx2.AsyncClient, searched: str, found: set[str]) -> None:
    assert set(await refs(http, q=searched)) == found


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({"stars": "3"}, {"SP-1", "SP-3"}),
        ({"stars": "4", "at": "2025-06-19"}, {"SP-1"}),
        ({"group": "drink"}, {"SP-3"}),
        ({"group": "unknown"}, {"SP-1"}),
        ({"owner_kind": "household"}, {"SP-1", "SP-5"}),
        ({"owner_kind": "household,cooperative", "q": "gao"}, {"SP-1", "SP-2", "SP-5"}),
        ({"province": "2004-67"}, {"SP-1", "SP-5"}),
        ({"province": "2025-68"}, {"SP-1", "SP-2", "SP-3", "SP-4", "SP-5"}),
        ({"province": "2025-80"}, set()),
        ({"province": "2025-80,2004-67"}, {"SP-1", "SP-5"}),
        ({"map": "2004", "map_province": "67"}, {"SP-1", "SP-5"}),
        ({"status": "valid"}, {"SP-1", "SP-3"}),
        ({"status": "valid", "at": "2026-08-04"}, {"SP-1"}),
        ({"status": "uncertain", "at": "2026-08-04"}, {"SP-3"}),
        ({"status": "ended"}, {"SP-2"}),
        ({"status": "none"}, {"SP-4", "SP-5"}),
        ({"status": "ended", "at": "2019-05-01"}, set()),
        ({"status": "ended,none", "at": "2025-12-31"}, {"SP-1", "SP-2", "SP-3", "SP-4", "SP-5"}),
        ({"owner": id_of("owner", "CT-2"), "stars": "3"}, {"SP-3"}),
        ({"indicator": "online"}, {"SP-1"}),
        ({"indicator": "online", "platform": "voso"}, set()),
        ({"indicator": "recognitions", "year": "2019"}, {"SP-2"}),
        ({"indicator": "recognitions", "year": "2022,2026"}, {"SP-1", "SP-3"}),
        ({"indicator": "recognitions", "occasion": "renewed"}, {"SP-1"}),
        ({"indicator": "owners"}, {"SP-1", "SP-3"}),
        ({"stars": "", "q": "", "status": ""}, {"SP-1", "SP-2", "SP-3", "SP-4", "SP-5"}),  # an empty form
    ],
    ids=str,
)
async def test_filters(http: httpx2.AsyncClient, filters: dict[str, str], found: set[str]) -> None:
    assert set(await refs(http, **filters)) == found


async def test_pages_follow_each_other_without_hole_or_repeat(http: httpx2.AsyncClient) -> None:
    whole = await refs(http)
    for limit in range(1, 7):
        found: list[str] = []
        after: Params = []
        while True:
            page = await ask(http, "/v1/products", [("limit", str(limit)), *after])
            assert len(page["products"]) <= limit
            found += [product["ref"] for product in page["products"]]
            if page["next"] is None:
                break
            after = [("after", page["next"])]
        assert found == whole


async def test_a_product_of_a_list(http: httpx2.AsyncClient) -> None:
    [product] = (await ask(http, "/v1/products?stars=4&at=2025-06-19"))["products"]
    assert product == {
        "id": id_of("product", "SP-1"),
        "namespace": "2004-67",
        "ref": "SP-1",
        "name": "Gạo ST25",
        "owner": {"id": id_of("owner", "CT-1"), "business_name": "@Lộc Phát", "kind": "household"},
        "place_printed": "huyện Đắk Song",
        "province": {"2004": {"code": "67", "candidates": []}, "2025": {"code": "68", "candidates": []}},
        "status": "valid",
        "stars": "4",
        "stars_certain": True,
        "group": "unknown",
        "group_certain": True,
        "recognition_ref": "2022-1",
        "url": f"/v1/products/{id_of('product', 'SP-1')}",
    }


async def test_a_place_that_a_map_cannot_tell_names_its_candidates(http: httpx2.AsyncClient) -> None:
    [product] = (await ask(http, "/v1/products?q=duong"))["products"]
    assert product["province"]["2004"] == {"code": None, "candidates": ["60", "67", "68"]}


async def test_a_table_of_products_holds_no_formula(http: httpx2.AsyncClient) -> None:
    answer = await http.get("/v1/products.csv?limit=4")
    assert answer.content.startswith(b"\xef\xbb\xbf")
    rows = list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))
    assert [row["name"] for row in rows][:2] == ["Đường thốt nốt, 100%", "Gạo nếp cái hoa vàng"]
    assert {row["owner"] for row in rows} == {"'@Lộc Phát", "Hợp tác xã minh họa"}
    assert (rows[0]["province_2004"], rows[0]["province_2025"]) == ("60 67 68", "68")
    link, _, relation = answer.headers["link"].partition("; ")
    assert relation == 'rel="next"'
    address = urlsplit(link.strip("<>"))
    following: Params = [*parse_qsl(address.query)]
    more = await http.get(address.path, params=following)
    [row] = csv.DictReader(io.StringIO(more.content.decode("utf-8-sig")))
    assert row["name"] == '\'=HYPERLINK("x";"Cà phê")'
    assert "link" not in more.headers
    assert (await http.get("/v1/products.json?q=st25")).json() == (await http.get("/v1/products?q=st25")).json()


async def test_reported_up_to_is_the_latest_day_of_all_that_was_reported(http: httpx2.AsyncClient) -> None:
    assert (await ask(http, "/v1/figures/products"))["reported_up_to"] == {"2004-67": "2026-08-05"}


# --- one product ---


async def test_one_product_with_all_that_stands_behind_it(http: httpx2.AsyncClient) -> None:
    found = await ask(http, f"/v1/products/{id_of('product', 'SP-1')}?at=2025-06-19")
    assert (found["at"], found["name"], found["status"], found["recognition_ref"]) == (
        "2025-06-19",
        "Gạo ST25",
        "valid",
        "2022-1",
    )
    assert [(c["recognition_ref"], c["occasion"], c["stars"], c["issued_on"]) for c in found["certificates"]] == [
        ("2026-1", "renewed", 3, "2026-03-02"),
        ("2022-1", None, 4, "2022-06-19"),
    ]
    newest, oldest = found["certificates"]
    assert oldest["act"]["number"] == "858/QĐ-UBND"
    assert oldest["origin"]["event_id"] == "a1"
    assert newest["days"] == {
        "issued_lo": "2026-03-02",
        "issued_hi": "2026-03-02",
        "ends_lo": "2029-03-03",
        "ends_hi": "2029-03-03",
    }
    assert [(s["from"], s["to"], s["recognition_ref"], s["certain"]) for s in found["standings"]] == [
        ("2022-06-19", "2025-06-20", "2022-1", True),
        ("2026-03-02", "2029-03-03", "2026-1", True),
    ]
    [listing] = found["listings"]
    assert listing["documents"][0]["platform_name"] == "Sàn minh họa"
    assert listing["days"] == [
        {"from": "2026-05-01", "to": "2026-05-31", "certain": False},
        {"from": "2026-05-31", "to": None, "certain": True},
    ]
    assert found["discontinued"]["discontinued_on"] == "2026-01"
    assert [document["from"] for document in found["documents"]] == [None]


async def test_the_events_behind_a_product_name_source_and_receipt(http: httpx2.AsyncClient) -> None:
    found = await ask(http, f"/v1/products/{id_of('product', 'SP-1')}")
    assert [(event["type"].removeprefix("vn.ocop."), event["event_id"]) for event in found["events"]] == [
        ("registry.product.registered.v1", "2004-67-SP-1"),
        ("evaluation.recognition.recognised.v1", "a1"),
        ("registry.product.discontinued.v1", "2004-67-SP-1-discontinued"),
        ("evaluation.recognition.renewed.v1", "a4"),
        ("marketplace.listing.listed.v1", "2004-67-NY-1"),
    ]
    assert {event["source"] for event in found["events"]} == {"/provinces/2025-68/ocop"}
    assert found["events"][0]["received_at"] == (RECEIVED + timedelta(microseconds=3)).isoformat()
    event = await ask(http, found["events"][1]["url"])
    assert event["id"] == found["events"][1]["id"]
    assert event["data"]["recognitions"][0]["act"]["number"] == "858/QĐ-UBND"
    assert UUID(event["submission_id"])


@pytest.mark.parametrize(
    ("ref", "at", "flags"),
    [
        (
            "SP-1",
            "2026-08-06",
            [
                ("predecessor-not-named", "2026-1"),
                ("act-after-discontinuation", "2026-1"),
                ("listed-after-discontinuation", "NY-1"),
            ],
        ),
        ("SP-2", "2026-07-14", []),
        ("SP-2", "2026-07-15", [("owner-closed", None)]),
        ("SP-3", "2026-07-14", [("term-not-36-months", "2026-1")]),
        ("SP-5", "2026-08-06", []),
    ],
)
async def test_what_does_not_fit_together_is_flagged(
    http: httpx2.AsyncClient, ref: str, at: str, flags: list[tuple[str, str | None]]
) -> None:
    found = await ask(http, f"/v1/products/{id_of('product', ref)}?at={at}")
    assert [(flag["code"], flag["about"]) for flag in found["flags"]] == flags
    for flag in found["flags"]:
        assert (flag["message_vi"], flag["message_en"]) == WORDS[flag["code"]]


async def test_every_flag_is_raised_by_something_above(http: httpx2.AsyncClient) -> None:
    raised = set()
    for ref in ("SP-1", "SP-2", "SP-3"):
        found = await ask(http, f"/v1/products/{id_of('product', ref)}")
        raised |= {flag["code"] for flag in found["flags"]}
    assert raised == set(WORDS)


async def test_an_owner_with_its_products_of_the_day_and_its_events(http: httpx2.AsyncClient) -> None:
    found = await ask(http, f"/v1/owners/{id_of('owner', 'CT-2')}")
    assert (found["kind"], found["business_name"]) == ("cooperative", "Hợp tác xã minh họa")
    assert [product["ref"] for product in found["products"]] == ["SP-4", "SP-2", "SP-3"]
    assert found["closed"]["closed_on"] == "2026-07-15"
    assert [event["event_id"] for event in found["events"]] == ["2004-67-CT-2", "2004-67-CT-2-closed"]


# --- events ---


async def test_events_of_a_subject_page_by_page(http: httpx2.AsyncClient) -> None:
    subject = id_of("product", "SP-1")
    whole = (await ask(http, f"/v1/events?subject={subject}"))["events"]
    assert [event["sequence"] for event in whole] == [1, 1, 2, 2]
    found: list[dict[str, Any]] = []
    after: Params = []
    while True:
        page = await ask(http, "/v1/events", [("subject", subject), ("limit", "3"), *after])
        found += page["events"]
        if page["next"] is None:
            break
        after = [("after", page["next"])]
    assert found == whole
    assert (await ask(http, f"/v1/events?subject={uuid4()}")) == {"events": [], "next": None}


async def test_an_event_is_waited_for(filled: Database, http: httpx2.AsyncClient) -> None:
    later = said_of([*HISTORY, listed(NEW, "NY-2", "SP-2", platform="voso")])[-1]
    assert later.envelope is not None
    path = f"/v1/events/{later.envelope.id}"
    assert (await http.get(path)).status_code == 404
    waiting = asyncio.create_task(http.get(path, params={"wait": "20"}))
    done, _ = await asyncio.wait([waiting], timeout=0.3)
    assert not done, "it has not come yet"
    await fill(filled, [later])
    answer = await waiting
    assert (answer.status_code, answer.json()["event_id"]) == (200, "2004-67-NY-2")
    assert (await http.get(path, params={"wait": "30"})).status_code == 200, "what is there is not waited for"


async def test_waiting_ends(http: httpx2.AsyncClient) -> None:
    answer = await http.get(f"/v1/events/{uuid4()}", params={"wait": "1"})
    assert (answer.status_code, answer.json()["code"]) == (404, "no-such-thing")
