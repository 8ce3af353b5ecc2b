"""What a container of ours must be, and what a Dockerfile must not do: rules as functions that name the faults."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parent.parent.parent
Service = Mapping[str, Any]

JOBS = {"provision", "ocop"}  # they end by themselves
# Each exception has its reason beside it in the compose file.
WRITES_ITS_ROOT = {"kafka"}
CANNOT_BE_ASKED = {"collector"}

# Compose v1 refuses these, or takes them for something else.
NOT_IN_V1 = {"name", "configs", "include", "models"}
NOT_IN_V1_SERVICE = {"configs", "develop", "pull_policy", "annotations", "attach", "provider", "post_start"}


class _OnceEach(yaml.SafeLoader):
    """Compose v2 refuses a key that stands twice, a second `<<` too; the usual loader takes the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value]
        if twice := {key for key in keys if keys.count(key) > 1}:
            raise yaml.constructor.ConstructorError(None, None, f"twice in one place: {twice}", node.start_mark)
        return super().construct_mapping(node, deep)


def load(text: str) -> dict[str, Any]:
    """A compose file, with every merge done."""
    found = yaml.load(text, _OnceEach)  # noqa: S506  # a SafeLoader
    assert isinstance(found, dict)
    return found


def of_service(name: str, service: Service) -> Iterator[str]:
    """What is wrong with a service of a compose file."""
    job = name in JOBS
    if not re.fullmatch(r"[\w./-]+:(?!latest\b)(\S+)", service.get("image", "")):
        yield "its image has no tag, or the tag moves"
    if service.get("restart") != ("no" if job else "unless-stopped"):
        yield "it is not started again"
    if not service.get("read_only") and name not in WRITES_ITS_ROOT:
        yield "its root can be written to"
    if service.get("cap_drop") != ["ALL"] or "cap_add" in service:
        yield "it has capabilities"
    if service.get("security_opt") != ["no-new-privileges:true"] or "privileged" in service:
        yield "it may gain privileges"
    yield from (f"no {limit}" for limit in ("mem_limit", "cpus", "pids_limit") if limit not in service)
    if not service.get("logging", {}).get("options", {}).get("max-size"):
        yield "its log grows without limit"
    if "test" not in service.get("healthcheck", {}) and not job and name not in CANNOT_BE_ASKED:
        yield "nobody asks whether it is well"
    yield from (f"{port} is open to others" for port in service.get("ports", ()) if not port.startswith("127.0.0.1:"))
    if {"network_mode", "pid", "ipc"} & set(service):
        yield "it shares the machine's"
    yield from _secrets(service)
    yield from _v1(service)
    for mount in service.get("volumes", ()):
        if mount.startswith(".") and not mount.endswith(":ro"):
            yield f"{mount} can be written to"


def _secrets(service: Service) -> Iterator[str]:
    for name, value in service.get("environment", {}).items():
        if "PASSWORD" in name and not str(value).startswith("/run/secrets/"):
            yield f"{name} says a secret"
        if re.search(r"://[^/@\s]*:[^/@\s]*@", str(value)):
            yield f"{name} has a password in it"


def _v1(service: Service) -> Iterator[str]:
    yield from (f"Compose v1 knows no {key}" for key in NOT_IN_V1_SERVICE & set(service))
    if "start_interval" in service.get("healthcheck", {}):
        yield "Compose v1 knows no start_interval"
    if isinstance(service.get("build"), dict) and "secrets" in service["build"]:
        yield "Compose v1 knows no build.secrets"
    needs = service.get("depends_on", {})
    if any({"restart", "required"} & set(need) for need in needs.values()):
        yield "Compose v1 knows only conditions in depends_on"


def of_file(file: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with a compose file as a whole."""
    yield from (f"Compose v1 knows no {key}" for key in NOT_IN_V1 & set(file))
    for name, secret in file.get("secrets", {}).items():
        if set(secret) != {"file"}:
            yield f"secret {name} is not a file"
    used = {
        mount.split(":")[0]
        for service in file["services"].values()
        for mount in service.get("volumes", ())
        if not mount.startswith((".", "/"))
    }
    yield from (f"volume {name} is not declared" for name in used - set(file.get("volumes", {})))


def instructions(text: str) -> list[tuple[str, str]]:
    """A Dockerfile's instructions with their arguments, in order."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    found = []
    for line in joined.splitlines():
        if line.strip():
            name, _, arguments = line.strip().partition(" ")
            found.append((name.upper(), arguments.strip()))
    return found


def of_dockerfile(text: str) -> Iterator[str]:
    """What is wrong with a Dockerfile."""
    if re.match(r"#\s*syntax=", text):
        yield "it wants another builder than the engine's"
    steps = instructions(text)
    bases = [value for name, value in steps if name == "ARG" and value.startswith("BASE=")]
    if len(bases) != 1 or not re.fullmatch(r"BASE=python:3\.\d+\.\d+-slim-\w+(@sha256:[0-9a-f]{64})?", bases[0]):
        yield "its base is not one version"
    if any(not value.startswith("${BASE}") for name, value in steps if name == "FROM"):
        yield "a stage has another base"
    if any(name == "ADD" for name, _ in steps):
        yield "ADD fetches and unpacks what it is given"
    last = max(index for index, (name, _) in enumerate(steps) if name == "FROM")
    final = steps[last + 1 :]
    if any(name == "RUN" for name, _ in final):
        yield "the last stage runs something"
    users = [value for name, value in final if name == "USER"]
    if not users or not re.fullmatch(r"[1-9]\d{3,}:[1-9]\d{3,}", users[-1]):
        yield "its user is root, or has no number"
    for name in ("ENTRYPOINT", "CMD", "HEALTHCHECK"):
        said = [value for step, value in final if step == name]
        if len(said) != 1 or not _is_exec_form(said[0].rpartition("CMD ")[2]):
            yield f"{name} is not there, or needs a shell"
    for _, value in (step for step in steps if step[0] == "RUN"):
        if re.search(r"apt|apk|gcc|curl|wget", value):
            yield "it fetches or compiles"
        if '"install"' in value and not {'"--require-hashes"', '"--only-binary=:all:"'} <= set(
            re.split(r"[\s,]+", value)
        ):
            yield "it installs what no lock has seen"
    labels = " ".join(value for name, value in final if name == "LABEL")
    for label in ("title", "description", "version", "revision"):
        if f"org.opencontainers.image.{label}=" not in labels:
            yield f"no label {label}"


def _is_exec_form(text: str) -> bool:
    try:
        found = json.loads(text)
    except ValueError:
        return False
    return isinstance(found, list) and all(isinstance(part, str) for part in found)
