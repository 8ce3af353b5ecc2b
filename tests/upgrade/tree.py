"""A commit's code, beside this one: its files, a Python that has what it needs, its schema."""

import asyncio
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.delivery.proof import REPOSITORY
from tests.delivery.system import PACKAGES

LOCK = "requirements.lock"
MIGRATE = "import asyncio, sys; from servicekit.migrate import migrate; asyncio.run(migrate(*sys.argv[1:]))"


class MigrationFailedError(Exception):
    """The code could not bring a database to its schema."""


@dataclass(frozen=True, slots=True)
class Tree:
    """Code that can be run."""

    name: str
    root: Path
    python: str

    async def migrate(self, owner_url: str, service: str) -> None:
        """Brings a service's database to this code's schema. Raises MigrationFailedError."""
        roots = [self.root, *(self.root / "services" / package for package in PACKAGES)]
        process = await asyncio.create_subprocess_exec(
            self.python,
            *("-c", MIGRATE, owner_url, service),
            cwd=self.root,
            env={"PYTHONPATH": ":".join(map(str, roots))},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await process.communicate()
        if process.returncode:
            raise MigrationFailedError(f"{self.name}, {service}: {said.decode()}")


def here() -> Tree:
    """This code, as it stands."""
    return Tree("N+1", REPOSITORY, sys.executable)


def differs(commit: str) -> bool:
    """Whether this code is another than a commit's, as far as services run it."""
    looked = ["/usr/bin/git", "diff", "--quiet", commit, "--", "contracts", "servicekit", "services", LOCK]
    return subprocess.run(looked, cwd=REPOSITORY, check=False).returncode == 1


def last_other() -> str | None:
    """The last commit on main that has other code than this one; None if there is none."""
    listed = ["/usr/bin/git", "log", "--first-parent", "--format=%H", "main"]
    commits = subprocess.run(listed, cwd=REPOSITORY, check=True, capture_output=True, text=True).stdout.split()
    return next(filter(differs, commits), None)


@contextmanager
def of(commit: str) -> Iterator[Tree]:
    """A commit's code; with a Python of its own where it needs other packages than this one."""
    with TemporaryDirectory(prefix="ocop-upgrade-") as directory:
        root, archive = Path(directory), Path(directory) / "commit.tar"
        subprocess.run(["/usr/bin/git", "archive", f"--output={archive}", commit], cwd=REPOSITORY, check=True)
        shutil.unpack_archive(archive, root)
        python = sys.executable
        if (root / LOCK).read_bytes() != (REPOSITORY / LOCK).read_bytes():
            subprocess.run(["/usr/bin/make", "venv"], cwd=root, check=True, stdout=subprocess.DEVNULL)
            python = str(root / ".venv" / "bin" / "python")
        yield Tree("N", root, python)
