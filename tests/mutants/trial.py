"""One mutant's trial: a copy of the tree, broken in its place, and its test run there."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from tests.mutants.mutant import ROOT, Mutant

LIMIT_S = 120
PACKAGES = sorted(path.parent.parent for path in (ROOT / "services").glob("*/*/__main__.py"))


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a mutant."""

    mutant: Mutant
    failed: bool  # its test did
    seconds: float
    said: str

    @property
    def right(self) -> bool:
        """A mutant is killed and a belt lives."""
        return self.failed == (self.mutant.lives_because is None)


def files() -> list[str]:
    """What git would keep of the tree as it stands, changed and new files included."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]  # git of the path
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return [name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def try_out(mutant: Mutant, database_url: str) -> Result:
    """Break a copy and run the mutant's test there, for at most two minutes. Raises ValueError if the code has
    changed under the mutant, AssertionError if its test ended without running."""
    with tempfile.TemporaryDirectory(prefix="ocop-mutant-") as directory:
        copy = Path(directory)
        for name in files():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, copy / name)
        for edit in mutant.edits:
            edit.apply(copy)
        roots = [copy, *(copy / path.relative_to(ROOT) for path in PACKAGES)]
        environment = os.environ | {
            "PYTHONPATH": os.pathsep.join(map(str, roots)),
            "PYTHONDONTWRITEBYTECODE": "1",
            "TEST_DATABASE_URL": database_url,
        }
        command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", mutant.test]
        started = time.monotonic()
        try:
            ran = subprocess.run(
                command, cwd=copy, env=environment, capture_output=True, text=True, timeout=LIMIT_S, check=False
            )
        except subprocess.TimeoutExpired:
            return Result(mutant, False, time.monotonic() - started, f"not noticed within {LIMIT_S} s")
    said = next((line for line in ran.stdout.splitlines() if line.startswith("FAILED")), "")
    # 0: passed, 1: failed. Anything else, or an error of a fixture, is no verdict on the mutant.
    assert ran.returncode in (0, 1) and (said or ran.returncode == 0), f"{mutant.name}:\n{ran.stdout}\n{ran.stderr}"
    return Result(mutant, ran.returncode == 1, time.monotonic() - started, said.partition(" - ")[2])
