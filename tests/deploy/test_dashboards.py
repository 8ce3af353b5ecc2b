"""How panels lie on a dashboard."""

from collections import defaultdict
from typing import Any

import pytest

from deploy.dashboards import BOARDS, WHOLE, Board


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)
def test_rows_are_full_and_of_one_height(board: Board) -> None:
    rows: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for panel in board.written()["panels"]:
        rows[panel["gridPos"]["y"]].append(panel["gridPos"])
    *whole, last = (rows[y] for y in sorted(rows))
    assert all(sum(place["w"] for place in row) == WHOLE for row in whole)
    assert sum(place["w"] for place in last) <= WHOLE
    assert all(len({place["h"] for place in row}) == 1 for row in rows.values())
    bottoms = [y + row[0]["h"] for y, row in sorted(rows.items())]
    assert sorted(rows)[1:] == bottoms[:-1], "one below the other, without a hole"
