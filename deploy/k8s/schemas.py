"""Whether objects are what the API takes, by published schemas: no cluster, no network, a second.

Strict: a field that no schema knows is wrong, for the API server would drop or refuse it. Kubernetes' own kinds are in
the package kubernetes-validate, custom ones in `crds/`.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final

import jsonschema_rs
import kubernetes_validate
import yaml

from deploy.k8s.manifests import Object, title

CRDS: Final = Path(__file__).parent / "crds"
KUBERNETES: Final = "1.34"

_ANYTHING: Final = "x-kubernetes-preserve-unknown-fields"


def complaints(of: Object) -> Iterator[str]:
    """What is wrong with an object; nothing, if the API would take it."""
    validators = custom()
    key = of["apiVersion"], of["kind"]
    if key in validators:
        for error in validators[key].iter_errors(of):
            yield f"{title(of)}: {'/'.join(map(str, error.instance_path))}: {error.message}"
        return
    try:
        kubernetes_validate.validate(of, KUBERNETES, strict=True)
    except kubernetes_validate.ValidationError as error:
        yield f"{title(of)}: {'/'.join(map(str, error.path))}: {error.message}"
    except kubernetes_validate.SchemaNotFoundError:
        yield f"{title(of)}: nobody knows {of['apiVersion']} {of['kind']}"


@cache
def custom() -> dict[tuple[str, str], jsonschema_rs.Validator]:
    """API version and kind -> what takes objects of it."""
    found = {}
    for path in CRDS.glob("*.yaml"):
        spec = yaml.load(path.read_text(), yaml.CSafeLoader)["spec"]
        for version in spec["versions"]:
            if version["served"]:
                key = f"{spec['group']}/{version['name']}", spec["names"]["kind"]
                found[key] = jsonschema_rs.validator_for(_strict(version["schema"]["openAPIV3Schema"]))
    return found


def _strict(schema: Any, names: bool = False) -> Any:
    """The schema, closed wherever it names its fields. `names`: the keys are names of fields."""
    if isinstance(schema, list):
        return [_strict(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: _strict(part, names=key == "properties" and not names) for key, part in schema.items()}
    if not names and "properties" in schema and schema.get("type") == "object" and not schema.get(_ANYTHING):
        closed.setdefault("additionalProperties", False)
    return closed
