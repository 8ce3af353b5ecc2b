"""`make kill`: processes die at random under load, and in the end nothing is lost, doubled or out of order.

Two replicas of every service on engines of their own, the load over both gateways. The next kill comes when the last
has healed. `python -m tests.delivery.kill --help` tells what can be asked for; the exit status tells the verdict.
"""

# ruff: noqa: T201  # it is a command

import argparse
import asyncio
import random
import resource
import shutil
import sys
import time
import traceback
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from gateway import tenants

from ocop import stack
from ocop.errors import OcopError
from ocop.home import Home
from servicekit import database
from tests.delivery import ledger, mails, proof, verdict
from tests.delivery.healing import NotHealedError
from tests.delivery.judging import judge
from tests.delivery.ledger import Ledger
from tests.delivery.load import Load
from tests.delivery.stream import LANES
from tests.delivery.victims import SUPERVISOR, VICTIMS, Stack, healed, in_turn, kill, restarted, up

KILL_EVERY_S = 10.0  # by experience; the load is paced by it, so that it lasts as long as the kills
# Whose death can come between a mail and its mark; the supervisor takes notifications and the mail server with it.
POSTMEN = ("notifications", "postgres", "mailbox", SUPERVISOR)


@dataclass(slots=True)
class Killed:
    """What was killed, and what came of it."""

    victims: list[str] = field(default_factory=list)
    recovered: dict[str, list[float]] = field(default_factory=dict)  # seconds from kill to health, by victim
    findings: list[str] = field(default_factory=list)

    @property
    def cuts(self) -> int:
        """How often a mail may have been sent without being marked."""
        return sum(victim in POSTMEN for victim in self.victims)


async def run(seed: int, kills: int, events: int, path: Path, victims: Sequence[str] = VICTIMS) -> dict[str, Any]:
    """One part: its figures and its findings, the first of them with that event's whole way. The stack stays up."""
    began = time.monotonic()
    running = await up(Home(path))
    keys = await _enrol(running)
    book = Ledger(path / "ledger")
    each = events / max(1, kills)
    burst = each * 0.8  # around the kill; the rest comes steadily between
    load = Load(seed, running.addresses("gateway"), keys, book, (each - burst) / KILL_EVERY_S)
    killing = asyncio.Event()
    loading = asyncio.create_task(load.run(lambda: killing.is_set() and load.sent >= events))
    killed = Killed()
    try:
        await _kill(running, seed, kills, victims, loading, load, burst, killed)
    finally:
        load.hurry()
        killing.set()
    try:
        await loading
    except* AssertionError as unanswered:
        killed.findings += [f"the load: {error}" for error in unanswered.exceptions]
    book.close()
    entries = ledger.read(path / "ledger")
    judged = time.monotonic()
    findings = killed.findings
    repeats: dict[str, int] = {}
    records: dict[str, int] = {}
    try:
        findings += await _judge(running, keys, entries, seed, killed.cuts)
        repeats, records = await verdict.repeats(running.bootstrap)
    except Exception:
        if not findings:
            raise
        findings.append(f"not judged: {traceback.format_exc()}")  # what did not heal may not answer either
    times = {victim: [round(t, 1) for t in sorted(found)] for victim, found in sorted(killed.recovered.items())}
    return {
        "seed": seed,
        "kills": dict(sorted(Counter(killed.victims).items())),
        "recovery_s": {victim: [found[0], round(median(found), 1), found[-1]] for victim, found in times.items()},
        "events": load.sent,
        "answers": dict(sorted(Counter(entry.answer.said for entry in entries).items())),
        "intents": dict(sorted(Counter(entry.sending.intent for entry in entries if entry.attempt == 0).items())),
        "records": records,
        "repeats": repeats,
        "findings": findings,
        "seconds": round(time.monotonic() - began),
        "judged_s": round(time.monotonic() - judged),
        "judge_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


async def _enrol(running: Stack) -> dict[str, str]:
    """A key for every lane; a province that is told by mail."""
    keys = {}
    connection = await database.connect(running.urls["gateway"])
    for tenant, system in LANES:
        keys[f"/provinces/{tenant}/{system}"] = await tenants.enrol(connection, tenant, system)
    await connection.close()
    await mails.set_contacts(running.urls["notifications"])
    return keys


async def _kill(
    running: Stack,
    seed: int,
    kills: int,
    victims: Sequence[str],
    loading: "asyncio.Task[None]",
    load: Load,
    burst: float,
    killed: Killed,
) -> None:
    """Kills in the middle of bursts and waits for healing. What does not heal is a finding, and the last kill."""
    chance = random.Random(f"{seed}/kill")  # noqa: S311  # repeatable, not secret
    for _, victim in zip(range(kills), in_turn(seed, victims), strict=False):
        before, enough = running.pids(), load.sent + burst * chance.random()
        load.burst(burst)
        while load.sent < enough and not loading.done():
            await asyncio.sleep(0.005)
        if loading.done():
            break  # its error is raised where it is awaited
        at, name = time.monotonic(), victim
        try:
            name = await kill(running, victim, chance)
            killed.victims.append(victim)
            await healed(running, name, before)
        except (NotHealedError, TimeoutError) as error:
            killed.findings.append(f"not well after a kill of {victim} ({name}): {error}")
            print(f"  {killed.findings[-1]}", flush=True)
            break
        seconds = time.monotonic() - at
        killed.recovered.setdefault(victim, []).append(seconds)
        print(f"  {name if victim == name else f'{victim} ({name})'}: well after {seconds:.1f} s", flush=True)
        if others := restarted(name, before, running.pids()):
            killed.findings.append(f"a kill of {victim} ({name}) has ended others: {', '.join(others)}")
            print(f"  {killed.findings[-1]}", flush=True)


async def _judge(
    running: Stack, keys: Mapping[str, str], entries: Sequence[ledger.Entry], seed: int, cuts: int
) -> list[str]:
    """What the oracle and the ledger find, and what still moves."""
    return await judge(
        running.bootstrap, running.urls, running.addresses("gateway")[0], keys, entries, seed, running.home.mails, cuts
    )


# -------------------------------------------------------------------- as a command


def part(seed: int, kills: int, events: int, stamp: str) -> dict[str, Any]:
    """One part, from its result if it was run for this commit; a stack with findings is kept. What keeps it from its
    end is a finding, so that the next part is run all the same."""
    name = f"{seed}-{kills}-{events}"
    if (result := proof.done("kill", stamp, name)) is not None:
        print(f"seed {seed}: done before")
        return result
    if moved := proof.moved(stamp):
        return {"seed": seed, "kills": {}, "events": 0, "seconds": 0, "findings": moved, "commit": stamp}
    print(f"seed {seed}: {kills} kills, {events} events or more", flush=True)
    path = proof.directory("kill", stamp) / f"{name}.home"
    stack.down(Home(path))
    shutil.rmtree(path, ignore_errors=True)
    began = time.monotonic()
    try:
        result = asyncio.run(run(seed, kills, events, path))
    except Exception:
        seconds = round(time.monotonic() - began)
        result = {"seed": seed, "kills": {}, "events": 0, "seconds": seconds}
        result["findings"] = [f"no end: {traceback.format_exc()}"]
    finally:
        with suppress(OcopError):  # what does not end in order is no reason to leave the next parts out
            stack.down(Home(path))
    result["commit"] = stamp
    if not result["findings"]:  # what failed is run again
        result["findings"] += proof.keep("kill", stamp, name, result)
    if result["findings"]:
        result["home"] = str(path)
    else:
        shutil.rmtree(path)
    return result


def show(result: Mapping[str, Any]) -> None:
    """Prints the result of a part; of one that came to no end only why."""
    print(f"seed {result['seed']}, commit {result['commit']}: {result['seconds']} s")
    if "answers" in result:
        _show_figures(result)
    for finding in result["findings"][:20]:
        print(f"  {finding}")
    said = f"{len(result['findings'])} findings" if result["findings"] else "nothing lost, doubled or out of order"
    print(f"  oracle and ledger: {said}", flush=True)
    if "home" in result:
        print(f"  its files stay: OCOP_HOME={result['home']} ocop up", flush=True)


def _show_figures(result: Mapping[str, Any]) -> None:
    print(f"  judged in {result['judged_s']} s")
    print(f"  events {result['events']}, of which sent as {_listed(result['intents'])}")
    print(f"  answers {_listed(result['answers'])}")
    print(f"  records {_listed(result['records'])}; repeats {_listed(result['repeats'])}")
    for victim, (least, middle, most) in result["recovery_s"].items():
        print(f"  {result['kills'][victim]:3} {victim:17} well after {least} / {middle} / {most} s")


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {what}" for what, count in counts.items()) or "none"


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tests.delivery.kill", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="of the first part")
    parser.add_argument("--kills", type=int, default=20, help="of each part")
    parser.add_argument("--events", type=int, default=10_000, help="of each part, at least")
    parser.add_argument("--parts", type=int, default=1, help="with seeds one after another")
    parser.add_argument("--dirty", action="store_true", help="measure a tree that is in no commit")
    asked = parser.parse_args()
    try:
        stamp = proof.commit(dirty=asked.dirty)
    except proof.DirtyTreeError as error:
        print(error, file=sys.stderr)
        return 2
    results = []
    for seed in range(asked.seed, asked.seed + asked.parts):
        results.append(part(seed, asked.kills, asked.events, stamp))
        show(results[-1])
    kills: Counter[str] = Counter()
    for result in results:
        kills.update(result["kills"])
    sums = {what: sum(result[what] for result in results) for what in ("events", "seconds")}
    bad = [result["seed"] for result in results if result["findings"]]
    print(f"{len(results)} parts on {stamp}: {kills.total()} kills ({_listed(dict(sorted(kills.items())))}),")
    print(f"{sums['events']} events in {sums['seconds']} s; findings: {'with seeds ' + str(bad) if bad else 'none'}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
