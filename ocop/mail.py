"""`ocop notifications contact` and `ocop mails`: whom to tell, and what was told on this machine."""

import re
from email.errors import MessageError
from email.headerregistry import Address
from typing import Annotated

import asyncpg
import typer
from notifications import store
from rich.table import Table

from contracts.names import namespaces_of
from ocop import databases, mailbox
from ocop.console import console
from ocop.errors import OcopError
from ocop.home import Home
from ocop.operator import Actor, named
from servicekit import audit

app = typer.Typer(help="Whom to tell by mail.", no_args_is_help=True)

NOTIFICATIONS = databases.service("notifications")
_ADDRESS = re.compile(r"[^@\s<>,;\"]{1,64}@[A-Za-z0-9.-]{1,255}")


@app.command()
def contact(
    tenant: Annotated[str, typer.Argument(help="Province of the catalogue of 2025, for instance 2025-80.")],
    address: Annotated[str, typer.Argument(help="Mail address of the office.")],
    actor: Actor = "",
) -> None:
    """Set the address at which a province is told; what was due meanwhile is sent there."""
    try:
        namespaces_of(tenant)
    except ValueError as error:
        raise OcopError(f"{error}.") from error
    if not _is_one(address):
        raise OcopError(f"{address} is not a mail address.")

    async def work(connection: asyncpg.Connection) -> None:
        await store.set_contact(connection, tenant, address)
        await audit.record(connection, named(actor), "contact", {"tenant": tenant, "address": address})

    databases.work(NOTIFICATIONS, work)


def _is_one(address: str) -> bool:
    """Whether it is an address as it will stand in a letter, and is understood as what it looks like."""
    try:
        return _ADDRESS.fullmatch(address) is not None and Address(addr_spec=address).addr_spec == address
    except (ValueError, MessageError):
        return False


@app.command()
def contacts() -> None:
    """Show every address."""
    table = Table("tenant", "address", box=None, pad_edge=False)
    for tenant, address, _ in databases.work(NOTIFICATIONS, store.contacts):
        table.add_row(tenant, address)
    console.print(table)


def mails(
    number: Annotated[int | None, typer.Argument(help="Show this one whole; the list if left out.")] = None,
) -> None:
    """Show the mails that the stack's own mail server has kept, the newest first."""
    home = Home.here()
    if home.recall().services_url is not None:
        raise OcopError("The mail server of this stack is not ours: look there.")
    kept = mailbox.read(home.mails)[::-1]
    if number is not None:
        if not 1 <= number <= len(kept):
            raise OcopError(f"There are {len(kept)} mails.")
        message = kept[number - 1]
        for header in ("From", "To", "Subject", "Date", "Message-ID"):
            console.print(f"{header}: {message[header]}", highlight=False, soft_wrap=True)
        console.print(f"\n{message.get_content()}", highlight=False, soft_wrap=True)
        return
    table = Table("", "date", "to", "subject", box=None, pad_edge=False)
    for place, message in enumerate(kept, start=1):
        table.add_row(str(place), str(message["Date"]), str(message["To"]), str(message["Subject"]))
    console.print(table if kept else "No mail has come.")
