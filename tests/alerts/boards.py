"""Whether each panel of each dashboard has something to show."""

import math
import time
from collections.abc import Iterator

from deploy.dashboards import BOARDS, Board, Panel
from tests.alerts.prometheus import Prometheus

WINDOW_S, STEP_S = 120, 15
RATE_INTERVAL = "1m"  # as Grafana has it where Prometheus looks every 15 s
# What a service does not have, and its panels cannot show.
LACKS = {("Outbox", "notifications"), ("Outbox", "national")}


async def empty(server: Prometheus) -> list[str]:
    """The panels that have had nothing to show in the last two minutes, with what they asked."""
    now, found = time.time(), []
    for board in BOARDS:
        for choice in await _choices(server, board):
            for panel in board.panels:
                if (panel.title, choice) not in LACKS:
                    for expr in _asked(panel, board, choice):
                        lines = await server.drawn(expr, now - WINDOW_S, now, STEP_S)
                        values = [float(value) for line in lines for _, value in line["values"]]
                        if not any(map(math.isfinite, values)):
                            found.append(f"{board.title}, {choice or 'all'}: {panel.title}: nothing for {expr}")
    return found


async def _choices(server: Prometheus, board: Board) -> list[str]:
    """What can be chosen on it; one that is empty if there is nothing to choose."""
    if board.choice is None:
        return [""]
    found = await server.values(*board.choice)
    assert found, f"{board.title}: nothing to choose"
    return found


def _asked(panel: Panel, board: Board, choice: str) -> Iterator[str]:
    for expr, _ in panel.asks:
        asked = expr.replace("$__rate_interval", RATE_INTERVAL)
        yield asked.replace(f"${board.choice[0]}", choice) if board.choice else asked
