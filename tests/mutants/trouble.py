"""Mutants of what operators do: trying again, passing over, stopping, and what follows a restore."""

from tests.mutants.mutant import Edit, Mutant, mutant

RETRY, BREAKER, SETBACK = "servicekit/retry.py", "servicekit/breaker.py", "servicekit/setback.py"
ADOPT, REPUBLISH = "servicekit/adopt.py", "servicekit/republish.py"
TROUBLE, RESTORE = "servicekit/test_trouble.py", "delivery/test_restore.py"

MUTANTS = (
    mutant(
        "retried-for-ever",
        "a row that was tried three times is left, unless the operator insists",
        RETRY,
        "(h.retried < $7 OR $8)",
        "(h.retried < $7 OR $8 OR true)",
        f"{TROUBLE}::test_a_row_is_not_tried_for_ever",
    ),
    mutant(
        "trial-out-of-turn",
        "a row behind another is not tried as if it were the first",
        RETRY,
        "        if before is not None:",
        "        if False:",
        f"{TROUBLE}::test_a_trial_changes_nothing_and_says_why_not",
    ),
    mutant(
        "trial-kept",
        "a trial is rolled back",
        RETRY,
        "        await trial.rollback()",
        "        await trial.commit()",
        f"{TROUBLE}::test_a_trial_changes_nothing_and_says_why_not",
    ),
    mutant(
        "passed-over-without-a-word",
        "who sent what is passed over is told",
        "servicekit/batch.py",
        '            self._say(row.message, inbox, "rejected", "passed-over", "", {})',
        "            pass",
        f"{TROUBLE}::test_skipping_tells_the_sender_and_lets_the_next_go_on",
    ),
    mutant(
        "next-not-tried-after-skipping",
        "what stands behind a submission that is passed over goes on",
        "servicekit/batch.py",
        "        self._remove(row)\n        inbox = ",
        "        self.held.gone.append(row.id)\n        inbox = ",
        f"{TROUBLE}::test_skipping_tells_the_sender_and_lets_the_next_go_on",
    ),
    mutant(
        "skipped-without-its-bytes",
        "the bytes of what is passed over are kept",
        "servicekit/skip.py",
        "headers, payload, topic, since, $2, $3",
        "headers, ''::bytea, topic, since, $2, $3",
        f"{TROUBLE}::test_bytes_that_were_dropped_are_not_put_aside_again",
    ),
    mutant(
        "skipped-out-of-turn",
        "only the first of a queue is passed over",
        "servicekit/decider.py",
        "            if head is None or head.id != row.id:",
        "            if head is None:",
        f"{TROUBLE}::test_only_the_first_of_a_queue_is_skipped",
    ),
    mutant(
        "dropped-put-aside-again",
        "bytes that were dropped are not put aside again",
        "servicekit/held.py",
        "OR EXISTS (SELECT FROM skipped WHERE queue IS NULL",
        "OR EXISTS (SELECT FROM skipped WHERE false",
        f"{TROUBLE}::test_bytes_that_were_dropped_are_not_put_aside_again",
    ),
    mutant(
        "topics-counted-together",
        "failures stop the topic in which they are, and no other",
        BREAKER,
        "WHERE h.topic = p.topic AND h.partition",
        "WHERE h.partition",
        "servicekit/test_breaker.py::test_each_topic_counts_and_is_resumed_for_itself",
    ),
    mutant(
        "resuming-unheard",
        "after resuming, failures are counted anew",
        BREAKER,
        "(SELECT max(s.resumed_at) FROM stopped s WHERE s.topic = p.topic)",
        "NULL::timestamptz",
        "servicekit/test_breaker.py::test_after_resuming_it_counts_anew",
    ),
    mutant(
        "set-back-unnoticed-in-events",
        "a service that has said more than it knows stays still: an event",
        SETBACK,
        '    if kind == "domain":\n',
        '    if kind == "domain":\n        return None\n',
        f"{RESTORE}::test_what_is_not_known_is_found_on_each_kind_of_topic",
    ),
    mutant(
        "set-back-unnoticed-in-outcomes",
        "a service that has said more than it knows stays still: an outcome",
        SETBACK,
        '    if kind == "submission":\n',
        '    if kind == "outcome":\n        return None\n    if kind == "submission":\n',
        f"{RESTORE}::test_what_is_not_known_is_found_on_each_kind_of_topic",
    ),
    mutant(
        "set-back-unnoticed-in-submissions",
        "a service that has said more than it knows stays still: a submission",
        SETBACK,
        '    if kind == "submission":\n',
        '    if kind == "submission":\n        return None\n',
        f"{RESTORE}::test_what_is_not_known_is_found_on_each_kind_of_topic",
    ),
    mutant(
        "ends-adopted-before-events",
        "events are adopted first: an outcome is asked whether its events are there",
        ADOPT,
        'key=lambda topic: topic.kind != "domain"',
        'key=lambda topic: topic.kind == "domain"',
        f"{RESTORE}::test_what_was_said_is_known_again_as_it_was_said",
    ),
    mutant(
        "end-without-its-event-adopted",
        "an outcome that names an event which is nowhere is no end",
        ADOPT,
        ' and outcome.code != "conflict" and known.issuperset(outcome.event_ids)',
        ' and outcome.code != "conflict"',
        f"{RESTORE}::test_an_outcome_whose_event_never_came_to_its_topic_is_decided_again",
    ),
    mutant(
        "gap-adopted",
        "a number that is missing on a topic is not passed over",
        ADOPT,
        "        if number != last.get(subject, 0) + 1:",
        "        if False:",
        f"{RESTORE}::test_a_number_that_is_missing_on_a_topic_is_not_passed_over",
    ),
    mutant(
        "ended-and-still-held",
        "what was held and has had its end is held no more",
        ADOPT,
        "        found.finished = await _finish(connection)",
        "        pass",
        f"{RESTORE}::test_what_was_said_is_known_again_as_it_was_said",
    ),
    mutant(
        "adopted-beside-a-replica",
        "a service that is up is not adopted",
        ADOPT,
        "    if up:",
        "    if False:",
        f"{RESTORE}::test_a_service_that_is_up_is_not_adopted",
    ),
    mutant(
        "other-topics-said-again",
        "the topic that was asked for is said again, and no other",
        REPUBLISH,
        "if each.service == service and topic in (None, each.name):",
        "if each.service == service:",
        f"{RESTORE}::test_what_is_said_again_is_what_was_said",
    ),
    mutant(
        "said-again-from-the-end",
        "a subject's events are said again in the order of their numbers",
        REPUBLISH,
        "ORDER BY subject, sequence",
        "ORDER BY subject, sequence DESC",
        f"{RESTORE}::test_what_is_said_again_is_what_was_said",
    ),
    mutant(
        "said-again-in-other-bytes",
        "events are said again in the bytes in which they were said",
        REPUBLISH,
        '{**row, "topic": topic.name,',
        '{**row, "payload": row["payload"] + b"\\n", "topic": topic.name,',
        f"{RESTORE}::test_what_is_said_again_is_what_was_said",
    ),
    mutant(
        "said-again-beside-the-relay",
        "who says it again takes the relay's place",
        REPUBLISH,
        "    await relay.take_over(connection, service)",
        "    pass",
        f"{RESTORE}::test_what_is_said_again_is_what_was_said",
    ),
    mutant(
        "passed-over-though-taken",
        "a row is looked at again under its lock before it is passed over",
        "servicekit/decider.py",
        """        if not await held.still_failed(connection, row):
            return False
        await batch.read_inbox([_event(row)])
        batch.pass_over(row)""",
        """        await batch.read_inbox([_event(row)])
        batch.pass_over(row)""",
        "servicekit/test_decider.py::test_what_a_good_copy_has_taken_over_is_not_dropped",
    ),
    mutant(
        "decided-though-passed-over",
        "what another transaction has said of a submission meanwhile is not written over",
        "servicekit/inbox.py",
        " AND i.outcome_seq = n.seen_seq",
        "",
        "servicekit/test_decider.py::test_what_was_dropped_meanwhile_is_not_decided",
    ),
    Mutant(
        "skipped-though-applied",
        "an event is skipped only while it is the next, and failed",
        (
            Edit(
                "servicekit/projector.py",
                """        if not await held.still_failed(connection, row):
            return False
""",
                "",
            ),
            Edit(
                "servicekit/projector.py",
                "            if row.n != stream.applied + 1:",
                "            if row.n is None or row.n > stream.applied + 1:",
            ),
        ),
        "tests/servicekit/test_projector.py::test_an_event_whose_good_copy_is_being_applied_is_not_skipped",
    ),
    mutant(
        "another-marked-failed",
        "only the row that was tried is marked failed",
        "servicekit/projector.py",
        "               WHERE ready AND id = (SELECT id FROM held",
        "               WHERE id = (SELECT id FROM held",
        "servicekit/test_projector.py::test_one_that_another_has_taken_is_not_marked_failed",
    ),
    mutant(
        "bad-twin-stays",
        "of two held copies the good one stays",
        "servicekit/projector.py",
        'worse = twin if twin.reason == "failed" else row',
        "worse = row",
        "servicekit/test_projector.py::test_of_two_held_copies_the_good_one_stays",
    ),
    mutant(
        "listeners-queue",
        "nothing stands behind a record without a number",
        "servicekit/listener.py",
        "next((row for row in rows if row.ready), None)",
        "next((row for row in rows[:1] if row.ready), None)",
        "servicekit/test_listener.py::test_one_behind_another_that_failed_is_tried_all_the_same",
    ),
    mutant(
        "marked-in-vain",
        "what was marked behind one that stays waits for it",
        "servicekit/held.py",
        "    await wait_behind(connection, [row.id for row in changes.changed])\n",
        "",
        "servicekit/test_decider.py::test_what_was_marked_behind_one_that_fails_again_waits_for_it",
    ),
    mutant(
        "marked-in-vain-by-number",
        "what was marked behind one that stays waits for it",
        "servicekit/projector.py",
        '        await held.wait_behind(connection, [row["id"] for row in rows])\n',
        "",
        "servicekit/test_projector.py::test_what_was_marked_behind_one_that_fails_again_waits_for_it",
    ),
    mutant(
        "topic-made-beside-the-leader",
        "a lost topic is made in the relay's place",
        REPUBLISH,
        """    await relay.take_over(connection, service)
    if make is not None:
        await make()
""",
        """    if make is not None:
        await make()
    await relay.take_over(connection, service)
""",
        f"{RESTORE}::test_a_lost_topic_is_made_in_the_relays_place",
    ),
)
