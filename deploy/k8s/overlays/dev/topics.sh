#!/bin/sh
# Written by `python -m deploy.k8s.kafka` from the catalogue. Do not edit.
set -eu
create() {
  /opt/kafka/bin/kafka-topics.sh --bootstrap-server kafka:9092 --create --if-not-exists "$@"
}
create --topic ocop.submission.registry --partitions 12 --replication-factor 1 --config cleanup.policy=delete --config retention.ms=2592000000 --config max.message.bytes=1048576
create --topic ocop.submission.evaluation --partitions 12 --replication-factor 1 --config cleanup.policy=delete --config retention.ms=2592000000 --config max.message.bytes=1048576
create --topic ocop.submission.marketplace --partitions 12 --replication-factor 1 --config cleanup.policy=delete --config retention.ms=2592000000 --config max.message.bytes=1048576
create --topic ocop.registry.owner --partitions 12 --replication-factor 1 --config cleanup.policy=delete --config retention.ms=-1 --config max.message.bytes=1048576
create --topic ocop.registry.product --partitions 12 --replication-factor 1 --config cleanup.policy=delete --config retention.ms=-1 --config max.message.bytes=1048576
create --topic ocop.evaluation.recognition --partitions 12 --replication-factor 1 --config cleanup.policy=delete --config retention.ms=-1 --config max.message.bytes=1048576
create --topic ocop.marketplace.listing --partitions 12 --replication-factor 1 --config cleanup.policy=delete --config retention.ms=-1 --config max.message.bytes=1048576
create --topic ocop.registry.outcome --partitions 12 --replication-factor 1 --config cleanup.policy=delete --config retention.ms=2592000000 --config max.message.bytes=1048576
create --topic ocop.evaluation.outcome --partitions 12 --replication-factor 1 --config cleanup.policy=delete --config retention.ms=2592000000 --config max.message.bytes=1048576
create --topic ocop.marketplace.outcome --partitions 12 --replication-factor 1 --config cleanup.policy=delete --config retention.ms=2592000000 --config max.message.bytes=1048576
