"""Files that are written from something else: brought up to date, or with `--check` only compared."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path


def command(files: Mapping[Path, str], module: str, arguments: Sequence[str]) -> int:
    """Writes those that are not as they must be; with `--check` names them. The exit status: 1 if it has named any."""
    stale = [path for path, text in files.items() if not path.exists() or path.read_text() != text]
    for path in stale:
        if "--check" in arguments:
            sys.stderr.write(f"{path}: is not as it would be written: run python -m {module}\n")
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(files[path])
    return 1 if stale and "--check" in arguments else 0
