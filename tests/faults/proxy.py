"""A link that can be cut: TCP from a port of its own to another one, with the troubles that a network has."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

CHUNK = 256 * 1024
AT_ONCE = 512  # connections that wait to be accepted


class Proxy:
    """Carries bytes both ways from `port` to `target`, unless told otherwise. All of it is undone by `mend`.

    Connections whose answers were lost break when it is mended: nobody could make sense of the rest.
    """

    def __init__(self, port: int, target: int) -> None:
        self.port, self.target = port, target
        self._flows = asyncio.Event()
        self._flows.set()
        self._pairs: dict[asyncio.StreamWriter, asyncio.StreamWriter] = {}
        self._lost: set[asyncio.StreamWriter] = set()  # clients that miss an answer
        self._forgotten: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[object]] = set()
        self._deaf = False
        self._delay_s = 0.0
        self._reset_after: int | None = None
        self.carried = 0  # bytes, both ways

    # ---------------------------------------------------------------- troubles

    def cut(self) -> None:
        """No byte either way; who connects is accepted, and hears nothing."""
        self._flows.clear()

    def lose_answers(self) -> None:
        """What clients send arrives; what they are answered does not."""
        self._deaf = True

    def delay(self, seconds: float) -> None:
        """Every answer comes so much later."""
        self._delay_s = seconds

    def reset_after(self, size: int) -> None:
        """Each connection breaks after so many bytes of answers from now, in the middle of one perhaps."""
        self._reset_after = size

    def reset(self) -> None:
        """All connections break now; new ones are accepted."""
        for client, server in list(self._pairs.items()):
            client.transport.abort()
            server.transport.abort()

    def mend(self, old: str = "late") -> None:
        """All is well again. What is under way in old connections arrives `late`, as after a cable was pulled; or they
        are `broken`; or `forgotten`, as by a firewall that was restarted: nothing of them arrives any more, and nobody
        is told."""
        self._deaf, self._delay_s, self._reset_after = False, 0.0, None
        for client in list(self._lost):
            client.transport.abort()
        if old == "broken":
            self.reset()
        elif old == "forgotten":
            self._forgotten |= set(self._pairs)
        self._flows.set()

    # ---------------------------------------------------------------- connections

    async def connected(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        """A client has come; returns when it, or what it wanted to reach, has gone."""
        task = asyncio.current_task()
        assert task is not None  # a coroutine has one
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        await self._flows.wait()
        try:
            there, server = await asyncio.open_connection("127.0.0.1", self.target, limit=CHUNK)
        except OSError:
            client.transport.abort()
            return
        self._pairs[client] = server
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._requests(reader, client, server))
                group.create_task(self._answers(there, client))
        except* OSError:
            pass  # one side is gone, so the other goes too
        finally:
            self._lost.discard(client)
            self._forgotten.discard(client)
            self._pairs.pop(client, None)
            client.transport.abort()
            server.close()  # what it was sent before reaches it
            with suppress(OSError):
                await server.wait_closed()

    async def _requests(
        self, reader: asyncio.StreamReader, client: asyncio.StreamWriter, server: asyncio.StreamWriter
    ) -> None:
        while data := await reader.read(CHUNK):
            await self._flows.wait()
            if client in self._forgotten:
                continue
            self.carried += len(data)
            server.write(data)
            await server.drain()
        await self._ended(client)

    async def _answers(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        rest = self._reset_after
        while data := await reader.read(CHUNK):
            await asyncio.sleep(self._delay_s)
            await self._flows.wait()
            if client in self._forgotten:
                continue
            if self._reset_after is None:
                rest = None
            elif rest is None:
                rest = self._reset_after
            if rest is not None:
                data, rest = data[:rest], rest - len(data)
            if self._deaf or client in self._lost:
                self._lost.add(client)
                continue
            self.carried += len(data)
            client.write(data)
            await client.drain()
            if rest is not None and rest <= 0:
                break
        await self._ended(client)

    async def _ended(self, client: asyncio.StreamWriter) -> None:
        """One side has closed the connection: the other is told, unless the connection is forgotten."""
        if client in self._forgotten:
            await asyncio.Event().wait()
        raise ConnectionResetError

    async def close(self) -> None:
        """Ends all connections."""
        self._flows.set()
        self.reset()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@asynccontextmanager
async def proxy(port: int, target: int) -> AsyncIterator[Proxy]:
    """A proxy that listens on 127.0.0.1."""
    made = Proxy(port, target)
    server = await asyncio.start_server(made.connected, "127.0.0.1", port, limit=CHUNK, backlog=AT_ONCE)
    try:
        yield made
    finally:
        server.close()
        await made.close()
