"""The rights that each service gets on Kafka, on a real one: enough for all that it does, and for nothing else."""

import asyncio
import re
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import GroupAuthorizationFailedError, TopicAuthorizationFailedError
from aiokafka.protocol.admin import CreateAclsRequest, DescribeAclsRequest
from gateway import adoption
from gateway.lag import READERS, Lag
from national.projections import PROJECTIONS

from contracts.topics import TOPICS
from deploy.k8s.kafka import Right, operator, rights, scaler
from ocop import kafka, oracle, provision, trace
from ocop.home import free_port
from ocop.services import SERVICES
from servicekit import access, database
from servicekit.adopt import adopt
from servicekit.rebuilding.rebuild import rebuild
from servicekit.republish import republish
from tests.acts import listed, recognised
from tests.delivery.system import System, system
from tests.delivery.test_spine import families
from tests.engines import START_SECONDS, Databases, Engine
from tests.waiting import until

# Kafka's numbers for them.
KINDS: Final = {"topic": 2, "group": 3}
PATTERNS: Final = {"literal": 3, "prefix": 4}
OPERATIONS: Final = {"Read": 3, "Write": 4, "Describe": 8, "DescribeConfigs": 10}
ALLOW: Final = 3
ANY: Final = 1

USERS: Final[dict[str, tuple[Right, ...]]] = {
    **{service.name: tuple(rights(service)) for service in SERVICES},
    "keda": tuple(scaler()),
    "operator": tuple(operator()),
}
# A right as Kafka keeps it: kind, name and pattern of what it is for, who has it, from where, for which operation.
Kept = tuple[int, str, int, str, str, int, int]

DENIED: Final = re.compile(r"Principal = User:(\S+) is Denied operation = (\w+).*? on resource = (\S+)")


@dataclass(frozen=True, slots=True)
class Guarded:
    """A Kafka that asks who comes: at one address it knows users, at the other everybody may everything."""

    users: str
    admin: str
    log: Path

    def denied(self) -> set[tuple[str, ...]]:
        """Who was refused what."""
        return set(DENIED.findall(self.log.read_text()))


@asynccontextmanager
async def guarded(directory: Path) -> AsyncIterator[Guarded]:
    """Running, with the catalogue's topics and the users' rights."""
    port, controller, users = free_port(), free_port(), free_port()
    listeners = f"PLAINTEXT://127.0.0.1:{port},USERS://127.0.0.1:{users}"
    passwords = " ".join(f'user_{name}="{name}"' for name in USERS)
    login = f"org.apache.kafka.common.security.plain.PlainLoginModule required {passwords};"
    settings = {
        "listeners": f"{listeners},CONTROLLER://127.0.0.1:{controller}",
        "advertised.listeners": listeners,
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,USERS:SASL_PLAINTEXT",
        "inter.broker.listener.name": "PLAINTEXT",
        "listener.name.users.sasl.enabled.mechanisms": "PLAIN",
        "listener.name.users.plain.sasl.jaas.config": login,
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": "User:ANONYMOUS",
        "allow.everyone.if.no.acl.found": "false",
    }
    kafka.prepare(directory / "kafka", port, controller, settings)
    found = Guarded(f"127.0.0.1:{users}", f"127.0.0.1:{port}", directory / "kafka.log")
    engine = Engine("kafka", kafka.command(directory / "kafka"), found.log, signal.SIGTERM)
    engine.launch()
    try:
        await kafka.wait_until_answers(found.admin, START_SECONDS)
        await provision.topics(found.admin, TOPICS.values())
        await grant(found.admin)
        yield found
    finally:
        engine.kill()


async def grant(bootstrap: str) -> None:
    """Gives every user its rights, as Strimzi would; they are in force when it returns, not only written down."""
    wanted = {each for name, allowed in USERS.items() for each in kept(name, allowed)}
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()

    async def in_force() -> bool:
        answer = await admin._send_to_controller(DescribeAclsRequest(ANY, None, ANY, None, None, ANY, ANY))
        return {(*resource, *each) for *resource, rights in answer.resources for each in rights} == wanted

    try:
        for each in wanted:
            answer = await admin._send_to_controller(CreateAclsRequest(*each))
            assert [code for code, _ in answer.creation_responses] == [0], answer
        await until(in_force)
    finally:
        await admin.close()


def kept(name: str, allowed: tuple[Right, ...]) -> Iterator[Kept]:
    """Rights as Kafka is told of them, and tells."""
    for right in allowed:
        for operation in right.operations:
            resource = KINDS[right.kind], right.name, PATTERNS[right.pattern]
            yield *resource, f"User:{name}", "*", OPERATIONS[operation], ALLOW


def as_user(name: str) -> dict[str, str]:
    """What a client says of itself."""
    return {"security_protocol": "SASL_PLAINTEXT", "sasl_plain_username": name, "sasl_plain_password": name}


async def test_all_work_each_as_its_own_user(
    databases: Databases, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with guarded(tmp_path) as broker:
        wires = [service.wire for service in SERVICES]
        async with system(broker.users, databases, tmp_path, wires) as under_test:
            for service in SERVICES:
                await under_test.start(
                    service.wire,
                    module="tests.deploy.as_user",
                    OCOP_TEST_PACKAGE=service.package,
                    OCOP_TEST_USER=service.name,
                )
            acts = [recognised("QD-1", of="SP-1"), listed("NY-1", of="SP-1"), listed("NY-1", of="SP-1")]
            answers = await under_test.submit([*families(5), *acts])
            assert {answer["status"] for answer in answers} == {"accepted"}
            under_test.bootstrap = broker.admin  # the oracle looks at everything
            await under_test.settled()
            states = await under_test.fetch("gateway", "SELECT state, count(*) FROM submission GROUP BY 1 ORDER BY 1")
            assert states == [("applied", 22), ("rejected", 1)]
            assert await under_test.fetch("notifications", "SELECT count(*) FROM delivery WHERE rule = 'rejected'") == [
                (1,)
            ]
            assert await under_test.fetch("national", "SELECT count(*) FROM event") == [(22,)]
            monkeypatch.setattr(access, "to", lambda to, **_: {"bootstrap_servers": to, **as_user("operator")})
            await operators_work(broker.users, under_test, answers[0]["submission_id"])
        assert broker.denied() == set()


async def operators_work(bootstrap: str, under_test: System, submission: str) -> None:
    """Whatever their commands do on Kafka, with the roles that they are given; services are down in the end."""
    urls = under_test.urls
    assert await oracle.wait_until_quiet(bootstrap, urls, 30) == []
    assert await oracle.examine(bootstrap, urls) == []
    assert "kafka" in {where for where, _ in await trace.trace(bootstrap, urls, submission)}
    async with aclosing(Lag(bootstrap)) as lag:
        assert set(await lag.unread()) == set(READERS)
    owner = under_test.databases["national"].owner
    assert (await rebuild(owner, bootstrap, PROJECTIONS, actor="test", reason="test")).swapped
    for process in under_test.processes:
        process.kill()  # where a relay leads, its place is waited for
    for service in SERVICES:
        own = [topic for topic in TOPICS.values() if topic.service == service.wire]
        if own:
            connection = await database.connect(urls[service.wire])
            async with connection.transaction():
                take = adoption.take if service.wire == "gateway" else None
                assert (await adopt(connection, bootstrap, service.wire, take)).events == 0
            make = partial(provision.topics, bootstrap, own)
            assert set(await republish(connection, bootstrap, service.wire, make=make)) == {each.name for each in own}
            await connection.close()


async def test_nobody_may_what_is_anothers(tmp_path: Path) -> None:
    async with guarded(tmp_path) as broker, AsyncExitStack() as clients:
        producer = AIOKafkaProducer(bootstrap_servers=broker.users, **as_user("national"))
        consumer = AIOKafkaConsumer(bootstrap_servers=broker.users, auto_offset_reset="earliest", **as_user("registry"))
        admin = AIOKafkaAdminClient(bootstrap_servers=broker.users, **as_user("keda"))
        for client, close in ((producer, producer.stop), (consumer, consumer.stop), (admin, admin.close)):
            clients.push_async_callback(close)
            await client.start()
        with pytest.raises(TopicAuthorizationFailedError):
            await producer.send_and_wait("ocop.registry.product", b"x")
        consumer.assign([TopicPartition("ocop.submission.evaluation", 0)])
        with pytest.raises(TopicAuthorizationFailedError):
            async with asyncio.timeout(10):
                await consumer.getone()
        repairing = AIOKafkaAdminClient(bootstrap_servers=broker.users, **as_user("operator"))
        clients.push_async_callback(repairing.close)
        await repairing.start()
        refused = await repairing.create_topics([NewTopic("ocop.registry.other", 1, 1)])
        assert [error for _, error, *_ in refused.topic_errors] == [TopicAuthorizationFailedError.errno]
        gone = await repairing.delete_topics(["ocop.registry.product"])
        assert [error for _, error, *_ in gone.topic_error_codes] == [TopicAuthorizationFailedError.errno]
        with pytest.raises(GroupAuthorizationFailedError):  # whose lag nobody scales by
            await admin.list_consumer_group_offsets("gateway")

        async def noted() -> bool:  # the broker answers before it writes into its log
            return {(who, what) for who, what, _ in broker.denied()} >= {("national", "WRITE"), ("registry", "READ")}

        await until(noted, 20)
