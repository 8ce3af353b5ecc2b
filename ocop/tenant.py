"""`ocop tenant …`: who may submit."""

from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

import asyncpg
import typer
from gateway import tenants
from rich.table import Table

from ocop import databases
from ocop.console import console
from ocop.errors import OcopError

app = typer.Typer(help="Who may submit: keys of provinces' systems.", no_args_is_help=True)

T = TypeVar("T")
Tenant = Annotated[str, typer.Argument(help="Province of the catalogue of 2025, for instance 2025-80.")]
System = Annotated[str, typer.Option(help="Name of the province's system, part of its source.")]


@app.command()
def enrol(
    tenant: Tenant,
    system: System,
    namespaces: Annotated[str, typer.Option(help="Only these, with commas; all of the tenant's if left out.")] = "",
) -> None:
    """Make a key; it is shown this once."""
    wanted = [each.strip() for each in namespaces.split(",") if each.strip()]
    print(_do(lambda connection: tenants.enrol(connection, tenant, system, wanted)))  # noqa: T201 - bare, for the shell


@app.command()
def rotate(tenant: Tenant, system: System) -> None:
    """Replace a key; the old one is refused within five seconds."""
    print(_do(lambda connection: tenants.rotate(connection, tenant, system)))  # noqa: T201 - bare, for the shell


@app.command()
def suspend(tenant: Tenant) -> None:
    """Refuse all keys of a tenant, within five seconds."""
    _do(lambda connection: tenants.suspend(connection, tenant))


@app.command()
def reinstate(tenant: Tenant) -> None:
    """Take a suspended tenant's keys again."""
    _do(lambda connection: tenants.suspend(connection, tenant, suspended=False))


@app.command("list")
def list_() -> None:
    """Show tenants and their keys in force, without the keys."""
    table = Table("tenant", "system", "namespaces", "made", "suspended", box=None, pad_edge=False)
    for row in _do(tenants.listing):
        made = f"{row['made_at']:%Y-%m-%d}" if row["made_at"] else "-"
        suspended = f"{row['suspended_at']:%Y-%m-%d}" if row["suspended_at"] else ""
        table.add_row(row["tenant"], row["system"] or "-", " ".join(row["namespaces"] or []), made, suspended)
    console.print(table)


def _do(work: Callable[[asyncpg.Connection], Awaitable[T]]) -> T:
    try:
        return databases.work(databases.service("gateway"), work)
    except tenants.TenantError as error:
        raise OcopError(f"{error}.") from error
