"""How far the services are behind: records that lie on their topics and that their groups have not read."""

import time
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from contracts.topics import DECIDERS
from servicekit import access

# Their groups commit offsets about each second; that is what this can see.
READERS: Final = (*DECIDERS, "national", "notifications")
FRESH_S = 1.0


class Lag:
    """Asks Kafka at most once a second."""

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap
        self._clients: tuple[AIOKafkaAdminClient, AIOKafkaConsumer] | None = None
        self._asked = 0.0
        self._unread: dict[str, int] = {}

    async def most(self) -> int:
        """Unread records of the reader that has most of them. Raises a KafkaError while the broker is away."""
        return max((await self.unread()).values(), default=0)

    async def unread(self) -> dict[str, int]:
        """Unread records of each reader's group. Raises a KafkaError while the broker is away."""
        if time.monotonic() - self._asked < FRESH_S:
            return self._unread
        if self._clients is None:
            self._clients = await self._start()
        try:
            self._unread = await self._ask(*self._clients)
        except KafkaError:
            await self.aclose()  # aiokafka would ask again over the connection that has brought no answer
            raise
        self._asked = time.monotonic()
        return self._unread

    async def _ask(self, admin: AIOKafkaAdminClient, consumer: AIOKafkaConsumer) -> dict[str, int]:
        unread = {}
        for group in READERS:
            read: dict[TopicPartition, int] = {
                partition: found.offset
                for partition, found in (await admin.list_consumer_group_offsets(group)).items()
                if found.offset >= 0
            }
            ends = await consumer.end_offsets(list(read)) if read else {}
            unread[group] = sum(max(0, ends[partition] - offset) for partition, offset in read.items())
        return unread

    async def _start(self) -> tuple[AIOKafkaAdminClient, AIOKafkaConsumer]:
        """Both clients, started: one that a broker's absence has kept from starting is of no use later."""
        admin = AIOKafkaAdminClient(**access.to(self._bootstrap), client_id="gateway-lag")
        consumer = AIOKafkaConsumer(**access.to(self._bootstrap), client_id="gateway-lag")
        try:
            await admin.start()
            await consumer.start()
        except BaseException:
            await access.ended(admin.close(), admin._client)
            await access.ended(consumer.stop(), consumer._client)
            raise
        return admin, consumer

    async def aclose(self) -> None:
        """Ends both; they begin anew when something is asked again."""
        if self._clients is not None:
            (admin, consumer), self._clients = self._clients, None
            await access.ended(admin.close(), admin._client)
            await access.ended(consumer.stop(), consumer._client)
