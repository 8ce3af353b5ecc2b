"""Pages in Chromium, wide and narrow: what axe finds, what overflows, and whether people get where they want to."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, Request, expect

from tests.pages import situations
from tests.pages.test_answers import PAGES

WIDE, NARROW = 1366, 390
# WCAG 2.2, levels A and AA, and what axe counts as good practice besides.
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
FOUND = re.compile("Nước mắm")


@contextmanager
def looking(browser: Browser, site: str, path: str, width: int = WIDE, *, scripts: bool = True) -> Iterator[Page]:
    """A page, seen; whatever it fetches must be the site's own and be there, and nothing may complain."""
    context = browser.new_context(viewport={"width": width, "height": 900}, java_script_enabled=scripts, locale="vi-VN")
    page = context.new_page()
    fetched: list[Request] = []
    complaints: list[str] = []
    page.on("request", lambda request: fetched.append(request))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda said: complaints.append(said.text) if "Failed to load" not in said.text else None)
    page.goto(site + path)
    yield page
    assert complaints == []
    for request in fetched:
        assert request.url.startswith(site + "/"), request.url
        answer = request.response()
        assert answer is not None, request.url
        assert answer.ok or request.is_navigation_request(), request.url
    context.close()


@pytest.mark.parametrize("width", [WIDE, NARROW])
@pytest.mark.parametrize(("site", "path"), PAGES)
def test_a_page_is_for_everybody(browser: Browser, sites: dict[str, str], site: str, path: str, width: int) -> None:
    with looking(browser, sites[site], path, width) as page:
        for closed in page.locator("details:not([open]) summary").all():
            closed.click()
        found = Axe().run(page, options=RULES)
        assert found.violations_count == 0, found.generate_report()
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate("[...document.fonts].some(font => font.family == 'Pro' && font.status == 'loaded')")


def test_axe_sees_what_is_broken(browser: Browser, sites: dict[str, str]) -> None:
    with looking(browser, sites["full"], "/") as page:
        page.evaluate("document.documentElement.removeAttribute('lang')")
        page.evaluate("document.querySelector('label[for=at]').remove()")
        page.evaluate(
            """const pale = new CSSStyleSheet();
               pale.replaceSync(".lead { color: #bbb }");
               document.adoptedStyleSheets = [pale];"""
        )
        found = {each["id"] for each in Axe().run(page, options=RULES).response["violations"]}
        assert found == {"html-has-lang", "label", "color-contrast"}


def test_a_name_is_found_without_its_marks(browser: Browser, sites: dict[str, str]) -> None:
    with looking(browser, sites["full"], "/san-pham", scripts=False) as page:
        page.get_by_label("Tên sản phẩm").fill("nuoc mam")
        page.get_by_role("button", name="Tìm").click()
        expect(page.get_by_role("link", name=situations.FISH_SAUCE)).to_be_visible()
        rows = page.locator(".products tbody tr, .products tr:has(th[scope=row])")
        names = rows.locator("th a").all_inner_texts()
        assert names
        assert [name for name in names if not FOUND.match(name)] == []


def test_from_a_number_to_the_event_behind_it(browser: Browser, sites: dict[str, str]) -> None:
    with looking(browser, sites["full"], "/?at=2026-08-05", scripts=False) as page:
        row = page.locator(".provinces tr", has=page.get_by_role("rowheader", name="Lâm Đồng"))
        number = row.get_by_role("link").first
        counted = int(number.inner_text())
        number.click()
        expect(page.locator(".lead")).to_contain_text(f"{counted} sản phẩm từ 3 sao trở lên ngày 05/08/2026")
        products = page.locator(".products th[scope=row] a")
        expect(products).to_have_count(counted)
        products.first.click()
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        event = page.locator(".timeline li").first.get_by_role("link", name="Xem sự kiện")
        id_ = event.locator("code").inner_text()
        event.click()
        assert page.url == f"{sites['full']}/v1/events/{id_}"
        expect(page.locator("body")).to_contain_text(id_)


def test_a_day_and_a_map_are_asked_for(browser: Browser, sites: dict[str, str]) -> None:
    with looking(browser, sites["full"], "/", scripts=False) as page:
        page.get_by_label("Ngày").fill("2025-03-14")
        page.get_by_text("63 tỉnh, thành phố").first.click()
        page.get_by_role("button", name="Xem").click()
        assert page.url.endswith("/?at=2025-03-14&map=2004")
        expect(page.locator(".lead")).to_have_text(
            "Số liệu ngày 14/03/2025 theo bản đồ 63 tỉnh, thành phố (đến 30/06/2025)."
        )
        expect(page.locator(".provinces th[scope=row]")).to_have_count(64)  # and what the map cannot place
        expect(page.locator(".provinces .unplaced")).to_contain_text("Bình Thuận hoặc Đắk Nông hoặc Lâm Đồng")


def test_silence_is_not_a_zero(browser: Browser, sites: dict[str, str]) -> None:
    with looking(browser, sites["empty"], "/") as page:
        expect(page.locator(".notice")).to_contain_text("Chưa có số liệu.")
        expect(page.locator(".silent")).to_have_count(34)
        expect(page.locator(".figures")).to_have_count(0)
    with looking(browser, sites["full"], "/?at=2025-03-14") as page:
        expect(page.locator(".silent", has_text="Hà Nội")).to_contain_text("chưa có số liệu")
        expect(page.locator(".provinces tr", has_text="Đồng Tháp").last).to_contain_text("chưa có Tiền Giang cũ")
    with looking(browser, sites["everywhere"], "/") as page:
        expect(page.locator(".notice")).to_contain_text("Số liệu có thể còn thiếu.")


def test_what_was_corrected_is_struck_and_stays(browser: Browser, sites: dict[str, str]) -> None:
    with looking(browser, sites["full"], f"/san-pham/{situations.id_of('SUA')}") as page:
        struck = page.locator(".timeline li", has=page.locator("s"))
        expect(struck).to_have_count(1)
        expect(struck.locator("s")).to_have_text("5 sao · cấp 20/11/2024 · Thực phẩm")
        expect(page.locator(".paper")).to_contain_text("02/11/2024")
        struck.get_by_role("link", name="đã được thay").click()
        expect(page.locator(".timeline li:target")).to_contain_text("Đính chính công nhận")
    with looking(browser, sites["full"], f"/san-pham/{situations.id_of('HUY')}") as page:
        expect(page.locator(".paper.void")).to_contain_text("Chưa từng được cấp")
        expect(page.locator(".paper.void s")).to_have_count(2)


def test_what_a_product_is_on_a_day(browser: Browser, sites: dict[str, str]) -> None:
    with looking(browser, sites["full"], f"/san-pham/{situations.id_of('MAM')}", scripts=False) as page:
        expect(page.locator(".state")).to_contain_text("Còn hiệu lực")
        expect(page.locator(".state")).to_contain_text("4 sao")
        expect(page.locator("aside")).to_contain_text("Bình Thuận")
        expect(page.locator(".flags")).to_contain_text("Thời hạn ghi trên giấy khác 36 tháng")
        expect(page.locator(".listings")).to_contain_text("15/04/2025 (sàn đóng cửa)")
        expect(page.get_by_role("link", name="Voso")).to_have_attribute("rel", re.compile("noopener"))
        page.get_by_label("Xem vào ngày khác").fill("2025-07-20")
        page.get_by_role("button", name="Xem").click()
        expect(page.locator(".state")).to_contain_text("Chưa chắc chắn ngày 20/07/2025")
        expect(page.locator(".paper").nth(1)).to_contain_text("Có thể còn hiệu lực, chưa chắc chắn")
        expect(page.locator(".paper").nth(1)).to_contain_text("trong khoảng 01/07/2022 \u2013 31/07/2022")
    with looking(browser, sites["full"], f"/san-pham/{situations.id_of('THU')}") as page:
        expect(page.locator(".paper")).to_contain_text("Đã bị thu hồi")
        expect(page.locator(".paper")).to_contain_text("Điều 8 khoản 1 điểm đ")


def test_page_after_page(browser: Browser, sites: dict[str, str]) -> None:
    with looking(browser, sites["full"], "/san-pham?at=2026-08-05&q=san+pham&stars=4", scripts=False) as page:
        seen: list[str] = []
        for _ in range(9):
            seen += [str(link.get_attribute("href")) for link in page.locator(".products th[scope=row] a").all()]
            following = page.get_by_role("link", name="sản phẩm tiếp theo")
            if not following.count():
                break
            following.click()
        assert len(seen) == len(set(seen)) > 50
        page.get_by_role("link", name="Về trang đầu").click()
        expect(page.locator(".products th[scope=row] a").first).to_have_attribute("href", seen[0])


def test_a_filter_is_taken_off(browser: Browser, sites: dict[str, str]) -> None:
    path = "/san-pham?at=2025-03-14&province=2025-80&stars=4&stars=5&group=food&indicator=products"
    with looking(browser, sites["full"], path, scripts=False) as page:
        expect(page.locator(".chips li")).to_have_count(6)
        page.get_by_role("link", name="Hạng sao: 5 sao").click()
        assert page.url.endswith("/san-pham?at=2025-03-14&province=2025-80&stars=4&group=food&indicator=products")
        expect(page.get_by_label("4 sao")).to_be_checked()
        expect(page.get_by_label("5 sao")).not_to_be_checked()
        page.get_by_role("button", name="Tìm").click()
        assert {"indicator=products", "stars=4", "province=2025-80"} <= set(page.url.split("?")[1].split("&"))
        page.get_by_role("link", name="Bỏ tất cả").click()
        assert page.url.endswith("/san-pham?at=2025-03-14")


def test_by_keyboard_past_the_head(browser: Browser, sites: dict[str, str]) -> None:
    with looking(browser, sites["full"], "/") as page:
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="Đến nội dung chính")).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.locator("main")).to_be_focused()
