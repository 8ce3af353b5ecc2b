"""The demo as a user runs it, in a home of its own: at first, again, and with everything killed in turn."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from ocop import stack
from ocop.home import Home
from ocop.supervision import members

PATIENCE_S = 240
VICTIMS = (
    "registry",
    "evaluation",
    "marketplace-sync",
    "national",
    "notifications",
    "gateway",
    "kafka",
    "postgres",
    "mailbox",
)


def ocop(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs a command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "ocop", *arguments],
        env=os.environ | {"OCOP_HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A home that is stopped in the end, and then has no process left."""
    path = tmp_path / "home"
    try:
        yield path
    finally:
        ocop(path, "down")
        assert members(Home(path)) == []


def test_twice(home: Path) -> None:
    first = ocop(home, "demo")
    assert first.returncode == 0, first.stdout + first.stderr
    assert "3332 events accepted, 0 duplicates." in first.stdout
    assert "65 published numbers: 65 equal, 0 different." in first.stdout
    assert "nothing lost, nothing twice, nothing out of order" in first.stdout
    second = ocop(home, "demo")
    assert second.returncode == 0, second.stdout + second.stderr
    assert "0 events accepted, 3332 duplicates." in second.stdout
    assert "65 published numbers: 65 equal, 0 different." in second.stdout


def test_each_process_killed_in_turn_while_it_runs(home: Path) -> None:
    settings = ["--set", "OCOP_SESSION_TIMEOUT_MS=6000"]
    started = ocop(home, "up", *settings)
    assert started.returncode == 0, started.stderr
    demo = subprocess.Popen(
        [sys.executable, "-m", "ocop", "demo", "--pause", "2.5"],
        env=os.environ | {"OCOP_HOME": str(home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        killed = [victim for victim in VICTIMS if _kill(home, victim, demo)]
        supervisor = int((home / "supervisord.pid").read_text())
        psutil.Process(supervisor).kill()
        repaired = ocop(home, "up")
        assert repaired.returncode == 0, repaired.stderr
        said, _ = demo.communicate(timeout=PATIENCE_S)
    finally:
        demo.kill()
        demo.wait()
    assert demo.returncode == 0, said
    assert killed == list(VICTIMS), "the demo was over before all could be killed"
    assert "65 published numbers: 65 equal, 0 different." in said
    assert "nothing lost, nothing twice, nothing out of order" in said


def _kill(home: Path, victim: str, demo: "subprocess.Popen[str]") -> bool:
    """`kill -9`, then waits until all is well again; False if the demo was over before."""
    if demo.poll() is not None:
        return False
    lines = {line.process.name: line for line in asyncio.run(stack.status(Home(home)))}
    pid = lines[victim].process.pid
    assert pid is not None
    psutil.Process(pid).kill()
    until = time.monotonic() + 60
    while time.monotonic() < until:
        lines = {line.process.name: line for line in asyncio.run(stack.status(Home(home)))}
        well = lines and all(line.process.is_running and not line.missing for line in lines.values())
        if well and lines[victim].process.pid != pid:
            return True
    raise AssertionError(f"{victim} did not come back: {lines}")
