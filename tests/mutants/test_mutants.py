"""Each mutant still fits the code, names a test that exists, and stands in the delivery page. A few are tried."""

import ast

import pytest

from tests.mutants import MUTANTS
from tests.mutants.mutant import ROOT, Mutant
from tests.mutants.trial import try_out

QUICK = ("held-before-lock", "no-inbox", "stream-check-left-out", "group-offset-trusted")


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda each: each.name)
def test_the_text_is_there_once_and_the_test_exists(mutant: Mutant) -> None:
    broken: dict[str, str] = {}
    for edit in mutant.edits:
        assert edit.old != edit.new
        broken[edit.file] = edit.broken(broken.get(edit.file) or (ROOT / edit.file).read_text())
    for file, text in broken.items():
        if file.endswith(".py"):
            ast.parse(text, file)  # what is no program fails every test, and shows nothing
    path, _, name = mutant.test.partition("::")
    tree = ast.parse((ROOT / path).read_text())
    tests = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    assert not name or name in tests


def test_names_are_unique() -> None:
    assert len({each.name for each in MUTANTS}) == len(MUTANTS)


def test_the_delivery_page_names_each_mutant() -> None:
    page = (ROOT / "docs" / "delivery.md").read_text()
    assert [each.name for each in MUTANTS if f"`{each.name}`" not in page] == []


@pytest.mark.parametrize("name", QUICK)
def test_a_quick_one_is_killed(name: str, postgres_url: str) -> None:
    mutant = next(each for each in MUTANTS if each.name == name)
    result = try_out(mutant, postgres_url)
    assert result.failed, f"{name} survived {mutant.test}"


def test_a_belt_lives(postgres_url: str) -> None:
    """And so the frame itself can say no."""
    mutant = next(each for each in MUTANTS if each.name == "seen-not-returned-at-once")
    assert not try_out(mutant, postgres_url).failed
