"""A cluster's database restored to a moment: from its archive, and with an archive of its own from then on."""

import shutil
from pathlib import Path
from typing import Any

from deploy.k8s.manifests import HERE, Object, render
from deploy.k8s.schemas import complaints


def with_restored_registry(directory: Path) -> Object:
    """Its cluster, as `docs/operations.md` says to restore it."""
    copy = directory / "k8s"
    shutil.copytree(HERE, copy)
    kustomization = copy / "overlays/production/kustomization.yaml"
    written = kustomization.read_text()
    kustomization.write_text(written.replace("patches:\n", "patches:\n  - path: restored/registry.yaml\n", 1))
    return render("production", copy).named("Cluster", "registry-db")


def archive(plugin: dict[str, Any]) -> dict[str, str]:
    """What a plugin reads from or writes to."""
    assert plugin["name"] == "barman-cloud.cloudnative-pg.io"
    return dict(plugin["parameters"])


def test_a_database_comes_from_its_archive_and_writes_another(tmp_path: Path) -> None:
    before, after = render("production").named("Cluster", "registry-db"), with_restored_registry(tmp_path)
    assert list(complaints(after)) == []
    initdb, recovery = before["spec"]["bootstrap"]["initdb"], after["spec"]["bootstrap"]["recovery"]
    assert after["spec"]["bootstrap"] == {"recovery": recovery}
    assert {key: recovery[key] for key in ("database", "owner", "secret")} == {
        key: initdb[key] for key in ("database", "owner", "secret")
    }
    (source,) = after["spec"]["externalClusters"]
    assert source["name"] == recovery["source"]
    (was,), (now,) = before["spec"]["plugins"], after["spec"]["plugins"]
    assert archive(source["plugin"]) == archive(was)
    assert archive(now) == archive(was) | {"serverName": "registry-db-2"}
    assert now["isWALArchiver"]
    for same in ("bootstrap", "externalClusters", "plugins"):
        before["spec"].pop(same, None)
        after["spec"].pop(same)
    assert after == before, "all the rest is as it was"
