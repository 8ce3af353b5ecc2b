"""The processes of an installation: under ``supervisor``, and found again when it was killed.

Every process carries the installation's path in its environment (``MARK``). What supervisor started, and
whatever those processes started, can so be told from everything else on the machine, also after supervisor
itself has died and taken its knowledge with it.
"""

import contextlib
import http.client
import os
import re
import shlex
import signal
import subprocess
import sys
import time
import xmlrpc.client
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.parsers.expat import ExpatError

import psutil

from ocop import postgres
from ocop.errors import OcopError
from ocop.home import Home

MARK = "OCOP_PROCESS"
USER = "ocop"
RPC_SECONDS = 5
END_SECONDS = 20  # from the polite signal to SIGKILL


@dataclass(frozen=True, slots=True)
class Program:
    """What supervisor is to keep running."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    stop_signal: str = "TERM"
    priority: int = 20  # started from low to high, stopped from high to low


@dataclass(frozen=True, slots=True)
class Process:
    """How one of them is."""

    name: str
    state: str  # supervisor's word: RUNNING, STARTING, BACKOFF, FATAL, STOPPED …
    pid: int | None
    uptime: int  # seconds

    @property
    def is_running(self) -> bool:
        return self.state == "RUNNING"


class Supervisor:
    """The supervisor of one installation, spoken to over HTTP on 127.0.0.1 with a password.

    Not over a Unix socket: a deep directory makes a longer path than such an address may have.
    """

    def __init__(self, home: Home, port: int, password: str) -> None:
        self._home = home
        self._port = port
        self._password = password
        self._conf = home.path / "supervisord.conf"

    def configure(self, programs: Iterable[Program]) -> None:
        """Write the configuration; a running supervisor takes it up with ``reload``."""
        self._home.write(self._conf, "\n".join([self._head(), *(self._section(program) for program in programs)]))

    def _head(self) -> str:
        return f"""\
[supervisord]
logfile={_literal(self._home.log("supervisor"))}
logfile_maxbytes=10MB
logfile_backups=1
pidfile={_literal(self._home.path / "supervisord.pid")}
umask=077
{"user=root" if os.geteuid() == 0 else ""}

[inet_http_server]
port=127.0.0.1:{self._port}
username={USER}
password={self._password}

[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
"""

    def _section(self, program: Program) -> str:
        environment = ",".join(f'{name}="{_literal(value)}"' for name, value in program.environment.items())
        return f"""\
[program:{program.name}]
command={_literal(shlex.join(program.command))}
directory={_literal(self._home.path)}
environment={environment}
priority={program.priority}
autostart=false
autorestart=true
startsecs=1
startretries=3
stopsignal={program.stop_signal}
stopwaitsecs={END_SECONDS}
killasgroup=true
redirect_stderr=true
stdout_logfile={_literal(self._home.log(program.name))}
stdout_logfile_maxbytes=10MB
stdout_logfile_backups=2
"""

    def launch(self) -> None:
        """Start supervisor in the background, with nothing running under it yet. Raises OcopError."""
        done = subprocess.run(  # noqa: S603 - our own command line
            [sys.executable, "-m", "supervisor.supervisord", "-c", str(self._conf)],
            cwd=self._home.path,
            env=_environment(self._home),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise OcopError(f"supervisor does not start:\n{(done.stdout + done.stderr).strip()}")
        deadline = time.monotonic() + END_SECONDS
        while not self.answers():
            if time.monotonic() > deadline:
                raise OcopError(f"supervisor does not answer: see {self._home.log('supervisor')}.")
            time.sleep(0.05)

    def answers(self) -> bool:
        """Whether this installation's supervisor is there and works."""
        try:
            with self._rpc() as rpc:
                return bool(rpc.getState()["statename"] == "RUNNING")
        except (xmlrpc.client.Error, ExpatError, OSError, http.client.HTTPException):
            return False  # nobody there, another program on our port, or a supervisor that is about to end

    def reload(self) -> None:
        """Take up a new configuration: what changed or is gone from it is stopped, what is new is added."""
        with self._rpc() as rpc:
            added, changed, removed = rpc.reloadConfig()[0]
            self.stop([*changed, *removed])
            for name in [*changed, *removed]:
                rpc.removeProcessGroup(name)
            for name in [*changed, *added]:
                rpc.addProcessGroup(name)

    def start(self, name: str) -> None:
        """Start a program unless it runs or is being started. One that is being stopped ends first: supervisor says
        yes to starting it, and does nothing."""
        deadline = time.monotonic() + 2 * END_SECONDS
        while any(one.name == name and one.state == "STOPPING" for one in self.processes()):
            if time.monotonic() > deadline:
                raise OcopError(f"{name} does not end: see {self._home.log('supervisor')}.")
            time.sleep(0.05)
        try:
            with self._rpc() as rpc:
                rpc.startProcess(name, False)
        except xmlrpc.client.Fault as fault:
            if "ALREADY_STARTED" not in fault.faultString:
                raise OcopError(f"{name} cannot be started: {fault.faultString}.") from fault

    def stop(self, names: Collection[str]) -> None:
        """Stop programs, all at the same time; returns when they have ended."""
        with self._rpc() as rpc:
            for name in names:
                with contextlib.suppress(xmlrpc.client.Fault):  # it does not run
                    rpc.stopProcess(name, False)
        deadline = time.monotonic() + 2 * END_SECONDS
        while late := [one.name for one in self.processes() if one.name in names and one.pid]:
            if time.monotonic() > deadline:
                raise OcopError(f"{', '.join(late)} cannot be stopped: see {self._home.log('supervisor')}.")
            time.sleep(0.05)

    def processes(self) -> list[Process]:
        """All programs, in the order of their start."""
        with self._rpc() as rpc:
            infos = rpc.getAllProcessInfo()
        return [
            Process(
                info["name"],
                info["statename"],
                info["pid"] or None,
                max(0, info["now"] - info["start"]) if info["pid"] else 0,
            )
            for info in infos
        ]

    def shutdown(self) -> None:
        """Ask supervisor to stop everything and itself; ``stop_members`` waits for the end."""
        with contextlib.suppress(xmlrpc.client.Fault), self._rpc() as rpc:  # a shutdown may go on already
            rpc.shutdown()

    @contextlib.contextmanager
    def _rpc(self) -> Iterator[Any]:
        url = f"http://{USER}:{self._password}@127.0.0.1:{self._port}/RPC2"
        with xmlrpc.client.ServerProxy(url, transport=_Transport()) as proxy:
            yield proxy.supervisor


class _Transport(xmlrpc.client.Transport):
    """With a time limit, for a supervisor that is there but stands still."""

    def make_connection(self, host: Any) -> http.client.HTTPConnection:
        connection = super().make_connection(host)
        connection.timeout = RPC_SECONDS
        return connection


def _literal(value: str | Path) -> str:
    return str(value).replace("%", "%%")


def _environment(home: Home) -> dict[str, str]:
    """What every process inherits: not the caller's own settings of this stack, for those are remembered."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("OCOP_", "PYTHON"))}
    # Safe path: the directories in the home must not be taken for Python packages.
    return inherited | {MARK: str(home.path), "PYTHONSAFEPATH": "1", "PYTHONUNBUFFERED": "1"}


def members(home: Home) -> list[psutil.Process]:
    """All processes of the installation, whoever is their parent now; never the caller or its parents."""
    callers = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    data = str(home.path / "postgres" / "data")
    postmaster = postgres.postmaster(home.path / "postgres")
    found = []
    for process in psutil.process_iter():
        if process.pid in callers:
            continue
        with contextlib.suppress(psutil.Error):
            if process.status() != psutil.STATUS_ZOMBIE and (
                process.pid == postmaster
                or _marked(process, home)
                # The server writes its children's titles over their environment.
                or (process.name() == "postgres" and process.cwd() == data)
            ):
                found.append(process)
    return found


def _marked(process: psutil.Process, home: Home) -> bool:
    try:
        return process.environ().get(MARK) == str(home.path)
    except (psutil.AccessDenied, OSError):
        return False


def stop_members(home: Home, patience: float = 0) -> None:
    """End every process of the installation, however they were left; returns when none is there.

    They may end by themselves for ``patience`` seconds first. Raises OcopError if one cannot be ended.
    """
    left = psutil.wait_procs(members(home), timeout=patience)[1]
    for process in left:  # first of all, or it would start the others again
        if _is_supervisor(process):
            _signal(process, signal.SIGKILL)
    postmaster = postgres.postmaster(home.path / "postgres")
    for process in left:
        _signal(process, signal.SIGINT if process.pid == postmaster else signal.SIGTERM)
    psutil.wait_procs(left, timeout=END_SECONDS)
    for process in (late := members(home)):
        _signal(process, signal.SIGKILL)
    psutil.wait_procs(late, timeout=END_SECONDS)
    if still := members(home):
        raise OcopError("These processes do not end: " + ", ".join(f"{process.pid}" for process in still) + ".")


def _is_supervisor(process: psutil.Process) -> bool:
    try:
        return "supervisor.supervisord" in process.cmdline()
    except psutil.Error:
        return False


def _signal(process: psutil.Process, number: signal.Signals) -> None:
    with contextlib.suppress(psutil.Error):
        process.send_signal(number)


def tail(path: Path, lines: int) -> str:
    """The last lines of a log, without terminal control characters."""
    try:
        text = path.read_text(errors="replace")
    except FileNotFoundError:
        return ""
    return re.sub(r"[\x00-\x08\x0b-\x1f\x7f]", "", "\n".join(text.splitlines()[-lines:]))
