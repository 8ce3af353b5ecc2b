"""The short form of `make kill`: one seed, every victim but the supervisor (`tests/test_demo.py` kills that)."""

from pathlib import Path

from ocop import stack
from ocop.home import Home
from tests.delivery.kill import run
from tests.delivery.victims import SUPERVISOR, VICTIMS

SEED, KILLS, EVENTS = 3, 6, 1500


async def test_processes_die_at_random_under_load(tmp_path: Path) -> None:
    home = tmp_path / "home"
    try:
        result = await run(SEED, KILLS, EVENTS, home, [victim for victim in VICTIMS if victim != SUPERVISOR])
    finally:
        stack.down(Home(home))
    assert result["findings"] == []
    assert sum(result["kills"].values()) == KILLS
    assert result["events"] >= EVENTS
