"""Random histories: a figure from the database is the one from the intervals, and its cells lead to what they count."""

import asyncio
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ocop.history import Event
from tests.engines import Database
from tests.history.lookup import fold, look_up, open_book
from tests.national.asking import all_products, as_counted, ask, asking, question
from tests.national.feed import at_once, empty, fill
from tests.national.test_domain import BY, DAYS, FILTERS, INDICATORS, PROVINCES, products, small_histories

MAPS = st.sampled_from(("2004", "2025"))
QUESTIONS = st.one_of(
    st.tuples(INDICATORS, DAYS, MAPS, PROVINCES, BY, FILTERS),
    st.tuples(
        st.just("recognitions"),
        DAYS,
        MAPS,
        PROVINCES,
        st.sampled_from(("occasion", "year", "stars", None)),
        st.sampled_from(((("year", "2024"),), (("year", "2024"), ("year", "2025")), (("occasion", "renewed"),))),
    ),
    st.tuples(
        st.just("online"), DAYS, MAPS, PROVINCES, st.just("platform"), st.sampled_from(((), (("platform", "voso"),)))
    ),
)


@st.composite
def histories(draw: st.DrawFn) -> list[Event]:
    """A small history with more products in it, so that one filling of the database serves many questions."""
    events = draw(small_histories())
    for number in range(4, 12):
        events += draw(products(f"P{number}"))
    return events


# Every example empties the database and fills it anew, so that one for the module is enough.
@settings(max_examples=30, deadline=None, derandomize=True)
@given(histories(), st.lists(QUESTIONS, min_size=20, max_size=30))
def test_a_figure_from_the_database_is_the_one_from_the_intervals(
    one_database: Database, events: list[Event], questions: list[Any]
) -> None:
    async def compare() -> None:
        await empty(one_database)
        await fill(one_database, at_once(fold(events)))
        book = open_book(fold(events))
        async with asking(one_database) as http:
            for indicator, at, map_, province, by, filters in questions:
                found = await ask(http, f"/v1/figures/{indicator}", question(at, map_, province, by, filters))
                assert as_counted(found) == look_up(book, indicator, at, map_, province, by, filters)
                for cell in found["cells"][:1]:
                    behind = await all_products(http, cell["products"])
                    assert len(behind) == cell["count"] or (behind and indicator in ("owners", "recognitions"))

    asyncio.run(compare())
