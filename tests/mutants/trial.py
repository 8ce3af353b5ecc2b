"""One mutant's trial: a copy of the tree, broken in its place, and its test run there."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.mutants.mutant import ROOT, Mutant

LIMIT_S = 120
# A mutant that is no program, or no statement, breaks no promise: whatever test runs it fails.
MEANINGLESS = re.compile(
    r"(?:\w+\.)*(?:TypeError|NameError|UnboundLocalError|AttributeError|ImportError|ModuleNotFoundError|SyntaxError"
    r"|IndentationError|UndefinedColumnError|PostgresSyntaxError)\b"
)
GROUPED = re.compile(r"^E? *[|+\- ]*(\S+Error\b.*)$", re.MULTILINE)
PACKAGES = sorted(path.parent.parent for path in (ROOT / "services").glob("*/*/__main__.py"))


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a mutant."""

    mutant: Mutant
    failed: bool  # its test did
    seconds: float
    said: str

    ended: bool = True  # within the limit

    @property
    def right(self) -> bool:
        """A mutant is killed and a belt lives."""
        return self.ended and self.failed == (self.mutant.lives_because is None)


def files() -> list[str]:
    """What git would keep of the tree as it stands, changed and new files included."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]  # git of the path
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return [name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def try_out(mutant: Mutant, database_url: str) -> Result:
    """Break a copy and run the mutant's test there, for at most two minutes. Raises ValueError if the code has
    changed under the mutant, AssertionError if its test ended without running, or failed because the mutant makes no
    sense."""
    command = ["-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", mutant.test]
    returned, output, seconds = _run(mutant, database_url, command, LIMIT_S)
    if returned is None:
        return Result(mutant, False, seconds, f"no end within {LIMIT_S} s", ended=False)
    said = next((line for line in output.splitlines() if line.startswith("FAILED")), "")
    # 0: passed, 1: failed. Anything else, or an error of a fixture, is no verdict on the mutant.
    assert returned in (0, 1) and (said or returned == 0), f"{mutant.name}:\n{output}"
    why = said.partition(" - ")[2]
    assert not _meaningless(why, output), f"{mutant.name} makes no sense: {why}\n{output}"
    return Result(mutant, returned == 1, seconds, why)


def _meaningless(why: str, output: str) -> bool:
    """Whether a test has failed by an error that is no answer to what was broken, alone or in a group."""
    told = GROUPED.findall(output) if "ExceptionGroup" in why else [why]
    return any(MEANINGLESS.match(each) for each in told)


def simulate(mutant: Mutant, database_url: str, histories: int) -> Result:
    """Break a copy and play so many random histories there: whether one of them comes to a bad end."""
    command = ["-m", "tests.simulation", "--histories", str(histories)]
    returned, output, seconds = _run(mutant, database_url, command, None)
    said = next((line for line in output.splitlines() if "Error" in line), "")
    assert returned == 0 or said, f"{mutant.name}:\n{output}"
    return Result(mutant, returned != 0, seconds, said)


def _run(
    mutant: Mutant, database_url: str, command: Sequence[str], limit_s: int | None
) -> tuple[int | None, str, float]:
    """Exit status (None after the limit), output and seconds of a command in the broken copy."""
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
            "COLUMNS": "1000",  # pytest leaves out why a test has failed where the line is short
            "TEST_DATABASE_URL": database_url,
        }
        started = time.monotonic()
        try:
            ran = subprocess.run(
                [sys.executable, *command],
                cwd=copy,
                env=environment,
                capture_output=True,
                text=True,
                timeout=limit_s,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return None, "", time.monotonic() - started
    return ran.returncode, ran.stdout + ran.stderr, time.monotonic() - started
