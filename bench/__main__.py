"""`make bench`: how fast it is. Each part's result is kept under `.proof/bench/<commit>/`, and goes into RESULTS.md.

`python -m bench [WHAT…]` measures the parts that are named, or all that this commit has no result of, and writes the
file. `python -m bench results --of <commit>` writes it from what was measured before.
"""

# ruff: noqa: T201  # it is a command

import argparse
import asyncio
import pstats
import sys
import time
from pathlib import Path
from typing import Any, Final

from bench import machine, results
from bench.engines import bench
from bench.parts import PARTS, Session
from tests.delivery import proof

TOP: Final = 60
PROOF: Final = "bench"
RESULTS: Final = "results"


async def run(asked: argparse.Namespace, stamp: str, wanted: list[str]) -> None:
    """Measures the parts in this order, on one pair of engines."""
    async with bench() as made:
        proof.keep(PROOF, stamp, "machine", machine.describe(made.directory))
        profiles = made.fresh("profiles") if asked.profile else None
        session = Session(made, asked.rounds, asked.events, asked.minutes, profiles)
        for what in wanted:
            print(f"{time.strftime('%H:%M:%S')} {what}", flush=True)
            started = time.monotonic()
            result = await PARTS[what].measure(session)
            took = round(time.monotonic() - started)
            result |= {"events": asked.events, "at": time.strftime("%Y-%m-%d %H:%M"), "took_s": took}
            show(result)
            if not asked.profile and (moved := proof.keep(PROOF, stamp, what, result)):
                raise SystemExit("\n".join(moved))
        if profiles:
            tell(profiles)


def tell(profiles: Path) -> None:
    """Prints what was profiled."""
    for file in sorted(profiles.iterdir()):
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


def write(stamp: str) -> None:
    """Writes RESULTS.md from all that there is of a commit."""
    found = {part: result for part in PARTS if (result := proof.done(PROOF, stamp, part)) is not None}
    described = proof.done(PROOF, stamp, "machine")
    if described is None:
        raise SystemExit(f"Nothing was measured of {stamp}.")
    results.write(stamp, described, found)
    print(f"{results.FILE.name}: {', '.join(found)}")


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("what", nargs="*", help=f"{', '.join(PARTS)}, {RESULTS}")
    parser.add_argument("--rounds", type=int, default=3, help="of each part that has several")
    parser.add_argument("--events", type=int, default=200_000, help="of each round")
    parser.add_argument("--minutes", type=float, default=30, help="that memory is watched for")
    parser.add_argument("--of", default="", help="with results: the commit, as under .proof/bench/")
    parser.add_argument("--profile", action="store_true", help="profile the service; such a result is not kept")
    parser.add_argument("--dirty", action="store_true", help="measure a tree that is in no commit; writes no file")
    asked = parser.parse_args()
    if unknown := set(asked.what) - {*PARTS, RESULTS}:
        parser.error(f"there is no {', '.join(sorted(unknown))}: {', '.join(PARTS)}, {RESULTS}")
    if asked.what == [RESULTS] and asked.of:
        write(asked.of)
        return 0
    try:
        stamp = proof.commit(dirty=asked.dirty, besides="bench/RESULTS.md")
    except proof.DirtyTreeError as error:
        print(error, file=sys.stderr)
        return 2
    known = () if asked.dirty else [part for part in PARTS if proof.done(PROOF, stamp, part) is not None]
    wanted = [part for part in PARTS if part in asked.what or (not asked.what and part not in known)]
    if wanted:
        asyncio.run(run(asked, stamp, wanted))
    if not asked.profile and not asked.dirty:
        write(stamp)
    return 0


if __name__ == "__main__":
    sys.exit(main())
