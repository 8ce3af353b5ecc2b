"""`ocop backfill …`: namespaces that send years of records at once, in a lane of their own."""

import asyncio
from contextlib import aclosing
from typing import Annotated

import asyncpg
import typer
from aiokafka.errors import KafkaError
from gateway import backfill
from gateway.lag import Lag
from rich.table import Table

from contracts import provinces
from ocop import databases
from ocop.console import console
from ocop.consumer import bootstrap
from ocop.errors import OcopError
from ocop.operator import Actor, ago, named
from servicekit import audit

app = typer.Typer(help="Years of records at once, in a lane that lets all others pass.", no_args_is_help=True)

GATEWAY = databases.service("gateway")
Namespace = Annotated[str, typer.Argument(help="A tenant's namespace, for instance 2004-72.")]


@app.command()
def declare(namespace: Namespace, actor: Actor = "") -> None:
    """Put a namespace into the backfill lane; it returns by itself when all of it has an outcome and it is quiet."""
    catalogue, _, code = namespace.partition("-")
    if not provinces.exists(catalogue, code):
        raise OcopError(f"There is no namespace {namespace}.")

    async def work(connection: asyncpg.Connection) -> bool:
        declared = await backfill.declare(connection, namespace, named(actor))
        if declared:
            await audit.record(connection, named(actor), "backfill", {"namespace": namespace})
        return declared

    if not databases.work(GATEWAY, work):
        raise OcopError(f"{namespace} is in the backfill lane already.")
    console.print(f"{namespace} is in the backfill lane.")


@app.command()
def end(namespace: Namespace, actor: Actor = "") -> None:
    """Let a namespace return to the live lane now; refused while something of it lacks an outcome."""

    async def work(connection: asyncpg.Connection) -> bool:
        ended = await backfill.end(connection, namespace)
        if ended:
            await audit.record(connection, named(actor), "backfill-end", {"namespace": namespace})
        return ended

    if not databases.work(GATEWAY, work):
        raise OcopError(f"{namespace} is not in the backfill lane, or something of it still lacks an outcome.")
    console.print(f"{namespace} is in the live lane.")


@app.command()
def status() -> None:
    """Show the namespaces in the lane: what waits to be fed, what is under way, and how far the slowest reader is
    behind, for which the lane waits."""

    async def work(connection: asyncpg.Connection) -> list[asyncpg.Record]:
        return await connection.fetch(
            """SELECT b.namespace, b.declared_at, b.actor, nullif(b.latest_at, 'infinity') AS latest_at,
                      count(s.id) FILTER (WHERE s.fed_at = 'infinity') AS waiting,
                      count(s.id) FILTER (WHERE s.fed_at < 'infinity') AS under_way
               FROM backfill b LEFT JOIN submission s
                 ON s.namespace = b.namespace AND s.fed_at IS NOT NULL AND s.state = 'received'
               GROUP BY b.namespace ORDER BY b.declared_at"""
        )

    table = Table("namespace", "declared", "by", "waiting", "under way", "latest", box=None, pad_edge=False)
    for row in databases.work(GATEWAY, work):
        table.add_row(
            row["namespace"],
            ago(row["declared_at"]),
            row["actor"],
            str(row["waiting"]),
            str(row["under_way"]),
            ago(row["latest_at"]) if row["latest_at"] else "nothing yet",
        )
    if not table.row_count:
        console.print("Nothing is in the backfill lane.")
        return
    console.print(table)
    try:
        unread = asyncio.run(_unread())
    except KafkaError as error:
        raise OcopError(f"How far readers are behind cannot be told: Kafka does not answer ({error!r}).") from error
    slowest = max(unread, key=lambda group: unread[group])
    console.print(f"The reader that is furthest behind is {slowest}: {unread[slowest]} records.")


async def _unread() -> dict[str, int]:
    async with aclosing(Lag(bootstrap())) as lag:
        return await lag.unread()
