"""`make faults`: each fault three times under load; afterwards nothing is lost, doubled or out of order.

Each on engines and services of its own, two replicas of everything. `--list` tells which there are. A fault and seed
that passed is not run again for a commit. The exit status tells the verdict: 1 with findings, 3 where there are none
but faults were left out.
"""

# ruff: noqa: T201  # it is a command

import argparse
import asyncio
import shutil
import sys
import traceback
from collections.abc import Mapping
from typing import Any

from tests.delivery import proof
from tests.faults import frame
from tests.faults.catalogue import ELSEWHERE, FAULTS
from tests.faults.disk import possible
from tests.faults.frame import Fault

SEEDS = (1, 2, 3)
NOT_RUN = 3


def run(fault: Fault, seed: int, stamp: str, seconds: float | None) -> dict[str, Any]:
    """One run, or its result if it passed before; logs and ledger stay beside the results."""
    part = f"{fault.name}-{seed}" + (f"-{seconds:g}s" if seconds else "")
    if (result := proof.done("faults", stamp, part)) is not None:
        return result | {"before": True}
    if moved := proof.moved(stamp):
        return {"fault": fault.name, "seed": seed, "findings": moved}
    directory = proof.directory("faults", stamp) / part
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir()
    try:
        result = asyncio.run(frame.play(fault, seed, directory, seconds)) | {"commit": stamp}
    except Exception:  # the others are run all the same
        return {"fault": fault.name, "seed": seed, "findings": [f"no end: {traceback.format_exc()}"]}
    if not result["findings"]:
        result["findings"] += proof.keep("faults", stamp, part, result)
    return result


def show(result: Mapping[str, Any]) -> None:
    """Prints a result; of a run that came to no end only why."""
    if "seconds" not in result:
        print(f"{result['fault']} seed {result['seed']}: {result['findings'][0]}", flush=True)
        return
    before = ", done before" if result.get("before") else ""
    print(f"{result['fault']} seed {result['seed']}: {result['title']} ({result['seconds']} s{before})")
    well = "not" if result["well_s"] is None else f"{result['well_s']} s"
    print(f"  events {result['events']}; answers {_listed(result['answers'])}; well after {well}")
    print(f"  records {_listed(result['records'])}; repeats {_listed(result['repeats'])}")
    for name in ("figures", "complaints"):
        for what, value in result[name].items():
            print(f"  {'logged ' if name == 'complaints' else ''}{what}: {value}")
    for finding in result["findings"][:20]:
        print(f"  {finding}")
    print(f"  findings: {len(result['findings']) or 'none'}", flush=True)


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {what}" for what, count in counts.items()) or "none"


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="make faults", description=__doc__)
    parser.add_argument("--fault", action="append", default=[], help="this one, F4 for instance; may come again")
    parser.add_argument("--seed", type=int, help="with this seed; otherwise with 1, 2 and 3")
    parser.add_argument("--seconds", type=float, help="how long the fault lasts, where that can be chosen")
    parser.add_argument("--list", action="store_true", help="only tell which there are")
    parser.add_argument("--dirty", action="store_true", help="measure a tree that is in no commit")
    asked = parser.parse_args()
    if asked.list:
        titles = {name: fault.title for name, fault in FAULTS.items()}
        titles |= {name: f"not here; {where}" for name, where in ELSEWHERE.items()}
        for name in sorted(titles, key=lambda name: int(name[1:])):
            print(f"{name:4} {titles[name]}")
        return 0
    wanted = [FAULTS[name] for names in asked.fault for name in names.split(",")] or list(FAULTS.values())
    try:
        stamp = proof.commit(dirty=asked.dirty)
    except proof.DirtyTreeError as error:
        print(error, file=sys.stderr)
        return 2
    left_out = [fault.name for fault in wanted if fault.disk is not None and not possible()]
    bad = []
    for fault in wanted:
        for seed in (asked.seed,) if asked.seed is not None else SEEDS:
            if fault.name not in left_out:
                result = run(fault, seed, stamp, asked.seconds)
                show(result)
                bad += [f"{fault.name} seed {seed}"] if result["findings"] else []
    if left_out:
        print("a small disk needs root")
    told = f"{len(wanted) - len(left_out)} faults on {stamp}; findings: {', '.join(bad) or 'none'}"
    print(f"{told}; not run: {', '.join(left_out)}" if left_out else told)
    return 1 if bad else NOT_RUN if left_out else 0


if __name__ == "__main__":
    sys.exit(main())
