"""Kafka's topics and users as manifests, from the catalogue: `python -m deploy.k8s.kafka [--check]`.

Who writes a topic stands in the catalogue, who reads it in each service's `__main__`. So a service that begins to read
another topic gets its right with the next `make verify`, and nobody has a right that its code does not use.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

from gateway.lag import READERS

from contracts.topics import TOPICS, Topic
from deploy import generated
from ocop.services import SERVICES, Service

HERE: Final = Path(__file__).parent
CLUSTER: Final = "ocop"
REPLICAS: Final = 3
IN_SYNC: Final = 2
PREFIX: Final = "ocop."  # of all topics of the catalogue

# Fences, not plans: so much that no service at work meets them, so little that one gone wild leaves the others room.
PRODUCER_BYTES_S: Final = 20 * 1024 * 1024
CONSUMER_BYTES_S: Final = 60 * 1024 * 1024
REQUEST_PERCENT: Final = 100  # of one broker thread

HEAD: Final = "# Written by `python -m deploy.k8s.kafka` from the catalogue. Do not edit.\n"
KEEP: Final = "argocd.argoproj.io/sync-options: Prune=false,Delete=false"


@dataclass(frozen=True, slots=True)
class Right:
    """What a user may do with one resource of Kafka."""

    kind: str  # topic or group
    name: str
    operations: tuple[str, ...]
    pattern: str = "literal"


def reads(service: Service) -> tuple[str, ...]:
    """The topics that a service's code subscribes to."""
    main = importlib.import_module(f"{service.package}.__main__")
    handlers = main.READS if hasattr(main, "READS") else main.reads(timedelta())
    return tuple(sorted({topic for handler in handlers for topic in handler.topics}))


def rights(service: Service) -> Iterator[Right]:
    """What a service does on Kafka: its group, its topics, and a look at whether all topics are there."""
    own = [topic.name for topic in TOPICS.values() if topic.service == service.wire]
    yield Right("topic", PREFIX, ("Describe",), "prefix")
    for name in reads(service):
        yield Right("topic", name, ("Read",))
    for name in own:
        # Read: a service looks at start whether its database knows what it has said. DescribeConfigs: `ocop republish`.
        yield Right("topic", name, ("DescribeConfigs", "Read", "Write"))
    yield Right("group", service.wire, ("Read",))
    if service.wire == "gateway":  # it looks how far the readers are behind, before it adds backfill
        for group in READERS:
            yield Right("group", group, ("Describe",))


def scaler() -> Iterator[Right]:
    """KEDA's: it compares the groups' offsets with the topics' ends."""
    yield Right("topic", PREFIX, ("Describe",), "prefix")
    for group in READERS:
        yield Right("group", group, ("Describe",))


def operator() -> Iterator[Right]:
    """Of operators' commands: they read everything, and say again what a service has said. They are in no group, and
    make no topic: Strimzi does."""
    yield Right("topic", PREFIX, ("Describe", "Read"), "prefix")
    for name in TOPICS:
        yield Right("topic", name, ("DescribeConfigs", "Write"))  # `ocop republish`, as it would be beside the service
    for group in READERS:  # `ocop backfill status`
        yield Right("group", group, ("Describe",))


def topic_manifest(topic: Topic) -> str:
    """A KafkaTopic."""
    config = topic.config | {"min.insync.replicas": str(IN_SYNC)}
    lines = "".join(f'    {name}: "{value}"\n' for name, value in config.items())
    return f"""---
apiVersion: kafka.strimzi.io/v1
kind: KafkaTopic
metadata:
  name: {topic.name}
  labels:
    strimzi.io/cluster: {CLUSTER}
  annotations:
    argocd.argoproj.io/sync-wave: "-1"
    {KEEP}
spec:
  topicName: {topic.name}
  partitions: {topic.partitions}
  replicas: {REPLICAS}
  config:
{lines}"""


def user_manifest(name: str, allowed: Sequence[Right]) -> str:
    """A KafkaUser with a certificate of its own."""
    acls = "".join(
        f"""      - resource:
          type: {right.kind}
          name: {right.name}
          patternType: {right.pattern}
        operations: [{", ".join(right.operations)}]
"""
        for right in allowed
    )
    return f"""---
apiVersion: kafka.strimzi.io/v1
kind: KafkaUser
metadata:
  name: {name}
  labels:
    strimzi.io/cluster: {CLUSTER}
  annotations:
    argocd.argoproj.io/sync-wave: "-1"
spec:
  authentication:
    type: tls
  authorization:
    type: simple
    acls:
{acls}  quotas:
    producerByteRate: {PRODUCER_BYTES_S}
    consumerByteRate: {CONSUMER_BYTES_S}
    requestPercentage: {REQUEST_PERCENT}
"""


def topics_script() -> str:
    """For the one Kafka of `dev`, which no operator looks after: Kafka's own command, once per topic."""
    lines = []
    for topic in TOPICS.values():
        config = " ".join(f"--config {name}={value}" for name, value in topic.config.items())
        lines.append(f"create --topic {topic.name} --partitions {topic.partitions} --replication-factor 1 {config}\n")
    return (
        f"#!/bin/sh\n{HEAD}set -eu\n"
        "create() {\n"
        '  /opt/kafka/bin/kafka-topics.sh --bootstrap-server kafka:9092 --create --if-not-exists "$@"\n'
        "}\n" + "".join(lines)
    )


def files() -> dict[Path, str]:
    """What is written, and where."""
    users = {service.name: rights(service) for service in SERVICES} | {"keda": scaler(), "operator": operator()}
    written = "".join(user_manifest(name, tuple(allowed)) for name, allowed in users.items())
    return {
        HERE / "cluster/kafka/topics.yaml": HEAD + "".join(map(topic_manifest, TOPICS.values())),
        HERE / "cluster/kafka/users.yaml": HEAD + written,
        HERE / "overlays/dev/topics.sh": topics_script(),
    }


def main(arguments: list[str]) -> int:
    """The command; its exit status."""
    return generated.command(files(), "deploy.k8s.kafka", arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
