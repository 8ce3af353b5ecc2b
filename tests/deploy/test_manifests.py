"""What is sent to a cluster: every rule over every overlay, and every rule seen broken."""

import copy
import re
from functools import cache
from pathlib import Path

import pytest

from deploy.k8s import kafka
from deploy.k8s.manifests import OVERLAYS, Manifests, containers, render
from tests.deploy import engines, operators, talking, watching, workloads  # noqa: F401  # they enter their rules
from tests.deploy.breaks import BREAKS, Break
from tests.deploy.rule import RULES

ROOT = Path(__file__).parents[2]
rendered = cache(render)


@pytest.mark.parametrize(("name", "overlay"), [(r.name, overlay) for r in RULES.values() for overlay in r.overlays])
def test_rules_hold(name: str, overlay: str) -> None:
    assert list(RULES[name].check(rendered(overlay))) == []


@pytest.mark.parametrize("broken", BREAKS, ids=lambda each: f"{each.rule}: {each.what}")
def test_rules_notice(broken: Break) -> None:
    overlay = RULES[broken.rule].overlays[-1]
    manifests = Manifests(overlay, tuple(copy.deepcopy(rendered(overlay).objects)))
    changed = Manifests(overlay, broken.apply(manifests))
    assert changed.objects != rendered(overlay).objects
    assert list(RULES[broken.rule].check(changed))


def test_every_rule_was_seen_broken() -> None:
    assert {each.rule for each in BREAKS} == set(RULES)


def test_kafkas_files_are_the_catalogues() -> None:
    assert kafka.main(["--check"]) == 0


def test_a_stale_file_is_noticed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(kafka, "REPLICAS", 2)
    assert kafka.main(["--check"]) == 1
    assert "topics.yaml" in capsys.readouterr().err


def test_staging_is_production_in_all_but_size() -> None:
    def named(overlay: str) -> set[tuple[str, str]]:
        return {(o["kind"], o["metadata"]["name"]) for o in rendered(overlay).objects if o["kind"] != "Namespace"}

    assert named("staging") == named("production")


def test_what_operators_are_told_to_rotate_is_there() -> None:
    page = (ROOT / "docs" / "operations.md").read_text()
    told = [
        line for line in page.splitlines() if line.startswith("kubectl -n ocop annotate --overwrite externalsecret")
    ]
    named = [name for line in told for name in re.findall(r" (gateway\S*)", line)]
    assert sorted(named) == sorted(name for name in rendered("production").names("ExternalSecret") if "gateway" in name)
    (file,) = re.findall(r"stat -Lc %y (\S+)", page)
    directory, _, key = file.rpartition("/")
    main = containers(rendered("production").named("Deployment", "gateway"))[0]
    assert {"name": "OCOP_SECRETS", "value": directory} in main["env"]
    assert key in workloads.secret_keys(rendered("production"))["gateway-database"]


def test_overlays() -> None:
    assert {rule for each in RULES.values() for rule in each.overlays} == set(OVERLAYS)
