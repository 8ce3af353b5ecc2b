"""Rounds that come no closer together than they must, and how long something is tried."""

from types import SimpleNamespace
from typing import Any

import pytest

from servicekit import patience
from servicekit.patience import APART_S, Backoff, Rounds, alone


class Clock:
    """Time that passes when somebody sleeps, or when a test says so."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        assert seconds >= 0
        self.now += seconds
        self.slept.append(seconds)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(patience, "time", clock)
    monkeypatch.setattr(patience, "asyncio", SimpleNamespace(sleep=clock.sleep))
    return clock


async def _round(clock: Clock, rounds: Rounds, work_s: float) -> float:
    """How long a round keeps the next one waiting."""
    rounds.begin()
    clock.now += work_s
    ended = clock.now
    await rounds.rest()
    return clock.now - ended


async def test_a_short_round_waits_for_company_and_a_long_one_does_not(clock: Clock) -> None:
    waits = [await _round(clock, Rounds(), work) for work in (0.0, APART_S / 4, APART_S, 3 * APART_S)]
    assert [round(each / APART_S, 6) for each in waits] == [1, 0.75, 0, 0]


async def test_waits_double_up_to_ten_seconds(clock: Clock) -> None:
    backoff = Backoff()
    for whole in (0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10, 10, 10):
        await backoff.wait()
        assert whole / 2 <= clock.slept[-1] <= whole


@pytest.mark.usefixtures("clock")
async def test_a_failure_counts_only_while_the_database_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """An outage may look like a bug, and what was right would be put aside."""
    answers, attempts, given_up = [False] * 7 + [True] * 5, 0, list[int]()

    async def database_answers(_: Any) -> bool:
        return answers.pop(0)

    async def attempt() -> None:
        nonlocal attempts
        attempts += 1
        raise RuntimeError("a bug, or so it seems")

    async def give_up(error: dict[str, Any]) -> None:
        given_up.append(error["attempts"])

    pool: Any = None
    monkeypatch.setattr(patience, "_database_answers", database_answers)
    assert await alone("it", attempt, give_up, pool, lambda: None)
    assert (attempts, given_up) == (12, [5])
