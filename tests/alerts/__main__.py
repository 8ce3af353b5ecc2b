"""`make alerts`: a running system is broken in three ways; which alert fires, after how long, and that no other does.

Real engines, all services, provinces that send, and a real Prometheus with the rules as they are, none shortened. Also
that no alert fires while all is well, and that every panel of the dashboards has something to show then. It takes about
twenty minutes. The exit status tells the verdict; what Prometheus has seen stays under `.proof/alerts/`.
"""

# ruff: noqa: T201  # it is a command

import argparse
import asyncio
import json
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TypeVar

from tests.alerts import boards
from tests.alerts.faults import FAULTS, Fault
from tests.alerts.scene import Firing, Scene, scene
from tests.delivery import proof

WELL_S = 150  # so long nothing may fire before anything is broken; the panels show the last two minutes of it
FIRES_S, CLEARS_S, CALM_S = 600, 300, 900
Value = TypeVar("Value")


@dataclass(slots=True)
class Seen:
    """What came of a fault, in seconds from when it was broken and from when it was mended."""

    fault: str
    title: str
    alert: str
    fired_s: float | None = None
    cleared_s: float | None = None
    beside: dict[str, tuple[float, float | None]] = field(default_factory=dict)  # what else fired, from when to when
    findings: list[str] = field(default_factory=list)


async def see(shown: Scene, fault: Fault) -> Seen:
    """Breaks, waits for the alert, mends, and waits until nothing fires any more."""
    seen, before = Seen(fault.name, fault.title, str(fault.alert)), len(shown.fired)
    broken = time.time()
    print(f"{fault.title} …", flush=True)
    await fault.breaks(shown)
    own = await _waited(lambda: _first(shown.fired[before:], fault), FIRES_S)
    await asyncio.sleep(max(0.0, broken + fault.least - time.time()))
    mended = time.time()
    await fault.mends(shown)
    if own is None:
        seen.findings.append(f"{fault.alert} has not fired within {FIRES_S} s")
    else:
        seen.fired_s = round(own.since - broken)
        if await _waited(lambda: own.before, CLEARS_S) is None:
            seen.findings.append(f"{fault.alert} still fires {CLEARS_S} s after it was mended")
        seen.cleared_s = own.before and round(own.before - mended)
    if await _waited(lambda: not shown.now, CALM_S) is None:
        seen.findings.append(f"still firing after {CALM_S} s: {', '.join(str(each.alert) for each in shown.now)}")
    for each in shown.fired[before:]:
        if each is own:
            continue
        seen.beside[str(each.alert)] = (round(each.since - broken), each.before and round(each.before - mended))
        if each.alert.name not in fault.may:
            seen.findings.append(f"{each.alert} fired, which is not what it is for")
    return seen


def _first(fired: list[Firing], fault: Fault) -> Firing | None:
    return next((each for each in fired if each.alert == fault.alert), None)


async def _waited(ask: Callable[[], Value | None], seconds: float) -> Value | None:
    """The first answer that is true; None if there is none in time."""
    until = time.monotonic() + seconds
    while not (answer := ask()) and time.monotonic() < until:
        await asyncio.sleep(0.2)
    return answer or None


# -------------------------------------------------------------------- as a command


async def run(faults: Sequence[Fault], seed: int, directory: Path) -> tuple[list[str], list[Seen]]:
    """What was wrong while all was well, and what came of each fault."""
    async with scene(directory, seed) as shown:
        await _waited(lambda: shown.now, WELL_S)
        findings = [f"{each.alert} fired while all was well" for each in shown.fired]
        findings += await boards.empty(shown.prometheus)
        for finding in findings:
            print(f"  {finding}", flush=True)
        seen = []
        for fault in faults:
            seen.append(await see(shown, fault))
            show(seen[-1], fault)
        print(f"{shown.provinces.sent} events were answered meanwhile")
        return findings, seen


def show(seen: Seen, fault: Fault) -> None:
    """Prints what came of a fault."""
    fired, cleared = _told(seen.fired_s, "after it was broken"), _told(seen.cleared_s, "after it was mended")
    print(f"  {seen.alert}: fires {fired}, is gone {cleared}")
    for name, (since, before) in seen.beside.items():
        why = next((reason for alert, reason in fault.may.items() if name.split(" ")[0] == alert), "should not")
        told = f"from {since} s to {_told(before, 'after it was mended')}"
        print(f"  beside it {name}, {told}: {why}")
    for finding in seen.findings:
        print(f"  {finding}")
    print(f"  findings: {len(seen.findings) or 'none'}", flush=True)


def _told(seconds: float | None, since: str) -> str:
    return "never" if seconds is None else f"{seconds} s {since}"


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="make alerts", description=__doc__)
    parser.add_argument("--fault", action="append", choices=[fault.name for fault in FAULTS], help="this one only")
    parser.add_argument("--seed", type=int, default=1, help="of what provinces send")
    parser.add_argument("--dirty", action="store_true", help="measure a tree that is in no commit")
    asked = parser.parse_args()
    try:
        stamp = proof.commit(dirty=asked.dirty)
    except proof.DirtyTreeError as error:
        print(error, file=sys.stderr)
        return 2
    directory = proof.directory("alerts", stamp) / "run"
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir()
    faults = [fault for fault in FAULTS if not asked.fault or fault.name in asked.fault]
    began = time.monotonic()
    findings, seen = asyncio.run(run(faults, asked.seed, directory))
    result = {"commit": stamp, "findings": findings, "faults": [asdict(each) for each in seen]}
    (directory / "result.json").write_text(json.dumps(result, ensure_ascii=False, indent=1) + "\n")
    findings += [finding for each in seen for finding in each.findings]
    print(f"{len(seen)} faults on {stamp} in {time.monotonic() - began:.0f} s; findings: {len(findings) or 'none'}")
    print(f"what Prometheus has seen: prometheus --config.file=/dev/null --storage.tsdb.path={directory / 'data'}")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
