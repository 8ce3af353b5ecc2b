"""Results of the long proofs, kept outside git under `.proof/`: by proof, commit and part.

A part that is done for a commit is not run again. A tree with changes has no commit to be stamped with: what was
measured there is neither kept nor believed, for the next changes have the same stamp. Nor is what was measured while
the tree became another one.
"""

import json
import subprocess
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[2]
PROOFS = REPOSITORY / ".proof"
DIRTY = "-dirty"
WRITTEN = "bench/RESULTS.md"  # by a proof itself, and by nobody measured


class DirtyTreeError(Exception):
    """What would be measured is in no commit."""


def commit(*, dirty: bool, besides: str = "") -> str:
    """The commit that is measured; with `dirty` a tree with changes passes, and its name says so. Changes of the file
    `besides` are none."""
    changed = _git("status", "--porcelain", "--", ".", *([f":!{besides}"] if besides else []))
    if changed and not dirty:
        raise DirtyTreeError(f"Commit first, or say --dirty:\n{changed}")
    return _git("rev-parse", "--short=12", "HEAD") + (DIRTY if changed else "")


def moved(stamp: str) -> list[str]:
    """What is wrong with a stamp by now: the tree is at another commit, or has changes. Of a tree that had changes from
    the first nothing is believed anyway."""
    if stamp.endswith(DIRTY) or (now := commit(dirty=True, besides=WRITTEN)) == stamp:
        return []
    return [f"the tree was {stamp} when this began, and is {now}: this is no result"]


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=REPOSITORY, capture_output=True, text=True, check=True)  # noqa: S607  # as the system finds it
    return done.stdout.strip()


def directory(proof: str, stamp: str) -> Path:
    """Where the results of a proof are, for a commit."""
    path = PROOFS / proof / stamp
    path.mkdir(parents=True, exist_ok=True)
    return path


def done(proof: str, stamp: str, part: str) -> dict[str, Any] | None:
    """The result of a part that was run for this commit."""
    path = directory(proof, stamp) / f"{part}.json"
    if stamp.endswith(DIRTY) or not path.exists():
        return None
    result: dict[str, Any] = json.loads(path.read_text())
    return result


def keep(proof: str, stamp: str, part: str, result: dict[str, Any]) -> list[str]:
    """Writes the result of a part, whole or not at all; of a tree with changes not at all. Returns why there is none
    where the tree is no longer the one that was measured (`moved`)."""
    if (found := moved(stamp)) or stamp.endswith(DIRTY):
        return found
    path = directory(proof, stamp) / f"{part}.json"
    unfinished = path.with_suffix(".unfinished")
    unfinished.write_text(json.dumps(result, ensure_ascii=False, indent=1) + "\n")
    unfinished.replace(path)
    return []
