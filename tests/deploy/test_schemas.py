"""Whether the API would take what is sent: every object of every overlay, by the published schemas."""

import copy
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest

from deploy.k8s.manifests import OVERLAYS, render
from deploy.k8s.schemas import complaints

rendered = cache(render)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_api_takes_it(overlay: str) -> None:
    objects = rendered(overlay).objects
    assert len(objects) > 50
    assert [line for each in objects for line in complaints(each)] == []


WRONG: dict[str, tuple[str, str, Callable[[Any], Any]]] = {
    "a field that nobody knows": ("Deployment", "registry", lambda o: o["spec"].update(replicaz=2)),
    "deep within": ("Deployment", "registry", lambda o: o["spec"]["template"]["spec"].update(restartPolice="Never")),
    "a text for a number": ("Deployment", "gateway", lambda o: o["spec"].update(replicas="two")),
    "a version that is no more": ("PodDisruptionBudget", "registry", lambda o: o.update(apiVersion="policy/v1beta1")),
    "a custom field": ("Cluster", "registry-db", lambda o: o["spec"].update(instancez=3)),
    "a custom value": ("KafkaUser", "registry", lambda o: o["spec"]["authentication"].update(type="password")),
    "a custom number": ("KafkaTopic", "ocop.registry.product", lambda o: o["spec"].update(partitions=0)),
    "what must be there": ("ScaledObject", "registry", lambda o: o["spec"].pop("triggers")),
    "a secret's field": ("ExternalSecret", "registry-database", lambda o: o["spec"].update(refresh="1h")),
    "a monitor's field": ("PodMonitor", "services", lambda o: o["spec"]["podMetricsEndpoints"][0].update(prot="http")),
    "a rule's field": ("PrometheusRule", "ocop", lambda o: o["spec"]["groups"][0]["rules"][0].update(exp="1")),
    "a backup's field": ("ObjectStore", "backups", lambda o: o["spec"]["configuration"].update(bucket="b")),
}


@pytest.mark.parametrize("what", WRONG)
def test_the_api_would_not_take(what: str) -> None:
    kind, name, change = WRONG[what]
    wrong = copy.deepcopy(rendered("production").named(kind, name))
    assert list(complaints(wrong)) == []
    change(wrong)
    assert len(list(complaints(wrong))) == 1


def test_a_kind_that_nobody_knows() -> None:
    stranger = {"apiVersion": "example/v1", "kind": "Stranger", "metadata": {"name": "s"}}
    assert list(complaints(stranger)) == ["Stranger/s: nobody knows example/v1 Stranger"]
