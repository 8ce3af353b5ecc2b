"""PostgreSQL as the services use it: pools with time limits, passwords that change, and which errors mean that it is
away."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal
from urllib.parse import parse_qsl, urlencode, urlsplit

import asyncpg

STATEMENT_TIMEOUT_S = 10  # the server ends a statement
ANSWER_S = 15  # and a connection that has brought no answer by then is dead, whatever TCP says
IDLE_IN_TRANSACTION_TIMEOUT_S = 10  # a process that was stopped in the middle must let its locks go
# By these the server notices within 15 s that the network has forgotten a connection; by default, after two hours.
KEPT_ALIVE: Final = {
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "2",
    "tcp_user_timeout": "15000",
}
_FILE: Final = "password_file"  # in a URL's query, as `sslrootcert` is

COMMAND_IDLE_S = 300  # the same for what a person runs: a rebuild may read Kafka for a minute while it holds locks
CLOSED_S = 5  # a farewell that brings no answer

if TYPE_CHECKING:  # generic in the stubs only
    _Asyncpg = asyncpg.Connection[asyncpg.Record]
    Connection = asyncpg.pool.PoolConnectionProxy[asyncpg.Record] | asyncpg.Connection[asyncpg.Record]
    Pool = asyncpg.Pool[asyncpg.Record]
else:
    _Asyncpg = asyncpg.Connection
    Connection = asyncpg.pool.PoolConnectionProxy | asyncpg.Connection
    Pool = asyncpg.Pool

OUTAGE = (
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.OperatorInterventionError,  # 57…: shutdown, crash recovery, statement cancelled
    asyncpg.InsufficientResourcesError,  # 53…: disk full, too many connections
    asyncpg.InvalidAuthorizationSpecificationError,  # 28…: the password has changed, and the new one is on its way
    asyncpg.SerializationError,
    asyncpg.DeadlockDetectedError,
    asyncpg.LockNotAvailableError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.ReadOnlySQLTransactionError,  # a standby, for as long as its promotion takes
    OSError,
    asyncio.TimeoutError,
)

# By the limits above the server has ended it.
TOO_LATE = (asyncpg.QueryCanceledError, asyncpg.IdleInTransactionSessionTimeoutError)


def is_outage(error: BaseException) -> bool:
    """True for what passes by itself: connection lost, not let in, deadlock, serialisation, time-out, no space.

    Everything else is the fault of the event or of our code, and trying the same batch again is no use.
    """
    if isinstance(error, asyncpg.InternalClientError):
        return "cannot switch to state" in str(error)  # asyncpg#1069: what a dying server sometimes looks like
    return isinstance(error, OUTAGE)


class _Connection(_Asyncpg):
    """asyncpg's, with an end to what it waits for on a connection that the network has forgotten."""

    async def copy_records_to_table(self, *arguments: Any, **options: Any) -> str:
        """Its own limit is not heard while a chunk waits for room on the way, not even after the connection's end."""
        async with asyncio.timeout(self._limit_s):
            return await super().copy_records_to_table(*arguments, **options)

    async def _cleanup_stmts(self) -> None:
        """Statements that have left the cache are closed before the next is asked, without any limit."""
        async with asyncio.timeout(self._limit_s):
            await super()._cleanup_stmts()  # type: ignore[misc]  # not in the stubs

    async def close(self, *, timeout: float | None = CLOSED_S) -> None:  # noqa: ASYNC109  # as asyncpg's
        """Ends it, in any case."""
        with suppress(TimeoutError):  # it has been aborted then
            await super().close(timeout=timeout)

    @property
    def _limit_s(self) -> float | None:
        limit: float | None = self._config.command_timeout  # type: ignore[attr-defined]  # not in the stubs
        return limit


async def _prepare(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    # Binary, because COPY speaks nothing else; jsonb's binary form is a version byte before the text.
    await connection.set_type_codec(
        "jsonb", encoder=_to_jsonb, decoder=_from_jsonb, schema="pg_catalog", format="binary"
    )


async def _leave(_: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Nothing that we set outlives its transaction; asyncpg's own reset costs every use a round trip."""


def _to_jsonb(value: Any) -> bytes:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return b"\x01" + text.encode()


def _from_jsonb(value: bytes) -> Any:
    return json.loads(value[1:])


_counts: ContextVar[list[Callable[[], None]] | None] = ContextVar("counts", default=None)
_opened: dict[str, str] = {}  # by a password's file: what it said when that last opened the door


def with_password_file(url: str, file: Path) -> str:
    """The URL of a database whose user's password stands in a file, and is read there for each connection."""
    parts = urlsplit(url)
    return parts._replace(query=urlencode([*parse_qsl(parts.query), (_FILE, file)])).geturl()


async def _connect(url: str, **options: Any) -> "asyncpg.Connection[asyncpg.Record]":
    """As asyncpg does; where the password stands in a file, by what that says now.

    If that is refused, by what it said before: a new password is written down first and given to the server after
    that, and at no moment is nobody let in.
    """
    options["connection_class"] = _Connection
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query))
    file = query.pop(_FILE, None)
    connection: asyncpg.Connection[asyncpg.Record]
    if file is None:
        connection = await asyncpg.connect(url, **options)
        return connection
    address = parts._replace(query=urlencode(query)).geturl()
    password = Path(file).read_text().strip()  # noqa: ASYNC240  # some bytes, mostly of memory
    before = _opened.get(file, password)
    try:
        connection = await asyncpg.connect(address, password=password, **options)
        _opened[file] = password
    except asyncpg.InvalidPasswordError:
        if before == password:
            raise
        connection = await asyncpg.connect(address, password=before, **options)
    return connection


async def open_pool(url: str, *, size: int = 8, name: str = "ocop") -> Pool:
    """A pool of at most `size` connections; every statement ends within 10 s, or fails after 15.

    jsonb comes out as Python values; a str goes in as JSON text already written, anything else is dumped.
    """
    pool: Pool = await asyncpg.create_pool(  # type: ignore[call-overload]  # the stubs want every option by its name
        url,
        connect=_connect,
        min_size=0,  # a database that is away must not keep a service from starting
        max_size=size,
        init=_prepare,
        reset=_leave,
        command_timeout=ANSWER_S,
        timeout=10,
        server_settings={
            "application_name": name,
            "statement_timeout": f"{STATEMENT_TIMEOUT_S}s",
            "idle_in_transaction_session_timeout": f"{IDLE_IN_TRANSACTION_TIMEOUT_S}s",
            "timezone": "UTC",
            **KEPT_ALIVE,
        },
    )
    return pool


@asynccontextmanager
async def acquire(pool: Pool) -> AsyncIterator[Connection]:
    """A connection of the pool; raises TimeoutError if none comes within 15 s.

    One that brings no answer is thrown away at once, and the others are not used again: what has made the network
    forget one has made it forget all, and each would cost as long.
    """
    async with pool.acquire(timeout=ANSWER_S) as connection, _distrust(pool, connection):
        yield connection


@asynccontextmanager
async def transaction(
    pool: Pool, *, isolation: Literal["repeatable_read"] | None = None, readonly: bool = False
) -> AsyncIterator[Connection]:
    """`acquire`, and a transaction on it. What was left to `on_commit` is done when it has been committed."""
    counts: list[Callable[[], None]] = []
    before = _counts.set(counts)
    try:
        async with (
            acquire(pool) as connection,
            connection.transaction(isolation=isolation, readonly=readonly),
            _distrust(pool, connection),  # before the rollback, which would wait for an answer too
        ):
            yield connection
    finally:
        _counts.reset(before)
    for count in counts:
        count()


def on_commit(count: Callable[[], None]) -> None:
    """Counts something when the transaction that this is called in has been committed: what was rolled back and is
    tried again did not happen. A commit whose answer is lost goes uncounted."""
    if (counts := _counts.get()) is None:
        count()
    else:
        counts.append(count)


@asynccontextmanager
async def _distrust(pool: Pool, connection: Connection) -> AsyncIterator[None]:
    try:
        yield
    except TimeoutError:
        connection.terminate()
        await pool.expire_connections()
        raise


async def connect(url: str, *, name: str = "ocop", idle_s: int = 0) -> "asyncpg.Connection[asyncpg.Record]":
    """One connection of its own, for what must notice that it was lost: locks that last, migrations.

    With `idle_s` the server ends it after so many seconds without a query, in a transaction or not, and with it the
    locks that it holds; and no answer is waited for longer, for a connection may be lost without a word. Without, it
    is ended after 300 s in a transaction.
    """
    settings = {
        "application_name": name,
        "timezone": "UTC",
        "idle_session_timeout": f"{idle_s}s",
        "idle_in_transaction_session_timeout": f"{idle_s or COMMAND_IDLE_S}s",
        **KEPT_ALIVE,
    }
    connection = await _connect(url, timeout=10, command_timeout=idle_s or None, server_settings=settings)
    await _prepare(connection)
    return connection
