"""What the services find on the engines: databases, roles, passwords, topics, schema.

Everything here may be run again, and by two at once: what is there already is left or set right.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote, urlsplit

import asyncpg
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import NoError, TopicAlreadyExistsError, UnknownTopicOrPartitionError, for_code

from contracts.topics import Topic
from ocop.errors import OcopError
from ocop.services import Service
from servicekit import access, migrate

# Grants and policies in migrations name these two, so that SQL files are fixed text.
GROUPS = ("ocop_app", "ocop_http")

# One provisioning at a time per server: roles are shared by its databases.
LOCK = 0x0C0B_0006

MAX_REPLICATION = 3
TOPIC_SECONDS = 30

LOGIN = "ALTER ROLE %I LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS PASSWORD %L"


def address(url: str, database: str, user: str | None = None, password: str = "") -> str:
    """The URL with another database, and another user if one is named; host, port and options stay."""
    parts = urlsplit(url)
    credentials, _, place = parts.netloc.rpartition("@")
    if user is not None:
        credentials = f"{quote(user)}:{quote(password, safe='')}"
    return parts._replace(netloc=f"{credentials}@{place}", path=f"/{quote(database)}").geturl()


@asynccontextmanager
async def superuser(url: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection that alone may provision this server while it is open."""
    connection = await asyncpg.connect(url, timeout=10)
    try:
        await connection.execute("SELECT pg_advisory_lock($1)", LOCK)
        yield connection
    finally:
        await connection.close()


async def roles(connection: asyncpg.Connection, services: Iterable[Service], passwords: Mapping[str, str]) -> None:
    """Make the group roles and each service's three, and set their passwords (role name → password)."""
    existing = {row["rolname"] for row in await connection.fetch("SELECT rolname FROM pg_roles")}
    for group in GROUPS:
        if group not in existing:
            await connection.execute(f"CREATE ROLE {group}")
        await connection.execute(f"ALTER ROLE {group} NOLOGIN NOSUPERUSER NOBYPASSRLS")
    for service in services:
        _, app, http = service.roles
        for role in service.roles:
            if role not in existing:
                await connection.execute(f"CREATE ROLE {role}")
            set_password = await connection.fetchval(
                "SELECT format($1, $2::text, $3::text)",
                LOGIN,
                role,
                passwords[role],
            )
            await connection.execute(set_password)
        await connection.execute(f"GRANT ocop_app TO {app}")
        await connection.execute(f"GRANT ocop_http TO {http}")


async def database(
    connection: asyncpg.Connection, service: Service, name: str | None = None, template: str | None = None
) -> None:
    """Make the service's database, owned by its owner role and open to its three roles only.

    ``name`` and ``template`` are for tests: another name, or a copy of a database that has been migrated.
    """
    name = name or service.database
    owner, app, http = service.roles
    if not await connection.fetchval("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", name):
        await connection.execute(f'CREATE DATABASE "{name}" OWNER {owner} TEMPLATE "{template or "template1"}"')
    await connection.execute(f'REVOKE CONNECT ON DATABASE "{name}" FROM PUBLIC')
    await connection.execute(f'GRANT CONNECT ON DATABASE "{name}" TO {owner}, {app}, {http}')


async def databases(superuser_url: str, services: Iterable[Service], passwords: Mapping[str, str]) -> None:
    """Make roles and databases, and bring each database to this code's schema. Raises OcopError."""
    services = tuple(services)
    try:
        async with superuser(superuser_url) as connection:
            await roles(connection, services, passwords)
            for service in services:
                await database(connection, service)
    except asyncpg.InsufficientPrivilegeError as error:
        raise OcopError(f"PostgreSQL does not let this user make roles and databases: {error}.") from error
    for service in services:
        owner = service.roles[0]
        url = address(superuser_url, service.database, owner, passwords[owner])
        try:
            await migrate.migrate(url, service.wire)
        except (migrate.MigrationError, asyncpg.PostgresError) as error:
            raise OcopError(f"The schema of {service.database} cannot be brought up to date: {error}.") from error


async def topics(bootstrap: str, catalogue: Iterable[Topic]) -> None:
    """Make the topics that are missing and set the others' retention and sizes as the catalogue says.

    Returns when every partition has a leader. Raises OcopError when a topic has another number of partitions:
    keys would change their partition, and order per subject would be lost. Growth is a new topic.
    """
    wanted = {topic.name: topic for topic in catalogue}
    admin = AIOKafkaAdminClient(**access.to(bootstrap, request_timeout_ms=TOPIC_SECONDS * 1000))
    await admin.start()
    try:
        found = await _leaders(admin, wanted)
        _refuse_other_partitions(wanted, found)
        missing = [topic for topic in wanted.values() if topic.name not in found]
        if missing:
            brokers = len((await admin.describe_cluster())["brokers"])
            await _create(admin, missing, min(MAX_REPLICATION, brokers))
        await _wait_until(admin, wanted, lambda now: len(now) == len(wanted) and all(map(_led, now.values())))
        if found:
            await _configure(admin, [wanted[name] for name in found])
    finally:
        await admin.close()


async def remove_topics(bootstrap: str, names: Iterable[str]) -> None:
    """Delete topics with all that is on them (for tests); those that are not there are passed over."""
    admin = AIOKafkaAdminClient(**access.to(bootstrap, request_timeout_ms=TOPIC_SECONDS * 1000))
    await admin.start()
    try:
        found = await _leaders(admin, names)
        if found:
            await admin.delete_topics(list(found))
            await _wait_until(admin, found, lambda now: not now)
    finally:
        await admin.close()


async def _leaders(admin: AIOKafkaAdminClient, names: Iterable[str]) -> dict[str, list[int]]:
    """The topics that are there, each with the broker that leads each partition, -1 for none."""
    found = {}
    for topic in await admin.describe_topics(list(names)):
        error = for_code(topic["error_code"])
        if error is NoError:
            found[topic["topic"]] = [partition["leader"] for partition in topic["partitions"]]
        elif error is not UnknownTopicOrPartitionError:
            raise OcopError(f"Kafka does not describe {topic['topic']}: {error.__name__}.")
    return found


def _led(leaders: list[int]) -> bool:
    return all(leader >= 0 for leader in leaders)


async def _wait_until(
    admin: AIOKafkaAdminClient, names: Iterable[str], holds: Callable[[dict[str, list[int]]], bool]
) -> None:
    # What the controller has decided, the broker that answers learns a moment later.
    deadline = time.monotonic() + TOPIC_SECONDS
    while not holds(await _leaders(admin, names)):
        if time.monotonic() > deadline:
            raise OcopError(f"Kafka has not brought the topics about after {TOPIC_SECONDS} s.")
        await asyncio.sleep(0.02)


def _refuse_other_partitions(wanted: Mapping[str, Topic], found: Mapping[str, list[int]]) -> None:
    for name, leaders in found.items():
        if len(leaders) != wanted[name].partitions:
            raise OcopError(
                f"Topic {name} has {len(leaders)} partitions, the catalogue says {wanted[name].partitions}:"
                " use another Kafka, or delete the topic if nothing on it is needed."
            )


async def _create(admin: AIOKafkaAdminClient, missing: Iterable[Topic], replication: int) -> None:
    new = [NewTopic(topic.name, topic.partitions, replication, topic_configs=topic.config) for topic in missing]
    answer = (await admin.create_topics(new)).to_object()
    for topic in answer["topic_errors"]:
        error = for_code(topic["error_code"])
        if topic["error_code"] and error is not TopicAlreadyExistsError:
            raise OcopError(f"Kafka does not make {topic['topic']}: {topic['error_message'] or error.__name__}.")


async def _configure(admin: AIOKafkaAdminClient, existing: Iterable[Topic]) -> None:
    resources = [ConfigResource(ConfigResourceType.TOPIC, topic.name, topic.config) for topic in existing]
    present: dict[str, dict[str, Any]] = {}
    for answer in await admin.describe_configs(resources):
        for resource in answer.to_object()["resources"]:
            entries = resource["config_entries"]
            present[resource["resource_name"]] = {entry["config_names"]: entry["config_value"] for entry in entries}
    differing = [resource for resource in resources if present.get(resource.name) != resource.configs]
    if differing:
        for answer in await admin.alter_configs(differing):
            for code, message, _, name in answer.resources:
                if code:
                    raise OcopError(f"Kafka does not change {name}: {message}.")
