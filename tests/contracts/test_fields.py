"""Dates, times and lists of values."""

from datetime import UTC, date, datetime, timedelta
from typing import Annotated

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import PydanticCustomError

from contracts.fields import INSIDE, Day, OneOf, PartialDate, UnitCode, local_date, read_time

NOW = datetime(2026, 8, 5, 1, 2, 3, tzinfo=UTC)
PARTIAL = TypeAdapter(PartialDate)
DAY = TypeAdapter[date](Day)


@pytest.mark.parametrize(
    ("text", "lo", "hi"),
    [
        ("2025", date(2025, 1, 1), date(2025, 12, 31)),
        ("2025-02", date(2025, 2, 1), date(2025, 2, 28)),
        ("2024-02", date(2024, 2, 1), date(2024, 2, 29)),
        ("2025-12", date(2025, 12, 1), date(2025, 12, 31)),
        ("2025-06-19", date(2025, 6, 19), date(2025, 6, 19)),
        ("1900", date(1900, 1, 1), date(1900, 12, 31)),
        ("2099-12-31", date(2099, 12, 31), date(2099, 12, 31)),
    ],
)
def test_a_partial_date_says_what_it_can_mean(text: str, lo: date, hi: date) -> None:
    partial = PARTIAL.validate_json(f'"{text}"')
    assert (partial.lo(), partial.hi()) == (lo, hi)
    assert type(partial) is PartialDate
    assert PARTIAL.dump_json(partial) == f'"{text}"'.encode()
    assert PARTIAL.validate_python(partial) == partial


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "25",
            "202",
            "20255",
            "1899",
            "2100",
            "2025-0",
            "2025-00",
            "2025-13",
            "2025-2",
            "2025-02-29",
            "2025-02-30",
        ),
        *(
            "2025-06-00",
            "2025-6-19",
            "2025-06-19T00:00:00",
            "2025-06-19 ",
            "2025\n",
            "٢٠٢٥",
            "19/06/2025",
            "1700000000",
        ),
    ],
)
def test_what_is_no_partial_date(text: str) -> None:
    with pytest.raises(ValidationError) as caught:
        PARTIAL.validate_python(text)
    assert caught.value.errors()[0]["type"] == "bad-date"


@settings(deadline=None)  # the machine may be busy
@given(st.dates(date(1900, 1, 1), date(2099, 12, 31)))
def test_a_day_lies_within_each_of_its_partial_dates(day: date) -> None:
    year, month, exact = (PartialDate.read(day.isoformat()[:length]) for length in (4, 7, 10))
    assert year.lo() <= month.lo() <= exact.lo() == day == exact.hi() <= month.hi() <= year.hi()
    assert (year.lo().month, year.lo().day, year.hi().month, year.hi().day) == (1, 1, 12, 31)
    assert month.lo().day == 1
    assert (month.hi() + timedelta(days=1)).day == 1


def test_a_day_is_read_from_text_and_from_a_date() -> None:
    assert DAY.validate_json('"2025-07-01"') == date(2025, 7, 1)
    assert DAY.validate_python(date(2025, 7, 1)) == date(2025, 7, 1)
    assert DAY.dump_json(date(2025, 7, 1)) == b'"2025-07-01"'
    assert DAY.dump_python(date(2025, 7, 1)) == date(2025, 7, 1)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("2025-02-29", "bad-date"),
        ("2025-07", "bad-date"),
        ("20250701", "bad-date"),
        ("2025-W27-2", "bad-date"),
        ("1700000000", "bad-date"),
        (1700000000, "wrong-type"),
        (datetime(2025, 7, 1, tzinfo=UTC), "wrong-type"),
        (None, "wrong-type"),
    ],
)
def test_what_is_no_day(value: object, reason: str) -> None:
    with pytest.raises(ValidationError) as caught:
        DAY.validate_python(value)
    assert caught.value.errors()[0]["type"] == reason


@pytest.mark.parametrize(
    "text",
    [
        "2026-08-05T00:00:00+07:00",
        "2026-08-05T00:00:00Z",
        "2026-08-05T00:00:00.5Z",
        "2026-08-05T08:00:00.1234567+07:00",  # as .NET writes it
        "2018-01-01T00:00:00+07:00",
        "2026-08-05T01:07:03Z",  # five minutes ahead
    ],
)
def test_a_time_is_taken(text: str) -> None:
    assert read_time(text, NOW).utcoffset() is not None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("2026-08-05", "bad-time"),
        ("2026-08-05 00:00:00+07:00", "bad-time"),
        ("2026-08-05T00:00+07:00", "bad-time"),
        ("2026-08-05T00:00:00", "bad-time"),
        ("2026-08-05T00:00:00+0700", "bad-time"),
        ("2026-08-05t00:00:00z", "bad-time"),
        ("2026-08-05T00:00:60Z", "bad-time"),
        ("2026-08-05T24:00:00Z", "bad-time"),
        ("2026-02-30T00:00:00Z", "bad-time"),
        ("2026-08-05T00:00:00+25:00", "bad-time"),
        ("2026-08-05T00:00:00Z\n", "bad-time"),
        ("1700000000", "bad-time"),
        ("", "bad-time"),
        ("0001-01-01T00:00:00+14:00", "time-out-of-range"),
        ("2017-12-31T16:59:59Z", "time-out-of-range"),
        ("2026-08-05T01:07:04Z", "time-out-of-range"),
        ("9999-12-31T23:59:59-12:00", "time-out-of-range"),
    ],
)
def test_a_time_is_refused(text: str, reason: str) -> None:
    with pytest.raises(PydanticCustomError) as caught:
        read_time(text, NOW)
    assert caught.value.type == reason


def test_local_dates_are_those_of_vietnam() -> None:
    assert local_date(datetime(2025, 6, 30, 16, 59, 59, tzinfo=UTC)) == date(2025, 6, 30)
    assert local_date(datetime(2025, 6, 30, 17, 0, tzinfo=UTC)) == date(2025, 7, 1)
    assert local_date(datetime(2025, 6, 30, 17, 0, tzinfo=UTC) + timedelta(hours=24)) == date(2025, 7, 2)


class Listed(BaseModel):
    closed: Annotated[str, OneOf("a", "b")]
    open: Annotated[int, OneOf(1, 2, open=True)] = 1


def test_the_edge_takes_only_listed_values() -> None:
    assert Listed(closed="a").closed == "a"
    with pytest.raises(ValidationError) as caught:
        Listed(closed="c")
    assert caught.value.errors()[0]["ctx"]["allowed"] == "a, b"


def test_inside_new_values_go_through() -> None:
    assert Listed.model_validate_json('{"closed":"c"}', context=INSIDE).closed == "c"
    assert Listed(closed="a", open=9).open == 9


@pytest.mark.parametrize("value", ["1", True, 1.0, None])
def test_a_listed_number_is_a_number(value: object) -> None:
    with pytest.raises(ValidationError):
        Listed.model_validate({"closed": "a", "open": value})


def test_a_unit_is_of_its_catalogue() -> None:
    assert UnitCode(catalogue="2004", code="67").code == "67"
    with pytest.raises(ValidationError) as caught:
        UnitCode(catalogue="2025", code="67")
    assert caught.value.errors()[0]["type"] == "unknown-unit"
