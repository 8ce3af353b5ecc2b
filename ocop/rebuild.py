"""`ocop rebuild national`: the national tables made again from the topics, beside the live ones, then swapped in."""

import asyncio
import resource
from typing import Annotated

import asyncpg
import typer
from aiokafka.errors import KafkaError
from national.projections import PROJECTIONS
from rich.table import Table

from ocop import databases
from ocop.console import console, notes
from ocop.consumer import bootstrap
from ocop.errors import OcopError
from ocop.operator import Actor, Reason, named
from servicekit.rebuilding import rebuild as rebuilding
from servicekit.rebuilding.rebuild import RebuildError, Rebuilt
from servicekit.rebuilding.shadow import ShadowError

SHOWN = 5  # subjects of a table


def rebuild(
    service: Annotated[str, typer.Argument(help="Whose tables; only national's come from the topics alone.")],
    reason: Reason,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Build and compare, then drop what was built.")] = False,
    accept: Annotated[bool, typer.Option("--accept", help="Swap even if the live tables differ.")] = False,
    actor: Actor = "",
) -> None:
    """Make the national tables again from the topics while the service runs, compare them with the live ones, and swap.

    If they differ, both are kept, the live ones stay in use and the exit status is 1, unless --accept is said.
    """
    of = databases.service(service)
    if of.wire != "national":
        raise OcopError(f"{of.name} keeps more than its topics say; only national can be rebuilt from them.")
    if not reason.strip():
        raise OcopError("Say why: --reason TEXT.")
    work = rebuilding.rebuild(
        databases.owner_url(of),
        bootstrap(),
        PROJECTIONS,
        actor=named(actor),
        reason=reason.strip(),
        dry_run=dry_run,
        accept=accept,
        say=lambda text: notes.print(text, style="dim", soft_wrap=True),
    )
    try:
        result = asyncio.run(work)
    except (RebuildError, ShadowError, KafkaError, OSError, asyncpg.PostgresError) as error:
        raise OcopError(f"Not rebuilt, the live tables are as they were: {error}") from error
    _tell(result)
    if result.differs and not result.swapped:
        raise typer.Exit(1)


def _tell(result: Rebuilt) -> None:
    table = Table("table", "rows live", "rows rebuilt", "differing subjects", "e.g.", box=None, pad_edge=False)
    for name, found in result.tables.items():
        some = " ".join(str(subject) for subject in sorted(found.subjects)[:SHOWN])
        table.add_row(name, str(found.live), str(found.rebuilt), str(len(found.subjects)), some)
    console.print(table)
    for (topic, subject), standing in sorted(result.elsewhere.items())[:SHOWN]:
        console.print(f"{topic} {subject}: {standing.live} applied live, {standing.rebuilt} rebuilt", soft_wrap=True)
    if len(result.elsewhere) > SHOWN:
        console.print(f"… and {len(result.elsewhere) - SHOWN} more subjects with other numbers applied")
    if result.further:
        console.print(f"{result.further} subjects are further than live, which had not read as far.")
    over, first, last = result.pace.rates
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    console.print(
        f"{result.pace.total} records at {over:,.0f}/s ({first:,.0f}/s in the first tenth, {last:,.0f}/s in the last), "
        f"{result.pace.whole:.1f} s in all; {memory} MiB; {result.held} held rows. Live waited {result.waited:.2f} s.",
        soft_wrap=True,
    )
    if result.swapped:
        console.print("The rebuilt tables are in use.")
    elif result.differs:
        console.print("The live tables differ from the topics and stay in use: --accept takes the rebuilt ones.")
    else:
        console.print("Nothing differs; the live tables stay in use.")
