"""What a figure counts, as SQL: one row for each thing and each value that it has in the figure's dimensions.

`certain` says of a row whether it is so in every case that the dates leave open, with the values that the filters look
at; `certain_in_cell`, with those of the dimensions too. `inside`: the row is in the provinces asked for; those that are
not come only if they can be, for a map may not be able to tell. `candidates` then says where they can be.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final

from national.domain import KINDS, MERGED_KINDS
from national.query import Filters

FILTERS: Final = ("province", "map_province", "stars", "group", "owner_kind", "occasion", "year", "platform")
MERGED: Final = "household_to_establishment"
# Where cells stand; values that are not named here come in their alphabetical order.
ORDER: Final = {
    "stars": ("5", "4", "3", "unknown"),
    "group": ("food", "drink", "medicinal", "craft", "ornamental", "tourism", "unknown"),
    "owner_kind": (*KINDS, "other", "not_stated"),
    "owner_kind_merged": (*KINDS[:3], MERGED, "other", "not_stated"),
    "occasion": ("first", "renewed", "upgraded", "unknown"),
}


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked: an indicator on a day and a map, narrowed by filters, broken down by dimensions."""

    indicator: str
    at: date
    map: str
    by: tuple[str, ...] = ()
    filters: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def used(self) -> frozenset[str]:
        """Dimensions whose values the figure looks at."""
        return frozenset(self.filters) | frozenset(self.by)


@dataclass(slots=True)
class Arguments:
    """The values of a statement, which come to stand in its text as $1, $2 …"""

    values: list[Any] = field(default_factory=list)

    def put(self, value: Any) -> str:
        """Where the value stands."""
        self.values.append(value)
        return f"${len(self.values)}"


def filters_of(query: Filters) -> dict[str, tuple[str, ...]]:
    """The filters that a query has set."""
    return {name: values for name in FILTERS if (values := getattr(query, name))}


def on_day(table: str, at: str) -> str:
    """The condition that a table's row holds on the day."""
    return f"{table}.day_from <= {at} AND {table}.day_to > {at}"


def value_of(dimension: str, map_: str) -> str:
    """The expression for a dimension's value."""
    merged = ", ".join(f"'{kind}'" for kind in MERGED_KINDS)
    return {
        "province": f"p.province_{map_}",
        "map_province": f"p.province_{map_}",
        "stars": "s.stars",
        "group": "s.product_group",
        "owner_kind": "coalesce(o.kind, 'not_stated')",
        "owner_kind_merged": f"CASE WHEN o.kind IN ({merged}) THEN '{MERGED}' ELSE coalesce(o.kind, 'not_stated') END",
        "occasion": "s.occasion",
        "year": "s.year",
        "platform": "f.platform",
    }[dimension]


def counted(question: Question, arguments: Arguments) -> str:
    """A SELECT with the columns product, key, certain, certain_in_cell, inside, candidates, and one for each dimension
    of `by`.

    A thing is told from others by the columns that `thing_of` names.
    """
    at = arguments.put(question.at)
    map_, filters = question.map, question.filters
    cells = "".join(f', {value_of(dimension, map_)} AS "{dimension}"' for dimension in question.by)
    inside, reach = _provinces(question, arguments)
    conditions = [
        f"{value_of(name, map_)} = ANY({arguments.put(list(values))}::text[])"
        for name, values in filters.items()
        if name != "province"
    ]
    source, key, holds = _source(question, at)
    owners = f"LEFT JOIN owner_period o ON o.owner = p.owner AND {on_day('o', at)}"
    where = " AND ".join([on_day("p", at), holds, *reach, *conditions])
    return f"""SELECT s.product, {key}, {_certain(question, frozenset(filters), at)} AS certain,
                      {_certain(question, question.used, at)} AS certain_in_cell, {inside} AS inside,
                      p.candidates_{map_} AS candidates{cells}
               FROM {source} JOIN product_period p ON p.product = s.product
               {owners if question.used & {"owner_kind", "owner_kind_merged"} else ""}
               WHERE {where}"""  # noqa: S608  # put together from this module's own words; values are arguments


def thing_of(question: Question) -> str | None:
    """The columns that tell one thing from another, or None where no two rows are the same thing in the same cell."""
    if question.indicator == "recognitions":
        return "key, place" if "year" in question.filters else None
    return None if question.indicator == "products" else "key"


def by_year(question: Question) -> bool:
    """Whether an act is counted in each year that it can have been issued in: its rows do not make the total."""
    return "year" in question.by and "year" not in question.filters


def _source(question: Question, at: str) -> tuple[str, str, str]:
    """Where the rows come from, what is counted, and the condition that it is so on the day.

    An act is counted in a year (each that it can have been issued in) only where the year is looked at.
    """
    if question.indicator == "recognitions":
        key = "s.product AS key, s.place"
        if "year" in question.used:
            return "issue s", key, f"s.possible_from <= {at}"
        return "certificate s", key, f"s.issued_lo <= {at}"
    source = "standing s"
    if question.indicator == "online":
        source += f" JOIN offer f ON f.product = s.product AND {on_day('f', at)}"
    return source, "p.owner AS key" if question.indicator == "owners" else "s.product AS key", on_day("s", at)


def _certain(question: Question, dimensions: frozenset[str], at: str) -> str:
    """The expression for whether a row is certainly so, with its values in these dimensions."""
    if question.indicator == "recognitions":
        return f"(s.{'certain_from' if 'year' in question.used else 'issued_hi'} <= {at})"
    parts = ["s.certain", *(f"s.{name}_certain" for name in ("stars", "group") if name in dimensions)]
    if question.indicator == "online":
        parts.append("f.certain")
    return f"({' AND '.join(parts)})"


def _provinces(question: Question, arguments: Arguments) -> tuple[str, list[str]]:
    """Whether a row is in the provinces asked for, and the conditions that leave out those that cannot be."""
    asked = question.filters.get("province", ())
    if not asked:
        return "true", []
    inside, reach = [], []
    for catalogue in ("2004", "2025"):
        codes = [code.removeprefix(f"{catalogue}-") for code in asked if code.startswith(catalogue)]
        if codes:
            place = arguments.put(codes)
            inside.append(f"p.province_{catalogue} = ANY({place}::text[])")
            if catalogue == question.map:
                reach.append(f"p.candidates_{catalogue} && {place}::text[]")
    within = " OR ".join(inside)
    return f"coalesce({within}, false)", [f"({' OR '.join(inside + reach)})"]
