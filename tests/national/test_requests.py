"""Requests that anybody may send: each is answered, and none with an accident."""

import base64
import random
import string

import httpx2
import pytest
from national import api, query
from national.query import DIMENSIONS

from servicekit import database
from tests.engines import Database
from tests.national.asking import TODAY, Params, ask, asking

ID = "0b6c1f9e-8f0f-5d1c-9f5b-3f3c7f0d9a11"


def cursor(text: str) -> str:
    """A cursor that says this."""
    return base64.urlsafe_b64encode(text.encode()).decode()


REFUSED: list[tuple[str, str, str]] = [
    # path and query, code, pointer
    ("/v1/figures/products?at=2026-02-30", "bad-date", "/at"),
    ("/v1/figures/products?at=26-02-03", "bad-date", "/at"),
    ("/v1/figures/products?at=9999-12-31", "bad-date", "/at"),
    ("/v1/figures/products?at=%00", "bad-date", "/at"),
    ("/v1/figures/products?at=2026-01-01&at=2026-01-02", "duplicate-key", "/at"),
    ("/v1/figures/products?map=2024", "bad-value", "/map"),
    ("/v1/figures/products?map=2004&map=2004", "duplicate-key", "/map"),
    ("/v1/figures/products?by=colour", "bad-value", "/by/0"),
    ("/v1/figures/products?by=stars,colour", "bad-value", "/by/1"),
    ("/v1/figures/products?by=year", "bad-value", "/by"),
    ("/v1/figures/owners?by=platform", "bad-value", "/by"),
    ("/v1/figures/online?by=occasion", "bad-value", "/by"),
    ("/v1/figures/products?year=2024", "unknown-parameter", "/year"),
    ("/v1/figures/online?occasion=first", "unknown-parameter", "/occasion"),
    ("/v1/figures/recognitions?platform=voso", "unknown-parameter", "/platform"),
    ("/v1/figures/recognitions?year=1999", "bad-pattern", "/year/0"),
    ("/v1/figures/recognitions?year=20240", "bad-pattern", "/year/0"),
    ("/v1/figures/recognitions?year=%D9%A2%D9%A0%D9%A2%D9%A4", "bad-pattern", "/year/0"),
    ("/v1/figures/products?province=80", "bad-pattern", "/province/0"),
    ("/v1/figures/products?province=2025-81", "unknown-unit", "/province/0"),
    ("/v1/figures/products?province=2025-80,2004-99", "unknown-unit", "/province/1"),
    ("/v1/figures/products?province=2025-80%00", "bad-pattern", "/province/0"),
    ("/v1/figures/products?map_province=2025-80", "bad-pattern", "/map_province/0"),
    ("/v1/figures/products?stars=6", "bad-value", "/stars/0"),
    ("/v1/figures/products?stars=3&stars=four", "bad-value", "/stars/1"),
    ("/v1/figures/products?group=coffee", "bad-value", "/group/0"),
    ("/v1/figures/products?owner_kind=person", "bad-value", "/owner_kind/0"),
    ("/v1/figures/products?sterne=4", "unknown-parameter", "/sterne"),
    ("/v1/figures/products?a%2Fb~%00=4", "unknown-parameter", "/a~1b~0\0"),
    ("/v1/figures/products.csv?stars=6", "bad-value", "/stars/0"),
    ("/v1/products?limit=0", "bad-value", "/limit"),
    ("/v1/products?limit=201", "bad-value", "/limit"),
    ("/v1/products?limit=-1", "bad-value", "/limit"),
    ("/v1/products?limit=1e9", "bad-value", "/limit"),
    ("/v1/products?limit=" + "9" * 5000, "bad-value", "/limit"),
    ("/v1/products?q=" + "a" * 201, "too-long", "/q"),
    ("/v1/products?status=good", "bad-value", "/status/0"),
    ("/v1/products?indicator=sales", "bad-value", "/indicator"),
    ("/v1/products?owner=me", "wrong-type", "/owner"),
    ("/v1/products?year=2024", "unknown-parameter", "/year"),
    ("/v1/products?indicator=online&year=2024", "unknown-parameter", "/year"),
    ("/v1/products?after=x", "bad-cursor", "/after"),
    ("/v1/products?after=%E2%82%AC", "bad-cursor", "/after"),
    (f"/v1/products?after={cursor(ID)}", "bad-cursor", "/after"),
    ("/v1/products?after=" + cursor("g\0ao|" + ID), "bad-cursor", "/after"),
    ("/v1/products?after=" + cursor("gao " * 1700 + "gao|" + ID), "bad-cursor", "/after"),
    ("/v1/products?by=stars", "unknown-parameter", "/by"),
    (f"/v1/products/{ID}?at=x", "bad-date", "/at"),
    ("/v1/products/SP-1", "wrong-type", ""),
    ("/v1/products/%00", "wrong-type", ""),
    ("/v1/owners/%F0%9F%8C%BE", "wrong-type", ""),
    ("/v1/owners/1?map=2004", "unknown-parameter", "/map"),
    ("/v1/events/1", "wrong-type", ""),
    (f"/v1/events/{ID}?wait=31", "bad-value", "/wait"),
    (f"/v1/events/{ID}?wait=-1", "bad-value", "/wait"),
    (f"/v1/events/{ID}?wait=nan", "bad-value", "/wait"),
    (f"/v1/events/{ID}?wait=1&wait=2", "duplicate-key", "/wait"),
    ("/v1/events", "missing-field", "/subject"),
    ("/v1/events?subject=", "missing-field", "/subject"),
    ("/v1/events?subject=SP-1", "wrong-type", "/subject"),
    (f"/v1/events?subject={ID}&after=!!", "bad-cursor", "/after"),
    (f"/v1/events?subject={ID}&after={cursor(f'2026-08-05T00:00:00|{ID}')}", "bad-cursor", "/after"),
    (f"/v1/events?subject={ID}&after={cursor(f'9999-12-31T23:00:00-23:00|{ID}')}", "bad-cursor", "/after"),
]


@pytest.mark.parametrize(("path", "code", "pointer"), REFUSED, ids=lambda text: text[:60])
async def test_what_is_not_understood_is_refused_in_both_languages(
    http: httpx2.AsyncClient, path: str, code: str, pointer: str
) -> None:
    answer = await http.get(path)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    found = answer.json()
    assert (found["status"], found["code"], found["pointer"]) == (422, code, pointer)
    assert found["errors"][0]["code"] == code
    assert found["message_vi"] and found["message_en"] and found["help"]["vi"] and found["help"]["en"]
    assert "…" not in found["message_vi"], "a place of the words is not filled"


async def test_all_that_is_wrong_is_said_at_once_up_to_a_limit(http: httpx2.AsyncClient) -> None:
    found = (await http.get("/v1/figures/products?at=x&map=1&stars=9&colour=red")).json()
    assert {error["pointer"] for error in found["errors"]} == {"/at", "/map", "/stars/0", "/colour"}
    many = (await http.get("/v1/figures/products?stars=" + ",".join(map(str, range(100, 1100))))).json()
    assert len(many["errors"]) == 20


@pytest.mark.parametrize(
    "path",
    [
        f"/v1/products/{ID}",
        f"/v1/owners/{ID}",
        f"/v1/events/{ID}",
        "/v1/figures/sales",
        "/v1/figures/products.xml",
        "/v1/figures/products%00",
        "/v1/figures/products.csv.csv",
        "/v1/figures/",
        "/v1/nothing",
        "/v1/figures",
    ],
)
async def test_what_is_not_there_is_not_found(http: httpx2.AsyncClient, path: str) -> None:
    answer = await http.get(path)
    assert (answer.status_code, answer.json()["code"]) == (404, "no-such-thing")
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    "range_", ["bytes=abc", "bytes=99999999-", "bytes=0-0,2-2", "bytes=5-1", "lines=1-2", "bytes=0-9"]
)
@pytest.mark.parametrize("path", ["/static/pages.css", "/docs/static/swagger-ui.css"])
async def test_a_file_is_answered_whole_whatever_part_is_asked_for(
    http: httpx2.AsyncClient, path: str, range_: str
) -> None:
    whole = await http.get(path)
    answer = await http.get(path, headers={"Range": range_})
    assert (answer.status_code, answer.content) == (200, whole.content)
    assert answer.headers["content-type"].startswith("text/css")
    unchanged = {"Range": range_, "If-None-Match": whole.headers["etag"]}
    assert (await http.get(path, headers=unchanged)).status_code == 304


async def test_nothing_can_be_written(http: httpx2.AsyncClient) -> None:
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        answer = await http.request(method, "/v1/products")
        assert (answer.status_code, answer.json()["code"]) == (405, "no-such-thing")


async def test_no_request_is_an_accident(http: httpx2.AsyncClient) -> None:
    chance = random.Random(68)  # noqa: S311  # not a secret
    names = [*query.FigureQuery.model_fields, *query.ProductQuery.model_fields, "wait", "subject", "x", ""]
    values = [
        "",
        "4",
        "2025-80",
        "2025-02-29",
        "first",
        "\0",
        "'",
        "-1",
        "1e400",
        "%",
        "💥",
        "\u202e",
        "9" * 400,
        "a,b,,",
        "{}",
    ]
    paths = [*(f"/v1/figures/{each}" for each in DIMENSIONS), "/v1/products", "/v1/products.csv", f"/v1/products/{ID}"]
    paths += [f"/v1/owners/{ID}", f"/v1/events/{ID}", "/v1/events"]
    for _ in range(400):
        asked: Params = []
        for _ in range(chance.randrange(4)):
            noise = "".join(chance.choices(string.printable + "đĐ\u0301\ud7ff\uffff", k=chance.randrange(12)))
            asked.append((chance.choice(names), chance.choice([*values, noise])))
        answer = await http.get(chance.choice(paths), params=[pair for pair in asked if pair[0] != "wait"])
        assert answer.status_code in (200, 404, 422), (answer.url, answer.text)


async def test_an_empty_database_answers_with_nothing(http: httpx2.AsyncClient) -> None:
    for indicator in DIMENSIONS:
        found = await ask(http, f"/v1/figures/{indicator}?by=province,stars&map=2004&province=2025-68")
        assert (found["count"], found["cells"], found["not_attributable"], found["reported_up_to"]) == (0, [], [], {})
        assert found["share"] == ({"numerator": 0, "denominator": 0} if indicator == "online" else None)
    assert (await ask(http, "/v1/products")) == {"at": "2026-08-06", "products": [], "next": None}


async def test_a_database_that_is_away_is_said_to_be_so(national: Database) -> None:
    nowhere = national.http.rpartition("/")[0].rpartition(":")[0] + ":1/away"
    pool = await database.open_pool(nowhere)
    transport = httpx2.ASGITransport(app=api.build(pool, today=lambda: TODAY))
    async with httpx2.AsyncClient(transport=transport, base_url="http://national") as http:
        answer = await http.get("/v1/figures/products")
    await pool.close()
    assert (answer.status_code, answer.json()["code"]) == (503, "busy")
    assert answer.headers["retry-after"] == "5"


@pytest.mark.parametrize(
    ("path", "kind"), [("/v1/products", "application/problem+json"), ("/san-pham", "text/html; charset=utf-8")]
)
async def test_an_address_is_answered_so_often_and_its_pages_keep_their_form(
    national: Database, path: str, kind: str
) -> None:
    async with asking(national, address_requests_s=1) as http:
        answers = [await http.get(path) for _ in range(11)]
        assert [answer.status_code for answer in answers] == [200] * 10 + [429]
        assert answers[-1].headers["content-type"] == kind
        assert 1 <= int(answers[-1].headers["retry-after"]) <= 10
        assert (await http.get("/static/pages.css")).status_code == 200, "the page that says so looks as the others do"


async def test_the_description_names_every_parameter_and_needs_nothing_from_outside(http: httpx2.AsyncClient) -> None:
    described = await ask(http, "/openapi.json")
    assert {
        path: {parameter["name"] for parameter in route["get"]["parameters"] if parameter["in"] == "query"}
        for path, route in described["paths"].items()
    } == {
        "/v1/figures/{indicator}": set(query.FigureQuery.model_fields),
        "/v1/products": set(query.ProductQuery.model_fields),
        "/v1/products/{product_id}": {"at"},
        "/v1/owners/{owner_id}": {"at"},
        "/v1/events/{event_id}": {"wait"},
        "/v1/events": set(query.EventsQuery.model_fields),
    }
    page = await http.get("/docs")
    assert page.status_code == 200
    assert "https://" not in page.text
    assert (await http.get("/docs/static/swagger-ui-bundle.js")).status_code == 200
