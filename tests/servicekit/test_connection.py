"""Connections of clients that do not say, send or read: they end, and answers are whole."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import uvicorn
from fastapi import FastAPI, Request, Response
from starlette.requests import ClientDisconnect

from servicekit import connection
from servicekit.connection import Connection
from tests.waiting import until

HEAD = b"POST /take HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n"
GOOD = b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n"
LARGE = b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "HEAD_S", 1)
    monkeypatch.setattr(connection, "FLUSH_S", 0.3)


def application() -> FastAPI:
    app = FastAPI()

    @app.post("/take")
    async def take() -> Response:
        return Response(status_code=401)  # answered before the body has come

    @app.post("/read")
    async def read(request: Request) -> Response:
        try:
            return Response(await request.body())
        except ClientDisconnect:
            return Response("nobody listens", 499)

    @app.get("/slow")
    async def slow(request: Request) -> Response:
        await asyncio.sleep(connection.HEAD_S * 2)
        return Response("done")

    @app.get("/large")
    async def large() -> Response:
        return Response(b"x" * 20_000_000)

    return app


@asynccontextmanager
async def served() -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter, uvicorn.Server]]:
    """A connection to a server of its own."""
    config = uvicorn.Config(
        application(), port=0, http=Connection, log_config=None, lifespan="off", timeout_keep_alive=1
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer, server
    finally:
        writer.close()
        server.should_exit = True
        await serving


async def ended(reader: asyncio.StreamReader) -> bytes:
    """All that still comes, until the server ends the connection."""
    try:
        async with asyncio.timeout(5):
            return await reader.read()
    except ConnectionResetError:
        return b""


async def test_who_says_nothing_is_let_go() -> None:
    async with served() as (reader, _, _):
        assert await ended(reader) == b""


async def test_who_says_it_letter_by_letter_is_let_go() -> None:
    async with served() as (reader, writer, _):

        async def trickle() -> None:
            for letter in GOOD * 100:
                writer.write(bytes([letter]))
                await asyncio.sleep(0.05)

        trickling = asyncio.create_task(trickle())
        assert await ended(reader) == b""
        trickling.cancel()


async def test_the_rest_of_a_body_that_was_answered_is_not_awaited_for_ever() -> None:
    async with served() as (reader, writer, _):
        writer.write(HEAD)
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 401")

        async def trickle() -> None:
            while True:
                writer.write(b"x")
                await asyncio.sleep(0.05)

        trickling = asyncio.create_task(trickle())
        assert await ended(reader) == b""
        trickling.cancel()


@pytest.mark.parametrize("path", [b"/read", b"/take"])
async def test_a_body_that_is_no_http_is_no_accident(path: bytes, caplog: pytest.LogCaptureFixture) -> None:
    """Also when the application answers at the same time, or has answered already."""
    async with served() as (reader, writer, _):
        head = b"POST " + path + b" HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        writer.write(head + b"5\r\nhello\r\n")
        if path == b"/take":
            await reader.readuntil(b"\r\n\r\n")
        writer.write(b"this is no chunk\r\n")
        head, _, body = (await ended(reader)).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 400") == (path == b"/read")
        if head:
            assert json.loads(body)["code"] == "not-http"
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


async def test_the_application_may_take_its_time() -> None:
    async with served() as (reader, writer, _):
        writer.write(GOOD + GOOD)
        for _ in range(2):
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
            assert await reader.readexactly(4) == b"done"


@pytest.mark.parametrize("times", [1, 2])
async def test_who_does_not_read_is_let_go(times: int) -> None:
    """Also where a second answer stands behind the first."""
    async with served() as (_, writer, server):
        writer.write(LARGE * times)
        writer.transport.pause_reading()  # type: ignore[attr-defined]  # a read transport too

        async def connections() -> int:
            return len(server.server_state.connections)

        async def gone() -> bool:
            return not await connections()

        await until(connections)
        await until(gone, 10)


async def test_a_body_in_chunks_that_was_answered_is_not_read_on_and_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "HEAD_S", 60)
    monkeypatch.setattr(connection, "REST_BYTES", 10_000)
    async with served() as (reader, writer, _):
        writer.write(b"POST /take HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"1\r\na\r\n" * 2000)
        assert await ended(reader) == b""
