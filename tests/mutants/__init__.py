"""Deliberate breaks of the delivery code, each with the test that must notice it: `make mutants`.

A check that cannot fail proves nothing. Each mutant reads one sentence of the protocol the other way, in a copy of
the tree; its named test must then fail. A survivor, or a text that is no longer there, fails the command. Belts are
mutants that the rest of the design makes harmless: they must live, or they are no belts.
"""

from typing import Final

from tests.mutants import deciding, intake, numbered, reading, rebuilding, sending, sides, trouble
from tests.mutants.mutant import Mutant

MUTANTS: Final[tuple[Mutant, ...]] = (
    *intake.MUTANTS,
    *reading.MUTANTS,
    *deciding.MUTANTS,
    *numbered.MUTANTS,
    *sending.MUTANTS,
    *trouble.MUTANTS,
    *rebuilding.MUTANTS,
    *sides.MUTANTS,
)
