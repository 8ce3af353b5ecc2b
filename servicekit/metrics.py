"""Every metric, in a closed list: its name with the unit in it, its labels, what it means. No other name passes mypy.

`python -m servicekit.metrics` writes docs/metrics.md from it; with `--check` it only says whether the page is current.
Every replica of a service says the same of what is in its database: take the largest, not the sum.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from prometheus_client import Counter, Gauge, Histogram

PAGE: Final = Path(__file__).parent.parent / "docs" / "metrics.md"
SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0)
TO_AN_END: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 3600.0, 86_400.0)


class Metrics:
    """The list, by what it is about: readiness, reading, deciding, trouble, sending, taking, telling."""

    ready = Gauge("ocop_ready", "1 if who last asked the replica whether it is ready was told yes, else 0")
    records = Counter("ocop_records", "records taken off a topic and committed", ["topic"])
    transaction = Histogram("ocop_poll_seconds", "seconds from a poll in hand to its commit", buckets=SECONDS)
    retries = Counter("ocop_retries", "transactions tried again, by kind of failure", ["kind"])
    rounds_too_late = Counter(
        "ocop_rounds_too_late",
        "rounds of background work that the database's time limits have ended, by work",
        ["work"],
    )
    put_back = Counter(
        "ocop_polls_put_back", "partitions of a poll put back: read by another, or to be read again later", ["topic"]
    )
    lag = Gauge("ocop_lag_records", "records of the topic that lie unread in this replica's partitions", ["topic"])
    behind = Gauge(
        "ocop_lag_seconds", "seconds since all of this replica's partitions of the topic had been read", ["topic"]
    )
    records_lost = Counter("ocop_records_lost", "records that retention took unread", ["topic"])
    stopped = Gauge("ocop_topic_stopped", "1 while too many failures keep a topic from being read, else 0", ["topic"])

    outcomes = Counter("ocop_outcomes", "outcomes of submissions said, by state", ["decider", "state"])

    held = Counter("ocop_held", "records put aside, by reason", ["reason"])
    held_rows = Gauge("ocop_held_rows", "records that are put aside now, by reason", ["reason"])
    held_oldest = Gauge(
        "ocop_held_oldest_seconds", "seconds that the oldest of them has been put aside; 0 if there is none", ["reason"]
    )

    relayed = Counter("ocop_relayed", "outbox rows confirmed by Kafka", ["topic"])
    leads = Gauge("ocop_relay_leads", "1 in the replica that sends, else 0")
    outbox_rows = Gauge("ocop_outbox_rows", "rows that wait in the outbox, counted up to 100,000")
    outbox_age = Gauge("ocop_outbox_age_seconds", "seconds that the oldest of them has waited; 0 if there is none")
    topics_lost = Gauge("ocop_topics_lost", "own topics that were made anew, and not said again since")

    answers = Counter(
        "ocop_answers",
        "events answered, each once: accepted, duplicate, conflict, or refused with the code of its first error",
        ["tenant", "status", "code"],
    )
    ended = Counter(
        "ocop_submissions_ended", "submissions whose end was heard: applied, rejected, withdrawn", ["tenant", "state"]
    )
    open = Gauge(
        "ocop_submissions_open", "submissions without an end now: received, waiting, failed", ["tenant", "state"]
    )
    to_an_end = Histogram(
        "ocop_submission_seconds",
        "seconds from received (of a backfill: from fed) to the end heard, of what never waited, by its state",
        ["state"],
        buckets=TO_AN_END,
    )
    last_received = Gauge(
        "ocop_province_last_received_timestamp_seconds",
        "when a submission of the tenant last came, since 1970, or when it was enrolled; none while it is suspended",
        ["tenant"],
    )
    limited = Counter("ocop_limited", "requests refused because of a limit (429), by limit", ["limit"])
    requests = Counter(
        "ocop_requests",
        "requests answered over HTTP, without probes and scrapes, by class of answer",
        ["status"],
    )

    mails = Counter("ocop_mails", "mails that the server has taken, and tries that it has not", ["result"])
    mails_unsent = Gauge("ocop_mails_unsent", "mails that the server has not taken")
    mails_oldest = Gauge("ocop_mails_oldest_seconds", "seconds since the oldest of them was made; 0 if there is none")


METRICS: Final = Metrics()


def page() -> str:
    """The page of docs."""
    lines = [
        "# Metrics",
        "",
        "Written from `servicekit/metrics.py` by `python -m servicekit.metrics`. Each service answers `GET /metrics`",
        "with those that it has. Every replica says the same of what is in its database: take the largest, not the",
        "sum.",
        "",
        "| name | kind | labels | meaning |",
        "|---|---|---|---|",
        *_rows(),
        "",
    ]
    return "\n".join(lines)


def all_() -> dict[str, Counter | Gauge | Histogram]:
    """Each metric by the name with which it is scraped."""
    found = [each for each in vars(Metrics).values() if isinstance(each, Counter | Gauge | Histogram)]
    return {f"{each._name}_total" if isinstance(each, Counter) else each._name: each for each in found}


def samples() -> set[str]:
    """The names that queries may use."""
    found = set()
    for name, each in all_().items():
        found |= {f"{name}_{end}" for end in ("bucket", "sum", "count")} if isinstance(each, Histogram) else {name}
        if isinstance(each, Counter):
            found.add(f"{each._name}_created")  # when it was born, which the client tells beside each
    return found


def _rows() -> Iterator[str]:
    for name, each in all_().items():
        labels = ", ".join(f"`{label}`" for label in each._labelnames)
        yield f"| `{name}` | {each._type} | {labels} | {each._documentation} |"


def main(arguments: list[str]) -> int:
    """Writes the page, or compares it."""
    if arguments == ["--check"]:
        if PAGE.exists() and PAGE.read_text() == page():
            return 0
        sys.stderr.write("docs/metrics.md is not what servicekit/metrics.py says: run python -m servicekit.metrics\n")
        return 1
    PAGE.write_text(page())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
