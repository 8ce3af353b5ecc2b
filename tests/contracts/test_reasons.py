"""One catalogue of reason codes: whatever refuses uses it, and every code of it is provoked by some test."""

import ast
import re
import string
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest

from contracts.problems import _CODES
from contracts.reasons import REASONS, Reason, reason, words
from tests.contracts.corpus import INVALID, ROOT

CODE = [ROOT / folder for folder in ("contracts", "servicekit", "services", "ocop")]
# What is called with a code, and as which argument; params come two after it.
REFUSALS = {"refusal": 0, "Rejected": 0, "Problem": 0, "Waits": 1, "_say": 3, "_tell": 3}


def trees(*folders: Path) -> Iterator[tuple[Path, ast.Module]]:
    for folder in folders:
        for path in sorted(folder.rglob("*.py")):
            yield path, ast.parse(path.read_text())


def refusals(tree: ast.Module) -> Iterator[tuple[int, str, set[str] | None]]:
    """Line, code and names of the params of each refusal that is written out (None: the params are not)."""
    for node in ast.walk(tree):
        name = getattr(node.func, "id", getattr(node.func, "attr", "")) if isinstance(node, ast.Call) else ""
        if not isinstance(node, ast.Call) or name not in REFUSALS or len(node.args) <= REFUSALS[name]:
            continue
        code = node.args[REFUSALS[name]]
        if isinstance(code, ast.Constant) and isinstance(code.value, str):
            yield node.lineno, code.value, _params(node, name)


def _params(call: ast.Call, name: str) -> set[str] | None:
    if name == "refusal":
        return {keyword.arg for keyword in call.keywords if keyword.arg} - {"at"}
    given = call.args[REFUSALS[name] + 2] if len(call.args) > REFUSALS[name] + 2 else None
    for keyword in call.keywords:
        given = keyword.value if keyword.arg == "params" else given
    if given is None:
        return set()
    if not isinstance(given, ast.Dict):
        return None
    return {key.value for key in given.keys if isinstance(key, ast.Constant) and isinstance(key.value, str)}


def places(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


@pytest.mark.parametrize("found", REASONS.values(), ids=lambda r: r.code)
def test_a_reason_speaks_both_languages(found: Reason) -> None:
    assert re.fullmatch("[a-z0-9]+(-[a-z0-9]+)*", found.code)
    for text in (found.vi, found.en, found.todo_vi, found.todo_en):
        assert text.endswith(".")
        assert unicodedata.is_normalized("NFC", text)
    assert found.vi != found.en
    assert places(found.vi) | places(found.todo_vi) == places(found.en) | places(found.todo_en)


def test_words_are_filled_in_and_never_fail() -> None:
    assert words("unknown-owner", {"ref": "2004-67/CT-1"})["message_en"].startswith("The owner 2004-67/CT-1 is not")
    for code in REASONS:
        assert words(code, {})["message_vi"]


def test_braces_in_params_are_only_text() -> None:
    assert "{max}" in words("unknown-type", {"value": "{max}"})["message_vi"]


def test_an_unknown_code_has_no_reason() -> None:
    with pytest.raises(KeyError):
        reason("no-such-code")


def test_whatever_refuses_has_a_reason_and_fills_its_words() -> None:
    wrong = []
    for path, tree in trees(*CODE):
        for line, code, params in refusals(tree):
            if code not in REASONS:
                wrong.append(f"{path}:{line}: no reason {code}")
            elif params is not None:
                found = reason(code)
                missing = places(found.vi + found.en + found.todo_vi + found.todo_en) - params
                wrong += [f"{path}:{line}: {code} lacks {name}" for name in sorted(missing)]
    assert wrong == []


def test_what_pydantic_finds_has_reasons() -> None:
    assert set(_CODES.values()) <= set(REASONS)


def told(*folders: Path, but: str) -> set[str]:
    """Every text written out in the code of some folders, but for the file of that name."""
    return {
        node.value
        for path, tree in trees(*folders)
        if path.name != but
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


def test_every_code_is_provoked() -> None:
    examples = {code for example in INVALID for code, _ in example.expected}
    assert sorted(set(REASONS) - examples - told(ROOT / "tests", but="test_reasons.py")) == []


def test_every_code_is_said() -> None:
    assert sorted(set(REASONS) - told(*CODE, but="reasons.py")) == []


def test_planted_refusals_are_seen() -> None:
    tree = ast.parse('Rejected("made-up", "/x")\nWaits(a, "unknown-owner", "/x", {"ref": 1})\nProblem(code, "")')
    assert list(refusals(tree)) == [(1, "made-up", set()), (2, "unknown-owner", {"ref"})]
