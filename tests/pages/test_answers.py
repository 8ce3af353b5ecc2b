"""Pages as answers: their size, what they lead to, and what hostile requests get."""

import hashlib
import random
import re
import string
from pathlib import Path
from urllib.parse import quote, urlsplit

import httpx2
import national
import pytest

from tests.pages import situations

STATIC = Path(national.__file__).parent / "static"
MOST_BYTES = 60_000
PAGES = [
    ("full", "/?at=2025-03-14"),
    ("full", "/?at=2026-08-05&map=2004"),
    ("empty", "/"),
    ("everywhere", "/?map=2004"),
    ("everywhere", "/"),
    ("full", "/san-pham?at=2025-03-14"),
    ("full", "/san-pham?at=2025-03-14&limit=50&stars=3,4,5,unknown&q=san&province=2025-80,2004-72"),
    ("full", f"/san-pham/{situations.id_of('MAM')}"),
    ("full", f"/san-pham/{situations.id_of('SUA')}"),
    ("full", f"/san-pham/{situations.id_of('LA')}"),
    ("full", "/khong-co"),
    ("full", "/?at=2026-02-30&map=x&sterne=1"),
    ("away", "/"),
    ("broken", "/"),
]
# What makes a browser fetch something, in a page or a style sheet.
RESOURCES = re.compile(r"""<(?:link|img|script|use|iframe|source)\b[^>]*?(?:href|src)="([^"]*)"|url\(([^)]*)\)""")


def ask(site: str, path: str) -> httpx2.Response:
    return httpx2.get(site + path, timeout=30)


@pytest.mark.parametrize(("site", "path"), PAGES)
def test_a_page_is_small_and_needs_nothing_from_elsewhere(sites: dict[str, str], site: str, path: str) -> None:
    page = ask(sites[site], path)
    assert len(page.content) <= MOST_BYTES
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["content-security-policy"].startswith("default-src 'self';")
    assert '<html lang="vi">' in page.text
    assert "<script" not in page.text
    assert "style=" not in page.text
    for found in RESOURCES.finditer(page.text):
        assert (found[1] or found[2]).startswith(("/static/", "#")), found[0]


def test_the_font_is_the_one_that_was_taken() -> None:
    lines = (STATIC / "font" / "SHA256SUMS").read_text().splitlines()
    listed = {name: digest for digest, name in (line.split("  ") for line in lines)}
    files = {path.name: path for path in (STATIC / "font").iterdir() if path.name != "SHA256SUMS"}
    assert files.keys() == listed.keys()
    assert "SIL OPEN FONT LICENSE" in files["LICENSE"].read_text()
    for name, path in files.items():
        assert hashlib.sha256(path.read_bytes()).hexdigest() == listed[name], name


def test_the_style_sheet_asks_for_files_that_are_there(sites: dict[str, str]) -> None:
    styles = ask(sites["full"], "/static/pages.css").text
    asked = {found[2] for found in RESOURCES.finditer(styles)}
    assert {f"font/{path.name}" for path in (STATIC / "font").glob("*.woff2")} == asked
    for name in asked:
        assert ask(sites["full"], f"/static/{name}").status_code == 200


@pytest.mark.parametrize(
    ("site", "path", "status", "words"),
    [
        ("full", "/khong-co", 404, "Không tìm thấy trang này"),
        ("full", "/san-pham/0b6c1f9e-8f0f-5d1c-9f5b-3f3c7f0d9a11", 404, "Không tìm thấy trang này"),
        ("full", "/san-pham/abc", 404, "Không tìm thấy trang này"),
        ("full", "/?at=2026-02-30", 422, "Ngày (at)"),
        ("full", "/?at=2026-02-30", 422, "Ngày không có thật hoặc không đúng dạng"),
        ("full", "/?map=2024", 422, "Giá trị không nằm trong danh sách cho phép: 2004, 2025."),
        ("full", "/?stars=3", 422, "Ở đây không có tham số này"),
        ("full", "/san-pham?province=80", 422, "Tỉnh, thành phố (province)"),
        ("full", "/san-pham?year=2024", 422, "Năm công nhận (year)"),
        ("full", "/san-pham?limit=200", 422, "1-50"),
        ("full", "/san-pham?after=x", 422, "Trang (after)"),
        ("full", "/san-pham?after=x", 422, "không phải là vị trí trang"),
        ("full", "/san-pham?q=" + "a" * 201, 422, "Tên sản phẩm (q)"),
        ("away", "/", 503, "Tạm thời chưa xem được"),
        ("away", "/san-pham", 503, "Tạm thời chưa xem được"),
        ("broken", "/", 500, "Hệ thống gặp lỗi"),
    ],
)
def test_an_error_is_a_page_that_says_what_it_is(
    sites: dict[str, str], site: str, path: str, status: int, words: str
) -> None:
    page = ask(sites[site], path)
    assert page.status_code == status
    assert words in page.text
    assert "Về trang tổng quan" in page.text


def test_a_page_that_cannot_be_written_to_says_so(sites: dict[str, str]) -> None:
    page = httpx2.post(sites["full"] + "/san-pham", timeout=30)
    assert page.status_code == 405
    assert "Trang này chỉ để xem" in page.text


def test_programs_get_problems_still(sites: dict[str, str]) -> None:
    for path in ("/v1/products/abc", "/v1/nothing", "/health/nothing"):
        assert ask(sites["full"], path).headers["content-type"] == "application/problem+json"


HOSTILE = [
    "/?at=%00",
    "/?at=" + "9" * 5000,
    "/?%00=%00",
    "/?a%2Fb~%00<script>=1",
    "/?at=2026-01-01&at=2026-01-01",
    "/?map[]=2004",
    "/san-pham?q=%00%ED%A0%80%FF",
    "/san-pham?q=%25_%27%22;--",
    "/san-pham?q=%F0%9F%8D%9A",
    "/san-pham?limit=0",
    "/san-pham?limit=-1",
    "/san-pham?owner=me",
    "/san-pham?after=%E2%82%AC",
    "/san-pham?indicator=owners&platform=voso",
    "/san-pham?map_province=99",
    "/san-pham?province=2025-80,2004-99",
    "/san-pham/%00",
    "/san-pham/..%2F..%2Fetc%2Fpasswd",
    "/san-pham/" + "a" * 5000,
    "/static/..%2Fpages.py",
    "/static/",
    "/san-pham/",
]


@pytest.mark.parametrize("path", HOSTILE)
def test_a_hostile_request_is_answered(sites: dict[str, str], path: str) -> None:
    page = ask(sites["full"], path)
    assert page.status_code in (200, 307, 404, 422)
    assert "<script" not in page.text


def test_whatever_a_query_says_is_answered(sites: dict[str, str]) -> None:
    chance = random.Random(7)  # noqa: S311  # the same requests in every run
    names = (
        "at",
        "map",
        "q",
        "province",
        "map_province",
        "stars",
        "group",
        "status",
        "indicator",
        "after",
        "owner",
        "x",
    )
    values = ("", "2026-08-05", "2004", "2025-80", "4", "food", "valid", "products", "€", "\0", "' OR 1=1", "<b>", "-1")
    with httpx2.Client(base_url=sites["full"], timeout=30) as http:
        for _ in range(150):
            pairs = [
                (chance.choice(names), chance.choice((*values, "".join(chance.choices(string.printable, k=9)))))
                for _ in range(chance.randint(0, 4))
            ]
            query = "&".join(f"{name}={quote(value)}" for name, value in pairs)
            page = http.get(f"{chance.choice(('/', '/san-pham'))}?{query}")
            assert page.status_code in (200, 422), query


def test_a_hostile_name_is_only_a_name(sites: dict[str, str]) -> None:
    for path in ("/san-pham?q=script", f"/san-pham/{situations.id_of('LA')}"):
        page = ask(sites["full"], path).text
        assert "&lt;script&gt;alert(&#39;a&#39;)&lt;/script&gt; &#34;b&#34; &amp; &#39;c&#39; {{ 7 * 7 }}" in page


def test_every_link_of_a_page_leads_somewhere(sites: dict[str, str]) -> None:
    seen: set[str] = set()
    for path in ("/?at=2026-08-05&map=2004", "/san-pham?at=2026-08-05&stars=4", f"/san-pham/{situations.id_of('MAM')}"):
        for link in re.findall(r'<a [^>]*?href="(/[^"]*)"', ask(sites["full"], path).text):
            seen.add(link.replace("&amp;", "&"))
    assert len(seen) > 60
    with httpx2.Client(base_url=sites["full"], timeout=30) as http:
        for link in seen:
            assert http.get(link).status_code == 200, link


def test_a_number_is_as_long_as_its_list(sites: dict[str, str]) -> None:
    overview = ask(sites["full"], "/?at=2026-08-05&map=2004").text
    found = re.findall(r'<a href="(/san-pham\?[^"]*)">([0-9.]+)</a>', overview)
    assert len(found) > 20
    counted = 0
    for link, number in found:
        parts = urlsplit(link.replace("&amp;", "&"))
        if "indicator=owners" in parts.query or int(number.replace(".", "")) > 200:
            continue
        products = ask(sites["full"], f"/v1/products?{parts.query}&limit=200").json()["products"]
        assert len(products) == int(number)
        counted += 1
    assert counted > 12
