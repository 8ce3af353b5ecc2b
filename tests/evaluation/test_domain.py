"""The rules of recognitions, case by case: what was said before, what comes now, what becomes of it."""

from datetime import date, timedelta
from itertools import product
from typing import Any

import pytest
from evaluation.domain import MOST_RECOGNITIONS, NOT_COMPETENT, SAID, decide_recognition
from evaluation.validity import TERM
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from contracts import provinces
from contracts.decision import Decision, Rejected, Waits
from contracts.evaluation import Recognition, RecognitionState
from contracts.names import Ref, aggregate_id
from contracts.submission import SUBMISSIONS
from contracts.topics import EVENTS
from tests.acts import Event, act, corrected, recognised, renewed, revoked, upgraded
from tests.deciding import last, submission, word
from tests.submissions import TENANT, event

PRODUCT = aggregate_id("product", Ref(namespace=TENANT, ref="SP-1"))
KNOWN = {PRODUCT: TENANT}
DISTRICT = act("district", "2004", "67")

# name: events in order, all but the last applied; what becomes of the last; where it points to.
CASES: dict[str, tuple[list[Event], str, str]] = {
    # --- refs
    "a first one": ([recognised("1", "2025-06-19", occasion="first")], "→ recognised", ""),
    "with nothing known": ([recognised("1")], "→ recognised", ""),
    "renewed, the one before not known": ([renewed("2", "2025-06-19")], "→ renewed", ""),
    "upgraded, the one before not known": ([upgraded("2", "2025-06-19", stars=4)], "→ upgraded", ""),
    "the same ref again": (
        [recognised("1", "2020"), recognised("1", "2025")],
        "recognition-exists",
        "/data/recognition_ref",
    ),
    "as many as there may be, and one more": (
        [renewed(str(n)) for n in range(MOST_RECOGNITIONS + 1)],
        "too-many-recognitions",
        "/data/recognition_ref",
    ),
    "so many, and one of them corrected": (
        [*(renewed(str(n)) for n in range(MOST_RECOGNITIONS)), corrected("1", void=True)],
        "→ corrected",
        "",
    ),
    "the ref of one that was never issued": (
        [recognised("1", "2020"), corrected("1", void=True), renewed("1", "2025")],
        "recognition-exists",
        "/data/recognition_ref",
    ),
    "predecessor named": ([recognised("1", "2022"), renewed("2", "2025", previous_ref="1")], "→ renewed", ""),
    "predecessor missing": (
        [recognised("1", "2022"), renewed("2", "2025", previous_ref="0")],
        "previous-unknown",
        "/data/previous_ref",
    ),
    "predecessor missing, nothing said before": (
        [upgraded("2", "2025", previous_ref="1")],
        "previous-unknown",
        "/data/previous_ref",
    ),
    "its own predecessor": ([renewed("2", "2025", previous_ref="2")], "previous-unknown", "/data/previous_ref"),
    "predecessor never issued": (
        [recognised("1", "2022"), corrected("1", void=True), renewed("2", "2025", previous_ref="1")],
        "previous-unknown",
        "/data/previous_ref",
    ),
    "predecessor newer than itself": (
        [recognised("1", "2025"), renewed("2", "2022", previous_ref="1")],
        "→ renewed",
        "",
    ),
    # --- nothing is dated after the report
    "issued on the day of the report": ([recognised("1", "2026-08-05")], "→ recognised", ""),
    "issued on the day after": ([recognised("1", "2026-08-06")], "after-submission-time", "/data/issued_on"),
    "issued in the month of the report": ([recognised("1", "2026-08")], "→ recognised", ""),
    "issued in the month after": ([recognised("1", "2026-09")], "after-submission-time", "/data/issued_on"),
    "issued in the year of the report": ([recognised("1", "2026")], "→ recognised", ""),
    "issued in the year after": ([recognised("1", "2027")], "after-submission-time", "/data/issued_on"),
    "local days count, not those of Greenwich": (
        [recognised("1", "2026-08-06", time="2026-08-05T17:00:00Z")],
        "→ recognised",
        "",
    ),
    "a minute before that local day": (
        [recognised("1", "2026-08-06", time="2026-08-05T16:59:00Z")],
        "after-submission-time",
        "/data/issued_on",
    ),
    "it may well end later": ([recognised("1", "2026-08-05", valid_until="2029-08-05")], "→ recognised", ""),
    "a term of five years is flagged where it is read": (
        [recognised("1", "2025-06-19", valid_until="2030-06-19")],
        "→ recognised",
        "",
    ),
    # --- who may give how many stars
    "5 stars by the ministry": ([recognised("1", stars=5, act=act("ministry"))], "→ recognised", ""),
    "5 stars by a province": (
        [recognised("1", stars=5, act=act("province"))],
        "authority-not-competent",
        "/data/act/authority_level",
    ),
    "5 stars by a district": (
        [recognised("1", stars=5, act=act("district"))],
        "authority-not-competent",
        "/data/act/authority_level",
    ),
    "4 stars by a province": ([recognised("1", stars=4, act=act("province"))], "→ recognised", ""),
    "4 stars by a district": (
        [upgraded("1", stars=4, act=act("district"))],
        "authority-not-competent",
        "/data/act/authority_level",
    ),
    "3 stars by a district": ([recognised("1", stars=3, act=act("district"))], "→ recognised", ""),
    "5 stars, level not known": ([recognised("1", stars=5, act=act(None, "2004", "67"))], "→ recognised", ""),
    "stars not known, by a district": ([recognised("1", act=act("district"))], "→ recognised", ""),
    "renewed with 5 stars by a province": (
        [renewed("1", stars=5, act=act("province"))],
        "authority-not-competent",
        "/data/act/authority_level",
    ),
    "corrected to 5 stars by a province": (
        [recognised("1", stars=4), corrected("1", stars=5, act=act("province"))],
        "authority-not-competent",
        "/data/act/authority_level",
    ),
    # --- districts and merged provinces ended on 30/6/2025
    "a district on its last day": ([recognised("1", "2025-06-30", act=DISTRICT)], "→ recognised", ""),
    "a district on the day after": (
        [recognised("1", "2025-07-01", act=DISTRICT)],
        "authority-abolished",
        "/data/act/authority_level",
    ),
    "a district in June": ([recognised("1", "2025-06", act=DISTRICT)], "→ recognised", ""),
    "a district in July": (
        [renewed("1", "2025-07", act=act("district"))],
        "authority-abolished",
        "/data/act/authority_level",
    ),
    "a district in 2025": ([recognised("1", "2025", act=DISTRICT)], "→ recognised", ""),
    "a district in 2026": ([recognised("1", "2026", act=DISTRICT)], "authority-abolished", "/data/act/authority_level"),
    "a district, day not known": ([recognised("1", act=DISTRICT, valid_until="2029")], "→ recognised", ""),
    "a merged province on its last day": (
        [recognised("1", "2025-06-30", act=act("province", "2004", "67"))],
        "→ recognised",
        "",
    ),
    "a merged province on the day after": (
        [recognised("1", "2025-07-01", act=act("province", "2004", "67"))],
        "authority-abolished",
        "/data/act/authority_province",
    ),
    "a merged province that kept name and code": (
        [recognised("1", "2025-07-01", act=act(None, "2004", "68"))],
        "authority-abolished",
        "/data/act/authority_province",
    ),
    "its successor of the same code": (
        [recognised("1", "2025-07-01", act=act("province", "2025", "68"))],
        "→ recognised",
        "",
    ),
    "a province that nothing was merged with": (
        [recognised("1", "2025-07-01", act=act("province", "2004", "01"))],
        "→ recognised",
        "",
    ),
    "the ministry, for a product of a merged province": (
        [recognised("1", "2026-01-05", stars=5, act=act("ministry", "2004", "67"))],
        "→ recognised",
        "",
    ),
    "a province of 2025 before its time is odd, and taken": (
        [recognised("1", "2025-06-30", act=act("province", "2025", "68"))],
        "→ recognised",
        "",
    ),
    "corrected to a district's of July": (
        [recognised("1", "2025"), corrected("1", "2025-07", act=DISTRICT)],
        "authority-abolished",
        "/data/act/authority_level",
    ),
    "revoked by a district on its last day": (
        [recognised("1", "2024"), revoked("1", "2025-06-30", act=DISTRICT)],
        "→ revoked",
        "",
    ),
    "revoked by a district on the day after": (
        [recognised("1", "2024"), revoked("1", "2025-07-01", act=DISTRICT)],
        "authority-abolished",
        "/data/act/authority_level",
    ),
    "revoked by a merged province on the day after": (
        [recognised("1", "2024"), revoked("1", "2025-07-01", act=act("province", "2004", "60"))],
        "authority-abolished",
        "/data/act/authority_province",
    ),
    # --- recognised while another is valid
    "valid to the very day before": (
        [recognised("1", "2024-02-29"), recognised("2", "2027-03-01", time="2027-08-05T00:00:00+07:00")],
        "still-valid",
        "/data/issued_on",
    ),
    "ended on the day before: 29/2/2024 and 36 months are 28/2/2027": (
        [recognised("1", "2024-02-29"), recognised("2", "2027-03-02", time="2027-08-05T00:00:00+07:00")],
        "→ recognised",
        "",
    ),
    "valid as printed to the day before": (
        [recognised("1", "2020-01-01", valid_until="2026-01-31"), recognised("2", "2026-02-01")],
        "still-valid",
        "/data/issued_on",
    ),
    "ended as printed": (
        [recognised("1", "2025-01-01", valid_until="2026-01-31"), recognised("2", "2026-02-02")],
        "→ recognised",
        "",
    ),
    "printed month: it may have ended on its first day": (
        [recognised("1", "2025-01-01", valid_until="2026-01"), recognised("2", "2026-01-03")],
        "→ recognised",
        "",
    ),
    "printed month: its first day is valid": (
        [recognised("1", "2025-01-01", valid_until="2026-01"), recognised("2", "2026-01-02")],
        "still-valid",
        "/data/issued_on",
    ),
    "issued on the day before": (
        [recognised("1", "2025-01-01"), recognised("2", "2025-01-02")],
        "still-valid",
        "/data/issued_on",
    ),
    "issued on the same day": ([recognised("1", "2025-01-01"), recognised("2", "2025-01-01")], "→ recognised", ""),
    "an older act inserts history": (
        [recognised("1", "2025-06-19"), recognised("2", "2023-06-19")],
        "→ recognised",
        "",
    ),
    "older than the present, but not than the past": (
        [recognised("1", "2021-06-19"), recognised("3", "2025-06-19"), recognised("2", "2023-06-19")],
        "still-valid",
        "/data/issued_on",
    ),
    "two of the same year may be in either order": (
        [recognised("1", "2024"), recognised("2", "2024")],
        "→ recognised",
        "",
    ),
    "the year after is certainly later": (
        [recognised("1", "2023"), recognised("2", "2024")],
        "still-valid",
        "/data/issued_on",
    ),
    "36 months after the year's first day are over": (
        [recognised("1", "2022"), recognised("2", "2025")],
        "→ recognised",
        "",
    ),
    "36 months after the year's first day are just not over": (
        [recognised("1", "2022"), recognised("2", "2025-01-02")],
        "still-valid",
        "/data/issued_on",
    ),
    "the other one's day is not known": ([recognised("1"), recognised("2", "2026-08-05")], "→ recognised", ""),
    "the other one's day is bounded by its report": (
        [recognised("1", "2026", time="2026-02-01T00:00:00+07:00"), recognised("2", "2026-02-02")],
        "still-valid",
        "/data/issued_on",
    ),
    "its own day is bounded by its report": (
        [recognised("1", "2022-12-31"), recognised("2", "2025", time="2025-12-30T00:00:00+07:00")],
        "still-valid",
        "/data/issued_on",
    ),
    "a day later it is not": (
        [recognised("1", "2022-12-31"), recognised("2", "2026", time="2026-01-02T00:00:00+07:00")],
        "→ recognised",
        "",
    ),
    "its own day is not known": ([recognised("1", "2025-06-19"), recognised("2")], "→ recognised", ""),
    "first, while another is valid": (
        [recognised("1", "2025-06-19"), recognised("2", "2026-08-05", occasion="first")],
        "still-valid",
        "/data/issued_on",
    ),
    "revoked on the day before": (
        [recognised("1", "2025-06-19"), revoked("1", "2026-08-04"), recognised("2", "2026-08-05")],
        "→ recognised",
        "",
    ),
    "revoked on the same day": (
        [recognised("1", "2025-06-19"), revoked("1", "2026-08-05"), recognised("2", "2026-08-05")],
        "still-valid",
        "/data/issued_on",
    ),
    "revoked on a day not known": (
        [recognised("1", "2025-06-19"), revoked("1"), recognised("2", "2026-08-05")],
        "→ recognised",
        "",
    ),
    "the other one was never issued": (
        [recognised("1", "2025-06-19"), corrected("1", "2025-06-19", void=True), recognised("2", "2026-08-05")],
        "→ recognised",
        "",
    ),
    "renewed while another is valid": ([recognised("1", "2025-06-19"), renewed("2", "2026-08-05")], "→ renewed", ""),
    "upgraded while another is valid": ([recognised("1", "2025-06-19"), upgraded("2", "2026-08-05")], "→ upgraded", ""),
    "the valid one is a renewed one": (
        [recognised("1", "2021"), renewed("2", "2024-05-01", previous_ref="1"), recognised("3", "2026-08-05")],
        "still-valid",
        "/data/issued_on",
    ),
    "superseded by one that was revoked: it does not come back": (
        [
            recognised("1", "2024-05-01"),
            upgraded("2", "2025-05-01", previous_ref="1"),
            revoked("2", "2026-01-01"),
            recognised("3", "2026-08-05"),
        ],
        "→ recognised",
        "",
    ),
    "perhaps superseded by one that was revoked": (
        [recognised("1", "2024-05-01"), renewed("2"), revoked("2", "2026-01-01"), recognised("3", "2026-08-05")],
        "→ recognised",
        "",
    ),
    "perhaps superseded, and if so that one still runs": (
        [recognised("1", "2024-05-01"), renewed("2"), recognised("3", "2026-08-05")],
        "still-valid",
        "/data/issued_on",
    ),
    "one issued later leaves no doubt, whenever it was revoked": (
        [
            recognised("1", "2025-06-19"),
            renewed("3", "2026-12-01", time="2027-01-01T00:00:00+07:00"),
            revoked("3", time="2027-01-01T00:00:00+07:00"),
            recognised("2", "2026-08-05"),
        ],
        "still-valid",
        "/data/issued_on",
    ),
    "an older one that was revoked leaves no doubt": (
        [
            recognised("1", "2021-05-01"),
            revoked("1", "2022"),
            recognised("2", "2024-05-01"),
            recognised("3", "2026-08-05"),
        ],
        "still-valid",
        "/data/issued_on",
    ),
    # --- upgraded means more stars
    "4 after 3": (
        [recognised("1", "2024", stars=3), upgraded("2", "2025", stars=4, previous_ref="1")],
        "→ upgraded",
        "",
    ),
    "4 after 4": (
        [recognised("1", "2024", stars=4), upgraded("2", "2025", stars=4, previous_ref="1")],
        "not-more-stars",
        "/data/stars",
    ),
    "3 after 4": (
        [recognised("1", "2024", stars=4), upgraded("2", "2025", stars=3, previous_ref="1")],
        "not-more-stars",
        "/data/stars",
    ),
    "not known after 4": (
        [recognised("1", "2024", stars=4), upgraded("2", "2025", previous_ref="1")],
        "→ upgraded",
        "",
    ),
    "4 after not known": (
        [recognised("1", "2024"), upgraded("2", "2025", stars=4, previous_ref="1")],
        "→ upgraded",
        "",
    ),
    "3, the 4 before it not named": (
        [recognised("1", "2024", stars=4), upgraded("2", "2025", stars=3)],
        "→ upgraded",
        "",
    ),
    "renewed with fewer stars": (
        [recognised("1", "2022", stars=5), renewed("2", "2025", stars=4, previous_ref="1")],
        "→ renewed",
        "",
    ),
    "an upgrade corrected to as many stars as before": (
        [
            recognised("1", "2024", stars=3),
            upgraded("2", "2025", stars=4, previous_ref="1"),
            corrected("2", "2025", stars=3),
        ],
        "not-more-stars",
        "/data/stars",
    ),
    "the one before an upgrade corrected: which of the two is wrong, nobody knows": (
        [
            recognised("1", "2024", stars=3),
            upgraded("2", "2025", stars=4, previous_ref="1"),
            corrected("1", "2024", stars=4),
        ],
        "→ corrected",
        "",
    ),
    # --- corrected
    "corrected, never said": ([corrected("1", "2025")], "unknown-recognition", "/data/recognition_ref"),
    "corrected, another was said": (
        [recognised("1", "2025"), corrected("2", "2025")],
        "unknown-recognition",
        "/data/recognition_ref",
    ),
    "corrected to a day after the report": (
        [recognised("1", "2025"), corrected("1", "2026-08-06")],
        "after-submission-time",
        "/data/issued_on",
    ),
    "corrected though history was inserted that stands before it": (
        [recognised("2", "2025-06-19"), recognised("1", "2024"), corrected("2", "2025-06-19", group="food")],
        "→ corrected",
        "",
    ),
    "never issued: nothing else of it is looked at": (
        [recognised("1", "2025"), corrected("1", "2025-07", void=True, stars=5, act=DISTRICT)],
        "→ corrected",
        "",
    ),
    "issued after all": (
        [recognised("1", "2025"), corrected("1", void=True), corrected("1", "2025")],
        "→ corrected",
        "",
    ),
    # --- revoked
    "revoked": ([recognised("1", "2025"), revoked("1", "2026-03-01", cause="dd")], "→ revoked", ""),
    "revoked, day not known": ([recognised("1", "2025"), revoked("1")], "→ revoked", ""),
    "revoked, never said": ([revoked("1", "2026")], "unknown-recognition", "/data/recognition_ref"),
    "revoked twice": (
        [recognised("1", "2025"), revoked("1", "2026-03-01"), revoked("1", "2026-03-01")],
        "already-revoked",
        "/data/recognition_ref",
    ),
    "revoked, never issued": (
        [recognised("1", "2025"), corrected("1", void=True), revoked("1", "2026")],
        "unknown-recognition",
        "/data/recognition_ref",
    ),
    "revoked after the report": (
        [recognised("1", "2025"), revoked("1", "2026-08-06")],
        "after-submission-time",
        "/data/revoked_on",
    ),
    "revoked before it was issued": (
        [recognised("1", "2025"), revoked("1", "2024")],
        "ended-before-it-began",
        "/data/revoked_on",
    ),
    "issued after it was revoked, by a correction": (
        [recognised("1", "2024"), revoked("1", "2025-06"), corrected("1", "2025-07-01")],
        "ended-before-it-began",
        "/data/issued_on",
    ),
    "revoked in the year of the report": ([recognised("1", "2025"), revoked("1", "2026")], "→ revoked", ""),
    "revoked after it expired is odd, and taken": (
        [recognised("1", "2020-01-01"), revoked("1", "2026")],
        "→ revoked",
        "",
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_what_becomes_of_it(case: tuple[list[Event], str, str]) -> None:
    events, expected, pointer = case
    verdict = last(decide_recognition, events, KNOWN)
    assert word(verdict) == expected
    assert (verdict.pointer if isinstance(verdict, Rejected) else "") == pointer


def state(*events: Event) -> RecognitionState:
    """What the last of these leaves; all are applied."""
    verdict = last(decide_recognition, events, KNOWN)
    assert isinstance(verdict, Decision), verdict
    assert isinstance(verdict.state, RecognitionState)
    assert [event.data for event in verdict.events] == [verdict.state]
    return verdict.state


@pytest.mark.parametrize("more", [0, 1])
def test_who_has_more_recognitions_than_there_may_be_gets_no_other(monkeypatch: pytest.MonkeyPatch, more: int) -> None:
    """As of the time before there was a bound."""
    grown = state(*(renewed(str(n)) for n in range(4)))
    monkeypatch.setattr("evaluation.domain.MOST_RECOGNITIONS", 4 - more)
    assert word(decide_recognition(grown, submission(renewed("5")), KNOWN)) == "too-many-recognitions"


def one(*events: Event) -> Recognition:
    (recognition,) = state(*events).recognitions
    return recognition


def refused(*events: Event) -> Rejected:
    verdict = last(decide_recognition, events, KNOWN)
    assert isinstance(verdict, Rejected), verdict
    return verdict


# -------------------------------------------------------------------- what is told


def test_every_type_of_the_aggregate_says_an_event_of_its_own() -> None:
    types = {kind.model: name for name, kind in SUBMISSIONS.items() if kind.aggregate == "recognition"}
    assert {model: name.replace(".province.", ".evaluation.") for model, name in types.items()} == SAID
    assert set(SAID.values()) <= set(EVENTS)


def test_the_document_is_what_was_stated() -> None:
    fields: dict[str, Any] = {
        "stars": 4,
        "valid_until": "2028-06-19",
        "act": act("province", "2004", "67") | {"number": "858/QĐ-UBND", "authority_printed": "UBND tỉnh Đắk Nông"},
        "regime": "148-2023",
        "regime_printed": "148/QĐ-TTg",
        "group": "food",
        "group_printed": "Thực phẩm",
        "attested_from": "act",
    }
    sent = recognised("858-2025", "2025-06-19", occasion="first", **fields)
    told = one(sent)
    dumped = told.model_dump(exclude_none=True, exclude={"origin"})
    expected = {"recognition_ref": "858-2025", "issued_on": "2025-06-19", "occasion": "first", **fields}
    assert dumped == expected | {"basis": "attested", "void": False}
    assert told.origin == submission(sent).origin()
    assert state(sent).product.id == PRODUCT


@pytest.mark.parametrize(
    ("sent", "occasion"),
    [
        (recognised("1"), None),
        (recognised("1", occasion="first"), "first"),
        (renewed("1"), "renewed"),
        (upgraded("1"), "upgraded"),
    ],
)
def test_the_occasion_is_that_of_the_report(sent: Event, occasion: str | None) -> None:
    assert one(sent).occasion == occasion
    again = corrected("1", "2024")
    assert one(sent, again).occasion == occasion, "a correction keeps it"


def test_a_correction_replaces_the_document_and_keeps_what_is_the_acts_own() -> None:
    before = [
        recognised("1", "2022", stars=3),
        upgraded("2", "2025-01", stars=4, group="food", previous_ref="1"),
        revoked("2", "2026-01-01", cause="b"),
    ]
    again = corrected("2", "2025-02", stars=5)
    old, new = state(*before).recognitions[1], state(*before, again).recognitions[1]
    assert (new.occasion, new.previous_ref, new.revoked) == ("upgraded", "1", old.revoked)
    assert (new.issued_on, new.stars, new.group) == ("2025-02", 5, None), "what is left out is not known any more"
    assert new.origin == submission(again, 4).origin()


def test_never_issued_and_issued_after_all() -> None:
    first = recognised("1", "2025", stars=3)
    assert one(first, corrected("1", void=True)).void is True
    assert one(first, corrected("1", void=True), corrected("1", "2025", stars=3)).void is False
    assert one(first, corrected("1", "2025", void=False)).void is False


def test_a_revocation_leaves_the_document_as_it_is() -> None:
    first = recognised("1", "2025", stars=3)
    end = revoked("1", "2026-03", cause="dd", act=act("province", "2025", "68"))
    before, after = one(first), one(first, end)
    assert after.model_copy(update={"revoked": None}) == before
    assert after.revoked is not None
    assert (after.revoked.revoked_on, after.revoked.cause) == ("2026-03", "dd")
    assert after.revoked.act is not None
    assert after.revoked.act.authority_level == "province"
    assert after.revoked.origin == submission(end, 2).origin()


def test_recognitions_stand_in_the_order_in_which_they_were_first_applied() -> None:
    events = [recognised("b", "2025"), recognised("a", "2021"), corrected("b", "2025-01"), revoked("b")]
    assert [each.recognition_ref for each in state(*events).recognitions] == ["b", "a"]


def test_params_fill_the_words() -> None:
    assert refused(recognised("1", "2026-08-06")).params == {"time": "2026-08-05"}
    assert refused(recognised("1", "2023"), recognised("2", "2024")).params == {"recognition_ref": "1"}
    assert refused(recognised("1", stars=5, act=act("province"))).params == {"level": "province", "stars": 5}
    worse = upgraded("2", stars=3, previous_ref="1")
    assert refused(recognised("1", stars=4), worse).params == {"before": 4}
    assert refused(revoked("1")).params == {"recognition_ref": "1"}
    assert refused(renewed("2", previous_ref="1")).params == {"recognition_ref": "1"}


# -------------------------------------------------------------------- of the product: existence and tenant


@pytest.mark.parametrize("sent", [recognised("1"), renewed("1"), upgraded("1")], ids=lambda sent: sent["type"])
def test_it_waits_for_its_product(sent: Event) -> None:
    waits = last(decide_recognition, [sent], {})
    assert waits == Waits(PRODUCT, "unknown-product", "/data/product", {"ref": "2025-68/SP-1"})


@pytest.mark.parametrize(
    "sent", [recognised("1", "2026-08-06"), renewed("2", previous_ref="1"), corrected("1"), revoked("1")]
)
def test_what_is_refused_anyway_does_not_wait_for_its_product(sent: Event) -> None:
    assert isinstance(last(decide_recognition, [sent], {}), Rejected)


def test_a_product_of_another_province() -> None:
    sent = recognised("1") | {"data": {"product": {"namespace": "2025-80", "ref": "SP-1"}, "recognition_ref": "1"}}
    there = aggregate_id("product", Ref(namespace="2025-80", ref="SP-1"))
    for known in ({there: "2025-80"}, {}):
        verdict = last(decide_recognition, [sent], known)
        assert verdict == Rejected("foreign-reference", "/data/product/namespace", {"ref": "2025-80/SP-1"})


def test_a_product_of_ours_that_another_province_registered() -> None:
    verdict = last(decide_recognition, [recognised("1")], {PRODUCT: "2025-80"})
    assert verdict == Rejected("foreign-reference", "/data/product", {"ref": "2025-68/SP-1"})


def test_a_product_of_a_forerunner_is_ours() -> None:
    sent = recognised("1") | {"data": {"product": {"namespace": "2004-60", "ref": "SP-1"}, "recognition_ref": "1"}}
    there = aggregate_id("product", Ref(namespace="2004-60", ref="SP-1"))
    assert word(last(decide_recognition, [sent], {there: TENANT})) == "→ recognised"


# -------------------------------------------------------------------- certainly wrong, day by day

DAYS = st.sampled_from(["2024", "2025", "2025-06", "2025-07", "2025-06-30", "2025-07-01", "2026", "2026-08-05", None])


def completed(partial: str | None, until: str) -> list[str]:
    """Days that a date can mean: its first and its last, and those about 30/6/2025."""
    if partial is None:
        return ["2018-01-01", "2025-06-30", "2025-07-01", until]
    limits = {
        4: (f"{partial}-01-01", f"{partial}-12-31"),
        7: (f"{partial}-01", f"{partial}-28"),
        10: (partial, partial),
    }
    first, final = limits[len(partial)]
    inner = [day for day in ("2025-06-30", "2025-07-01") if first <= day <= final]
    return [first, *inner, min(final, until)]


def accepted(*events: Event) -> bool:
    return isinstance(last(decide_recognition, events, KNOWN), Decision)


@given(DAYS, st.sampled_from(["district", "province", "ministry", None]), st.sampled_from(["01", "67", "68", None]))
def test_an_authority_is_refused_only_if_every_day_is_wrong(
    day: str | None, level: str | None, code: str | None
) -> None:
    stated = act(level, "2004" if code else None, code)
    days = completed(day, "2026-08-05")
    each = [accepted(recognised("1", each, act=stated)) for each in days]
    assert accepted(recognised("1", day, act=stated)) == any(each)


ISSUED = st.sampled_from(["2021", "2022", "2022-12", "2023-06-15", "2024", "2024-02-29", "2025", "2025-12", None])
UNTIL = st.sampled_from([None, None, None, "2025-12-31", "2026-06", "2027"])
REVOKED = st.sampled_from([None, None, None, "2026-03-01", "2026", "2027-02", ""])
OTHER = st.tuples(ISSUED, UNTIL, REVOKED)
NEW = ["2024", "2025-12", "2025-12-14", "2026", "2026-02-28", "2027-02-28", "2027-03-01", "2027-03-02", None]
LATE = "2027-06-01"

Terms = list[tuple[str, str, str]]  # of one other recognition, every way to read it: issued, last day, revoked


def readings(issued_on: str | None, until: str | None, revoked_on: str | None) -> Terms:
    found = []
    for issued in completed(issued_on, LATE):
        printed = completed(until, "2099") if until else [(date.fromisoformat(issued) + TERM).isoformat()]
        days = completed(revoked_on or None, LATE) if revoked_on is not None else ["2099"]
        found += [(issued, final, day) for final in printed for day in days if issued <= final and issued <= day]
    return found


def stands(others: tuple[tuple[str, str, str], ...], new: str) -> bool:
    """The rule for days that are known in full: the newest issued before stands on the day before."""
    day = (date.fromisoformat(new) - timedelta(days=1)).isoformat()
    newest = max((issued for issued, _, _ in others if issued <= day), default="")
    # Of two from one day nobody knows which is the newer.
    return bool(newest) and all(day <= until and day < end for issued, until, end in others if issued == newest)


@settings(max_examples=300)
@given(st.lists(OTHER, min_size=1, max_size=3), st.sampled_from(NEW))
def test_still_valid_is_said_only_if_it_is_so_on_every_day(
    others: list[tuple[str | None, str | None, str | None]], new: str | None
) -> None:
    terms = [readings(*other) for other in others]
    assume(all(terms))
    events = []
    for number, (issued_on, until, end) in enumerate(others):
        assume(not (issued_on and until) or issued_on <= until)
        events.append(renewed(str(number), issued_on, valid_until=until, time=f"{LATE}T00:00:00+07:00"))
        if end is not None:
            events.append(revoked(str(number), end or None, time=f"{LATE}T00:00:00+07:00"))
    taken = accepted(*events, recognised("new", new, time=f"{LATE}T00:00:00+07:00"))
    days = completed(new, LATE)
    always = all(stands(case, day) for case in product(*terms) for day in days)
    assert taken or always, "refused, though on some days it would have been right"
    if len(days) == 1 and all(len(each) == 1 for each in terms):
        assert taken != always, "taken, though every day is known"


def test_levels_are_those_of_the_contract() -> None:
    assert NOT_COMPETENT == {5: ("province", "district"), 4: ("district",)}


@pytest.mark.parametrize("code", provinces.codes("2004"))
def test_a_province_is_abolished_if_it_was_merged(code: str) -> None:
    (new,) = provinces.successors(code)
    sent = recognised("1", "2025-07-01", act=act("province", "2004", code))
    assert accepted(sent) == (len(provinces.forerunners(new)) == 1)


def test_eleven_provinces_went_on_as_they_were() -> None:
    sent = (recognised("1", "2026", act=act("province", "2004", code)) for code in provinces.codes("2004"))
    assert sum(accepted(each) for each in sent) == 11


def test_a_type_of_another_aggregate_is_a_mistake_of_the_wiring() -> None:
    stray = event("listing.delisted", {"listing": {"namespace": TENANT, "ref": "NY-1"}})
    with pytest.raises(AssertionError):
        last(decide_recognition, [stray], KNOWN)
