"""The ids of topics: how a reader notices that a topic of the same name has been made anew.

Own request, because aiokafka speaks the metadata protocol only up to version 5 and ids come with version 10.
"""

import asyncio
from collections.abc import Iterable
from io import BytesIO
from typing import Final
from uuid import UUID

from aiokafka.client import AIOKafkaClient, ConnectionGroup
from aiokafka.conn import CloseReason
from aiokafka.errors import RequestTimedOutError, UnknownTopicOrPartitionError
from aiokafka.protocol.abstract import AbstractType
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Boolean, CompactArray, CompactString, Int16, Int32, Schema, TaggedFields

from servicekit import access

# Connections are kept by node and group. A broker answers a connection's requests one after another, and a reader's
# fetch stays there until there is something to read: what is asked between takes a connection of its own.
ASKED_BESIDE: Final = "topic ids"
ASKED_S: Final = 5.0


class _Uuid(AbstractType[UUID]):
    @classmethod
    def encode(cls, value: UUID) -> bytes:
        return value.bytes

    @classmethod
    def decode(cls, data: BytesIO) -> UUID:
        return UUID(bytes=data.read(16))


class _MetadataResponse(Response):
    API_KEY = 3
    API_VERSION = 10
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "brokers",
            CompactArray(
                ("node_id", Int32),
                ("host", CompactString("utf-8")),
                ("port", Int32),
                ("rack", CompactString("utf-8")),
                ("tags", TaggedFields),
            ),
        ),
        ("cluster_id", CompactString("utf-8")),
        ("controller_id", Int32),
        (
            "topics",
            CompactArray(
                ("error_code", Int16),
                ("name", CompactString("utf-8")),
                ("topic_id", _Uuid),
                ("is_internal", Boolean),
                (
                    "partitions",
                    CompactArray(
                        ("error_code", Int16),
                        ("partition_index", Int32),
                        ("leader_id", Int32),
                        ("leader_epoch", Int32),
                        ("replica_nodes", CompactArray(Int32)),
                        ("isr_nodes", CompactArray(Int32)),
                        ("offline_replicas", CompactArray(Int32)),
                        ("tags", TaggedFields),
                    ),
                ),
                ("topic_authorized_operations", Int32),
                ("tags", TaggedFields),
            ),
        ),
        ("cluster_authorized_operations", Int32),
        ("tags", TaggedFields),
    )


class _MetadataRequestV10(RequestStruct):
    FLEXIBLE_VERSION = True
    API_KEY = 3
    API_VERSION = 10
    RESPONSE_TYPE = _MetadataResponse
    SCHEMA = Schema(
        (
            "topics",
            CompactArray(("topic_id", _Uuid), ("name", CompactString("utf-8")), ("tags", TaggedFields)),
        ),
        ("allow_auto_topic_creation", Boolean),
        ("include_cluster_authorized_operations", Boolean),
        ("include_topic_authorized_operations", Boolean),
        ("tags", TaggedFields),
    )


class _MetadataRequest(Request[_MetadataRequestV10]):
    API_KEY = 3

    def __init__(self, topics: Iterable[str]) -> None:
        self._topics = list(topics)

    def build(self, request_struct_class: type[_MetadataRequestV10]) -> _MetadataRequestV10:
        topics: list[tuple[UUID, str, dict[int, bytes]]] = [(UUID(int=0), name, {}) for name in self._topics]
        return request_struct_class(topics, False, False, False, {})


async def topic_ids(bootstrap: str, topics: Iterable[str]) -> dict[str, UUID]:
    """The present id of each topic. Raises a KafkaError if the broker is away or a topic does not exist."""
    client = AIOKafkaClient(**access.to(bootstrap, request_timeout_ms=10_000), client_id="ocop-topic-ids")
    await client.bootstrap()
    topics = list(topics)
    try:
        ids = await present_ids(client, topics)
    finally:
        await access.ended(client.close(), client)
    if missing := set(topics) - ids.keys():
        raise UnknownTopicOrPartitionError(", ".join(sorted(missing)))
    return ids


async def present_ids(
    client: AIOKafkaClient, topics: Iterable[str], over: str | ConnectionGroup = ASKED_BESIDE
) -> dict[str, UUID]:
    """The same over a client that there is; a topic that does not exist is not in the answer. Raises
    RequestTimedOutError after 5 s, and asks over a new connection the next time."""
    node = client.get_random_node()
    await client.ready(node, group=over)  # what takes long to connect need not begin anew each time
    try:
        async with asyncio.timeout(ASKED_S):
            response = await client.send(node, _MetadataRequest(topics), group=over)
    except TimeoutError:
        silent = client._conns.get((node, over))  # aiokafka gives it up when its own time is over only
        if silent is not None:
            silent.close(reason=CloseReason.CONNECTION_TIMEOUT)
        raise RequestTimedOutError from None
    return {name: topic_id for error_code, name, topic_id, *_ in response.topics if not error_code}
