"""What one installation remembers, and where it keeps its files.

Everything is under one directory, ``OCOP_HOME`` or ``.ocop`` where the command is run. Its one record,
``stack.json``, holds ports and passwords; it is made for the user alone and replaced whole.

Of a stack that others start (compose, a cluster) the environment speaks instead: ``OCOP_SERVICES_URL`` says where
services answer, ``OCOP_KAFKA_BOOTSTRAP`` and ``OCOP_POSTGRES_URL`` where the engines are, and ``OCOP_SECRETS`` names a
directory with a file for each role's password. ``{service}`` in an address stands for a service's name.
"""

import fcntl
import os
import random
import secrets
import socket
import tempfile
from collections import deque
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from ocop.errors import OcopError

# Below the range from which Linux gives out ports for outgoing connections (32768 and up): a port that is
# remembered while nothing listens on it is then not taken by a passing connection.
PORTS = range(20_000, 32_000)
MOST_KEPT = 200  # of the latest; by then somebody listens on those before, or nobody will
_KEPT: deque[int] = deque()  # file descriptors


class Memory(BaseModel):
    """The record: what was chosen once and must stay."""

    model_config = ConfigDict(extra="forbid")

    kafka_bootstrap: str | None = None  # an engine that was there already
    postgres_url: str | None = None
    services_url: str | None = None  # where others have started the services
    ports: dict[str, int] = {}  # process or purpose → port on 127.0.0.1
    passwords: dict[str, str] = {}  # role or purpose → password
    replicas: dict[str, int] = {}  # service → processes, where not one
    settings: dict[str, str] = {}  # environment variables of every service

    def port(self, purpose: str) -> int:
        """The port for a purpose: the one chosen before, or a free one chosen now."""
        if purpose not in self.ports:
            self.ports[purpose] = free_port(taken=set(self.ports.values()))
        return self.ports[purpose]

    def password(self, purpose: str) -> str:
        """The password for a purpose, made at the first call. Raises OcopError where others should have made it."""
        if self.services_url and purpose not in self.passwords:
            raise OcopError(f"OCOP_SECRETS has no file {purpose}.")
        return self.passwords.setdefault(purpose, secrets.token_urlsafe(24))


def free_port(taken: Collection[int] = ()) -> int:
    """A port of 127.0.0.1 that nobody has, none of ``taken``. Raises OcopError.

    It stays bound here, so that nobody else who looks for one is given it before somebody listens. Who is to listen
    can, for both then have SO_REUSEADDR, as servers do; who looks has not.
    """
    for port in random.SystemRandom().sample(PORTS, k=min(200, len(PORTS))):
        if port in taken:
            continue
        place = socket.socket()
        try:
            place.bind(("127.0.0.1", port))
        except OSError:
            place.close()
            continue
        place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        _KEPT.append(place.detach())  # until the process ends, which nobody should be warned of
        if len(_KEPT) > MOST_KEPT:
            os.close(_KEPT.popleft())
        return port
    raise OcopError(f"No free port between {PORTS.start} and {PORTS.stop}.")


def _given(variable: str) -> str:
    value = os.environ.get(variable)
    if not value:
        raise OcopError(f"OCOP_SERVICES_URL says that others start the services: {variable} must be set, too.")
    return value


def _secrets(directory: Path) -> dict[str, str]:
    """Role → password, one file each."""
    try:
        return {file.name: file.read_text().strip() for file in directory.iterdir() if file.is_file()}
    except OSError as error:
        raise OcopError(f"OCOP_SECRETS={directory} cannot be read: {error.strerror}.") from error


class Home:
    """One installation's directory."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()  # processes are known by it

    @classmethod
    def here(cls) -> "Home":
        """The installation that a command means."""
        return cls(Path(os.environ.get("OCOP_HOME") or ".ocop"))

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    @property
    def record(self) -> Path:
        return self.path / "stack.json"

    @property
    def mails(self) -> Path:
        """Where the embedded mail server keeps what it is given."""
        return self.path / "mails"

    def log(self, process: str) -> Path:
        """The file that a process's output goes to."""
        return self.logs / f"{process}.log"

    def make(self) -> None:
        """Make the directories, for the user alone."""
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.logs.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise OcopError(f"Cannot write to {self.path} ({error.strerror}): set OCOP_HOME.") from error

    def recall(self) -> Memory:
        """The record, or an empty one before the first start. Raises OcopError when it is spoilt.

        Where the services are started by others, what the environment says of them goes before.
        """
        try:
            memory = Memory.model_validate_json(self.record.read_bytes())
        except FileNotFoundError:
            memory = Memory()
        except ValidationError as error:
            raise OcopError(f"{self.record} cannot be read: `ocop down`, then remove {self.path}.") from error
        if address := os.environ.get("OCOP_SERVICES_URL"):
            memory.services_url = address
            memory.kafka_bootstrap = _given("OCOP_KAFKA_BOOTSTRAP")
            memory.postgres_url = _given("OCOP_POSTGRES_URL")
            memory.passwords |= _secrets(Path(_given("OCOP_SECRETS")))
        return memory

    def remember(self, memory: Memory) -> None:
        """Replace the record."""
        self.write(self.record, memory.model_dump_json(indent=2) + "\n")

    def write(self, path: Path, text: str) -> None:
        """Replace a file at once, readable by the user alone."""
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")  # mode 0600
        with os.fdopen(handle, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the installation: a second command waits until the first has ended."""
        with (self.path / "lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
