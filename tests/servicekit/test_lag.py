"""How much lies unread, of all readers of a process."""

import gc
from collections.abc import Mapping

import pytest
from aiokafka import TopicPartition

from servicekit.lag import Lag
from servicekit.metrics import METRICS

FIRST, SECOND = TopicPartition("test.lag", 0), TopicPartition("test.lag", 1)


@pytest.fixture(autouse=True)
def _alone() -> None:
    gc.collect()  # readers of tests before


def told() -> tuple[float, float]:
    """Records and seconds."""
    return METRICS.lag.labels("test.lag")._value.get(), METRICS.behind.labels("test.lag")._value.get()


def at(**offsets: int) -> Mapping[TopicPartition, int]:
    """Offsets of the two partitions."""
    return {{"first": FIRST, "second": SECOND}[name]: offset for name, offset in offsets.items()}


def test_readers_of_one_process_are_told_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that stands still is not hidden by another that does not."""
    now = 1000.0
    monkeypatch.setattr("servicekit.lag.time.monotonic", lambda: now)
    still, busy = Lag(["test.lag"]), Lag(["test.lag"])
    for reader, read in ((still, at(first=10)), (busy, at(second=20))):
        assert reader.look(read, read, ()) == 0
    now += 30
    assert still.look(at(first=10), at(first=15), ()) == 5
    assert busy.look(at(second=30), at(second=32), ()) == 2
    assert told() == (7, 30)
    now += 30
    still.look(at(first=10), at(first=15), ())
    assert busy.look(at(second=40), at(second=40), ()) == 0
    assert told() == (5, 60)
    del still
    gc.collect()
    busy.look(at(second=40), at(second=40), ())
    assert told() == (0, 0)


def test_a_log_that_was_made_anew_is_read_where_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is shorter than it was at the last look, and may stay so for long."""
    now = 1000.0
    monkeypatch.setattr("servicekit.lag.time.monotonic", lambda: now)
    reader = Lag(["test.lag"])
    reader.look(at(first=1000), at(first=1000), ())
    for end in (3, 4):
        now += 3600
        assert reader.look(at(first=end), at(first=end), ()) == 0
    now += 30
    assert reader.look(at(first=4), at(first=5), ()) == 1
    assert told() == (1, 30)


def test_a_stopped_topic_is_not_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """What lies on it is told as it was last seen; that it stands still is said by another metric."""
    now = 1000.0
    monkeypatch.setattr("servicekit.lag.time.monotonic", lambda: now)
    reader = Lag(["test.lag"])
    reader.look(at(first=10), at(first=10), ())
    now += 30
    assert reader.look(at(first=10), at(first=15), ()) == 5
    assert told() == (5, 30)
    now += 30
    assert reader.look(at(first=10), {}, {"test.lag"}) == 0
    assert told() == (5, 0)


def test_who_gets_no_answer_does_not_know_whether_it_is_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """A service that is cut off from Kafka has nothing unread that it knows of; the time tells."""
    now = 1000.0
    monkeypatch.setattr("servicekit.lag.time.monotonic", lambda: now)
    reader = Lag(["test.lag"])
    reader.look(at(first=10), at(first=10), ())
    now += 30
    reader.unanswered(())
    assert told() == (0, 30)
    now += 30
    reader.unanswered({"test.lag"})
    assert told() == (0, 0), "that it is stopped is told by another"
    reader.unanswered(())
    assert told() == (0, 60)
    reader.look(at(first=10), at(first=10), ())
    assert told() == (0, 0)
