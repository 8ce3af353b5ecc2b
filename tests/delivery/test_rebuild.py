"""`ocop rebuild national`: from the topics, beside the live tables, while they are read and written; then swapped."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Container, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from national.projections import PROJECTIONS

from contracts.topics import TOPICS
from ocop import provision
from ocop.history.events import owner_registered, product_registered
from servicekit import database, log
from servicekit.database import Connection, Pool
from servicekit.message import Message
from servicekit.rebuilding import shadow
from servicekit.rebuilding.difference import Standing
from servicekit.rebuilding.rebuild import LOCK, RebuildError, Rebuilt, rebuild
from servicekit.rebuilding.shadow import ShadowError
from tests.delivery import ledger, verdict
from tests.delivery.ledger import Ledger
from tests.delivery.load import Load, enrolled
from tests.delivery.system import SERVICES, System, system
from tests.engines import Databases
from tests.national.feed import said_of
from tests.national.test_projections import PLACE, REPORTER, history, moved
from tests.waiting import until, waits_for_lock

MANY = "100000"  # requests of one address
HERE = "database = (SELECT oid FROM pg_database WHERE datname = current_database())"  # a lock; others run beside us
SWAPPING = f"SELECT 1 FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND NOT granted AND {HERE}"  # noqa: S608  # from above
RATE = 60  # events a second
TABLES = shadow.of(PROJECTIONS)
# What a table is besides its rows: as the live one was, so must the one be that takes its place.
FORM = """SELECT c.relname, c.relkind::text, c.relacl::text, c.reloptions::text, pg_get_expr(c.relpartbound, c.oid),
       array(SELECT pg_get_indexdef(indexrelid) || indisvalid FROM pg_index WHERE indrelid = c.oid ORDER BY 1)::text,
       array(SELECT conname || pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = c.oid ORDER BY 1)::text,
       array(SELECT format('%s %s %s %s', attname, atttypid::regtype, attnotnull, attcollation) FROM pg_attribute
             WHERE attrelid = c.oid AND attnum > 0 ORDER BY attnum)::text
FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') ORDER BY 1"""


@dataclass(slots=True)
class National:
    """The service alone, with what the others would say to it."""

    system: System
    producer: AIOKafkaProducer
    sent: int = 0
    lines: list[str] = field(default_factory=list)

    async def say(self, messages: Sequence[Message], partition: int | None = None) -> None:
        """Puts these on their topics, and waits until they have been read."""
        for message in messages:
            key = (message.named("subject") or "").encode()
            headers = list(message.headers)
            await self.producer.send_and_wait(
                message.topic, message.payload, key=key, headers=headers, partition=partition
            )
            self.sent += 1
        await until(self.has_read, 30)

    async def has_read(self) -> bool:
        """Whether it stands at the end of its topics."""
        ((read,),) = await self.fetch("SELECT coalesce(sum(next_offset), 0)::bigint FROM position")
        return bool(read == self.sent)

    async def fetch(self, query: str) -> list[tuple[Any, ...]]:
        """Rows of its database, whatever they are."""
        connection = await database.connect(self.system.databases["national"].superuser)
        try:
            return [tuple(row) for row in await connection.fetch(query)]
        finally:
            await connection.close()

    async def rows(self) -> dict[str, list[tuple[Any, ...]]]:
        """All that is rebuilt."""
        return {table: await self.fetch(f"SELECT t::text FROM public.{table} t ORDER BY 1") for table in TABLES}  # noqa: S608  # wiring

    async def held(self) -> list[tuple[Any, ...]]:
        """What is held back, with what operators know it by."""
        return await self.fetch("SELECT id, since, topic, subject, n, reason FROM held ORDER BY id")

    async def rebuild(self, **options: bool) -> Rebuilt:
        """As the command does it."""
        made = self.system.databases["national"]
        return await rebuild(
            made.owner,
            self.system.bootstrap,
            PROJECTIONS,
            actor="Lan",
            reason="a test",
            say=self.lines.append,
            **options,
        )

    def command(self, *arguments: str) -> subprocess.Popen[str]:
        """Types it."""
        made = self.system.databases["national"]
        return subprocess.Popen(
            [sys.executable, "-m", "ocop", *arguments],
            env=os.environ
            | {
                "OCOP_DATABASE_URL": made.app,
                "OCOP_DATABASE_OWNER_URL": made.owner,
                "OCOP_KAFKA_BOOTSTRAP": self.system.bootstrap,
                "COLUMNS": "200",
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    async def ran(self, *arguments: str) -> tuple[int, str]:
        """Its exit status, and all that it says."""
        running = self.command(*arguments)
        out, err = await asyncio.to_thread(running.communicate, timeout=120)
        return running.returncode, out + err


@pytest.fixture
async def national(
    kafka_topics: str, databases: Databases, tmp_path: Path, producer: AIOKafkaProducer
) -> AsyncIterator[National]:
    async with system(kafka_topics, databases, tmp_path, ["national"]) as under_test:
        await under_test.start("national", OCOP_ADDRESS_REQUESTS_S=MANY, OCOP_ADDRESS_REQUESTS_AT_ONCE=MANY)
        yield National(under_test, producer)


def numbered(message: Message, number: int, payload: bytes | None = None) -> Message:
    """The same record under another number, or with other bytes."""
    headers = tuple((n, str(number).encode() if n == "ce_subjectsequence" else v) for n, v in message.headers)
    return replace(message, headers=headers, payload=message.payload if payload is None else payload)


async def test_rebuilt_tables_are_the_live_ones_in_form_and_rows_and_the_service_goes_on(national: National) -> None:
    said = said_of([*history(), moved("Gạo khác", "2025-08-01")])
    await national.say([*said[:-1], *said[2:5]])  # repeats are legal
    form, rows = await national.fetch(FORM), await national.rows()
    result = await national.rebuild()
    assert (result.swapped, result.differs, result.further) == (True, False, 0)
    assert await national.fetch(FORM) == form
    assert await national.rows() == rows
    assert {name: table.rebuilt for name, table in result.tables.items()} == {
        name: len(found) for name, found in rows.items() if name != "stream"
    }
    await national.say(said[-1:])
    assert len((await national.rows())["product_period"]) == 3
    assert await national.fetch("SELECT nspname FROM pg_namespace WHERE nspname IN ('shadow', 'outgoing')") == []
    (done,) = await national.fetch("SELECT actor, what, details ->> 'reason' FROM operation")
    assert done == ("Lan", "rebuild", "a test")


async def test_what_the_live_tables_have_wrong_is_named_and_mended_when_that_is_accepted(national: National) -> None:
    await national.say(said_of(history()))
    ((product,),) = await national.fetch("SELECT id FROM product")
    right = await national.rows()
    await national.fetch("UPDATE standing SET stars = '5' WHERE certain RETURNING 1")
    await national.fetch("DELETE FROM listing RETURNING 1")
    spoilt = await national.rows()
    assert spoilt != right
    for options in ((), ("--dry-run",)):
        status, told = await national.ran("rebuild", "national", "--reason", "đối chiếu", "--actor", "Lan", *options)
        assert status == 1, told
        assert "stay in use" in told
        lines = {line.split()[0]: line.split() for line in told.splitlines() if line.strip()}
        assert lines["standing"][1:] == ["5", "5", "1", str(product)]
        assert lines["listing"][1:4] == ["0", "1", "1"]
        assert lines["offer"][3] == "0"
        assert await national.rows() == spoilt
    status, told = await national.ran("rebuild", "national", "--reason", "sửa", "--actor", "Lan", "--accept")
    assert status == 0, told
    assert "in use" in told
    assert await national.rows() == right
    (done,) = await national.fetch("SELECT details -> 'differing' FROM operation")
    assert done == ({"standing": 1, "listing": 1},)


async def test_what_was_passed_over_stays_so_and_what_is_held_stays_held(national: National) -> None:
    """Skipped numbers, dropped bytes, a gap, bytes that do not decode, a subject in a strange partition."""
    said = said_of([*history(), *(moved(f"Gạo {n}", f"2025-08-0{n}") for n in range(1, 6))])
    product = [message for message in said if message.topic == "ocop.registry.product"]
    others = [message for message in said if message.topic != "ocop.registry.product"]
    bare = replace(others[0], headers=(), payload=b"nobody can read this")
    recognition = [message for message in others if message.topic == "ocop.evaluation.recognition"]
    await national.say([*others, product[0], numbered(product[1], 2, b"{}"), *product[2:4]])
    await national.say([bare, numbered(recognition[0], 9), numbered(others[0], 2, b"not JSON")])
    assert await national.fetch("SELECT reason, n FROM held WHERE topic = 'ocop.registry.product' ORDER BY n") == [
        ("failed", 2),
        ("behind", 3),
        ("behind", 4),
    ]
    await national.ran("dlq", "skip", "national", "1", "--reason", "bản ghi hỏng", "--actor", "Lan")
    ((nameless,),) = await national.fetch("SELECT id FROM held WHERE queue IS NULL")
    await national.ran("dlq", "drop", "national", str(nameless), "--reason", "rác", "--actor", "Lan")
    applied = "SELECT applied FROM stream WHERE topic = 'ocop.registry.product'"
    await until(lambda: _is(national, applied, [(4,)]), 30)
    await national.say([product[1]])  # a good copy of what was skipped comes too late
    await national.say(product[5:])  # number 5 is missing
    await national.say([numbered(others[0], 3), bare], partition=(_home(others[0]) + 1) % 12)
    assert await national.fetch("SELECT count(*) FROM held WHERE queue IS NULL") == [
        (0,)
    ]  # the twin of what was dropped

    held, rows = await national.held(), await national.rows()
    assert {row[-1] for row in held} == {"gap", "failed", "behind"}
    result = await national.rebuild()
    assert (result.swapped, result.differs, result.further) == (True, False, 0)
    assert await national.rows() == rows
    assert await national.held() == held
    await national.fetch("DELETE FROM held RETURNING 1")  # lost by hand: the topics know what is held
    assert (await national.rebuild()).swapped
    assert sorted(map(_held, await national.held())) == sorted(map(_held, held))
    assert await national.fetch("SELECT n FROM skipped WHERE n IS NOT NULL") == [(2,)]
    sequences = "SELECT sequence FROM product_event ORDER BY 1"
    assert await national.fetch(sequences) == [(1,), (3,), (4,)]
    await national.say([product[4]])  # now the gap is filled, and what stood behind it follows
    assert await national.fetch(sequences) == [(1,), (3,), (4,), (5,), (6,), (7,)]


async def test_bytes_that_name_nothing_are_held_once_or_stay_dropped(national: National) -> None:
    said = said_of(history())
    held, dropped = (replace(said[0], headers=(), payload=payload) for payload in (b"held", b"dropped"))
    elsewhere = (_home(said[0]) + 1) % 12
    await national.say([*said, dropped, held])
    status, told = await national.ran("dlq", "drop", "national", "1", "--reason", "rác", "--actor", "Lan")
    assert status == 0, told
    await national.say([held, dropped], partition=elsewhere)  # the same sends once more
    nameless = "SELECT payload FROM held WHERE queue IS NULL"
    assert await national.fetch(nameless) == [(b"held",)]
    rows, before = await national.rows(), await national.held()
    status, told = await national.ran("rebuild", "national", "--reason", "a test", "--actor", "Lan")
    assert status == 0, told
    assert await national.rows() == rows
    assert await national.held() == before
    await national.fetch("DELETE FROM held RETURNING 1")  # lost by hand: the topics know what is held
    assert (await national.rebuild()).held == 1
    assert await national.fetch(nameless) == [(b"held",)]


async def test_dead_letters_of_a_topic_that_was_lost_stay_unless_they_were_made_good(national: National) -> None:
    """Their bytes are nowhere else."""
    bootstrap, topic = national.system.bootstrap, "ocop.registry.product"
    said = [message for message in said_of(history()) if message.topic == topic]
    strange = replace(said[0], headers=(), payload=b"nobody can read this")
    await national.say([numbered(said[0], 1, b"{}"), strange, numbered(said[0], 7, b"not JSON")])
    assert {row[4:] for row in await national.held()} == {(1, "failed"), (None, "failed"), (7, "failed")}
    for process in national.system.running("national"):
        process.kill()
    await provision.remove_topics(bootstrap, [topic])
    await provision.topics(bootstrap, TOPICS.values())
    national.sent = 0
    await national.system.start("national")
    await national.say(said[:1])
    assert (await national.rebuild()).swapped
    assert {row[4:] for row in await national.held()} == {(None, "failed"), (7, "failed")}


def _held(row: tuple[Any, ...]) -> str:
    """Without what hangs on which partition was read first: number, age, and which kind of waiting it is."""
    return f"{row[2:5]} {row[5] == 'failed'}"


async def _is(national: National, query: str, rows: list[tuple[Any, ...]]) -> bool:
    return await national.fetch(query) == rows


def _home(message: Message) -> int:
    """The partition in which its subject's events lie."""
    return log.home(message.topic, message.named("subject") or "")


@pytest.mark.parametrize("later", [True, False], ids=["later", "before"])
async def test_what_the_code_cannot_handle_is_put_aside_as_the_service_does(
    national: National, monkeypatch: pytest.MonkeyPatch, *, later: bool
) -> None:
    """Of two events with one id the first that is read stands; a rebuild may come to the other's partition before."""
    monkeypatch.setattr(log, "records", _one_after_another)
    said = said_of([*history(), moved("Gạo khác", "2025-08-01")])
    owner, product = said[0], said[1]
    others = (said_of([owner_registered(REPORTER, f"X-{n}", kind="household")])[0] for n in range(100))
    other = next(each for each in others if _home(each) != _home(owner) and (_home(each) > _home(owner)) == later)
    nul = product_registered(REPORTER, "NUL", "CT", name="NUL", place=PLACE)
    unwritable = said_of([history()[0], nul])[1]  # decodes; but no jsonb has such a letter
    unwritable = replace(unwritable, payload=unwritable.payload.replace(b'"NUL"', b'"N\\u0000L"', 1))
    await national.say([*said[:-1], numbered(owner, 2), unwritable, numbered(unwritable, 2, product.payload)])
    subject = (other.named("subject") or "").encode()
    headers = tuple((n, subject if n == "ce_subject" else v) for n, v in owner.headers)
    twin = replace(owner, headers=headers, envelope=None)  # so that its headers say whose it is
    await national.say([twin, numbered(twin, 2)])
    held, rows = await national.held(), await national.rows()
    assert sorted(row[-1] for row in held) == ["behind", "behind", "failed", "failed", "failed"]
    result = await national.rebuild(accept=True)
    differing = {name for name, table in result.tables.items() if table.subjects}
    after = await national.held()
    assert result.swapped
    assert differing == set()
    if later:
        assert result.elsewhere == {}
        assert await national.rows() == rows
        assert sorted(map(_held, after)) == sorted(map(_held, held))
    else:  # of these subjects not the same numbers are applied
        assert {standing.rebuilt for standing in result.elsewhere.values()} == {0, 1}
        assert await national.fetch("SELECT subject::text FROM owner_event") == [(subject.decode(),)]
        assert sorted(row[-1] for row in after) == ["behind", "behind", "failed", "failed", "failed"]


async def _one_after_another(
    consumer: AIOKafkaConsumer,
    starts: log.Offsets,
    ends: log.Offsets,
    most: int,
    done: Container[TopicPartition] = (),
    *,
    records: Callable[..., AsyncIterator[log.Records]] = log.records,
) -> AsyncIterator[log.Records]:
    """`log.records`, of the least partition first; else Kafka decides which comes first."""
    for partition in sorted(starts):
        async for found in records(consumer, {partition: starts[partition]}, ends, most, done):
            yield found


async def test_a_rebuild_that_is_killed_leaves_everything_as_it_was(national: National) -> None:
    said = said_of([*history(), moved("Gạo khác", "2025-08-01")])
    await national.say(said[:-1])
    rows, form = await national.rows(), await national.fetch(FORM)
    connection = await database.connect(national.system.databases["national"].owner)
    reading = connection.transaction()
    await reading.start()
    await connection.fetch("SELECT FROM event")  # a reader that does not end keeps it from swapping
    running = national.command("rebuild", "national", "--reason", "a test")
    await until(lambda: national.fetch(SWAPPING), 30)
    running.send_signal(signal.SIGKILL)
    await asyncio.to_thread(running.communicate)
    await reading.rollback()
    await connection.close()
    await national.say(said[-1:])  # the live reader was let go, and reads on
    assert len((await national.rows())["product_event"]) == len(rows["product_event"]) + 1
    assert await national.fetch("SELECT 1 FROM pg_namespace WHERE nspname = 'shadow'") != []
    status, told = await national.ran("rebuild", "national", "--reason", "a test", "--actor", "Lan")
    assert status == 0, told
    assert "is dropped" in told
    assert await national.fetch(FORM) == form
    assert len((await national.rows())["product_event"]) == len(rows["product_event"]) + 1


async def test_two_rebuilds_are_not_at_once(national: National) -> None:
    connection = await database.connect(national.system.databases["national"].owner)
    await connection.execute("SELECT pg_advisory_lock($1)", LOCK)
    with pytest.raises(RebuildError, match="under way"):
        await national.rebuild()
    await connection.close()


@dataclass(slots=True)
class Circle:
    """A rebuild's connection and a reader's, in a database with a shadow; of a circle PostgreSQL ends the rebuild's."""

    pool: Pool
    ours: Connection
    reader: Connection
    tables: Sequence[str]


@pytest.fixture
async def circle(databases: Databases) -> AsyncIterator[Circle]:
    made = await databases.make("national")
    async with await database.open_pool(made.superuser) as pool, pool.acquire() as ours, pool.acquire() as reader:
        await shadow.make(ours, PROJECTIONS)
        await ours.execute("SET deadlock_timeout = '1s'")
        await reader.execute("SET deadlock_timeout = '1min'")
        yield Circle(pool, ours, reader, await shadow.swapped(ours, PROJECTIONS))


async def test_a_swap_steps_out_of_a_circle_with_a_reader(circle: Circle, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a stalled machine lets PostgreSQL see it before the swap's own time is over, the swap is tried again."""
    monkeypatch.setattr(shadow, "LOCK_MS", 30_000)

    async def lock() -> None:
        async with circle.ours.transaction():
            await shadow.lock(circle.ours, circle.tables)

    async with circle.reader.transaction():
        await circle.reader.execute(f"SELECT FROM public.{circle.tables[-1]}")
        locking = asyncio.create_task(lock())
        await until(partial(waits_for_lock, circle.pool))
        await circle.reader.execute(f"SELECT FROM public.{circle.tables[0]}")
        assert not locking.done()
    await locking


async def test_what_was_put_aside_goes_though_a_reader_still_locks_it(circle: Circle) -> None:
    """A query that was planned before the swap locks the tables of its plan one after another before it plans anew."""
    async with circle.reader.transaction():
        await circle.reader.execute(f"SELECT FROM shadow.{circle.tables[-1]}")
        dropping = asyncio.create_task(shadow.drop(circle.ours))
        await until(partial(waits_for_lock, circle.pool))
        for table in circle.tables:
            await circle.reader.execute(f"SELECT FROM shadow.{table}")
        assert not dropping.done()
    await dropping
    assert await circle.ours.fetch("SELECT FROM pg_namespace WHERE nspname = 'shadow'") == []


async def test_a_rebuild_is_done_though_what_it_has_put_aside_cannot_be_removed(
    national: National, monkeypatch: pytest.MonkeyPatch
) -> None:
    await national.say(said_of(history()))
    rows, real = await national.rows(), shadow.drop
    aside = "SELECT nspname FROM pg_namespace WHERE nspname = 'outgoing'"

    async def drop(connection: Connection) -> None:
        if await connection.fetch(aside):
            raise ShadowError("It is read without a pause.")
        await real(connection)

    monkeypatch.setattr(shadow, "drop", drop)
    assert (await national.rebuild()).swapped
    assert national.lines[-1] == "What is no longer needed stays until the next rebuild: It is read without a pause."
    monkeypatch.undo()
    assert (await national.rebuild()).swapped
    assert await national.fetch(aside) == []
    assert await national.rows() == rows


async def test_a_service_that_has_read_nothing_goes_on_behind_what_was_rebuilt(national: National) -> None:
    await national.say(said_of(history()))
    right = await national.rows()
    national.system.running("national")[0].kill()
    tables = ", ".join(["event", *(table for table in TABLES if not table.endswith("_event")), "position"])
    await national.fetch(f"TRUNCATE {tables}")
    result = await national.rebuild()
    assert (result.swapped, result.differs, result.further) == (True, False, 4)
    assert await national.has_read(), "the position is handed over"
    assert await national.rows() == right
    await national.system.start("national")
    later = said_of([*history(), moved("Gạo khác", "2025-08-01")])[-1]
    await national.say([later])
    assert len((await national.rows())["product_event"]) == len(right["product_event"]) + 1


PATHS = (
    "/",
    "/?map=2004",
    "/san-pham",
    "/v1/figures/products?by=province,stars",
    "/v1/figures/owners?by=owner_kind",
    "/v1/figures/recognitions?by=year",
    "/v1/figures/online?by=platform",
    "/v1/products?limit=100",
)


@dataclass(slots=True)
class Readers:
    """People and programs that read all the time, and what they were answered."""

    url: str
    answers: Counter[int] = field(default_factory=Counter)
    slowest: float = 0.0

    async def read(self, stop: asyncio.Event) -> None:
        """One after the other, pages of products too, until told to stop."""
        async with httpx2.AsyncClient(base_url=self.url, timeout=30) as client:
            paths: list[str] = list(PATHS)
            while not stop.is_set():
                for path in paths:
                    began = time.monotonic()
                    answer = await client.get(path)
                    self.slowest = max(self.slowest, time.monotonic() - began)
                    self.answers[answer.status_code] += 1
                    await asyncio.sleep(0.02)  # a reader's own time, in which the load of the test has its turn
                    if path.startswith("/v1/products?"):
                        ids = [product["id"] for product in answer.json()["products"][:5]]
                        paths = [*PATHS, *(f"/san-pham/{id_}" for id_ in ids), *(f"/v1/products/{id_}" for id_ in ids)]


async def test_nobody_notices_a_rebuild_under_load(
    kafka_topics: str, databases: Databases, tmp_path: Path, producer: AIOKafkaProducer
) -> None:
    async with system(kafka_topics, databases, tmp_path, SERVICES) as under_test:
        await under_test.start_all(OCOP_ADDRESS_REQUESTS_S=MANY, OCOP_ADDRESS_REQUESTS_AT_ONCE=MANY)
        keys = await enrolled(under_test)
        with closing(Ledger(tmp_path / "ledger")) as book:
            load = Load(6, [gateway.url for gateway in under_test.running("gateway")], keys, book, RATE)
            national, stop = National(under_test, producer), asyncio.Event()
            readers = [Readers(under_test.running("national")[0].url) for _ in range(2)]
            async with asyncio.TaskGroup() as group:
                group.create_task(load.run(stop.is_set))
                for reader in readers:
                    group.create_task(reader.read(stop))
                try:
                    for part in (1, 2):
                        await until(partial(_sent, load, part * 4 * RATE), 60)
                        status, told = await national.ran("rebuild", "national", "--reason", "a test", "--actor", "Lan")
                        assert status == 0, told
                        assert "The rebuilt tables are in use." in told
                    await until(partial(_sent, load, 12 * RATE), 60)
                finally:
                    stop.set()
        assert {status for reader in readers for status in reader.answers} == {200}
        assert sum(reader.answers.total() for reader in readers) > 100
        entries = ledger.read(tmp_path / "ledger")
        under_test.refused = verdict.refused(entries)
        await under_test.settled(90)
        assert await verdict.compare(kafka_topics, under_test.urls, entries) == []


async def _sent(load: Load, events: int) -> bool:
    return load.sent >= events


@pytest.mark.parametrize("beside", [1, -1], ids=["later", "before"])
async def test_what_was_passed_over_stays_so_though_a_copy_of_it_can_be_read(national: National, beside: int) -> None:
    """Its unreadable copy lies in a partition that a rebuild comes to later, or has come to before."""
    said = said_of([*history(), moved("Gạo khác", "2025-08-01")])
    first, second, third = (message for message in said if message.topic == "ocop.registry.product")
    partition = _home(second) + beside
    assert 0 <= partition < 12, "there is one on either side"
    await national.say([first])
    await national.say([numbered(second, 2, b"{}")], partition=partition)
    status, told = await national.ran("dlq", "skip", "national", "1", "--reason", "bản ghi hỏng", "--actor", "Lan")
    assert status == 0, told
    await national.say([second, third])
    rows = await national.rows()
    assert len(rows["product_event"]) == 2
    result = await national.rebuild()
    assert (result.swapped, result.differs) == (True, False)
    assert await national.rows() == rows


async def test_a_dry_run_leaves_the_tables_though_nothing_differs(national: National) -> None:
    await national.say(said_of(history()))
    which = "SELECT oid, relname FROM pg_class WHERE relnamespace = 'public'::regnamespace ORDER BY 1"
    tables = await national.fetch(which)
    result = await national.rebuild(dry_run=True)
    assert (result.swapped, result.differs) == (False, False)
    assert await national.fetch(which) == tables
    assert await national.fetch("SELECT 1 FROM pg_namespace WHERE nspname = 'shadow'") == []
    assert await national.fetch("SELECT what FROM operation") == []


async def test_what_stands_before_a_gap_is_held_by_the_rebuilt_tables_too(national: National) -> None:
    *said, missing, last = said_of([*history(), *(moved(f"Gạo {n}", f"2025-08-0{n}") for n in (1, 2))])
    await national.say([*said, last])
    rows, held = await national.rows(), await national.held()
    assert [row[4:] for row in held] == [(4, "gap")]
    await national.fetch("DELETE FROM held RETURNING 1")  # lost by hand: the topics know what is held
    result = await national.rebuild()
    assert (result.swapped, result.differs, result.held) == (True, False, 1)
    assert await national.rows() == rows
    assert list(map(_held, await national.held())) == list(map(_held, held))
    await national.say([missing])
    assert await national.fetch("SELECT max(sequence) FROM product_event") == [(4,)]


async def test_numbers_that_the_live_tables_lack_are_named(national: National) -> None:
    """Both have read as far; so it is no reader that has still to come there."""
    await national.say(said_of([*history(), moved("Gạo khác", "2025-08-01")]))
    right = await national.rows()
    topic = "ocop.registry.product"
    ((product,),) = await national.fetch(f"UPDATE stream SET applied = 2 WHERE topic = '{topic}' RETURNING subject")  # noqa: S608  # our own
    await national.fetch("DELETE FROM product_event WHERE sequence = 3 RETURNING 1")
    spoilt = await national.rows()
    result = await national.rebuild()
    assert (result.swapped, result.differs, result.further) == (False, True, 0)
    assert result.elsewhere == {(topic, product): Standing(live=2, rebuilt=3)}
    assert await national.rows() == spoilt
    assert (await national.rebuild(accept=True)).swapped
    assert await national.rows() == right


async def test_the_reader_waits_at_its_position_while_tables_are_swapped(national: National) -> None:
    said = said_of([*history(), moved("Gạo khác", "2025-08-01")])
    await national.say(said[:-1])
    rows = await national.rows()
    connection = await database.connect(national.system.databases["national"].owner)
    reading = connection.transaction()
    await reading.start()
    await connection.fetch("SELECT FROM event")  # a reader that does not end keeps it from swapping
    rebuilding = asyncio.create_task(national.rebuild())
    await until(lambda: national.fetch(SWAPPING), 30)
    saying = asyncio.create_task(national.say(said[-1:]))
    waiting = f"SELECT 1 FROM pg_locks WHERE relation = 'position'::regclass AND NOT granted AND {HERE}"  # noqa: S608  # a constant
    try:
        await until(lambda: national.fetch(waiting), 20)
    finally:
        await reading.rollback()
        await connection.close()
        result, _ = await asyncio.gather(rebuilding, saying)
    assert (result.swapped, result.differs, result.further) == (True, False, 0)
    assert len((await national.rows())["product_event"]) == len(rows["product_event"]) + 1
