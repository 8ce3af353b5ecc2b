"""What pages say, without a database: who has reported, what is certain, what an event brought."""

from datetime import date
from typing import Any
from uuid import UUID

import pytest
from national import certainty, domain, query, words
from national.overview import coverage
from national.timeline import said, timeline

from contracts.evaluation import CAUSES, LEVELS, OCCASIONS, REGIMES, SETS, SOURCES
from contracts.marketplace import PLATFORMS
from contracts.topics import EVENTS

DAY, LATER = date(2024, 12, 31), date(2025, 3, 14)


@pytest.mark.parametrize(
    ("table", "values"),
    [
        (words.STATUSES, query.STATUSES),
        (words.GROUPS, (*SETS, "unknown")),
        (words.OWNER_KINDS, (*domain.KINDS, "other", "not_stated")),
        (words.PLATFORMS, PLATFORMS),
        (words.OCCASIONS, (*OCCASIONS, "unknown")),
        (words.LEVELS, LEVELS),
        (words.REGIMES, REGIMES),
        (words.SOURCES, SOURCES),
        (words.CAUSES, CAUSES),
        (words.INDICATORS, query.DIMENSIONS),
        (words.FIELDS, query.ProductQuery.model_fields),
        (words.HAPPENINGS, [".".join(name.split(".")[2:5]) for name in EVENTS if ".owner." not in name]),
        (certainty.SENTENCES, query.STATUSES),
    ],
)
def test_every_value_has_words(table: dict[str, str], values: list[str]) -> None:
    assert set(values) <= table.keys()


def test_numbers_and_days_as_they_are_written_in_vietnam() -> None:
    assert words.number(26557) == "26.557"
    assert words.share(370, 453) == "81,7%"
    assert words.day("2025-06-09") == "09/06/2025"
    assert [words.partial(written) for written in ("2025", "2025-06", "2025-06-09")] == [
        "năm 2025",
        "tháng 06/2025",
        "09/06/2025",
    ]
    assert words.moment("2026-08-05T18:30:00Z") == "06/08/2026 01:30"
    assert words.place("2004", {"code": None, "candidates": ["67", "68"]}) == "chưa xác định: Đắk Nông hoặc Lâm Đồng"


@pytest.mark.parametrize(
    ("map_", "code", "reported", "days", "missing"),
    [
        ("2025", "80", {}, (), ("Tây Ninh", "Long An")),
        ("2025", "80", {"2004-80": DAY}, (("Long An", DAY),), ("Tây Ninh",)),
        ("2025", "80", {"2004-80": DAY, "2004-72": LATER}, (("Tây Ninh", LATER), ("Long An", DAY)), ()),
        # The new province speaks for all of it.
        ("2025", "80", {"2025-80": DAY}, (("Tây Ninh", DAY),), ()),
        ("2025", "80", {"2025-80": LATER, "2004-80": DAY}, (("Tây Ninh", LATER),), ()),
        ("2025", "80", {"2025-80": DAY, "2004-72": LATER}, (("Tây Ninh", LATER),), ()),
        # 80 of 2004 is Long An.
        ("2004", "80", {"2004-80": DAY}, (("Long An", DAY),), ()),
        ("2004", "80", {"2004-80": DAY, "2025-80": LATER}, (("Long An", LATER),), ()),
        ("2004", "80", {"2004-72": DAY}, (), ()),
    ],
)
def test_who_has_reported(
    map_: str, code: str, reported: dict[str, date], days: tuple[tuple[str, date], ...], missing: tuple[str, ...]
) -> None:
    found = coverage(map_, code, reported)
    assert (found.days, found.missing) == (days, missing)


def certificate(**fields: Any) -> dict[str, Any]:
    days = {
        "issued_lo": date(2024, 1, 1),
        "issued_hi": date(2024, 12, 31),
        "ends_lo": date(2027, 1, 2),
        "ends_hi": date(2028, 1, 1),
    }
    return {"recognition_ref": "1", "revoked": None, "days": days, **fields}


@pytest.mark.parametrize(
    ("at", "counted", "sign"),
    [
        ("2023-12-31", None, "none"),
        ("2024-01-01", "1", "uncertain"),
        ("2024-12-30", "1", "uncertain"),
        ("2024-12-31", "1", "valid"),
        ("2027-01-01", "1", "valid"),
        ("2027-01-02", "1", "uncertain"),
        ("2027-12-31", "1", "uncertain"),
        ("2028-01-01", None, "ended"),
        ("2026-01-01", "2", "ended"),
        ("2025-12-31", "2", "uncertain"),  # the newer one may not have been issued yet
    ],
)
def test_what_is_certain_of_a_certificate(at: str, counted: str | None, sign: str) -> None:
    by = None if counted is None else certificate(recognition_ref=counted, days={"issued_hi": date(2026, 1, 1)})
    found = certainty.of_certificate(certificate(), date.fromisoformat(at), by)
    assert (found.sign, found.last_lo, found.last_hi) == (sign, date(2027, 1, 1), date(2027, 12, 31))


def test_a_revoked_certificate_says_so() -> None:
    revoked = {"revoked_on": "2028-01-01", "origin": {"stated_on": "2028-01-01"}}
    assert certainty.of_certificate(certificate(revoked=revoked), date(2028, 1, 1), None).sign == "revoked"


@pytest.mark.parametrize(
    ("at", "sign"),
    [("2023-12-31", "none"), ("2024-01-01", "uncertain"), ("2024-02-01", "valid"), ("2025-01-01", "ended")],
)
def test_what_is_certain_of_a_listing(at: str, sign: str) -> None:
    days = [
        {"from": date(2024, 1, 1), "to": date(2024, 2, 1), "certain": False},
        {"from": date(2024, 2, 1), "to": date(2025, 1, 1), "certain": True},
    ]
    assert certainty.of_listing({"days": days}, date.fromisoformat(at)).sign == sign


def test_a_correction_takes_the_place_of_what_it_corrects() -> None:
    wrong, right = {"stars": 5, "recognition_ref": "1"}, {"stars": 4, "recognition_ref": "1"}
    entries = timeline(
        [told(1, "evaluation.recognition.recognised"), told(2, "evaluation.recognition.corrected")],
        {
            UUID(int=1): {"recognitions": [stated(1, wrong)]},
            UUID(int=2): {"recognitions": [stated(2, right)]},
        },
    )
    assert [entry.about for entry in entries] == ["1", "1"]
    assert [entry.stated and said(entry.stated) for entry in entries] == [
        "5 sao · không rõ ngày cấp",
        "4 sao · không rõ ngày cấp",
    ]
    assert entries[0].replaced_by == entries[1].event
    assert entries[1].replaced_by is None


def test_a_document_of_another_day_takes_no_place() -> None:
    place = {"province": {"catalogue": "2025", "code": "68"}}
    first = stated(1, {"name": "Trà", "place": place})
    second = stated(2, {"name": "Chè", "place": place, "from": "2025-07-01"})
    entries = timeline(
        [told(1, "registry.product.registered"), told(2, "registry.product.updated")],
        {UUID(int=1): {"documents": [first]}, UUID(int=2): {"documents": [first, second]}},
    )
    assert [entry.replaced_by for entry in entries] == [None, None]
    assert said(second) == "Chè · Lâm Đồng · từ 01/07/2025"


def test_an_event_that_cannot_be_read_into_stands_by_itself() -> None:
    [entry] = timeline([told(1, "evaluation.recognition.merged")], {UUID(int=1): {"recognitions": []}})
    assert entry.stated is None
    assert entry.replaced_by is None


def told(number: int, happening: str) -> dict[str, Any]:
    return {
        "id": UUID(int=number),
        "type": f"vn.ocop.{happening}.v1",
        "topic": "t",
        "subject": UUID(int=100),
        "submission_id": UUID(int=number + 10),
    }


def stated(number: int, fields: dict[str, Any]) -> dict[str, Any]:
    return {**fields, "origin": {"submission_id": str(UUID(int=number + 10))}}
