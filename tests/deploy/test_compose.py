"""docker-compose.yml and what it mounts, read without an engine; `make compose-check` starts it on one."""

import json
import re
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from ocop import kafka, passwords, postgres
from ocop.services import SERVICES, Service
from servicekit import metrics
from tests.deploy import operators, rules
from tests.deploy.rules import ROOT

MAIN = rules.load((ROOT / "docker-compose.yml").read_text())
OWN = rules.load((ROOT / "deploy/compose/postgres-per-service.yml").read_text())
ALL = [(name, service) for file in (MAIN, OWN) for name, service in file["services"].items() if "image" in service]
Spoil = Callable[[dict[str, Any]], object]

MISTAKES: dict[str, tuple[Spoil, str]] = {
    "latest": (lambda it: it.update(image="ocop-interconnect:latest"), "its image has no tag, or the tag moves"),
    "no tag": (lambda it: it.update(image="ocop-interconnect"), "its image has no tag, or the tag moves"),
    "once": (lambda it: it.pop("restart"), "it is not started again"),
    "writes": (lambda it: it.update(read_only=False), "its root can be written to"),
    "capable": (lambda it: it.update(cap_add=["NET_ADMIN"]), "it has capabilities"),
    "gains": (lambda it: it.pop("security_opt"), "it may gain privileges"),
    "greedy": (lambda it: it.pop("mem_limit"), "no mem_limit"),
    "talks": (lambda it: it.pop("logging"), "its log grows without limit"),
    "unasked": (lambda it: it.pop("healthcheck"), "nobody asks whether it is well"),
    "open": (lambda it: it.update(ports=["8081:8080"]), "8081:8080 is open to others"),
    "host": (lambda it: it.update(network_mode="host"), "it shares the machine's"),
    "says": (lambda it: it["environment"].update(OCOP_SMTP_PASSWORD="x"), "OCOP_SMTP_PASSWORD says a secret"),
    "in URL": (lambda it: it["environment"].update(URL="postgresql://a:b@c/d"), "URL has a password in it"),
    "v2 only": (lambda it: it["healthcheck"].update(start_interval="1s"), "Compose v1 knows no start_interval"),
    "mount": (lambda it: it.update(volumes=["./deploy:/deploy"]), "./deploy:/deploy can be written to"),
}


@pytest.mark.parametrize(("name", "service"), ALL, ids=[name for name, _ in ALL])
def test_every_container_is_confined(name: str, service: dict[str, Any]) -> None:
    assert list(rules.of_service(name, service)) == []


@pytest.mark.parametrize(("spoil", "fault"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_seen(spoil: Spoil, fault: str) -> None:
    service = deepcopy(MAIN["services"]["gateway"])
    spoil(service)
    assert list(rules.of_service("gateway", service)) == [fault]


@pytest.mark.parametrize("file", [MAIN, OWN], ids=["main", "postgres-per-service"])
def test_the_files_are_for_both_versions(file: dict[str, Any]) -> None:
    assert list(rules.of_file(file)) == []


def test_a_file_for_one_version_is_seen() -> None:
    file = deepcopy(MAIN) | {"name": "ocop", "secrets": {"postgres": {"environment": "PASSWORD"}}, "volumes": {}}
    found = set(rules.of_file(file))
    assert {"Compose v1 knows no name", "secret postgres is not a file", "volume kafka is not declared"} <= found
    with pytest.raises(yaml.YAMLError, match="twice"):
        rules.load("a: &a {b: 1}\nc: {<<: *a, <<: *a}\n")


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
def test_each_service_knows_its_own_database_only(service: Service) -> None:
    found = MAIN["services"][service.name]
    _, app, http = service.roles
    assert found["command"] == [service.package]
    addresses = {role: found["environment"][name] for role, name in _addresses(service)}
    own = OWN["services"].get(service.name, {}).get("environment", {})
    assert {role: _parts(address) for role, address in addresses.items()} == {
        app: (app, "postgres", service.database),
        http: (http, "postgres", service.database),
    }
    assert found["secrets"] == [
        {"source": app, "target": "ocop_database_password"},
        {"source": http, "target": "ocop_database_http_password"},
    ]
    if service.wire != "gateway":  # it keeps the server that is there
        assert {role: _parts(own[name]) for role, name in _addresses(service)} == {
            app: (app, f"{service.name}-postgres", service.database),
            http: (http, f"{service.name}-postgres", service.database),
        }
        assert f"{service.name}-postgres" in OWN["services"]


def _addresses(service: Service) -> list[tuple[str, str]]:
    _, app, http = service.roles
    return [(app, "OCOP_DATABASE_URL"), (http, "OCOP_DATABASE_HTTP_URL")]


def _parts(address: str) -> tuple[str | None, str | None, str]:
    parts = urlsplit(address)
    assert parts.port == 5432
    return parts.username, parts.hostname, parts.path.removeprefix("/")


def test_secrets_are_those_that_are_made() -> None:
    files = {name: secret["file"] for name, secret in MAIN["secrets"].items()}
    assert files == {name: f"./deploy/compose/secrets/{name}" for name in passwords.names()}
    roles = {role for service in SERVICES for role in service.roles}
    assert set(MAIN["services"]["provision"]["secrets"]) == roles | {"postgres"}
    assert set(MAIN["services"]["ocop"]["secrets"]) == set(operators.ROLES)


def test_the_engines_are_those_that_are_tested() -> None:
    images = {service["image"] for name, service in ALL if "kafka" in name or "postgres" in name}
    assert images == {f"apache/kafka:{kafka.VERSION}", f"postgres:{postgres.VERSION}"}


def test_engines_cannot_be_reached_from_outside() -> None:
    published = {name for name, service in ALL if "ports" in service}
    assert published == {"gateway", "national", "mailpit", "prometheus", "grafana"}


def test_what_is_mounted_is_there() -> None:
    for name, service in ALL:
        for mount in service.get("volumes", ()):
            if mount.startswith("."):
                assert (ROOT / mount.split(":")[0]).exists(), f"{name}: {mount}"


def test_prometheus_reads_every_service() -> None:
    found = yaml.safe_load((ROOT / "deploy/compose/prometheus.yml").read_text())
    [job] = [each for each in found["scrape_configs"] if each["job_name"] == "ocop"]
    [names] = [each["names"] for each in job["dns_sd_configs"]]
    assert sorted(names) == sorted(service.name for service in SERVICES)


@pytest.mark.parametrize(
    "path", sorted((ROOT / "deploy/compose/grafana/dashboards").glob("*.json")), ids=lambda path: path.name
)
def test_dashboards_ask_for_what_there_is(path: Path) -> None:
    unknown = {name for each in _expressions(path) for name in _names(each)} - _metrics()
    assert unknown == set()


def _expressions(path: Path) -> list[str]:
    panels = json.loads(path.read_text())["panels"]
    found = [target["expr"] for panel in panels for target in panel["targets"]]
    assert len(found) >= len(panels) >= 5
    assert all(panel["description"] for panel in panels)
    return found


def _names(expression: str) -> list[str]:
    return re.findall(r"\b(?:ocop|process)_\w+", expression)


def _metrics() -> set[str]:
    return {"process_resident_memory_bytes", "process_cpu_seconds_total"} | metrics.samples()


def test_a_metric_that_is_not_there_is_seen() -> None:
    assert set(_names("rate(ocop_recods_total[5m])")) - _metrics() == {"ocop_recods_total"}
