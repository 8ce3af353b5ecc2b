"""Kafka as the services use it: the one subscriber and the idempotent producer, no default relied upon."""

import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, ConsumerRecord, TopicPartition
from faststream import AckPolicy
from faststream.kafka import KafkaBroker, KafkaMessage
from faststream.kafka.message import FAKE_CONSUMER
from faststream.security import BaseSecurity

from servicekit import access
from servicekit.topic_ids import present_ids

MAX_PARTITION_FETCH_BYTES = 1024 * 1024  # of each partition, and all are buffered: more brings only memory
MAX_REQUEST_BYTES = 1024 * 1024
MAX_BATCH_BYTES = 256 * 1024  # aiokafka's 16 KiB cuts what goes to one partition into many requests
BATCH_TIMEOUT_MS = 50
METADATA_MAX_AGE_MS = 10_000  # so late a topic made anew is noticed; with aiokafka's 5 minutes its readers stand still
SEND_TIMEOUT_S = 20  # with idempotence batches never expire, so sends are time-boxed
REBALANCE_TIMEOUT_MS = 10_000  # JoinGroup is answered after that at the latest: less than what requests wait
STOPPED_S = 20.0
SILENT_S = 10.0  # something was asked, and nothing has come for so long
MOST_HEARTBEAT_MS = 3000  # by its answer a member learns that it has to rejoin


async def _whole(records: tuple[ConsumerRecord[bytes, bytes], ...]) -> KafkaMessage:
    """The poll as it is. FastStream's own parser decodes every header, and one that is no UTF-8 loses the batch."""
    return KafkaMessage(records, body=b"", consumer=FAKE_CONSUMER)


async def _raw(message: Any) -> Any:
    """Keeps the framework from decoding: a record that does not decode must not spoil its batch."""
    return message.body


class Subscription:
    """One subscriber on all of a service's topics; FastStream drives it, `handle` gets whole polls.

    `turned` is called at each turn of the loop, `polled` with the partitions of a poll in the same step in which
    its records leave the consumer, so that no rebalance can come between; `lost` when the consumer has failed on the
    way, perhaps with records of any partition that it took already and will not give again. `handle` must not raise:
    FastStream would log it and go on to the next poll.
    """

    def __init__(
        self,
        bootstrap: str,
        group: str,
        topics: Sequence[str],
        *,
        handle: Callable[[Sequence[ConsumerRecord[bytes, bytes]]], Awaitable[None]],
        turned: Callable[[], None],
        polled: Callable[[Iterable[TopicPartition]], None],
        lost: Callable[[], None],
        listener: ConsumerRebalanceListener,
        poll_records: int,
        session_timeout_ms: int,
    ) -> None:
        self._broker = KafkaBroker(
            bootstrap,
            security=BaseSecurity(access.context()),
            client_id=group,
            logger=logging.getLogger("servicekit.faststream"),  # its own prints in a form of its own
            allow_auto_create_topics=False,
            request_timeout_ms=access.REQUEST_TIMEOUT_MS,
            metadata_max_age_ms=METADATA_MAX_AGE_MS,
            consumer_only=True,  # the relay has the producer
            graceful_timeout=15.0,
        )
        self._turned = turned
        self._polled = polled
        self._lost = lost
        self._subscriber = self._broker.subscriber(
            *topics,
            group_id=group,
            batch=True,
            max_records=poll_records,
            batch_timeout_ms=BATCH_TIMEOUT_MS,
            ack_policy=AckPolicy.MANUAL,  # the default acknowledges before the work is done
            auto_offset_reset="earliest",
            session_timeout_ms=session_timeout_ms,
            rebalance_timeout_ms=REBALANCE_TIMEOUT_MS,
            heartbeat_interval_ms=min(session_timeout_ms // 4, MOST_HEARTBEAT_MS),
            max_partition_fetch_bytes=MAX_PARTITION_FETCH_BYTES,
            listener=listener,
            parser=_whole,
            decoder=_raw,
        )

        async def consume(message: KafkaMessage) -> None:
            records = message.raw_message
            assert isinstance(records, tuple)  # batch=True; narrows the type for mypy
            await handle(records)

        self._subscriber(consume)

    @property
    def consumer(self) -> AIOKafkaConsumer:
        """The aiokafka consumer behind the subscriber; there is one between `start` and `stop`."""
        consumer = self._subscriber.consumer
        if consumer is None:
            raise RuntimeError("the subscription is not started")
        return consumer

    @property
    def left(self) -> bool:
        """Whether aiokafka has given up being in the group, by an error of its own: nothing then brings it back."""
        return bool(self.consumer._coordinator._coordination_task.done())

    def doubt(self) -> None:
        """What was asked has brought no answer in time: the next goes over new connections. aiokafka closes one only
        where its own limit for that request comes first, and for offsets it does not."""
        access.let_go(self.consumer._client, silent_s=SILENT_S)

    async def topic_ids(self, topics: Iterable[str]) -> Mapping[str, UUID]:
        """The present id of each topic that exists. Raises a KafkaError while no broker answers."""
        return await present_ids(self.consumer._client, topics)  # for every poll; its own would be one connection each

    async def start(self) -> None:
        """Joins the group. Raises a KafkaError while no broker answers."""
        await self._broker.start()
        consumer = self.consumer
        getmany = consumer.getmany

        async def watched(*partitions: Any, **options: Any) -> Any:
            # Empty polls never reach the handler, so liveness is fed from here.
            self._turned()
            try:
                records = await getmany(*partitions, **options)
            except Exception:
                self._lost()
                raise
            self._polled(records)
            return records

        consumer.getmany = watched  # the only place where empty polls show

    async def stop(self) -> None:
        """Leaves the group after the poll in hand, or after 20 s without; harmless when not started."""
        consumer = self._subscriber.consumer
        await access.ended(self._broker.stop(), None if consumer is None else consumer._client, STOPPED_S)


async def drop_producer(producer: AIOKafkaProducer) -> None:
    """Ends it in 10 s, whatever it waits for, and what it has not sent yet is not sent any more: idempotent batches
    never expire, and those that wait for a partition's leader would be sent whenever there is one again."""

    access.let_go(producer.client)
    await access.ended(producer._sender.close(), producer.client)
    access.let_go(producer.client)
    await access.ended(producer.stop(), producer.client)


async def start_producer(bootstrap: str, client_id: str) -> AIOKafkaProducer:
    """An idempotent producer, `acks=all`, started. Raises a KafkaError while no broker answers."""
    producer = AIOKafkaProducer(
        **access.to(bootstrap, request_timeout_ms=SEND_TIMEOUT_S * 1000),
        client_id=client_id,
        acks="all",
        enable_idempotence=True,
        max_batch_size=MAX_BATCH_BYTES,
        max_request_size=MAX_REQUEST_BYTES,
    )
    try:
        await producer.start()
    except BaseException:
        await drop_producer(producer)
        raise
    return producer
