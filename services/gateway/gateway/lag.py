"""How far the services are behind: records that lie on their topics and that their groups have not read."""

import time
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from contracts.topics import DECIDERS

# Their groups commit offsets about each second; that is what this can see.
READERS: Final = (*DECIDERS, "national", "notifications")
FRESH_S = 1.0


class Lag:
    """Asks Kafka at most once a second."""

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap
        self._admin: AIOKafkaAdminClient | None = None
        self._consumer: AIOKafkaConsumer | None = None
        self._asked = 0.0
        self._most = 0

    async def most(self) -> int:
        """Unread records of the reader that has most of them. Raises a KafkaError while the broker is away."""
        if time.monotonic() - self._asked < FRESH_S:
            return self._most
        if self._admin is None or self._consumer is None:
            self._admin = AIOKafkaAdminClient(bootstrap_servers=self._bootstrap, client_id="gateway-lag")
            self._consumer = AIOKafkaConsumer(bootstrap_servers=self._bootstrap, client_id="gateway-lag")
            await self._admin.start()
            await self._consumer.start()
        lags = []
        for group in READERS:
            read: dict[TopicPartition, int] = {
                partition: found.offset
                for partition, found in (await self._admin.list_consumer_group_offsets(group)).items()
                if found.offset >= 0
            }
            ends = await self._consumer.end_offsets(list(read)) if read else {}
            lags.append(sum(max(0, ends[partition] - offset) for partition, offset in read.items()))
        self._most, self._asked = max(lags, default=0), time.monotonic()
        return self._most

    async def aclose(self) -> None:
        """Ends both connections."""
        for client in (self._admin and self._admin.close, self._consumer and self._consumer.stop):
            if client:
                await client()
