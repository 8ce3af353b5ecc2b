"""A thousand random histories, always the same ones; `make simulate` plays more, and others."""

import os
import re
import subprocess
import sys

from tests.mutants.mutant import ROOT

HISTORIES = 1000


def test_whatever_happens_every_submission_ends_in_one_place(postgres_url: str) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "tests.simulation", "--histories", str(HISTORIES), "--seed", "1"],
        cwd=ROOT,
        env=os.environ | {"TEST_DATABASE_URL": postgres_url},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    counted = {what: int(count) for count, what in re.findall(r"^ +(\d+) (.+)$", ran.stdout, re.MULTILINE)}
    happened = {"publish", "poll", "relay", "drain", "crash", "rebalance", "zombie", "lie", "bug"}
    happened |= {"twice", "spoilt", "nameless", "withdrawal", "conflict", "lose", "restore", "adopt", "hole", "cut"}
    happened |= {"away", "late_ones", "meanwhile"}
    assert [what for what in sorted(happened) if not counted.get(what)] == [], "a history without these proves little"
    for fault in ("crash at ", "lost at ", "answer lost at "):
        assert sum(count for what, count in counted.items() if what.startswith(fault)) > 20, fault
