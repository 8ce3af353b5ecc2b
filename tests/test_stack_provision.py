"""Databases, roles and topics are as the catalogue says, however often they are made."""

from dataclasses import replace

import asyncpg
import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from contracts.topics import TOPICS, Topic, domain_topic, submission_topic
from ocop import provision
from ocop.errors import OcopError
from ocop.services import SERVICES
from tests.engines import Broker, Databases
from tests.waiting import until

REGISTRY = next(service for service in SERVICES if service.wire == "registry")


async def configured(bootstrap: str, topic: Topic) -> tuple[int, dict[str, str]]:
    """A topic's partitions and settings, as the broker tells them."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        (described,) = await admin.describe_topics([topic.name])
        resource = ConfigResource(ConfigResourceType.TOPIC, topic.name, dict.fromkeys(topic.config))
        (answer,) = await admin.describe_configs([resource])
        entries = answer.to_object()["resources"][0]["config_entries"]
        return len(described["partitions"]), {entry["config_names"]: entry["config_value"] for entry in entries}
    finally:
        await admin.close()


async def test_topics_are_made_from_the_catalogue(kafka_topics: str) -> None:
    for topic in TOPICS.values():
        assert await configured(kafka_topics, topic) == (12, topic.config)
    kept = await configured(kafka_topics, TOPICS[domain_topic("registry", "product")])
    assert kept[1]["retention.ms"] == "-1"


async def test_a_setting_that_drifted_is_set_right(kafka_topics: str) -> None:
    topic = TOPICS[submission_topic("registry")]
    await provision.topics(kafka_topics, [replace(topic, retention_ms=1000)])
    await until(lambda: has(kafka_topics, topic, "1000"))
    await provision.topics(kafka_topics, TOPICS.values())
    await until(lambda: has(kafka_topics, topic, str(topic.retention_ms)))


async def has(bootstrap: str, topic: Topic, retention_ms: str) -> bool:
    """Whether the broker has taken up a topic's retention."""
    return (await configured(bootstrap, topic))[1]["retention.ms"] == retention_ms


async def test_another_number_of_partitions_is_refused(kafka_topics: str) -> None:
    topic = TOPICS[submission_topic("registry")]
    with pytest.raises(OcopError, match=f"{topic.name} has 12 partitions, the catalogue says 24"):
        await provision.topics(kafka_topics, [replace(topic, partitions=24)])
    assert await configured(kafka_topics, topic) == (12, topic.config)


async def test_a_setting_that_kafka_does_not_know_is_an_error(broker: Broker) -> None:
    topic = replace(TOPICS[submission_topic("registry")], name="test.no-such-size", max_message_bytes=-5)
    with pytest.raises(OcopError, match=r"Kafka does not make test\.no-such-size"):
        await provision.topics(broker.bootstrap, [topic])


async def test_the_application_may_not_change_the_schema(databases: Databases) -> None:
    database = await databases.make("registry")
    for url in (database.app, database.http):
        connection = await asyncpg.connect(url)
        try:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute("CREATE TABLE mine (n integer)")
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute("SET ROLE registry_owner")
        finally:
            await connection.close()


async def test_roles_are_what_policies_rely_on(databases: Databases) -> None:
    database = await databases.make("registry")
    connection = await asyncpg.connect(database.superuser)
    try:
        roles = await connection.fetch(
            "SELECT rolname, rolsuper, rolbypassrls, rolcreatedb, rolcreaterole, rolcanlogin FROM pg_roles"
            " WHERE rolname = ANY($1)",
            [*REGISTRY.roles, *provision.GROUPS],
        )
        assert len(roles) == 5
        for role in roles:
            assert not (role["rolsuper"] or role["rolbypassrls"] or role["rolcreatedb"] or role["rolcreaterole"])
            assert role["rolcanlogin"] == (role["rolname"] in REGISTRY.roles)
        member = "SELECT pg_has_role($1, $2, 'member')"
        assert await connection.fetchval(member, "registry_app", "ocop_app")
        assert await connection.fetchval(member, "registry_http", "ocop_http")
        assert not await connection.fetchval(member, "registry_http", "ocop_app")
        owner = "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = $1"
        assert await connection.fetchval(owner, database.name) == "registry_owner"
    finally:
        await connection.close()


async def test_a_service_cannot_reach_another_services_database(databases: Databases) -> None:
    registry = await databases.make("registry")
    gateway = await databases.make("gateway")
    for role, url in zip(REGISTRY.roles, (registry.owner, registry.app, registry.http), strict=True):
        connection = await asyncpg.connect(url)
        assert await connection.fetchval("SELECT current_user") == role
        await connection.close()
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="CONNECT"):
            await asyncpg.connect(provision.address(gateway.superuser, gateway.name, role, databases.passwords[role]))


async def test_provisioning_again_changes_nothing_but_passwords(databases: Databases) -> None:
    database = await databases.make("registry")
    connection = await asyncpg.connect(database.app)
    await connection.close()
    try:
        async with provision.superuser(database.superuser) as superuser:
            await provision.roles(superuser, [REGISTRY], dict.fromkeys(REGISTRY.roles, "it's \\ another"))
            await provision.database(superuser, REGISTRY, database.name)
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(database.app)
        changed = provision.address(database.app, database.name, "registry_app", "it's \\ another")
        await (await asyncpg.connect(changed)).close()
    finally:
        async with provision.superuser(database.superuser) as superuser:
            await provision.roles(superuser, [REGISTRY], databases.passwords)


async def test_who_may_not_make_roles_is_told_so(databases: Databases) -> None:
    database = await databases.make("registry")
    with pytest.raises(OcopError, match="does not let this user make roles"):
        await provision.databases(database.app, [REGISTRY], databases.passwords)


async def test_each_test_has_its_own_database_and_can_set_it_back(databases: Databases) -> None:
    first, second = await databases.make("registry"), await databases.make("registry")
    assert first.name != second.name
    connection = await asyncpg.connect(first.owner)
    await connection.execute("CREATE TABLE mark (n integer)")
    await connection.close()
    saved = await databases.save(first)
    connection = await asyncpg.connect(first.owner)
    await connection.execute("INSERT INTO mark VALUES (1)")
    await connection.close()
    await databases.set_back(first, saved)
    connection = await asyncpg.connect(first.owner)
    assert await connection.fetchval("SELECT count(*) FROM mark") == 0
    await connection.close()
    connection = await asyncpg.connect(second.owner)
    assert await connection.fetchval("SELECT to_regclass('mark')") is None
    await connection.close()
