"""Mutants of reading numbered topics, and of what has no number."""

from tests.mutants.mutant import Edit, Mutant, belt, mutant

PROJECTOR = "servicekit/projector.py"
TEST = "servicekit/test_projector.py"

MUTANTS = (
    Mutant(
        "stream-check-left-out",
        "lower or equal: seen",
        (
            Edit(PROJECTOR, "        if number <= stream.applied:\n            return\n", ""),
            Edit(
                PROJECTOR,
                "        if number == stream.applied + 1 and bad is None:\n            stream.applied = number\n",
                "        if number <= stream.applied + 1 and bad is None:\n"
                "            stream.applied = max(number, stream.applied)\n",
            ),
        ),
        f"tests/{TEST}::test_each_once_in_order",
    ),
    belt(
        "seen-not-returned-at-once",
        "lower or equal: seen",
        PROJECTOR,
        "        if number <= stream.applied:\n            return",
        "        if False:\n            return",
        TEST,
        "only `applied + 1` is applied; what is lower is put aside and dropped again by the same transaction's drain",
    ),
    mutant(
        "bad-copy-in-the-way",
        "`applied + 1` is always tried, even if a bad copy of it is held",
        PROJECTOR,
        """        if number == stream.applied + 1 and bad is None:
            stream.applied = number
            applied.setdefault(key, []).append(message)
            return
        copy = stream.held.get(number)
        if copy is not None:
""",
        """        copy = stream.held.get(number)
        if copy is not None:
            return
        if number == stream.applied + 1 and bad is None:
            stream.applied = number
            applied.setdefault(key, []).append(message)
            return
        if copy is not None:
""",
        f"{TEST}::test_bad_bytes_hold_their_subject_and_a_good_copy_frees_it",
    ),
    belt(
        "no-direct-way-past-a-bad-copy",
        "`applied + 1` is always tried, even if a bad copy of it is held",
        PROJECTOR,
        "        if number == stream.applied + 1 and bad is None:",
        "        if number == stream.applied + 1 and bad is None and number not in stream.held:",
        TEST,
        "a good copy takes the bad one's place in any case, and the drain of the same transaction applies it",
    ),
    mutant(
        "good-copy-ahead-dropped",
        "a good copy takes the place of a bad one further ahead",
        PROJECTOR,
        '            if bad is None and copy.reason == "failed":',
        "            if False:",
        f"{TEST}::test_a_good_copy_further_ahead_replaces_the_bad_one",
    ),
    mutant(
        "rest-of-the-same-poll-forgotten",
        "what follows and is too much for one transaction is marked for the next",
        PROJECTOR,
        """        if nxt is not None and nxt.reason != "failed":
            changes.promoted""",
        """        if nxt is not None and nxt.reason != "failed" and nxt.id:
            changes.promoted""",
        f"{TEST}::test_a_long_queue_of_the_same_poll_is_applied_in_parts",
    ),
    mutant(
        "filling-applies-nothing-behind-it",
        "applying a number drains the rows after it in the same transaction",
        PROJECTOR,
        """            stream.applied = number
            applied.setdefault(key, []).append(row.message)
            _drop(row, changes)
            depth -= 1""",
        """            break""",
        f"{TEST}::test_a_gap_holds_what_comes_after_and_its_filling_applies_all",
    ),
    mutant(
        "gap-passed-over",
        "higher: held, until what is missing has come",
        PROJECTOR,
        "        if number == stream.applied + 1 and bad is None:",
        "        if number > stream.applied and bad is None:",
        f"{TEST}::test_a_gap_holds_what_comes_after_and_its_filling_applies_all",
    ),
    mutant(
        "reduced-before-handled",
        "a batch is reduced to the highest number of a handled type",
        PROJECTOR,
        "[Event.of(message) for message in messages if not message.ignored]",
        "[Event.of(message) for message in messages[-1:] if not message.ignored]",
        f"{TEST}::test_an_unknown_type_counts_as_applied_but_state_stays_at_the_last_handled",
    ),
    mutant(
        "unknown-type-not-counted",
        "reading advances over every type, ignored ones too",
        PROJECTOR,
        "        for key, number, message in numbered:\n",
        """        for key, number, message in numbered:
            if message.ignored:
                continue
""",
        f"{TEST}::test_an_unknown_type_counts_as_applied_but_state_stays_at_the_last_handled",
    ),
    mutant(
        "unknown-major-ignored",
        "an unknown major of a known type is a failure",
        "servicekit/message.py",
        "        if submission or unknown_major(envelope.type):",
        "        if submission:",
        f"{TEST}::test_an_unknown_major_fails",
    ),
    mutant(
        "stream-not-locked-by-polls",
        "poll and drain both lock the stream: the poll",
        PROJECTOR,
        '               ORDER BY topic, subject FOR UPDATE"',
        '               ORDER BY topic, subject"',
        f"{TEST}::test_two_polls_of_one_stream_take_turns",
    ),
    mutant(
        "stream-not-locked-by-drains",
        "poll and drain both lock the stream: the drain",
        PROJECTOR,
        "               ORDER BY topic, subject FOR UPDATE SKIP LOCKED",
        "               ORDER BY topic, subject",
        f"{TEST}::test_reader_and_drain_both_lock_the_stream",
    ),
    mutant(
        "failed-tried-unasked",
        "what failed is tried again only when it was marked",
        PROJECTOR,
        '            if row.reason == "failed" and not (retried and row.ready):',
        "            if False:",
        f"{TEST}::test_a_failed_event_is_tried_again_only_when_marked",
    ),
    mutant(
        "failed-record-forgotten",
        "a record without a number that was taken again at last is put aside no more",
        "servicekit/listener.py",
        "                changes.gone.append(row.id)",
        "                pass",
        "servicekit/test_listener.py::test_a_failed_record_is_tried_again_when_marked",
    ),
    mutant(
        "unreadable-record-forgotten",
        "a record without a number that cannot be read yet stays put aside when it is tried",
        "servicekit/listener.py",
        "            if row.message.data is not None:",
        "            if True:",
        "servicekit/test_listener.py::test_what_this_code_cannot_read_is_kept",
    ),
    mutant(
        "no-breaker",
        "too many failures within a hundred records stop the topic",
        "servicekit/breaker.py",
        "           WHERE f.n > $5",
        "           WHERE f.n > $5 * 1000",
        "servicekit/test_breaker.py::test_twenty_within_a_hundred_are_borne_the_next_stops",
    ),
)
