"""What an event weighs: bytes on topics, in databases and in PostgreSQL's log, and what all of them work for it.

Products are registered through the gateway, each once; all services run. So an event here is one submission that is
applied, with all that comes of it.
"""

import asyncio
from typing import Any, Final

from bench import process
from bench.data import OWNERS, TENANT
from bench.engines import Bench, end
from bench.intake import BATCH, UNLIMITED, lane, prepared
from bench.lane import send
from contracts.topics import TOPICS
from servicekit import database
from tests.delivery.system import SERVICES, System
from tests.submissions import owner

SYSTEM: Final = "s0"
QUIET_S: Final = 600


async def run(bench: Bench, events: int) -> dict[str, Any]:
    """Bytes and CPU seconds per 1,000 events. Raises AssertionError unless all was accepted, applied and read."""
    await bench.reset_topics()
    async with bench.system(*SERVICES) as under_test:
        await under_test.start_all(**UNLIMITED)
        gateway, key = under_test.running("gateway")[0].url, await under_test.key(TENANT, SYSTEM)
        source = {"source": f"/provinces/{TENANT}/{SYSTEM}"}
        await send(gateway, key, (owner(f"CT-{number}", id_=f"CT-{number}") | source for number in range(OWNERS)))
        await under_test.settled(QUIET_S)
        bodies = prepared({SYSTEM: key}, events // BATCH // 2)
        count = sum(len(found) for _, found in bodies) * BATCH
        before, log_before = await _databases(under_test), await _log_position(under_test)
        topics_before = _topics(bench)
        meter = process.Meter({each.service: each.process.pid for each in under_test.processes} | bench.pids)
        await asyncio.gather(*(lane(gateway, key, found, []) for _, found in bodies))
        await under_test.settled(QUIET_S)
        cost = meter.cost(count)
        after, log_after = await _databases(under_test), await _log_position(under_test)
        topics = {name: (size - topics_before[name]) / count for name, size in _topics(bench).items()}
        await end(under_test.processes)
    return {
        "events_sent": count,
        "topic_bytes": {name: size for name, size in topics.items() if size},
        "database_bytes": {name: (after[name] - before[name]) / count for name in after},
        "log_bytes": (log_after - log_before) / count,
        **cost,
    }


def _topics(bench: Bench) -> dict[str, int]:
    """Bytes of each topic's segments on disk."""
    return {name: sum(file.stat().st_size for file in bench.directory.glob(f"**/{name}-*/*.log")) for name in TOPICS}


async def _databases(under_test: System) -> dict[str, int]:
    """Bytes of each service's database: tables, indexes, and what updates have left behind."""
    query = "SELECT pg_database_size(current_database())"
    return {service: (await under_test.fetch(service, query))[0][0] for service in SERVICES}


async def _log_position(under_test: System) -> int:
    """How many bytes PostgreSQL's log has."""
    connection = await database.connect(under_test.databases["gateway"].superuser)
    try:
        return int(await connection.fetchval("SELECT pg_current_wal_lsn() - '0/0'::pg_lsn"))
    finally:
        await connection.close()
