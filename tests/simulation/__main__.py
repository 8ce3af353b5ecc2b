"""`python -m tests.simulation --histories 1000 --seed 1`: plays them on two workers, and says what happened.

The exit status tells. A history that fails is printed with what led to it; the same seed plays the same histories.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import time
import traceback
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from queue import Empty, SimpleQueue

import hypothesis
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.engines import shared_postgres
from tests.mutants.mutant import ROOT
from tests.simulation.machine import Machine
from tests.simulation.stage import stage

CHUNK, STEPS, WORKERS = 125, 30, 2


def main() -> int:
    """Deals chunks of histories, each with its own seed, to workers."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--histories", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--shrink", action="store_true", help="look for a shorter history that fails too")
    parser.add_argument("--worker", action="store_true", help="play chunks whose seeds and sizes come by stdin")
    options = parser.parse_args()
    if options.worker:
        return _work(options.shrink)
    chunks: SimpleQueue[tuple[int, int]] = SimpleQueue()
    for number, begin in enumerate(range(0, options.histories, CHUNK)):
        chunks.put((options.seed * 100_000 + number, min(CHUNK, options.histories - begin)))
    total: dict[str, Counter[str]] = {"rules": Counter(), "awaits": Counter(), "faults": Counter()}
    played, failed, started = 0, [], time.monotonic()
    with shared_postgres() as url, ThreadPoolExecutor(WORKERS) as pool:

        def play_all() -> list[str]:
            said = []
            command = [sys.executable, "-m", "tests.simulation", "--worker", *(["--shrink"] * options.shrink)]
            environment = os.environ | {"TEST_DATABASE_URL": url}
            worker = subprocess.Popen(
                command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
            assert worker.stdin is not None and worker.stdout is not None
            while True:
                try:
                    seed, size = chunks.get_nowait()
                except Empty:
                    break
                worker.stdin.write(f"{seed} {size}\n")
                worker.stdin.flush()
                said.append(worker.stdout.readline())
                if not said[-1] or json.loads(said[-1])["failed"]:
                    with suppress(Empty):  # one is enough: the rest is not played
                        while True:
                            chunks.get_nowait()
            worker.stdin.close()
            worker.wait()
            return said

        for line in [line for future in [pool.submit(play_all) for _ in range(WORKERS)] for line in future.result()]:
            result = json.loads(line or '{"failed": "a worker died"}')
            played += result.get("histories", 0)
            for name, counter in total.items():
                counter.update(result.get(name, {}))
            if result["failed"]:
                failed.append(result["failed"])
    for failure in failed:
        print(failure)  # noqa: T201  # a command
    for name, counter in total.items():
        print(f"{name}: {sum(counter.values())}")  # noqa: T201  # a report
        for what, count in counter.most_common(150):
            print(f"  {count:8} {what}")  # noqa: T201  # a report
    seconds = time.monotonic() - started
    print(f"seed {options.seed}: {played} histories in {seconds:.0f} s, {len(failed)} chunks failed")  # noqa: T201  # a report
    return 1 if failed or played < options.histories else 0


def _work(shrink: bool) -> int:
    phases = [Phase.generate, *([Phase.shrink] * shrink)]
    chosen = settings(
        stateful_step_count=STEPS,
        deadline=None,  # a history takes as long as PostgreSQL takes
        database=None,  # nothing is remembered from run to run
        phases=phases,
        print_blob=False,
        # Slow and big on purpose, and rules that find nothing to do are cheap.
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
    )
    with asyncio.Runner() as runner, shared_postgres() as url:
        entered = stage(url)
        Machine.stage, Machine.runner = runner.run(entered.__aenter__()), runner
        try:
            for line in sys.stdin:
                seed, size = map(int, line.split())
                for counter in (Machine.tally, Machine.awaits, Machine.faults):
                    counter.clear()
                Machine.histories = 0
                failed = ""
                try:
                    seeded = hypothesis.seed(seed)(Machine)
                    run_state_machine_as_test(seeded, settings=settings(chosen, max_examples=size))
                except Exception as error:
                    error.__notes__ = error.__notes__[:1]  # the history; hypothesis says it again, at length
                    failed = f"seed {seed}:\n{traceback.format_exc(limit=-6)}"
                result = {"failed": failed, "histories": Machine.histories, "rules": Machine.tally}
                print(json.dumps(result | {"awaits": Machine.awaits, "faults": Machine.faults}), flush=True)  # noqa: T201  # for who started it
        finally:
            runner.run(entered.__aexit__(None, None, None))
    return 0


if __name__ == "__main__":
    sys.exit(main())
