"""The rules of owners and products, case by case: what was said before, what comes now, what becomes of it."""

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from registry.domain import MOST_DOCUMENTS, decide_owner, decide_product

from contracts.decision import Decision, Rejected, Waits
from contracts.names import Ref, aggregate_id
from contracts.registry import OwnerState, ProductState
from contracts.topics import EVENTS
from tests.deciding import Decide, last, submission, word
from tests.submissions import TENANT, event, owner, owner_updated, product, product_updated, ref

Event = dict[str, Any]
OWNER = aggregate_id("owner", Ref(namespace=TENANT, ref="CT-1"))
PRODUCT = aggregate_id("product", Ref(namespace=TENANT, ref="SP-1"))
KNOWN = {OWNER: TENANT}


def closed(closed_on: str | None = None, name: str = "CT-1") -> Event:
    return event("owner.closed", {"owner": ref(name)} | ({"closed_on": closed_on} if closed_on else {}))


def discontinued(discontinued_on: str | None = None, name: str = "SP-1") -> Event:
    day = {"discontinued_on": discontinued_on} if discontinued_on else {}
    return event("product.discontinued", {"product": ref(name)} | day)


def days(count: int) -> list[str]:
    """So many different days before the report."""
    return [(date(2025, 7, 1) + timedelta(days=n)).isoformat() for n in range(count)]


def placed(catalogue: str, code: str, on: str | None = None) -> Event:
    """A product registered at a place, or updated to it from a day on."""
    sent = product_updated(on=on) if on else product()
    sent["data"]["place"] = {"province": {"catalogue": catalogue, "code": code}}
    return sent


# name: events in order, all but the last applied; what becomes of the last; where it points to.
CASES: dict[str, tuple[list[Event], str, str]] = {
    # --- owners
    "an owner": ([owner()], "→ registered", ""),
    "an owner twice": ([owner(), owner()], "already-registered", "/data/owner"),
    "an owner after its end": ([owner(), closed(), owner()], "already-registered", "/data/owner"),
    "an owner updated": ([owner(), owner_updated()], "→ updated", ""),
    "an owner updated that nobody registered": ([owner_updated()], "not-registered", "/data/owner"),
    "from the day of the report": ([owner(), owner_updated(on="2026-08-05")], "→ updated", ""),
    "from the day after": ([owner(), owner_updated(on="2026-08-06")], "after-submission-time", "/data/effective_on"),
    "an owner updated for as many days as there may be": (
        [owner(), *(owner_updated(on=day) for day in days(MOST_DOCUMENTS - 1))],
        "→ updated",
        "",
    ),
    "an owner updated for a day more": (
        [owner(), *(owner_updated(on=day) for day in days(MOST_DOCUMENTS))],
        "too-many-documents",
        "/data/effective_on",
    ),
    "an owner with so many, mended for one of their days": (
        [owner(), *(owner_updated(on=day) for day in [*days(MOST_DOCUMENTS - 1), days(1)[0]])],
        "→ updated",
        "",
    ),
    "an owner with so many, closed": (
        [owner(), *(owner_updated(on=day) for day in days(MOST_DOCUMENTS - 1)), closed()],
        "→ closed",
        "",
    ),
    "an owner closed": ([owner(), closed("2025")], "→ closed", ""),
    "an owner closed, day not known": ([owner(), closed()], "→ closed", ""),
    "an owner closed that nobody registered": ([closed()], "not-registered", "/data/owner"),
    "an owner closed twice": ([owner(), closed("2025"), closed("2025")], "already-closed", "/data/owner"),
    "closed on the day of the report": ([owner(), closed("2026-08-05")], "→ closed", ""),
    "closed on the day after": ([owner(), closed("2026-08-06")], "after-submission-time", "/data/closed_on"),
    "closed in the month of the report": ([owner(), closed("2026-08")], "→ closed", ""),
    "closed in the month after": ([owner(), closed("2026-09")], "after-submission-time", "/data/closed_on"),
    "updated on the day of its end": ([owner(), closed("2025-09-01"), owner_updated(on="2025-09-01")], "→ updated", ""),
    "updated on the day after": (
        [owner(), closed("2025-09-01"), owner_updated(on="2025-09-02")],
        "after-closing",
        "/data/effective_on",
    ),
    "updated in the year of its end": ([owner(), closed("2025"), owner_updated(on="2025-12-31")], "→ updated", ""),
    "updated in the next year": (
        [owner(), closed("2025"), owner_updated(on="2026-01-01")],
        "after-closing",
        "/data/effective_on",
    ),
    "updated in the year of its end, after the end was reported": (
        [owner(), closed("2026") | {"time": "2026-03-01T00:00:00+07:00"}, owner_updated(on="2026-03-02")],
        "after-closing",
        "/data/effective_on",
    ),
    "updated to the day on which an end of unknown day was reported": (
        [owner(), closed(), owner_updated(on="2026-08-05")],
        "→ updated",
        "",
    ),
    # --- products
    "a product": ([product()], "→ registered", ""),
    "a product twice": ([product(), product()], "already-registered", "/data/product"),
    "a product after its end": ([product(), discontinued(), product()], "already-registered", "/data/product"),
    "a product updated": ([product(), product_updated()], "→ updated", ""),
    "a product updated that nobody registered": ([product_updated()], "not-registered", "/data/product"),
    "a product from the day of the report": ([product(), product_updated(on="2026-08-05")], "→ updated", ""),
    "a product from the day after": (
        [product(), product_updated(on="2026-08-06")],
        "after-submission-time",
        "/data/effective_on",
    ),
    "a product discontinued": ([product(), discontinued("2026-03")], "→ discontinued", ""),
    "a product discontinued that nobody registered": ([discontinued()], "not-registered", "/data/product"),
    "a product discontinued twice": (
        [product(), discontinued("2026-03"), discontinued()],
        "already-discontinued",
        "/data/product",
    ),
    "discontinued on the day after the report": (
        [product(), discontinued("2026-08-06")],
        "after-submission-time",
        "/data/discontinued_on",
    ),
    "discontinued in the year of the report": ([product(), discontinued("2026")], "→ discontinued", ""),
    "a product updated on the day of its end": (
        [product(), discontinued("2025-09-01"), product_updated(on="2025-09-01")],
        "→ updated",
        "",
    ),
    "a product updated on the day after": (
        [product(), discontinued("2025-09-01"), product_updated(on="2025-09-02")],
        "after-discontinuation",
        "/data/effective_on",
    ),
    "a product updated in the month after its end": (
        [product(), discontinued("2025-08"), product_updated(on="2025-09-01")],
        "after-discontinuation",
        "/data/effective_on",
    ),
    "a product updated for more days than there may be": (
        [product(), *(product_updated(on=day) for day in days(MOST_DOCUMENTS))],
        "too-many-documents",
        "/data/effective_on",
    ),
    # --- places: each catalogue had its time
    "a place of 2004, without a day": ([placed("2004", "67")], "→ registered", ""),
    "a place of 2025, without a day": ([placed("2025", "68")], "→ registered", ""),
    "a place of 2004 on its last day": ([product(), placed("2004", "67", "2025-06-30")], "→ updated", ""),
    "a place of 2004 on the day after": (
        [product(), placed("2004", "67", "2025-07-01")],
        "place-catalogue-date",
        "/data/place/province/catalogue",
    ),
    "a place of 2004 that is the same today": (
        [product(), placed("2004", "01", "2025-07-01")],
        "place-catalogue-date",
        "/data/place/province/catalogue",
    ),
    "a place of 2025 on its first day": ([product(), placed("2025", "68", "2025-07-01")], "→ updated", ""),
    "a place of 2025 on the day before": (
        [product(), placed("2025", "68", "2025-06-30")],
        "place-catalogue-date",
        "/data/place/province/catalogue",
    ),
}


def decider(sent: Event) -> Decide:
    return decide_owner if ".owner." in sent["type"] else decide_product


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_what_becomes_of_it(case: tuple[list[Event], str, str]) -> None:
    events, expected, pointer = case
    verdict = last(decider(events[-1]), events, KNOWN)
    assert word(verdict) == expected
    if isinstance(verdict, Rejected):
        assert verdict.pointer == pointer


def state(*events: Event) -> Any:
    """What the last of these leaves; all are applied."""
    verdict = last(decider(events[-1]), events, KNOWN)
    assert isinstance(verdict, Decision), verdict
    assert [(event.type in EVENTS, event.data) for event in verdict.events] == [(True, verdict.state)]
    return verdict.state


@pytest.mark.parametrize("more", [1, 2])
def test_who_has_more_documents_than_there_may_be_can_mend_them(monkeypatch: pytest.MonkeyPatch, more: int) -> None:
    """As of the time before there was a bound."""
    grown = state(owner(), *(owner_updated(on=day) for day in days(4)))
    monkeypatch.setattr("registry.domain.MOST_DOCUMENTS", 5 - more)
    mended, added = (decide_owner(grown, submission(owner_updated(on=day)), KNOWN) for day in days(5)[-2:])
    assert (word(mended), word(added)) == ("→ updated", "too-many-documents")


# -------------------------------------------------------------------- documents and their days


def test_an_owner_is_told_as_it_was_stated() -> None:
    sent = owner(tax_code="0100047516")
    told = state(sent)
    assert isinstance(told, OwnerState)
    (document,) = told.documents
    assert (told.id, told.namespace, told.ref, told.closed) == (OWNER, TENANT, "CT-1", None)
    stated = document.model_dump(exclude_none=True, exclude={"origin"})
    assert stated == {name: value for name, value in sent["data"].items() if name != "owner"}
    assert document.from_ is None, "the first document holds from ever"
    assert document.origin == submission(sent).origin()


def test_a_product_is_told_as_it_was_stated() -> None:
    sent = placed("2004", "67")
    sent["data"]["place"]["place_printed"] = "xã Quảng Trực, huyện Tuy Đức"
    told = state(sent)
    assert isinstance(told, ProductState)
    (document,) = told.documents
    assert (told.id, told.namespace, told.ref, told.discontinued) == (PRODUCT, TENANT, "SP-1", None)
    assert (document.from_, document.name, document.owner.id) == (None, sent["data"]["name"], OWNER)
    assert document.place.model_dump() == sent["data"]["place"]
    assert document.origin == submission(sent).origin()


UPDATES: dict[str, tuple[Callable[..., Event], Callable[..., Event], Callable[..., Event]]] = {
    "owner": (owner, owner_updated, closed),
    "product": (product, product_updated, discontinued),
}


@pytest.mark.parametrize("kind", UPDATES)
def test_an_older_day_inserts_history_and_leaves_the_present_alone(kind: str) -> None:
    first, updated, _ = UPDATES[kind]
    told = state(first(), updated(on="2026-01-01"), updated(on="2025-09-01"))
    assert [str(document.from_) for document in told.documents] == ["None", "2025-09-01", "2026-01-01"]
    assert [document.origin.sequence for document in told.documents] == [1, 3, 2]


@pytest.mark.parametrize("kind", UPDATES)
def test_of_two_from_one_day_the_later_takes_the_place(kind: str) -> None:
    first, updated, _ = UPDATES[kind]
    told = state(first(), updated(on="2026-01-01"), updated(on="2025-09-01"), updated(on="2026-01-01"))
    assert [document.origin.sequence for document in told.documents] == [1, 3, 4]


@pytest.mark.parametrize("kind", UPDATES)
def test_an_end_leaves_the_documents_as_they_are(kind: str) -> None:
    first, updated, ended = UPDATES[kind]
    events = first(), updated()
    before, after = state(*events), state(*events, end := ended("2025"))
    assert after.documents == before.documents
    told = after.closed if kind == "owner" else after.discontinued
    assert told.origin == submission(end, 3).origin()
    assert "2025" in told.model_dump().values()


@given(st.lists(st.dates(date(2025, 7, 1), date(2025, 7, 9)), max_size=8))
def test_documents_stand_in_the_order_of_their_days_each_day_once(days: list[date]) -> None:
    for first, updated, _ in UPDATES.values():
        told = state(first(), *(updated(on=day.isoformat()) for day in days))
        since = [document.from_ for document in told.documents]
        assert since == [None, *sorted(set(days))]
        newest = {day: number for number, day in enumerate(days, 2)}
        assert [document.origin.sequence for document in told.documents[1:]] == [newest[day] for day in since[1:]]


# -------------------------------------------------------------------- of the owner: existence and tenant


@pytest.mark.parametrize("events", [[product()], [product(), product_updated(of="CT-2")]], ids=["first", "update"])
def test_a_product_waits_for_its_owner(events: list[Event]) -> None:
    wanted = events[-1]["data"]["owner"]["ref"]
    waits = last(decide_product, events, {} if len(events) == 1 else KNOWN)
    reference = aggregate_id("owner", Ref(namespace=TENANT, ref=wanted))
    assert waits == Waits(reference, "unknown-owner", "/data/owner", {"ref": f"{TENANT}/{wanted}"})


def test_what_is_refused_anyway_does_not_wait_for_its_owner() -> None:
    assert word(last(decide_product, [product_updated()], {})) == "not-registered"
    late = [product(), product_updated(of="CT-2", on="2026-08-06")]
    assert word(last(decide_product, late, KNOWN)) == "after-submission-time"


def test_an_end_names_no_owner_and_waits_for_none() -> None:
    assert word(last(decide_product, [product(), discontinued()], KNOWN)) == "→ discontinued"
    assert word(last(decide_product, [discontinued()], {})) == "not-registered"


STRANGER = {"namespace": "2025-80", "ref": "CT-1"}


@pytest.mark.parametrize("events", [[product()], [product(), product_updated()]], ids=["first", "update"])
def test_an_owner_of_another_province(events: list[Event]) -> None:
    *before, sent = events
    sent["data"]["owner"] = STRANGER
    for known in ({aggregate_id("owner", Ref(**STRANGER)): "2025-80"}, {}):
        verdict = last(decide_product, [*before, sent], KNOWN | known)
        assert verdict == Rejected("foreign-reference", "/data/owner", {"ref": "2025-80/CT-1"})


def test_an_owner_of_ours_that_another_province_registered() -> None:
    verdict = last(decide_product, [product()], {OWNER: "2025-80"})
    assert verdict == Rejected("foreign-reference", "/data/owner", {"ref": "2025-68/CT-1"})


def test_an_owner_of_a_forerunner_is_ours() -> None:
    sent = product()
    sent["data"]["owner"] = {"namespace": "2004-60", "ref": "CT-1"}
    known = {aggregate_id("owner", Ref(namespace="2004-60", ref="CT-1")): TENANT}
    assert word(last(decide_product, [sent], known)) == "→ registered"


@pytest.mark.parametrize(
    ("sent", "what"),
    [
        *((each, "owner") for each in (owner(), owner_updated(), closed())),
        *((each, "product") for each in (product(), product_updated(), discontinued())),
    ],
)
def test_a_subject_of_another_province(sent: Event, what: str) -> None:
    sent["data"][what] = {"namespace": "2025-80", "ref": "X-1"}
    verdict = last(decider(sent), [sent], KNOWN)
    assert verdict == Rejected("foreign-reference", f"/data/{what}/namespace", {"ref": "2025-80/X-1"})


def test_params_fill_the_words() -> None:
    wrong = last(decide_product, [product(), placed("2004", "67", "2025-07-01")], KNOWN)
    assert isinstance(wrong, Rejected)
    assert wrong.params == {"catalogue": "2004", "day": "2025-07-01"}
    late = last(decide_owner, [owner(), owner_updated(on="2026-08-06")], KNOWN)
    assert isinstance(late, Rejected)
    assert late.params == {"time": "2026-08-05"}
    for end, day in ((closed("2025"), "2025-12-31"), (closed("2026"), "2026-08-05"), (closed(), "2026-08-05")):
        later = owner_updated(on="2026-08-06") | {"time": "2026-08-06T00:00:00+07:00"}
        after = last(decide_owner, [owner(), end, later], KNOWN)
        assert isinstance(after, Rejected)
        assert after.params == {"ref": "2025-68/CT-1", "last_day": day}
    stopped = last(decide_product, [product(), discontinued("2025-08"), product_updated(on="2025-09-01")], KNOWN)
    assert isinstance(stopped, Rejected)
    assert stopped.params == {"ref": "2025-68/SP-1", "last_day": "2025-08-31"}
    again = last(decide_owner, [owner(), owner()], KNOWN)
    assert isinstance(again, Rejected)
    assert again.params == {"ref": "2025-68/CT-1"}
