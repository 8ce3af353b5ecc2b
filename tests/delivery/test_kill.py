"""The short form of `make kill`: one seed, every victim but the supervisor (`tests/test_demo.py` kills that)."""

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ocop import stack
from ocop.home import Home
from tests.delivery import kill, proof
from tests.delivery.healing import NotHealedError
from tests.delivery.victims import SUPERVISOR, VICTIMS

SEED, KILLS, EVENTS = 3, 6, 1500


async def test_processes_die_at_random_under_load(tmp_path: Path) -> None:
    home = tmp_path / "home"
    try:
        result = await kill.run(SEED, KILLS, EVENTS, home, [victim for victim in VICTIMS if victim != SUPERVISOR])
    finally:
        stack.down(Home(home))
    assert result["findings"] == []
    assert sum(result["kills"].values()) == KILLS
    assert result["events"] >= EVENTS


class _Load:
    """Has always sent enough."""

    sent = 0

    def burst(self, events: float) -> None:
        self.sent += int(events)


async def test_what_does_not_heal_is_a_finding_and_the_last_kill(monkeypatch: pytest.MonkeyPatch) -> None:
    dead: list[str] = []

    async def dies(_running: object, victim: str, _chance: object) -> str:
        dead.append(victim)
        return victim

    async def heals(_running: object, _name: str, _before: object) -> None:
        if len(dead) == 3:
            raise NotHealedError("after 60 s")

    monkeypatch.setattr(kill, "kill", dies)
    monkeypatch.setattr(kill, "healed", heals)
    running: Any = SimpleNamespace(pids=dict)
    load: Any = _Load()
    loading = asyncio.create_task(asyncio.Event().wait())
    killed = kill.Killed()
    await kill._kill(running, SEED, 5, VICTIMS, loading, load, 10, killed)  # type: ignore[arg-type]  # it goes on
    loading.cancel()
    assert killed.victims == dead
    assert len(dead) == 3
    assert killed.findings == [f"not well after a kill of {dead[2]} ({dead[2]}): after 60 s"]
    assert sum(map(len, killed.recovered.values())) == 2


async def test_a_kill_that_takes_others_along_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    now = {"registry": 1, "kafka": 2}

    async def dies(_running: object, victim: str, _chance: object) -> str:
        now.update(dict.fromkeys(now, 3))
        return victim

    async def heals(_running: object, _name: str, _before: object) -> None:
        """At once."""

    monkeypatch.setattr(kill, "kill", dies)
    monkeypatch.setattr(kill, "healed", heals)
    running: Any = SimpleNamespace(pids=now.copy)
    load: Any = _Load()
    loading = asyncio.create_task(asyncio.Event().wait())
    killed = kill.Killed()
    await kill._kill(running, SEED, 1, ["kafka"], loading, load, 10, killed)  # type: ignore[arg-type]  # it goes on
    now.update(kafka=4)
    await kill._kill(running, SEED, 1, [SUPERVISOR], loading, load, 10, killed)  # type: ignore[arg-type]  # it goes on
    loading.cancel()
    assert killed.findings == ["a kill of kafka (kafka) has ended others: registry"]


def test_a_part_is_not_run_on_a_tree_that_has_moved_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(proof, "PROOFS", tmp_path)
    monkeypatch.setattr(proof, "commit", lambda **_: "4567")
    result = kill.part(SEED, KILLS, EVENTS, "0123")
    kill.show(result)
    assert result["findings"] == ["the tree was 0123 when this began, and is 4567: this is no result"]


def test_only_a_death_between_a_mail_and_its_mark_explains_a_repeat() -> None:
    assert kill.Killed(["notifications", "postgres", SUPERVISOR, "kafka", "registry", "relay leader"]).cuts == 3


def test_a_part_that_comes_to_no_end_is_a_finding_and_its_files_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def breaks(_seed: int, _kills: int, _events: int, path: Path) -> dict[str, Any]:
        await asyncio.to_thread(path.mkdir)
        raise OSError("no engine")

    monkeypatch.setattr(kill, "run", breaks)
    monkeypatch.setattr(proof, "PROOFS", tmp_path)
    monkeypatch.setattr(proof, "commit", lambda **_: "0123")
    result = kill.part(SEED, KILLS, EVENTS, "0123")
    kill.show(result)
    assert "no engine" in result["findings"][0]
    home = tmp_path / "kill" / "0123" / f"{SEED}-{KILLS}-{EVENTS}.home"
    assert home.exists()
    assert f"OCOP_HOME={home} ocop up" in capsys.readouterr().out
    assert proof.done("kill", "0123", f"{SEED}-{KILLS}-{EVENTS}") is None, "it is run again"
