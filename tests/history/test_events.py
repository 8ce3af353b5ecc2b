"""The generated histories are what provinces could send: events keep the rules, and none ever changes."""

import hashlib
import json
import unicodedata
from datetime import date, datetime
from typing import Any

import pytest

from contracts.names import Ref, namespaces_of
from contracts.submission import SUBMISSIONS
from ocop.history import Event, History, histories

HISTORIES = {history.tenant: history for history in histories()}
EVENTS = [event for history in HISTORIES.values() for event in history.events]
REAL = HISTORIES["2025-68"]

# What is submitted twice must be a duplicate, also by a demo that was started before a change of these files:
# what says something else needs another id.
DIGESTS = {
    "2025-68": "8071cec74e7518f9f1e3ffca0188dc9dd8ebf2fb26dd0234ddc14e5d907ddecd",
    "2025-82": "47054ab7e80285ec1fbb98b02e233fa9dbed671309c682f50289959faef669c6",
    "2025-80": "359861927dde6a9a913fbb110b652b20d2abbf2feb8172dbde92a20d56433465",
    "2025-92": "58707d11bfc2609df69f450dc416d4a1b4189e7133f8915552954df9b91cbe81",
    "2025-33": "8b0e72d4beff43490a29c8c9d54884c24b3ede0548e59200ba9c4112968250ed",
}


def of(namespace: str, happening: str) -> list[Event]:
    """The events of a namespace whose type ends so, "recognised" or "product.registered"."""
    return [e for e in EVENTS if e["subject"].startswith(f"{namespace}/") and e["type"].endswith(f"{happening}.v1")]


def issue(event: Event) -> str:
    text: str = event["data"]["issued_on"]
    return text


def named(ref: dict[str, str]) -> str:
    return f"{ref['namespace']}/{ref['ref']}"


@pytest.mark.parametrize("history", HISTORIES.values(), ids=lambda h: h.tenant)
def test_a_history_never_changes(history: History) -> None:
    text = json.dumps(history.events, ensure_ascii=False, sort_keys=True).encode()
    assert hashlib.sha256(text).hexdigest() == DIGESTS[history.tenant]


@pytest.mark.parametrize("history", HISTORIES.values(), ids=lambda h: h.tenant)
def test_events_are_their_tenants_own(history: History) -> None:
    assert set(history.namespaces) <= namespaces_of(history.tenant)
    for event in history.events:
        assert event["specversion"] == "1.0"
        assert event["datacontenttype"] == "application/json"
        assert event["source"] == f"/provinces/{history.tenant}/{history.system}"
        assert event["subject"].split("/")[0] in history.namespaces


@pytest.mark.parametrize("history", HISTORIES.values(), ids=lambda h: h.tenant)
def test_ids_are_unique_and_short(history: History) -> None:
    ids = [event["id"] for event in history.events]
    assert len(ids) == len(set(ids))
    assert max(len(id_) for id_ in ids) <= 64


def test_every_event_passes_its_contract() -> None:
    for event in EVENTS:
        kind = SUBMISSIONS[event["type"]]
        data = kind.model.model_validate_json(json.dumps(event["data"]))
        subject: Ref = kind.subject(data)[1]
        assert str(subject) == event["subject"]


@pytest.mark.parametrize("history", HISTORIES.values(), ids=lambda h: h.tenant)
def test_what_an_event_names_was_reported_before_it(history: History) -> None:
    reported: set[str] = set()
    acts: set[tuple[str, str]] = set()
    for event in history.events:
        data = event["data"]
        match event["type"].split(".")[3:5]:
            case ["product", _]:
                assert f"owner {named(data['owner'])}" in reported
            case ["listing", _]:
                assert f"product {named(data['product'])}" in reported
            case ["recognition", happening]:
                product, ref = event["subject"], data["recognition_ref"]
                assert f"product {product}" in reported
                assert (product, ref) not in acts
                assert happening == "renewed" or not any(about == product for about, _ in acts)
                assert "previous_ref" not in data or (product, data["previous_ref"]) in acts
                acts.add((product, ref))
        reported.add(f"{event['type'].split('.')[3]} {event['subject']}")


def test_nothing_can_have_happened_only_after_the_report() -> None:
    for event in EVENTS:
        stated_on = datetime.fromisoformat(event["time"]).date().isoformat()
        assert event["time"].endswith("T00:00:00+07:00")
        assert event["data"].get("issued_on", "2018") <= stated_on


def test_places_are_of_the_catalogue_of_their_namespace() -> None:
    for event in EVENTS:
        if "place" in event["data"]:
            province = event["data"]["place"]["province"]
            assert f"{province['catalogue']}-{province['code']}" == event["data"]["product"]["namespace"]


def test_all_text_is_nfc() -> None:
    text = json.dumps(EVENTS, ensure_ascii=False)
    assert unicodedata.is_normalized("NFC", text)


def test_what_is_invented_says_so_in_its_name() -> None:
    for event in EVENTS:
        name = event["data"].get("name", event["data"].get("business_name"))
        if name and event not in REAL.events and name != "Mắm cáy Hồng Tiến":
            assert "minh họa" in name


def test_no_act_is_invented() -> None:
    assert [event["id"] for event in EVENTS if "act" in event["data"] and event not in REAL.events] == []


def test_what_nobody_published_stays_unknown() -> None:
    def fields(namespace: str, happening: str) -> set[str]:
        return {field for event in of(namespace, happening) for field in event["data"]}

    act: set[str] = {"product", "recognition_ref"}
    assert fields("2004-87", "recognised") == act | {"issued_on", "occasion"}
    assert fields("2004-87", "renewed") == act | {"issued_on", "previous_ref"}
    assert fields("2004-87", "listed") == {"listing", "product", "platform"}
    assert fields("2004-80", "recognised") == act | {"issued_on", "stars", "group", "regime"}
    assert fields("2004-72", "recognised") == act | {"issued_on", "stars"}
    assert fields("2004-94", "recognised") == act | {"stars"}
    assert fields("2004-34", "recognised") == act | {"issued_on", "stars", "attested_from"}
    assert fields("2004-72", "owner.registered") == {"owner", "business_name", "name_is_trade_name"}


def test_dong_thap_is_made_as_its_figures_ask() -> None:
    recognised, renewed = of("2004-87", "recognised"), of("2004-87", "renewed")
    first = [e for e in recognised if e["data"].get("occasion") == "first"]
    before = [e for e in recognised if "occasion" not in e["data"]]
    predecessors = [e for e in before if e["subject"] in {r["subject"] for r in renewed}]
    older = [e for e in before if e not in predecessors]
    assert (len(first), len(renewed), len(older)) == (139, 56, 258)
    assert {issue(e) for e in first + renewed} == {"2023"}
    assert {issue(e) for e in predecessors} == {"2020"}
    assert len(predecessors) == len([e for e in renewed if "previous_ref" in e["data"]]) == 28
    assert min(map(issue, older)) == "2020-12-31"
    assert max(map(issue, older)) == "2022"
    assert of("2004-87", "upgraded") == []


def test_the_owners_of_dong_thap_hold_what_they_should() -> None:
    kinds: dict[str, Any] = {e["subject"]: e["data"].get("kind") for e in of("2004-87", "owner.registered")}
    owners = [named(e["data"]["owner"]) for e in of("2004-87", "product.registered")]
    assert len([owner for owner in owners if kinds[owner]]) == 21
    assert len([owner for owner in owners if not kinds[owner]]) == 432
    assert set(owners) == set(kinds)


def test_long_an_and_tay_ninh_are_made_as_their_sum_asks() -> None:
    long_an, tay_ninh = of("2004-80", "recognised"), of("2004-72", "recognised")
    assert len({e["subject"] for e in long_an if issue(e) == "2024"}) == 87
    older = [e["data"]["stars"] for e in long_an if issue(e) < "2024"]
    assert (older.count(4), older.count(3)) == (40, 108)
    assert min(map(issue, long_an + tay_ninh)) == "2022-07-01"
    assert max(map(issue, long_an)) == "2024"
    assert max(map(issue, tay_ninh)) == "2025-03-14"


def test_thai_binh_is_made_as_its_month_asks() -> None:
    issued = sorted(issue(e) for e in of("2004-34", "recognised"))
    assert (issued[0], issued[1], issued[-1]) == ("2020", "2020-11-30", "2023-11-01")
    assert issued.count("2020") == 1


def test_the_real_acts_are_dated_by_the_last_of_them() -> None:
    assert {event["time"] for event in REAL.events} == {"2026-08-05T00:00:00+07:00"}
    dated = [date.fromisoformat(issue(e)) for e in REAL.events if len(e["data"].get("issued_on", "")) == 10]
    assert max(dated) == date(2026, 8, 5)
