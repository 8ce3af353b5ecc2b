"""`ocop dlq …` and `ocop waiting`: what a service has put aside, why, and what is done with it."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

import asyncpg
import typer
from rich.table import Table

from ocop import databases
from ocop.console import console
from ocop.databases import ServiceName
from ocop.errors import OcopError
from ocop.handlers import handlers
from ocop.operator import MOMENT, MOST_ID, Actor, Reason, ago, moment, named
from servicekit import audit, trouble
from servicekit import retry as retries
from servicekit import skip as skips
from servicekit.skip import SkipError
from servicekit.trouble import Which

app = typer.Typer(help="Dead letters: what a service could not handle.", no_args_is_help=True)

T = TypeVar("T")
Row = Annotated[int, typer.Argument(min=1, max=MOST_ID, help="Its number, as `ocop dlq list` shows it.")]

STUCK_S = 60  # marked rows that nobody tries for so long: the service is down
TRIED_AT_ONCE = 1000  # rows, by --dry-run: each is decided, and its subject locked meanwhile
MOST_NAMED = 10  # rows that others stand behind
SHOWN = 8192  # characters of a payload


@app.command("list")
def list_(service: ServiceName) -> None:
    """Group failed rows by type, kind of error and field."""
    table = Table(
        "type", "error", "field", "rows", "behind", "tenants", "first", "last", "e.g.", box=None, pad_edge=False
    )
    for row in _do(service, trouble.failures):
        table.add_row(
            row["type"],
            row["class"],
            row["field"],
            str(row["rows"]),
            str(row["behind"]),
            " ".join(row["tenants"]),
            ago(row["first"]),
            ago(row["last"]),
            str(row["example"]),
        )
    console.print(table if table.row_count else "Nothing has failed.")


@app.command()
def show(
    service: ServiceName,
    row: Row,
    whole: Annotated[bool, typer.Option("--whole", help="The whole payload, however long.")] = False,
) -> None:
    """Show one held row: its bytes, where they came from, why it is held."""
    found = _do(service, lambda connection: trouble.show(connection, row))
    if found is None:
        raise OcopError(f"{service} holds no row {row}.")
    for name, value in found.items():
        if name == "headers":
            for header, text in value.items():
                console.print(f"  {header}: {text}", highlight=False, soft_wrap=True)
        elif name == "payload" and len(value) > SHOWN and not whole:
            console.print(f"{name}: {value[:SHOWN]}", highlight=False, soft_wrap=True)
            console.print(f"… and {len(value) - SHOWN} characters more: --whole shows them.", soft_wrap=True)
        else:
            console.print(f"{name}: {value}", highlight=False, soft_wrap=True)


@app.command()
def retry(
    service: ServiceName,
    row: Annotated[int | None, typer.Option(min=1, max=MOST_ID, help="This row only.")] = None,
    type_: Annotated[str | None, typer.Option("--type", help="Rows of this type of event.")] = None,
    error: Annotated[str | None, typer.Option(help="Rows with this kind of error.")] = None,
    field: Annotated[str | None, typer.Option(help="Rows with the error in this field.")] = None,
    since: Annotated[str | None, typer.Option("--from", help="First seen from this time (UTC) on.")] = None,
    until: Annotated[str | None, typer.Option("--to", help="First seen before this time (UTC).")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell how many would pass, and why others not.")] = (
        False
    ),
    rate: Annotated[int, typer.Option(min=1, max=10_000, help="Rows a second, at most.")] = 100,
    again: Annotated[bool, typer.Option("--again", help="Rows too that were tried three times already.")] = False,
    actor: Actor = "",
) -> None:
    """Let the running service try failed rows again, each in its place; called again, it goes on where it was."""
    which = Which(row, type_, error, field, moment(since), moment(until))
    if which == Which():
        raise OcopError("Say which: --row, --type, --error, --field, --from or --to, as `ocop dlq list` shows them.")
    if row is not None:
        _refuse(service, row)
    if dry_run:
        of = handlers(databases.service(service))
        trials = _do(service, lambda c: retries.would_pass(c, of, which, TRIED_AT_ONCE, again=again))
        _tell(trials, _do(service, lambda c: trouble.count(c, which)))
        return
    asyncio.run(_retry(service, which, rate, again=again, actor=named(actor)))


def _refuse(service: str, row: int) -> None:
    """Raises OcopError, with the reason, if this row is none that can be tried again."""
    found = _do(service, lambda connection: trouble.show(connection, row))
    if found is None:
        raise OcopError(f"{service} holds no row {row}.")
    if found["reason"] != "failed":
        raise OcopError(f"Row {row} has not failed, it is held as {found['reason']}: its turn comes by itself.")
    if found["subject"] is None:
        raise OcopError(f"Row {row} names no subject, so it has no place to be tried at: `ocop dlq drop` ends it.")
    if found["ready"]:
        raise OcopError(f"Row {row} is marked already, and nobody has tried it yet: is {service} up?")


async def _retry(service: str, which: Which, rate: int, *, again: bool, actor: str) -> None:
    """Marks a second's worth of rows at a time, and waits while the service has not tried those before."""
    marked, last, least, since_progress = 0, 0, 0, time.monotonic()
    async with databases.opened(databases.service(service)) as connection:
        while True:
            left = await retries.under_way(connection)
            if left >= rate:
                if left < least:
                    least, since_progress = left, time.monotonic()
                if time.monotonic() - since_progress > STUCK_S:
                    raise OcopError(f"{marked} rows are marked, but nobody tries them: is {service} up?")
                await asyncio.sleep(0.25)
                continue
            async with connection.transaction():
                rows = await retries.retry(connection, which, limit=rate, after=last, again=again)
                if rows:
                    await audit.record(connection, actor, "retry", {"rows": len(rows), "which": _named(which)})
            if not rows:  # fewer than asked for is no end: some may be in other hands just now
                break
            marked, last = marked + len(rows), rows[-1]
            least, since_progress = left + len(rows), time.monotonic()
            await asyncio.sleep(1)
        spent = 0 if again else await retries.exhausted(connection, which)
        behind = await retries.behind(connection, which, again=again)
    console.print(f"{marked} rows will be tried again.")
    for each in behind[:MOST_NAMED]:
        console.print(f"{each.rows} stand behind row {each.row}, which is held as {each.reason} and must go first.")
    if len(behind) > MOST_NAMED:
        console.print(f"{sum(each.rows for each in behind[MOST_NAMED:])} stand behind other rows.")
    if spent:
        console.print(f"{spent} were tried {retries.MOST_RETRIES} times and are left: --again insists.")


def _named(which: Which) -> dict[str, str]:
    names = ("row", "type", "error", "field", "from", "to")
    return {name: str(value) for name, value in zip(names, which.arguments, strict=True) if value is not None}


def _tell(trials: list[retries.Trial], of: int) -> None:
    reasons = Counter(trial.why for trial in trials)
    first = f"the first {len(trials)} of {of}" if of > len(trials) else str(len(trials))
    console.print(f"{reasons.pop('', 0)} of {first} would pass now.")
    for why, count in reasons.most_common():
        example = next(trial.row for trial in trials if trial.why == why)
        console.print(f"{count} would not, row {example} for one: {why}", soft_wrap=True)


@app.command()
def skip(service: ServiceName, row: Row, reason: Reason, actor: Actor = "") -> None:
    """Pass over a failed row for good; what stands behind it goes on.

    A submission is rejected as `passed-over` and is in no figure. After an event its reader keeps what it had of the
    subject until the subject's next event; in national, figures say meanwhile that they are incomplete.
    """
    _skip(service, row, reason, actor, nameless=False)


@app.command()
def drop(service: ServiceName, row: Row, reason: Reason, actor: Actor = "") -> None:
    """End a row that names nothing, so that nobody can read it; its bytes stay on record."""
    _skip(service, row, reason, actor, nameless=True)


def _skip(service: str, row: int, reason: str, actor: str, *, nameless: bool) -> None:
    if not reason.strip():
        raise OcopError("Say why: --reason TEXT.")
    of = handlers(databases.service(service))

    async def work(connection: asyncpg.Connection) -> None:
        await skips.skip(connection, of, row, actor=named(actor), reason=reason.strip(), nameless=nameless)

    try:
        _do(service, work)
    except SkipError as error:
        raise OcopError(str(error)) from error
    console.print(f"Row {row} was passed over.")


def waiting(service: ServiceName) -> None:
    """Show what waits for something not yet registered: since when, and for whom."""
    table = Table("waits for", "queue", "rows", "behind", "tenants", "since", "e.g.", box=None, pad_edge=False)
    for row in _do(service, trouble.waiting):
        table.add_row(
            row["what"],
            row["queue"],
            str(row["rows"]),
            str(row["behind"]),
            " ".join(row["tenants"]),
            ago(row["since"]),
            str(row["example"]),
        )
    console.print(table if table.row_count else "Nothing waits.")
    if behind := _do(service, trouble.behind_failures):
        console.print(f"{behind} stand behind dead letters of their subjects: `ocop dlq list {service}` has those.")


def operations(
    service: ServiceName,
    most: Annotated[int, typer.Option(min=1, max=1_000_000, help="How many, latest first.")] = 50,
) -> None:
    """Show what was done to a service by hand: when, by whom, what."""

    async def work(connection: asyncpg.Connection) -> list[asyncpg.Record]:
        return await connection.fetch("SELECT * FROM operation ORDER BY id DESC LIMIT $1", most)

    table = Table("when", "who", "what", "details", box=None, pad_edge=False)
    for row in _do(service, work):
        details = " ".join(f"{name}={value}" for name, value in row["details"].items())
        table.add_row(f"{row['at']:{MOMENT}}", row["actor"], row["what"], details)
    console.print(table if table.row_count else "Nothing was done by hand.")


def _do(service: str, work: Callable[[asyncpg.Connection], Awaitable[T]]) -> T:
    return databases.work(databases.service(service), work)
