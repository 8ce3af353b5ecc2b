"""The rebuild of the national tables from the topics, beside the live projection of the same events.

The events lie on the topic before; the live projection reads them first, in one process, and the rebuild then compares
all rows with what it has written.
"""

import asyncio
import multiprocessing
import resource
from concurrent.futures import ProcessPoolExecutor
from typing import Any

from national.projections import PROJECTIONS

from bench import projection
from bench.data import products, put
from bench.engines import Bench
from servicekit.rebuilding import rebuild


async def run(bench: Bench, events: int, subjects: int) -> dict[str, Any]:
    """Events a second, live and rebuilt. Raises AssertionError unless the rebuilt tables are the live ones, and all
    events are in them."""
    await bench.reset_topics()  # national reads them all
    await put(bench.bootstrap, products(events, subjects))
    async with bench.system("national") as under_test:
        made = under_test.databases["national"]
        live = await projection.live(bench, under_test, events, 1)
        await bench.settle(made.superuser)
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
            work = asyncio.get_running_loop().run_in_executor(pool, rebuilt, made.owner, bench.bootstrap)
            found = await work
    assert found["total"] == found["events_held"] == events, f"{found} of {events} events"
    return {"live": live, "rebuilt": found}


def rebuilt(owner_url: str, bootstrap: str) -> dict[str, Any]:
    """A dry run in a process of its own: its pace, and its peak of memory."""
    result = asyncio.run(
        rebuild.rebuild(owner_url, bootstrap, PROJECTIONS, actor="bench", reason="bench", dry_run=True)
    )
    assert not result.differs, "the rebuilt tables differ from the live ones"
    over, first, last = result.pace.rates
    return {
        "rate": over,
        "first_tenth": first,
        "last_tenth": last,
        "whole_s": result.pace.whole,  # indexes and comparison included
        "waited_s": result.waited,
        "rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6,
        "total": result.pace.total,
        "events_held": result.tables["product_event"].rebuilt,
    }
