"""Mutants of deciding: locks, order, repeats, holding and waking."""

from tests.mutants.mutant import Edit, Mutant, mutant

DECIDER, BATCH, HELD = "servicekit/decider.py", "servicekit/batch.py", "servicekit/held.py"
TEST = "servicekit/test_decider.py"

MUTANTS = (
    mutant(
        "withdrawn-once-only",
        "what was taken back already is as its sender wants it",
        "servicekit/batch.py",
        '        if inbox is not None and inbox.state == "withdrawn":',
        '        if inbox is not None and inbox.state == "withdrawn" and held_row is not None:',
        "servicekit/test_decider.py::test_what_was_taken_back_already_is_as_its_sender_wants_it",
    ),
    mutant(
        "held-before-lock",
        "`held` is read in a statement after the subject lock",
        DECIDER,
        """        await batch.lock(keys)
        drained = await batch.read_held(keys, depth)""",
        """        drained = await batch.read_held(keys, depth)
        await batch.lock(keys)""",
        f"{TEST}::test_held_is_read_after_the_lock",
    ),
    mutant(
        "subject-not-locked",
        "a subject's row is locked before it is decided on",
        BATCH,
        "               ORDER BY aggregate, id FOR UPDATE",
        "               ORDER BY aggregate, id",
        f"{TEST}::test_two_polls_of_one_subject_take_turns",
    ),
    Mutant(
        "state-before-lock",
        "a subject's state is read under its lock",
        (
            Edit(
                DECIDER,
                "        await batch.lock(keys)\n        drained",
                "        arrived = [(arrival.key, arrival.message) for arrival in arrivals if arrival.key]\n"
                "        await self._load(connection, batch, arrived)\n"
                "        await batch.lock(keys)\n        drained",
            ),
            Edit(
                DECIDER,
                "            batch.states.update({(name, subject): found for subject, found in states.items()})",
                "            batch.states = {(name, each): found for each, found in states.items()} | batch.states",
            ),
        ),
        f"tests/{TEST}::test_two_polls_of_one_subject_take_turns",
    ),
    mutant(
        "no-inbox",
        "an id that is in the inbox repeats its outcome",
        DECIDER,
        "        row = batch.inbox.get(event)\n",
        "        row = None\n",
        f"{TEST}::test_applied_once_however_often_it_comes",
    ),
    mutant(
        "repeat-to-the-first",
        "a repeat is answered to the submission id in the record",
        BATCH,
        "        elif row.outcome_seq:\n",
        """        elif row.outcome_seq:
            change = __import__("dataclasses").replace
            message = change(message, envelope=change(message.envelope, correlationid=str(row.submission_id)))
""",
        f"{TEST}::test_a_repeat_is_answered_to_the_submission_id_that_asks",
    ),
    mutant(
        "conflict-ignored",
        "the same id with other content is refused, the first stands",
        BATCH,
        "digest is not None and row.digest is not None and digest != row.digest",
        "False",
        f"{TEST}::test_same_id_with_other_content_is_refused_and_the_first_stands",
    ),
    mutant(
        "queue-ignored",
        "what comes behind a held one of its subject joins the tail",
        DECIDER,
        "        elif key in batch.blocked:",
        "        elif False:",
        f"{TEST}::test_what_stands_behind_a_waiting_one_keeps_its_order",
    ),
    mutant(
        "one-queue-for-all",
        "a queue is the aggregate's own: another's held rows of the same subject are not in it",
        HELD,
        "LATERAL (SELECT * FROM held WHERE queue = k.queue AND subject = k.subject",
        "LATERAL (SELECT * FROM held WHERE subject = k.subject",
        "evaluation/test_waiting.py::test_a_waiting_one_does_not_stand_in_its_products_way",
    ),
    mutant(
        "woken-without-bound",
        "so many are woken at once as end in time",
        "servicekit/held.py",
        "MOST_WOKEN = 5000",
        "MOST_WOKEN = 5_000_000",
        f"{TEST}::test_ten_thousand_wait_for_one_owner",
    ),
    mutant(
        "sweep-left-out",
        "what both transactions missed is found by the sweep",
        DECIDER,
        "                marked += await held.sweep(connection, decider.aggregate, decider.known)",
        "                marked += 0",
        f"{TEST}::test_lost_wake_up_is_found_by_the_sweep",
    ),
    mutant(
        "maker-does-not-mark",
        "whoever makes a reference known marks what waits for it (the sweep alone would do, five seconds later)",
        BATCH,
        "            self.held.known.append(key[1])",
        "            pass",
        f"{TEST}::test_a_product_waits_for_its_owner_and_is_woken",
    ),
    mutant(
        "next-not-tried-after-withdrawal",
        "after a head has gone by withdrawal the next one is marked",
        BATCH,
        """            self.held.added.remove(row)
        if row.key is not None:
            self.held.promoted.add(row.key)""",
        """            self.held.added.remove(row)""",
        f"{TEST}::test_withdrawal_of_the_head_lets_the_next_one_go",
    ),
    mutant(
        "next-not-tried-after-decision",
        "after a head has gone by decision the next one is drained on or marked",
        BATCH,
        """        if key in self._more:
            self.held.promoted.add(key)""",
        """        if key in self._more:
            pass""",
        f"{TEST}::test_a_long_queue_is_drained_in_parts",
    ),
    mutant(
        "withdrawn-without-a-word",
        "a withdrawal ends its target as `withdrawn` and itself as `applied`",
        BATCH,
        """            self._say(held_row.message, inbox, "withdrawn", None, None, {})
""",
        "",
        f"{TEST}::test_withdrawal_in_the_same_poll_as_its_target",
    ),
    mutant(
        "said-without-bound",
        "one transaction says no more than memory suffices for",
        BATCH,
        "            if self._bytes > MOST_SAID:",
        "            if False:",
        f"{TEST}::test_what_says_too_much_for_one_transaction_is_refused_as_a_whole",
    ),
    mutant(
        "clamp-left-out",
        "recorded times never step back",
        BATCH,
        "            recorded = subject.last_recorded + TICK",
        "            pass",
        f"{TEST}::test_recorded_times_never_step_back",
    ),
    mutant(
        "failed-without-a-word",
        "with a failed row inbox and outcome are written",
        BATCH,
        """        self._hold(key, message, "failed", error=error)
        self._say(message, row, "failed", failure.code(error), "", {})
""",
        """        self._hold(key, message, "failed", error=error)
""",
        f"{TEST}::test_undecodable_bytes_are_held_and_their_sender_told",
    ),
    mutant(
        "good-copy-at-the-tail",
        "a good copy takes the place of the one that did not decode",
        DECIDER,
        "            if await batch.replace_bad_copy(event, key, message):",
        "            if False:",
        f"{TEST}::test_a_good_copy_takes_the_place_of_one_that_did_not_decode",
    ),
    mutant(
        "drains-wait-for-each-other",
        "ready heads are taken with SKIP LOCKED, by any replica",
        DECIDER,
        "ORDER BY aggregate, id FOR UPDATE SKIP LOCKED",
        "ORDER BY aggregate, id FOR UPDATE NOWAIT",
        f"{TEST}::test_two_replicas_drain_beside_each_other",
    ),
    mutant(
        "neighbours-wait",
        "in one poll, what others refer to is decided first",
        DECIDER,
        "sorted(arrivals, key=self._turn)",
        "arrivals",
        f"{TEST}::test_in_one_poll_nothing_waits_for_its_neighbour",
    ),
    Mutant(
        "outbox-row-before-lock",
        "outbox rows get their ids after all locks are held",
        (
            Edit(
                DECIDER,
                "from servicekit import failure, held, state\n",
                "from servicekit import failure, held, outbox, state\n",
            ),
            Edit(
                DECIDER,
                "        await batch.lock(keys)\n        drained",
                "        early = await connection.fetchval(  # its place in the outbox, taken before the locks\n"
                '            "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint"\n'
                "        )\n"
                "        outbox.FIRST.set(early)\n"
                "        await batch.lock(keys)\n        drained",
            ),
            Edit(
                "servicekit/outbox.py",
                "from collections.abc import Mapping, Sequence\n",
                "from collections.abc import Mapping, Sequence\n"
                "from contextvars import ContextVar\n\n"
                'FIRST: ContextVar[int] = ContextVar("FIRST")  # of this task\n',
            ),
            Edit(
                "servicekit/outbox.py",
                '''        """INSERT INTO outbox (topic, key, headers, payload)
           SELECT topic''',
                '''        f"""INSERT INTO outbox (id, topic, key, headers, payload) OVERRIDING SYSTEM VALUE
           SELECT {FIRST.get()} + n, topic''',
            ),
        ),
        f"tests/{TEST}::test_outbox_ids_follow_the_numbers_however_long_a_lock_is_waited_for",
    ),
    mutant(
        "identity-with-cache",
        "outbox ids are given one by one, in every connection",
        "servicekit/migrations/sending.0001_outbox_relayed.sql",
        "IDENTITY (CACHE 1)",
        "IDENTITY (CACHE 50)",
        f"{TEST}::test_outbox_ids_follow_the_numbers_whichever_connection_writes",
    ),
)
