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
from tests.unit.test_national_domain import BY, DAYS, FILTERS, INDICATORS, PROVINCES, small_histories

MAPS = st.sampled_from(("2004", "2025"))
QUESTIONS = st.one_of(
    st.tuples(INDICATORS, DAYS, MAPS, PROVINCES, BY, FILTERS),
    st.tuples(
        st.just("recognitions"),
        DAYS,
        MAPS,
        PROVINCES,
        st.sampled_from(("occasion", "year", "stars")),
        st.sampled_from(((("year", "2024"),), (("year", "2025"),), (("occasion", "renewed"),))),
    ),
    st.tuples(st.just("online"), DAYS, MAPS, PROVINCES, st.just("platform"), st.just((("platform", "voso"),))),
)


# Every example empties the database and fills it anew, so that one for the module is enough.
@settings(max_examples=40, deadline=None, derandomize=True)
@given(small_histories(), st.lists(QUESTIONS, min_size=6, max_size=10))
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
                for cell in found["cells"]:
                    behind = await all_products(http, cell["products"])
                    assert len(behind) == cell["count"] or indicator in ("owners", "recognitions")
                    assert behind

    asyncio.run(compare())
