"""Mutants of the way out, and of what is looked at before a service speaks."""

from tests.mutants.mutant import mutant

RELAY, KAFKA = "servicekit/relay.py", "servicekit/kafka.py"
TEST = "delivery/test_relay.py"

MUTANTS = (
    mutant(
        "removed-up-to-the-last",
        "what is confirmed is removed by the ids listed, not `id <= last`",
        RELAY,
        "DELETE FROM outbox WHERE id = ANY($5::bigint[])",
        "DELETE FROM outbox WHERE id <= (SELECT max(id) FROM unnest($5::bigint[]) AS listed(id))",
        f"{TEST}::test_a_lower_id_that_commits_while_others_are_sent_is_not_removed",
    ),
    mutant(
        "removed-around-a-hole",
        "the longest confirmed prefix is removed, never around a hole",
        RELAY,
        """            if isinstance(result, BaseException):
                break""",
        """            if isinstance(result, BaseException):
                continue""",
        f"{TEST}::test_nothing_is_removed_around_a_hole",
    ),
    mutant(
        "farewell-waited-for",
        "a producer is dropped, whatever its connections wait for",
        KAFKA,
        """    access.let_go(producer.client)
    await access.ended(producer._sender.close(), producer.client)
    access.let_go(producer.client)
""",
        "    await access.ended(producer._sender.close(), None)\n",
        "servicekit/test_silence.py::test_a_producer_is_dropped_though_its_connections_do_not_close",
    ),
    mutant(
        "idle-relay-blind",
        "who has nothing to send finds out, too, that the way is forgotten",
        RELAY,
        "                elif self._producer is not None:",
        "                elif False:",
        f"{TEST}::test_who_has_nothing_to_send_finds_out_that_the_way_is_forgotten",
    ),
    mutant(
        "same-producer-after-an-error",
        "after any error a new producer",
        RELAY,
        """                    await self._drop_producer()
                    await asyncio.sleep(RETRY_S)""",
        """                    await asyncio.sleep(RETRY_S)""",
        f"{TEST}::test_nothing_is_removed_around_a_hole",
    ),
    mutant(
        "one-offset-for-a-batch",
        "how far each partition is confirmed is known by the row",
        RELAY,
        "(batch.partition, answer.offset + place)",
        "(batch.partition, answer.offset)",
        f"{TEST}::test_in_order_and_removed_when_confirmed",
    ),
    mutant(
        "full-batches-taken-for-endless",
        "what does not fit into a batch begins the next one",
        RELAY,
        "if partition not in last or not last[partition].takes(number, key, row):",
        "if partition in last:\n                last[partition].takes(number, key, row)\n            else:",
        f"{TEST}::test_what_fills_several_batches_stays_in_order",
    ),
    mutant(
        "not-in-order",
        "the relay begins with the least row",
        RELAY,
        "octet_length(payload)) ORDER BY id",
        "octet_length(payload)) ORDER BY id DESC",
        f"{TEST}::test_in_order_and_removed_when_confirmed",
    ),
    mutant(
        "sent-however-large",
        "of large rows so much is sent at once as a time suffices for",
        RELAY,
        "WHERE bytes <= greatest($2, octet_length(payload))",
        "WHERE bytes <= greatest($2::bigint, bytes)",
        "servicekit/test_relay.py::test_of_large_rows_so_much_is_sent_at_once_as_a_time_suffices_for",
    ),
    mutant(
        "confirmed-not-remembered",
        "how far each partition is confirmed is written with the removal",
        RELAY,
        """ON CONFLICT (topic, partition)
             DO UPDATE SET next_offset = EXCLUDED.next_offset, topic_id = EXCLUDED.topic_id""",
        "WHERE false ON CONFLICT DO NOTHING",
        f"{TEST}::test_in_order_and_removed_when_confirmed",
    ),
    mutant(
        "many-leaders",
        "one leader per service",
        RELAY,
        """("SELECT pg_try_advisory_lock($1)", _LOCK):
                health.turned()""",
        """("SELECT $1 > 0", _LOCK):
                health.turned()""",
        f"{TEST}::test_one_leader_and_its_lock_goes_with_its_connection",
    ),
    mutant(
        "producer-not-idempotent",
        "the producer is idempotent",
        KAFKA,
        "        enable_idempotence=True,",
        "        enable_idempotence=False,",
        f"{TEST}::test_the_producer_is_idempotent_and_waits_for_all",
    ),
    mutant(
        "not-time-boxed",
        "sending is bounded in time",
        RELAY,
        "    async with asyncio.timeout(SEND_TIMEOUT_S):\n        partitions",
        "    async with asyncio.timeout(None):\n        partitions",
        "servicekit/test_relay.py::test_a_send_that_is_never_confirmed_ends",
    ),
    mutant(
        "box-begins-with-the-send",
        "a leader has nothing under way for longer than who takes its place waits",
        RELAY,
        "        async with asyncio.timeout(SEND_TIMEOUT_S):  # who",
        "        async with asyncio.timeout(None):  # who",
        "servicekit/test_relay.py::test_what_comes_before_a_send_counts_in_its_time",
    ),
    mutant(
        "set-back-unnoticed",
        "a service that has said more than it knows stays still",
        "servicekit/service.py",
        "for check in (self._schema, self._topics, self._not_set_back):",
        "for check in (self._schema, self._topics):",
        "delivery/test_spine.py::test_a_database_set_back_stops_and_says_so",
    ),
    mutant(
        "confirmed-of-any-epoch",
        "what was confirmed of a topic that is no more says nothing of the one of its name",
        "servicekit/setback.py",
        """
            if row["topic_id"] == epochs.get(row["topic"])""",
        "",
        f"{TEST}::test_what_was_confirmed_of_a_topic_that_is_no_more_says_nothing_of_this_one",
    ),
    mutant(
        "epoch-not-remembered",
        "how far it is confirmed is remembered with the topic's epoch",
        RELAY,
        "[epochs.get(partition.topic) for partition in ordered]",
        "[None for partition in ordered]",
        f"{TEST}::test_how_far_it_is_confirmed_is_remembered_with_the_topics_epoch",
    ),
    mutant(
        "leads-whatever-its-past",
        "before it leads, the relay looks whether its database knows what it has said",
        RELAY,
        "            await still_knows(connection, self._bootstrap, self._service)\n",
        "",
        f"{TEST}::test_who_does_not_know_what_it_has_said_sends_nothing_more",
    ),
    mutant(
        "lost-topic-unnoticed",
        "a topic made anew is known as lost until all of it has been said again",
        RELAY,
        "            await loss.notice(connection, self._epochs)\n",
        "",
        f"{TEST}::test_a_topic_made_anew_is_lost_until_it_has_been_said_again",
    ),
    mutant(
        "lost-topic-hidden-by-a-part",
        "a topic made anew is known as lost until all of it has been said again",
        "servicekit/republish.py",
        "                    await loss.notice(connection, epochs)\n",
        "",
        f"{TEST}::test_what_is_said_again_in_part_does_not_hide_that_the_topic_is_lost",
    ),
    mutant(
        "lost-topic-mended-by-a-part",
        "a topic made anew is known as lost until all of it has been said again",
        "servicekit/republish.py",
        "if since is until is None:",
        "if True:",
        f"{TEST}::test_a_topic_made_anew_is_lost_until_it_has_been_said_again",
    ),
    mutant(
        "dropped-producer-goes-on",
        "a producer that is dropped sends nothing more",
        KAFKA,
        "    await access.ended(producer._sender.close(), producer.client)\n",
        "",
        f"{TEST}::test_a_producer_that_is_dropped_sends_nothing_more",
    ),
)
