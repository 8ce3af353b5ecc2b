"""The generated histories give exactly what the provinces published, counted on paper."""

from datetime import date, timedelta

import pytest

from ocop.history import Cell, Figure, Share, figures, histories
from ocop.history.figures import rounded
from tests.history.count import Answer, Sheet, answer, sheet

FIGURES = figures()


@pytest.fixture(scope="module")
def paper() -> Sheet:
    return sheet(event for history in histories() for event in history.events)


def ask(paper: Sheet, figure: Figure, at: date | None = None) -> Answer:
    return answer(
        paper,
        figure.indicator,
        at or figure.at,
        figure.map,
        figure.province,
        figure.by,
        figure.filters,
    )


def named(figure: Figure) -> str:
    return f"{figure.indicator}-{'-'.join(figure.province)}-{figure.at}-map{figure.map}-by-{figure.by}"


@pytest.mark.parametrize("figure", FIGURES, ids=named)
def test_the_history_gives_the_published_figure(paper: Sheet, figure: Figure) -> None:
    counted = ask(paper, figure)
    assert (counted.count, counted.uncertain) == (figure.count, figure.uncertain)
    assert counted.cells == {cell.value: (cell.count, cell.uncertain) for cell in figure.cells}
    assert sum(count for count, _ in counted.not_attributable.values()) == figure.not_attributable
    if figure.share:
        assert counted.share == (figure.share.numerator, figure.share.denominator)


@pytest.mark.parametrize("figure", FIGURES, ids=named)
def test_the_parts_of_a_figure_add_up(figure: Figure) -> None:
    if figure.cells:
        assert sum(cell.count for cell in figure.cells) + figure.not_attributable == figure.count
        assert sum(cell.uncertain for cell in figure.cells) == figure.uncertain


def shares() -> list[Share]:
    parts: list[Figure | Cell] = [*FIGURES, *(cell for figure in FIGURES for cell in figure.cells)]
    return [part.share for part in parts if part.share]


@pytest.mark.parametrize("share", shares(), ids=str)
def test_a_published_percentage_is_its_ratio_rounded_as_named(share: Share) -> None:
    assert rounded(share) == share.percent


def test_dong_thaps_percentage_is_cut_and_half_up_would_be_another() -> None:
    assert rounded(Share(370, 453, "81.67", "half-up")) == "81.68"


def test_the_rows_of_the_published_table_are_all_there() -> None:
    assert {(f.province, f.at.isoformat(), f.map, f.count) for f in FIGURES if f.indicator == "products"} == {
        (("2004", "87"), "2023-12-31", "2004", 453),
        (("2004", "87"), "2023-12-31", "2004", 21),
        (("2025", "82"), "2023-12-31", "2025", 453),
        (("2004", "80"), "2024-12-31", "2004", 235),
        (("2004", "72"), "2025-03-14", "2004", 139),
        (("2025", "80"), "2025-03-14", "2025", 374),
        (("2025", "80"), "2025-07-01", "2025", 374),
        (("2004", "94"), "2025-06-30", "2004", 189),
        (("2025", "92"), "2025-06-30", "2025", 189),
        (("2004", "34"), "2023-11-30", "2004", 138),
        (("2025", "33"), "2023-11-30", "2025", 138),
        (("2025", "68"), "2026-08-05", "2025", 25),
        (("2025", "68"), "2026-08-05", "2004", 25),
        (("2025", "68"), "2025-06-30", "2025", 16),
    }


@pytest.mark.parametrize("day", range(1, 31))
def test_thai_binhs_figure_holds_on_every_day_of_its_month(paper: Sheet, day: int) -> None:
    stars = answer(paper, "products", date(2023, 11, day), "2004", ("2004", "34"), "stars")
    assert (stars.count, stars.uncertain, stars.cells) == (138, 1, {"4": (48, 1), "3": (90, 0)})


def test_the_day_after_its_limits_a_figure_no_longer_holds(paper: Sheet) -> None:
    at = {
        ("2004", "87"): date(2023, 12, 31),
        ("2004", "34"): date(2023, 11, 30),
        ("2025", "80"): date(2025, 7, 1),
    }
    for province, day in at.items():
        last, after = (
            answer(paper, "products", d, province[0], province).count for d in (day, day + timedelta(days=1))
        )
        assert after < last


def test_long_an_and_tay_ninh_keep_their_own_figures_on_the_old_map_after_the_merger(paper: Sheet) -> None:
    counted = answer(paper, "products", date(2025, 7, 1), "2004", ("2025", "80"), "province")
    assert counted.cells == {"80": (235, 0), "72": (139, 0)}
    assert counted.not_attributable == {}


def test_the_places_of_lam_dong_that_the_old_map_cannot_tell_name_their_candidates(paper: Sheet) -> None:
    counted = answer(paper, "products", date(2026, 8, 5), "2004", ("2025", "68"), "province")
    assert counted.not_attributable == {("60", "67", "68"): (9, 0)}


def test_dong_thaps_products_by_kind_of_owner(paper: Sheet) -> None:
    counted = answer(paper, "products", date(2023, 12, 31), "2004", ("2004", "87"), "owner_kind")
    assert counted.cells["not_stated"] == (432, 0)


def test_what_is_reported_up_to_when(paper: Sheet) -> None:
    assert paper.reported_up_to == {
        "2004-87": date(2023, 12, 31),
        "2004-80": date(2024, 12, 31),
        "2004-72": date(2025, 3, 14),
        "2004-94": date(2025, 6, 30),
        "2004-34": date(2023, 11, 30),
        "2025-68": date(2026, 8, 5),
        "2004-67": date(2026, 8, 5),
        "2004-60": date(2026, 8, 5),
    }
