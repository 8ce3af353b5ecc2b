"""`ocop consumer …`: how far a service has read, what stopped it, and how it is let on."""

import asyncio
import os
import re
from typing import Annotated

import asyncpg
import typer
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError
from rich.table import Table

from ocop import databases, quiet, stack
from ocop.console import console
from ocop.databases import ServiceName
from ocop.errors import OcopError
from ocop.operator import MOMENT, Actor, named
from servicekit import access, audit, breaker

_ADDRESSES = re.compile(r"[^\s,]+:[0-9]{1,5}(,[^\s,]+:[0-9]{1,5})*")

HELD = ("waiting", "behind", "failed", "gap", "skipped")  # reasons, and what is held no more
app = typer.Typer(help="How far a service has read its topics, and what stopped it.", no_args_is_help=True)


def bootstrap() -> str:
    """Kafka's address: of the environment, as it is beside a running service, or of the stack of this machine.

    Raises OcopError if there is none.
    """
    given = os.environ.get("OCOP_KAFKA_BOOTSTRAP")
    if given and not _ADDRESSES.fullmatch(given):
        raise OcopError("OCOP_KAFKA_BOOTSTRAP is not of the form HOST:PORT, several with commas.")
    return given or stack.kafka_bootstrap(databases.memory())


@app.command()
def status(service: ServiceName) -> None:
    """Show, per topic, what is unread, what is held or was ever skipped, and whether reading was stopped.

    The exit status is 1 if it was.
    """
    table = Table("topic", "unread", *HELD, "reading", box=None, pad_edge=False)
    stopped, unknown = asyncio.run(_status(service, table))
    console.print(table)
    if unknown is not None:
        raise OcopError(unknown)
    if stopped:
        raise typer.Exit(1)


async def _status(service: str, table: Table) -> tuple[int, str | None]:
    """How many topics are stopped, and why what is unread cannot be told; what the database knows is told all the
    same."""
    async with databases.opened(databases.service(service)) as connection:
        read = {row["topic"] for row in await connection.fetch("SELECT DISTINCT topic FROM position")}
        held = await connection.fetch(
            """SELECT topic, reason, count(*) AS rows FROM held GROUP BY 1, 2
               UNION ALL SELECT topic, 'skipped', count(*) FROM skipped GROUP BY 1"""
        )
        stopped = await connection.fetch("SELECT topic, reason, since FROM stopped WHERE resumed_at IS NULL")
        unread: dict[str, int] = {}
        unknown = None
        try:
            unread = await _unread(connection, read)
        except KafkaError as error:
            unknown = f"What is unread cannot be told: Kafka does not answer ({error!r})."
        except OcopError as error:
            unknown = str(error)
    counts = {(row["topic"], row["reason"]): row["rows"] for row in held}
    why = {row["topic"]: f"stopped {row['since']:{MOMENT}}: {row['reason']}" for row in stopped}
    for topic in sorted(read):
        cells = [str(counts.get((topic, reason), 0)) for reason in HELD]
        table.add_row(topic, str(unread.get(topic, "?")), *cells, why.get(topic, "yes"))
    return len(why), unknown


async def _unread(connection: asyncpg.Connection, read: set[str]) -> dict[str, int]:
    """Raises OcopError where Kafka has not all of these topics."""
    consumer = AIOKafkaConsumer(**access.to(bootstrap()), enable_auto_commit=False)
    try:
        await consumer.start()
        if lost := read - await consumer.topics():
            raise OcopError(f"Kafka has no topic {', '.join(sorted(lost))}: see 'After a restore' in operations.md.")
        return await quiet.unread(consumer, connection)
    finally:
        await consumer.stop()


@app.command()
def resume(
    service: ServiceName,
    topic: Annotated[str | None, typer.Option(help="This topic only.")] = None,
    actor: Actor = "",
) -> None:
    """Let a service read on in topics that too many failures have stopped."""

    async def work(connection: asyncpg.Connection) -> list[str]:
        resumed = await breaker.resume(connection, topic)
        if resumed:
            await audit.record(connection, named(actor), "resume", {"topics": resumed})
        return resumed

    resumed = databases.work(databases.service(service), work)
    if not resumed:
        raise OcopError(f"Nothing is stopped in {service}" + (f" of {topic}." if topic else "."))
    console.print(f"{service} reads on: {', '.join(resumed)}.")
