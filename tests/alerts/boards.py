"""Whether each panel of each dashboard has something to show."""

import math
import time
from collections.abc import Iterator

from deploy.dashboards import BOARDS, Board, Panel
from tests.alerts.prometheus import Prometheus

WINDOW_S, STEP_S = 120, 15
RATE_INTERVAL = "1m"  # as Grafana has it where Prometheus looks every 15 s


async def empty(server: Prometheus) -> list[str]:
    """The panels that have had nothing to show in the last two minutes."""
    found = []
    for board in BOARDS:
        for choice in await _choices(server, board):
            for panel in board.panels:
                if not await _shows(server, panel, board, choice):
                    found.append(f"nothing to show: {board.title}, {choice or 'all'}, {panel.title}")
    return found


async def _choices(server: Prometheus, board: Board) -> list[str]:
    """What can be chosen on it; one that is empty if there is nothing to choose."""
    if board.choice is None:
        return [""]
    found = await server.values(*board.choice)
    assert found, f"{board.title}: nothing to choose"
    return found


async def _shows(server: Prometheus, panel: Panel, board: Board, choice: str) -> bool:
    now = time.time()
    lines = [await server.drawn(expr, now - WINDOW_S, now, STEP_S) for expr in _asked(panel, board, choice)]
    values = (float(value) for each in lines for line in each for _, value in line["values"])
    return any(map(math.isfinite, values))


def _asked(panel: Panel, board: Board, choice: str) -> Iterator[str]:
    for expr, _ in panel.asks:
        asked = expr.replace("$__rate_interval", RATE_INTERVAL)
        yield asked.replace(f"${board.choice[0]}", choice) if board.choice else asked
