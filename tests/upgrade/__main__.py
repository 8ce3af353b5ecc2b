"""`make upgrade-test`: from the last release to this code, back and forth again, under load and without a stop.

Two replicas of each service on the code of the last commit on main (N), and a load over both gateways. The schema is
brought to this code's (N+1) while the old code runs on it. Then every replica is replaced, one more being started
before one is told to end, as a cluster does it: N to N+1, back to N, and to N+1 again. So old and new code run beside
each other on one schema, and in one consumer group. In the end oracle and ledger say whether anything was lost, doubled
or put out of order, and no answer may have been an error of ours.
"""

# ruff: noqa: T201  # it is a command

import argparse
import asyncio
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from contracts.topics import TOPICS
from ocop import oracle, provision
from tests.delivery import ledger, verdict
from tests.delivery.ledger import Ledger
from tests.delivery.load import Load, enrolled
from tests.delivery.proof import REPOSITORY
from tests.delivery.system import SERVICES, Process, System, system
from tests.engines import Databases, private_engines
from tests.upgrade.tree import Tree, differs, here, last_other, of

# Readers before those whose events they read: a new major must find somebody who knows it.
ORDER = ("national", "notifications", "evaluation", "marketplace", "registry", "gateway")
REPLICAS = 2
RATE = 60.0  # events a second
END_S = 45  # what a cluster gives a pod to end
QUIET_S = 180


@dataclass(slots=True)
class Rollout:
    """A system whose replicas are replaced."""

    under_test: System
    load: Load
    replicas: dict[str, list[Process]] = field(default_factory=dict)
    started_s: dict[str, list[float]] = field(default_factory=dict)
    ended_s: list[float] = field(default_factory=list)

    async def start(self, tree: Tree, service: str) -> None:
        """One replica more, until it is ready."""
        began = time.monotonic()
        self.under_test.tree, self.under_test.python = tree.root, tree.python
        process = await self.under_test.start(service, ready=False)
        await process.ready()
        self.started_s.setdefault(service, []).append(time.monotonic() - began)
        self.replicas.setdefault(service, []).append(process)
        self._gateways()

    async def replace(self, tree: Tree) -> None:
        """Every replica by one of this code, one after another."""
        for service in ORDER:
            for old in list(self.replicas[service]):
                await self.start(tree, service)
                self.replicas[service].remove(old)
                self._gateways()  # as a proxy, which sends nothing more to who is about to end
                await self._end(old)

    async def _end(self, process: Process) -> None:
        began = time.monotonic()
        process.send(signal.SIGTERM)
        status = await asyncio.to_thread(process.process.wait, END_S)
        assert status == 0, f"{process.service} ended with {status}: {process.log}"
        self.ended_s.append(time.monotonic() - began)

    def _gateways(self) -> None:
        self.load.gateways = [each.url for each in self.replicas.get("gateway", ())]


async def run(old: Tree, new: Tree, seed: int, each_s: float, directory: Path) -> list[str]:
    """What was found."""
    async with private_engines() as engines:
        await provision.topics(engines.kafka_bootstrap, TOPICS.values())
        databases = Databases(engines.postgres_url, old.migrate)
        async with system(engines.kafka_bootstrap, databases, directory, SERVICES) as under_test:
            keys = await enrolled(under_test)
            with closing(Ledger(directory / "ledger")) as book:
                rollout = Rollout(under_test, Load(seed, [], keys, book, RATE))
                for _ in range(REPLICAS):
                    for service in ORDER:
                        await rollout.start(old, service)
                stop = asyncio.Event()
                async with asyncio.TaskGroup() as group:
                    group.create_task(rollout.load.run(stop.is_set))
                    await _steps(rollout, old, new, each_s)
                    stop.set()
            entries = ledger.read(directory / "ledger")
            gateway = rollout.load.gateways[0]
            findings = await _judge(under_test, entries, gateway, keys, seed)
    _tell(rollout)
    return findings


async def _steps(rollout: Rollout, old: Tree, new: Tree, each_s: float) -> None:
    await asyncio.sleep(each_s)
    began = time.monotonic()
    for service, made in rollout.under_test.databases.items():
        await new.migrate(made.owner, service)
    print(f"schema of N+1 under code of N: {time.monotonic() - began:.1f} s, {rollout.load.sent} events so far")
    await asyncio.sleep(each_s)
    for name, tree in (("N+1", new), ("N", old), ("N+1", new)):
        began = time.monotonic()
        await rollout.replace(tree)
        print(
            f"all replicas on {name}: {time.monotonic() - began:.1f} s, {rollout.load.sent} events so far", flush=True
        )
        await asyncio.sleep(each_s)


async def _judge(
    under_test: System, entries: Sequence[ledger.Entry], gateway: str, keys: dict[str, str], seed: int
) -> list[str]:
    left = await oracle.wait_until_quiet(under_test.bootstrap, under_test.urls, QUIET_S)
    findings = await oracle.find(under_test.bootstrap, under_test.urls, verdict.refused(entries))
    findings += await verdict.compare(under_test.bootstrap, under_test.urls, entries)
    findings += await verdict.reachable(gateway, keys, entries, seed)
    told = await oracle.told(under_test.bootstrap, under_test.urls, findings)
    return [*left, *told, *(f"an answer of ours was {e.answer}" for e in entries if e.answer.said == "unknown")]


def _tell(rollout: Rollout) -> None:
    print(f"answers: {', '.join(f'{count} {said}' for said, count in sorted(rollout.load.answers.items()))}")
    for service in ORDER:
        times = sorted(rollout.started_s[service])
        print(f"  {service:13} ready after {times[0]:.1f} to {times[-1]:.1f} s")
    print(f"  ended after {min(rollout.ended_s):.1f} to {max(rollout.ended_s):.1f} s")


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tests.upgrade", description=__doc__)
    parser.add_argument("--commit", help="N; else the last on main with other code than this")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=10, help="of load between the steps")
    asked = parser.parse_args()
    commit = asked.commit or last_other()
    if commit is None or not differs(commit):
        print("N is this very code: say another commit, FROM=…")
        return 2
    name = subprocess.run(
        ["/usr/bin/git", "log", "-1", "--format=%h %s", commit],
        cwd=REPOSITORY,
        check=True,
        capture_output=True,
        text=True,
    )
    print(f"N is {name.stdout.strip()}", flush=True)
    with of(commit) as old, tempfile.TemporaryDirectory(prefix="ocop-upgrade-") as directory:
        findings = asyncio.run(run(old, here(), asked.seed, asked.seconds, Path(directory)))
    for finding in findings[:20]:
        print(f"  {finding}")
    print(f"{len(findings)} findings" if findings else "nothing lost, doubled or out of order; no error of ours")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
