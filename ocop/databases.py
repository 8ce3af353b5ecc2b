"""A service's database for an operator's command: the one of its settings, or of the stack on this machine."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Annotated, TypeVar

import asyncpg
import typer

from ocop import stack
from ocop.errors import OcopError
from ocop.home import Home, Memory
from ocop.services import SERVICES, Service
from servicekit import database
from servicekit.settings import Database

T = TypeVar("T")
AWAY = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError)  # raised where no database answers
ServiceName = Annotated[str, typer.Argument(help="registry, evaluation, marketplace-sync, national, gateway, …")]


class _Beside(Database):
    """The database of the service beside which a command is given, if it is."""

    database_url: str = ""


def _beside() -> str:
    try:
        return _Beside().database_url
    except ValueError as error:
        raise OcopError(f"{error}.") from error


def service(name: str) -> Service:
    """By its name, on the wire or of its folder. Raises OcopError."""
    for each in SERVICES:
        if name in (each.name, each.wire):
            return each
    raise OcopError(f"There is no service {name}; there are {', '.join(each.name for each in SERVICES)}.")


@asynccontextmanager
async def opened(of: Service) -> AsyncIterator[asyncpg.Connection]:
    """A connection with the application's role.

    `OCOP_DATABASE_URL` is taken where it is set, or a file of secrets says it, as it is beside a running service; else
    the stack of OCOP_HOME. Raises OcopError if nothing answers there, or another service's database does.
    """
    url = _beside() or stack.application_url(memory(), of)
    try:
        connection = await database.connect(url, name="ocop")
    except AWAY as error:
        raise OcopError(f"The database of {of.name} does not answer: {error or type(error).__name__}.") from error
    except ValueError as error:
        raise OcopError(f"OCOP_DATABASE_URL is not a database's address: {error}.") from error
    try:
        if not await _is_of(connection, of):
            raise OcopError(f"This is not the database of {of.name}, or not yet: see OCOP_DATABASE_URL.")
        yield connection
    finally:
        await connection.close()


async def _is_of(connection: asyncpg.Connection, of: Service) -> bool:
    """Whether the service's own migrations were run there: services share the other tables."""
    if await connection.fetchval("SELECT to_regclass('migration') IS NULL"):
        return False
    return bool(await connection.fetchval("SELECT EXISTS (SELECT FROM migration WHERE line = $1)", of.wire))


def memory() -> Memory:
    """Of the stack of this machine. Raises OcopError where there is none."""
    found = Home.here().recall()
    if not found.passwords:
        raise OcopError(
            "There is no stack here: `ocop up` starts one. Beside a running service, set its OCOP_DATABASE_URL and "
            "OCOP_KAFKA_BOOTSTRAP."
        )
    return found


def owner_url(of: Service) -> str:
    """The database as its owner, to change tables: of `OCOP_DATABASE_OWNER_URL`, or the stack's. Raises OcopError."""
    url = os.environ.get("OCOP_DATABASE_OWNER_URL")
    if url is None and _beside():
        raise OcopError("Tables are made by the owner's role: set OCOP_DATABASE_OWNER_URL, too.")
    return url or stack.owner_url(memory(), of)


def work(of: Service, do: Callable[[asyncpg.Connection], Awaitable[T]]) -> T:
    """What `do` returns, from one transaction of its own on that service's database."""

    async def run() -> T:
        async with opened(of) as connection, connection.transaction():
            return await do(connection)

    return asyncio.run(run())
