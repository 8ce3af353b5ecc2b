"""Rules that need the document alone, case by case."""

from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from contracts.evaluation import RecognitionRecognised
from contracts.marketplace import ListingListed
from contracts.problems import problems_of
from contracts.registry import COMPANY_LIKE, PERSON_LIKE, OwnerRegistered

REF = {"namespace": "2004-67", "ref": "A-1"}


def reasons(model: type[BaseModel], **fields: Any) -> list[tuple[str, str]]:
    try:
        model.model_validate(fields)
    except ValidationError as error:
        return [(problem.code, problem.pointer) for problem in problems_of(error)]
    return []


def owner(**fields: Any) -> list[tuple[str, str]]:
    return reasons(OwnerRegistered, owner=REF, **fields)


@pytest.mark.parametrize("kind", COMPANY_LIKE)
def test_companies_are_named(kind: str) -> None:
    assert owner(kind=kind) == [("missing-field", "/business_name")]
    assert owner(kind=kind, business_name="HTX Ví Dụ", tax_code="0300000000") == []
    assert owner(kind=kind, business_name="HTX Ví Dụ", name_is_trade_name=False) == []


@pytest.mark.parametrize("kind", [*PERSON_LIKE, None])
def test_those_who_could_be_persons_are_named_by_trade_names_only(kind: str | None) -> None:
    assert owner(kind=kind) == []
    assert owner(kind=kind, business_name="Ví Dụ", name_is_trade_name=True) == []
    for said in ({}, {"name_is_trade_name": False}, {"name_is_trade_name": None}):
        assert owner(kind=kind, business_name="Ví Dụ", **said) == [("not-a-trade-name", "/name_is_trade_name")]
    assert owner(kind=kind, tax_code="0300000000") == [("tax-code-of-person", "/tax_code")]


@pytest.mark.parametrize("code", ["030000000", "03000000000", "0300000000-01", "0300000000-0011", "0300000000 "])
def test_what_is_no_tax_code(code: str) -> None:
    assert owner(kind="enterprise", business_name="X", tax_code=code) == [("bad-pattern", "/tax_code")]


def recognition(**fields: Any) -> list[tuple[str, str]]:
    return reasons(RecognitionRecognised, product=REF, recognition_ref="1", **fields)


@pytest.mark.parametrize(
    ("group", "first", "last"),
    [
        ("food", 1, 13),
        ("drink", 14, 17),
        ("medicinal", 18, 20),
        ("craft", 21, 22),
        ("ornamental", 23, 25),
        ("tourism", 26, 26),
    ],
)
def test_sets_are_of_their_group(group: str, first: int, last: int) -> None:
    for number in range(1, 27):
        said = recognition(regime="26-2026", criteria_set=number, group=group)
        assert said == ([] if first <= number <= last else [("set-of-another-group", "/criteria_set")])


def test_sets_are_of_the_decision_of_2026() -> None:
    assert recognition(regime="26-2026", criteria_set=13) == []
    assert recognition(regime="1489-2025", criteria_set=13) == [("set-without-its-regime", "/criteria_set")]
    assert recognition(criteria_set=13) == [("set-without-its-regime", "/criteria_set")]
    for number in (0, 27):
        assert recognition(regime="26-2026", criteria_set=number) == [("bad-value", "/criteria_set")]


@pytest.mark.parametrize(
    ("issued", "until", "wrong"),
    [
        ("2025-06-19", "2025-06-18", True),
        ("2025-06-19", "2025-06-19", False),
        ("2025-06-19", "2025-06", False),  # it may be the end of June
        ("2025-06-19", "2025", False),
        ("2025", "2025-01-01", False),  # both may be the first of January
        ("2025", "2024-12-31", True),
        ("2025-07", "2025-06", True),
    ],
)
def test_only_what_certainly_ends_before_its_issue_is_refused(issued: str, until: str, wrong: bool) -> None:
    said = recognition(issued_on=issued, valid_until=until)
    assert said == ([("ends-before-issue", "/valid_until")] if wrong else [])


def url(text: str) -> list[tuple[str, str]]:
    return reasons(ListingListed, listing=REF, product=REF, platform="unspecified", url=text)


@pytest.mark.parametrize(
    "text",
    [
        "https://voso.vn",
        "https://voso.vn/",
        "https://shopee.vn/R%C6%B0%E1%BB%A3u-i.123.456789012345",
        "https://www.lazada.vn/products/i123-s456.html",
        "https://shop.tiktok.com/view/product/1729384756",
        "https://www.tiktok.com/view/product/1729384756",
        "https://san.example.gov.vn:8443/sp/1",
        "https://zalomedia.vn/a",
        "https://box.com/a",
    ],
)
def test_pages_of_offers_are_taken(text: str) -> None:
    assert url(text) == []


@pytest.mark.parametrize(
    "text",
    [
        *("https://facebook.com/vi.du", "https://www.facebook.com/vi.du", "https://m.facebook.com", "https://FB.com/a"),
        *(
            "https://zalo.me/0900000000",
            "https://chat.zalo.me/a",
            "https://www.instagram.com/vi.du",
            "https://x.com/vidu",
        ),
        *("https://t.me/vidu", "https://m.me/vidu", "https://wa.me/84900000000", "https://www.tiktok.com/@vi.du"),
        *("https://youtube.com/@vidu", "https://www.linkedin.com/in/vidu", "https://facebook.com:443/vi.du"),
    ],
)
def test_pages_of_persons_are_not(text: str) -> None:
    assert url(text) == [("personal-page", "/url")]


@pytest.mark.parametrize(
    "text",
    [
        *("http://voso.vn/a", "voso.vn/a", "https://voso", "https://", "https:///a", "HTTPS://voso.vn/a"),
        *(
            "https://a@voso.vn/a",
            "https://a:b@voso.vn/a",
            "https://voso.vn/a?b=c",
            "https://voso.vn/a#b",
            "https://voso.vn?b",
        ),
        *(
            "https://voso.vn/rượu",
            "https://voso.vn/a b",
            "https://voso.vn/a\n",
            "javascript:alert(1)",
            "https://voso.vn\\@x.vn",
        ),
        "https://voso.vn/" + "a" * 401,
    ],
)
def test_what_is_no_address(text: str) -> None:
    assert url(text) == [("bad-pattern", "/url")]


@pytest.mark.parametrize("host", ["a" * 490 + ".vn", "aa" + ".a" * 245 + "a", "a" * 200_000 + ".vn"])
def test_an_address_has_500_signs_at_most(host: str) -> None:
    assert url("https://" + host[-492:]) == []
    assert url("https://" + host) == [("too-long", "/url")]


def test_another_platform_is_named() -> None:
    said = reasons(ListingListed, listing=REF, product=REF, platform="other")
    assert said == [("missing-field", "/platform_name")]
    assert reasons(ListingListed, listing=REF, product=REF, platform="other", platform_name="Sàn tỉnh") == []
