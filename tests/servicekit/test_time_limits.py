"""Limits in time that promise something together: what must end first has less of it."""

import inspect

from faststream.kafka import KafkaBroker
from notifications import postman

from servicekit import access, database, forgotten, kafka, patience, relay, runner, service


def test_what_must_end_first_has_less_time() -> None:
    assert database.STATEMENT_TIMEOUT_S < database.ANSWER_S, "what took too long is told of, and the connection kept"
    assert database.ANSWER_S < forgotten.AFTER_S, "no session is ended whose client still waits"
    assert kafka.SEND_TIMEOUT_S < relay.LEADER_IDLE_S, "who takes over finds nothing under way"
    assert relay.LEADER_IDLE_S < forgotten.AFTER_S
    assert relay.TAKE_OVER_EVERY_S < relay.RETRY_S, "a leader that was cut off comes too late"
    assert postman.SEND_TIMEOUT_S < postman.LEASE_S, "no other replica takes a mail that is being sent"
    assert kafka.REBALANCE_TIMEOUT_MS < access.REQUEST_TIMEOUT_MS, "who joins is answered before it gives up asking"
    assert kafka.STOPPED_S < service.ENDED_S, "a poll in hand ends before the service goes without it"
    assert runner.SETTLED_S * 1000 < kafka.REBALANCE_TIMEOUT_MS, "who settles can rejoin"


def test_a_poll_in_which_all_fails_ends_before_aiokafka_leaves_the_group() -> None:
    """One budget for the poll, and one for the record that is tried alone when that is over."""
    most_ms: int = inspect.signature(KafkaBroker.subscriber).parameters["max_poll_interval_ms"].default
    assert most_ms / 1000 > 2 * patience.BUDGET_S
