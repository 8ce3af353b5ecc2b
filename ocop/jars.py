"""The jars of the embedded Apache Kafka: a lock file of coordinates, fetched once into a cache.

Maven's own resolution is not used, so a machine needs neither Maven nor Java to have exactly these files.
"""

import contextlib
import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import requests
from jgo.maven import MavenContext, PythonResolver
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn

from ocop.errors import OcopError

LOCK = Path(__file__).with_name("kafka-jars.lock")
THREADS = 8
ATTEMPTS = 3
TIMEOUT = 30  # seconds without a byte


@dataclass(frozen=True, slots=True)
class Jar:
    """One line of the lock file."""

    group: str
    artifact: str
    version: str
    sha256: str
    size: int  # bytes

    @property
    def filename(self) -> str:
        return f"{self.artifact}-{self.version}.jar"

    def is_at(self, path: Path) -> bool:
        """Whether the file at ``path`` is this jar, byte for byte."""
        if not path.is_file() or path.stat().st_size != self.size:
            return False
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == self.sha256


def locked(lock: Path = LOCK) -> tuple[Jar, ...]:
    """The jars of a lock file, in its order; a line is ``group:artifact:version sha256:<hex> <bytes>``."""
    jars = []
    for line in lock.read_text().splitlines():
        if line and not line.startswith("#"):
            coordinates, digest, size = line.split()
            group, artifact, version = coordinates.split(":")
            jars.append(Jar(group, artifact, version, digest.removeprefix("sha256:"), int(size)))
    return tuple(jars)


def cache_directory() -> Path:
    """Where downloads are kept: ``OCOP_CACHE``, or ``ocop`` in the user's cache directory."""
    if named := os.environ.get("OCOP_CACHE"):
        return Path(named).absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").absolute() / "ocop"


def fetch(jars: Sequence[Jar], directory: Path) -> None:
    """Put the jars into ``directory``; those that are there already, and whole, are left alone.

    A jar appears under its name only after its SHA-256 was right. ``OCOP_MAVEN_URL`` names another
    repository than Maven Central. Raises OcopError when a jar cannot be had; what is half-made is removed.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OcopError(f"Cannot write to {directory} ({error.strerror}): set OCOP_CACHE to a directory.") from error
    with (directory / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two runs at once: the second finds everything there
        for left_over in directory.glob("fetch-*"):
            shutil.rmtree(left_over)
        missing = [jar for jar in jars if not jar.is_at(directory / jar.filename)]
        if missing:
            with tempfile.TemporaryDirectory(prefix="fetch-", dir=directory) as temporary:
                _fetch_all(missing, directory, Path(temporary))


def _fetch_all(jars: Sequence[Jar], directory: Path, temporary: Path) -> None:
    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
    )
    with progress, ThreadPoolExecutor(THREADS) as threads:
        task = progress.add_task(f"Apache Kafka, {len(jars)} jars", total=sum(jar.size for jar in jars))

        def advance(size: int) -> None:
            progress.advance(task, size)

        jobs = [threads.submit(_fetch_one, jar, directory, temporary, advance) for jar in jars]
        _, unfinished = wait(jobs, return_when=FIRST_EXCEPTION)
        for job in unfinished:
            job.cancel()
        for job in jobs:
            if not job.cancelled():
                job.result()


def _fetch_one(jar: Jar, directory: Path, temporary: Path, advance: Callable[[int], None]) -> None:
    received = 0

    @contextlib.contextmanager
    def show(_filename: str, _size: int) -> Iterator[Callable[[int], None]]:
        def update(size: int) -> None:
            nonlocal received
            received += size
            advance(size)

        yield update

    for attempt in range(1, ATTEMPTS + 1):
        try:
            path = _download(jar, temporary / f"{jar.artifact}-{attempt}", show)
        except (requests.RequestException, RuntimeError, OSError) as error:
            advance(-received)
            received = 0
            if attempt == ATTEMPTS:
                raise OcopError(
                    f"Cannot download {jar.filename} ({_reason(error)}): check the network and start again;"
                    " what has arrived is kept. OCOP_KAFKA_HOME can name an unpacked Kafka instead."
                ) from error
        else:
            if not jar.is_at(path):
                raise OcopError(
                    f"{jar.filename} is not the file that was locked (wrong SHA-256): it was thrown away."
                    " Start again; if it stays so, something between here and the repository changes files."
                )
            path.replace(directory / jar.filename)
            return


def _download(
    jar: Jar, repo_cache: Path, show: Callable[[str, int], AbstractContextManager[Callable[[int], None]]]
) -> Path:
    url = os.environ.get("OCOP_MAVEN_URL")
    context = MavenContext(
        resolver=PythonResolver(progress_callback=show),
        repo_cache=repo_cache,
        remote_repos={"central": url} if url else None,
        timeout=TIMEOUT,
    )
    return context.project(jar.group, jar.artifact).at_version(jar.version).artifact().resolve()


def _reason(error: Exception) -> str:
    if isinstance(error, requests.RequestException):
        return type(error).__name__
    return "not found there" if isinstance(error, RuntimeError) else str(error)
