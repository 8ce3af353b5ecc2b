"""Restore drills under load: a database set back, a topic lost; nothing is lost, decided twice or decided otherwise."""

import asyncio
import json
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from aiokafka import AIOKafkaProducer
from gateway import adoption, intake
from gateway.domain import Holder
from gateway.request import Piece
from registry.__main__ import DECIDERS

from contracts.names import namespaces_of
from contracts.topics import TOPICS
from ocop import oracle, postgres, provision
from servicekit import database, log, relay
from servicekit.adopt import Adopted, AdoptError, adopt
from servicekit.database import Connection
from servicekit.decider import Deciders
from servicekit.message import Message
from servicekit.republish import republish
from servicekit.setback import SetBackError, unknown_records
from tests.delivery import ledger, verdict
from tests.delivery.ledger import Ledger
from tests.delivery.load import Load, enrolled
from tests.delivery.system import SERVICES, Process, System, system
from tests.engines import Database, Databases
from tests.submissions import TENANT, Province, owner, owner_updated, product, product_updated, withdrawal
from tests.typed import said
from tests.waiting import until

EVENTS = 150  # of each of the three parts of a drill: before the backup, after it, after the restore
RATE = 60
MANY = 10**9  # more events than any load sends


@dataclass(slots=True)
class Drill:
    """A whole system under a load that goes on while its databases and topics are taken away."""

    system: System
    load: Load
    gateways: list[str]  # where the load goes
    excused: set[str] = field(default_factory=set)  # what the verdict finds, and what the drill is bound to leave
    part: int = 0

    async def backup(self, databases: Databases, service: str) -> str:
        """Kills the service, keeps its database as it is, and starts it again."""
        self.system.running(service)[0].kill()
        saved = await databases.save(self.system.databases[service])
        await self.system.start(service)
        return saved

    async def send(self) -> None:
        """Waits until the load has sent another part."""
        self.part += 1
        await until(self._sent, 60)

    async def _sent(self) -> bool:
        return self.load.sent >= self.part * EVENTS

    async def adopted(self, service: str) -> Adopted:
        """As `ocop adopt` does it."""
        connection = await database.connect(self.system.databases[service].app)
        try:
            async with connection.transaction():
                take = adoption.take if service == "gateway" else None
                return await adopt(connection, self.system.bootstrap, service, take)
        finally:
            await connection.close()

    async def republished(self, service: str) -> dict[str, int]:
        """As `ocop republish` does it."""
        connection = await database.connect(self.system.databases[service].app)
        try:
            return await republish(connection, self.system.bootstrap, service)
        finally:
            await connection.close()

    @asynccontextmanager
    async def paused(self) -> AsyncIterator[None]:
        """The load waits, and all that it has sent has gone its way."""
        began = time.monotonic()
        self.load.burst(-MANY)
        try:
            await self.quiet()
            yield
        finally:
            self.load.burst(MANY - RATE * (time.monotonic() - began))  # as if no time had passed

    async def quiet(self) -> None:
        """Waits until nothing is on its way."""
        assert await oracle.wait_until_quiet(self.system.bootstrap, self.system.urls, 90) == []

    async def figures(self) -> list[Any]:
        """What national answers."""
        url = self.system.running("national")[0].url
        return [(await self.system.client.get(f"{url}{path}", timeout=30)).json() for path in FIGURES]

    async def says_more(self, service: str) -> None:
        """Waits until topics hold events and outcomes of the service that are not in its database's latest backup. What
        it had decided before, and may not have sent by then, is in it."""
        ((decided,),) = await self.system.fetch(service, "SELECT coalesce(max(id), 0) FROM outbox")

        async def sent() -> bool:
            left = f"SELECT count(*) FROM outbox WHERE id <= {decided}"  # noqa: S608  # a number
            return await self.system.fetch(service, left) == [(0,)]

        await until(sent, 60)
        ended_at = "SELECT topic, sum(next_offset)::bigint FROM relayed GROUP BY 1"
        before = dict(await self.system.fetch(service, ended_at))

        async def more() -> bool:
            new = {topic: end - before.get(topic, 0) for topic, end in await self.system.fetch(service, ended_at)}
            outcomes = sum(count for topic, count in new.items() if topic.endswith(".outcome"))
            return bool(sum(new.values()) > outcomes >= 20)

        await until(more, 60)

    async def stands_still(self, service: str) -> None:
        """Starts a service and waits until it says that its database was set back; then stops it. A gateway gets the
        load meanwhile, and takes nothing."""
        process = await start_set_back(self.system, service)
        if service == "gateway":
            self.gateways[:] = [process.url]
            before = self.load.answers["unavailable"]

            async def refused() -> bool:
                return self.load.answers["unavailable"] > before + 20

            await until(refused, 60)
        process.kill()

    async def ask_again(self) -> None:
        """Lets the gateway ask now what it asks after ten minutes: an end that was adopted from an event alone is told
        to whoever asks."""
        open_ = "state IN ('received', 'waiting', 'failed')"
        await self.system.execute("gateway", f"UPDATE submission SET repeat_at = clock_timestamp() WHERE {open_}")  # noqa: S608  # a constant

        async def asked() -> bool:
            due = f"SELECT count(*) FROM submission WHERE {open_} AND repeat_at <= clock_timestamp()"  # noqa: S608  # a constant
            return await self.system.fetch("gateway", due) == [(0,)]

        await until(asked, 60)

    async def final_outcomes(self) -> dict[Any, str]:
        """What each submission id has been told as its end, by the topics' own reader, the gateway."""
        rows = await self.system.fetch(
            "gateway",
            """SELECT submission_id, string_agg(DISTINCT state || coalesce('/' || code, ''), ' ') FROM outcome
               WHERE state IN ('applied', 'rejected', 'withdrawn') AND code IS DISTINCT FROM 'conflict' GROUP BY 1""",
        )
        return dict(rows)


async def start_set_back(under_test: System, service: str) -> Process:
    """Starts a service and waits until it says that its database was set back."""
    process = await under_test.start(service, ready=False)

    async def says() -> bool:
        return any("set back" in each for each in await process.missing())

    await until(lambda: _quietly(says), 30)
    return process


async def _quietly(ask: Any) -> bool:
    try:
        return bool(await ask())
    except Exception:  # it does not listen yet
        return False


@asynccontextmanager
async def drill(bootstrap: str, databases: Databases, directory: Path, seed: int) -> AsyncIterator[Drill]:
    """Two gateways, one of every other service, and a load; at its end all is sent, quiet, and as it was meant."""
    async with system(bootstrap, databases, directory, SERVICES) as under_test:
        await under_test.start_all()
        await under_test.start("gateway")
        keys = await enrolled(under_test)
        gateways = [gateway.url for gateway in under_test.running("gateway")]
        path = directory / "ledger"
        book = Ledger(path)
        load = Load(seed, gateways, keys, book, RATE)
        stop = asyncio.Event()
        running = asyncio.create_task(load.run(stop.is_set))
        made = Drill(under_test, load, gateways)
        try:
            yield made
            await made.send()
        finally:
            stop.set()
            await running
            book.close()
        entries = ledger.read(path)
        under_test.refused = verdict.refused(entries)
        await oracle.wait_until_quiet(bootstrap, under_test.urls, 90)
        await made.ask_again()
        await under_test.settled(90)
        found = [str(each) for each in await verdict.compare(bootstrap, under_test.urls, entries)]
        assert [each for each in found if not any(text in each for text in made.excused)] == []
        assert {end for end in (await made.final_outcomes()).values() if " " in end} == set(), "decided otherwise"


@pytest.mark.parametrize("service", ["registry", "evaluation", "marketplace"])
async def test_a_deciding_service_set_back(
    kafka_topics: str, databases: Databases, tmp_path: Path, service: str
) -> None:
    async with drill(kafka_topics, databases, tmp_path, seed=1) as made:
        under_test, of = made.system, made.system.databases[service]
        await made.send()
        saved = await made.backup(databases, service)
        await made.says_more(service)
        await made.send()
        under_test.running(service)[0].kill()
        events = (await under_test.fetch(service, "SELECT count(*) FROM event"))[0][0]
        ends = await made.final_outcomes()
        await databases.set_back(of, saved)
        await made.stands_still(service)
        assert (await made.adopted(service)).events > 0
        assert (await under_test.fetch(service, "SELECT count(*) FROM event"))[0][0] <= events
        await under_test.start(service)
    after = await made.final_outcomes()
    assert {key: after.get(key) for key in ends} == ends


async def test_a_service_restored_from_a_dump_that_was_taken_under_load(
    kafka_topics: str, databases: Databases, tmp_path: Path
) -> None:
    """As `docs/operations.md` says it; nothing is stopped for the dump."""
    async with drill(kafka_topics, databases, tmp_path, seed=6) as made:
        under_test, of = made.system, made.system.databases["registry"]
        server, name = of.superuser.rsplit("/", 1)
        file = str(tmp_path / "registry.dump")
        await made.send()
        await _postgres("pg_dump", "--format=custom", f"--file={file}", of.superuser)
        await made.says_more("registry")
        await made.send()
        under_test.running("registry")[0].kill()
        ends = await made.final_outcomes()
        await _postgres("dropdb", "--force", f"--maintenance-db={server}/postgres", name)
        await _postgres("pg_restore", "--exit-on-error", "--create", f"--dbname={server}/postgres", file)
        await made.stands_still("registry")
        assert (await made.adopted("registry")).events > 0
        await under_test.start("registry")
    after = await made.final_outcomes()
    assert {key: after.get(key) for key in ends} == ends


async def _postgres(program: str, *arguments: str) -> None:
    process = await asyncio.create_subprocess_exec(postgres.binary(program), *arguments)
    assert await process.wait() == 0


async def test_the_gateway_set_back(kafka_topics: str, databases: Databases, tmp_path: Path) -> None:
    """What it had accepted and not yet sent on is gone with the database; so the drill lets its outbox run empty."""
    async with drill(kafka_topics, databases, tmp_path, seed=2) as made:
        under_test, of = made.system, made.system.databases["gateway"]
        await made.send()
        for gateway in under_test.running("gateway"):
            gateway.kill()
        saved = await databases.save(of)
        await _start_gateways(made)
        await made.send()
        for gateway in under_test.running("gateway"):
            gateway.kill()
        unknown = await under_test.start("gateway")  # the load does not know it
        await until(lambda: _empty(under_test), 30)
        unknown.kill()
        answered = await under_test.fetch("gateway", "SELECT id, source, event_id, digest FROM submission ORDER BY 1")
        await databases.set_back(of, saved)
        await made.stands_still("gateway")
        assert (await made.adopted("gateway")).submissions > 0
        made.excused.add("in bytes that were not accepted")  # they were put together anew
        again = await under_test.fetch("gateway", "SELECT id, source, event_id, digest FROM submission ORDER BY 1")
        assert again == answered, "what was answered for has the id that was answered"
        await _start_gateways(made)


async def test_a_gateway_that_was_set_back_takes_nothing_until_it_has_adopted(
    kafka_topics: str, databases: Databases, tmp_path: Path
) -> None:
    """What it accepted in the lost hour would be accepted again, and its receipt would be one of nothing."""
    async with system(kafka_topics, databases, tmp_path, ["gateway", "registry"]) as under_test:
        made = under_test.databases["gateway"]
        saved = await databases.save(made)
        await under_test.start("registry")
        gateway = await under_test.start("gateway")
        key = {"Authorization": f"Bearer {await under_test.key('2025-68', 'test')}"}
        (first,) = await under_test.submit([owner("CT-1", id_="e1")])
        await under_test.settled()
        gateway.kill()
        await databases.set_back(made, saved)
        gateway = await start_set_back(under_test, "gateway")
        receipt = f"/v1/submissions/{first['submission_id']}"
        for answer in (
            await under_test.post([owner("CT-1", id_="e1")]),
            await under_test.client.get(gateway.url + receipt, headers=key),
        ):
            assert (answer.status_code, answer.json()["code"]) == (503, "busy")
            assert answer.headers["Retry-After"].isdigit()
        gateway.kill()
        connection = await database.connect(made.app)
        async with connection.transaction():
            assert (await adopt(connection, kafka_topics, "gateway", adoption.take)).submissions == 1
        await connection.close()
        under_test.keys.clear()  # that of the lost hour is lost with it
        gateway = await under_test.start("gateway")
        (again,) = await under_test.submit([owner("CT-1", id_="e1")])
        assert (again["status"], again["submission_id"]) == ("duplicate", first["submission_id"])
        await under_test.settled()


async def _start_gateways(made: Drill) -> None:
    started = [await made.system.start("gateway") for _ in range(2)]
    made.gateways[:] = [gateway.url for gateway in started]


async def _empty(under_test: System) -> bool:
    return (await under_test.fetch("gateway", "SELECT count(*) FROM outbox")) == [(0,)]


@pytest.mark.parametrize("service", ["national", "notifications"])
async def test_a_reading_service_set_back_reads_again(
    kafka_topics: str, databases: Databases, tmp_path: Path, service: str
) -> None:
    async with drill(kafka_topics, databases, tmp_path, seed=3) as made:
        under_test, of = made.system, made.system.databases[service]
        await made.send()
        saved = await made.backup(databases, service)
        await made.send()
        under_test.running(service)[0].kill()
        await databases.set_back(of, saved)
        await under_test.start(service)


NOT_AGAIN = "is on no topic as it was accepted"  # of submissions, what had its end is not said again
KINDS = {
    "submission": [topic.name for topic in TOPICS.values() if topic.kind == "submission"],
    "domain": [topic.name for topic in TOPICS.values() if topic.kind == "domain"],
    "outcome": [topic.name for topic in TOPICS.values() if topic.kind == "outcome"],
    "every": list(TOPICS),
}


@pytest.mark.parametrize("kind", KINDS)
async def test_topics_lost(kafka_topics: str, databases: Databases, tmp_path: Path, kind: str) -> None:
    """Their readers run through it; those who write them are stopped until all that was on them has been said again."""
    async with drill(kafka_topics, databases, tmp_path, seed=4) as made:
        await made.send()
        await until(lambda: _said_on(made.system, KINDS[kind]), 60)
        await provision.remove_topics(kafka_topics, KINDS[kind])
        writers = sorted({TOPICS[name].service for name in KINDS[kind]})
        for writer in writers:
            for process in made.system.running(writer):
                process.kill()
        await provision.topics(kafka_topics, TOPICS.values())
        said = await asyncio.gather(*(made.republished(writer) for writer in writers))
        assert {name for counts in said for name, count in counts.items() if count} >= set(KINDS[kind])
        for writer in writers:
            await (_start_gateways(made) if writer == "gateway" else made.system.start(writer))
        if kind in ("submission", "every"):
            made.excused.add(NOT_AGAIN)


async def _said_on(under_test: System, topics: Iterable[str]) -> bool:
    """Whether something has been said on each."""
    said = "SELECT count(*) FROM relayed WHERE topic = $1 AND next_offset > 0"
    return all([await under_test.fetch(TOPICS[name].service, said, name) != [(0,)] for name in topics])


FIGURES = (
    "/v1/figures/products?by=province,stars",
    "/v1/figures/owners?by=owner_kind",
    "/v1/figures/recognitions?by=year",
    "/v1/figures/online?by=platform",
)


async def test_figures_are_as_they_were_when_all_topics_have_been_lost(
    kafka_topics: str, databases: Databases, tmp_path: Path
) -> None:
    """As `docs/operations.md` says it: all writers are stopped, their topics are made and said again, all start."""
    async with drill(kafka_topics, databases, tmp_path, seed=5) as made:
        under_test = made.system
        await made.send()
        async with made.paused():
            figures = await made.figures()
            assert any(cell["count"] for answer in figures for cell in answer["cells"])
            lost = await under_test.fetch("national", "SELECT array_agg(DISTINCT topic_id) FROM position")
            await provision.remove_topics(kafka_topics, TOPICS)
            writers = sorted({topic.service for topic in TOPICS.values()})
            for writer in writers:
                for process in under_test.running(writer):
                    process.kill()
            for writer in writers:
                said_again = await said(under_test.databases[writer], "republish", writer, bootstrap=kafka_topics)
                assert all(topic.name in said_again for topic in TOPICS.values() if topic.service == writer)
            for writer in writers:
                await (_start_gateways(made) if writer == "gateway" else under_test.start(writer))

            async def read_anew() -> bool:
                old = "SELECT count(*) FROM position WHERE topic_id = ANY($1::uuid[])"
                return await under_test.fetch("national", old, lost[0][0]) == [(0,)]

            await until(read_anew, 60)
            await made.quiet()
            assert await made.figures() == figures
        made.excused.add(NOT_AGAIN)


async def test_a_service_that_is_up_is_not_adopted(kafka_topics: str, databases: Databases, tmp_path: Path) -> None:
    async with system(kafka_topics, databases, tmp_path, ["gateway", "registry"]) as under_test:
        await under_test.start("registry")
        connection = await database.connect(under_test.databases["registry"].app)
        with pytest.raises(AdoptError, match="is up"):
            await adopt(connection, kafka_topics, "registry")
        await connection.close()


async def test_an_outcome_whose_event_never_came_to_its_topic_is_decided_again(
    kafka_topics: str, databases: Databases, producer: AIOKafkaProducer
) -> None:
    """The relay sends many rows at once; killed among them, it may have sent an outcome without its event."""
    lost, set_back = await databases.make("registry"), await databases.make("registry")
    registry, message = Deciders("registry", DECIDERS), Province().message(owner("CT-1", id_="o1"))
    connection = await database.connect(lost.app)
    async with connection.transaction():
        await registry.handle(connection, [message])
    rows = await connection.fetch("SELECT * FROM outbox WHERE topic = 'ocop.registry.outcome'")
    for row in rows:
        headers = [(name, value.encode()) for name, value in row["headers"].items()]
        await producer.send_and_wait(row["topic"], row["payload"], row["key"].encode(), headers=headers)
    (made,) = await connection.fetch("SELECT id, sequence, payload FROM event")
    await connection.close()

    connection = await database.connect(set_back.app)
    async with connection.transaction():
        assert (await adopt(connection, kafka_topics, "registry")).outcomes == 1
    assert await connection.fetchval("SELECT state FROM inbox") == "said", "not the end: its event is nowhere"
    async with connection.transaction():
        await registry.handle(connection, [message])
    assert await connection.fetch("SELECT id, sequence, payload FROM event") == [made]
    assert tuple(await connection.fetchrow("SELECT state, outcome_seq FROM inbox") or ()) == ("applied", 2)
    await connection.close()


REGISTRY = Deciders("registry", DECIDERS)
EVENTS_OF, ENDS_OF = "ocop.registry.owner", "ocop.registry.outcome"


async def decide(connection: Connection, *submissions: dict[str, Any]) -> None:
    """The registry takes these, and whatever they have made ready."""
    await take(connection, *(Province().message(each) for each in submissions))


async def take(connection: Connection, *messages: Message) -> None:
    """The registry takes these records, and whatever they have made ready."""
    async with connection.transaction():
        await REGISTRY.handle(connection, messages)
    async with connection.transaction():
        await REGISTRY.drain(connection, await REGISTRY.ready(connection, 500))


def outcome_of(row: asyncpg.Record) -> tuple[str, int, str]:
    """Of which event it tells, under which number, and what; of a domain event nothing."""
    said = json.loads(row["payload"])
    return (said.get("event_id", ""), int(row["headers"]["ce_subjectsequence"]), said.get("state", ""))


async def to_say(connection: Connection, where: str = "true") -> list[asyncpg.Record]:
    """Rows of its outbox, in order."""
    return await connection.fetch(f"SELECT * FROM outbox WHERE {where} ORDER BY id")  # noqa: S608  # our own


async def known(connection: Connection) -> dict[str, list[tuple[Any, ...]]]:
    """All that a deciding service has said, as it knows it."""
    columns = {
        "event": "aggregate, subject, sequence, id, type, recorded_at, cause, headers, payload",
        "inbox": "source, event_id, state, code, pointer, params, event_ids, outcome_seq",
        "subject": "aggregate, id, last_sequence, last_recorded",
        "owner": "*",
        "product": "*",
    }
    return {
        table: [tuple(row) for row in await connection.fetch(f"SELECT {names} FROM {table} ORDER BY 1, 2, 3")]  # noqa: S608  # our own
        for table, names in columns.items()
    }


async def adopted_from(
    saved: str, made: Database, databases: Databases, bootstrap: str
) -> "asyncpg.Connection[asyncpg.Record]":
    """Sets the registry's database back and adopts what it has said since; a connection, and nothing to send."""
    await databases.set_back(made, saved)
    connection = await database.connect(made.app)
    async with connection.transaction():
        await adopt(connection, bootstrap, "registry")
    await connection.execute("DELETE FROM outbox")
    return connection


async def unknown(made: Database, bootstrap: str) -> set[str]:
    """The topics on which lies what the service has said and does not know."""
    async with await database.open_pool(made.app) as pool, pool.acquire() as connection:
        return {place.partition("/")[0] for place in await unknown_records(connection, bootstrap, made.service.wire)}


async def test_what_was_said_is_known_again_as_it_was_said(
    kafka_topics: str, databases: Databases, producer: AIOKafkaProducer
) -> None:
    """Events, states, numbers and ends; what was held and has had its end is held no more."""
    made = await databases.make("registry")
    connection = await database.connect(made.app)
    await decide(connection, product("SP-1", "CT-1", id_="waits"), product_updated("SP-1", "CT-1", id_="behind"))
    await connection.close()
    saved = await databases.save(made)

    connection = await database.connect(made.app)
    await decide(connection, owner("CT-1", id_="o1"), owner("CT-1", id_="again"), owner_updated("CT-1", id_="o2"))
    said = await to_say(connection)
    await relay.send(producer, said)
    right = await known(connection)
    assert [row[2] for row in right["event"]] == [1, 2, 1, 2]
    assert await connection.fetchval("SELECT count(*) FROM held") == 0
    await connection.close()

    await databases.set_back(made, saved)
    assert await unknown(made, kafka_topics) == {row["topic"] for row in said}
    connection = await database.connect(made.app)
    async with connection.transaction():
        found = await adopt(connection, kafka_topics, "registry")
    assert (found.events, found.finished) == (4, 2)
    assert await known(connection) == right
    assert await connection.fetchval("SELECT count(*) FROM held") == 0
    assert await connection.fetchval("SELECT sum(next_offset) FROM relayed") == len(said)
    await connection.close()
    assert await unknown(made, kafka_topics) == set()


async def test_an_end_that_only_its_event_tells_of_gets_a_number_of_its_own(
    kafka_topics: str, databases: Databases, producer: AIOKafkaProducer
) -> None:
    """Its sender was told before that it waits, or failed; whoever hears both must take the end for news."""
    made, province = await databases.make("registry"), Province()
    early, late = [province.message(product(f"SP-{name}", "CT-1", id_=name)) for name in ("early", "late")]
    connection = await database.connect(made.app)
    await take(connection, early)
    waits = await to_say(connection)
    await connection.close()
    saved = await databases.save(made)

    connection = await database.connect(made.app)
    async with connection.transaction():
        await connection.execute("UPDATE held SET ready = true")
        (head,) = await REGISTRY.ready(connection, 500)
        await REGISTRY.fail_head(connection, head, {"class": "KeyError", "text": "a bug"})
    await take(connection, late)
    await connection.execute("UPDATE held SET ready = true WHERE reason = 'failed'")
    await take(connection, province.message(owner("CT-1", id_="owner")))
    rows = await to_say(connection)
    unsaid = {("early", 3, "applied"), ("late", 2, "applied")}
    said = [row for row in rows if outcome_of(row) not in unsaid]
    assert len(said) == len(rows) - len(unsaid) > len(waits)
    await relay.send(producer, said)
    await connection.close()

    connection = await adopted_from(saved, made, databases, kafka_topics)
    await take(connection, late, early)  # read again, and sent again by the gateway
    assert {outcome_of(row) for row in await to_say(connection)} == unsaid
    await connection.close()


@pytest.mark.parametrize("heard", ["target", "withdrawal"])
async def test_a_withdrawal_and_its_target_end_as_either_was_told(
    kafka_topics: str, databases: Databases, producer: AIOKafkaProducer, heard: str
) -> None:
    """Their outcomes lie in several partitions; one may have been sent without the other."""
    made, province = await databases.make("registry"), Province()
    early, late = [province.message(product(f"SP-{name}", "CT-1", id_=name)) for name in ("early", "late")]
    words = [province.message(withdrawal(name, id_=f"{name}'s")) for name in ("early", "late")]
    connection = await database.connect(made.app)
    await take(connection, early)
    await connection.close()
    saved = await databases.save(made)

    connection = await database.connect(made.app)
    await take(connection, late, *words)
    rows = await to_say(connection)
    ends = {row["id"]: outcome_of(row) for row in rows if outcome_of(row)[2] in ("withdrawn", "applied")}
    assert sorted(ends.values()) == [
        ("early", 2, "withdrawn"),
        ("early's", 1, "applied"),
        ("late", 2, "withdrawn"),
        ("late's", 1, "applied"),
    ]
    unsaid = {id_: end for id_, end in ends.items() if (end[2] == "withdrawn") != (heard == "target")}
    await relay.send(producer, [row for row in rows if row["id"] not in unsaid])
    await connection.close()

    connection = await adopted_from(saved, made, databases, kafka_topics)
    await take(connection, province.message(owner("CT-1", id_="owner")))  # its partition is faster this time
    await take(connection, early, late, *words)
    again = {outcome_of(row) for row in await to_say(connection, f"topic = '{ENDS_OF}'")}
    assert again == {*ends.values(), ("owner", 1, "applied")}
    assert await connection.fetchval("SELECT count(*) FROM event") == 1
    await connection.close()


async def test_an_end_that_only_its_event_tells_of_can_be_said_again_at_once(
    kafka_topics: str, databases: Databases, producer: AIOKafkaProducer
) -> None:
    """Its tenant, to whom it is said, is the event's."""
    lost, set_back = await databases.make("registry"), await databases.make("registry")
    connection = await database.connect(lost.app)
    await decide(connection, owner("CT-1", id_="o1"))
    await relay.send(producer, await to_say(connection, f"topic = '{EVENTS_OF}'"))
    await connection.close()

    connection = await database.connect(set_back.app)
    async with connection.transaction():
        await adopt(connection, kafka_topics, "registry")
    assert await connection.fetchval("SELECT tenant FROM inbox") == TENANT
    assert await republish(connection, kafka_topics, "registry", ENDS_OF) == {ENDS_OF: 1}
    await connection.close()


async def test_what_the_gateway_has_answered_for_is_there_again_as_it_was_answered(
    kafka_topics: str, databases: Databases, producer: AIOKafkaProducer
) -> None:
    made = await databases.make("gateway")
    saved = await databases.save(made)
    values = [owner("CT-1", id_="o"), product("SP-1", "CT-9", id_="p"), withdrawal("p", id_="w")]
    pieces = [Piece(json.dumps(value).encode(), value) for value in values]
    holder = Holder(TENANT, "test", namespaces_of(TENANT))
    async with await database.open_pool(made.http) as pool:
        answers = await intake.take(pool, holder, pieces, repeat_after_s=600)
    assert [answer.status for answer in answers] == ["accepted"] * 3
    connection = await database.connect(made.app)
    await relay.send(producer, await to_say(connection))
    answered = await taken(connection)
    assert [row[0] for row in answered] == sorted(str(answer.submission_id) for answer in answers)
    await connection.close()

    await databases.set_back(made, saved)
    connection = await database.connect(made.app)
    async with connection.transaction():
        assert (await adopt(connection, kafka_topics, "gateway", adoption.take)).submissions == 3
    assert await taken(connection) == answered
    await connection.close()


async def taken(connection: Connection) -> list[tuple[Any, ...]]:
    """What the gateway has, with what each event's body says."""
    rows = await connection.fetch(
        """SELECT id::text, tenant, source, event_id, namespace, type, subject, subject_ref, service, digest,
                  convert_from(body, 'UTF8')::jsonb -> 'data' AS data, headers, payload, received_at
           FROM submission ORDER BY id"""
    )
    return [tuple(row) for row in rows]


async def test_a_number_that_is_missing_on_a_topic_is_not_passed_over(
    kafka_topics: str, databases: Databases, producer: AIOKafkaProducer
) -> None:
    lost, set_back = await databases.make("registry"), await databases.make("registry")
    connection = await database.connect(lost.app)
    await decide(connection, owner("CT-1"), owner_updated("CT-1"))
    said = await to_say(connection)
    await relay.send(producer, [row for row in said if row["headers"].get("ce_subjectsequence") == "2"])
    await connection.close()

    connection = await database.connect(set_back.app)
    with pytest.raises(AdoptError, match=r"is number 2 of .*, which is at 0"):
        async with connection.transaction():
            await adopt(connection, kafka_topics, "registry")
    assert {table: rows for table, rows in (await known(connection)).items() if rows} == {}
    await connection.close()


async def test_what_is_not_known_is_found_on_each_kind_of_topic(
    kafka_topics: str, databases: Databases, producer: AIOKafkaProducer
) -> None:
    knows, registry, gateway = [await databases.make(name) for name in ("registry", "registry", "gateway")]
    connection = await database.connect(knows.app)
    await decide(connection, owner("CT-1"))
    await relay.send(producer, await to_say(connection))
    await connection.close()
    sent = Province().send(owner("CT-1"))
    headers = [(name, value.encode()) for name, value in sent.headers.items()]
    await producer.send_and_wait("ocop.submission.registry", sent.payload, str(sent.subject).encode(), headers=headers)
    assert await unknown(knows, kafka_topics) == set()
    assert await unknown(registry, kafka_topics) == {EVENTS_OF, ENDS_OF}
    assert await unknown(gateway, kafka_topics) == {"ocop.submission.registry"}


async def test_what_is_said_again_is_what_was_said(kafka_topics: str, databases: Databases) -> None:
    """Of the topic that was asked for, in the order of each subject's numbers, in the same bytes."""
    connection = await database.connect((await databases.make("registry")).app)
    await decide(connection, owner("CT-1"), owner("CT-2"), product("SP-1", "CT-1"))
    for day in range(1, 4):
        await decide(connection, owner_updated("CT-1", on=f"2025-09-0{day}"))
    said = await to_say(connection, f"topic = '{EVENTS_OF}'")
    assert await republish(connection, kafka_topics, "registry", EVENTS_OF) == {EVENTS_OF: 5}
    leads = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted AND pid = pg_backend_pid()"
    assert await connection.fetchval(leads) == 1, "in the relay's place"
    await connection.close()

    topics = [topic.name for topic in TOPICS.values() if topic.service == "registry"]
    async with log.opened(kafka_topics, "test") as consumer:
        starts, ends = await log.limits(consumer, topics)
        found = [record async for records in log.records(consumer, starts, ends, 500) for record in records]
    again = [
        (
            record.topic,
            (record.key or b"").decode(),
            {name: value.decode() for name, value in record.headers},
            record.value,
        )
        for record in found
    ]
    first = [(row["topic"], row["key"], row["headers"], row["payload"]) for row in said]
    assert _by_key(again) == _by_key(first)


async def test_who_does_not_know_what_it_has_said_says_nothing_again(
    kafka_topics: str, databases: Databases, producer: AIOKafkaProducer
) -> None:
    """What it says would be confirmed behind what it does not know, and hide that."""
    made = await databases.make("registry")
    connection = await database.connect(made.app)
    await decide(connection, owner("CT-1"))
    await connection.close()
    saved = await databases.save(made)
    connection = await database.connect(made.app)
    await decide(connection, owner("CT-2"))
    await relay.send(producer, await to_say(connection, f"topic = '{EVENTS_OF}'"))
    await connection.close()

    await databases.set_back(made, saved)
    connection = await database.connect(made.app)
    with pytest.raises(SetBackError, match=r"does not know ocop\.registry\.owner/"):
        await republish(connection, kafka_topics, "registry")
    assert await connection.fetchval("SELECT count(*) FROM relayed") == 0
    assert await unknown(made, kafka_topics) == {EVENTS_OF}
    async with connection.transaction():
        await adopt(connection, kafka_topics, "registry")
    assert (await republish(connection, kafka_topics, "registry"))[EVENTS_OF] == 2
    await connection.close()


async def test_a_lost_topic_is_made_in_the_relays_place(kafka_topics: str, databases: Databases) -> None:
    """The leader would begin it with what is youngest."""
    connection = await database.connect((await databases.make("registry")).app)
    await decide(connection, owner("CT-1"))
    leads = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted AND pid = pg_backend_pid()"
    led: list[int] = []

    async def make() -> None:
        led.append(await connection.fetchval(leads))

    await republish(connection, kafka_topics, "registry", EVENTS_OF, make=make)
    assert led == [1]
    await connection.close()


def _by_key(records: Iterable[tuple[Any, ...]]) -> dict[str, list[tuple[Any, ...]]]:
    """In the order of each key, which is all that a topic keeps."""
    found = defaultdict(list)
    for record in records:
        found[record[1]].append(record)
    return dict(found)
