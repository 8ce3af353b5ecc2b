"""What tests of delivery throw onto topics by themselves."""

from collections.abc import AsyncIterator

import pytest
from aiokafka import AIOKafkaProducer

from servicekit.kafka import start_producer


@pytest.fixture
async def producer(kafka_topics: str) -> AsyncIterator[AIOKafkaProducer]:
    """A producer on the topics of this test."""
    producer = await start_producer(kafka_topics, "test")
    yield producer
    await producer.stop()
