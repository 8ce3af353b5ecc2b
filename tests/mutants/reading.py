"""Mutants of reading: position, poll, transaction, giving up."""

from tests.mutants.mutant import belt, mutant

RUNNER, POSITION = "servicekit/runner.py", "servicekit/position.py"
TEST, PLACES = "servicekit/test_runner.py", "servicekit/test_position.py"

MUTANTS = (
    mutant(
        "position-outside",
        "the position moves in the transaction that does the work",
        RUNNER,
        """            await position.advance(connection, moved)
            failpoint("before-commit")
        failpoint("after-commit")
""",
        """            failpoint("before-commit")
        failpoint("after-commit")
        async with database.acquire(self._pool) as connection:
            await position.advance(connection, moved)
""",
        f"{TEST}::test_a_commit_whose_answer_was_lost_is_not_done_twice",
    ),
    mutant(
        "commit-before-work",
        "nothing is acknowledged before it is done",
        RUNNER,
        """            ours, moved = await self._ours(connection, poll)
            for handler""",
        """            ours, moved = await self._ours(connection, poll)
            await position.advance(connection, moved)
        async with database.transaction(self._pool) as connection:
            for handler""",
        f"{TEST}::test_an_outage_puts_nothing_aside",
    ),
    mutant(
        "position-not-moved",
        "the position moves with the work",
        RUNNER,
        """            await position.advance(connection, moved)
            failpoint("before-commit")""",
        """            failpoint("before-commit")""",
        f"{TEST}::test_a_hole_in_the_log_is_no_loss",
    ),
    mutant(
        "group-offset-trusted",
        "the row of `position` says where to read, not where the group's offset has led",
        RUNNER,
        "            if began != where",
        "            if False",
        f"{TEST}::test_where_somebody_else_has_been_is_put_back",
    ),
    mutant(
        "too-late-for-ever",
        "a poll that takes too long each time is taken one by one",
        RUNNER,
        "                late = isinstance(error, database.TOO_LATE)",
        "                late = False",
        f"{TEST}::test_a_poll_that_always_ends_too_late_is_taken_one_by_one",
    ),
    mutant(
        "drained-too-late-for-ever",
        "what was held and takes too long at once is taken one by one",
        "servicekit/waker.py",
        "if isinstance(error, database.TOO_LATE):",
        "if False:",
        "servicekit/test_waker.py::test_heads_that_are_too_much_at_once_are_tried_one_by_one",
    ),
    mutant(
        "counted-before-commit",
        "what is rolled back and tried again is counted once",
        "servicekit/database.py",
        "        counts.append(count)",
        "        count()",
        f"{TEST}::test_what_is_tried_again_is_counted_once",
    ),
    belt(
        "assigned-without-seek",
        "an assigned partition is sought to its row",
        RUNNER,
        "            await self._settle(list(assigned))",
        "            pass",
        f"{TEST}::test_where_somebody_else_has_been_is_put_back",
        "a partition whose place is not known is settled before its first records are taken, and by `_look_round`",
    ),
    mutant(
        "first-record-compared",
        "compared is where reading stood, not the first record: logs have holes",
        RUNNER,
        "            if began != where",
        "            if messages[0].offset != where",
        f"{TEST}::test_a_hole_in_the_log_is_no_loss",
    ),
    mutant(
        "put-back-forgotten",
        "a partition that was put back stays out of that poll",
        RUNNER,
        "        self._began[partition] = None\n",
        "        self._began[partition] = offset\n",
        f"{TEST}::test_what_was_put_back_stays_out_however_often_the_poll_is_tried",
    ),
    mutant(
        "lost-poll-unnoticed",
        "a poll that the framework lost is read again",
        RUNNER,
        """            self._stands.pop(partition, None)
        self._began =""",
        """            pass
        self._began =""",
        f"{TEST}::test_a_poll_that_never_arrived_is_read_again",
    ),
    mutant(
        "older-records-dropped",
        "records older than where reading stood settle the partition",
        RUNNER,
        "            if messages[0].offset < where:",
        "            if False:",
        f"{TEST}::test_records_older_than_where_reading_stood_settle_the_partition",
    ),
    mutant(
        "revoked-remembered",
        "a partition that was given away is not remembered",
        RUNNER,
        "            if self._stands.get(partition) == self._began[partition]:",
        "            if True:",
        f"{TEST}::test_a_partition_given_away_meanwhile_is_not_remembered",
    ),
    mutant(
        "failed-poll-forgotten",
        "what the consumer took off before it failed is read again",
        "servicekit/kafka.py",
        """                self._lost()
                raise""",
        "                raise",
        "delivery/test_subscription.py::test_what_a_failing_consumer_took_is_read_again",
    ),
    mutant(
        "quiet-partition-unsettled",
        "what an outage kept from being settled is settled later",
        RUNNER,
        "                await self._settle([partition for partition in rest if partition.topic == topic])",
        "                pass",
        f"{TEST}::test_what_an_outage_kept_from_being_settled_is_settled_later",
    ),
    mutant(
        "epoch-ignored",
        "a topic made anew is read from its start",
        POSITION,
        "            elif topic_id != ids[partition.topic]:",
        "            elif False:",
        f"{PLACES}::test_a_topic_made_anew_is_read_from_its_start",
    ),
    mutant(
        "seek-alone",
        "its rows go to the start before anything is read: seeking alone drops records",
        POSITION,
        "AND (p.next_offset, p.topic_id) IS DISTINCT FROM (n.next_offset, n.topic_id)",
        "AND false",
        f"{PLACES}::test_a_topic_made_anew_is_read_from_its_start",
    ),
    mutant(
        "places-not-freed",
        "the offsets of held rows belong to a log that is no more",
        POSITION,
        """                await _free_places(connection, partition)
""",
        "",
        f"{PLACES}::test_what_is_held_gives_its_place_in_a_log_that_is_no_more",
    ),
    mutant(
        "gone-unread-passed-over",
        "below the log's start: the row advances",
        POSITION,
        "            elif where < first[partition]:",
        "            elif False:",
        f"{PLACES}::test_records_that_are_gone_are_passed_over",
    ),
    mutant(
        "old-log-trusted",
        "what the log said before another read on is no reason to go back",
        POSITION,
        "            if before.get(partition, (first[partition], ids[partition.topic])) != stands[partition]:",
        "            if False:",
        f"{PLACES}::test_what_the_log_said_before_another_read_on_is_no_reason_to_go_back",
    ),
    mutant(
        "epoch-not-asked-for-each-poll",
        "a topic made anew, and longer already than where reading stood, is settled before its records are taken",
        "servicekit/runner.py",
        "            if epoch != self._epochs.get(partition.topic):",
        "            if False:",
        "servicekit/test_runner.py::test_a_topic_made_anew_that_is_longer_already_settles_the_partition",
    ),
    mutant(
        "forgotten-connections-trusted",
        "connections that the network has forgotten cost one failure together",
        "servicekit/database.py",
        "        await pool.expire_connections()\n",
        "",
        "faults/test_faults.py::test_connections_that_the_network_has_forgotten_cost_one_failure_together",
    ),
    mutant(
        "outage-counts-as-failure",
        "an outage puts nothing aside",
        "servicekit/database.py",
        "    return isinstance(error, OUTAGE)",
        "    return False",
        f"{TEST}::test_an_outage_puts_nothing_aside",
    ),
    mutant(
        "poll-waits-for-the-broker",
        "no poll waits for a broker that is away",
        RUNNER,
        "async with asyncio.timeout(GROUP_COMMIT_S):",
        "async with asyncio.timeout(None):",
        f"{TEST}::test_reading_does_not_wait_for_a_broker_that_is_away",
    ),
    mutant(
        "not-let-in-counts-as-failure",
        "let in by neither password is an outage",
        "servicekit/database.py",
        "    asyncpg.InvalidAuthorizationSpecificationError,",
        "",
        "servicekit/test_database.py::test_a_pool_opens_connections_by_what_the_file_says_then",
    ),
    mutant(
        "password-before-not-tried",
        "a new password is tried first, the one before after it",
        "servicekit/database.py",
        "        if before == password:",
        "        if True:",
        "servicekit/test_database.py::test_a_new_password_is_written_first_and_given_after",
    ),
    mutant(
        "password-before-kept",
        "the one before is forgotten when the new one was taken",
        "servicekit/database.py",
        "        _opened[file] = password",
        "        _opened.setdefault(file, password)",
        "servicekit/test_database.py::test_a_new_password_is_written_first_and_given_after",
    ),
    mutant(
        "one-failure-is-enough",
        "five times alone, then put aside; its neighbours go on",
        "servicekit/patience.py",
        "                if failed >= TRIES_ALONE:",
        "                if failed >= 1:",
        f"{TEST}::test_one_that_fails_alone_five_times_is_put_aside_and_its_neighbours_go_on",
    ),
    mutant(
        "one-by-one-without-end",
        "a poll ends before the group takes its member for gone, however much of it fails",
        RUNNER,
        "if time.monotonic() - started > BUDGET_S or not await",
        "if not await",
        f"{TEST}::test_a_poll_in_which_all_fails_ends_in_time",
    ),
    mutant(
        "deaf-in-an-outage",
        "an outage, however long, restarts nobody",
        RUNNER,
        """            self._health.heard()
            await backoff.wait()""",
        """            self._health.turned()
            await backoff.wait()""",
        f"{TEST}::test_an_outage_however_long_is_no_deafness",
    ),
    mutant(
        "emptied-unnoticed",
        "a partition that retention has emptied beyond its place is settled without a record",
        RUNNER,
        "            if self._stands.get(partition, start) < start ==",
        "            if False and self._stands.get(partition, start) < start ==",
        f"{TEST}::test_what_retention_has_emptied_is_settled_without_a_record",
    ),
    mutant(
        "in-hand-taken-for-lost",
        "records that left the topic in time are not passed over",
        RUNNER,
        " and partition not in self._in_hand:",
        ":",
        f"{TEST}::test_what_is_in_hand_is_not_taken_for_lost",
    ),
    mutant(
        "gone-unread-not-looked-for",
        "what retention took before it was read is counted and said, though aiokafka goes on without a word",
        RUNNER,
        "                if places[partition] < starts[partition]:",
        "                if False:",
        f"{TEST}::test_what_retention_has_taken_unread_is_settled",
    ),
    mutant(
        "went-back-unheeded",
        "a place that went back is looked into before anything more is done",
        RUNNER,
        "self._went_back |= where is not None and where < began",
        "pass",
        f"{TEST}::test_a_place_that_went_back_is_looked_into_before_anything_more",
    ),
    mutant(
        "no-last-resort",
        "what cannot be put at its place is kept by its bytes, and stops nothing",
        RUNNER,
        "                await put_aside(error, held.hold_bare)",
        "                raise",
        f"{TEST}::test_one_that_cannot_be_put_at_its_place_is_kept_by_its_bytes",
    ),
    mutant(
        "endless-names",
        "what no row can name is no name",
        "contracts/envelope.py",
        "value is None or len(value) > LONGEST or",
        "value is None or",
        "servicekit/test_message.py::test_what_no_row_can_name_is_no_name",
    ),
)
