"""From states to intervals: worked out by hand, then random histories against the count on paper."""

from datetime import date
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from national.domain import Offer, OwnerPeriod, ProductPeriod, Standing, certificates, owner_kind, standings

from ocop.history import figures, histories
from ocop.history.events import Event, Reporter, listed, owner_registered, product_registered, recognised
from tests.history.count import answer, contradicts_itself, newest_first, outcomes_on, sheet
from tests.history.lookup import Book, fold, look_up, open_book

FAR = "2026-06-30T00:00:00+07:00"


def province(catalogue: str, code: str) -> dict[str, Any]:
    return {"province": {"catalogue": catalogue, "code": code}}


def event(happening: str, time: str = FAR, **data: Any) -> Event:
    """An event about product P of owner O, whatever the type."""
    subject = {"owner": {"namespace": "2004-67", "ref": "O"}, "product": {"namespace": "2004-67", "ref": "P"}}
    needed = {"owner": ["owner"], "product": ["product", "owner"]}.get(happening.split(".")[0], ["product"])
    return {
        "id": f"{happening}-{time}",
        "source": "/provinces/2025-68/ocop",
        "type": f"vn.ocop.province.{happening}.v1",
        "subject": "2004-67/P",
        "time": time,
        "data": {name: subject[name] for name in needed} | data,
    }


def act(ref: str = "1", issued_on: str | None = None, kind: str = "recognised", time: str = FAR, **data: Any) -> Event:
    return event(f"recognition.{kind}", time, recognition_ref=ref, issued_on=issued_on, **data)


def revoked(ref: str, revoked_on: str | None, time: str = FAR) -> Event:
    return event("recognition.revoked", time, recognition_ref=ref, revoked_on=revoked_on)


def standing(*events: Event, superseded_returns: bool = False) -> list[Standing]:
    [state] = fold(events).recognitions.values()
    return standings(state, superseded_returns=superseded_returns)


def days(*events: Event, superseded_returns: bool = False) -> list[tuple[str, str, str, bool, bool]]:
    """(first day, first day after, recognition, certain, stars certain) of each piece."""
    return [
        (s.day_from.isoformat(), s.day_to.isoformat(), s.recognition_ref, s.certain, s.stars_certain)
        for s in standing(*events, superseded_returns=superseded_returns)
    ]


# --- one certificate ---


def test_a_certificate_stands_for_36_months_the_last_day_included() -> None:
    assert days(act("1", "2025-06-19")) == [("2025-06-19", "2028-06-20", "1", True, True)]


def test_36_months_end_where_a_month_does() -> None:
    assert days(act("1", "2024-02-29")) == [("2024-02-29", "2027-03-01", "1", True, True)]


def test_the_printed_end_wins_over_36_months() -> None:
    assert days(act("1", "2025-06-19", valid_until="2026-12-31")) == [("2025-06-19", "2027-01-01", "1", True, True)]


def test_of_a_year_only_the_days_that_all_its_days_share_are_certain() -> None:
    assert days(act("1", "2020")) == [
        ("2020-01-01", "2020-12-31", "1", False, False),
        ("2020-12-31", "2023-01-02", "1", True, True),
        ("2023-01-02", "2024-01-01", "1", False, False),
    ]


def test_nothing_was_issued_after_it_was_reported() -> None:
    assert days(act("1", "2023", time="2023-11-30T23:59:59+07:00"))[1][0] == "2023-11-30"
    assert days(act("1", "2023", time="2023-11-30T23:59:59Z"))[1][0] == "2023-12-01"  # it is morning in Hà Nội


def test_an_unknown_day_is_possible_from_2018_and_never_certain() -> None:
    assert days(act("1", time="2025-06-30T00:00:00+07:00")) == [
        ("2018-01-01", "2021-01-02", "1", False, False),
        ("2021-01-02", "2025-06-30", "1", False, False),
        ("2025-06-30", "2028-07-01", "1", False, False),
    ]


def test_an_end_printed_as_a_year_is_certain_to_its_first_day() -> None:
    assert days(act("1", "2025-06-19", valid_until="2028")) == [
        ("2025-06-19", "2028-01-02", "1", True, True),
        ("2028-01-02", "2029-01-01", "1", False, False),
    ]


def test_the_day_of_revocation_is_already_invalid() -> None:
    assert days(act("1", "2025-06-19"), revoked("1", "2026-03-01")) == [("2025-06-19", "2026-03-01", "1", True, True)]


def test_a_revocation_of_some_day_of_a_month_leaves_that_month_uncertain() -> None:
    assert days(act("1", "2025-06-19"), revoked("1", "2026-03")) == [
        ("2025-06-19", "2026-03-01", "1", True, True),
        ("2026-03-01", "2026-03-31", "1", False, False),
    ]


def test_a_revocation_of_an_unknown_day_leaves_nothing_certain() -> None:
    events = act("1", "2025-06-19"), revoked("1", None)
    assert days(*events) == [("2025-06-19", "2026-06-30", "1", False, False)]
    [certificate] = certificates(*fold(events).recognitions.values())
    assert (certificate.ends_lo, certificate.ends_hi) == (date(2025, 6, 19), date(2026, 6, 30))


def test_a_criteria_set_tells_the_group_that_is_not_stated() -> None:
    of_set: dict[str, Any] = {"regime": "26-2026", "criteria_set": 14}
    assert [s.group for s in standing(act("1", "2026-06-01", **of_set))] == ["drink"]
    assert [s.group for s in standing(act("1", "2026-06-01"))] == [None]


def test_what_was_never_issued_stands_nowhere() -> None:
    void = act("1", "2025-06-19", "corrected", void=True)
    assert days(act("1", "2025-06-19"), void) == []
    assert certificates(*fold([act("1", "2025-06-19"), void]).recognitions.values()) == []


# --- two certificates of one product ---


def test_a_newer_certificate_takes_over_on_its_day() -> None:
    assert days(act("1", "2023-01-01", stars=3), act("2", "2025-01-01", "upgraded", stars=4)) == [
        ("2023-01-01", "2025-01-01", "1", True, True),
        ("2025-01-01", "2026-01-02", "2", True, True),
        ("2026-01-02", "2028-01-02", "2", True, True),
    ]


def test_a_superseded_certificate_does_not_come_back_unless_it_is_set_so() -> None:
    events = act("1", "2023-06-01"), act("2", "2024-01-01", "renewed"), revoked("2", "2025-01-01")
    assert days(*events)[-1][1:3] == ("2025-01-01", "2")
    assert days(*events, superseded_returns=True)[-1] == ("2025-01-01", "2026-06-02", "1", True, True)


def test_while_a_newer_one_is_possible_the_product_is_certain_but_its_stars_are_not() -> None:
    pieces = days(act("1", "2024-01-01", stars=3), act("2", "2025", "upgraded", stars=4))
    assert ("2025-01-01", "2025-12-31", "2", True, False) in pieces
    same_stars = days(act("1", "2024-01-01", stars=4), act("2", "2025", "renewed", stars=4))
    assert ("2025-01-01", "2025-12-31", "2", True, True) in same_stars


def test_stars_can_be_certain_where_the_group_is_not() -> None:
    before = act("1", "2024-01-01", stars=4, group="food")
    pieces = standing(before, act("2", "2025", "renewed", stars=4, group="drink"))
    [piece] = [s for s in pieces if s.day_from <= date(2025, 6, 1) < s.day_to]
    assert (piece.certain, piece.stars_certain, piece.group_certain) == (True, True, False)


def test_a_gap_that_is_only_possible_leaves_the_product_uncertain() -> None:
    # The first ends on 1/3/2025; the second came some time in 2025, perhaps only after that.
    pieces = days(act("1", "2022-03-01"), act("2", "2025", "renewed"))
    assert pieces[1:4] == [
        ("2025-01-01", "2025-03-02", "2", True, True),
        ("2025-03-02", "2025-12-31", "2", False, False),
        ("2025-12-31", "2028-01-02", "2", True, True),
    ]


def test_where_dates_do_not_tell_the_later_reported_is_the_newer() -> None:
    first, second = act("1", "2025", stars=3), act("2", "2025-06", stars=4)
    for acts, ref in (((first, second), "2"), ((second, first), "1")):
        assert [s.recognition_ref for s in standing(*acts) if s.day_from <= date(2026, 1, 1) < s.day_to] == [ref]


def test_an_older_act_told_late_ends_none_whose_day_is_not_known() -> None:
    """It may have been issued since."""
    undated, ended = act("1", None, stars=4), act("2", "2022-05-10", stars=3, valid_until="2025-05-10")
    for acts in ((undated, ended), (ended, undated)):
        for day, ref in (("2024-01-01", acts[1]["data"]["recognition_ref"]), ("2026-01-01", "1")):
            assert [piece[2:] for piece in days(*acts) if piece[0] <= day < piece[1]] == [(ref, False, False)]
    told_again = act("2", "2022-05-10", "corrected", stars=3, valid_until="2025-05-10")
    assert days(undated, ended, told_again) == days(undated, ended)


def test_a_correction_of_an_older_act_does_not_make_it_the_newest() -> None:
    acts = act("1", "2024", stars=3), act("2", "2024", "upgraded", stars=4)
    corrected = act("1", "2024", "corrected", stars=3, group="food")
    on_the_day = [s.recognition_ref for s in standing(*acts, corrected) if s.day_from <= date(2025, 6, 1) < s.day_to]
    assert on_the_day == ["2"]


def test_a_predecessor_stays_one_also_when_it_is_corrected_later() -> None:
    old, new = act("1", "2025", stars=3), act("2", "2025", "upgraded", previous_ref="1", stars=4)
    corrected = act("1", "2025", "corrected", stars=3, group="food")
    [state] = fold([old, new, corrected]).recognitions.values()
    assert [c.recognition_ref for c in certificates(state)] == ["2", "1"]


def test_an_older_act_reported_late_leaves_the_present_alone() -> None:
    assert days(act("2", "2024-01-01"), act("1", "2022-01-01"))[-1][2] == "2"


def test_the_later_report_never_puts_an_older_act_before_a_newer_one() -> None:
    # "b" overlaps both, so that "later issued, or else later reported" alone would go round in a circle.
    acts = act("c", "2025-06-10"), act("b", "2025-06"), act("a", "2025-06-01")
    [state] = fold(acts).recognitions.values()
    assert [c.recognition_ref for c in certificates(state)] == ["b", "c", "a"]


def test_acts_that_cannot_be_as_they_say_of_each_other_still_get_an_order() -> None:
    acts = (
        act("c", "2025-06-01"),
        act("b", "2025-06", "renewed", previous_ref="c"),
        act("a", "2025-06-10", "renewed", previous_ref="b"),
        act("c", "2025-06-20", "corrected"),
    )
    [state] = fold(acts).recognitions.values()
    assert sorted(c.recognition_ref for c in certificates(state)) == ["a", "b", "c"]
    assert [piece[2] for piece in days(*acts) if piece[0] <= "2026-01-01" < piece[1]] == ["a"]


# --- places, owners, listings ---


def product(*events: Event) -> list[ProductPeriod]:
    return next(iter(open_book(fold(events)).products.values()))


def registered(place: dict[str, Any]) -> Event:
    return event("product.registered", name="Sản phẩm minh họa", place=place)


def moved(effective_on: str, place: dict[str, Any]) -> Event:
    return event("product.updated", name="Sản phẩm minh họa", place=place, effective_on=effective_on)


def on_maps(period: ProductPeriod) -> tuple[str | None, tuple[str, ...], str | None]:
    return period.province_2004, period.candidates_2004, period.province_2025


def test_a_place_of_2004_stands_on_the_new_map_by_succession() -> None:
    assert [on_maps(p) for p in product(registered(province("2004", "80")))] == [("80", (), "80")]
    assert [on_maps(p) for p in product(registered(province("2004", "72")))] == [("72", (), "80")]


def test_a_place_of_2025_alone_is_not_attributable_on_the_old_map() -> None:
    assert [on_maps(p) for p in product(registered(province("2025", "68")))] == [(None, ("60", "67", "68"), "68")]


def test_a_place_of_2025_formed_from_one_province_is() -> None:
    assert [on_maps(p) for p in product(registered(province("2025", "01")))] == [("01", (), "01")]


def test_a_product_keeps_its_last_old_province_if_the_new_one_was_formed_from_it() -> None:
    periods = product(
        registered(province("2004", "60")),
        moved("2024-03-01", province("2004", "67")),
        moved("2025-07-01", province("2025", "68")),
        moved("2026-01-01", province("2025", "80")),
    )
    assert [p.day_from for p in periods] == [date.min, date(2024, 3, 1), date(2025, 7, 1), date(2026, 1, 1)]
    assert periods[-1].day_to == date.max
    assert [on_maps(p) for p in periods] == [
        ("60", (), "68"),
        ("67", (), "68"),
        ("67", (), "68"),
        (None, ("72", "80"), "80"),
    ]


def test_of_two_documents_for_one_day_the_later_reported_holds() -> None:
    day = "2025-07-01"
    periods = product(
        registered(province("2004", "60")), moved(day, province("2025", "80")), moved(day, province("2025", "68"))
    )
    assert [on_maps(p) for p in periods] == [("60", (), "68"), ("60", (), "68")]


@pytest.mark.parametrize(
    ("kind", "cell"),
    [
        ("cooperative", "cooperative"),
        ("household_or_establishment", "household_or_establishment"),
        ("farm", "other"),
        ("association", "other"),
        ("a-kind-of-later", "other"),
        (None, "not_stated"),
    ],
)
def test_the_cell_of_a_kind_of_owner(kind: str | None, cell: str) -> None:
    assert owner_kind(kind) == cell


def test_an_owners_kind_changes_on_its_day() -> None:
    household = event("owner.registered", kind="household")
    company = event("owner.updated", kind="enterprise", business_name="Doanh nghiệp A", effective_on="2025-01-01")
    [periods] = open_book(fold([household, company])).owners.values()
    assert periods == [
        OwnerPeriod(date.min, date(2025, 1, 1), "household", None),
        OwnerPeriod(date(2025, 1, 1), date.max, "enterprise", "Doanh nghiệp A"),
    ]


def offered(platform: str, listed_on: str | None, *delisted_on: str | None) -> list[tuple[str, str, bool]]:
    listing = {"namespace": "2004-67", "ref": "L"}
    listed = event("listing.listed", listing=listing, platform=platform, listed_on=listed_on)
    ends = [event("listing.delisted", listing=listing, delisted_on=day) for day in delisted_on]
    for end in ends:
        del end["data"]["product"]
    found: list[Offer] = open_book(fold([listed, *ends])).offers
    return [(o.day_from.isoformat(), o.day_to.isoformat(), o.certain) for o in found]


def test_a_listing_lasts_until_the_day_it_is_taken_down() -> None:
    assert offered("voso", "2023-05-01") == [("2023-05-01", "9999-12-31", True)]
    assert offered("voso", "2023-05-01", "2024-01-01") == [("2023-05-01", "2024-01-01", True)]


def test_a_listing_of_unknown_day_is_certain_from_its_report_on() -> None:
    assert offered("voso", None) == [("2018-01-01", "2026-06-30", False), ("2026-06-30", "9999-12-31", True)]


def test_a_listing_taken_down_some_time_is_possible_until_that_was_reported() -> None:
    assert offered("voso", "2023", "2025") == [
        ("2023-01-01", "2023-12-31", False),
        ("2023-12-31", "2025-01-01", True),
        ("2025-01-01", "2025-12-31", False),
    ]
    assert offered("voso", "2023-05-01", None) == [("2023-05-01", "2026-06-30", False)]


def test_a_listing_ends_with_its_platform() -> None:
    assert offered("sendo", "2023-05-01") == [("2023-05-01", "2025-04-16", True)]


# --- against the count on paper ---


def test_the_demos_figures_come_out_of_the_intervals() -> None:
    book = open_book(fold(e for history in histories() for e in history.events))
    for figure in figures():
        found = look_up(book, figure.indicator, figure.at, figure.map, figure.province, figure.by, figure.filters)
        assert (found.count, found.uncertain) == (figure.count, figure.uncertain)
        assert found.cells == {cell.value: (cell.count, cell.uncertain) for cell in figure.cells}


REPORTER = Reporter("2025-68", "2004-67", FAR)
TIMES = ("2024-06-20T00:00:00+07:00", "2025-07-01T00:00:00+07:00", FAR)
PARTIALS = (None, "2023", "2024", "2024-02", "2024-02-29", "2024-06", "2024-06-15", "2025", "2025-01-01", "2025-06")
PLACES_2004 = [province("2004", code) for code in ("60", "67", "80")]
PLACES_2025 = [province("2025", code) for code in ("68", "80", "01")]
KINDS = ("cooperative", "household", "farm", None)


def partial(dates: tuple[str | None, ...] = PARTIALS) -> st.SearchStrategy[tuple[str | None, str]]:
    """A date, and a time of report that is not before it."""
    pairs = [(day, time) for day in dates for time in TIMES if (day or "2018") <= time[:10]]
    return st.sampled_from(pairs)


@st.composite
def small_histories(draw: st.DrawFn) -> list[Event]:
    events: list[Event] = []
    for n in (1, 2):
        kind = draw(st.sampled_from(KINDS))
        name = {"business_name": f"Chủ thể minh họa {n}", "name_is_trade_name": True}
        events.append(owner_registered(REPORTER, f"O{n}", kind=kind, **name))
        if draw(st.booleans()):
            day = draw(st.sampled_from(("2024-06-15", "2025-07-01")))
            changed = owner_registered(REPORTER, f"O{n}", kind=draw(st.sampled_from(KINDS)), **name, effective_on=day)
            events.append(changed | {"type": "vn.ocop.province.owner.updated.v1", "id": f"{changed['id']}-u"})
    for n in range(1, draw(st.integers(1, 3)) + 1):
        events += draw(products(f"P{n}"))
    return events


@st.composite
def products(draw: st.DrawFn, ref: str) -> list[Event]:
    owners = st.sampled_from(("O1", "O2"))
    name = {"name": f"Sản phẩm minh họa {ref}"}
    first = draw(st.sampled_from(PLACES_2004 + PLACES_2025))
    events = [product_registered(REPORTER, ref, draw(owners), **name, place=first)]
    for from_day in draw(st.lists(st.sampled_from(("2024-06-15", "2025-07-01", "2026-01-01")), max_size=2)):
        place = draw(st.sampled_from(PLACES_2004 if from_day < "2025-07-01" else PLACES_2025))
        moved = product_registered(REPORTER, ref, draw(owners), **name, place=place, effective_on=from_day)
        events.append(moved | {"type": "vn.ocop.province.product.updated.v1", "id": f"{moved['id']}-{len(events)}"})
    refs: list[str] = []
    for number in range(draw(st.integers(0, 3))):
        events.append(draw(acts(ref, str(number), tuple(refs))))
        refs.append(str(number))
    if draw(st.booleans()) and refs:
        corrected = draw(acts(ref, draw(st.sampled_from(refs)), None))
        events.append(corrected)
    if draw(st.booleans()) and refs:
        day, _ = draw(partial(("2024-06-15", "2025", "2025-06", None)))
        about = {"product": REPORTER.ref(ref), "recognition_ref": draw(st.sampled_from(refs)), "revoked_on": day}
        events.append(
            recognised(REPORTER, f"{ref}-revoked", ref, "")
            | {"type": "vn.ocop.province.recognition.revoked.v1", "data": {k: v for k, v in about.items() if v}}
        )
    for number in range(draw(st.integers(0, 2))):
        day, time = draw(partial())
        platform = draw(st.sampled_from(("sendo", "voso")))
        key = f"{ref}-{number}"
        events.append(listed(REPORTER, key, ref, platform=platform, listed_on=day) | {"time": time})
        if draw(st.booleans()):
            gone, _ = draw(partial(("2025", "2025-06-20", "2026-01", None)))
            data = {"listing": REPORTER.ref(key)} | ({"delisted_on": gone} if gone else {})
            events.append(
                events[-1]
                | {"type": "vn.ocop.province.listing.delisted.v1", "id": f"{key}-gone", "time": FAR, "data": data}
            )
    return events


@st.composite
def acts(draw: st.DrawFn, product: str, ref: str, before: tuple[str, ...] | None) -> Event:
    """An act of a product that has those before; None: a correction of one that it has."""
    issued_on, time = draw(partial())
    kind = "corrected" if before is None else draw(st.sampled_from(("recognised", "renewed", "upgraded")))
    fields: dict[str, Any] = {
        "stars": draw(st.sampled_from((3, 4, 5, None))),
        "group": draw(st.sampled_from(("food", "drink", None))),
        "valid_until": draw(st.sampled_from((None, None, None, "2026", "2026-06", "2027-02-28"))),
    }
    if kind == "corrected":
        fields["void"] = draw(st.sampled_from((None, None, True)))
    elif kind != "recognised" and before:
        fields["previous_ref"] = draw(st.sampled_from((*before, None)))
    act = recognised(REPORTER, f"{product}-{ref}-{kind}", product, ref, issued_on=issued_on, **fields)
    return act | {"type": f"vn.ocop.province.recognition.{kind}.v1", "time": time}


DAYS = st.dates(date(2022, 12, 1), date(2029, 1, 31)) | st.sampled_from(
    [date(2024, 6, 15), date(2025, 4, 15), date(2025, 4, 16), date(2025, 7, 1), date(2027, 1, 2), date(2027, 3, 1)]
)
BY = st.sampled_from((None, "stars", "group", "owner_kind", "province"))
FILTERS: st.SearchStrategy[tuple[tuple[str, str], ...]] = st.sampled_from(
    ((), (("stars", "4"),), (("stars", "3"), ("stars", "unknown")), (("group", "food"), ("owner_kind", "household")))
)
PROVINCES = st.sampled_from((None, ("2004", "67"), ("2004", "80"), ("2025", "68"), ("2025", "80")))
INDICATORS = st.sampled_from(("products", "owners", "online", "recognitions"))


@settings(max_examples=300, deadline=None, derandomize=True)
@given(small_histories(), st.lists(DAYS, min_size=1, max_size=4), INDICATORS, BY, FILTERS, PROVINCES, st.booleans())
def test_a_figure_from_intervals_is_the_figure_on_paper(
    events: list[Event],
    at: list[date],
    indicator: str,
    by: str | None,
    filters: tuple[tuple[str, str], ...],
    place: tuple[str, str] | None,
    old_map: bool,
) -> None:
    paper, book = sheet(events), open_book(fold(events))
    for day in at:
        assume(not contradicts_itself(paper, day))
        question = indicator, day, "2004" if old_map else "2025", place, by, filters
        assert look_up(book, *question) == answer(paper, *question)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(small_histories(), DAYS, st.sampled_from(("2024", "2025")), st.sampled_from(("occasion", "year", "platform")))
def test_years_occasions_and_platforms_too(events: list[Event], day: date, year: str, by: str) -> None:
    paper, book = sheet(events), open_book(fold(events))
    indicator = "online" if by == "platform" else "recognitions"
    filters = (("platform", "voso"),) if by == "platform" else (("year", year),)
    question = indicator, day, "2025", None, by, filters
    assert look_up(book, *question) == answer(paper, *question)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(small_histories(), st.lists(DAYS, min_size=1, max_size=4), st.booleans())
def test_what_stands_is_what_stands_in_the_cases_on_paper(
    events: list[Event], at: list[date], superseded_returns: bool
) -> None:
    paper, states = sheet(events), fold(events)
    assume(not any(contradicts_itself(paper, day) for day in at))
    for state in states.recognitions.values():
        newest = newest_first(paper.acts[f"{state.product.namespace}/{state.product.ref}"].values())
        stars = {act.ref: act.document.get("stars") for act in newest}
        pieces = standings(state, superseded_returns=superseded_returns)
        for day in at:
            outcomes = set(outcomes_on(newest, day, superseded_returns))
            able = [act.ref for act in newest if act.ref in outcomes]
            found = [piece for piece in pieces if piece.day_from <= day < piece.day_to]
            assert [piece.recognition_ref for piece in found] == able[:1]
            for piece in found:
                assert piece.certain == (None not in outcomes)
                assert piece.stars_certain == (piece.certain and len({stars[ref] for ref in able}) == 1)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(small_histories())
def test_pieces_neither_overlap_nor_are_empty(events: list[Event]) -> None:
    book: Book = open_book(fold(events))
    for pieces in book.standings.values():
        assert all(piece.day_from < piece.day_to for piece in pieces)
        assert all(a.day_to <= b.day_from for a, b in pairwise(pieces))
