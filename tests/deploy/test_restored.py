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


def with_patch(directory: Path, name: str, patch: str) -> Object:
    """Its cluster, as `docs/operations.md` says to restore it."""
    copy = directory / "k8s"
    if not copy.exists():
        shutil.copytree(HERE, copy)
    overlay = copy / "overlays/production"
    (overlay / "restored").mkdir(exist_ok=True)
    (overlay / f"restored/{name}.yaml").write_text(patch)
    kustomization = overlay / "kustomization.yaml"
    if f"restored/{name}.yaml" not in (written := kustomization.read_text()):
        kustomization.write_text(written.replace("patches:\n", f"patches:\n  - path: restored/{name}.yaml\n", 1))
    return render("production", copy).named("Cluster", f"{name}-db")


def archive(plugin: dict[str, Any]) -> dict[str, str]:
    """What a plugin reads from or writes to."""
    assert plugin["name"] == restored.PLUGIN
    return dict(plugin["parameters"])


@pytest.mark.parametrize("name", [service.name for service in SERVICES])
def test_a_database_comes_from_its_archive_and_writes_another(
    name: str, production: Manifests, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    restored.main([name, MOMENT])
    before = production.named("Cluster", f"{name}-db")
    after = with_patch(tmp_path, name, capsys.readouterr().out)
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


def test_another_time_it_comes_from_the_archive_that_it_wrote_last(production: Manifests) -> None:
    once = restored.restored(production.named("Cluster", "registry-db"), None)
    assert "recoveryTarget" not in once["spec"]["bootstrap"]["recovery"], "all that the archive has"
    once["spec"]["bootstrap"].pop("initdb")
    again = restored.restored(once, None)
    assert archive(again["spec"]["externalClusters"][0]["plugin"])["serverName"] == "registry-db-2"
    assert archive(again["spec"]["plugins"][0])["serverName"] == "registry-db-3"


def test_a_moment_has_its_zone(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        restored.main(["registry", "2026-11-29 01:00:00"])
    assert "a moment has its zone" in capsys.readouterr().err
