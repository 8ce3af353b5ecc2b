"""A cluster's database restored to a moment: from its archive, and with an archive of its own from then on."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from deploy.k8s import restored
from deploy.k8s.manifests import HERE, Manifests, Object, render
from deploy.k8s.schemas import complaints
from ocop.services import SERVICES

MOMENT = "2026-11-29 01:00:00+07:00"


@pytest.fixture(scope="module")
def production() -> Manifests:
    return render("production")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Manifests to change."""
    copy = tmp_path / "k8s"
    shutil.copytree(HERE, copy)
    monkeypatch.setattr(restored, "HERE", copy)
    return copy


def restore(here: Path, name: str, *moment: str) -> Object:
    """Its cluster, as `docs/operations.md` says to restore it."""
    assert restored.main([name, *moment]) == 0
    kustomization = here / "overlays/production/kustomization.yaml"
    if f"restored/{name}.yaml" not in (written := kustomization.read_text()):
        kustomization.write_text(written.replace("patches:\n", f"patches:\n  - path: restored/{name}.yaml\n", 1))
    return render("production", here).named("Cluster", f"{name}-db")


def archive(plugin: dict[str, Any]) -> dict[str, str]:
    """What a plugin reads from or writes to."""
    assert plugin["name"] == restored.PLUGIN
    return dict(plugin["parameters"])


@pytest.mark.parametrize("name", [service.name for service in SERVICES])
def test_a_database_comes_from_its_archive_and_writes_another(name: str, production: Manifests, here: Path) -> None:
    before = production.named("Cluster", f"{name}-db")
    after = restore(here, name, MOMENT)
    assert list(complaints(after)) == []
    initdb, recovery = before["spec"]["bootstrap"]["initdb"], after["spec"]["bootstrap"]["recovery"]
    assert after["spec"]["bootstrap"] == {"recovery": recovery}
    assert {key: recovery[key] for key in ("database", "owner", "secret")} == {
        key: initdb[key] for key in ("database", "owner", "secret")
    }
    assert recovery["recoveryTarget"] == {"targetTime": MOMENT}
    (source,) = after["spec"]["externalClusters"]
    assert source["name"] == recovery["source"]
    (was,), (now,) = before["spec"]["plugins"], after["spec"]["plugins"]
    assert archive(source["plugin"]) == archive(was) | {"serverName": f"{name}-db"}
    assert archive(now) == archive(was) | {"serverName": f"{name}-db-2"}
    assert now["isWALArchiver"]
    same = ("bootstrap", "externalClusters", "plugins")
    rest = [{key: value for key, value in each["spec"].items() if key not in same} for each in (before, after)]
    assert rest[0] == rest[1], "all the rest is as it was"


def test_another_time_it_comes_from_the_archive_that_it_wrote_last(here: Path) -> None:
    restore(here, "registry", MOMENT)
    again = restore(here, "registry")["spec"]
    assert "recoveryTarget" not in again["bootstrap"]["recovery"], "all that the archive has"
    assert archive(again["externalClusters"][0]["plugin"])["serverName"] == "registry-db-2"
    assert archive(again["plugins"][0])["serverName"] == "registry-db-3"


def test_a_moment_has_its_zone(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        restored.main(["registry", "2026-11-29 01:00:00"])
    assert "a moment has its zone" in capsys.readouterr().err
