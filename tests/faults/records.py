"""Records and requests that are spoilt, repeated, missing for a while or dated wrongly: F15, F17 to F20."""

import asyncio
import random
import signal
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from contracts.topics import TOPICS
from ocop.rules.evidence import partitions, records
from servicekit import database
from servicekit.kafka import start_producer
from tests.delivery import healing
from tests.delivery.author import Author, Item, Product
from tests.delivery.stream import ALONE, WHOLE, Request, hostile_request
from tests.delivery.system import MODULES
from tests.faults.frame import OWN, OWN_SOURCE, WELL_S, Fault, Stage
from tests.waiting import until

BATCH = 50
GARBAGE = (b"", b"\x00\xff", b'{"owner":', b"{}", b"[" * 10_000)
PRODUCTS = "ocop.registry.product"


def _author(stage: Stage) -> Author:
    return Author(*OWN, random.Random(f"{stage.seed}/own"))  # noqa: S311  # repeatable, not secret


def _requests(items: Sequence[Item]) -> list[Request]:
    return [Request(OWN_SOURCE, tuple(items[n : n + BATCH])) for n in range(0, len(items), BATCH)]


# -------------------------------------------------------------------- F15


async def poison(stage: Stage) -> None:
    """Bytes that nobody can read, on every topic, and events that the registry's code cannot handle. They are put aside
    with their bytes, what is behind them waits, all else goes on; a mended registry takes them at a retry."""
    author = _author(stage)
    owners = [author.name("BUG") for _ in range(5)]
    items = [item for owner in owners for item in (author.owner(owner), author.owner_updated(owner))]
    items += [author.product(Product(author.name("SP"), owner)) for owner in owners]
    await stage.load.send(_requests(items))
    await _throw_garbage(stage)
    await until(lambda: _failed(stage, len(owners)), 40)
    stage.figures["behind and waiting"] = await stage.system.fetch(
        "registry", "SELECT reason, count(*) FROM held WHERE source = $1 GROUP BY 1 ORDER BY 1", OWN_SOURCE
    )
    kept = await stage.system.fetch("registry", "SELECT payload FROM held WHERE source = $1", OWN_SOURCE)
    stage.expect(all(b"BUG" in payload for (payload,) in kept), "what failed is kept in its bytes")
    for host in stage.hosts:
        process = host.processes["registry"]
        process.send(signal.SIGTERM)
        await asyncio.to_thread(process.process.wait, 30)
        process.command = (*process.command[:-1], MODULES.get("registry", "registry"))
        process.launch()
        stage.mended()
        await stage.ready(process)
    await stage.system.execute(
        "registry", "UPDATE held SET ready = true WHERE reason = 'failed' AND source IS NOT NULL"
    )


async def _failed(stage: Stage, count: int) -> bool:
    query = "SELECT count(*) FROM held WHERE reason = 'failed' AND source = $1"
    return await stage.system.fetch("registry", query, OWN_SOURCE) == [(count,)]


async def _throw_garbage(stage: Stage) -> None:
    producer = await start_producer(stage.system.bootstrap, "faults")
    try:
        for topic in TOPICS:
            for garbage in GARBAGE:
                partition = stage.chance.choice(partitions(topic)).partition
                place = await producer.send_and_wait(topic, garbage, partition=partition)
                stage.thrown.add(f"{topic}/{partition}@{place.offset}")
    finally:
        await producer.stop()


# -------------------------------------------------------------------- F17


async def replays(stage: Stage) -> None:
    """A thousand times the same events, two hundred times their ids with other content; and every topic once more."""
    author = _author(stage)
    items = [author.owner(author.name("CT")) for _ in range(20)]
    await stage.load.send(_requests(items))
    same = [replace(item, sending=replace(item.sending, intent="duplicate")) for item in items]
    await stage.load.send(_requests(same * 50))
    await stage.load.send(_requests([author.other(item) for item in items] * 10))
    producer = await start_producer(stage.system.bootstrap, "faults")
    said = 0
    try:
        for topic in TOPICS:
            again = [
                await producer.send(
                    topic, record.value, key=record.key, headers=list(record.headers), partition=record.partition
                )
                async for record in records(stage.system.bootstrap, topic)
            ]
            await producer.flush()
            said += len(await asyncio.gather(*again))  # each has arrived, or it is told why not
    finally:
        await producer.stop()
    stage.figures["records said again"] = said


# -------------------------------------------------------------------- F18


async def gap(stage: Stage) -> None:
    """Readers of numbered topics are moved past records that they have not read: what follows is parked. Moved back,
    they read what was missing, and it goes on in order: nothing is parked any more."""
    readers = {"national": healing.READS["national"], "evaluation": (PRODUCTS,), "marketplace": (PRODUCTS,)}
    stood = {reader: await _moved_on(stage, reader, topics) for reader, topics in readers.items()}
    for reader in readers:
        await until(lambda reader=reader: _gaps(stage, reader), 40)  # type: ignore[misc]  # mypy cannot tell what it is
    stage.figures["parked"] = {reader: await _gaps(stage, reader) for reader in readers}
    for reader, places in stood.items():
        await _stand(stage, reader, places)
    stage.mended()

    async def filled() -> bool:
        return not any([await _gaps(stage, reader) for reader in readers])

    await until(filled, WELL_S)


async def _moved_on(stage: Stage, reader: str, topics: Sequence[str]) -> list[tuple[str, int, int]]:
    """Stops a reader's replicas for a while, and lets them go on from the end; returns where they stood."""
    processes = [host.processes[reader] for host in stage.hosts]
    for process in processes:
        process.kill()
    query = "SELECT topic, partition, next_offset FROM position WHERE topic = ANY($1)"
    stood = [(str(t), int(p), int(n)) for t, p, n in await stage.system.fetch(reader, query, list(topics))]
    await stage.last(3)
    ends = (await healing.mark(stage.system.bootstrap, stage.system.urls)).ends
    to = {(each.topic, each.partition): end for each, end in ends.items()}
    await _stand(stage, reader, [(topic, partition, to[topic, partition]) for topic, partition, _ in stood])
    for process in processes:
        process.launch()
    return stood


async def _stand(stage: Stage, reader: str, places: Sequence[tuple[str, int, int]]) -> None:
    await stage.system.execute(
        reader,
        """UPDATE position p SET next_offset = n.next_offset
           FROM unnest($1::text[], $2::int[], $3::bigint[]) AS n(topic, partition, next_offset)
           WHERE p.topic = n.topic AND p.partition = n.partition""",
        *(list(column) for column in zip(*places, strict=True)),
    )


async def _gaps(stage: Stage, reader: str) -> int:
    ((count,),) = await stage.system.fetch(reader, "SELECT count(*) FROM held WHERE reason = 'gap'")
    return int(count)


# -------------------------------------------------------------------- F19

CLOCK = """
CREATE SCHEMA clock;
CREATE TABLE clock.shift (by interval NOT NULL);
INSERT INTO clock.shift VALUES ('0');
CREATE FUNCTION clock.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE SECURITY DEFINER
  AS 'SELECT pg_catalog.clock_timestamp() + by FROM clock.shift';
CREATE FUNCTION clock.now() RETURNS timestamptz LANGUAGE sql VOLATILE SECURITY DEFINER
  AS 'SELECT pg_catalog.now() + by FROM clock.shift';
GRANT USAGE ON SCHEMA clock TO PUBLIC;
"""
SHIFTS = (timedelta(hours=2), timedelta(minutes=-5), timedelta())


async def clock_steps(stage: Stage) -> None:
    """The clock of each service's database leaps two hours ahead, then five minutes behind, and comes right; events
    dated in 1970 or in the future are refused all the while."""
    for made in stage.system.databases.values():
        connection = await database.connect(made.superuser)
        await connection.execute(CLOCK)
        await connection.execute(f'ALTER DATABASE "{made.name}" SET search_path = clock, public, pg_catalog')
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1 AND pid <> pg_backend_pid()",
            made.name,
        )
        await connection.close()
    stage.cuts += 1
    for shift in SHIFTS:
        for made in stage.chance.sample(list(stage.system.databases.values()), len(stage.system.databases)):
            connection = await database.connect(made.superuser)
            await connection.execute("UPDATE clock.shift SET by = $1", shift)
            await connection.close()
            await asyncio.sleep(stage.chance.uniform(0, 1))
        stage.mended()  # the last of them sets all right
        await _dated(stage, shift)
        await stage.last(3)
    ((ahead,),) = await stage.system.fetch(
        "registry", "SELECT count(*) FROM event WHERE recorded_at > pg_catalog.clock_timestamp() + interval '1 hour'"
    )
    stage.figures["recorded ahead"] = ahead
    stage.expect(ahead, "something was recorded two hours ahead")


async def _dated(stage: Stage, shift: timedelta) -> None:
    author = _author(stage)
    author.system = f"faults-{int(shift.total_seconds())}"  # names and ids of its own
    name = author.name("CT")
    data = {"owner": name, "kind": "cooperative", "business_name": "Hợp tác xã thử nghiệm"}
    items = tuple(
        author.item("owner.registered", name, data, "hostile", ("refused",), time=f"{year}-01-01T00:00:00+07:00")
        for year in (1970, 2100)
    )
    await stage.load.send([Request(OWN_SOURCE, items)])


# -------------------------------------------------------------------- F20


async def hostile_bodies(stage: Stage) -> None:
    """Each form that must be refused, over both gateways beside the load: each is, and takes nothing along."""
    author, refused = _author(stage), stage.load.answers["refused"]
    requests = [hostile_request(author, form) for _ in range(5) for form in (*WHOLE, *ALONE)]
    await stage.load.send(requests)
    stage.figures["sent"] = len(requests)
    stage.expect(stage.load.answers["refused"] - refused >= len(requests), "every one is refused")


FAULTS = (
    Fault(
        "F15",
        "bytes that nobody can read on every topic; a bug that some events meet",
        poison,
        modules={"registry": "tests.delivery.broken_registry"},
    ),
    Fault("F17", "the same a thousand times, the same id otherwise, all topics once more", replays, repeats=True),
    Fault("F18", "numbers missing on a topic, and filled later", gap),
    Fault(
        "F19",
        "the databases' clocks 2 h ahead, then 5 min behind; events of 1970 and of the future",
        clock_steps,
        {"OCOP_REPEAT_AFTER_S": "600"},  # what had no end before a leap comes again after it
    ),
    Fault("F20", "every hostile form beside the load; tests/hostile/ invents more of them", hostile_bodies),
)
