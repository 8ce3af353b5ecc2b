"""A rule: what must hold of rendered manifests, and how to break it on purpose."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from deploy.k8s.manifests import Manifests

Check = Callable[[Manifests], Iterator[str]]
REAL = ("staging", "production")
ALL = ("dev", *REAL)


@dataclass(frozen=True, slots=True)
class Rule:
    """`check` says in words what is wrong; nothing, where the rule holds."""

    name: str
    check: Check
    overlays: tuple[str, ...]


RULES: dict[str, Rule] = {}


def rule(*overlays: str) -> Callable[[Check], Check]:
    """Enters a check among the rules, under its function's name, for these overlays."""

    def enter(check: Check) -> Check:
        RULES[check.__name__] = Rule(check.__name__, check, overlays)
        return check

    return enter
