"""How much lies unread: in records, and in seconds since all of it had been read.

A process may have several readers, each with partitions of its own; what is told is of all of them.
"""

import time
from collections.abc import Collection, Iterable, Mapping
from typing import ClassVar
from weakref import WeakSet

from aiokafka import TopicPartition

from servicekit.metrics import METRICS


class Lag:
    """Of one reader of these topics, from one look at Kafka to the next."""

    _all: ClassVar["WeakSet[Lag]"] = WeakSet()

    def __init__(self, topics: Iterable[str]) -> None:
        self._topics = sorted(topics)
        # The latest look at where a topic's partitions ended of which not all has been read; and when the look was of
        # which all has been.
        self._looks: dict[str, tuple[float, Mapping[TopicPartition, int]]] = {}
        self._read_at: dict[str, float] = {}
        self._told: dict[str, tuple[int, float]] = {}
        self._all.add(self)

    def look(
        self, stands: Mapping[TopicPartition, int], ends: Mapping[TopicPartition, int], stopped: Collection[str]
    ) -> int:
        """Sets the metrics by how far its partitions have been read and where they end; returns how many records are
        unread. Stopped topics are left out: `ocop_topic_stopped` speaks of those."""
        now, all_unread = time.monotonic(), 0
        for topic in self._topics:
            if topic in stopped:
                self._told[topic] = self._told.get(topic, (0, 0.0))[0], 0.0
                continue
            there = {partition: end for partition, end in ends.items() if partition.topic == topic}
            unread = sum(max(0, end - stands.get(partition, end)) for partition, end in there.items())
            looked_at, then = self._looks.setdefault(topic, (now, there))
            # Its log may have been made anew meanwhile, and be shorter.
            due = {partition: min(end, there.get(partition, end)) for partition, end in then.items()}
            if all(stands.get(partition, end) >= end for partition, end in due.items()):
                self._read_at[topic] = looked_at
                self._looks[topic] = now, there
            self._told[topic] = unread, now - self._read_at.setdefault(topic, now) if unread else 0.0
            all_unread += unread
        self._tell()
        return all_unread

    def unanswered(self, stopped: Collection[str]) -> None:
        """Kafka does not say where its partitions end: since all had been read, anything may have come."""
        now = time.monotonic()
        for topic in self._topics:
            records, _ = self._told.get(topic, (0, 0.0))
            behind = 0.0 if topic in stopped else now - self._read_at.setdefault(topic, now)
            self._told[topic] = records, behind
        self._tell()

    def _tell(self) -> None:
        for topic in self._topics:
            of_all = [each._told[topic] for each in self._all if topic in each._told]
            METRICS.lag.labels(topic).set(sum(records for records, _ in of_all))
            METRICS.behind.labels(topic).set(max(seconds for _, seconds in of_all))
