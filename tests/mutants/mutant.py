"""A mutant: the delivery code with one promise broken, and the test that must notice."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Edit:
    """One place of the code, read otherwise. `old` stands exactly once in `file`."""

    file: str
    old: str
    new: str

    def broken(self, text: str) -> str:
        """The file's text, broken; ValueError if the old text is not there, or more than once."""
        if text.count(self.old) != 1:
            raise ValueError(f"{self.file}: the old text is there {text.count(self.old)} times, not once:\n{self.old}")
        return text.replace(self.old, self.new)

    def apply(self, root: Path) -> None:
        """Break the copy of the tree under `root`; ValueError as `broken`."""
        path = root / self.file
        path.write_text(self.broken(path.read_text() if path.is_file() else ""))


@dataclass(frozen=True, slots=True)
class Mutant:
    """`test` is a pytest node; where `lives_because` says why nothing breaks, the test must pass: that is a belt."""

    name: str
    rule: str  # what is promised, as docs/delivery.md says it
    edits: Sequence[Edit]
    test: str
    lives_because: str | None = None


def mutant(name: str, rule: str, file: str, old: str, new: str, test: str) -> Mutant:
    """A mutant of one place that its test must kill."""
    return Mutant(name, rule, (Edit(file, old, new),), f"tests/{test}")


def belt(name: str, rule: str, file: str, old: str, new: str, test: str, lives_because: str) -> Mutant:
    """A mutant of one place that the rest of the design makes harmless."""
    return Mutant(name, rule, (Edit(file, old, new),), f"tests/{test}", lives_because)


def control(test: str) -> Mutant:
    """No break at all: the test must pass."""
    return Mutant("unbroken", "the test fails for the break alone", (), test, "nothing is broken")
