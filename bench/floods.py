"""One tenant floods a gateway, with good events or with what is wrong in many ways, as fast as it is answered; three
others send and ask meanwhile as they do daily.

Before: the median of their rounds (five events, and one question) without the flood. The flood and the others share the
cores and the client that asks, so that what is measured is an upper bound.
"""

from collections.abc import Mapping
from statistics import median
from typing import Any

from bench.engines import Bench
from tests.hostile import floods


async def run(bench: Bench) -> Mapping[str, Any]:
    """For each flood: how often it was answered 429 and otherwise, and the others' median in ms before and beside it.

    Raises AssertionError if another is refused anything, or waits a minute.
    """
    await bench.reset_topics()
    async with bench.system(*floods.SERVICES) as under_test:
        found = await floods.run(under_test)
    return {
        kind: {
            "limited": answers[429],
            "answered": answers.total() - answers[429],
            "before_ms": median(before) * 1000,
            "beside_ms": median(took) * 1000,
        }
        for kind, (answers, before, took) in found.items()
    }
