"""Rules of what watches: collector, PodMonitors, alerts, dashboards. Names of metrics are those of the code."""

import json
import re
from collections.abc import Iterator
from typing import Final

import yaml

from deploy.k8s.manifests import Manifests, Object, containers, labels, template, title
from deploy.k8s.network import selects
from servicekit import metrics
from tests.deploy.rule import REAL, rule

OURS: Final = re.compile(r"\bocop_[a-z_]+")
THEIRS: Final = re.compile(r"\b(?:kafka|cnpg|barman|kubelet)_[a-z_]+")
# What engines say of themselves: Kafka by Strimzi's reporter of its MBeans (kafka.server:type=ReplicaManager …),
# CloudNativePG and its Barman plugin (their pages on monitoring), the kubelet of volumes.
ENGINES: Final = frozenset(
    {
        "kafka_server_replicamanager_underminisrpartitioncount",
        "kafka_server_replicamanager_underreplicatedpartitions",
        "kafka_controller_kafkacontroller_offlinepartitionscount",
        "cnpg_collector_up",
        "cnpg_pg_stat_archiver_last_archived_time",
        "cnpg_pg_stat_archiver_last_failed_time",
        "barman_cloud_cloudnative_pg_io_last_available_backup_timestamp",
        "kubelet_volume_stats_available_bytes",
        "kubelet_volume_stats_capacity_bytes",
    }
)


@rule(*REAL)
def the_collector_keeps_its_memory(found: Manifests) -> Iterator[str]:
    """memory_limiter first, then batch; what it receives, it hands on."""
    config = _collector(found)
    for name, pipeline in config["service"]["pipelines"].items():
        if pipeline["processors"] != ["memory_limiter", "batch"]:
            yield f"{name}: {pipeline['processors']}"
        for kind in ("receivers", "processors", "exporters"):
            yield from (f"{name}: {each} is not there" for each in pipeline[kind] if each not in config[kind])


def _collector(found: Manifests) -> Object:
    maps = [each for each in found.of("ConfigMap") if "collector-config.yaml" in each.get("data", {})]
    config: Object = yaml.safe_load(maps[0]["data"]["collector-config.yaml"])
    return config


@rule(*REAL)
def everything_is_watched(found: Manifests) -> Iterator[str]:
    """PodMonitors for services, Kafka, PostgreSQL and the collector, at ports that the pods have. The operators' place
    has none, so nobody asks it."""
    monitors = {each["metadata"]["name"]: each["spec"] for each in found.of("PodMonitor")}
    if not {"services", "kafka", "postgres", "otel-collector"} <= monitors.keys():
        yield f"monitors: {sorted(monitors)}"
    for workload in found.of("Deployment"):
        fitting = [spec for spec in monitors.values() if selects(spec["selector"], labels(template(workload)))]
        ports = {port["name"] for container in containers(workload) for port in container.get("ports", ())}
        if workload in found.workloads("operator"):
            if fitting or ports:
                yield f"{title(workload)}: {len(fitting)} monitors, ports {sorted(ports)}"
        elif len(fitting) != 1:
            yield f"{title(workload)}: {len(fitting)} monitors"
        elif fitting[0]["podMetricsEndpoints"][0]["port"] not in ports:
            yield f"{title(workload)}: no port {fitting[0]['podMetricsEndpoints'][0]['port']}"
    told = found.of("Kafka")[0]["spec"]["kafka"].get("metricsConfig", {}).get("values", {}).get("allowList", [])
    for name in ENGINES:
        if name.startswith("kafka_") and not any(re.fullmatch(pattern, name) for pattern in told):
            yield f"Kafka does not tell {name}"


@rule(*REAL)
def alerts_say_what_to_do(found: Manifests) -> Iterator[str]:
    """Every alert has a severity, a summary and a page; what it asks of us we measure, what of engines they tell."""
    lines = [line for each in found.of("PrometheusRule") for group in each["spec"]["groups"] for line in group["rules"]]
    alerts = [line for line in lines if "alert" in line]
    if not alerts:
        yield "no alerts"
    for alert in alerts:
        if alert["labels"].get("severity") not in ("page", "ticket"):
            yield f"{alert['alert']}: {alert['labels']}"
        if not {"summary", "runbook_url"} <= alert["annotations"].keys():
            yield f"{alert['alert']}: {sorted(alert['annotations'])}"
    for line in lines:
        yield from (f"{line['expr']}: {name}" for name in OURS.findall(line["expr"]) if name not in metrics.samples())
        yield from (f"{line['expr']}: {name}" for name in THEIRS.findall(line["expr"]) if name not in ENGINES)


@rule(*REAL)
def dashboards_come_along(found: Manifests) -> Iterator[str]:
    """Dashboards are ConfigMaps that Grafana's sidecar finds; what they draw, we measure."""
    maps = [each for each in found.of("ConfigMap") if labels(each).get("grafana_dashboard") == "1"]
    if not maps:
        yield "no dashboards"
    for each in maps:
        for name, text in each["data"].items():
            panels = json.loads(text)["panels"]
            asked = [metric for panel in panels for t in panel["targets"] for metric in OURS.findall(t["expr"])]
            if not asked:
                yield f"{name}: asks nothing of us"
            yield from (f"{name}: {metric}" for metric in asked if metric not in metrics.samples())
