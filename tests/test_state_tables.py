"""docs/state-tables.md is true: every cell is tried on the code that decides."""

import ast
import inspect
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from evaluation.domain import decide_recognition
from marketplace_sync.domain import decide_listing
from registry.domain import decide_owner, decide_product

from contracts.decision import Decision
from contracts.names import Ref, aggregate_id
from contracts.reasons import REASONS
from contracts.submission import SUBMISSIONS
from tests.acts import Event, act, corrected, delisted, listed, recognised, renewed, revoked, upgraded
from tests.deciding import Decide, decide, submission, word
from tests.submissions import TENANT, event, owner, owner_updated, product, product_updated, ref

PAGE = Path(__file__).parents[1] / "docs" / "state-tables.md"
OWNER = aggregate_id("owner", Ref(namespace=TENANT, ref="CT-1"))
PRODUCT = aggregate_id("product", Ref(namespace=TENANT, ref="SP-1"))
CODE_OR_EVENT = re.compile(r"\*\*(→ [a-z]+)\*\*|(waits )?`([a-z-]+)`|-")
DECIDERS: Mapping[str, Decide] = {
    "Owner": decide_owner,
    "Product": decide_product,
    "Recognition": decide_recognition,
    "Listing": decide_listing,
}


# -------------------------------------------------------------------- the page


@dataclass(frozen=True)
class Cell:
    """What the page says of one row and one column."""

    section: str
    table: str
    row: str
    column: str
    expected: str

    def __str__(self) -> str:
        return f"{self.section}: {self.row} / {self.column}"


def cells(text: str) -> Iterator[Cell]:
    """All cells of all tables; the first column of a table names its rows, and in its head itself."""
    section = ""
    head: list[str] = []
    for line in text.splitlines():
        if line.startswith("## "):
            section = line.removeprefix("## ")
        if not line.startswith("|"):
            head = []
            continue
        row = [part.strip() for part in line.strip("|").split("|")]
        if not head:
            head = row
        elif set(line) != {"|", "-"}:
            assert len(row) == len(head), line
            for column, told in zip(head[1:], row[1:], strict=True):
                assert CODE_OR_EVENT.fullmatch(told), told
                yield Cell(section, head[0], row[0], column, re.sub("[*`]", "", told))


CELLS = list(cells(PAGE.read_text("utf-8")))


# -------------------------------------------------------------------- columns: what is submitted


def closed(closed_on: str | None) -> Event:
    return event("owner.closed", {"owner": ref("CT-1"), "closed_on": closed_on})


def discontinued(discontinued_on: str | None) -> Event:
    return event("product.discontinued", {"product": ref("SP-1"), "discontinued_on": discontinued_on})


COLUMNS: Mapping[str, Mapping[str, Event]] = {
    "Owner": {"registered": owner(), "updated": owner_updated(on="2025-09-01"), "closed": closed("2026-01")},
    "Product": {
        "registered": product(),
        "updated": product_updated(on="2025-09-01"),
        "discontinued": discontinued("2026-01"),
    },
    "Recognition": {
        "recognised": recognised("2", "2026-08-05"),
        "renewed": renewed("2", "2026-08-05"),
        "upgraded": upgraded("2", "2026-08-05"),
        "corrected": corrected("2", "2026-08-05"),
        "corrected to never issued": corrected("2", "2026-08-05", void=True),
        "revoked": revoked("2", "2026-08-05"),
        "renewed, naming it": renewed("2", "2026-08-05", previous_ref="1"),
        "upgraded, naming it": upgraded("2", "2026-08-05", stars=5, previous_ref="1"),
        "upgraded to as many stars, naming it": upgraded("2", "2026-08-05", stars=4, previous_ref="1"),
    },
    "Listing": {"listed": listed(listed_on="2026-08-05"), "delisted": delisted(delisted_on="2026-08-05")},
}
# What lets a submission fit that does not make the thing itself.
MADE: Mapping[str, tuple[Event, ...]] = {
    "Owner": (owner(),),
    "Product": (product(),),
    "Recognition": (recognised("2", "2025"),),
    "Listing": (listed(),),
}
MAKES = {"registered", "recognised", "renewed", "upgraded", "listed"}


# -------------------------------------------------------------------- rows: what was before, and what is changed

ALL_KNOWN: Mapping[UUID, str] = {OWNER: TENANT, PRODUCT: TENANT}
DAYS = {"effective_on", "closed_on", "discontinued_on", "issued_on", "revoked_on", "listed_on", "delisted_on"}
ELSEWHERE = {"namespace": "2025-80", "ref": "X-1"}


@dataclass(frozen=True)
class Row:
    """What was applied before (None: what lets it fit), how the submission differs, what of others is known."""

    before: tuple[Event, ...] | None = None
    day: str | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)
    known: Mapping[UUID, str] = field(default_factory=lambda: ALL_KNOWN)
    names: str = ""  # the field that the row is about
    day_if_any: bool = False


def place(catalogue: str, code: str) -> dict[str, Any]:
    return {"place": {"province": {"catalogue": catalogue, "code": code}}}


LATE = Row(day="2026-08-06")
MANY = [(date(2026, 1, 1) + timedelta(days=n)).isoformat() for n in range(99)]  # beside the day on which all begins
ROWS: Mapping[str, Mapping[str, Row]] = {
    "Owner": {
        "not known": Row(()),
        "registered": Row((owner(),)),
        "registered, with documents from a hundred other days": Row(
            (owner(), *(owner_updated(on=day) for day in MANY))
        ),
        "closed on the day of the update, or later": Row((owner(), closed("2025-09-01"))),
        "closed before the day of the update": Row((owner(), closed("2025-08-31"))),
        "closed on a day not known": Row((owner(), closed(None))),
        "the owner's ref is another province's": Row(fields={"owner": ELSEWHERE}),
        "a day after the event's own time": LATE,
    },
    "Product": {
        "not known": Row(()),
        "registered": Row((product(),)),
        "registered, with documents from a hundred other days": Row(
            (product(), *(product_updated(on=day) for day in MANY))
        ),
        "discontinued on the day of the update, or later": Row((product(), discontinued("2025-09-01"))),
        "discontinued before the day of the update": Row((product(), discontinued("2025-08"))),
        "discontinued on a day not known": Row((product(), discontinued(None))),
        "the product's ref is another province's": Row(fields={"product": ELSEWHERE}),
        "a day after the event's own time": LATE,
        "a place of 2004, from a day up to 30/6/2025 if from any": Row(
            day="2025-06-30", day_if_any=True, fields=place("2004", "67")
        ),
        "a place of 2004, from a day after 30/6/2025 if from any": Row(
            day="2025-07-01", day_if_any=True, fields=place("2004", "67")
        ),
        "a place of 2025, from a day before 1/7/2025 if from any": Row(
            day="2025-06-30", day_if_any=True, fields=place("2025", "68")
        ),
        "the owner is not registered": Row(names="owner", known={}),
        "the owner is another province's": Row(names="owner", known={OWNER: "2025-80"}),
    },
    "Recognition": {
        "not known": Row(()),
        "not known, of a product with a hundred others": Row(tuple(renewed(f"1{n:02}") for n in range(100))),
        "issued": Row((recognised("2"),)),
        "issued on a later day": Row((recognised("2", "2026-08-06", time="2026-12-31T00:00:00+07:00"),)),
        "revoked": Row((recognised("2"), revoked("2"))),
        "revoked on an earlier day": Row((recognised("2", "2025"), revoked("2", "2026-08-04"))),
        "never issued": Row((recognised("2"), corrected("2", void=True))),
        "none of that ref": Row(()),
        "valid on the day before": Row((recognised("1", "2025-06-19", stars=4),)),
        "valid on the day before, stars not known": Row((recognised("1", "2025-06-19"),)),
        "may have ended by the day before": Row((recognised("1", "2023", stars=4),)),
        "expired": Row((recognised("1", "2022-06-19", stars=4),)),
        "revoked by the day before": Row((recognised("1", "2025-06-19", stars=4), revoked("1", "2026-08-04"))),
        "issued later": Row((recognised("1", "2026-12-01", stars=4, time="2026-12-31T00:00:00+07:00"),)),
        "its day not known": Row((recognised("1", stars=4),)),
        "one that was never issued": Row((recognised("1"), corrected("1", void=True))),
        "the product's ref is another province's": Row(fields={"product": ELSEWHERE}),
        "the product is another province's": Row(known={PRODUCT: "2025-80"}),
        "a day after the event's own time": LATE,
        "5 stars by a province": Row(fields={"stars": 5, "act": act("province")}),
        "4 stars by a district": Row(fields={"stars": 4, "act": act("district")}),
        "by a district after 30/6/2025": Row(day="2025-07-01", fields={"act": act("district")}),
        "by a merged province after 30/6/2025": Row(day="2025-07-01", fields={"act": act("province", "2004", "67")}),
        "by an unmerged province after 30/6/2025": Row(day="2025-07-01", fields={"act": act("province", "2004", "01")}),
        "a term other than 36 months": Row(fields={"valid_until": "2030-01-01"}),
        "nothing was said before": Row((), known={}),
    },
    "Listing": {
        "not known": Row(()),
        "listed": Row((listed(),)),
        "listed from a later day": Row((listed(listed_on="2026-09") | {"time": "2026-12-31T00:00:00+07:00"},)),
        "listed on a platform that has closed since": Row((listed(platform="sendo", listed_on="2024"),)),
        "delisted": Row((listed(), delisted())),
        "the listing's ref is another province's": Row(fields={"listing": ELSEWHERE}),
        "a day after the event's own time": LATE,
        "a day after the platform closed": Row(day="2025-04-16", fields={"platform": "sendo"}),
        "a day not known, of a platform that closed": Row(fields={"platform": "sendo", "listed_on": None}),
        "the product is not registered": Row(names="product", known={}),
        "the product is another province's": Row(names="product", known={PRODUCT: "2025-80"}),
    },
}


# -------------------------------------------------------------------- a cell


def submitted(cell: Cell, row: Row) -> Event | None:
    """The column's submission as the row has it; None if its type has no such field."""
    sent = COLUMNS[cell.section][cell.column]
    has = set(SUBMISSIONS[sent["type"]].model.model_fields)
    changed = dict(row.fields)
    if row.day is not None and (has & DAYS or not row.day_if_any):
        changed[next(iter(has & DAYS), "a day")] = row.day
    if not {*changed, *([row.names] if row.names else [])} <= has:
        return None
    return sent | {"data": sent["data"] | changed}


@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_a_cell_is_true(cell: Cell) -> None:
    row, decider = ROWS[cell.section][cell.row], DECIDERS[cell.section]
    sent = submitted(cell, row)
    if sent is None:
        assert cell.expected == "-"
        return
    before = row.before if row.before is not None else () if cell.column in MAKES else MADE[cell.section]
    state = None
    for verdict in decide(decider, before, ALL_KNOWN):
        assert isinstance(verdict, Decision), verdict
        state = verdict.state
    assert word(decider(state, submission(sent, len(before) + 1), row.known)) == cell.expected


def test_every_type_has_a_column_and_every_row_is_on_the_page() -> None:
    on_page = {(cell.section, cell.row) for cell in CELLS}
    assert {(section, row) for section, rows in ROWS.items() for row in rows} == on_page
    tried = {sent["type"] for columns in COLUMNS.values() for sent in columns.values()}
    assert tried == set(SUBMISSIONS)
    for section, columns in COLUMNS.items():
        assert {cell.column for cell in CELLS if cell.section == section} == set(columns)


def test_every_code_of_a_decider_is_on_the_page() -> None:
    """A code that is rejected with, but not on the page, is a rule that nobody wrote down."""
    said = set()
    for decider in DECIDERS.values():
        tree = ast.parse(Path(inspect.getfile(decider)).read_text("utf-8"))
        said |= {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)} & set(REASONS)
    assert said == {cell.expected.removeprefix("waits ") for cell in CELLS} & set(REASONS)
