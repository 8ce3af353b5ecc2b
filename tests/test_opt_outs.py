"""Whoever opts out of a check says why, behind it."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
OPT_OUT = re.compile(r"#\s*(?:noqa: [A-Z]+[0-9]+(?:, [A-Z]+[0-9]+)*|type: ignore(?:\[[a-z, -]+\])?)(?P<why>.*)$")
WHY = re.compile(r"\s+(#\s*|-\s|\()\w")


def unsaid(text: str) -> list[str]:
    """The lines that opt out without a reason; of two in one line the last says it."""
    return [
        line.strip() for line in text.splitlines() if (found := OPT_OUT.search(line)) and not WHY.match(found["why"])
    ]


def test_an_opt_out_without_a_reason_is_seen() -> None:
    mark = "# noqa" + ": S608"
    assert unsaid(f"x = 1  {mark}\ny = 2  {mark}  # no input\nz = 3  {mark} - no input") == [f"x = 1  {mark}"]


def test_every_opt_out_says_why() -> None:
    own = (
        path for path in ROOT.rglob("*.py") if not any(part.startswith(".") for part in path.relative_to(ROOT).parts)
    )
    sources = [path for path in own if path != Path(__file__)]
    assert len(sources) > 300
    found = {str(path.relative_to(ROOT)): lines for path in sources if (lines := unsaid(path.read_text()))}
    assert found == {}


def test_no_migration_more_is_left_out_of_the_check() -> None:
    left_out = tomllib.loads((ROOT / ".squawk.toml").read_text())["excluded_paths"]
    assert left_out == ["*/deciding.0002_inbox_said.sql", "*/gateway/migrations/0003_backfill.sql"]
