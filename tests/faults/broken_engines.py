"""Engines that die, fill their disk, are slow, or have forgotten: F3, F10 to F13, F21."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress

import asyncpg
import psutil
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from aiokafka.protocol.admin import DeleteGroupsRequest

from ocop import kafka, postgres
from ocop.rules.evidence import partitions, records
from tests.delivery import healing
from tests.engines import START_SECONDS, Engine
from tests.faults import disk
from tests.faults.frame import BROKER_S, Fault, Stage
from tests.waiting import until

WAL, LOGS = "postgres/data/pg_wal", "kafka/data"
FLAT_MB = 60  # so much more memory is no growth: caches fill
SUBMISSIONS = "ocop.submission.registry"


async def broker_dies(stage: Stage) -> None:
    """Killed, away until the gateways' outboxes are full, back; then once more in order, as at an upgrade. However long
    it is away, no service is one to be restarted for that."""
    stage.engines.kill_kafka()
    unavailable = stage.load.answers["unavailable"]
    await stage.last(8)
    stage.expect(not await healing.unwell([each.url for each in stage.system.processes], ["live"]), "all stay live")
    stage.figures["answered 503 meanwhile"] = stage.load.answers["unavailable"] - unavailable
    stage.expect(stage.load.answers["unavailable"] > unavailable, "behind its bound the gateway says 503")
    await stage.engines.start_kafka()
    await asyncio.sleep(stage.chance.uniform(0, 5))
    await asyncio.to_thread(stage.engines.stop_kafka)
    stage.mended()
    await stage.engines.start_kafka()


async def database_dies(stage: Stage) -> None:
    """`kill -9` in the middle of requests and decisions, twice."""
    stage.cuts += 2
    unavailable = stage.load.answers["unavailable"]
    for _ in range(2):
        enough = stage.load.sent + stage.chance.randint(1, 50)
        while stage.load.sent < enough:
            await asyncio.sleep(0.001)
        stage.engines.kill_postgres()
        await stage.last(3)
        stage.mended()
        await stage.engines.start_postgres()
        await asyncio.sleep(stage.chance.uniform(1, 4))
    stage.figures["answered 503 meanwhile"] = stage.load.answers["unavailable"] - unavailable
    stage.expect(stage.load.answers["unavailable"] > unavailable, "the gateways say that they take nothing")


# -------------------------------------------------------------------- full disks


async def no_room_for_wal(stage: Stage) -> None:
    """PostgreSQL finds no room for its next segment. It panics, and may not come up before there is room."""
    stage.cuts += 1
    directory = stage.engines.directory / WAL
    stage.figures["filled MiB"] = disk.fill(directory) >> 20
    try:
        async with asyncio.timeout(30):
            while await postgres.answers(stage.engines.postgres_url):
                await _next_segment(stage.engines.postgres_url)
        began, unavailable = time.monotonic(), stage.load.answers["unavailable"]
        await stage.last(6)
        stage.figures["answered 503 meanwhile"] = stage.load.answers["unavailable"] - unavailable
        stage.expect(stage.load.answers["unavailable"] > unavailable, "the gateway says that it takes nothing")
        stage.figures["server ended"] = stage.engines.postgres.ended
        stage.figures["without room, s"] = round(time.monotonic() - began)
    finally:
        disk.free(directory)
        stage.mended()
    await _up(stage.engines.postgres, lambda: postgres.answers(stage.engines.postgres_url))


async def _next_segment(url: str) -> None:
    """Makes the server want the next segment."""
    with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError):
        connection = await asyncpg.connect(url, timeout=5)
        try:
            await connection.execute("SELECT pg_switch_wal()", timeout=5)
        finally:
            connection.terminate()


async def no_room_for_topics(stage: Stage) -> None:
    """Kafka finds no room for records: it gives its only directory up, and ends. The outboxes keep what is said."""
    directory = stage.engines.directory / LOGS
    stage.figures["filled MiB"] = disk.fill(directory) >> 20
    try:
        began = time.monotonic()
        while not stage.engines.kafka.ended and time.monotonic() < began + 30:
            await asyncio.sleep(0.1)
        stage.figures["broker ended"] = stage.engines.kafka.ended
        stage.expect(stage.engines.kafka.ended, "the broker has found no room, and ended")
        await stage.last(6)
    finally:
        disk.free(directory)
        stage.mended()
    await _up(stage.engines.kafka, lambda: kafka.answers(stage.engines.kafka_bootstrap))


async def _up(engine: Engine, answers: Callable[[], Awaitable[bool]]) -> None:
    """Waits until it answers, and starts it again whenever it has ended, as whoever supervises it does."""
    until = time.monotonic() + 2 * START_SECONDS
    while not await answers():
        if engine.ended:
            engine.kill()
            engine.launch()
        assert time.monotonic() < until, f"{engine.name} does not come back:\n{engine.last_words()}"
        await asyncio.sleep(0.5)


# -------------------------------------------------------------------- slow


async def slow_database(stage: Stage) -> None:
    """Every answer of PostgreSQL comes half a second late, and one handler takes two seconds more for each poll: slower
    it gets, but nobody leaves, and memory stays flat."""
    thrown_out, memory = _thrown_out(stage), _memory(stage)
    before = await _lag(stage)
    for host in stage.hosts:
        host.postgres.delay(0.5)
    await stage.last(20)
    after = await _lag(stage)
    for host in stage.hosts:
        host.postgres.mend()
    stage.figures["records not read, before and after"] = (before, after)
    stage.expect(after > before, "more is unread than before")
    stage.expect(_thrown_out(stage) == thrown_out, "nobody is thrown out of a group")
    grown = {name: round(after - memory[name]) for name, after in _memory(stage).items()}
    stage.figures["grown by MB, most"] = max(grown.values())
    stage.expect(max(grown.values()) < FLAT_MB, f"memory stays flat: {grown}")


async def _lag(stage: Stage) -> int:
    """Records that lie on topics and are not read yet, by each of their readers."""
    ends = (await healing.mark(stage.system.bootstrap, stage.system.urls)).ends
    lag = 0
    for service in stage.system.urls:
        stands = await stage.system.fetch(service, "SELECT topic, partition, next_offset FROM position")
        lag += sum(ends[TopicPartition(topic, partition)] - offset for topic, partition, offset in stands)
    return lag


def _thrown_out(stage: Stage) -> int:
    """How often a group did not know a process of ours any more."""
    logs = (process.log.read_text() for process in stage.system.processes)
    return sum(log.count("member_id was not recognized") + log.count("UnknownMemberId") for log in logs)


def _memory(stage: Stage) -> dict[str, float]:
    """MB of each process."""
    running = [process for host in stage.hosts for process in host.processes.values()]
    return {each.log.stem: psutil.Process(each.process.pid).memory_info().rss / 1e6 for each in running}


# -------------------------------------------------------------------- forgotten


async def retention_passes(stage: Stage) -> None:
    """While nobody reads them, submissions are deleted unread; the group's offsets, too."""
    registries = [host.processes["registry"] for host in stage.hosts]
    for process in registries:
        process.kill()
    await stage.last(6)  # the session of the dead is over
    admin = AIOKafkaAdminClient(bootstrap_servers=stage.system.bootstrap)
    await admin.start()
    try:
        ends = (await healing.mark(stage.system.bootstrap, stage.system.urls)).ends
        gone: Mapping[object, RecordsToDelete] = {
            each: RecordsToDelete(before_offset=ends[each]) for each in partitions(SUBMISSIONS)
        }
        await _note_deleted(stage, ends)
        await admin.delete_records(gone)
        await until(lambda: _deleted(admin, "registry"), 40)
    finally:
        await admin.close()
    for process in registries:
        process.launch()
    stage.mended()
    await stage.ready(*registries)
    stage.figures["deleted unread"] = len(stage.unread)
    stage.expect(stage.unread, "something was deleted unread")
    told = sum(process.log.read_text().count("records gone unread") for process in registries)
    stage.expect(told, "it is said that records have gone unread")


async def _note_deleted(stage: Stage, ends: Mapping[TopicPartition, int]) -> None:
    """Which submissions lie before these ends, and which of them nobody has read."""
    query = "SELECT partition, next_offset FROM position WHERE topic = $1"
    read = {
        int(partition): int(offset) for partition, offset in await stage.system.fetch("registry", query, SUBMISSIONS)
    }
    async for record in records(stage.system.bootstrap, SUBMISSIONS):
        if record.event is not None and record.offset < ends[TopicPartition(SUBMISSIONS, record.partition)]:
            stage.deleted.add(record.event)
            if record.offset >= read.get(record.partition, 0):
                stage.unread.add(record.event)


async def _deleted(admin: AIOKafkaAdminClient, group: str) -> bool:
    """Deletes a group and its offsets; false while somebody is in it."""
    node = await admin.find_coordinator(group)
    answer = await admin._send_request_to_node(node, DeleteGroupsRequest([group]))  # aiokafka has no call for it
    return all(code == 0 for _, code in answer.results)


FAULTS = (
    Fault(
        "F3",
        "the broker killed past the outbox's bound, then restarted in order",
        broker_dies,
        {"OCOP_OUTBOX_ROWS": "150"},
        well_s=BROKER_S,
    ),
    Fault("F10", "PostgreSQL killed under load, twice", database_dies),
    Fault("F11", "no room for PostgreSQL's WAL", no_room_for_wal, disk=(WAL, 512)),
    Fault("F12", "no room for Kafka's topics", no_room_for_topics, disk=(LOGS, 192), well_s=BROKER_S),
    Fault(
        "F13",
        "every answer of PostgreSQL half a second late, and evaluation two seconds slower",
        slow_database,
        modules={"evaluation": "tests.faults.slow_evaluation"},
    ),
    Fault(
        "F21",
        "retention passes stopped readers; the group's offsets deleted",
        retention_passes,
        {"OCOP_REPEAT_AFTER_S": "10"},
    ),
)
