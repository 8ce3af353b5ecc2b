"""The short form of `make faults`: one link cut under load; and what the faults are made of can break a link."""

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ocop.home import free_port
from servicekit import database, outbox, relay, service
from servicekit.outbox import Outgoing
from servicekit.relay import Relay
from servicekit.settings import Settings
from tests.delivery import proof
from tests.delivery.ledger import Ledger
from tests.engines import Database, Databases
from tests.faults import __main__ as command
from tests.faults import frame
from tests.faults.catalogue import ELSEWHERE, FAULTS
from tests.faults.proxy import Proxy, proxy
from tests.faults.watched import Timed, WatchedLoad
from tests.waiting import until

WAIT_S, MOST_S = 0.3, 10  # for what may not come; for what must


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(1000):
            writer.write(data)
    except ConnectionResetError:
        pass
    finally:
        writer.transport.abort()


@asynccontextmanager
async def _linked() -> AsyncIterator[Proxy]:
    server = await asyncio.start_server(_echo, "127.0.0.1", 0)
    async with server, proxy(free_port(), server.sockets[0].getsockname()[1]) as link:
        yield link
    await asyncio.sleep(0)  # what was ended is told so


async def _heard(reader: asyncio.StreamReader, within_s: float = MOST_S) -> bytes | None:
    """What comes; None if nothing does, b"" if the connection has broken."""
    try:
        async with asyncio.timeout(within_s):
            return await reader.read(1000)
    except TimeoutError:
        return None
    except ConnectionResetError:
        return b""


@pytest.mark.parametrize(("old", "then"), [("late", b"2"), ("broken", b""), ("forgotten", None)])
async def test_a_link_that_is_cut_and_mended(old: str, then: bytes | None) -> None:
    async with _linked() as link:
        reader, writer = await asyncio.open_connection("127.0.0.1", link.port)
        writer.write(b"1")
        assert await _heard(reader) == b"1"
        link.cut()
        writer.write(b"2")
        assert await _heard(reader, WAIT_S) is None
        late_reader, late_writer = await asyncio.open_connection("127.0.0.1", link.port)
        late_writer.write(b"3")
        assert await _heard(late_reader, WAIT_S) is None
        link.mend(old)
        assert await _heard(reader, WAIT_S if then is None else MOST_S) == then
        assert await _heard(late_reader) == b"3", "who came meanwhile is served"
        for each in (writer, late_writer):
            each.transport.abort()


async def test_over_a_link_that_is_cut_nothing_more_goes() -> None:
    async with _linked() as link:
        reader, writer = await asyncio.open_connection("127.0.0.1", link.port)

        async def under_way() -> bool:
            return link.carried == 1

        link.delay(1)
        writer.write(b"1")
        await until(under_way)
        link.cut()
        writer.write(b"2")
        assert await _heard(reader, 1 + WAIT_S) is None
        assert link.carried == 1
        link.mend()
        assert await _heard(reader) == b"1"
        writer.transport.abort()


async def test_a_link_that_loses_answers_or_breaks_or_is_slow() -> None:
    async with _linked() as link:
        reader, writer = await asyncio.open_connection("127.0.0.1", link.port)

        async def lost() -> bool:
            return bool(link._lost)

        link.lose_answers()
        writer.write(b"1")
        await until(lost)
        assert await _heard(reader, WAIT_S) is None
        link.mend()
        assert await _heard(reader) == b"", "the rest would make no sense"
        writer.transport.abort()
        reader, writer = await asyncio.open_connection("127.0.0.1", link.port)
        link.delay(0.2)
        began = time.monotonic()
        writer.write(b"2")
        assert await _heard(reader) == b"2"
        assert time.monotonic() - began >= 0.2
        link.mend()
        link.reset_after(3)
        writer.write(b"12345")
        assert await _heard(reader) == b"123"
        assert await _heard(reader) == b""
        writer.transport.abort()


@asynccontextmanager
async def _registry_behind_a_link(databases: Databases) -> AsyncIterator[tuple[Database, Proxy, str]]:
    """A database of the registry, a link to it, and its URL through the link."""
    made = await databases.make("registry")
    port = frame.port_of(made.app)
    async with proxy(free_port(), int(port)) as link:
        yield made, link, made.app.replace(f":{port}/", f":{link.port}/")


async def test_a_relay_whose_connection_was_lost_without_a_word_leads_again(
    kafka_topics: str, databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay, "LEADER_IDLE_S", 1)
    async with _registry_behind_a_link(databases) as (made, link, url):
        running = asyncio.create_task(Relay("registry", kafka_topics, url).run())
        connection = await database.connect(made.app)

        async def emptied() -> bool:
            return not await connection.fetchval("SELECT count(*) FROM outbox")

        row = Outgoing("ocop.registry.owner", "key", {"ce_id": "1"}, b"1")
        await outbox.put(connection, [row])
        await until(emptied)
        link.cut()
        link.mend("forgotten")
        await outbox.put(connection, [row])
        await until(emptied, 15)
        await connection.close()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_connections_that_the_network_has_forgotten_cost_one_failure_together(
    databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "ANSWER_S", 1)
    async with _registry_behind_a_link(databases) as (_, link, url):
        pool = await database.open_pool(url)
        async with database.acquire(pool), database.acquire(pool), database.acquire(pool):
            pass
        link.cut()
        link.mend("forgotten")
        with pytest.raises(Exception) as failed:  # noqa: PT011  # which one is the point of the next line
            async with database.transaction(pool) as connection:
                await connection.fetchval("SELECT 1")
        assert database.is_outage(failed.value)
        for _ in range(3):
            async with database.transaction(pool) as connection:
                assert await connection.fetchval("SELECT 1") == 1
        pool.terminate()


async def test_readiness_is_answered_while_the_database_is_silent(
    databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "PROBE_S", 0.2)
    async with _registry_behind_a_link(databases) as (_, link, url):
        settings = Settings(kafka_bootstrap="127.0.0.1:1", database_url=url, http_port=free_port())
        running = service.Service("registry", settings)
        async with await database.open_pool(url) as running.pool, asyncio.timeout(10):

            async def answers() -> bool:
                return await running.health.missing() == ["start"]

            await until(answers)
            link.cut()
            for _ in range(3):
                assert await running.health.missing() == ["start", "database: no answer within 0.2 s"]
            link.mend()
            await until(answers)


def test_every_number_is_a_fault_or_said_to_be_proved_elsewhere() -> None:
    assert sorted([*FAULTS, *ELSEWHERE]) == sorted(f"F{n}" for n in range(1, 27))


@pytest.mark.parametrize(
    ("ago", "left", "found"), [(10, 50, []), (70, -10, ["expected: well 60 s after it was mended"])]
)
async def test_the_time_to_be_well_counts_from_the_last_act_of_mending(ago: int, left: int, found: list[str]) -> None:
    given: list[float] = []

    async def healed(seconds: float) -> None:
        given.append(seconds)

    nobody: Any = None
    system: Any = SimpleNamespace(healed=healed)
    stage = frame.Stage(nobody, system, nobody, nobody, Path(), 1, random.Random(1), None)  # noqa: S311  # not secret
    stage.mended_at = time.monotonic() - ago
    took = await frame._well(stage, frame.WELL_S)
    assert took == pytest.approx(ago, abs=1)
    assert given == [pytest.approx(left, abs=1)]
    assert [finding.partition(",")[0] for finding in stage.findings] == found


def test_who_asked_before_the_time_was_over_is_answered_before_it(tmp_path: Path) -> None:
    with closing(Ledger(tmp_path / "ledger")) as book:
        load = WatchedLoad(1, [], {}, book)
    load._tries = [
        Timed(1, 10, 1, "unavailable", "a"),
        Timed(1, 12, 47, "accepted", "b"),  # in time
        Timed(2, 10, 15, "unknown", "a"),
        Timed(2, 58, 5, "duplicate", "b"),  # asked for the second time, and too late
        Timed(3, 58, 4, "accepted", "a"),  # it came shortly before
        Timed(4, 61, 9, "accepted", "a"),  # afterwards
        Timed(5, 30, 15, "unknown", "a"),  # never: the load says so
    ]
    assert load.answered_after(60) == [3]


def test_faults_that_were_left_out_are_no_pass(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "possible", lambda: False)
    monkeypatch.setattr(command, "show", lambda _: None)
    monkeypatch.setattr(proof, "commit", lambda **_: "0123")
    findings: list[str] = []
    monkeypatch.setattr(command, "run", lambda *_: {"findings": findings})

    def ended(faults: str) -> tuple[int, str]:
        monkeypatch.setattr("sys.argv", ["faults", "--seed", "1", "--fault", faults])
        return command.main(), capsys.readouterr().out.splitlines()[-1]

    assert ended("F5") == (0, "1 faults on 0123; findings: none")
    assert ended("F5,F11,F12") == (3, "1 faults on 0123; findings: none; not run: F11, F12")
    findings.append("one")
    assert ended("F5,F11") == (1, "1 faults on 0123; findings: F5 seed 1; not run: F11")


def test_a_fault_is_not_run_on_a_tree_that_has_moved_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(proof, "PROOFS", tmp_path)
    monkeypatch.setattr(proof, "commit", lambda **_: "4567")
    found = command.run(FAULTS["F5"], 1, "0123", None)["findings"]
    assert found == ["the tree was 0123 when this began, and is 4567: this is no result"]


async def test_one_host_is_cut_off_from_postgresql_under_load(tmp_path: Path) -> None:
    result = await frame.play(FAULTS["F5"], 1, tmp_path, seconds=4)
    assert result["findings"] == []
    assert result["answers"]["accepted"] > 0
