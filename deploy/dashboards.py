"""Grafana's dashboards, written from what is to be seen: `python -m deploy.dashboards`; `--check` compares.

One for the whole, one for a service, one for a province, one for the way of events. The same files serve compose and
Kubernetes, where a kustomization reads only what lies below it, so they are written twice.
"""

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from deploy import generated

HERE: Final = Path(__file__).parent
PLACES: Final = (HERE / "compose" / "grafana" / "dashboards", HERE / "k8s" / "cluster" / "monitoring" / "dashboards")
SOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}
WHOLE, HALF, THIRD, QUARTER = 24, 12, 8, 6
HEIGHT, LOW = 8, 5


@dataclass(frozen=True)
class Panel:
    """A picture: what it asks, and how it calls each line. `bad_from`: a stat that is red from there on. `top`: so far
    its axis reaches at least."""

    title: str
    description: str
    asks: tuple[tuple[str, str], ...]
    unit: str = "short"
    stat: bool = False
    bad_from: float | None = None
    bad_below: float | None = None
    width: int = HALF
    top: float | None = None

    @property
    def height(self) -> int:
        """A number needs less than a curve."""
        return LOW if self.stat else HEIGHT

    def written(self, number: int, x: int, y: int) -> dict[str, Any]:
        """As Grafana has it."""
        # A stat asks of now. Of a time it would show the last value of what is not there any more, a green one perhaps.
        when = {"instant": self.stat, "range": not self.stat}
        targets = [
            {"refId": chr(ord("A") + n), "datasource": SOURCE, "expr": expr, "legendFormat": legend} | when
            for n, (expr, legend) in enumerate(self.asks)
        ]
        common = {
            "id": number,
            "title": self.title,
            "description": self.description,
            "datasource": SOURCE,
            "gridPos": {"x": x, "y": y, "w": self.width, "h": self.height},
            "targets": targets,
        }
        defaults: dict[str, Any] = {"unit": self.unit}
        if not self.stat:
            custom: dict[str, Any] = {"drawStyle": "line", "lineWidth": 1, "fillOpacity": 10, "showPoints": "never"}
            if self.top is not None:
                custom["axisSoftMax"] = self.top
            shown = {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}}
            fields = {"defaults": defaults | {"min": 0, "custom": custom}, "overrides": []}
            return common | {"type": "timeseries", "fieldConfig": fields, "options": shown}
        steps: list[dict[str, Any]] = [{"color": "green", "value": None}]
        if self.bad_from is not None:
            steps.append({"color": "red", "value": self.bad_from})
        if self.bad_below is not None:
            steps = [{"color": "red", "value": None}, {"color": "green", "value": self.bad_below}]
        defaults |= {"thresholds": {"mode": "absolute", "steps": steps}, "color": {"mode": "thresholds"}}
        options = {
            "reduceOptions": {"calcs": ["lastNotNull"]},
            "colorMode": "background",
            "graphMode": "none",
            "textMode": "value_and_name",
        }
        return common | {"type": "stat", "fieldConfig": {"defaults": defaults, "overrides": []}, "options": options}


@dataclass(frozen=True)
class Board:
    """A dashboard; `choice` is a label that is chosen from a metric's values."""

    name: str
    title: str
    panels: tuple[Panel, ...]
    choice: tuple[str, str] | None = None

    def written(self) -> dict[str, Any]:
        """As Grafana has it."""
        variables: list[dict[str, Any]] = [{"name": "datasource", "type": "datasource", "query": "prometheus"}]
        if self.choice:
            label, metric = self.choice
            query = f"label_values({metric}, {label})"
            variables.append(
                {"name": label, "type": "query", "datasource": SOURCE, "query": query, "refresh": 2, "sort": 1}
            )
        return {
            "uid": f"ocop-{self.name}",
            "title": self.title,
            "tags": ["ocop"],
            "timezone": "Asia/Ho_Chi_Minh",
            "editable": False,
            "schemaVersion": 39,
            "refresh": "30s",
            "time": {"from": "now-3h", "to": "now"},
            "templating": {"list": variables},
            "panels": list(self._placed()),
        }

    def _placed(self) -> Iterator[dict[str, Any]]:
        x = y = 0
        for number, panel in enumerate(self.panels, 1):
            yield panel.written(number, x, y)
            x += panel.width
            if x >= WHOLE:
                x, y = 0, y + panel.height


def _or_none(expr: str, label: str) -> tuple[str, str]:
    """A line for each value of the label, or one at 0 that is called none: an empty picture says nothing."""
    return f'{expr} or on() label_replace(vector(0), "{label}", "none", "", "")', f"{{{{{label}}}}}"


def _rise(series: str, over: str) -> str:
    """By how much counters rose. `increase` does not see what one is born with: all there is, where little comes."""
    return f"clamp_min({series} - ({series} offset {over} or {series} * 0), 0)"


def _short(expr: str) -> str:
    """Topics without what all their names begin with."""
    return f'label_replace({expr}, "topic", "$1", "topic", "ocop.(.+)")'


def _ranks(expr: str, legend: str) -> tuple[tuple[str, str], ...]:
    return tuple((f"histogram_quantile({rank}, {expr})", f"{legend} p{int(rank * 100)}") for rank in (0.5, 0.99))


FIRING: Final = Panel(
    "Alerts",
    "Those that fire, and of how many services, topics or provinces; docs/runbook.md has a page for each.",
    (_or_none('sum by (alertname) (ALERTS{alertstate="firing",alertname=~"Ocop.+"})', "alertname"),),
    stat=True,
    bad_from=1,
)
UP: Final = Panel(
    "Replicas that answer",
    "Of each service, those whose metrics Prometheus can read.",
    (('sum by (service) (up{job="ocop"})', "{{service}}"),),
    stat=True,
    bad_below=1,
)
STOPPED: Final = Panel(
    "Topics that are not read",
    "Stopped because too much of them failed at once, until an operator resumes them.",
    (("sum(max by (service, topic) (ocop_topic_stopped)) or vector(0)", "topics"),),
    stat=True,
    bad_from=1,
    width=THIRD,
)
FAILED: Final = Panel(
    "Put aside as failed",
    "Records that the code cannot handle: `ocop dlq list`.",
    (('sum(max by (service) (ocop_held_rows{reason="failed"})) or vector(0)', "records"),),
    stat=True,
    bad_from=1,
    width=THIRD,
)
LATE: Final = Panel(
    "From received to decided",
    "Of submissions that waited for nothing.",
    _ranks('sum by (le) (rate(ocop_submission_seconds_bucket{state="applied"}[$__rate_interval]))', "applied"),
    unit="s",
)
ANSWERS: Final = Panel(
    "Events answered",
    "Each in exactly one way.",
    (_or_none("sum by (status) (rate(ocop_answers_total[$__rate_interval]))", "status"),),
    unit="eps",
)
ENDED: Final = Panel(
    "Submissions ended",
    "What became of those that were accepted.",
    (_or_none("sum by (state) (rate(ocop_submissions_ended_total[$__rate_interval]))", "state"),),
    unit="eps",
)

# Of a province, which sends little.
ANSWERED: Final = 'ocop_answers_total{tenant="$tenant"}'
REFUSED: Final = 'ocop_answers_total{tenant="$tenant",status="refused"}'
HAS_ENDED: Final = 'ocop_submissions_ended_total{tenant="$tenant"}'

BOARDS: Final = (
    Board(
        "overview",
        "OCOP: overview",
        (
            FIRING,
            UP,
            STOPPED,
            FAILED,
            Panel(
                "Provinces that have sent in the last day",
                "Of those that are enrolled and not suspended; a new one counts on its first day.",
                (
                    (
                        "sum(time() - max by (tenant) (ocop_province_last_received_timestamp_seconds) < bool 86400)",
                        "sent",
                    ),
                    ("count(max by (tenant) (ocop_province_last_received_timestamp_seconds))", "enrolled"),
                ),
                stat=True,
                width=THIRD,
            ),
            ANSWERS,
            ENDED,
            LATE,
            Panel(
                "Behind",
                "Seconds since a topic had been read to its end, the worst of each service; below two minutes no news,"
                " for it is looked at twice a minute.",
                (("max by (service) (ocop_lag_seconds)", "{{service}}"),),
                unit="s",
            ),
            Panel(
                "Requests answered with an error of ours",
                "Their share; 0.1% is what a month allows.",
                (
                    (
                        (
                            'sum by (service) (rate(ocop_requests_total{status="5xx"}[$__rate_interval]))'
                            " / sum by (service) (rate(ocop_requests_total[$__rate_interval]))"
                        ),
                        "{{service}}",
                    ),
                ),
                unit="percentunit",
                top=0.01,
            ),
            Panel(
                "Without an end",
                "Submissions that were received, wait or failed.",
                (("sum by (state) (max by (tenant, state) (ocop_submissions_open))", "{{state}}"),),
            ),
        ),
    ),
    Board(
        "service",
        "OCOP: one service",
        (
            Panel(
                "Records read",
                "Taken off each topic and committed.",
                (('sum by (topic) (rate(ocop_records_total{service="$service"}[$__rate_interval]))', "{{topic}}"),),
                unit="recps",
            ),
            Panel(
                "Unread",
                "Records that lie on each topic.",
                (('sum by (topic) (ocop_lag_records{service="$service"})', "{{topic}}"),),
            ),
            Panel(
                "From a poll to its commit",
                "How long a transaction takes.",
                _ranks('sum by (le) (rate(ocop_poll_seconds_bucket{service="$service"}[$__rate_interval]))', "poll"),
                unit="s",
            ),
            Panel(
                "Tried again, put back",
                "Transactions by what made them fail; partitions that another replica had read.",
                (
                    ('sum by (kind) (rate(ocop_retries_total{service="$service"}[$__rate_interval]))', "{{kind}}"),
                    (
                        'sum(rate(ocop_polls_put_back_total{service="$service"}[$__rate_interval])) or vector(0)',
                        "put back",
                    ),
                ),
                unit="ops",
                top=1,
            ),
            Panel(
                "Outbox",
                "Rows that wait for Kafka.",
                (('max(ocop_outbox_rows{service="$service"})', "rows"),),
                top=1,
            ),
            Panel(
                "Put aside",
                "Records by why they are held.",
                (('max by (reason) (ocop_held_rows{service="$service"})', "{{reason}}"),),
                top=1,
            ),
            Panel(
                "Memory",
                "Of each replica.",
                (('process_resident_memory_bytes{job="ocop",service="$service"}', "{{instance}}"),),
                unit="bytes",
            ),
            Panel(
                "Processor",
                "Of each replica; 1 is a core.",
                (
                    (
                        'rate(process_cpu_seconds_total{job="ocop",service="$service"}[$__rate_interval])',
                        "{{instance}}",
                    ),
                ),
            ),
        ),
        choice=("service", 'up{job="ocop"}'),
    ),
    Board(
        "province",
        "OCOP: one province",
        (
            Panel(
                "Since it last sent",
                "How long ago a submission of the province came; after a month an alert says so.",
                (('time() - max(ocop_province_last_received_timestamp_seconds{tenant="$tenant"})', "silent for"),),
                unit="s",
                stat=True,
                bad_from=30 * 86_400,
            ),
            Panel(
                "Without an end",
                "Its submissions that were received, wait or failed.",
                (
                    _or_none(
                        'sum by (state) (max by (state, tenant) (ocop_submissions_open{tenant="$tenant"}))', "state"
                    ),
                ),
                stat=True,
            ),
            Panel(
                "Events answered, in an hour",
                "Each in exactly one way.",
                (_or_none(f"sum by (status) ({_rise(ANSWERED, '1h')})", "status"),),
                top=1,
            ),
            Panel(
                "Refused, in an hour",
                "By the code of the first error.",
                (_or_none(f"sum by (code) ({_rise(REFUSED, '1h')})", "code"),),
                top=1,
            ),
            Panel(
                "Submissions ended, in an hour",
                "What became of those that were accepted.",
                (_or_none(f"sum by (state) ({_rise(HAS_ENDED, '1h')})", "state"),),
                width=WHOLE,
                top=1,
            ),
        ),
        choice=("tenant", "ocop_province_last_received_timestamp_seconds"),
    ),
    Board(
        "delivery",
        "OCOP: the way of events",
        (
            Panel(
                "Replicas that send",
                "One of each service that sends, no more and no less.",
                (('sum by (service) (ocop_relay_leads{service!~"national|notifications"})', "{{service}}"),),
                stat=True,
                bad_below=1,
            ),
            Panel(
                "Gone unread, in a day",
                "Records that retention took before a reader came.",
                ((f"sum({_rise('ocop_records_lost_total', '1d')}) or vector(0)", "records"),),
                stat=True,
                bad_from=1,
                width=QUARTER,
            ),
            Panel(
                "Mails unsent",
                "That the mail server has not taken yet.",
                (("max(ocop_mails_unsent)", "mails"),),
                stat=True,
                width=QUARTER,
            ),
            Panel(
                "Sent",
                "Outbox rows that Kafka has confirmed, by topic.",
                ((_short("sum by (topic) (rate(ocop_relayed_total[$__rate_interval]))"), "{{topic}}"),),
                unit="recps",
            ),
            Panel(
                "Read",
                "Records committed, by service.",
                (("sum by (service) (rate(ocop_records_total[$__rate_interval]))", "{{service}}"),),
                unit="recps",
            ),
            Panel(
                "Oldest row in the outbox",
                "Seconds that it has waited.",
                (('max by (service) (ocop_outbox_age_seconds{service!~"national|notifications"})', "{{service}}"),),
                unit="s",
            ),
            Panel(
                "Oldest that is held",
                "Seconds, by why it is held; where, says the board of a service.",
                (("max by (reason) (ocop_held_oldest_seconds)", "{{reason}}"),),
                unit="s",
            ),
            Panel(
                "Outcomes",
                "What deciding services say of submissions.",
                (_or_none("sum by (state) (rate(ocop_outcomes_total[$__rate_interval]))", "state"),),
                unit="eps",
            ),
            Panel(
                "Mails, in an hour",
                "Taken by the mail server or refused by it.",
                (_or_none(f"sum by (result) ({_rise('ocop_mails_total', '1h')})", "result"),),
                top=1,
            ),
        ),
    ),
)


def files() -> dict[Path, str]:
    """What is written, and where."""
    texts = {f"{board.name}.json": json.dumps(board.written(), indent=1) + "\n" for board in BOARDS}
    return {place / name: text for place in PLACES for name, text in texts.items()}


def main(arguments: list[str]) -> int:
    """The command; its exit status."""
    return generated.command(files(), "deploy.dashboards", arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
