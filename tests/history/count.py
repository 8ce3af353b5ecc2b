"""Counting on paper: figures from submitted events, by the rules of counting alone.

Slow and simple, and nothing of it is shared with the services, so that the two can be held against each
other. It knows no intervals: it tries every day on which an act can have been issued, and asks what then
stands on the day that is counted. What stands in all cases is certain, what stands in one is possible.
"""

import itertools
from calendar import monthrange
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, timezone
from functools import cache
from typing import Any

Event = dict[str, Any]
Filters = tuple[tuple[str, str], ...]
Tally = tuple[int, int]  # count, of which uncertain

VIETNAM = timezone(timedelta(hours=7))
FIRST_DAY = date(2018, 1, 1)  # of what has no date
LAST_DAY = {"sendo": date(2025, 4, 15)}  # of a platform that closed
# The provinces of the history: code of 2004 -> code of 2025.
WENT_INTO = {"87": "82", "82": "82", "80": "80", "72": "80", "92": "92", "93": "92", "94": "92"}
WENT_INTO |= {"33": "33", "34": "33", "60": "68", "67": "68", "68": "68", "01": "01"}
OTHER_KINDS = ("farm", "association")


@dataclass
class Act:
    """A recognition as last reported."""

    ref: str
    number: int
    stated_on: date
    occasion: str
    previous: str | None
    document: dict[str, Any]
    revoked: dict[str, Any] | None = None
    revoked_stated_on: date = date.max


@dataclass
class Sheet:
    """What was reported, sorted by the thing that it is about; documents in the order in which they came."""

    owners: dict[str, list[Event]] = field(default_factory=dict)
    products: dict[str, list[Event]] = field(default_factory=dict)
    acts: dict[str, dict[str, Act]] = field(default_factory=dict)
    listings: dict[str, list[Event]] = field(default_factory=dict)
    reported_up_to: dict[str, date] = field(default_factory=dict)


@dataclass
class Answer:
    count: int
    uncertain: int
    cells: dict[str, Tally]
    not_attributable: dict[tuple[str, ...], Tally]
    share: tuple[int, int] | None = None


@dataclass
class Case:
    """Something to count: the values that it has in each dimension, and whether it has them for certain."""

    key: str
    values: dict[str, tuple[str, ...]]
    certain: bool
    candidates: tuple[str, ...] = ()


def sheet(events: Iterable[Event]) -> Sheet:
    """The events, all of them accepted, written down."""
    paper = Sheet()
    for number, event in enumerate(events):
        data = event["data"]
        _, _, _, thing, happening, _ = event["type"].split(".")
        key = name(data[thing if thing != "recognition" else "product"])
        namespace, up_to = key.split("/")[0], local_date(event)
        paper.reported_up_to[namespace] = max(up_to, paper.reported_up_to.get(namespace, up_to))
        if thing == "owner" and happening != "closed":
            paper.owners.setdefault(key, []).append(event)
        elif thing == "product" and happening != "discontinued":
            paper.products.setdefault(key, []).append(event)
        elif thing == "listing":
            paper.listings.setdefault(key, []).append(event)
        elif thing == "recognition":
            write_act(paper.acts.setdefault(key, {}), happening, number, event)
    return paper


def write_act(acts: dict[str, Act], happening: str, number: int, event: Event) -> None:
    data, ref = event["data"], event["data"]["recognition_ref"]
    if happening == "revoked":
        acts[ref].revoked, acts[ref].revoked_stated_on = data, local_date(event)
    elif happening == "corrected":
        act = acts[ref]
        act.document, act.stated_on = data, local_date(event)
    else:
        occasion = data.get("occasion", "unknown") if happening == "recognised" else happening
        acts[ref] = Act(ref, number, local_date(event), occasion, data.get("previous_ref"), data)


def answer(
    paper: Sheet,
    indicator: str,
    at: date,
    map_: str,
    province: tuple[str, str] | None = None,
    by: str | None = None,
    filters: Filters = (),
) -> Answer:
    """What the figure is. A filter given twice takes either value."""
    used = {dimension for dimension, _ in filters} | {by}
    counted = total(CASES[indicator](paper, at, map_, used), map_, province, by, filters)
    if by:  # the whole is as certain as it is, whatever it is broken down by
        whole = answer(paper, indicator, at, map_, province, None, filters)
        counted.count, counted.uncertain, counted.not_attributable = (
            whole.count,
            whole.uncertain,
            whole.not_attributable,
        )
    if indicator == "online":
        rest = tuple((dimension, value) for dimension, value in filters if dimension != "platform")
        counted.share = (counted.count, answer(paper, "products", at, map_, province, None, rest).count)
    return counted


def total(
    cases: Iterable[Case], map_: str, province: tuple[str, str] | None, by: str | None, filters: Filters
) -> Answer:
    """The cases that pass the filters, added up."""
    inside, perhaps = [], []
    for case in cases:
        if not all(wanted(filters, dimension) & set(case.values[dimension]) for dimension, _ in filters):
            continue
        if not province or province[1] in case.values[f"province-{province[0]}"]:
            inside.append(case)
        elif province[0] == map_ and province[1] in case.candidates:
            perhaps.append(case)
    cells: dict[str, list[Case]] = {}
    nowhere: dict[tuple[str, ...], list[Case]] = {}
    for case in inside:
        for value in case.values[f"province-{map_}" if by == "province" else by] if by else ():
            cells.setdefault(value, []).append(case)
    for case in inside + perhaps:
        if case.candidates:
            nowhere.setdefault(case.candidates, []).append(case)
    return Answer(
        *tally(inside),
        {value: tally(found) for value, found in cells.items()},
        {candidates: tally(found) for candidates, found in nowhere.items()},
    )


def wanted(filters: Filters, dimension: str) -> set[str]:
    return {value for name, value in filters if name == dimension}


def tally(cases: list[Case]) -> Tally:
    """Things counted once each, however many cases speak for one; certain if one of these is."""
    keys = {case.key for case in cases}
    certain = {case.key for case in cases if case.certain}
    return len(keys), len(keys - certain)


def products(paper: Sheet, at: date, map_: str, used: set[str | None]) -> Iterable[Case]:
    """Each product that can stand on the day: one cell, that of the newest act that can."""
    for key in paper.products:
        acts = newest_first(paper.acts.get(key, {}).values())
        outcomes = set(outcomes_on(acts, at))
        shown = next((act for act in acts if act.ref in outcomes), None)
        if shown:
            by_ref = {act.ref: act for act in acts}
            cells = {cell(by_ref[ref], used) if ref else None for ref in outcomes}
            values = place_and_owner(paper, key, at) | act_values(shown)
            yield Case(key, values, len(cells) == 1, candidates_on(paper, key, at, map_))


def owners(paper: Sheet, at: date, map_: str, used: set[str | None]) -> Iterable[Case]:
    for case in products(paper, at, map_, used):
        yield Case(case.values["owner"][0], case.values, case.certain, case.candidates)


def online(paper: Sheet, at: date, map_: str, used: set[str | None]) -> Iterable[Case]:
    for case in products(paper, at, map_, used):
        for listing in paper.listings.values():
            data = listing[0]["data"]
            if name(data["product"]) != case.key:
                continue
            states = set(listing_states(listing, at))
            if True in states:
                values = case.values | {"platform": (data["platform"],)}
                yield Case(case.key, values, case.certain and states == {True}, case.candidates)


def recognitions(paper: Sheet, at: date, map_: str, used: set[str | None]) -> Iterable[Case]:
    """Acts issued until the day, whatever became of them; only one that never was issued is none."""
    for key, acts in paper.acts.items():
        for act in acts.values():
            if act.document.get("void"):
                continue
            days = days_of(act.document.get("issued_on"), act.stated_on)
            years = {day.year for day in days if day <= at} if "year" in used else {None}
            for year in years:
                counted = {day <= at and year in (None, day.year) for day in days}
                if True in counted:
                    values = place_and_owner(paper, key, at) | act_values(act)
                    values["year"] = (str(year),)
                    candidates = candidates_on(paper, key, at, map_)
                    yield Case(f"{key}#{act.ref}", values, counted == {True}, candidates)


CASES = {"products": products, "owners": owners, "online": online, "recognitions": recognitions}


def cell(act: Act, used: set[str | None]) -> tuple[object, ...]:
    return tuple(act.document.get(dimension) for dimension in ("stars", "group") if dimension in used)


def act_values(act: Act) -> dict[str, tuple[str, ...]]:
    return {
        "stars": (str(act.document.get("stars", "unknown")),),
        "group": (act.document.get("group", "unknown"),),
        "occasion": (act.occasion,),
    }


def newest_first(acts: Iterable[Act]) -> list[Act]:
    """Acts by issue; where neither the dates nor the acts tell, the later reported is the newer."""
    left = [act for act in acts if not act.document.get("void")]
    order = []
    while left:
        unbeaten = [a for a in left if not any(certainly_older(a, b) for b in left)]
        newest = max(unbeaten or left, key=lambda act: act.number)
        order.append(newest)
        left.remove(newest)
    return order


def certainly_older(a: Act, b: Act) -> bool:
    days_a, days_b = issue_days(a), issue_days(b)
    if days_a[-1] < days_b[0]:
        return True
    return b.previous == a.ref and not days_b[-1] < days_a[0]


def outcomes_on(acts: list[Act], at: date, superseded_returns: bool = False) -> Iterable[str | None]:
    """In every case that the dates leave possible: the ref of the act that stands on the day, or None."""
    for issued in orders(acts, at):
        # The newest of those issued has superseded the others for good, also if it has ended itself.
        for act in issued if superseded_returns else issued[:1]:
            states = states_on(act, at)
            if "valid" in states:
                yield act.ref
            if "ended" not in states:
                break
        else:
            yield None


def orders(acts: list[Act], at: date) -> Iterable[tuple[Act, ...]]:
    """Which acts can have been issued by the day, and in which orders: the newest first. None where the dates and what
    acts say of each other contradict one another."""
    for size in range(len(acts) + 1):
        for issued in itertools.permutations(acts, size):
            others = [act for act in acts if act not in issued]
            if all(issue_days(act)[-1] > at for act in others) and in_order(issued[::-1], at):
                yield issued


def contradicts_itself(paper: Sheet, at: date) -> bool:
    """Whether there is a product whose acts cannot have been issued in any order."""
    return any(not any(True for _ in orders(newest_first(acts.values()), at)) for acts in paper.acts.values())


def in_order(acts: tuple[Act, ...], at: date) -> bool:
    """Whether there are days on which these can have been issued one after another, the oldest first."""
    if any(certainly_named(a, b) for a, b in itertools.combinations(acts, 2)):
        return False
    earliest = date.min
    for n, act in enumerate(acts):
        days = issue_days(act)
        if n and act.number < acts[n - 1].number and not certainly_named(act, acts[n - 1]):
            earliest += timedelta(1)
        earliest = max(earliest, days[0])
        if earliest > min(days[-1], at):
            return False
    return True


def certainly_named(a: Act, b: Act) -> bool:
    """Whether `a` names `b` as the one before it, and the dates allow that."""
    return a.previous == b.ref and issue_days(a)[-1] >= issue_days(b)[0]


def states_on(act: Act, at: date) -> frozenset[str]:
    """What the act can be on the day: not yet, valid, ended."""
    until = act.document.get("valid_until")
    ends = None
    if act.revoked is not None:
        ends = span(act.revoked.get("revoked_on"), act.revoked_stated_on)
    return states_of(issue_days(act), span(until, date.max) if until else None, ends, at)


@cache
def states_of(
    days: tuple[date, ...], printed: tuple[date, date] | None, revoked: tuple[date, date] | None, at: date
) -> frozenset[str]:
    states = set()
    for issued in days:
        if issued > at:
            states.add("not yet")
            continue
        last_days = printed or (plus_36_months(issued),) * 2
        # Its day is already invalid, and no act is revoked before it is issued.
        ends = tuple(max(day, issued) for day in revoked) if revoked else (date.max, date.max)
        if at <= last_days[1] and at < ends[1]:
            states.add("valid")
        if at > last_days[0] or at >= ends[0]:
            states.add("ended")
    return frozenset(states)


def listing_states(listing: list[Event], at: date) -> Iterable[bool]:
    """Whether the product is online, in every case that the dates leave possible."""
    data = listing[0]["data"]
    last_day = LAST_DAY.get(data["platform"], date.max)
    for listed in days_of(data.get("listed_on"), local_date(listing[0])):
        gone = [date.max]
        if len(listing) > 1:
            first, last = span(listing[1]["data"].get("delisted_on"), local_date(listing[1]))
            gone = [max(first, listed), max(last, listed)]
        for end in gone:
            yield listed <= at < end and at <= last_day


def place_and_owner(paper: Sheet, product: str, at: date) -> dict[str, tuple[str, ...]]:
    document = on_day(paper.products[product], at)["data"]
    owner = name(document["owner"])
    kind = on_day(paper.owners[owner], at)["data"].get("kind", "not_stated")
    return {
        "owner": (owner,),
        "owner_kind": ("other" if kind in OTHER_KINDS else kind,),
        "province-2004": place_2004(paper.products[product], at),
        "province-2025": (place_2025(document["place"]["province"]),),
    }


def place_2025(province: dict[str, str]) -> str:
    return province["code"] if province["catalogue"] == "2025" else WENT_INTO[province["code"]]


def place_2004(documents: list[Event], at: date) -> tuple[str, ...]:
    """The province of 2004, if the documents up to the day leave only one."""
    today = on_day(documents, at)
    province = today["data"]["place"]["province"]
    if province["catalogue"] == "2004":
        return (province["code"],)
    before = None
    for document in in_force(documents):
        if document["data"]["place"]["province"]["catalogue"] == "2004":
            before = document["data"]["place"]["province"]["code"]
        if document is today:
            break
    forerunners = [old for old, new in WENT_INTO.items() if new == province["code"]]
    if before in forerunners:
        return (before,)
    return tuple(forerunners) if len(forerunners) == 1 else ()


def candidates_on(paper: Sheet, product: str, at: date, map_: str) -> tuple[str, ...]:
    documents = paper.products[product]
    if map_ == "2025" or place_2004(documents, at):
        return ()
    code = on_day(documents, at)["data"]["place"]["province"]["code"]
    return tuple(sorted(old for old, new in WENT_INTO.items() if new == code))


def in_force(documents: list[Event]) -> list[Event]:
    """Documents from the first to hold to the last; of two for the same day only the later reported."""
    by_day = {document["data"].get("effective_on", ""): document for document in documents}
    return [by_day[day] for day in sorted(by_day)]


def on_day(documents: list[Event], at: date) -> Event:
    """The document of a day: the first holds backwards without limit."""
    return [d for d in in_force(documents) if d["data"].get("effective_on", "") <= at.isoformat()][-1]


def issue_days(act: Act) -> tuple[date, ...]:
    return days_of(act.document.get("issued_on"), act.stated_on)


@cache
def days_of(partial: str | None, stated_on: date) -> tuple[date, ...]:
    first, last = span(partial, stated_on)
    return tuple(first + timedelta(days=n) for n in range((last - first).days + 1))


def span(partial: str | None, stated_on: date) -> tuple[date, date]:
    """The first and the last day that "2025", "2025-06" or nothing can mean, not after the report."""
    match [int(part) for part in partial.split("-")] if partial else []:
        case [year, month, day]:
            first = last = date(year, month, day)
        case [year, month]:
            first, last = date(year, month, 1), date(year, month, monthrange(year, month)[1])
        case [year]:
            first, last = date(year, 1, 1), date(year, 12, 31)
        case _:
            first, last = FIRST_DAY, date.max
    return first, min(last, stated_on)


@cache
def plus_36_months(day: date) -> date:
    last_of_month = monthrange(day.year + 3, day.month)[1]
    return date(day.year + 3, day.month, min(day.day, last_of_month))


def local_date(event: Event) -> date:
    return datetime.fromisoformat(event["time"]).astimezone(VIETNAM).date()


def name(ref: dict[str, str]) -> str:
    return f"{ref['namespace']}/{ref['ref']}"
