"""Operators' commands, as they are typed, on a service's database."""

import asyncio
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from registry.__main__ import DECIDERS

from ocop import databases, oracle, quiet, stack
from ocop.__main__ import ask_oracle
from ocop.errors import OcopError
from servicekit import breaker, database
from servicekit.decider import Deciders
from servicekit.kafka import start_producer
from servicekit.log import opened
from servicekit.message import Message
from servicekit.topic_ids import topic_ids
from tests.engines import Database, Databases
from tests.submissions import Province, owner, owner_updated, product, product_updated
from tests.typed import ocop, refusal, refused, said, typed


async def test_dead_letters_and_what_waits(databases: Databases) -> None:
    made, province = await databases.make("registry"), Province()
    registry = Deciders("registry", DECIDERS)
    assert "Nothing has failed." in await said(made, "dlq", "list", "registry")
    assert "Nothing waits." in await said(made, "waiting", "registry")
    pool = await database.open_pool(made.app)
    bug = province.message(owner("CT-7", id_="bug"))
    async with pool.acquire() as connection, connection.transaction():
        await registry.fail(connection, bug, {"class": "KeyError", "field": "/data/owner", "text": "a bug"})
        await registry.handle(
            connection,
            [
                province.message(owner_updated("CT-7", id_="behind")),
                province.message(product("SP-1", of="CT-9", id_="waits")),
                province.message(product_updated("SP-1", of="CT-9", id_="behind-it")),
            ],
        )
    row = await pool.fetchval("SELECT id FROM held WHERE event_id = 'bug'")

    listed = await said(made, "dlq", "list", "registry")
    assert "vn.ocop.province.owner.registered.v1" in listed
    assert listed.splitlines()[1].split()[1:6] == ["KeyError", "/data/owner", "1", "1", "2025-68"]
    shown = await said(made, "dlq", "show", "registry", str(row))
    assert "ce_id: bug" in shown
    assert "a bug" in shown
    assert "Hợp tác xã thử nghiệm CT-7" in shown, "the bytes, as people read them"
    waiting = await said(made, "waiting", "registry")
    assert waiting.splitlines()[1].split()[:6] == ["owner", "2025-68/CT-9", "product", "1", "1", "2025-68"]
    assert "1 stand behind dead letters" in waiting

    refused = await ocop(made, "dlq", "retry", "registry")
    assert refused.returncode == 1, "retrying everything must be said"
    assert "0 rows" in await said(made, "dlq", "retry", "registry", "--error", "ValueError")
    assert "1 of 1 would pass now." in await said(made, "dlq", "retry", "registry", "--row", str(row), "--dry-run")
    assert "1 rows" in await said(made, "dlq", "retry", "registry", "--row", str(row), "--actor", "Lan")
    assert (await ocop(made, "dlq", "show", "registry", "999999")).returncode == 1
    async with pool.acquire() as connection, connection.transaction():
        await registry.drain(connection, await registry.ready(connection, 500))
    assert await pool.fetchval("SELECT state FROM inbox WHERE event_id = 'behind'") == "applied"
    assert "Nothing has failed." in await said(made, "dlq", "list", "registry")
    assert (await said(made, "operations", "registry")).splitlines()[1].split()[2:4] == ["Lan", "retry"]
    await pool.close()


async def test_what_was_thrown_is_shown_as_it_is(databases: Databases) -> None:
    """Nothing of it is markup, and nothing of it is obeyed by a terminal."""
    made = await databases.make("registry")
    registry = Deciders("registry", DECIDERS)
    headers = (("ce_type", b"[/x]"), ("ce_tenant", b"[#123]\x1b[31m"))
    thrown = Message("ocop.submission.registry", 0, 99, headers, b"\x1b[2J\xc2\x9b1m\r" + b"x" * 10_000 + b"END")
    async with await database.open_pool(made.app) as pool, pool.acquire() as connection, connection.transaction():
        await registry.handle(connection, [thrown])
    listed = await said(made, "dlq", "list", "registry")
    assert "[/x]" in listed
    assert r"[#123]\x1b[31m" in listed
    shown = await said(made, "dlq", "show", "registry", "1")
    assert r"\x1b[2J\x9b1m\r" in shown
    assert "END" not in shown
    assert "--whole" in shown
    whole = await said(made, "dlq", "show", "registry", "1", "--whole")
    assert "xEND" in whole
    await said(made, "dlq", "drop", "registry", "1", "--reason", "[/x] of [#123]")
    done = await said(made, "operations", "registry")
    assert "[/x] of [#123]" in done
    for text in (listed, shown, whole, done):
        assert not any(character in text for character in "\x1b\x9b\r")


async def test_a_retry_says_what_it_leaves_and_why(databases: Databases) -> None:
    made, province = await databases.make("registry"), Province()
    registry = Deciders("registry", DECIDERS)
    async with await database.open_pool(made.app) as pool, pool.acquire() as connection:
        async with connection.transaction():
            await registry.fail(connection, province.message(owner("CT-7")), {"class": "KeyError", "text": "a bug"})
            await registry.handle(
                connection,
                [
                    province.send(owner_updated("CT-7")).message(payload=b"{"),
                    province.message(product("SP-1", of="CT-9")),
                ],
            )
        retry = ("dlq", "retry", "registry")
        left = await said(made, *retry, "--error", "undecodable")
        assert "0 rows will be tried again." in left
        assert "1 stand behind row 1, which is held as failed" in left
        assert "holds no row 99" in await refused(made, *retry, "--row", "99")
        assert "held as waiting" in await refused(made, *retry, "--row", "3")
        assert "1 rows will be tried again." in await said(made, *retry, "--row", "1")
        assert "marked already" in await refused(made, *retry, "--row", "1")
        await connection.execute(
            """INSERT INTO held (reason, error, headers, payload, topic, partition, "offset")
               SELECT 'failed', '{"class": "noise"}'::jsonb, '[]', '', 'ocop.submission.registry', 1, n
               FROM generate_series(1, 1001) n"""
        )
        assert "names no subject" in await refused(made, *retry, "--row", "4")
        tried = await said(made, *retry, "--error", "noise", "--dry-run")
        assert "0 of the first 1000 of 1001 would pass now." in tried


async def test_skipping_and_dropping_want_a_reason(databases: Databases) -> None:
    made, province = await databases.make("registry"), Province()
    registry = Deciders("registry", DECIDERS)
    async with await database.open_pool(made.app) as pool, pool.acquire() as connection, connection.transaction():
        await registry.fail(connection, province.message(owner("CT-7", id_="bug")), {"class": "KeyError"})
        await registry.handle(connection, [Message("ocop.submission.registry", 0, 99, (), b"nobody can read this")])
    bug, garbage = "1", "2"
    assert (await ocop(made, "dlq", "skip", "registry", bug)).returncode != 0
    assert (await ocop(made, "dlq", "skip", "registry", bug, "--reason", " ")).returncode == 1
    assert "drop it" in (await ocop(made, "dlq", "skip", "registry", garbage, "--reason", "noise")).stderr
    await said(made, "dlq", "drop", "registry", garbage, "--reason", "noise", "--actor", "Lan")
    await said(made, "dlq", "skip", "registry", bug, "--reason", "bản ghi thử", "--actor", "Lan")
    assert "Nothing has failed." in await said(made, "dlq", "list", "registry")
    done = await said(made, "operations", "registry")
    assert [line.split()[2:4] for line in done.splitlines()[1:]] == [["Lan", "skip"], ["Lan", "drop"]]
    assert "bản ghi thử" in done


async def test_tenants(databases: Databases) -> None:
    made = await databases.make("gateway")
    key = (
        await said(made, "tenant", "enrol", "2025-80", "--system", "ocop", "--namespaces", "2004-80,2004-72")
    ).strip()
    assert key.startswith("ocop_")
    again = await ocop(made, "tenant", "enrol", "2025-80", "--system", "ocop")
    assert again.returncode == 1
    assert "rotate" in again.stderr
    assert (await said(made, "tenant", "rotate", "2025-80", "--system", "ocop")).strip() != key
    await said(made, "tenant", "suspend", "2025-80", "--actor", "Lan")
    listed = await said(made, "tenant", "list")
    assert "2004-72 2004-80" in listed
    assert key not in listed
    await said(made, "tenant", "reinstate", "2025-80")
    assert (await ocop(made, "tenant", "suspend", "2025-01")).returncode == 1
    assert (await ocop(made, "tenant", "enrol", "2004-80", "--system", "ocop")).returncode == 1
    done = await said(made, "operations", "gateway")
    assert [line.split()[4] for line in done.splitlines()[1:]] == ["reinstate", "suspend", "rotate", "enrol"]
    assert "Lan tenant suspend" in " ".join(done.split())
    assert key not in done


async def test_contacts(databases: Databases) -> None:
    made = await databases.make("notifications")
    await said(made, "notifications", "contact", "2025-80", "ocop@tayninh.example")
    assert "ocop@tayninh.example" in await said(made, "notifications", "contacts")
    of_nobody = [("2025-80", address) for address in ("nobody", "a@b,c@d", "a:b@x.vn")]
    for wrong in (*of_nobody, ("2025-02", "ocop@b.example")):
        assert (await ocop(made, "notifications", "contact", *wrong)).returncode == 1


async def test_a_database_that_is_not_there_is_said_in_a_line(databases: Databases) -> None:
    made = await databases.make("registry")
    nowhere = Database(made.service, made.name, made.owner, "postgresql://127.0.0.1:1/x", made.http, made.superuser)
    done = await ocop(nowhere, "dlq", "list", "registry")
    assert done.returncode == 1
    assert "does not answer" in done.stderr
    assert "Traceback" not in done.stderr


async def test_who_has_set_a_contact_is_on_record(databases: Databases) -> None:
    made = await databases.make("notifications")
    await said(made, "notifications", "contact", "2025-80", "ocop@tayninh.example", "--actor", "Lan")
    done = await said(made, "operations", "notifications")
    assert done.splitlines()[1].split()[2:] == ["Lan", "contact", "tenant=2025-80", "address=ocop@tayninh.example"]


async def test_another_services_database_is_refused(databases: Databases) -> None:
    made = await databases.make("registry")
    assert "not the database of evaluation" in await refused(made, "dlq", "list", "evaluation")
    assert "not the database of national" in await refused(made, "dlq", "skip", "national", "3", "--reason", "x")
    server = Database(made.service, made.name, made.owner, made.superuser.rpartition("/")[0] + "/postgres", "", "")
    assert "not the database of registry" in await refused(server, "dlq", "list", "registry")


async def test_beside_a_service_its_files_of_secrets_are_read(databases: Databases, tmp_path: Path) -> None:
    made = await databases.make("registry")
    url = urlsplit(made.app)
    address = url._replace(netloc=f"{url.username}@{url.hostname}:{url.port}").geturl()
    (tmp_path / "ocop_database_url").write_text(address)
    (tmp_path / "ocop_database_password").write_text(str(url.password))
    done = await typed({"OCOP_SECRETS": str(tmp_path)}, "operations", "registry")
    assert done.returncode == 0, done.stderr
    gone = await typed({"OCOP_SECRETS": str(tmp_path / "gone")}, "operations", "registry")
    assert "is no directory" in refusal(gone)


@pytest.mark.parametrize(
    "url", ["nonsense", "postgresql://127.0.0.1:one/x", "postgresql://nowhere.invalid/x", "postgresql://[::1/x"]
)
async def test_an_address_that_is_none_is_said_in_a_line(url: str) -> None:
    done = await typed({"OCOP_DATABASE_URL": url}, "dlq", "list", "registry")
    assert "database of registry does not answer" in refusal(done) or "not a database's address" in refusal(done)


async def test_without_a_stack_or_with_one_that_is_down_a_line_says_so(tmp_path: Path) -> None:
    here = {"OCOP_HOME": str(tmp_path)}
    commands = (("trace", "x"), ("oracle",), ("consumer", "status", "registry"), ("backfill", "status"))
    for done in await asyncio.gather(*(typed(here, *command) for command in commands)):
        assert "no stack here" in refusal(done)
    (tmp_path / "stack.json").write_text(
        """{"kafka_bootstrap": "127.0.0.1:1", "postgres_url": "postgresql://127.0.0.1:1/x", "passwords": {"x": "x"}}"""
    )
    for done in await asyncio.gather(*(typed(here, *command) for command in commands)):
        assert "not answer" in refusal(done)


def test_the_oracle_judges_nothing_while_something_is_on_its_way(monkeypatch: pytest.MonkeyPatch) -> None:
    async def moving(*_: Any) -> list[str]:
        return ["gateway: 3 rows in the outbox", "national: 5 records not read"]

    monkeypatch.setattr(databases, "memory", dict)
    monkeypatch.setattr(stack, "kafka_bootstrap", str)
    monkeypatch.setattr(stack, "application_urls", dict)
    monkeypatch.setattr(oracle, "wait_until_quiet", moving)
    with pytest.raises(OcopError, match=r"Nothing was judged.*3 rows in the outbox; national: 5 records not read"):
        ask_oracle()


async def test_numbers_that_are_none_of_a_row_are_refused(databases: Databases) -> None:
    made = await databases.make("registry")
    for wrong in (("operations", "registry", "--most", "-1"), ("dlq", "show", "registry", "9" * 20)):
        done = await ocop(made, *wrong)
        assert done.returncode == 2
        assert "Invalid value" in done.stderr


@pytest.mark.parametrize("service", ["national", "notifications"])
async def test_who_says_nothing_on_topics_has_nothing_to_adopt_or_to_say_again(
    databases: Databases, service: str
) -> None:
    made = await databases.make(service)
    for command in ("adopt", "republish"):
        assert f"{service} says nothing on topics" in await refused(made, command, service)


async def test_all_of_a_topic_that_was_made_anew_is_unread(databases: Databases, kafka_topics: str) -> None:
    """A place of the log before says nothing of this one, and one partition does not make up for another."""
    made, topic = await databases.make("national"), "ocop.registry.owner"
    producer = await start_producer(kafka_topics, "test")
    for partition in (0, 0, 1):
        await producer.send_and_wait(topic, b"", partition=partition)
    await producer.stop()
    ids = await topic_ids(kafka_topics, {topic})
    connection = await database.connect(made.app)
    async with opened(kafka_topics, "test") as consumer:
        rows = "INSERT INTO position VALUES ($1, 0, 1000, gen_random_uuid()), ($1, 1, 0, $2)"
        await connection.execute(rows, topic, ids[topic])
        assert await quiet.unread(consumer, connection) == {topic: 3}
        await connection.execute("UPDATE position SET topic_id = $1", ids[topic])
        assert await quiet.unread(consumer, connection) == {topic: 1}
    await connection.close()


async def test_reading_that_was_stopped_is_shown_and_goes_on(databases: Databases, kafka_topics: str) -> None:
    made = await databases.make("national")
    topic = "ocop.registry.owner"
    async with await database.open_pool(made.app) as pool:
        await pool.execute(
            "INSERT INTO position SELECT unnest($1::text[]), 0, 0, gen_random_uuid()", [topic, "ocop.registry.product"]
        )
        await pool.execute("INSERT INTO stopped (topic, reason) VALUES ($1, 'a [/x]')", topic)
        await pool.execute(
            """INSERT INTO skipped (headers, payload, topic, since, actor, reason)
               VALUES ('[]', '', $1, clock_timestamp(), 'Lan', 'noise')""",
            topic,
        )
        done = await ocop(made, "consumer", "status", "national", bootstrap=kafka_topics)
        assert done.returncode == 1, done.stderr
        (line,) = [line.split() for line in done.stdout.splitlines() if line.startswith(topic)]
        assert line[1:7] == ["0", "0", "0", "0", "0", "1"]
        assert line[7] == "stopped"
        assert line[-1] == "[/x]"
        other = await refused(made, "consumer", "resume", "national", "--topic", "ocop.registry.product")
        assert "Nothing is stopped in national of ocop.registry.product" in other
        assert topic in await said(made, "consumer", "resume", "national", "--actor", "Lan")
        async with pool.acquire() as connection:
            assert await breaker.stopped(connection) == {}
        assert "Lan  resume" in await said(made, "operations", "national")
        assert "stopped" not in await said(made, "consumer", "status", "national", bootstrap=kafka_topics)
        await pool.execute("INSERT INTO position VALUES ('ocop.lost', 0, 0, gen_random_uuid())")
        lost = await refused(made, "consumer", "status", "national", bootstrap=kafka_topics)
        assert "Kafka has no topic ocop.lost" in lost
    away = await refused(made, "consumer", "status", "national", bootstrap="127.0.0.1:1")
    assert "Kafka does not answer" in away
    assert "HOST:PORT" in await refused(made, "consumer", "status", "national", bootstrap="nonsense")


async def test_what_was_said_is_said_again_and_adopted(databases: Databases, kafka_topics: str) -> None:
    made, lost = await databases.make("registry"), await databases.make("registry")
    registry = Deciders("registry", DECIDERS)
    connection = await database.connect(made.app)
    async with connection.transaction():
        await registry.handle(connection, [Province().message(owner("CT-1"))])
    await connection.close()
    again = await said(made, "republish", "registry", "--actor", "Lan", bootstrap=kafka_topics)
    assert "ocop.registry.owner: 1 records" in again
    assert "ocop.registry.outcome: 1 records" in again
    done = [line.split() for line in (await said(made, "operations", "registry")).splitlines()[1:]]
    assert [line[2:4] for line in done] == [["Lan", "republished"], ["Lan", "republish"]], "before it begins, and after"
    wrong = await refused(made, "republish", "registry", "--topic", "ocop.evaluation.outcome", bootstrap=kafka_topics)
    assert "is not written by registry" in wrong
    hidden = await refused(lost, "republish", "registry", "--actor", "Lan", bootstrap=kafka_topics)
    assert "set back" in hidden and "`ocop adopt registry` first" in hidden
    for _ in range(2):
        told = await said(lost, "adopt", "registry", "--dry-run", bootstrap=kafka_topics)
        assert "Would adopt: 1 events, 1 outcomes" in told and "Nothing was changed" in told
    adopted = await said(lost, "adopt", "registry", "--actor", "Lan", bootstrap=kafka_topics)
    assert "Adopted: 1 events, 1 outcomes" in adopted
    assert "Lan  adopt" in await said(lost, "operations", "registry")
    assert "Kafka" in await refused(lost, "adopt", "registry", bootstrap="127.0.0.1:1")


async def test_a_republish_that_cannot_send_is_on_record(databases: Databases) -> None:
    made = await databases.make("registry")
    assert "Kafka" in await refused(made, "republish", "registry", "--actor", "Lan", bootstrap="127.0.0.1:1")
    assert "Lan  republish" in await said(made, "operations", "registry")


async def unread(bootstrap: str, group: str, topic: str, records: int) -> None:
    """A group that has read nothing of so many records."""
    producer = await start_producer(bootstrap, "test")
    for _ in range(records):
        await producer.send_and_wait(topic, b"", partition=0)
    await producer.stop()
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, group_id=group, enable_auto_commit=False)
    await consumer.start()
    consumer.assign([TopicPartition(topic, 0)])
    await consumer.commit({TopicPartition(topic, 0): 0})
    await consumer.stop()


async def test_backfill(databases: Databases, kafka_topics: str) -> None:
    made = await databases.make("gateway")
    assert "Nothing is in the backfill lane." in await said(made, "backfill", "status")
    for unknown in ("2004-100", "2004-99", "2025-00"):
        assert "no namespace" in await refused(made, "backfill", "declare", unknown)
    await said(made, "backfill", "declare", "2004-72", "--actor", "Lan")
    assert "already" in await refused(made, "backfill", "declare", "2004-72")
    await unread(kafka_topics, "national", "ocop.registry.owner", 3)
    shown = await said(made, "backfill", "status", bootstrap=kafka_topics)
    assert "2004-72" in shown
    assert "nothing yet" in shown
    assert "furthest behind is national: 3 records" in shown
    assert "Kafka does not answer" in await refused(made, "backfill", "status", bootstrap="127.0.0.1:1")
    await said(made, "backfill", "end", "2004-72", "--actor", "Lan")
    assert "not in the backfill lane" in await refused(made, "backfill", "end", "2004-72")
    done = (await said(made, "operations", "gateway")).splitlines()[1:]
    assert [line.split()[2:4] for line in done] == [["Lan", "backfill-end"], ["Lan", "backfill"]]
