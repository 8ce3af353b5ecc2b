"""`python -m tests.mutants [name …]`: all mutants, or those named. The exit status says whether all were caught.

Each of their tests is run in a copy that is not broken, too: one that always fails would catch everything.

With `--simulate 1000` not their tests are run but so many random histories of `tests.simulation`, which need not
notice each of them.
"""

import argparse
import sys
from concurrent.futures import ThreadPoolExecutor

from rich.console import Console
from rich.markup import escape

from tests.engines import shared_postgres
from tests.mutants import MUTANTS
from tests.mutants.mutant import Mutant, control
from tests.mutants.trial import Result, simulate, try_out

AT_ONCE = 2
MOST_SAID = 80  # of how a test has failed


def main() -> int:
    """Tries mutants two at a time on one PostgreSQL, and prints each as it ends."""
    console = Console(highlight=False, width=200, soft_wrap=True)
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*")
    parser.add_argument("--simulate", type=int, metavar="HISTORIES")
    options = parser.parse_args()
    wanted = set(options.names)
    if unknown := wanted - {each.name for each in MUTANTS}:
        console.print(f"no such mutants: {', '.join(sorted(unknown))}")
        return 2
    chosen = [each for each in MUTANTS if not wanted or each.name in wanted]
    tests = sorted({each.test for each in chosen if each.lives_because is None})
    unbroken = [] if options.simulate else [control(test) for test in tests]
    with shared_postgres() as url, ThreadPoolExecutor(1 if options.simulate else AT_ONCE) as pool:

        def attempt(each: Mutant) -> bool:
            try:
                result = simulate(each, url, options.simulate) if options.simulate else try_out(each, url)
            except (ValueError, AssertionError) as error:
                console.print(f"[red]NO VERDICT[/] {each.name}: {escape(str(error))}")
                return False
            console.print(_line(result))
            return result.right

        right = list(pool.map(attempt, [*unbroken, *chosen]))
    belts = sum(each.lives_because is not None for each in chosen)
    told = f"{len(chosen) - belts} mutants, {belts} belts, {len(unbroken)} tests of theirs on the code as it is"
    console.print(f"{told}: {right.count(False)} not as they must be")
    return 0 if all(right) else 1


def _line(result: Result) -> str:
    each = result.mutant
    word = "killed" if result.failed else "lives"
    colour = "green" if result.right else "red"
    why = f" ({each.lives_because})" if each.lives_because else f": {each.rule}"
    why += f" [{result.said[:MOST_SAID]}]" if result.said else ""
    return f"[{colour}]{word:7}[/] {result.seconds:5.1f} s  {each.name:40} {escape(each.test)}{escape(why)}"


if __name__ == "__main__":
    sys.exit(main())
