"""The rules of listings, case by case: what was said before, what comes now, what becomes of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from marketplace_sync.domain import decide_listing

from contracts.decision import Decision, Rejected, Waits
from contracts.marketplace import CLOSED_ON, ListingState
from contracts.names import Ref, aggregate_id
from contracts.topics import EVENTS
from tests.acts import Event, delisted, listed
from tests.deciding import last, submission, word
from tests.submissions import TENANT, event

PRODUCT = aggregate_id("product", Ref(namespace=TENANT, ref="SP-1"))
LISTING = aggregate_id("listing", Ref(namespace=TENANT, ref="NY-1"))
KNOWN = {PRODUCT: TENANT}

# name: events in order, all but the last applied; what becomes of the last; where it points to.
CASES: dict[str, tuple[list[Event], str, str]] = {
    "listed": ([listed(listed_on="2023")], "→ listed", ""),
    "listed, day not known": ([listed()], "→ listed", ""),
    "listed, platform not known": ([listed(platform="unspecified")], "→ listed", ""),
    "the same ref again": ([listed(), listed(listed_on="2024")], "already-listed", "/data/listing"),
    "the same ref after its end": ([listed(), delisted(), listed()], "already-listed", "/data/listing"),
    "listed on the day of the report": ([listed(listed_on="2026-08-05")], "→ listed", ""),
    "listed on the day after": ([listed(listed_on="2026-08-06")], "after-submission-time", "/data/listed_on"),
    "listed in the month of the report": ([listed(listed_on="2026-08")], "→ listed", ""),
    "listed in the month after": ([listed(listed_on="2026-09")], "after-submission-time", "/data/listed_on"),
    # --- Sendo closed on 15/4/2025
    "on Sendo's last day": ([listed(platform="sendo", listed_on="2025-04-15")], "→ listed", ""),
    "on Sendo a day later": ([listed(platform="sendo", listed_on="2025-04-16")], "platform-closed", "/data/listed_on"),
    "on Sendo in that month": ([listed(platform="sendo", listed_on="2025-04")], "→ listed", ""),
    "on Sendo in the next month": (
        [listed(platform="sendo", listed_on="2025-05")],
        "platform-closed",
        "/data/listed_on",
    ),
    "on Sendo in that year": ([listed(platform="sendo", listed_on="2025")], "→ listed", ""),
    "on Sendo in the next year": ([listed(platform="sendo", listed_on="2026")], "platform-closed", "/data/listed_on"),
    "on Sendo, day not known": ([listed(platform="sendo")], "→ listed", ""),
    "on another platform after that day": ([listed(listed_on="2025-04-16")], "→ listed", ""),
    "taken off Sendo after its end": (
        [listed(platform="sendo", listed_on="2024"), delisted(delisted_on="2025-05")],
        "→ delisted",
        "",
    ),
    # --- delisted
    "delisted": ([listed(), delisted(delisted_on="2026-03")], "→ delisted", ""),
    "delisted, day not known": ([listed(listed_on="2024"), delisted()], "→ delisted", ""),
    "delisted, never listed": ([delisted()], "not-listed", "/data/listing"),
    "delisted, another was listed": ([delisted("NY-2")], "not-listed", "/data/listing"),
    "delisted twice": ([listed(), delisted(), delisted(delisted_on="2026")], "already-delisted", "/data/listing"),
    "delisted on the day of the report": ([listed(), delisted(delisted_on="2026-08-05")], "→ delisted", ""),
    "delisted on the day after": (
        [listed(), delisted(delisted_on="2026-08-06")],
        "after-submission-time",
        "/data/delisted_on",
    ),
    "delisted on the day of its listing": (
        [listed(listed_on="2025-03-01"), delisted(delisted_on="2025-03-01")],
        "→ delisted",
        "",
    ),
    "delisted before it was listed": (
        [listed(listed_on="2025-03-01"), delisted(delisted_on="2025-02")],
        "ended-before-it-began",
        "/data/delisted_on",
    ),
    "delisted in the year of its listing": (
        [listed(listed_on="2025-03-01"), delisted(delisted_on="2025")],
        "→ delisted",
        "",
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_what_becomes_of_it(case: tuple[list[Event], str, str]) -> None:
    events, expected, pointer = case
    verdict = last(decide_listing, events, KNOWN)
    assert word(verdict) == expected
    if isinstance(verdict, Rejected):
        assert verdict.pointer == pointer


def state(*events: Event) -> ListingState:
    """What the last of these leaves; all are applied."""
    verdict = last(decide_listing, events, KNOWN)
    assert isinstance(verdict, Decision), verdict
    assert isinstance(verdict.state, ListingState)
    assert [(event.type in EVENTS, event.data) for event in verdict.events] == [(True, verdict.state)]
    return verdict.state


def test_the_document_is_what_was_reported() -> None:
    sent = listed(
        platform="other", platform_name="Sàn của tỉnh", url="https://san.example/rong-nho", listed_on="2023-05"
    )
    told = state(sent)
    (document,) = told.documents
    assert (told.id, told.namespace, told.ref) == (LISTING, TENANT, "NY-1")
    assert (document.product.id, document.product.ref) == (PRODUCT, "SP-1")
    stated = document.model_dump(exclude={"product", "origin"})
    assert stated == {name: sent["data"][name] for name in ("platform", "platform_name", "url", "listed_on")}
    assert document.origin == submission(sent).origin()


def test_the_end_leaves_the_document_as_it_is() -> None:
    first, end = listed(listed_on="2023"), delisted(delisted_on="2026-03")
    before, after = state(first), state(first, end)
    assert after.model_copy(update={"delisted": None}) == before
    assert after.delisted is not None
    assert (after.delisted.delisted_on, after.delisted.origin) == ("2026-03", submission(end, 2).origin())


def test_params_fill_the_words() -> None:
    late = last(decide_listing, [listed(platform="sendo", listed_on="2026")], KNOWN)
    assert isinstance(late, Rejected)
    assert late.params == {"platform": "sendo", "closed_on": "2025-04-15"}
    early = last(decide_listing, [delisted()], KNOWN)
    assert isinstance(early, Rejected)
    assert early.params == {"ref": "2025-68/NY-1"}


# -------------------------------------------------------------------- of the product: existence and tenant


def test_it_waits_for_its_product() -> None:
    waits = last(decide_listing, [listed()], {})
    assert waits == Waits(PRODUCT, "unknown-product", "/data/product", {"ref": "2025-68/SP-1"})


def test_what_is_refused_anyway_does_not_wait_for_its_product() -> None:
    assert word(last(decide_listing, [listed(listed_on="2027")], {})) == "after-submission-time"


def test_an_end_names_no_product_and_waits_for_none() -> None:
    assert word(last(decide_listing, [delisted()], {})) == "not-listed"


def test_a_product_of_another_province() -> None:
    stranger = {"namespace": "2025-80", "ref": "SP-1"}
    there = aggregate_id("product", Ref(**stranger))
    for known in ({there: "2025-80"}, {}):
        verdict = last(decide_listing, [listed(product=stranger)], known)
        assert verdict == Rejected("foreign-reference", "/data/product", {"ref": "2025-80/SP-1"})


def test_a_product_of_ours_that_another_province_registered() -> None:
    verdict = last(decide_listing, [listed()], {PRODUCT: "2025-80"})
    assert verdict == Rejected("foreign-reference", "/data/product", {"ref": "2025-68/SP-1"})


@pytest.mark.parametrize("sent", [listed(), delisted()], ids=["listed", "delisted"])
def test_a_listing_of_another_province(sent: Event) -> None:
    sent["data"]["listing"] = {"namespace": "2025-80", "ref": "NY-1"}
    verdict = last(decide_listing, [sent], KNOWN)
    assert verdict == Rejected("foreign-reference", "/data/listing/namespace", {"ref": "2025-80/NY-1"})


def test_a_product_of_a_forerunner_is_ours() -> None:
    old = {"namespace": "2004-60", "ref": "SP-1"}
    assert (
        word(last(decide_listing, [listed(product=old)], {aggregate_id("product", Ref(**old)): TENANT})) == "→ listed"
    )


# -------------------------------------------------------------------- certainly wrong, day by day


@given(st.dates(min_value=CLOSED_ON["sendo"].replace(day=1), max_value=CLOSED_ON["sendo"].replace(month=8)))
def test_a_day_less_well_known_is_refused_no_sooner(day: object) -> None:
    def taken(listed_on: str) -> bool:
        return isinstance(last(decide_listing, [listed(platform="sendo", listed_on=listed_on)], KNOWN), Decision)

    exact, month, year = str(day), str(day)[:7], str(day)[:4]
    assert taken(exact) == (exact <= "2025-04-15")
    assert taken(exact) <= taken(month) <= taken(year)


def test_a_type_of_another_aggregate_is_a_mistake_of_the_wiring() -> None:
    stray = event("owner.closed", {"owner": {"namespace": TENANT, "ref": "CT-1"}})
    with pytest.raises(AssertionError):
        last(decide_listing, [stray], KNOWN)
