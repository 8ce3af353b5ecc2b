"""Each mutant still fits the code, names a test that exists, and stands in the delivery page. A few are tried."""

import ast

import pytest

from tests.mutants import MUTANTS
from tests.mutants.mutant import ROOT, Mutant, mutant
from tests.mutants.trial import try_out

QUICK = ("held-before-lock", "no-inbox", "stream-check-left-out", "group-offset-trusted")


@pytest.mark.parametrize("each", MUTANTS, ids=lambda each: each.name)
def test_the_text_is_there_once_and_the_test_exists(each: Mutant) -> None:
    broken: dict[str, str] = {}
    for edit in each.edits:
        assert edit.old != edit.new
        broken[edit.file] = edit.broken(broken.get(edit.file) or (ROOT / edit.file).read_text())
    for file, text in broken.items():
        if file.endswith(".py"):
            ast.parse(text, file)  # what is no program fails every test, and shows nothing
    path, _, name = each.test.partition("::")
    tree = ast.parse((ROOT / path).read_text())
    tests = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    assert not name or name in tests


def test_names_are_unique() -> None:
    assert len({each.name for each in MUTANTS}) == len(MUTANTS)


def test_the_delivery_page_names_each_mutant() -> None:
    page = (ROOT / "docs" / "delivery.md").read_text()
    assert [each.name for each in MUTANTS if f"`{each.name}`" not in page] == []


def assert_right(name: str, postgres_url: str) -> None:
    """A time-out is no verdict, neither on a mutant nor on a belt."""
    chosen = next(each for each in MUTANTS if each.name == name)
    result = try_out(chosen, postgres_url)
    assert result.ended, f"{name}: {result.said} of {chosen.test}"
    assert result.right, f"{name} {'is killed by' if result.failed else 'survived'} {chosen.test} {result.said}"


@pytest.mark.parametrize("name", QUICK)
def test_a_quick_one_is_killed(name: str, postgres_url: str) -> None:
    assert_right(name, postgres_url)


def test_what_makes_no_sense_is_no_verdict(postgres_url: str) -> None:
    file, test = (
        "servicekit/held.py",
        "servicekit/test_decider.py::test_undecodable_bytes_are_held_and_their_sender_told",
    )
    senseless = mutant(
        "senseless", "", file, "INSERT INTO held (queue, subject,", "INSERT INTO held (cue, subject,", test
    )
    with pytest.raises(AssertionError, match=r"senseless makes no sense: .*UndefinedColumnError"):
        try_out(senseless, postgres_url)


def test_a_belt_lives(postgres_url: str) -> None:
    """And so the frame itself can say no."""
    assert_right("seen-not-returned-at-once", postgres_url)
