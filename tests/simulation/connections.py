"""Real connections behind gates: each call may be where its process dies or its connection is lost."""

import re
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from typing import Any

import asyncpg

from tests.simulation.schedule import CURRENT, Crash, Process, gate

_VERB = re.compile(r"\s*(?:WITH \w+ AS[\s\S]*?)?(SELECT|INSERT|UPDATE|DELETE)", re.IGNORECASE)
_TABLE = re.compile(r"\b(?:INTO|UPDATE|FROM)\s+([a-z_]+)\b(?!\()", re.IGNORECASE)


@lru_cache(maxsize=1000)
def kind(query: str) -> str:
    """A statement in two words, for counting."""
    if "advisory" in query:
        return "SELECT lock"
    verb, table = _VERB.match(query), _TABLE.search(query)
    return f"{verb[1].upper() if verb else '?'} {table[1] if table else ''}".strip()


class Gated:
    """A connection of a process."""

    def __init__(self, process: Process, raw: Any) -> None:
        self._process, self._raw = process, raw
        self._pid: int = raw.get_server_pid()
        process.on_death.append(self.cut)

    def cut(self) -> None:
        """Ends it as a lost network does; the server rolls back. One of a history that is over is lent again: a new
        backend takes longer to know the statements than all the rest."""
        if not self._process.over:
            with suppress(asyncpg.InterfaceError):  # the pool has noticed already
                self._raw.terminate()

    async def call(self, what: str, work: Callable[[], Any]) -> Any:
        """Passes the gate, works, and answers; or not."""
        fault = await gate(what)
        if fault == "lost":
            self.cut()
        actor = CURRENT.get()
        if actor is not None:
            actor.pid = self._pid
        try:
            answer = await work()
        finally:
            if actor is not None:
                actor.pid = None
        if fault == "answer lost":
            self.cut()
            raise asyncpg.ConnectionDoesNotExistError("connection lost before the answer")
        return answer

    async def execute(self, query: str, *arguments: Any, **options: Any) -> Any:
        return await self.call(kind(query), lambda: self._raw.execute(query, *arguments, **options))

    async def fetch(self, query: str, *arguments: Any, **options: Any) -> Any:
        return await self.call(kind(query), lambda: self._raw.fetch(query, *arguments, **options))

    async def fetchrow(self, query: str, *arguments: Any, **options: Any) -> Any:
        return await self.call(kind(query), lambda: self._raw.fetchrow(query, *arguments, **options))

    async def fetchval(self, query: str, *arguments: Any, **options: Any) -> Any:
        return await self.call(kind(query), lambda: self._raw.fetchval(query, *arguments, **options))

    async def copy_records_to_table(self, table: str, **options: Any) -> Any:
        return await self.call(f"COPY {table}", lambda: self._raw.copy_records_to_table(table, **options))

    def transaction(self, **options: Any) -> "Transaction":
        return Transaction(self, self._raw.transaction(**options))

    def terminate(self) -> None:
        self.cut()

    async def close(self) -> None:
        self.cut()


class Transaction:
    """BEGIN and COMMIT are calls like others."""

    def __init__(self, connection: Gated, raw: Any) -> None:
        self._connection, self._raw = connection, raw

    async def start(self) -> None:
        await self._connection.call("BEGIN", self._raw.start)

    async def commit(self) -> None:
        await self._connection.call("COMMIT", self._raw.commit)

    async def rollback(self) -> None:
        await self._connection.call("ROLLBACK", self._raw.rollback)

    async def __aenter__(self) -> None:
        await self.start()

    async def __aexit__(self, type_: type[BaseException] | None, *_: object) -> None:
        if type_ is None:
            await self.commit()
        elif not issubclass(type_, Crash):
            await self.rollback()


class Acquired:
    """`pool.acquire()`."""

    def __init__(self, process: Process, pool: "asyncpg.Pool[Any]") -> None:
        self._process, self._pool = process, pool
        self._raw: Any = None

    async def __aenter__(self) -> Gated:
        fault = await gate("connect")
        if fault is not None:
            raise asyncpg.ConnectionDoesNotExistError("no connection")
        self._raw = await self._pool.acquire()
        self._gated = Gated(self._process, self._raw)
        if self._process.dead:
            await self.__aexit__()
            raise Crash(self._process.name)
        return self._gated

    async def __aexit__(self, type_: type[BaseException] | None = Crash, *_: object) -> None:
        self._process.on_death.remove(self._gated.cut)
        if type_ is not None and issubclass(type_, Crash):
            self._gated.cut()
        if self._process.over:
            with suppress(asyncpg.InterfaceError):  # it was lost before
                await self._raw.reset()
        await self._pool.release(self._raw)


class GatedPool:
    """A process's pool: connections are lent by one that outlives it."""

    def __init__(self, process: Process, pool: "asyncpg.Pool[Any]") -> None:
        self._process, self._pool = process, pool

    def acquire(self, *, timeout: float | None = None) -> Acquired:  # nobody has to wait
        return Acquired(self._process, self._pool)

    async def expire_connections(self) -> None: ...

    async def connect(self) -> Gated:
        """One of its own, as `database.connect` gives."""
        acquired = self.acquire()
        connection = await acquired.__aenter__()
        self._process.on_end.append(acquired.__aexit__)
        return connection
