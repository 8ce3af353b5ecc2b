"""Live tables against their shadow: subject by subject, as far as both have applied the same numbers of it."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from servicekit.database import Connection
from servicekit.projector import Projection, Table
from servicekit.rebuilding import shadow

SUBJECT: Final = "subject"  # the column of tables of events that names it; in other tables it is the first one


@dataclass(slots=True)
class Difference:
    """Of one table: how many rows there are of each kind, and the subjects whose rows are not the same."""

    live: int
    rebuilt: int
    subjects: set[UUID] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a subject is in both."""

    live: int
    rebuilt: int


def subject_column(table: Table) -> str:
    """Which column says whose row it is."""
    return SUBJECT if table.per == "event" else table.columns[0]


async def unequal(
    connection: Connection, topics: Iterable[str], only: Collection[UUID] | None = None
) -> Mapping[tuple[str, UUID], Standing]:
    """Subjects of which not the same number has been applied; of `only` these, where they are given."""
    some = "" if only is None else "WHERE subject = ANY($2::uuid[])"
    rows = await connection.fetch(
        f"""SELECT topic, subject, coalesce(p.applied, 0) AS live, coalesce(s.applied, 0) AS rebuilt
            FROM (SELECT * FROM public.stream {some}) p
            FULL JOIN (SELECT * FROM {shadow.NAME}.stream {some}) s USING (topic, subject)
            WHERE topic = ANY($1::text[]) AND coalesce(p.applied, 0) <> coalesce(s.applied, 0)""",  # noqa: S608  # a schema's name
        list(topics),
        *([] if only is None else [list(only)]),
    )
    return {(row["topic"], row["subject"]): Standing(row["live"], row["rebuilt"]) for row in rows}


async def rows(
    connection: Connection,
    projections: Sequence[Projection],
    beside: Collection[tuple[str, UUID]],
    only: Collection[UUID] | None = None,
) -> dict[str, Difference]:
    """Per table of these projections, the subjects that do not have the same rows in both; those `beside` are left out.

    With `only`, these subjects alone are looked at, and rows are not counted.
    """
    found = {}
    for projection in projections:
        out = [subject for topic, subject in beside if topic == projection.topic]
        for table in projection.tables:
            counts = [0, 0]
            if only is None:
                for place, schema in enumerate(("public", shadow.NAME)):
                    counts[place] = await connection.fetchval(f"SELECT count(*) FROM {schema}.{table.name}")  # noqa: S608  # wiring
            different = await _different(connection, table, out, only)
            found[table.name] = Difference(counts[0], counts[1], different)
    return found


async def _different(
    connection: Connection, table: Table, out: Sequence[UUID], only: Collection[UUID] | None
) -> set[UUID]:
    whose = subject_column(table)
    [key, *_] = await shadow.keyed(connection, table.name)
    some = f"WHERE NOT {whose} = ANY($1::uuid[])"
    if only is not None:
        some += f" AND {whose} = ANY($2::uuid[])"
    columns = [column for column in table.columns if column not in key]
    both = " OR ".join(f"p.{column} IS DISTINCT FROM s.{column}" for column in columns) or "false"
    missing = " OR ".join(f"{side}.{key[0]} IS NULL" for side in ("p", "s"))
    rows = await connection.fetch(
        f"""SELECT DISTINCT coalesce(p.{whose}, s.{whose}) AS subject
            FROM (SELECT * FROM public.{table.name} {some}) p
            FULL JOIN (SELECT * FROM {shadow.NAME}.{table.name} {some}) s
              ON {" AND ".join(f"p.{column} = s.{column}" for column in key)}
            WHERE {missing} OR {both}""",  # noqa: S608  # names from the code's own wiring and the catalogue
        list(out),
        *([] if only is None else [list(only)]),
    )
    return {row["subject"] for row in rows}
