"""Ports that are given out."""

import asyncio
import subprocess
import sys

import pytest

from ocop import home
from ocop.errors import OcopError

# Another process that looks for one, and may have this one only.
LOOK = """
import sys
from ocop import home
home.PORTS = range(int(sys.argv[1]), int(sys.argv[1]) + 1)
print(home.free_port())
"""


def elsewhere(port: int) -> str:
    """What another process is given that has no other choice, or how it complains."""
    done = subprocess.run([sys.executable, "-c", LOOK, str(port)], capture_output=True, text=True, check=False)
    return done.stdout.strip() or done.stderr.splitlines()[-1]


def test_a_port_is_given_once(monkeypatch: pytest.MonkeyPatch) -> None:
    port = home.free_port()
    monkeypatch.setattr(home, "PORTS", range(port, port + 200))
    assert port not in [home.free_port() for _ in range(100)]


def test_nobody_else_is_given_it() -> None:
    assert "No free port" in elsewhere(home.free_port())


async def test_who_is_given_it_can_listen() -> None:
    port = home.free_port()
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", port)
    async with server:
        assert server.sockets[0].getsockname()[1] == port


def test_kept_are_the_latest_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(home, "MOST_KEPT", 3)
    first = home.free_port()
    for _ in range(210):
        home.free_port()
    assert elsewhere(first) == str(first)


def test_where_all_are_taken_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    port = home.free_port()
    monkeypatch.setattr(home, "PORTS", range(port, port + 1))
    with pytest.raises(OcopError, match="No free port"):
        home.free_port()
