"""Pages as people get them: uvicorn in a thread, and Debian's Chromium."""

import asyncio
import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import uvicorn
from national import api
from playwright.sync_api import Browser, sync_playwright

from servicekit import database
from tests.pages.situations import AT

ALONE = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@contextmanager
def serving(database_url: str) -> Iterator[str]:
    """The national database's HTTP over such a database, as an address to ask."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ready: list[uvicorn.Server] = []

        async def serve() -> None:
            pool = await database.open_pool(database_url)
            config = uvicorn.Config(api.build(pool, today=lambda: AT), log_level="critical", lifespan="off")
            ready.append(uvicorn.Server(config))
            await ready[0].serve(sockets=[listener])
            await pool.close()

        thread = threading.Thread(target=asyncio.run, args=(serve(),), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            for server in ready:
                server.should_exit = True
            thread.join(10)
    assert not thread.is_alive()


@contextmanager
def browsing() -> Iterator[Browser]:
    """Chromium without a window. Without one the tests of the pages fail: they cannot be had otherwise."""
    path = shutil.which("chromium")
    if path is None:
        pytest.fail("The tests of the pages need Chromium: apt-get install chromium", pytrace=False)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(ALONE))
        yield browser
        browser.close()
