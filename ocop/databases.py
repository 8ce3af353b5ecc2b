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

T = TypeVar("T")
ServiceName = Annotated[str, typer.Argument(help="registry, evaluation, marketplace-sync, national, gateway, …")]


def service(name: str) -> Service:
    """By its name, on the wire or of its folder. Raises OcopError."""
    for each in SERVICES:
        if name in (each.name, each.wire):
            return each
    raise OcopError(f"There is no service {name}; there are {', '.join(each.name for each in SERVICES)}.")


@asynccontextmanager
async def opened(of: Service) -> AsyncIterator[asyncpg.Connection]:
    """A connection with the application's role.

    `OCOP_DATABASE_URL` is taken where it is set, as it is beside a running service; else the stack of OCOP_HOME.
    """
    url = os.environ.get("OCOP_DATABASE_URL")
    if url is None:
        url = stack.database_urls(_memory(), of)[1]
    try:
        connection = await database.connect(url, name="ocop")
    except (OSError, asyncpg.PostgresError) as error:
        raise OcopError(f"The database of {of.name} does not answer: {error}.") from error
    try:
        yield connection
    finally:
        await connection.close()


def _memory() -> Memory:
    memory = Home.here().recall()
    if not memory.passwords:
        raise OcopError("There is no stack here: `ocop up` starts one, or set OCOP_DATABASE_URL.")
    return memory


def owner_url(of: Service) -> str:
    """The database as its owner, to change tables: of `OCOP_DATABASE_OWNER_URL`, or the stack's. Raises OcopError."""
    url = os.environ.get("OCOP_DATABASE_OWNER_URL")
    if url is None and "OCOP_DATABASE_URL" in os.environ:
        raise OcopError("Tables are made by the owner's role: set OCOP_DATABASE_OWNER_URL, too.")
    return url or stack.database_urls(_memory(), of)[0]


def work(of: Service, do: Callable[[asyncpg.Connection], Awaitable[T]]) -> T:
    """What `do` returns, from one transaction of its own on that service's database."""

    async def run() -> T:
        async with opened(of) as connection, connection.transaction():
            return await do(connection)

    return asyncio.run(run())
