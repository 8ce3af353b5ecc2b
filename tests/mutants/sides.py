"""Mutants beside an event's way: walls between tenants, limits, the backfill lane, and mails."""

from tests.mutants.mutant import mutant

FIRST_WALLS = "services/gateway/gateway/migrations/0001_tenant_submission_outcome.sql"
WALLS = "gateway/test_walls.py::test_each_query_of_the_application_shows_another_tenant_nothing"
GATE, LIMITS = "services/gateway/gateway/gate.py", "gateway/test_limits.py"
LANE, LANE_TEST = "services/gateway/gateway/backfill.py", "gateway/test_backfill.py"
MAILS = "notifications/test_notifications.py"
OBSERVER = "gateway/test_observer.py"

MUTANTS = (
    mutant(
        "outcomes-without-a-wall",
        "what became of a tenant's submissions is shown to no other",
        FIRST_WALLS,
        "ALTER TABLE outcome ENABLE ROW LEVEL SECURITY;",
        "",
        WALLS,
    ),
    mutant(
        "outbox-without-a-wall",
        "nobody writes what goes out in another tenant's name",
        "services/gateway/gateway/migrations/0002_second_wall_around_writing.sql",
        "ALTER TABLE outbox ENABLE ROW LEVEL SECURITY;",
        "",
        "gateway/test_walls.py::test_nothing_goes_out_in_anothers_name",
    ),
    mutant(
        "events-not-counted",
        "a key may send so many events, in however few requests",
        GATE,
        "settings.key_events_s, settings.key_events_burst)",
        "10**9)",
        f"{LIMITS}::test_events_are_counted_not_requests",
    ),
    mutant(
        "one-key-takes-all-connections",
        "half of the connections are for the other keys",
        GATE,
        "self._work = Shares(settings.half_of_pool)",
        "self._work = Shares(10**6)",
        f"{LIMITS}::test_one_key_has_half_of_the_connections",
    ),
    mutant(
        "lag-asked-of-the-silent",
        "the lane asks over a new connection when one has brought no answer",
        "services/gateway/gateway/lag.py",
        "            await self.aclose()  #",
        "            pass  #",
        "delivery/test_lag.py::test_it_is_asked_again_after_an_absence",
    ),
    mutant(
        "fed-whoever-is-behind",
        "the lane waits while a reader is behind",
        LANE,
        "            if not self._behind:\n",
        "            if True:\n",
        f"{LANE_TEST}::test_it_waits_while_somebody_is_behind",
    ),
    mutant(
        "fed-without-a-bound",
        "so many of the lane are under way, and no more",
        LANE,
        "min(int(self._rate * EVERY_S), self._under_way - under_way)",
        "int(self._rate * EVERY_S)",
        f"{LANE_TEST}::test_only_so_many_are_under_way",
    ),
    mutant(
        "another-message-id-each-time",
        "a mail keeps its Message-ID, however often it is sent",
        "services/notifications/notifications/letter.py",
        'f"<{mail_id}@ocop-interconnect>"',
        "f\"<{mail_id}.{mail['attempts']}@ocop-interconnect>\"",
        f"{MAILS}::test_a_crash_between_sending_and_marking_repeats_it_with_the_same_message_id",
    ),
    mutant(
        "mails-not-claimed",
        "what one replica sends, the others leave",
        "services/notifications/notifications/store.py",
        "SET next_at = clock_timestamp() + make_interval(secs => $1::float8), attempts",
        "SET next_at = clock_timestamp() + 0 * make_interval(secs => $1::float8), attempts",
        f"{MAILS}::test_a_crash_between_sending_and_marking_repeats_it_with_the_same_message_id",
    ),
    mutant(
        "mail-server-waited-for",
        "a mail server that says nothing is not waited for longer than a mail is claimed",
        "services/notifications/notifications/postman.py",
        "async with asyncio.timeout(SEND_TIMEOUT_S):",
        "async with asyncio.timeout(None):",
        f"{MAILS}::test_a_server_that_says_nothing_is_not_waited_for_long",
    ),
    mutant(
        "first-reason-told",
        "what is still to be told is told as it was said last",
        "services/notifications/notifications/store.py",
        "SET told = EXCLUDED.told",
        "SET told = delivery.told",
        f"{MAILS}::test_what_waits_for_something_else_by_then_is_told_so",
    ),
    mutant(
        "two-feed-at-once",
        "one replica feeds at a time",
        LANE,
        """            if not await connection.fetchval("SELECT pg_try_advisory_xact_lock($1)", _FEED_LOCK):
                return 0
""",
        "",
        f"{LANE_TEST}::test_one_replica_feeds_at_a_time",
    ),
    mutant(
        "files-of-pages-limited",
        "an address asks national so often and no more, and its pages' files are always answered",
        "services/national/national/api.py",
        '"/metrics", "/static/", ',
        '"/metrics", ',
        "national/test_requests.py::test_an_address_is_answered_so_often_and_its_pages_keep_their_form",
    ),
    mutant(
        "age-of-the-youngest",
        "what is put aside is told with the age of the oldest",
        "servicekit/observer.py",
        "SELECT min(since) FROM held h",
        "SELECT max(since) FROM held h",
        f"{OBSERVER}::test_what_waits_is_told_with_the_age_of_the_oldest_until_nothing_does",
    ),
    mutant(
        "topics-lost-untold",
        "topics that were made anew are told until all of them has been said again",
        "servicekit/observer.py",
        "                METRICS.topics_lost.set(await loss.count(connection))\n",
        "",
        f"{OBSERVER}::test_what_waits_is_told_with_the_age_of_the_oldest_until_nothing_does",
    ),
    mutant(
        "open-told-for-ever",
        "what is open is told until nothing is",
        "services/gateway/gateway/census.py",
        "            METRICS.open.labels(tenant, state).set(0)",
        "            pass",
        "gateway/test_census.py::test_what_is_open_is_told_until_nothing_is",
    ),
)
