"""What a library may say, and how often."""

import logging

from servicekit.logs import Damped


def _passed(damped: Damped, name: str, message: str, *arguments: object) -> str | None:
    record = logging.LogRecord(name, logging.ERROR, "", 0, message, arguments, None)
    return record.getMessage() if damped.filter(record) else None


def test_aiokafka_says_each_thing_once_in_ten_seconds_and_how_often_it_would_have() -> None:
    now = 0.0
    damped = Damped(10, lambda: now)
    fetcher, fetch = "aiokafka.consumer.fetcher", "Failed fetch messages from %s"
    assert _passed(damped, fetcher, fetch, 1) == "Failed fetch messages from 1"
    now = 9.9
    assert [_passed(damped, fetcher, fetch, node) for node in (1, 2, 3)] == [None] * 3
    assert _passed(damped, fetcher, "another thing") == "another thing"
    assert _passed(damped, "aiokafka.client", fetch, 1) == "Failed fetch messages from 1"
    now = 10.0
    assert _passed(damped, fetcher, fetch, 4) == "Failed fetch messages from 4 (and 3 times since the last)"
    now = 20.0
    assert _passed(damped, fetcher, fetch, 5) == "Failed fetch messages from 5"


def test_nothing_of_ours_is_left_out() -> None:
    damped = Damped(10, lambda: 0.0)
    assert [_passed(damped, "servicekit.runner", "poll put off") for _ in range(3)] == ["poll put off"] * 3


def test_of_requests_each_thing_is_said_once_and_what_fails_each_time() -> None:
    damped, bad = Damped(10, lambda: 0.0), "Invalid HTTP request received."

    def passed(level: int) -> bool:
        return damped.filter(logging.LogRecord("uvicorn.error", level, "", 0, bad, (), None))

    assert [passed(logging.WARNING) for _ in range(3)] == [True, False, False]
    assert [passed(logging.ERROR) for _ in range(3)] == [True] * 3


def test_what_is_remembered_is_bounded() -> None:
    damped = Damped(10, lambda: 0.0)
    assert all(_passed(damped, "aiokafka", f"one of many {number}") for number in range(3 * Damped.MOST))
    assert len(damped._said) <= Damped.MOST
