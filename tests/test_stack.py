"""``ocop up | status | logs | down``: one stack, hurt in every way that a person can hurt it."""

import asyncio
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
import xmlrpc.client
from collections.abc import Iterator
from pathlib import Path
from xml.parsers.expat import ExpatError

import psutil
import pytest

from ocop import stack
from ocop.home import Home
from ocop.services import SERVICES
from ocop.supervision import Supervisor, members
from tests.engines import Engines

COMMAND_SECONDS = 180

# The engines and one process of each service, but two of the first.
REPLICATED = SERVICES[0].name
NAMES = sorted(["kafka", "postgres", "mailbox", f"{REPLICATED}-2", *(service.name for service in SERVICES)])


class Stack:
    """The command line, on one installation."""

    def __init__(self, path: Path) -> None:
        self.home = Home(path)

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(
            [sys.executable, "-m", "ocop", *arguments],
            env={**os.environ, "OCOP_HOME": str(self.home.path), "COLUMNS": "200", **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )

    def up(self, *arguments: str) -> None:
        done = self.run("up", *arguments)
        assert done.returncode == 0, done.stdout + done.stderr

    def pids(self) -> dict[str, int]:
        """The running processes by name, all of which answer."""
        lines = asyncio.run(stack.status(self.home))
        assert sorted(line.process.name for line in lines) == NAMES
        found = {}
        for line in lines:
            assert line.process.is_running, line
            assert line.process.pid is not None
            found[line.process.name] = line.process.pid
        return found

    def supervisor(self) -> psutil.Process:
        return psutil.Process(int((self.home.path / "supervisord.pid").read_text()))


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack that is up; every test leaves it so."""
    path = tmp_path_factory.mktemp("stack") / "home"
    one = Stack(path)
    try:
        one.up("--replicas", f"{REPLICATED}=2", "--set", "OCOP_SESSION_TIMEOUT_MS=6000")
        yield one
    finally:
        down = one.run("down")
    assert down.returncode == 0, down.stderr
    assert members(one.home) == []


def test_up_twice_changes_nothing(running: Stack) -> None:
    before, record = running.pids(), running.home.record.read_text()
    running.up()
    assert running.pids() == before
    assert running.home.record.read_text() == record


def test_status_shows_every_process(running: Stack) -> None:
    done = running.run("status")
    assert sorted(line.split()[0] for line in done.stdout.splitlines()[1:]) == NAMES
    for name, pid in running.pids().items():
        assert re.search(rf"^\s*{name}\s+{pid}\s", done.stdout, re.MULTILINE)


def test_settings_and_replicas_are_remembered(running: Stack) -> None:
    running.up()
    for name in (REPLICATED, f"{REPLICATED}-2"):
        assert psutil.Process(running.pids()[name]).environ()["OCOP_SESSION_TIMEOUT_MS"] == "6000"


def test_secrets_are_for_the_user_alone(running: Stack) -> None:
    memory = running.home.recall()
    assert len(set(memory.passwords.values())) == len(memory.passwords) >= 3 * len(SERVICES) + 2
    for path in (running.home.path, running.home.logs, running.home.record, running.home.path / "supervisord.conf"):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
    for process in members(running.home):
        command_line = " ".join(process.cmdline())
        assert not any(password in command_line for password in memory.passwords.values())


@pytest.mark.parametrize("name", NAMES)
def test_up_repairs_a_killed_process(running: Stack, name: str) -> None:
    before = running.pids()
    os.kill(before[name], signal.SIGKILL)
    running.up()
    after = running.pids()
    assert after[name] != before[name]
    assert {other: pid for other, pid in after.items() if other != name} == {
        other: pid for other, pid in before.items() if other != name
    }


def test_up_repairs_after_the_supervisors_own_death(running: Stack) -> None:
    old = members(running.home)
    supervisor = running.supervisor()
    supervisor.kill()
    psutil.wait_procs([supervisor], timeout=10)
    assert "left over" in running.run("status").stderr
    running.up()
    assert not any(process.is_running() for process in old)
    running.pids()


def test_up_replaces_a_supervisor_that_stands_still(running: Stack) -> None:
    supervisor = running.supervisor()
    supervisor.suspend()
    running.up()
    assert running.supervisor() != supervisor
    running.pids()


def test_up_repairs_when_everything_was_killed_at_once(running: Stack) -> None:
    old = members(running.home)
    for process in [running.supervisor(), *old]:
        if process.is_running():
            process.kill()
    psutil.wait_procs(old, timeout=30)
    running.up()
    running.pids()


def test_logs_are_shown_by_process(running: Stack) -> None:
    assert "database system is ready" in running.run("logs", "postgres", "-n", "100000").stdout
    done = running.run("logs", "nobody")
    assert done.returncode == 1
    assert done.stderr.startswith("ocop: There is no log of nobody")


def test_down_leaves_no_process_and_up_keeps_ports_and_data(running: Stack) -> None:
    memory = running.home.recall()
    assert running.run("down").returncode == 0
    assert members(running.home) == []
    assert running.run("status").returncode == 1
    assert running.run("down").stderr == "Nothing was running.\n"
    running.up()
    assert running.home.recall() == memory


def test_down_ends_what_a_dead_supervisor_left(running: Stack) -> None:
    running.supervisor().kill()
    assert running.run("down").returncode == 0
    assert members(running.home) == []
    running.up()


def test_a_mistake_at_the_command_line_is_one_short_line(running: Stack) -> None:
    for arguments, words in (
        (["up", "--replicas", "nobody=2"], "There is no service nobody"),
        (["up", "--replicas", f"{REPLICATED}=many"], "--replicas takes SERVICE=NUMBER"),
        (["up", "--replicas", f"{REPLICATED}=13"], "from 1 to 12"),
        (["up", "--set", "OCOP_LOG_LEVEL"], "is not of the form"),
        (["up", "--set", "OCOP_SMTP_FROM=OCOP #1 <a@b>"], "is not of the form"),  # a comment, to supervisor
        (["url", "nobody"], "nobody has no address"),
    ):
        done = running.run(*arguments)
        assert done.returncode == 1
        assert words in done.stderr
        assert len(done.stderr.splitlines()) == 1


def test_one_that_is_being_stopped_is_started_when_it_has_ended(running: Stack) -> None:
    """As after a `down` that was broken off."""
    memory = running.home.recall()
    name = NAMES[0]
    supervisor = stack._supervisor(running.home, memory)
    before = running.pids()[name]
    os.kill(before, signal.SIGSTOP)  # so that its end takes as long as we like
    with supervisor._rpc() as rpc:
        rpc.stopProcess(name, False)
    starting = threading.Thread(target=supervisor.start, args=(name,))
    starting.start()
    os.kill(before, signal.SIGCONT)
    starting.join(COMMAND_SECONDS)
    deadline = time.monotonic() + COMMAND_SECONDS
    while not any(one.name == name and one.is_running for one in supervisor.processes()):
        assert time.monotonic() < deadline, "it was not started"
        time.sleep(0.05)
    running.up()
    assert running.pids()[name] != before


@pytest.mark.parametrize(
    "said",
    [
        xmlrpc.client.Fault(6, "SHUTDOWN_STATE"),
        xmlrpc.client.ProtocolError("127.0.0.1", 501, "Unsupported method", {}),
        xmlrpc.client.ResponseError("no answer of ours"),
        ExpatError("no XML"),
        ConnectionRefusedError(),
    ],
)
def test_who_does_not_answer_as_a_supervisor_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: Exception
) -> None:
    """About to end, or another program at the remembered port: neither may keep `up` and `down` from their work."""

    def refuse(_: Supervisor) -> None:
        raise said

    monkeypatch.setattr(Supervisor, "_rpc", refuse)
    assert not Supervisor(Home(tmp_path), 1, "").answers()


def test_a_process_that_does_not_start_is_shown_with_its_last_words(running: Stack) -> None:
    third = f"{REPLICATED}-3"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        memory = running.home.recall()
        memory.ports[third] = taken.getsockname()[1]
        running.home.remember(memory)
        done = running.run("up", "--replicas", f"{REPLICATED}=3")
    assert done.returncode == 1
    assert f"ocop: {third} is not ready" in done.stderr
    assert "address already in use" in done.stderr
    running.up("--replicas", f"{REPLICATED}=2")
    running.pids()


async def test_engines_that_are_there_already_are_used(engines: Engines, tmp_path: Path) -> None:
    """A pair of the test's own: `ocop up` changes passwords on the server that it is given."""
    one = Stack(tmp_path / "home")
    given = {"OCOP_KAFKA_BOOTSTRAP": engines.kafka_bootstrap, "OCOP_POSTGRES_URL": engines.postgres_url}
    try:
        done = await asyncio.to_thread(one.run, "up", **given)
        assert done.returncode == 0, done.stderr
        await asyncio.to_thread(one.up)  # remembered
        names = sorted(line.process.name for line in await stack.status(one.home))
        assert names == sorted(["mailbox", *(service.name for service in SERVICES)])
        assert not (one.home.path / "kafka").exists()
        assert not (one.home.path / "postgres").exists()
    finally:
        assert (await asyncio.to_thread(one.run, "down")).returncode == 0
    assert members(one.home) == []
