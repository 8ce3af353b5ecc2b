"""A model of Kafka: logs, ids of topics, groups, consumers that may be zombies, producers that may not be answered.

What it may do is what the real one may: a record may lie there twice, an offset may be missing, a log may be
made anew under its readers, a send may arrive although its sender was told that it did not, or arrive
much later. What it may not: lose what it acknowledged, or let a producer's second record of a partition arrive
where the first did not (the producer is idempotent).
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from uuid import UUID, uuid4

from aiokafka import TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaConnectionError, KafkaTimeoutError
from aiokafka.partitioner import DefaultPartitioner
from aiokafka.structs import RecordMetadata

from contracts.topics import TOPICS
from tests.simulation.schedule import Sending, gate

USED = 2  # of the partitions that a topic has: few, so that subjects share them
FULL = 3  # records of a batch: few, so that a partition gets several at a time


@dataclass(frozen=True, slots=True)
class Record:
    """As aiokafka hands it out, so far as anybody looks."""

    topic: str
    partition: int
    offset: int
    key: bytes
    headers: tuple[tuple[str, bytes], ...]
    value: bytes
    ours: bool  # a service sent it; not thrown there by a stranger

    def named(self, name: str) -> str:
        """What a CloudEvents header says, or nothing."""
        return next((value.decode(errors="replace") for key, value in self.headers if key == f"ce_{name}"), "")


@dataclass(slots=True)
class Log:
    """One partition."""

    first: int = 0
    next: int = 0
    records: list[Record] = field(default_factory=list)


@dataclass(slots=True)
class Broker:
    """The whole of Kafka."""

    up: bool = True
    ids: dict[str, UUID] = field(default_factory=lambda: {topic: uuid4() for topic in TOPICS})
    logs: dict[TopicPartition, Log] = field(
        default_factory=lambda: {
            TopicPartition(topic.name, p): Log() for topic in TOPICS.values() for p in range(topic.partitions)
        }
    )
    groups: dict[tuple[str, TopicPartition], int] = field(default_factory=dict)
    late: list[tuple[str, bytes, tuple[tuple[str, bytes], ...], bytes]] = field(default_factory=list)
    history: list[Record] = field(default_factory=list)  # every record that ever lay anywhere, in order

    def append(
        self, topic: str, key: bytes, headers: Iterable[tuple[str, bytes]], value: bytes, *, ours: bool = True
    ) -> Record:
        """Puts a record at the end of its key's partition."""
        partition = TopicPartition(topic, DefaultPartitioner()(key, list(range(USED)), []))
        log = self.logs[partition]
        record = Record(topic, partition.partition, log.next, key, tuple(headers), value, ours)
        log.records.append(record)
        log.next += 1
        self.history.append(record)
        return record

    def of(self, topic: str) -> list[Record]:
        """What lies on a topic."""
        return [record for p in range(USED) for record in self.logs[TopicPartition(topic, p)].records]

    def make_anew(self, topic: str) -> None:
        """The topic is deleted and made again, empty."""
        self.ids[topic] = uuid4()
        for p in range(USED):
            self.logs[TopicPartition(topic, p)] = Log()

    def arrive(self, n: int) -> None:
        """The first of those that are late come at last."""
        for _ in range(min(n, len(self.late))):
            self.append(*self.late.pop(0))

    async def ask(self, what: str) -> None:
        """A request of a client. Raises KafkaConnectionError if nobody answers."""
        fault = await gate(what)
        if fault is not None or not self.up:
            raise KafkaConnectionError(f"{what}: no answer")


class Consumer:
    """A member of a group, or a zombie that does not know that it is none any more."""

    _client = SimpleNamespace(_conns={})

    def __init__(self, broker: Broker, group: str = "") -> None:
        self.broker, self._group = broker, group
        self.positions: dict[TopicPartition, int] = {}
        self.member = True
        self._paused: set[TopicPartition] = set()

    def assign(self, partitions: Iterable[TopicPartition]) -> None:
        """Reads these from where the group's offset leads."""
        self.positions = {p: self.broker.groups.get((self._group, p), self.broker.logs[p].first) for p in partitions}

    def assignment(self) -> set[TopicPartition]:
        return set(self.positions)

    def pause(self, *partitions: TopicPartition) -> None:
        self._paused |= set(partitions)

    def resume(self, *partitions: TopicPartition) -> None:
        self._paused -= set(partitions)

    def seek(self, partition: TopicPartition, offset: int) -> None:
        if partition not in self.positions:
            raise IllegalStateError(f"No current assignment for partition {partition}")
        self.positions[partition] = offset

    async def position(self, partition: TopicPartition) -> int:
        return self.positions[partition]

    async def beginning_offsets(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        await self.broker.ask("beginning offsets")
        return {partition: self.broker.logs[partition].first for partition in partitions}

    async def end_offsets(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        await self.broker.ask("end offsets")
        return {partition: self.broker.logs[partition].next for partition in partitions}

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        await self.broker.ask("commit group offsets")
        if not self.member:
            raise CommitFailedError("no member of the group")
        self.broker.groups |= {(self._group, partition): offset for partition, offset in offsets.items()}

    def take(self, limit: int, only: Sequence[TopicPartition] = ()) -> dict[TopicPartition, list[Record]]:
        """The next records, at most so many of each partition; an offset that is not there starts from the log's
        beginning, as `auto_offset_reset` says."""
        taken: dict[TopicPartition, list[Record]] = {}
        for partition in sorted(only or self.positions):
            if partition not in self.positions or partition in self._paused:
                continue
            log = self.broker.logs[partition]
            if not log.first <= self.positions[partition] <= log.next:
                self.positions[partition] = log.first
            records = [record for record in log.records if record.offset >= self.positions[partition]]
            # What lies behind the last record without being one is passed over, as control records are.
            self.positions[partition] = records[limit - 1].offset + 1 if len(records) > limit else log.next
            if records:
                taken[partition] = records[:limit]
        return taken

    def unread(self) -> bool:
        """Whether anything lies before it."""
        return any(
            any(record.offset >= position for record in self.broker.logs[partition].records)
            for partition, position in self.positions.items()
        )

    async def getmany(
        self, *only: TopicPartition, timeout_ms: int = 0, max_records: int = 500
    ) -> dict[TopicPartition, list[Record]]:
        await self.broker.ask("fetch")
        return self.take(max_records, only)

    async def start(self) -> None:
        await self.broker.ask("start consumer")

    async def stop(self) -> None: ...


@dataclass(slots=True)
class Batch:
    """Records of one partition, which have one fate."""

    records: list[tuple[bytes, tuple[tuple[str, bytes], ...], bytes]] = field(default_factory=list)

    def append(
        self, *, timestamp: None, key: bytes, value: bytes, headers: Iterable[tuple[str, bytes]]
    ) -> object | None:
        """None if it is full."""
        assert timestamp is None
        if len(self.records) == FULL:
            return None
        self.records.append((key, tuple(headers), value))
        return self


class Producer:
    """Idempotent. `plan` says what becomes of its next sends."""

    client = None

    def __init__(self, broker: Broker, plan: list[Sending]) -> None:
        self._broker, self._plan = broker, plan
        self._stuck: dict[TopicPartition, Sending] = {}

    async def start(self) -> None:
        await self._broker.ask("start producer")

    async def stop(self) -> None:
        await gate("stop producer")

    async def partitions_for(self, _: str) -> set[int]:
        return set(range(USED))

    def create_batch(self) -> Batch:
        return Batch()

    async def send_batch(self, batch: Batch, topic: str, *, partition: int) -> "asyncio.Future[RecordMetadata]":
        lost = await gate("send")
        place = TopicPartition(topic, partition)
        sending: Sending = self._plan.pop(0) if self._plan else "fine"
        if lost is not None or not self._broker.up:
            sending = "never"
        sending = self._stuck.get(place, sending)
        if sending in ("late", "never"):
            self._stuck[place] = sending
        answer: asyncio.Future[RecordMetadata] = asyncio.get_running_loop().create_future()
        if sending == "late":
            self._broker.late += [(topic, *record) for record in batch.records]
        elif sending != "never":
            lie = [self._broker.append(topic, *record) for record in batch.records]
            assert all(record.partition == partition for record in lie), "not the partition of its key"
            if sending == "fine":
                answer.set_result(RecordMetadata(*place, place, lie[0].offset, -1, 0, 0))
                return answer
        answer.set_exception(KafkaTimeoutError("not acknowledged"))
        answer.exception()  # a sender that dies meanwhile does not ask
        return answer
