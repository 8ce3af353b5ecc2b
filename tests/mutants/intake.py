"""Mutants of the gateway: taking, sending again, hearing outcomes."""

from tests.mutants.mutant import belt, mutant

API = "gateway/test_api.py"
INTAKE, STORE = "services/gateway/gateway/intake.py", "services/gateway/gateway/store.py"

MUTANTS = (
    mutant(
        "final-no-better",
        "a final outcome beats one that is not, whatever their numbers",
        STORE,
        "ORDER BY o.state IN ('applied', 'rejected', 'withdrawn') DESC, ",
        "ORDER BY ",
        f"{API}::test_a_final_outcome_beats_one_that_is_not_whatever_their_numbers",
    ),
    mutant(
        "first-number-wins",
        "among outcomes that are not final the higher number wins",
        STORE,
        "o.number DESC",
        "o.number",
        f"{API}::test_among_those_not_final_the_higher_number_wins",
    ),
    mutant(
        "conflict-ends",
        "a conflict that another copy met is never this submission's end",
        STORE,
        "      AND NOT (o.code IS NOT DISTINCT FROM 'conflict' AND o.submission_id <> {row}.id)\n",
        "",
        f"{API}::test_a_conflict_of_another_copy_is_not_this_submissions_end",
    ),
    mutant(
        "unknown-outcome-dropped",
        "an outcome for a submission not known is kept",
        "services/gateway/gateway/outcomes.py",
        "           ORDER BY 1, 2, 3, 4 ON CONFLICT DO NOTHING",
        "           WHERE EXISTS (SELECT FROM submission s WHERE s.source = n.source AND s.event_id = n.event_id)\n"
        "           ORDER BY 1, 2, 3, 4 ON CONFLICT DO NOTHING",
        f"{API}::test_an_outcome_of_a_submission_not_known_is_kept",
    ),
    mutant(
        "waiting-not-sent-again",
        "a submission without a final outcome is put into the outbox again",
        STORE,
        "WHERE state IN ('received', 'waiting', 'failed')",
        "WHERE state IN ('waiting', 'failed')",
        f"{API}::test_what_has_no_end_is_sent_again_less_and_less_often",
    ),
    mutant(
        "only-the-unheard-of-sent-again",
        "what waits or failed is put into the outbox again, too",
        STORE,
        "WHERE state IN ('received', 'waiting', 'failed')",
        "WHERE state IN ('received')",
        f"{API}::test_what_waits_or_failed_is_sent_again",
    ),
    mutant(
        "told-of-in-its-own-snapshot",
        "what two copies of an id are told at once comes together in its row",
        "services/gateway/gateway/outcomes.py",
        "           ORDER BY source, event_id FOR UPDATE",
        "           ORDER BY source, event_id",
        f"{API}::test_two_that_are_told_of_at_once_see_each_other",
    ),
    mutant(
        "duplicates-sent",
        "outbox rows for the new submissions only",
        STORE,
        "JOIN taken t ON t.id = n.id AND t.live",
        "LEFT JOIN taken t ON t.id = n.id",
        f"{API}::test_two_requests_with_the_same_events_at_once",
    ),
    mutant(
        "inserted-unsorted",
        "submissions are inserted sorted by source and id",
        STORE,
        "FROM given n ORDER BY n.source, n.event_id",
        "FROM given n ORDER BY n.place",
        f"{API}::test_requests_with_the_same_events_in_other_orders_cannot_deadlock",
    ),
    mutant(
        "conflict-called-duplicate",
        "the same id with other content is a conflict",
        INTAKE,
        "    if kept.digest != found.digest:",
        "    if False:",
        f"{API}::test_the_same_id_twice_in_one_batch",
    ),
    mutant(
        "withdrawal-of-its-own-subject",
        "the subject of a withdrawal is its target's",
        INTAKE,
        "service=target.service, subject=target.subject, ref=ref",
        "service=target.service, subject=uuid7(), ref=ref",
        f"{API}::test_a_withdrawal_goes_where_its_target_went",
    ),
    mutant(
        "digest-before-nfc",
        "the digest is taken after NFC",
        "contracts/envelope.py",
        "rfc8785.dumps(nfc(value))",
        "rfc8785.dumps(value)",
        "contracts/test_envelope.py",
    ),
    belt(
        "digest-of-what-is-in-nfc-already",
        "the digest is taken after NFC",
        "contracts/envelope.py",
        "rfc8785.dumps(nfc(value))",
        "rfc8785.dumps(value)",
        f"{API}::test_the_same_content_in_other_letters_is_a_duplicate",
        "the request has put all text into NFC before; the digest does it again for whoever calls it elsewhere",
    ),
    mutant(
        "no-second-wall",
        "row-level security is forced",
        "services/gateway/gateway/migrations/0001_tenant_submission_outcome.sql",
        "ALTER TABLE submission FORCE ROW LEVEL SECURITY;",
        "",
        f"{API}::test_the_second_wall_stands_whatever_a_query_forgets",
    ),
)
