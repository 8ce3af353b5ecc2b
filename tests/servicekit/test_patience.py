"""Rounds that come no closer together than they must."""

import asyncio
from types import SimpleNamespace
from unittest.mock import patch

from servicekit import patience
from servicekit.patience import APART_S, Rounds


class Clock:
    """Time that passes when somebody sleeps, or when a test says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        assert seconds >= 0
        self.now += seconds


async def _round(clock: Clock, rounds: Rounds, work_s: float) -> float:
    """How long a round keeps the next one waiting."""
    rounds.begin()
    clock.now += work_s
    ended = clock.now
    await rounds.rest()
    return clock.now - ended


def test_a_short_round_waits_for_company_and_a_long_one_does_not() -> None:
    clock = Clock()
    with patch.object(patience, "time", clock), patch.object(patience, "asyncio", SimpleNamespace(sleep=clock.sleep)):
        waits = [asyncio.run(_round(clock, Rounds(), work)) for work in (0.0, APART_S / 4, APART_S, 3 * APART_S)]
    assert [round(each / APART_S, 6) for each in waits] == [1, 0.75, 0, 0]
