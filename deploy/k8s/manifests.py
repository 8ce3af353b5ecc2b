"""Rendered manifests: what `kubectl apply -k` would send, as objects."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

HERE: Final = Path(__file__).parent
OVERLAYS: Final = ("dev", "staging", "production")
OUR_IMAGE: Final = "ocop-interconnect"

Object = dict[str, Any]
_WITH_PODS: Final = ("Deployment", "StatefulSet", "Job")


class _Loader(yaml.CSafeLoader):
    """Knows no times, as the API's own reader does not: they are text."""

    yaml_implicit_resolvers = {  # noqa: RUF012  # as its parent declares it
        letter: [each for each in found if each[0] != "tag:yaml.org,2002:timestamp"]
        for letter, found in yaml.CSafeLoader.yaml_implicit_resolvers.items()
    }


class NoKustomizeError(Exception):
    """Nothing here renders a kustomization."""


@dataclass(frozen=True, slots=True)
class Manifests:
    """The objects of one overlay."""

    overlay: str
    objects: tuple[Object, ...]

    def of(self, *kinds: str) -> list[Object]:
        """All objects of these kinds."""
        return [each for each in self.objects if each["kind"] in kinds]

    def named(self, kind: str, name: str) -> Object:
        """The one of this kind and name. Raises KeyError."""
        for each in self.of(kind):
            if each["metadata"]["name"] == name:
                return each
        raise KeyError(f"{kind}/{name}")

    def names(self, kind: str) -> set[str]:
        """The names of a kind."""
        return {each["metadata"]["name"] for each in self.of(kind)}

    def workloads(self, component: str | None = None) -> list[Object]:
        """What brings pods; of a component (service, migration …), or all."""
        return [
            each
            for each in self.of(*_WITH_PODS)
            if component is None or labels(template(each)).get("app.kubernetes.io/component") == component
        ]

    @property
    def namespace(self) -> str:
        """The one namespace that all of it is in."""
        return str(self.of("Namespace")[0]["metadata"]["name"])


def labels(of: Object) -> dict[str, str]:
    """An object's labels."""
    return dict(of["metadata"].get("labels") or {})


def template(workload: Object) -> Object:
    """The pods that a workload brings."""
    found: Object = workload["spec"]["template"]
    return found


def containers(workload: Object) -> list[Object]:
    """All containers of its pods, those of the start too."""
    pod = template(workload)["spec"]
    return [*pod.get("initContainers", ()), *pod["containers"]]


def title(of: Object) -> str:
    """`Deployment/registry`, for messages."""
    return f"{of['kind']}/{of['metadata']['name']}"


def command() -> list[str]:
    """What renders a folder: kubectl beside this Python, else kustomize or kubectl of the machine."""
    beside = Path(sys.executable).parent / "kubectl"
    if beside.exists():
        return [str(beside), "kustomize"]
    if (found := shutil.which("kustomize")) is not None:
        return [found, "build"]
    if (found := shutil.which("kubectl")) is not None:
        return [found, "kustomize"]
    raise NoKustomizeError("There is neither kustomize nor kubectl: `make venv` brings the latter.")


def text(folder: Path) -> str:
    """The rendered YAML of a folder. Raises NoKustomizeError; CalledProcessError, whose stderr says what is wrong."""
    return subprocess.run([*command(), str(folder)], check=True, capture_output=True, text=True, timeout=60).stdout  # noqa: S603  # our own command


def render(overlay: str, of: Path = HERE) -> Manifests:
    """An overlay's objects."""
    return Manifests(overlay, tuple(_objects(text(of / "overlays" / overlay))))


def _objects(rendered: str) -> Iterator[Object]:
    found: Iterable[Object | None] = yaml.load_all(rendered, _Loader)
    yield from (each for each in found if each is not None)
