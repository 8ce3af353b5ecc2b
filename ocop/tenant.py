"""`ocop tenant …`: who may submit."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any, TypeVar

import asyncpg
import typer
from gateway import tenants
from rich.table import Table

from ocop import databases
from ocop.console import console
from ocop.errors import OcopError
from ocop.operator import Actor, named
from servicekit import audit

app = typer.Typer(help="Who may submit: keys of provinces' systems.", no_args_is_help=True)

T = TypeVar("T")
Tenant = Annotated[str, typer.Argument(help="Province of the catalogue of 2025, for instance 2025-80.")]
System = Annotated[str, typer.Option(help="Name of the province's system, part of its source.")]


@app.command()
def enrol(
    tenant: Tenant,
    system: System,
    namespaces: Annotated[str, typer.Option(help="Only these, with commas; all of the tenant's if left out.")] = "",
    actor: Actor = "",
) -> None:
    """Make a key; it is shown this once."""
    wanted = [each.strip() for each in namespaces.split(",") if each.strip()]
    noted = {"tenant": tenant, "system": system, "namespaces": wanted}
    key = _do(lambda connection: tenants.enrol(connection, tenant, system, wanted), "tenant enrol", noted, actor)
    print(key)  # noqa: T201 - bare, for the shell


@app.command()
def rotate(tenant: Tenant, system: System, actor: Actor = "") -> None:
    """Replace a key; the old one is refused within five seconds."""
    noted = {"tenant": tenant, "system": system}
    print(_do(lambda connection: tenants.rotate(connection, tenant, system), "tenant rotate", noted, actor))  # noqa: T201 - bare, for the shell


@app.command()
def suspend(tenant: Tenant, actor: Actor = "") -> None:
    """Refuse all keys of a tenant, within five seconds."""
    _do(lambda connection: tenants.suspend(connection, tenant), "tenant suspend", {"tenant": tenant}, actor)


@app.command()
def reinstate(tenant: Tenant, actor: Actor = "") -> None:
    """Take a suspended tenant's keys again."""
    again = {"tenant": tenant}
    _do(lambda connection: tenants.suspend(connection, tenant, suspended=False), "tenant reinstate", again, actor)


@app.command("list")
def list_() -> None:
    """Show tenants and their keys in force, without the keys."""
    table = Table("tenant", "system", "namespaces", "made", "suspended", box=None, pad_edge=False)
    for row in databases.work(databases.service("gateway"), tenants.listing):
        made = f"{row['made_at']:%Y-%m-%d}" if row["made_at"] else "-"
        suspended = f"{row['suspended_at']:%Y-%m-%d}" if row["suspended_at"] else ""
        table.add_row(row["tenant"], row["system"] or "-", " ".join(row["namespaces"] or []), made, suspended)
    console.print(table)


def _do(work: Callable[[asyncpg.Connection], Awaitable[T]], what: str, details: Mapping[str, Any], actor: str) -> T:
    """Does it and notes it, in one transaction."""

    async def noted(connection: asyncpg.Connection) -> T:
        done = await work(connection)
        await audit.record(connection, named(actor), what, details)
        return done

    try:
        return databases.work(databases.service("gateway"), noted)
    except tenants.TenantError as error:
        raise OcopError(f"{error}.") from error
