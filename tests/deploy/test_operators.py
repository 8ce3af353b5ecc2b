"""The operators' place: commands find in it what services find, and the pages send them where they can be done."""

import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from deploy.k8s.manifests import OVERLAYS, containers, render
from ocop import databases, stack
from ocop.errors import OcopError
from ocop.services import SERVICES
from tests.deploy.operators import NATIONAL, ROLES, files, value

ROOT = Path(__file__).parents[2]
rendered = cache(render)
PAGES = ("docs/operations.md", "docs/runbook.md", "deploy/k8s/README.md")
# What looks into several databases, or makes tables, or runs while its service is down.
ONLY_THERE = ("trace", "oracle", "rebuild", "adopt", "demo")


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_commands_find_each_database_as_its_service_does(
    overlay: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = rendered(overlay)
    place = found.named("Deployment", "operator")
    for each in containers(place)[0]["env"]:
        monkeypatch.setenv(each["name"], each["value"])
    mounted(tmp_path, [path.rpartition("/")[2] for path in files(place) if "/roles/" in path])
    monkeypatch.setenv("OCOP_SECRETS", str(tmp_path))
    memory = databases.memory()
    for service in SERVICES:
        own = urlsplit(value(found, f"{service.name}-database", "ocop_database_url"))
        url = urlsplit(stack.application_url(memory, service))
        assert (url.username, url.hostname, url.port, url.path) == (own.username, own.hostname, own.port, own.path)
        assert url.password == f"of-{own.username}"
        for asked in (stack.owner_url, stack.database_urls):
            if (asked, service) != (stack.owner_url, NATIONAL):
                with pytest.raises(OcopError, match="OCOP_SECRETS has no file"):
                    asked(memory, service)
        assert stack.service_url(memory, stack.Instance(service, 1)) == f"http://{service.name}"
    assert urlsplit(stack.owner_url(memory, NATIONAL)).username == "national_owner"


def mounted(directory: Path, names: list[str]) -> None:
    """Files as the kubelet lays them down: links into a directory that is replaced whole."""
    assert set(names) == set(ROLES)
    (directory / "..now").mkdir()
    (directory / "..data").symlink_to("..now")
    for name in names:
        (directory / "..now" / name).write_text(f"of-{name}")
        (directory / name).symlink_to(f"..data/{name}")


def told(page: str) -> list[tuple[str, str]]:
    """Each `kubectl … exec`: in which workload, and what."""
    return re.findall(r"kubectl -n ocop\S* exec (?:-it )?(\S+) -- ([^`#\n]+)", (ROOT / page).read_text())


@pytest.mark.parametrize("page", PAGES)
def test_pages_name_what_is_there(page: str) -> None:
    commands = re.findall(r"kubectl -n ocop [^`#\n]+", (ROOT / page).read_text())
    named = [
        each for line in commands for each in re.findall(r" (deploy|deployment|scaledobject)[/ ]([a-z][a-z-]*)", line)
    ]
    kinds = {"deploy": "Deployment", "deployment": "Deployment", "scaledobject": "ScaledObject"}
    assert named
    assert [name for kind, name in named if name not in rendered("production").names(kinds[kind])] == []


@pytest.mark.parametrize("page", PAGES)
def test_pages_name_no_instance_of_a_database(page: str) -> None:
    """Who leads changes: the first instance need not be the one that writes."""
    assert re.findall(r"\S+-db-\d\S*", (ROOT / page).read_text()) == []


@pytest.mark.parametrize("page", PAGES)
def test_pages_send_operators_where_it_can_be_done(page: str) -> None:
    assert told(page)
    for where, what in told(page):
        _, _, name = where.partition("/")
        words = what.split()
        if words[0] != "ocop" or name == "operator":
            continue
        assert words[1] not in ONLY_THERE, f"{where} cannot {what}"
        if words[1] == "tenant" or words[1] == "backfill":
            assert name == "gateway", what
        elif words[1] != "…":
            assert name in words, f"{where} is not asked of itself: {what}"


def test_a_page_that_sends_them_elsewhere_is_noticed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tests.deploy.test_operators.ROOT", tmp_path)
    for wrong in ("exec deploy/gateway -- ocop trace 1", "exec deploy/registry -- ocop dlq list national"):
        (tmp_path / "page.md").write_text(f"kubectl -n ocop {wrong}\n")
        with pytest.raises(AssertionError):
            test_pages_send_operators_where_it_can_be_done("page.md")
    (tmp_path / "page.md").write_text("kubectl -n ocop scale deploy/operators --replicas=1\n")
    with pytest.raises(AssertionError):
        test_pages_name_what_is_there("page.md")
    (tmp_path / "page.md").write_text("kubectl -n ocop logs <service>-db-1 -c plugin-barman-cloud\n")
    with pytest.raises(AssertionError):
        test_pages_name_no_instance_of_a_database("page.md")


def test_the_place_waits_for_its_end() -> None:
    """SIGTERM is awaited: one that only struck the process down would not be seen by process 1 of a container."""
    command = containers(rendered("production").named("Deployment", "operator"))[0]["command"]
    process = subprocess.Popen([sys.executable, *command[1:]])
    try:
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(1)
        process.terminate()
        assert process.wait(10) == 0
    finally:
        process.kill()
