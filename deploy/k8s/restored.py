"""The patch by which a service's database comes back from its archive, as it was at a moment:

    python -m deploy.k8s.restored registry "2026-11-29 01:00:00+07:00"

It is written to `overlays/production/restored/registry.yaml`, when the overlay has been rendered as it was. Without a
moment, all that the archive has. It stays named under `patches`: since then the log goes to an archive of another name,
and another time it is this one that the database comes from.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import yaml

from deploy.k8s.manifests import HERE, OVERLAYS, Object, render
from ocop.services import SERVICES

PLUGIN: Final = "barman-cloud.cloudnative-pg.io"
SOURCE: Final = "before"


def restored(cluster: Object, moment: datetime | None) -> Object:
    """The patch of a Cluster as it is rendered now, restored before or not."""
    name, spec = cluster["metadata"]["name"], cluster["spec"]
    began = spec["bootstrap"].get("initdb") or spec["bootstrap"]["recovery"]
    (archive,) = (plugin["parameters"] for plugin in spec["plugins"] if plugin["name"] == PLUGIN)
    before = archive.get("serverName", name)
    number = int(before.removeprefix(f"{name}-")) if before != name else 1
    recovery: dict[str, Any] = {"source": SOURCE, **{key: began[key] for key in ("database", "owner", "secret")}}
    if moment is not None:
        recovery["recoveryTarget"] = {"targetTime": moment.isoformat(sep=" ")}
    return {
        "apiVersion": cluster["apiVersion"],
        "kind": "Cluster",
        "metadata": {"name": name},
        "spec": {
            "bootstrap": {"initdb": None, "recovery": recovery},
            "externalClusters": [{"name": SOURCE, "plugin": _plugin(archive, before)}],
            "plugins": [{**_plugin(archive, f"{name}-{number + 1}"), "isWALArchiver": True}],
        },
    }


def _plugin(archive: dict[str, str], server: str) -> Object:
    return {"name": PLUGIN, "parameters": {**archive, "serverName": server}}


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise argparse.ArgumentTypeError("a moment has its zone: 2026-11-29 01:00:00+07:00")
    return moment


def main(arguments: Sequence[str] | None = None) -> int:
    """Writes the patch, and says where."""
    parser = argparse.ArgumentParser(prog="python -m deploy.k8s.restored")
    parser.add_argument("service", choices=[service.name for service in SERVICES])
    parser.add_argument("moment", nargs="?", type=_moment)
    parser.add_argument("--overlay", choices=[each for each in OVERLAYS if each != "dev"], default="production")
    said = parser.parse_args(arguments)
    cluster = render(said.overlay, HERE).named("Cluster", f"{said.service}-db")
    file = HERE / "overlays" / said.overlay / "restored" / f"{said.service}.yaml"
    file.parent.mkdir(exist_ok=True)
    file.write_text(yaml.safe_dump(restored(cluster, said.moment), sort_keys=False))
    sys.stdout.write(f"{file}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
