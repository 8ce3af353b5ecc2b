"""The overview: the country's figures on a day, its provinces, and who has reported up to when."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from contracts import provinces
from national import figures, missing
from national.counting import MERGED, Question
from national.domain import KINDS, MERGED_KINDS
from national.missing import LISTING, OWNER, PRODUCT, RECOGNITION, Missing
from national.words import province
from servicekit.database import Connection

Cell = Mapping[str, Any]
# In the order of their columns.
STARS: Final = ("5", "4", "3", "unknown")


@dataclass(frozen=True, slots=True)
class Coverage:
    """Who has reported about a province, up to when. `days` has several where the parts report by themselves."""

    days: tuple[tuple[str, date], ...]
    missing: tuple[str, ...]  # parts of it that have never reported


@dataclass(frozen=True, slots=True)
class Row:
    """A province. `cell` is None where nothing was reported: that is not a count of 0."""

    code: str
    name: str
    cell: Cell | None
    stars: Mapping[str, Cell]
    coverage: Coverage


@dataclass(frozen=True, slots=True)
class Overview:
    """Everything that the page says, of one snapshot."""

    at: date
    map: str
    products: Cell
    owners: Cell
    online: Cell
    stars: tuple[Cell, ...]
    kinds: tuple[Cell, ...]  # the merged kinds stand behind their sum
    rows: tuple[Row, ...]
    unplaced: tuple[Cell, ...]
    missing: Missing

    @property
    def reporting(self) -> int:
        """How many provinces have reported, whole or in part."""
        return sum(1 for row in self.rows if row.coverage.days)

    @property
    def most(self) -> int:
        """The largest count that has a bar: of a province, or of what is in none for certain."""
        return max((cell["count"] for cell in (*(row.cell for row in self.rows), *self.unplaced) if cell), default=0)


async def overview(connection: Connection, at: date, map_: str) -> Overview:
    """The figures of a day on a map."""

    async def ask(indicator: str, *by: str) -> dict[str, Any]:
        return await figures.figure(connection, Question(indicator, at, map_, by))

    placed = await ask("products", "province")
    stars = await ask("products", "stars")
    of_provinces = await ask("products", "province", "stars")
    kinds = await ask("owners", "owner_kind")
    merged = await ask("owners", "owner_kind_merged")
    online = await ask("online")
    return Overview(
        at=at,
        map=map_,
        products=_total(placed, at, map_),
        owners=_total(kinds, at, map_),
        online=_total(online, at, map_),
        stars=tuple(stars["cells"]),
        kinds=_kinds(kinds["cells"], merged["cells"]),
        rows=_rows(map_, placed, of_provinces),
        unplaced=tuple(_unplaced(cell, at, map_) for cell in placed["not_attributable"]),
        missing=await missing.of_topics(connection, (OWNER, PRODUCT, RECOGNITION, LISTING)),
    )


def coverage(map_: str, code: str, reported: Mapping[str, date]) -> Coverage:
    """Who speaks for a province: it itself, and on the map of 2025 its forerunners, on that of 2004 its successor."""
    name = province(map_, code)
    if map_ == "2004":
        speakers = [f"2004-{code}", *(f"2025-{new}" for new in provinces.successors(code))]
        days = [reported[speaker] for speaker in speakers if speaker in reported]
        return Coverage(((name, max(days)),) if days else (), ())
    parts = {province("2004", old): reported.get(f"2004-{old}") for old in provinces.forerunners(code)}
    if own := reported.get(f"2025-{code}"):
        return Coverage(((name, max(own, *(day for day in parts.values() if day), own)),), ())
    said = tuple((part, day) for part, day in parts.items() if day)
    return Coverage(said, tuple(part for part, day in parts.items() if not day))


def _total(figure: Mapping[str, Any], at: date, map_: str) -> Cell:
    whole = Question(figure["indicator"], at, map_)
    return {**figure, "products": figures.link(whole, {})}


def _unplaced(cell: Cell, at: date, map_: str) -> Cell:
    """With the provinces of 2025 in whose lists these products stand, among others."""
    within = set.intersection(*(set(provinces.successors(old)) for old in cell["candidates"])) if map_ == "2004" else ()
    links = [figures.link(Question("products", at, map_, (), {"province": (f"2025-{new}",)}), {}) for new in within]
    return {**cell, "within": [(province("2025", new), link) for new, link in zip(within, links, strict=True)]}


def _kinds(cells: list[Cell], merged: list[Cell]) -> tuple[Cell, ...]:
    """Kinds of owners; those that reports often merge stand as parts behind their sum, where there are several."""
    parts = [{**cell, "part": True} for cell in cells if cell["owner_kind"] in MERGED_KINDS]
    if len(parts) < 2:
        return tuple({**cell, "part": False} for cell in cells)
    together = [{**cell, "owner_kind": MERGED} for cell in merged if cell["owner_kind_merged"] == MERGED]
    whole = [cell for cell in cells if cell["owner_kind"] not in MERGED_KINDS]
    before = sum(1 for cell in whole if cell["owner_kind"] in KINDS)
    rest = [{**cell, "part": False} for cell in (*whole[:before], *together, *whole[before:])]
    return (*rest[: before + 1], *parts, *rest[before + 1 :])


def _rows(map_: str, placed: Mapping[str, Any], of_provinces: Mapping[str, Any]) -> tuple[Row, ...]:
    cells = {cell["province"]: cell for cell in placed["cells"]}
    stars: dict[str, dict[str, Cell]] = {}
    for cell in of_provinces["cells"]:
        stars.setdefault(cell["province"], {})[cell["stars"]] = cell
    rows = []
    for code in provinces.codes(map_):
        covered = coverage(map_, code, placed["reported_up_to"])
        cell = cells.get(code) or ({"count": 0, "of_which_uncertain": 0} if covered.days else None)
        rows.append(Row(code, province(map_, code), cell, stars.get(code, {}), covered))
    return tuple(rows)
