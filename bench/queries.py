"""What the national database answers, and how soon: every figure and list over HTTP."""

import asyncio
import json
import random
import time
from typing import Any, Final
from urllib.parse import quote

from national.projections import PROJECTIONS
from national.query import DIMENSIONS

from bench import process
from bench.client import Client
from bench.data import submission_id
from bench.engines import Bench, end
from bench.latency import latencies
from bench.limit import write
from bench.nation import PER_OWNER, histories, key
from contracts.names import event_id
from servicekit import database

TIMES: Final = 30  # that each is asked by one client, and by each of several
CLIENTS: Final = 4
DAYS: Final = ("2026-09-01", "2025-06-30", "2024-01-15", "2020-07-01")
UNLIMITED: Final[dict[str, Any]] = {"OCOP_ADDRESS_REQUESTS_S": "100000", "OCOP_ADDRESS_REQUESTS_AT_ONCE": "1000"}

Asked = dict[str, list[float]]  # by query, the seconds that each answer took


async def run(bench: Bench, products: int, events: int, rounds: int) -> dict[str, Any]:
    """Milliseconds of every query, by one client and by four at once, so many times on one filling. Raises
    AssertionError unless each is answered, and the figure of all products is the one that the data must give."""
    async with bench.system("national") as under_test:
        made = under_test.databases["national"]
        began = time.perf_counter()
        connection = await database.connect(made.app)
        for topic, records in histories(products, events).items():
            await write(connection, records, next(each for each in PROJECTIONS if each.topic == topic))
        held = await connection.fetchval("SELECT count(*) FROM event", timeout=600)
        await connection.close()
        await bench.settle(made.superuser)
        filled_s = time.perf_counter() - began
        started = await under_test.start("national", **UNLIMITED)
        await _check(started.url, products)
        asked = queries(products)
        pids = {"national": started.process.pid, **bench.pids}
        found = [await _round(started.url, asked, process.Meter(pids)) for _ in range(rounds)]
        await end([started])
    return {"products": products, "events_held": held, "filled_s": filled_s, "rounds": found}


async def _round(url: str, asked: dict[str, list[str]], meter: process.Meter) -> dict[str, Any]:
    alone = await _ask(url, asked, 1)
    beside = await _ask(url, asked, CLIENTS)
    return {
        "one_client_ms": _told(alone),
        "four_clients_ms": _told(beside),
        "by_query_ms": {name: {"one": latencies(alone[name]), "four": latencies(beside[name])} for name in asked},
        **meter.cost(sum(map(len, [*alone.values(), *beside.values()]))),
    }


async def _check(url: str, products: int) -> None:
    async with Client(url) as client:
        status, body = await client.get("/v1/figures/products?at=2026-09-01")
        found = json.loads(body)
        # Each was recognised in 2025 for 36 months, so on that day each counts.
        assert status == 200 and found["count"] == products, f"{status}: {found.get('count')} of {products} products"


def queries(products: int) -> dict[str, list[str]]:
    """By name, the addresses that are asked in turn: other days, products and provinces each time."""
    pick = random.Random(1)  # noqa: S311  # repeatable, not secret
    numbers = [pick.randrange(products) for _ in range(8)]
    asked = {}
    for indicator, dimensions in DIMENSIONS.items():
        base = f"/v1/figures/{indicator}"
        asked[f"figure {indicator}"] = [f"{base}?at={day}" for day in DAYS]
        for by in ("province", *dimensions):
            asked[f"figure {indicator} by {by}"] = [f"{base}?at={day}&by={by}" for day in DAYS]
        asked[f"figure {indicator} by province, stars, 2004"] = [
            f"{base}?at={day}&map=2004&by=province&by=stars" for day in DAYS
        ]
        asked[f"figure {indicator} of a province"] = [
            f"{base}?at={DAYS[0]}&province={key('product', number).namespace}" for number in numbers
        ]
        asked[f"list of {indicator}"] = [f"/v1/products?at={day}&indicator={indicator}" for day in DAYS]
    lists = {
        "list": "",
        "list of 200": "&limit=200",
        "list by words": f"&q={quote('gao nep 1')}",
        "list by rare words": f"&q={quote('nep 4711')}",
        "list of the valid": "&status=valid",
        "list of those without": "&status=none",
        "list by stars": "&stars=5",
    }
    asked |= {name: [f"/v1/products?at={day}{also}" for day in DAYS] for name, also in lists.items()}
    asked["list as CSV"] = [f"/v1/products.csv?at={day}&limit=200" for day in DAYS]
    asked["list of a province"] = [
        f"/v1/products?at={DAYS[0]}&province={key('product', number).namespace}" for number in numbers
    ]
    asked["list of an owner"] = [
        f"/v1/products?at={DAYS[0]}&owner={key('owner', number // PER_OWNER).id}" for number in numbers
    ]
    asked["product"] = [f"/v1/products/{key('product', number).id}?at={DAYS[0]}" for number in numbers]
    asked["owner"] = [f"/v1/owners/{key('owner', number // PER_OWNER).id}?at={DAYS[0]}" for number in numbers]
    asked["events of a product"] = [f"/v1/events?subject={key('product', number).id}" for number in numbers]
    said = [key("product", number).id for number in numbers]
    asked["event"] = [f"/v1/events/{event_id(submission_id(subject, 1), 'registry', 0)}" for subject in said]
    return asked


async def _ask(url: str, asked: dict[str, list[str]], clients: int) -> Asked:
    took: Asked = {name: [] for name in asked}

    async def client(number: int) -> None:
        order = [(name, nth) for nth in range(TIMES) for name in asked]
        random.Random(number).shuffle(order)  # noqa: S311  # repeatable, not secret
        async with Client(url) as connection:
            for name, nth in order:
                address = asked[name][nth % len(asked[name])]
                began = time.perf_counter()
                status, body = await connection.get(address)
                took[name].append(time.perf_counter() - began)
                assert status == 200, f"{address}: {status} {body[:200]!r}"

    await asyncio.gather(*(client(number) for number in range(clients)))
    return took


def _told(took: Asked) -> dict[str, Any]:
    """Of all together, and the query that is slowest at its own 99th percentile."""
    slowest = max(took, key=lambda name: latencies(took[name])["p99"])
    return {
        **latencies([seconds for each in took.values() for seconds in each]),
        "slowest": slowest,
        "slowest_p99": latencies(took[slowest])["p99"],
    }
