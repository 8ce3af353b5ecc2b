"""How far readers are behind, as the gateway asks Kafka: also after a time in which Kafka was away."""

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.client import ConnectionGroup
from aiokafka.errors import KafkaConnectionError, KafkaError
from gateway.lag import Lag

from servicekit.kafka import start_producer
from tests.delivery.test_subscription import forget

PLACE = TopicPartition("ocop.registry.product", 0)


async def _away(_: object) -> None:
    raise KafkaConnectionError("away")


@pytest.mark.parametrize("client", [AIOKafkaAdminClient, AIOKafkaConsumer])
async def test_it_is_asked_again_after_an_absence(
    kafka_topics: str, monkeypatch: pytest.MonkeyPatch, client: type
) -> None:
    producer = await start_producer(kafka_topics, "test")
    await producer.send_and_wait(PLACE.topic, b"", partition=0)
    await producer.stop()
    reader = AIOKafkaConsumer(bootstrap_servers=kafka_topics, group_id="evaluation", enable_auto_commit=False)
    await reader.start()
    reader.assign([PLACE])
    await reader.commit({PLACE: 0})
    await reader.stop()

    lag = Lag(kafka_topics)
    with monkeypatch.context() as patched:
        patched.setattr(client, "start", _away)
        for _ in range(2):
            with pytest.raises(KafkaError):
                await lag.most()
    assert await lag.most() == 1
    assert (await lag.unread())["evaluation"] == 1
    assert lag._clients is not None
    forget(lag._clients[1]._client, ConnectionGroup.DEFAULT)
    monkeypatch.setattr(lag._clients[1], "_request_timeout_ms", 500)
    monkeypatch.setattr("gateway.lag.FRESH_S", 0)
    with pytest.raises(KafkaError):
        await lag.most()
    assert await lag.most() == 1, "not asked again over the connection that has brought no answer"
    await lag.aclose()
