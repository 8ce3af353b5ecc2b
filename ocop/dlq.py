"""`ocop dlq …` and `ocop waiting`: what a service has put aside, and why."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Annotated, TypeVar

import asyncpg
import typer
from rich.console import Console
from rich.table import Table

from ocop import databases
from ocop.errors import OcopError
from servicekit import trouble

app = typer.Typer(help="Dead letters: what a service could not handle.", no_args_is_help=True)
console = Console()

T = TypeVar("T")
Service = Annotated[str, typer.Argument(help="registry, evaluation, marketplace-sync, national, gateway, …")]


@app.command("list")
def list_(service: Service) -> None:
    """Group failed rows by type and kind of error."""
    table = Table("type", "error", "rows", "behind", "tenants", "first", "last", "e.g.", box=None, pad_edge=False)
    for row in _do(service, trouble.failures):
        table.add_row(
            row["type"],
            row["class"],
            str(row["rows"]),
            str(row["behind"]),
            " ".join(row["tenants"]),
            _ago(row["first"]),
            _ago(row["last"]),
            str(row["example"]),
        )
    console.print(table if table.row_count else "Nothing has failed.")


@app.command()
def show(service: Service, row: int) -> None:
    """Show one held row: its bytes, where they came from, why it is held."""
    found = _do(service, lambda connection: trouble.show(connection, row))
    if found is None:
        raise OcopError(f"{service} holds no row {row}.")
    for name, value in found.items():
        if name == "headers":
            for header, text in value.items():
                console.print(f"  {header}: {text}", markup=False, highlight=False, soft_wrap=True)
        else:
            console.print(f"{name}: {value}", markup=False, highlight=False, soft_wrap=True)


@app.command()
def retry(
    service: Service,
    row: Annotated[int | None, typer.Option(help="This row only.")] = None,
    error: Annotated[str | None, typer.Option(help="All rows with this kind of error.")] = None,
) -> None:
    """Mark failed rows to be tried again by the running service, each at its place in the queue."""
    if row is None and error is None:
        raise OcopError("Say which: --row NUMBER or --error CLASS, as `ocop dlq list` shows them.")
    marked = _do(service, lambda connection: trouble.retry(connection, held_id=row, class_=error))
    console.print(f"{marked} rows will be tried again.")


def waiting(service: Service) -> None:
    """Show what waits for something not yet registered: since when, and whose."""
    table = Table("waits for", "queue", "rows", "behind", "tenant", "since", "e.g.", box=None, pad_edge=False)
    for row in _do(service, trouble.waiting):
        table.add_row(
            str(row["waits_for"]),
            row["queue"],
            str(row["rows"]),
            str(row["behind"]),
            row["tenant"],
            _ago(row["since"]),
            str(row["example"]),
        )
    console.print(table if table.row_count else "Nothing waits.")


def _ago(moment: datetime) -> str:
    seconds = int((datetime.now(UTC) - moment).total_seconds())
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds // length} {unit} ago"
    return f"{seconds} s ago"


def _do(service: str, work: Callable[[asyncpg.Connection], Awaitable[T]]) -> T:
    async def run() -> T:
        async with databases.opened(databases.service(service)) as connection, connection.transaction():
            return await work(connection)

    return asyncio.run(run())
