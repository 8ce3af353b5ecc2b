"""Every overlay before a real API server: `python -m deploy.k8s.check`, or `make k8s-check`.

A server-side dry run of every object, strict: unknown fields, wrong versions and wrong values are refused, and so is a
pod that breaks the namespace's Pod Security. First some mistakes are planted, one for each kind of checker: a checker
that lets its mistake pass proves nothing, and ends the run.
"""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from typing import Any, Final

from deploy.k8s.apiserver import ApiServer, ApiServerError, running
from deploy.k8s.manifests import OVERLAYS, Manifests, Object, labels, render, template, title
from deploy.k8s.schemas import CRDS

Change = Callable[[Any], Any]

# What is wrong, the object, and how it is made wrong.
PLANTED: Final[tuple[tuple[str, str, str, Change], ...]] = (
    ("an unknown field", "Deployment", "registry", lambda o: o["spec"].update(replicaz=2)),
    ("an unknown API version", "Deployment", "registry", lambda o: o.update(apiVersion="apps/v1beta1")),
    ("a wrong value", "PodDisruptionBudget", "registry", lambda o: o["spec"].update(maxUnavailable="many")),
    ("an unknown field of a custom resource", "Cluster", "registry-db", lambda o: o["spec"].update(instancez=3)),
    (
        "a wrong value of a custom resource",
        "KafkaTopic",
        "ocop.registry.product",
        lambda o: o["spec"].update(partitions=0),
    ),
    ("a version that an operator has left", "Kafka", "ocop", lambda o: o.update(apiVersion="kafka.strimzi.io/v1beta2")),
    ("root", "Pod", "registry", lambda o: o["spec"]["securityContext"].update(runAsNonRoot=False, runAsUser=0)),
    (
        "the node's files",
        "Pod",
        "registry",
        lambda o: o["spec"]["volumes"].append({"name": "n", "hostPath": {"path": "/"}}),
    ),
)


def main() -> int:
    """The command; its exit status."""
    overlays = [render(name) for name in OVERLAYS]
    try:
        with running() as server:
            _prepare(server, overlays)
            passed = _planted(server, next(each for each in overlays if each.overlay == "production"))
            refused = [line for each in overlays for line in _overlay(server, each)]
    except ApiServerError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    for line in [*passed, *refused]:
        sys.stderr.write(f"{line}\n")
    _say(f"{len(refused)} refused" + ("" if not passed else f", and {len(passed)} mistakes passed"))
    return 1 if passed or refused else 0


def _prepare(server: ApiServer, overlays: list[Manifests]) -> None:
    """Custom resources and namespaces are there for real: a dry run makes nothing for the next object."""
    _must(server.run("apply", "--server-side", "-f", str(CRDS), "--recursive"))
    _must(server.run("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s"))
    for each in overlays:
        _must(server.run("apply", "--server-side", "-f", "-", text=json.dumps(each.of("Namespace")[0])))


def _must(done: subprocess.CompletedProcess[str]) -> None:
    if done.returncode:
        raise ApiServerError(done.stderr)


def _planted(server: ApiServer, production: Manifests) -> list[str]:
    """Mistakes that were let pass."""
    good = [*production.objects, *pods(production)]
    _say("planted mistakes")
    passed = []
    for what, kind, name, change in PLANTED:
        wrong = copy.deepcopy(next(o for o in good if (o["kind"], o["metadata"]["name"]) == (kind, name)))
        change(wrong)
        said = refusal(server, wrong)
        _say(f"  {what} in {title(wrong)}: {said.splitlines()[0][:110] if said else 'PASSED'}")
        if not said:
            passed.append(f"{what} in {title(wrong)} was not refused")
    return passed


def _overlay(server: ApiServer, found: Manifests) -> list[str]:
    """What was refused of an overlay, or warned of."""
    objects = [*found.objects, *pods(found)]
    done = _dry_run(server, {"apiVersion": "v1", "kind": "List", "items": objects})
    taken = [line for line in done.stdout.splitlines() if "serverside-applied" in line]
    refused = [f"{found.overlay}: {line}" for line in done.stderr.splitlines() if line.strip()]
    if len(taken) != len(objects) and not refused:
        refused.append(f"{found.overlay}: {len(objects) - len(taken)} without a word")
    kinds = Counter(each["kind"] for each in objects)
    _say(f"{found.overlay}: {len(taken)} of {len(objects)} taken")
    _say("  " + ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items())))
    return refused


def pods(found: Manifests) -> list[Object]:
    """The pods that the workloads would bring: Pod Security speaks of pods, and no controller makes them here."""
    made = []
    for each in found.workloads():
        pod = copy.deepcopy(template(each))
        name, namespace = each["metadata"]["name"], each["metadata"]["namespace"]
        metadata = {"name": name, "namespace": namespace, "labels": labels(pod)}
        spec = pod["spec"]
        for claim in each["spec"].get("volumeClaimTemplates", ()):  # as the controller does
            name = claim["metadata"]["name"]
            spec.setdefault("volumes", []).append({"name": name, "persistentVolumeClaim": {"claimName": name}})
        made.append({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
    return made


def refusal(server: ApiServer, of: Object) -> str:
    """Why the API server does not take an object, or warns of it; empty if it does."""
    done = _dry_run(server, of)
    return done.stderr.strip() or ("refused" if done.returncode else "")


def _dry_run(server: ApiServer, of: Object) -> subprocess.CompletedProcess[str]:
    arguments = ("apply", "--server-side", "--dry-run=server", "--validate=strict", "-f", "-")
    return server.run(*arguments, text=json.dumps(of))


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
