"""Alerts, by promtool: each fires for its own fault, none for its neighbour's, none while all is well.

`make test-alerts`: promtool comes with Debian's package prometheus.
"""

import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry, Counter, generate_latest

from deploy.k8s.manifests import render
from servicekit import metrics

ROOT = Path(__file__).parent.parent.parent
FILES = [ROOT / "deploy" / "alerts" / name for name in ("rules.yml", "engines.yml")]
SERVICES = ("gateway", "registry", "evaluation", "marketplace-sync", "notifications", "national")
SENDING = SERVICES[:4]

Series = dict[str, str]


def well() -> Series:
    """A system in which all is well, minute by minute."""
    found = engines() | {
        f'up{{job="ocop",service="{service}",instance="{n}"}}': "1x{}" for service in SERVICES for n in (1, 2)
    }
    for service in SERVICES:
        found |= {
            f'ocop_ready{{service="{service}",instance="1"}}': "1x{}",
            f'ocop_ready{{service="{service}",instance="2"}}': "0x{}",
            f'ocop_topic_stopped{{service="{service}",topic="t"}}': "0x{}",
            f'ocop_records_lost_total{{service="{service}",topic="t"}}': "0x{}",
            f'ocop_records_lost_created{{service="{service}",topic="t"}}': "-86400x{}",
            f'ocop_topics_lost{{service="{service}"}}': "0x{}",
            f'ocop_held_rows{{service="{service}",reason="failed"}}': "0x{}",
            f'ocop_held_oldest_seconds{{service="{service}",reason="gap"}}': "0x{}",
            f'ocop_held_oldest_seconds{{service="{service}",reason="waiting"}}': "3600x{}",
            f'ocop_lag_seconds{{service="{service}",topic="t"}}': "10x{}",
            # So much comes that there is something unread whenever one looks.
            f'ocop_lag_seconds{{service="{service}",topic="busy"}}': "0+60x{}",
            f'ocop_lag_records{{service="{service}",topic="busy"}}': "40x{}",
            f'ocop_records_total{{service="{service}",topic="busy"}}': "0+6000x{}",
            f'ocop_retries_total{{service="{service}",kind="DeadlockDetectedError"}}': "0+1x{}",
            f'ocop_requests_total{{service="{service}",status="2xx"}}': "0+6000x{}",
            f'ocop_requests_total{{service="{service}",status="5xx"}}': "0+1x{}",
        }
    for service in SENDING:
        found |= {
            f'ocop_outbox_age_seconds{{service="{service}"}}': "1x{}",
            f'ocop_relay_leads{{service="{service}",instance="1"}}': "1x{}",
            f'ocop_relay_leads{{service="{service}",instance="2"}}': "0x{}",
        }
    return found | {
        'ocop_mails_oldest_seconds{service="notifications"}': "0 5x{}",
        CONFLICTS: "3x{}",
        # Time begins in 1970: who last sent at 0 has been silent since.
        'ocop_province_last_received_timestamp_seconds{service="gateway",tenant="2025-68"}': "0+60x{}",
        'ocop_submission_seconds_bucket{service="gateway",state="applied",le="10.0"}': "0+999x{}",
        'ocop_submission_seconds_count{service="gateway",state="applied"}': "0+1000x{}",
    }


def engines() -> Series:
    """Kafka, a database and their volumes, all well."""
    found = {
        THIN: "0x{}",
        OFFLINE: "0x{}",
        "kafka_server_replicamanager_underreplicatedpartitions": "0x{}",
        'cnpg_pg_stat_archiver_last_archived_time{service="registry",pod="registry-db-1"}': "0+60x{}",
        'cnpg_pg_stat_archiver_last_failed_time{service="registry",pod="registry-db-1"}': "-1x{}",
        # Of those that only follow, who never archived anything.
        'cnpg_pg_stat_archiver_last_archived_time{service="registry",pod="registry-db-2"}': "-1x{}",
        'cnpg_pg_stat_archiver_last_failed_time{service="registry",pod="registry-db-2"}': "-1x{}",
    }
    for service in SERVICES:
        found[BACKUP.replace("registry", service)] = "0+60x{}"
        for number in (1, 2, 3):
            found[f'cnpg_collector_up{{service="{service}",pod="{service}-db-{number}"}}'] = "1x{}"
    found[BACKUP] = "0x{}"
    for volume in VOLUMES:
        found |= {room(volume): "50x{}", room(volume, of="capacity"): "100x{}"}
    # Volumes of others, in the same cluster, that are full.
    for volume in ("other-db-1", "data-0-other-ocop-brokers-0"):
        found |= {room(volume, "elsewhere"): "1x{}", room(volume, "elsewhere", "capacity"): "100x{}"}
    return found


def room(volume: str, namespace: str = "ocop", of: str = "available") -> str:
    """The series of what a volume has left, or of its capacity."""
    return f'kubelet_volume_stats_{of}_bytes{{namespace="{namespace}",persistentvolumeclaim="{volume}"}}'


VOLUMES = [f"{service}-db-1{end}" for service in SERVICES for end in ("", "-wal")] + [
    f"data-0-ocop-{pool}-0" for pool in ("brokers", "controllers")
]
THIN = "kafka_server_replicamanager_underminisrpartitioncount"
OFFLINE = "kafka_controller_kafkacontroller_offlinepartitionscount"
BACKUP = 'barman_cloud_cloudnative_pg_io_last_available_backup_timestamp{service="registry"}'


@dataclass(frozen=True)
class Fault:
    """What is otherwise than when all is well; which alert that raises, for whom, and how soon (minutes)."""

    alert: str
    series: Series
    of: dict[str, str]
    by: int
    also: tuple[str, ...] = ()  # that cannot but follow
    gone: tuple[str, ...] = field(default=())  # series that are not there at all


OF = {"service": "registry"}
TOPIC = OF | {"topic": "t"}
LOST, BORN = (f'ocop_records_lost_{end}{{service="registry",topic="t"}}' for end in ("total", "created"))
CONFLICTS = 'ocop_answers_total{service="gateway",tenant="2025-68",status="conflict",code="conflict"}'
REQUESTS_FAILED = 'ocop_requests_total{service="registry",status="5xx"}'
IN_TIME = 'ocop_submission_seconds_bucket{service="gateway",state="applied",le="10.0"}'
FAULTS = [
    Fault("OcopServiceGone", {f'up{{job="ocop",service="registry",instance="{n}"}}': "0x{}" for n in (1, 2)}, OF, 4),
    Fault(
        "OcopServiceGone", {}, OF, 4, gone=tuple(f'up{{job="ocop",service="registry",instance="{n}"}}' for n in (1, 2))
    ),
    Fault("OcopNotReady", {'ocop_ready{service="national",instance="1"}': "0x{}"}, {"service": "national"}, 4),
    Fault("OcopNotReady", {'ocop_ready{service="registry",instance="1"}': "0x{}"}, OF, 4),
    Fault(  # its database is away: one fault, one alert
        "OcopNobodySends",
        {
            'ocop_ready{service="registry",instance="1"}': "0x{}",
            'ocop_relay_leads{service="registry",instance="1"}': "0x{}",
        },
        OF,
        4,
    ),
    Fault("OcopTopicStopped", {'ocop_topic_stopped{service="registry",topic="t"}': "1x{}"}, TOPIC, 2),
    Fault("OcopRecordsLost", {LOST: "0 5x{}"}, TOPIC, 2),
    Fault("OcopRecordsLost", {LOST: "_ 5x{}", BORN: "_ 60x{}"}, TOPIC, 2),
    # Born while nobody looked; and after such a while born again, in a process that was started anew.
    Fault("OcopRecordsLost", {LOST: "_x60 5x{}", BORN: "_x60 1200x{}"}, TOPIC, 62),
    Fault("OcopRecordsLost", {LOST: "5x30 _x30 3x{}", BORN: "-60x30 _x30 3600x{}"}, TOPIC, 62),
    *(
        Fault("OcopIdsUsedTwice", {CONFLICTS: values}, {"tenant": "2025-68"}, at)
        for values, at in (("3+1x{}", 15), ("_x30 25x{}", 32))
    ),
    Fault("OcopTopicLost", {'ocop_topics_lost{service="registry"}': "0 2x{}"}, OF, 3),
    Fault(
        "OcopNumberMissing",
        {'ocop_held_oldest_seconds{service="registry",reason="gap"}': "0+60x{}"},
        OF,
        4,
    ),
    Fault("OcopOutboxOld", {'ocop_outbox_age_seconds{service="registry"}': "0+60x{}"}, OF, 4),
    Fault(  # Kafka is away, so that nobody leads: one fault, one alert
        "OcopOutboxOld",
        {
            'ocop_outbox_age_seconds{service="registry"}': "0+60x{}",
            'ocop_relay_leads{service="registry",instance="1"}': "0x{}",
        },
        OF,
        4,
    ),
    Fault("OcopNobodySends", {'ocop_relay_leads{service="registry",instance="1"}': "0x{}"}, OF, 3),
    Fault("OcopReaderBehind", {'ocop_lag_seconds{service="registry",topic="t"}': "0+60x{}"}, TOPIC, 18),
    Fault(  # it reads, but not as much as comes
        "OcopReaderBehind",
        {
            'ocop_lag_seconds{service="registry",topic="t"}': "0+60x{}",
            'ocop_lag_records{service="registry",topic="t"}': "0+600x{}",
            'ocop_records_total{service="registry",topic="t"}': "0+600x{}",
        },
        TOPIC,
        18,
    ),
    Fault("OcopRecordsFailed", {'ocop_held_rows{service="registry",reason="failed"}': "1x{}"}, OF, 6),
    Fault("OcopWaitingLong", {'ocop_held_oldest_seconds{service="registry",reason="waiting"}': "604740+60x{}"}, OF, 8),
    Fault("OcopTriedAgain", {'ocop_retries_total{service="registry",kind="DeadlockDetectedError"}': "0+30x{}"}, OF, 16),
    Fault(
        "OcopWorkTooLate",
        {'ocop_rounds_too_late_total{service="registry",work="Waker.sweep"}': "0+4x{}"},
        OF | {"work": "Waker.sweep"},
        10,
    ),
    Fault("OcopMailsUnsent", {'ocop_mails_oldest_seconds{service="notifications"}': "0+60x{}"}, {}, 67),
    Fault(
        "OcopAnswersFail",
        {REQUESTS_FAILED: "0+120x{}"},
        OF,
        6,
        also=("OcopAnswersFailSlowly",),
    ),
    Fault("OcopAnswersFailSlowly", {REQUESTS_FAILED: "0+12x{}"}, OF, 6),
    Fault("OcopDecidedLate", {IN_TIME: "0+800x{}"}, {}, 6, also=("OcopDecidedLateSlowly",)),
    Fault("OcopDecidedLateSlowly", {IN_TIME: "0+980x{}"}, {}, 6),
    *(
        Fault("OcopDiskFills", {room(volume): "50-2x{}"}, {"namespace": "ocop", "persistentvolumeclaim": volume}, 30)
        for volume in VOLUMES
    ),
    Fault("OcopEngineUnseen", {}, {"engine": "Kafka"}, 12, gone=(THIN,)),
    Fault(
        "OcopEngineUnseen",
        {},
        OF | {"engine": "its database"},
        12,
        gone=tuple(f'cnpg_collector_up{{service="registry",pod="registry-db-{n}"}}' for n in (1, 2, 3)),
    ),
    Fault("OcopEngineUnseen", {}, OF | {"engine": "its backups"}, 12, gone=(BACKUP,)),
    Fault(
        "OcopDatabaseAlone",
        {},
        OF,
        17,
        gone=('cnpg_collector_up{service="registry",pod="registry-db-2"}',),
    ),
    Fault(
        "OcopDatabaseAlone",
        {'cnpg_collector_up{service="registry",pod="registry-db-3"}': "0x{}"},
        OF,
        17,
    ),
    Fault(
        "OcopDatabaseAlone",
        {f'cnpg_collector_up{{service="registry",pod="registry-db-{n}"}}': "0x{}" for n in (1, 2, 3)},
        OF,
        17,
    ),
    Fault(
        "OcopArchiveFails",
        {
            'cnpg_pg_stat_archiver_last_archived_time{service="registry",pod="registry-db-1"}': "30x{}",
            'cnpg_pg_stat_archiver_last_failed_time{service="registry",pod="registry-db-1"}': "0+60x{}",
        },
        OF,
        18,
    ),
    Fault("OcopKafkaThin", {THIN: "4x{}"}, {}, 3),
    Fault("OcopKafkaThin", {OFFLINE: "1x{}"}, {}, 3),
    Fault("OcopKafkaUneven", {"kafka_server_replicamanager_underreplicatedpartitions": "4x{}"}, {}, 32),
]


def rules() -> list[dict[str, Any]]:
    """Every alert."""
    return [rule for group in groups() for rule in group["rules"] if "alert" in rule]


def groups() -> list[dict[str, Any]]:
    """Of both files."""
    return [group for file in FILES for group in yaml.safe_load(file.read_text())["groups"]]


def case(
    series: Series, gone: tuple[str, ...], at: int, fires: dict[str, dict[str, str]], also: tuple[str, ...]
) -> Any:
    """A test of promtool: at this minute these alerts fire, with these labels, and no others."""
    whole = {name: values for name, values in (well() | series).items() if name not in gone}
    checks = []
    for rule in rules():
        if rule["alert"] in also:
            continue
        expected = []
        if (labels := fires.get(rule["alert"])) is not None:
            expected = [{"exp_labels": labels | rule["labels"]}]
        checks.append({"eval_time": f"{at}m", "alertname": rule["alert"], "exp_alerts": expected})
    return {
        "interval": "1m",
        "input_series": [{"series": name, "values": values.format(at)} for name, values in whole.items()],
        "alert_rule_test": checks,
    }


def run(directory: Path, cases: list[Any], every: str = "1m") -> subprocess.CompletedProcess[str]:
    # What alerts say to people is not compared here, and promtool compares all of an alert.
    bare = groups()
    for group in bare:
        for rule in group["rules"]:
            rule.pop("annotations", None)
    (directory / "rules.yml").write_text(yaml.safe_dump({"groups": bare}))
    test = {"rule_files": ["rules.yml"], "evaluation_interval": every, "tests": cases}
    (directory / "test.yml").write_text(yaml.safe_dump(test))
    command = ["/usr/bin/promtool", "test", "rules", "test.yml"]
    return subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault.alert}{'-absent' if fault.gone else ''}")
def test_an_alert_is_for_its_own_fault(fault: Fault, tmp_path: Path) -> None:
    soon = case(fault.series, fault.gone, fault.by, {fault.alert: fault.of}, fault.also)
    done = run(tmp_path, [soon])
    assert done.returncode == 0, done.stdout + done.stderr


def test_none_fires_while_all_is_well(tmp_path: Path) -> None:
    done = run(tmp_path, [case({}, (), at, {}, ()) for at in (5, 60, 390)])
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_long_absence_of_kafka_is_said_once(tmp_path: Path) -> None:
    """By the gateway, whose outbox grows. What readers do not hear of is not theirs to be paged for."""
    away: Series = {
        'ocop_outbox_age_seconds{service="gateway"}': "0+60x{}",
        'ocop_relay_leads{service="gateway",instance="1"}': "0x{}",  # who has nothing to send goes on leading
    }
    for service in SERVICES:
        away[f'ocop_lag_seconds{{service="{service}",topic="t"}}'] = "0+60x{}"
        away[f'ocop_records_total{{service="{service}",topic="busy"}}'] = "6000x{}"
    said = {"OcopOutboxOld": {"service": "gateway"}}
    done = run(tmp_path, [case(away, (), at, said, ()) for at in (5, 30, 120)])
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_fails_once_at_night_wakes_nobody(tmp_path: Path) -> None:
    """Few requests and one that fails, few submissions and one that is late: much of a small number."""
    quiet: Series = {}
    for service in SERVICES:
        quiet[f'ocop_requests_total{{service="{service}",status="2xx"}}'] = "0+1x{}"
        quiet[f'ocop_requests_total{{service="{service}",status="5xx"}}'] = "0x3 1x{}"
    quiet['ocop_submission_seconds_count{service="gateway",state="applied"}'] = "0x3 1x{}"
    quiet['ocop_submission_seconds_bucket{service="gateway",state="applied",le="10.0"}'] = "0x{}"
    done = run(tmp_path, [case(quiet, (), at, {}, ()) for at in (5, 8, 60)])
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_is_over_is_told_no_more(tmp_path: Path) -> None:
    """An hour of errors and of what is late: the share of three days remembers it, that of six hours does not."""
    late: Series = {REQUESTS_FAILED: "0+60x60 3600x{}", IN_TIME: "0x60 1000+1000x{}"}
    while_it_lasts = {"OcopAnswersFailSlowly": OF, "OcopDecidedLateSlowly": {}}
    soon = case(late, (), 50, while_it_lasts, also=("OcopAnswersFail", "OcopDecidedLate"))
    done = run(tmp_path, [soon, case(late, (), 450, {}, ())])
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_was_lost_long_ago_is_not_told_again_for_nobody_looked(tmp_path: Path) -> None:
    gap: Series = {LOST: "5x30 _x30 5x{}", BORN: "-86400x30 _x30 -86400x{}"}
    done = run(tmp_path, [case(gap, (), at, {}, ()) for at in (62, 75, 80)])
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_counter_says_when_it_was_born() -> None:
    mine = CollectorRegistry()
    Counter("ocop_mine", "of this test", ["topic"], registry=mine).labels("t").inc()
    assert 'ocop_mine_created{topic="t"}' in generate_latest(mine).decode()


def by_the_hour(directory: Path, alert: str, series: str, values: str, fires: dict[int, dict[str, str] | None]) -> None:
    """What takes days cannot be waited for minute by minute: at which hour the alert fires for whom, or for nobody."""
    checks = [
        {"eval_time": f"{hours}h", "alertname": alert, "exp_alerts": [{"exp_labels": labels}] if labels else []}
        for hours, labels in fires.items()
    ]
    test = {"interval": "1h", "input_series": [{"series": series, "values": values}], "alert_rule_test": checks}
    done = run(directory, [test], every="1h")
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_backup_that_is_old(tmp_path: Path) -> None:
    by_the_hour(tmp_path, "OcopBackupOld", BACKUP, "0x30", {25: None, 28: OF | {"severity": "ticket"}})


def test_a_province_that_is_silent(tmp_path: Path) -> None:
    name = 'ocop_province_last_received_timestamp_seconds{service="gateway",tenant="2025-68"}'
    fires = {29 * 24: None, 31 * 24: {"tenant": "2025-68", "severity": "ticket"}}
    by_the_hour(tmp_path, "OcopProvinceSilent", name, f"1x{32 * 24}", fires)


def test_every_volume_of_ours_is_among_those_that_are_watched() -> None:
    production = render("production")
    databases = {f"{name}-1{end}" for name in production.names("Cluster") for end in ("", "-wal")}
    kafka = {
        f"data-{volume['id']}-ocop-{pool['metadata']['name']}-0"
        for pool in production.of("KafkaNodePool")
        for volume in pool["spec"]["storage"]["volumes"]
    }
    assert databases | kafka == set(VOLUMES)


def test_each_alert_has_a_test() -> None:
    slow = {"OcopProvinceSilent", "OcopBackupOld"}
    assert {fault.alert for fault in FAULTS} | slow == {rule["alert"] for rule in rules()}


def test_each_alert_has_its_page_and_each_page_its_alert() -> None:
    pages = re.findall(r"^## (\w+)$", (ROOT / "docs" / "runbook.md").read_text(), re.MULTILINE)
    assert pages == [rule["alert"] for rule in rules()]
    for rule in rules():
        assert rule["annotations"]["runbook_url"] == f"docs/runbook.md#{rule['alert'].lower()}"
    for part in re.split(r"^## ", (ROOT / "docs" / "runbook.md").read_text(), flags=re.MULTILINE)[1:]:
        assert re.findall(r"^- \*\*(\w+)\*\*", part, re.MULTILINE) == ["Means", "Harm", "Look", "Do"], part[:40]


def test_what_alerts_and_pages_ask_for_is_measured() -> None:
    known = metrics.samples() | metrics.all_().keys()
    known |= {name.replace("_total", "_created") for name in known if name.endswith("_total")}
    written = "".join(file.read_text() for file in (*FILES, ROOT / "docs" / "runbook.md"))
    assert set(re.findall(r"\bocop_[a-z_]+", written)) - known == set()
