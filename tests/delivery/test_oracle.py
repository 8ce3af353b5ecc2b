"""The oracle sees what it is there to see: each planted break is found, and named by its rule."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from aiokafka.errors import OffsetOutOfRangeError
from national.projections import PROJECTIONS

from contracts.topics import TOPICS
from ocop import oracle
from ocop.handlers import handlers
from ocop.services import SERVICES as REGISTERED
from ocop.trace import trace
from servicekit import database, log
from servicekit.kafka import start_producer
from servicekit.message import decode, to_json
from servicekit.projector import Event
from servicekit.skip import skip
from tests.acts import recognised, revoked
from tests.delivery.system import System, system
from tests.delivery.test_spine import families
from tests.engines import Databases
from tests.submissions import owner, product


@pytest.fixture
async def quiet(kafka_topics: str, databases: Databases, tmp_path: Path) -> AsyncIterator[System]:
    """Ten families were applied, one recognition revoked, one product came late, one waits, one owner was rejected.

    Nothing runs any more.
    """
    services = ["gateway", "registry", "evaluation", "notifications", "national"]
    async with system(kafka_topics, databases, tmp_path, services) as under_test:
        for service in services:
            await under_test.start(service)
        await under_test.submit([*families(10), product("SP-X", of="CT-X", id_="waits"), owner("CT-1", id_="again")])
        await under_test.submit(
            [recognised("1", id_="r1"), revoked("1", id_="rr1"), product("SP-L", "CT-L", id_="late")]
        )
        await under_test.settled()  # else the owner's partition may be read before the late one's
        await under_test.submit([owner("CT-L", id_="ol")])
        await under_test.settled()
        for process in under_test.processes:
            process.kill()
        yield under_test


LATE = ("/provinces/2025-68/test", "late")
WAITS = ("/provinces/2025-68/test", "waits")
HELD = (
    """INSERT INTO held (queue, subject, n, reason, source, event_id, headers, payload, topic, partition, "offset")"""
)
# What a reader of the recognitions puts aside when it stands at 1: of which number, and as what.
STANDS = f"""UPDATE stream SET applied = 1 WHERE applied = 2;
    {HELD} SELECT topic, subject, %s, '%s', NULL, NULL, '[]', '', topic, 0, 1000000 FROM stream"""  # noqa: S608  # from above

# An outcome that says so of a delivery's cause, put aside by notifications: held, or passed over.
SAYS = "convert_to(json_build_object('submission_id', cause, 'state', '%s')::text, 'UTF8')"
ASIDE = f"""{HELD} SELECT topic, cause, NULL, 'failed', 'x', 'y', '[]', {SAYS}, topic, 0,
           1000000 + row_number() OVER () FROM (SELECT 'ocop.registry.outcome' AS topic, cause FROM %s) d"""  # noqa: S608  # from above
OVER = f"""INSERT INTO skipped (queue, subject, source, event_id, headers, payload, topic, since, actor, reason)
    SELECT topic, cause, 'x', 'y', '{{}}', {SAYS}, topic, now(), 'test', 'test'
    FROM (SELECT 'ocop.registry.outcome' AS topic, cause FROM %s) d"""  # noqa: S608  # from above
UNSENT = "DELETE FROM delivery WHERE rule = 'rejected'"

# Accepted beside the others: fed by the backfill lane at that moment, or still in it.
IN_LANE = """INSERT INTO submission (id, tenant, source, event_id, namespace, type, subject, subject_ref, service,
                                     digest, body, headers, payload, received_at, repeat_at, state, fed_at)
    SELECT gen_random_uuid(), tenant, source, 'in-lane', namespace, type, subject, subject_ref, service, digest,
           body, headers, payload, received_at, repeat_at, 'received', '%s' FROM submission WHERE event_id = 'o3'"""

# What is done to a database as its owner, and the beginning of what the oracle must say.
BREAKS: list[tuple[str, str, str]] = [
    (
        "registry",
        "DELETE FROM inbox WHERE event_id = 'o3'",
        "O1 registry: ('/provinces/2025-68/test', 'o3') was accepted",
    ),
    ("gateway", "UPDATE submission SET state = 'waiting' WHERE event_id = 'o3'", "O1 registry"),
    ("registry", "UPDATE inbox SET state = 'waiting' WHERE event_id = 'o3'", "O1 registry"),
    ("registry", "DELETE FROM held WHERE event_id = 'waits'", "O1 registry"),
    ("gateway", "DELETE FROM submission WHERE event_id = 'o3'", "O1 registry"),
    (
        "registry",
        "UPDATE held SET payload = payload || ' ' WHERE event_id = 'waits'",
        f"O1 registry: {WAITS} is held otherwise than it was accepted",
    ),
    (
        "registry",
        "UPDATE held SET reason = 'behind' WHERE event_id = 'waits'",
        f"O1 registry: {WAITS} stands behind nothing",
    ),
    ("registry", "UPDATE inbox SET event_ids = '{}' WHERE event_id = 'o3'", "O1 registry: event"),
    (
        "registry",
        "UPDATE inbox SET event_ids = '{}' WHERE event_id = 'o3'",
        "O1 registry: ('/provinces/2025-68/test', 'o3') is applied and has made 0 events",
    ),
    ("registry", "UPDATE inbox SET event_ids[2] = gen_random_uuid() WHERE event_id = 'o3'", "O1 registry: ('/prov"),
    (
        "registry",
        "UPDATE inbox SET submission_id = gen_random_uuid() WHERE event_id = 'o3'",
        "O1 registry: ('/provinces/2025-68/test', 'o3') has made",
    ),
    (
        "gateway",
        "UPDATE outcome SET pointer = '/x' WHERE event_id = 'again'",
        "O1 registry: ('/provinces/2025-68/test', 'again') is rejected for 'already-registered /data/owner', the gate",
    ),
    ("registry", "UPDATE subject SET last_sequence = last_sequence + 1 WHERE last_sequence = 2", "O2 registry: owner"),
    ("registry", "DELETE FROM event WHERE sequence = 1 AND subject = (SELECT min(id::text)::uuid FROM owner)", "O2"),
    ("registry", "UPDATE event SET payload = '{}' WHERE sequence = 1", "O2"),
    ("registry", 'UPDATE event SET headers = headers || \'{"ce_time":"x"}\' WHERE sequence = 2', "O2"),
    ("registry", "UPDATE inbox SET outcome_seq = outcome_seq + 1 WHERE event_id = 'o3'", "O2"),
    ("registry", "UPDATE inbox SET code = 'x' WHERE event_id = 'again'", "O2 ocop.registry.outcome"),
    (
        "gateway",
        "UPDATE submission SET headers = headers || '{\"ce_time\":\"x\"}' WHERE event_id = 'o3'",
        "O2 ocop.submission.registry",
    ),
    ("national", "UPDATE stream SET applied = 1 WHERE topic = 'ocop.registry.owner'", "O3 national"),
    ("national", "DELETE FROM stream WHERE topic = 'ocop.registry.product'", "O3 national"),
    ("national", "DELETE FROM owner_event WHERE sequence = 2", "O3 national"),
    (
        "notifications",
        "UPDATE stream SET applied = 1 WHERE applied = 2",
        "O3 notifications: ocop.evaluation.recognition",
    ),
    ("notifications", STANDS % (3, "gap"), "O3 notifications: ocop.evaluation.recognition"),
    ("notifications", STANDS % (3, "failed"), "O3 notifications: ocop.evaluation.recognition"),
    ("notifications", STANDS % (2, "behind"), "O3 notifications: ocop.evaluation.recognition"),
    ("notifications", "UPDATE stream SET applied = 3 WHERE applied = 2", "O3 notifications: ocop.evaluation.recog"),
    ("notifications", "DELETE FROM delivery WHERE rule = 'rejected'", "O3 notifications"),
    (
        "notifications",
        f"""{HELD} VALUES (NULL, NULL, NULL, 'failed', NULL, NULL, '[]', '', 'ocop.evaluation.recognition', 0, 1000000);
            DELETE FROM delivery WHERE rule = 'rejected'""",  # noqa: S608  # from above
        "O3 notifications",
    ),
    (
        "notifications",
        "UPDATE delivery SET id = gen_random_uuid() WHERE rule = 'revoked'",
        "O3 notifications: nothing asks",
    ),
    ("notifications", "UPDATE delivery SET cancelled = false WHERE cancelled", "O3 notifications"),
    ("notifications", f"{ASIDE % ('waiting', 'delivery')}; {UNSENT}", "O3 notifications"),
    ("notifications", f"{OVER % ('waiting', 'delivery')}; {UNSENT}", "O3 notifications"),
    (
        "notifications",
        ASIDE % ("waiting", "delivery") + "; UPDATE delivery SET cancelled = false WHERE cancelled",
        "O3 notifications",
    ),
    ("notifications", "DELETE FROM delivery WHERE rule = 'revoked'", "O3 notifications"),
    (
        "notifications",
        "UPDATE delivery SET id = gen_random_uuid(), rule = 'waiting' WHERE rule = 'rejected'",
        "O3 notifications: nothing asks",
    ),
    ("gateway", IN_LANE % "now", "O1 registry: ('/provinces/2025-68/test', 'in-lane') was accepted and never arrived"),
    ("registry", 'UPDATE owner SET data = data || \'{"ref":"CT-0"}\'', "O4 registry: owner"),
    ("registry", "DELETE FROM product", "O4 registry: product"),
    ("national", "UPDATE product_period SET name = 'x' WHERE name LIKE '%SP-3'", "O4 national.product_period"),
    (
        "national",  # another topic's event of the same product is put aside: that excuses nothing of this one
        f"""{HELD} SELECT 'ocop.evaluation.recognition', id, 99, 'gap', NULL, NULL, '[]', '',
              'ocop.evaluation.recognition', 0, 1000000 + row_number() OVER () FROM product;
            UPDATE product_period SET name = 'x' WHERE name LIKE '%SP-3'""",  # noqa: S608  # from above
        "O4 national.product_period",
    ),
    ("national", "DELETE FROM owner_period WHERE business_name LIKE '%CT-3'", "O4 national.owner_period"),
    ("national", "INSERT INTO owner SELECT gen_random_uuid(), namespace, ref, NULL, NULL, event FROM owner", "O4"),
    ("evaluation", "DELETE FROM known_product WHERE tenant > ''", "O4 evaluation: product"),
    (
        "evaluation",
        f"""WITH gone AS (DELETE FROM known_product RETURNING id)
            {HELD} SELECT 'recognition', id, NULL, 'failed', 'x', 'y', '[]', '', 'ocop.submission.evaluation', 0,
                          1000000 + row_number() OVER () FROM gone""",  # noqa: S608  # from above
        "O4 evaluation: product",
    ),
    ("gateway", "UPDATE submission SET tenant = '2025-80' WHERE event_id = 'o3'", "O7 gateway.submission: o3"),
    ("gateway", "UPDATE outcome SET tenant = '2025-80' WHERE event_id = 'o3'", "O7 gateway.outcome: o3"),
    ("registry", """UPDATE event SET headers = headers || '{"ce_tenant":"2025-80"}'""", "O7 registry: event"),
    ("registry", "UPDATE product SET tenant = '2025-80'", "O7 registry: product"),
    ("notifications", "UPDATE delivery SET tenant = '2025-80' WHERE rule = 'rejected'", "O7 notifications: 2025-68"),
    ("notifications", "UPDATE delivery SET tenant = '2025-80' WHERE rule = 'revoked'", "O7 notifications: 2025-68"),
    (
        "notifications",
        """INSERT INTO mail (id, tenant, rule) VALUES (gen_random_uuid(), '2025-80', 'revoked');
           UPDATE delivery SET mail = (SELECT id FROM mail) WHERE rule = 'revoked'""",
        "O7 notifications: 2025-68",
    ),
]


# What explains itself.
EXPLAINED = [
    ("notifications", STANDS % (2, "failed")),
    ("notifications", STANDS % (2, "failed") + "; DELETE FROM delivery WHERE rule = 'revoked'"),
    ("notifications", f"WITH d AS ({UNSENT} RETURNING cause) {ASIDE % ('rejected', 'd')}"),
    ("notifications", f"WITH d AS ({UNSENT} RETURNING cause) {OVER % ('rejected', 'd')}"),
    (
        "notifications",
        "WITH d AS (UPDATE delivery SET cancelled = false WHERE cancelled RETURNING cause) " + ASIDE % ("applied", "d"),
    ),
    ("gateway", IN_LANE % "infinity"),
]


async def test_each_planted_break_is_found(quiet: System, databases: Databases) -> None:
    saved = {service: await databases.save(made) for service, made in quiet.databases.items()}
    missed = []
    for service, statement, finding in [*BREAKS, *((*each, "") for each in EXPLAINED)]:
        connection = await database.connect(quiet.databases[service].superuser)
        await connection.execute("SET session_replication_role = replica")
        status = await connection.execute(statement)
        await connection.close()
        assert not status.endswith(" 0"), f"not planted: {statement}"
        findings = await oracle.examine(quiet.bootstrap, quiet.urls)
        if not (any(each.startswith(finding) for each in findings) if finding else not findings):
            missed.append((statement, findings))
        await databases.set_back(quiet.databases[service], saved[service])
    assert not missed
    assert await oracle.examine(quiet.bootstrap, quiet.urls) == []


async def test_a_stranger_on_a_topic_is_found(quiet: System, kafka_topics: str) -> None:
    producer = await start_producer(kafka_topics, "test")
    repeated = [record async for record in oracle.records(kafka_topics, "ocop.registry.owner")][0]  # noqa: RUF015  # it has no next
    nobodys = [
        await producer.send_and_wait(topic, b"{}", headers=headers)
        for topic in ("ocop.registry.owner", "ocop.registry.outcome")
        for headers in ([], [("ce_source", b"/services/nobody"), ("ce_id", b"x")])
    ]
    # The first thing said of the late product, that it waits, as if it had been its end.
    outcomes = [record async for record in oracle.records(kafka_topics, "ocop.registry.outcome")]
    waits = next(each for each in outcomes if b'"late"' in each.value and each.said("ce_subjectsequence") == "1")
    ended = json.dumps(json.loads(waits.value) | {"state": "rejected"}).encode()
    otherwise = await producer.send_and_wait(waits.topic, ended, waits.key, headers=list(waits.headers))
    # The same under no key, in a partition that is not its key's, and to one who never sent it.
    keyless = await producer.send_and_wait(waits.topic, waits.value, headers=list(waits.headers))
    elsewhere = (waits.partition + 1) % TOPICS[waits.topic].partitions
    astray = await producer.send_and_wait(
        waits.topic, waits.value, waits.key, partition=elsewhere, headers=list(waits.headers)
    )
    submission, nobody = waits.said("ce_subject") or "", "00000000-0000-4000-8000-000000000003"
    to_nobody = await producer.send_and_wait(
        waits.topic,
        waits.value.replace(submission.encode(), nobody.encode()),
        nobody.encode(),
        headers=[(name, value.replace(submission.encode(), nobody.encode())) for name, value in waits.headers],
    )
    headers = [("ce_source", b"/services/registry"), ("ce_id", b"00000000-0000-0000-0000-000000000001")]
    await producer.send_and_wait("ocop.registry.owner", b"{}", headers=headers)
    await producer.send_and_wait("ocop.submission.registry", b"{}")
    await producer.send_and_wait(repeated.topic, repeated.value, key=b"another", headers=list(repeated.headers))
    await producer.stop()
    findings = await oracle.examine(quiet.bootstrap, quiet.urls)
    for place in nobodys:
        assert any(f"O2 {place.topic}/{place.partition}@{place.offset} is not " in each for each in findings), place
    place = f"O2 {otherwise.topic}/{otherwise.partition}@{otherwise.offset}"
    assert any(each.startswith(f"{place} says rejected, the inbox applied") for each in findings)
    for lost in (keyless, astray):
        place = f"O2 {lost.topic}/{lost.partition}@{lost.offset}"
        assert any(each.startswith(f"{place} is not under the submission") for each in findings)
    place = f"O2 {to_nobody.topic}/{to_nobody.partition}@{to_nobody.offset}"
    assert any(each.startswith(f"{place} tells of {LATE} to another submission") for each in findings)
    assert any("is not in the log" in each for each in findings)
    assert any("is no submission" in each for each in findings)
    assert any("is not under its subject's key" in each for each in findings)


async def test_a_stranger_whom_an_operator_passed_over_is_found_no_more(quiet: System) -> None:
    strange = [("ce_source", "/services/nobody"), ("ce_id", "x"), ("ce_\x00", "\xff")]
    topics = ("ocop.registry.owner", "ocop.registry.outcome", "ocop.submission.registry")
    readers = ("gateway", "registry", "notifications", "national")
    producer = await start_producer(quiet.bootstrap, "test")
    for topic in topics:
        await producer.send_and_wait(topic, b"\x00", headers=[(name, value.encode()) for name, value in strange])
    await producer.stop()
    for service in readers:
        await quiet.start(service)
    assert await oracle.wait_until_quiet(quiet.bootstrap, quiet.urls, 60) == []
    names = await quiet.fetch("registry", "SELECT DISTINCT event_id FROM inbox WHERE source = '/services/nobody'")
    assert names == [("x",)]
    # One for each topic; and the submission was decided and never accepted, its end never said.
    assert len(await oracle.examine(quiet.bootstrap, quiet.urls)) == len(topics) + 2
    rows = {
        service: await quiet.fetch(service, "SELECT id, subject FROM held WHERE reason = 'failed'")
        for service in readers
    }
    assert [len(found) for found in rows.values()] == [1, 1, 1, 1]
    for service, ((row, subject),) in rows.items():
        connection = await database.connect(quiet.urls[service])
        async with connection.transaction():
            of = handlers(next(each for each in REGISTERED if each.wire == service))
            await skip(connection, of, row, actor="test", reason="nobody's", nameless=subject is None)
        await connection.close()
    assert await oracle.examine(quiet.bootstrap, quiet.urls) == []


async def test_an_end_that_a_reader_passed_over_was_said_all_the_same(quiet: System) -> None:
    connection = await database.connect(quiet.databases["notifications"].superuser)
    (said, *_) = [record async for record in oracle.records(quiet.bootstrap, "ocop.registry.outcome")]
    await connection.execute(
        """INSERT INTO skipped (headers, payload, topic, since, actor, reason)
           VALUES ($1, $2, $3, now(), 'test', 'test')""",
        to_json(said.headers),
        said.value,
        said.topic,
    )
    await connection.close()
    assert await oracle.examine(quiet.bootstrap, quiet.urls) == []


async def test_an_end_was_said_though_another_copy_was_told_of_a_conflict_since(quiet: System) -> None:
    gateway = await database.connect(quiet.databases["gateway"].superuser)
    await gateway.execute(
        """INSERT INTO outcome (source, event_id, submission_id, number, tenant, state, code, params, event_ids)
           SELECT source, event_id, gen_random_uuid(), number + 1, tenant, 'rejected', 'conflict', '{}', '{}'
           FROM outcome WHERE event_id = 'again'"""
    )
    await gateway.close()
    await quiet.execute("registry", "UPDATE inbox SET outcome_seq = outcome_seq + 1 WHERE event_id = 'again'")
    assert await oracle.examine(quiet.bootstrap, quiet.urls) == []
    await quiet.execute("registry", "UPDATE inbox SET code = 'x' WHERE event_id = 'again'")
    findings = await oracle.examine(quiet.bootstrap, quiet.urls)
    unsaid = "O2 registry: the end of ('/provinces/2025-68/test', 'again') was never said"
    assert any(each.startswith(unsaid) for each in findings), findings


async def test_what_was_refused_is_found_where_it_should_not_be(quiet: System) -> None:
    findings = await oracle.examine(quiet.bootstrap, quiet.urls, {("/provinces/2025-68/test", "o3"), WAITS})
    assert any(each.startswith("O5 gateway.submission") for each in findings)
    assert any(each.startswith("O5 registry.inbox") for each in findings)
    assert any(each.startswith("O5 ocop.submission.registry") for each in findings)
    assert any(each.startswith("O5 registry.held") for each in findings)
    assert any(each.startswith("O5 national.event") for each in findings)


async def test_the_first_event_that_breaks_a_rule_comes_first_with_its_whole_way(quiet: System) -> None:
    await quiet.execute("registry", "UPDATE inbox SET state = 'rejected' WHERE event_id IN ('ol', 'o3', 'p5')")
    findings = await oracle.examine(quiet.bootstrap, quiet.urls)
    assert findings[0].startswith(
        "O1 registry: ('/provinces/2025-68/test', 'o3') is rejected, the gateway says applied"
    )
    assert "vn.ocop.province.owner.registered.v1 o3 of /provinces/2025-68/test" in findings[0]
    assert "kafka         ocop.registry.owner/" in findings[0]
    assert not any("\n" in finding for finding in findings[1:])
    way = [" ".join(line) for line in await trace(quiet.bootstrap, quiet.urls, "rr1")]
    assert any(line.startswith("notifications revoked: due") for line in way), way


async def test_what_the_gateway_does_not_have_comes_first_and_is_followed_all_the_same(quiet: System) -> None:
    await quiet.execute("registry", "UPDATE inbox SET state = 'rejected' WHERE event_id = 'o3'")
    gateway = await database.connect(quiet.databases["gateway"].superuser)
    await gateway.execute("DELETE FROM submission WHERE event_id = 'p5'")
    await gateway.close()
    findings = await oracle.examine(quiet.bootstrap, quiet.urls)
    lost = "('/provinces/2025-68/test', 'p5')"
    assert any(each.startswith(f"O1 registry: {lost} was decided and never accepted") for each in findings)
    for part in (
        "gateway       has no submission p5",
        "registry      inbox: applied; 1 outcomes said",
        "kafka         ocop.submission.registry/",
        "kafka         ocop.registry.product/",
        "national      applied: stands at 2 of this subject",
    ):
        assert part in findings[0]
    registry = await database.connect(quiet.databases["registry"].superuser)
    await registry.execute("DELETE FROM inbox WHERE event_id = 'p5'")
    await registry.close()
    way = [" ".join(line) for line in await trace(quiet.bootstrap, quiet.urls, ("/provinces/2025-68/test", "p5"))]
    assert way[0] == "gateway has no submission p5"
    assert way[1].startswith("kafka ocop.submission.registry/"), "the topics alone know it"


async def test_a_number_that_was_passed_over_is_not_missed(quiet: System) -> None:
    national = await database.connect(quiet.databases["national"].superuser)
    projection = next(each for each in PROJECTIONS if each.topic == "ocop.registry.owner")
    said = [record async for record in oracle.records(quiet.bootstrap, projection.topic)]
    second = next(record.number for record in said if record.number and record.number[2] == 2)
    topic, subject, number = second
    (first,) = [record for record in said if record.number == (topic, subject, 1)]
    event = Event.of(decode(first))
    # As if its second event had been passed over: no row for it, and the state as the first one left it.
    await national.execute("DELETE FROM owner_event WHERE subject = $1 AND sequence = 2", subject)
    made = projection.rows(event)
    for table in projection.tables:
        if table.per != "event":
            await national.execute(f"DELETE FROM {table.name} WHERE {table.columns[0]} = $1", subject)  # noqa: S608  # wiring
            await national.copy_records_to_table(table.name, columns=table.columns, records=made[table.name])
    findings = await oracle.examine(quiet.bootstrap, quiet.urls)
    assert {finding[:11] for finding in findings} == {"O3 national", "O4 national"}
    await national.execute(
        """INSERT INTO skipped (queue, subject, n, headers, payload, topic, since, actor, reason)
           VALUES ($1, $2, $3, '{}', '', $1, now(), 'test', 'test')""",
        topic,
        subject,
        number,
    )
    await national.execute(f"{HELD} VALUES ($1, $2, 4, 'gap', NULL, NULL, '[]', '', $1, 0, 1000000)", topic, subject)
    way = [" ".join(line) for line in await trace(quiet.bootstrap, quiet.urls, str(event.id))]
    assert "national passed over number 2: test (test)" in way
    assert any(line.startswith("national holds number 4: gap, since") for line in way), way
    await national.execute("DELETE FROM held")
    await national.close()
    assert await oracle.examine(quiet.bootstrap, quiet.urls) == []


async def test_what_retention_has_taken_is_not_missed_as_long_as_the_gateway_knows_it(quiet: System) -> None:
    await _forget(quiet.bootstrap, [topic.name for topic in TOPICS.values() if topic.kind != "domain"])
    assert await oracle.examine(quiet.bootstrap, quiet.urls) == []
    gateway = await database.connect(quiet.databases["gateway"].superuser)
    # Read by notifications, and gone before the gateway had read it: which number was a wait nobody knows.
    assert await gateway.execute("DELETE FROM outcome WHERE event_id = 'late' AND number = 1") == "DELETE 1"
    assert await oracle.examine(quiet.bootstrap, quiet.urls) == []
    assert await gateway.execute("DELETE FROM outcome WHERE event_id = 'again'") == "DELETE 1"
    await gateway.close()
    findings = await oracle.examine(quiet.bootstrap, quiet.urls)
    for expected in (
        "O2 registry: the end of ('/provinces/2025-68/test', 'again') was never said",
        "O3 notifications: nothing asks for rejected",
    ):
        assert any(each.startswith(expected) for each in findings), findings


async def test_who_looks_on_passes_over_what_retention_takes_meanwhile(quiet: System) -> None:
    topic = "ocop.registry.outcome"
    async with log.opened(quiet.bootstrap, "test") as consumer:
        starts, before = await log.limits(consumer, [topic])
        await _forget(quiet.bootstrap, [topic])
        producer = await start_producer(quiet.bootstrap, "test")
        await asyncio.gather(*(producer.send_and_wait(topic, b"later", partition=each.partition) for each in starts))
        await producer.stop()
        ends = {partition: end + 1 for partition, end in before.items()}
        with pytest.raises(OffsetOutOfRangeError):
            assert [found async for found in log.records(consumer, starts, ends, 10)]
        stays = [each.value async for found in log.what_stays(consumer, starts, ends, 10) for each in found]
        assert stays == [b"later"] * len(ends)


async def _forget(bootstrap: str, topics: Sequence[str]) -> None:
    """Removes all that lies on these topics, as retention does."""
    async with log.opened(bootstrap, "test") as consumer:
        _, ends = await log.limits(consumer, topics)
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    await admin.delete_records({partition: RecordsToDelete(before_offset=end) for partition, end in ends.items()})
    await admin.close()


async def test_what_waits_in_the_backfill_lane_is_not_on_its_way(quiet: System) -> None:
    await quiet.execute("gateway", IN_LANE % "infinity")
    assert await oracle.wait_until_quiet(quiet.bootstrap, quiet.urls, 10) == []
    await quiet.execute("gateway", "UPDATE submission SET fed_at = clock_timestamp() WHERE event_id = 'in-lane'")
    assert await oracle.wait_until_quiet(quiet.bootstrap, quiet.urls, 0) == [
        "gateway: 1 submissions without an outcome"
    ]
