"""Who may talk to whom: what a set of NetworkPolicies comes to, reckoned as a cluster's network does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from deploy.k8s.manifests import Object

NAME: Final = "kubernetes.io/metadata.name"  # every namespace carries its own name under it


@dataclass(frozen=True, slots=True)
class Pod:
    """One end of a connection. `namespace` empty: the one that the policies are in."""

    labels: Mapping[str, str] = field(default_factory=dict)
    namespace: str = ""


@dataclass(frozen=True, slots=True)
class Outside:
    """An address that is no pod's. Only policies that name address blocks reach it; which, is not reckoned."""


Port = tuple[str, int]  # by which protocol, and its number


def allowed(
    policies: Sequence[Object], source: Pod | Outside, target: Pod | Outside, port: int, protocol: str = "TCP"
) -> bool:
    """Whether a connection comes about: both ends must let it, where they are ours."""
    at = (protocol, port)
    return _lets(policies, source, target, at, "egress") and _lets(policies, target, source, at, "ingress")


def _lets(policies: Sequence[Object], ours: Pod | Outside, other: Pod | Outside, port: Port, way: str) -> bool:
    if isinstance(ours, Outside) or ours.namespace:
        return True  # not ours to say
    concerned = [
        policy["spec"]
        for policy in policies
        if way.capitalize() in policy["spec"]["policyTypes"] and selects(policy["spec"]["podSelector"], ours.labels)
    ]
    if not concerned:
        return True
    peers = "to" if way == "egress" else "from"
    return any(
        _has_port(rule, port) and (not rule.get(peers) or any(_is_peer(peer, other) for peer in rule[peers]))
        for spec in concerned
        for rule in spec.get(way) or ()
    )


def _has_port(rule: Object, port: Port) -> bool:
    return not rule.get("ports") or any(
        (each.get("protocol", "TCP"), each.get("port")) == port for each in rule["ports"]
    )


def _is_peer(peer: Mapping[str, Any], other: Pod | Outside) -> bool:
    if "ipBlock" in peer:
        return isinstance(other, Outside)
    if isinstance(other, Outside):
        return False
    if "namespaceSelector" in peer:
        if not selects(peer["namespaceSelector"], {NAME: other.namespace}):
            return False
    elif other.namespace:
        return False
    return selects(peer.get("podSelector", {}), other.labels)


def selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Whether a label selector takes these labels."""
    if any(labels.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    for wanted in selector.get("matchExpressions") or ():
        value, operator = labels.get(wanted["key"]), wanted["operator"]
        if operator == "In" and value not in wanted["values"]:
            return False
        if operator == "NotIn" and value in wanted["values"]:
            return False
        if operator == "Exists" and value is None:
            return False
        if operator == "DoesNotExist" and value is not None:
            return False
    return True
