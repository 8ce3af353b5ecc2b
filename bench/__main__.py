"""`make bench`: how fast it is. Each part's result is kept under `.proof/bench/<commit>/`; RESULTS.md is made of all.

`python -m bench [WHAT…]` measures the parts that are named, or all that this commit has no result of.
"""

# ruff: noqa: T201  # it is a command

import argparse
import asyncio
import pstats
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.engines import bench
from bench.parts import PARTS, Session
from tests.delivery import proof

TOP = 45


async def run(asked: argparse.Namespace, stamp: str, wanted: list[str]) -> None:
    """Measures the parts in this order, on one pair of engines."""
    async with bench() as made:
        profiles = Path(tempfile.mkdtemp(dir=made.directory)) if asked.profile else None
        session = Session(made, asked.rounds, asked.events, asked.minutes, profiles)
        for what in wanted:
            print(f"{time.strftime('%H:%M:%S')} {what}", flush=True)
            started = time.monotonic()
            result: dict[str, Any] = await PARTS[what](session)
            result |= {
                "events": asked.events,
                "at": time.strftime("%Y-%m-%d %H:%M"),
                "took_s": round(time.monotonic() - started),
            }
            show(result)
            if not asked.profile:
                proof.keep("bench", stamp, what, result)
        for file in sorted(profiles.iterdir()) if profiles else ():
            print(f"--- {file.stem}, by own time")
            pstats.Stats(str(file)).sort_stats("tottime").print_stats(TOP)


def show(value: Any, name: str = "", depth: int = 0) -> None:
    """Prints a result, indented."""
    lead = "  " * depth
    if isinstance(value, dict):
        if name:
            print(f"{lead}{name}")
        for key, inner in value.items():
            show(inner, str(key), depth + 1)
    elif isinstance(value, list):
        for number, inner in enumerate(value, 1):
            show(inner, f"{name} {number}", depth)
    else:
        print(f"{lead}{name}: {value:,.3f}" if isinstance(value, float) else f"{lead}{name}: {value}", flush=True)


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("what", nargs="*", help=", ".join(PARTS))
    parser.add_argument("--rounds", type=int, default=3, help="of each part that has several")
    parser.add_argument("--events", type=int, default=200_000, help="of each round")
    parser.add_argument("--minutes", type=float, default=30, help="that memory is watched for")
    parser.add_argument("--profile", action="store_true", help="profile the service; such a result is not kept")
    parser.add_argument("--dirty", action="store_true", help="measure a tree that is in no commit")
    asked = parser.parse_args()
    if unknown := set(asked.what) - set(PARTS):
        parser.error(f"there is no {', '.join(sorted(unknown))}: {', '.join(PARTS)}")
    stamp = proof.commit(dirty=asked.dirty)
    wanted = asked.what or [what for what in PARTS if proof.done("bench", stamp, what) is None]
    asyncio.run(run(asked, stamp, wanted))
    return 0


if __name__ == "__main__":
    sys.exit(main())
