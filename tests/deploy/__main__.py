"""`python -m tests.deploy`: docker-compose.yml on a real engine, from nothing to nothing; for `make compose-check`.

The image and the others must be there, or be had. Containers, volumes and networks have a project of their own, which
is gone in the end, whatever happened. What is seen on the way is printed; the exit status is 1 if anything is not as
it should be.
"""

import argparse
import json
import os
import re
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from ocop import passwords
from ocop.home import free_port
from ocop.services import SERVICES
from tests.deploy.rules import JOBS, ROOT, WRITES_ITS_ROOT

SECRETS = ROOT / "deploy/compose/secrets"
DASHBOARDS = ROOT / "deploy/compose/grafana/dashboards"
PAGE = ROOT / "docs/operations.md"
HEALTHY_S = 240
SEEN_S = 60  # until Prometheus has looked
LEAST_DUMP = 10_000  # bytes of a schema without a row, at least
COMMAND_S = 900
EQUAL = "65 published numbers: 65 equal, 0 different."
WELL = "The oracle finds nothing lost, nothing twice, nothing out of order."
OURS = {service.name for service in SERVICES}

# What a process in a container of ours sees of itself.
INSIDE = """
import os, pathlib
status = dict(line.split(":", 1) for line in pathlib.Path("/proc/self/status").read_text().splitlines() if ":" in line)
try:
    pathlib.Path("/app/written").write_text("")
    wrote = True
except OSError:
    wrote = False
print(os.getuid(), status["CapEff"].strip(), status["CapBnd"].strip(), status["NoNewPrivs"].strip(), wrote)
"""
CONFINED = "10001 0000000000000000 0000000000000000 1 False"


class DeployError(Exception):
    """Something is not as it should be."""


def say(text: str) -> None:
    """To standard output, with the time of day."""
    sys.stdout.write(f"[{datetime.now().astimezone():%H:%M:%S}] {text}\n")
    sys.stdout.flush()


class Project:
    """One compose project: its containers, its volumes, its network."""

    def __init__(self, files: Sequence[str]) -> None:
        self.name = f"ocop-check-{secrets.token_hex(3)}"
        ports = ("GATEWAY", "NATIONAL", "MAILPIT", "PROMETHEUS", "GRAFANA")
        self._environment = os.environ | {f"OCOP_{port}_PORT": str(free_port()) for port in ports}
        self._environment["OCOP_TRACE_SHARE"] = "1"
        self._command = [*_compose(), "-p", self.name]
        for file in files:
            self._command += ["-f", file]

    def run(self, *arguments: str, show: bool = True) -> str:
        """A compose command to its end; its standard output. Raises DeployError."""
        say(f"compose {' '.join(arguments)}")
        done = subprocess.run(
            [*self._command, *arguments],
            cwd=ROOT,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=COMMAND_S,
            check=False,
        )
        if show or done.returncode:
            sys.stdout.write(done.stdout)
        if done.returncode:
            raise DeployError(f"compose {arguments[0]} ended with {done.returncode}")
        return done.stdout

    def containers(self) -> dict[str, dict[str, Any]]:
        """Service → what the engine tells of its container; of several, the first."""
        ids = docker("ps", "--all", "--quiet", "--filter", f"label=com.docker.compose.project={self.name}").split()
        found: dict[str, dict[str, Any]] = {}
        for each in json.loads(docker("inspect", *ids)) if ids else []:
            found.setdefault(each["Config"]["Labels"]["com.docker.compose.service"], each)
        return found

    def left(self) -> str:
        """What the engine still has of it."""
        label = f"label=com.docker.compose.project={self.name}"
        things = (("ps", "--all"), ("volume", "ls"), ("network", "ls"))
        return "".join(docker(*thing, "--quiet", "--filter", label) for thing in things)


def _compose() -> list[str]:
    """Compose v2 where there is one, else v1. Raises DeployError."""
    for command in (["docker", "compose"], ["docker-compose"]):
        try:
            if subprocess.run([*command, "version"], capture_output=True, check=False).returncode == 0:
                return command
        except FileNotFoundError:
            continue
    raise DeployError("There is no docker compose here.")


def docker(*arguments: str) -> str:
    """A command of the engine's client; its standard output. Raises DeployError."""
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, timeout=60, check=False)  # noqa: S607  # the one in use
    if done.returncode:
        raise DeployError(f"docker {' '.join(arguments[:2])}: {done.stderr.strip()}")
    return done.stdout


def _unwell(containers: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    for name, container in containers.items():
        state = container["State"]
        health = state.get("Health", {}).get("Status", "healthy")
        if name in JOBS:
            if state["Status"] != "exited" or state["ExitCode"]:
                yield name, f"{state['Status']}, exit status {state['ExitCode']}"
        elif state["Status"] != "running" or health != "healthy":
            yield name, f"{state['Status']}, {health}"


def wait_until_well(project: Project, starting: "Future[str] | None" = None) -> dict[str, float]:
    """How many seconds each took from its start to health, when all are healthy, all jobs done. Raises DeployError.

    Looks while they are still being started, for the engine forgets all but the last answers about health.
    """
    until = time.monotonic() + HEALTHY_S
    took: dict[str, float] = {}
    while True:
        containers = project.containers()
        unwell = dict(_unwell(containers))
        for name in set(containers) - set(unwell) - set(took):
            since = datetime.fromisoformat(containers[name]["State"]["StartedAt"])
            took[name] = (datetime.now(UTC) - since).total_seconds()
        started = starting is None or starting.done()
        if starting is not None and started:
            starting.result()
        if started and containers and not unwell:
            return took
        if time.monotonic() > until:
            raise DeployError("; ".join(f"{name} is {state}" for name, state in unwell.items()))
        time.sleep(1)


def check_confinement(containers: Mapping[str, Mapping[str, Any]]) -> None:
    """What the engine was told, and what a process inside sees. Raises DeployError."""
    for name, container in containers.items():
        host = container["HostConfig"]
        if not host["ReadonlyRootfs"] and name not in WRITES_ITS_ROOT:
            raise DeployError(f"{name} has a root that can be written to")
        if host["CapDrop"] != ["ALL"] or not host["Memory"] or not host["PidsLimit"]:
            raise DeployError(f"{name} is not confined: {host['CapDrop']}, {host['Memory']}, {host['PidsLimit']}")
        for ports in (container["NetworkSettings"]["Ports"] or {}).values():
            if any(port["HostIp"] != "127.0.0.1" for port in ports or ()):
                raise DeployError(f"{name} is open to others: {ports}")
        if name in OURS and (seen := docker("exec", container["Id"], "python", "-c", INSIDE).strip()) != CONFINED:
            raise DeployError(f"{name} sees itself as {seen}, not {CONFINED}")


def tell(containers: Mapping[str, Mapping[str, Any]], took: Mapping[str, float]) -> None:
    """Memory of each container, and how long it took until it was well."""
    stats = docker("stats", "--no-stream", "--format", "{{.ID}} {{.MemUsage}}").splitlines()
    memory = dict(line.split(" ", 1) for line in stats)
    for name, container in sorted(containers.items()):
        say(f"{name:26} {memory.get(container['Id'][:12], 'ended'):24} well {took[name]:.0f} s after its start")


def demo(project: Project, accepted: int, duplicates: int) -> None:
    """The demo, with the same table as anywhere. Raises DeployError."""
    said = project.run("run", "--rm", "-T", "ocop", "demo")
    for line in (f"{accepted} events accepted, {duplicates} duplicates.", EQUAL, WELL):
        if line not in said:
            raise DeployError(f"the demo does not say: {line}")


@contextmanager
def renewed(roles: Sequence[str]) -> Iterator[None]:
    """Other passwords are in the files meanwhile; another project may live by those that were there before."""
    before = {SECRETS / role: (SECRETS / role).read_text() for role in roles}
    try:
        passwords.renew(SECRETS, roles)
        yield
    finally:
        for file, text in before.items():
            file.chmod(0o644)
            file.write_text(text)
            file.chmod(0o444)


def rotate(project: Project) -> None:
    """As the operators' page says it; then every connection is opened anew, by a gateway that runs on. Raises
    DeployError."""
    before = project.containers()["gateway"]["State"]["StartedAt"]
    with renewed(SERVICES[0].roles):
        project.run("run", "--rm", "-T", "provision")
        project.run("restart", "registry", "postgres", "kafka")
        wait_until_well(project)
        demo(project, 0, 3332)
    if project.containers()["gateway"]["State"]["StartedAt"] != before:
        raise DeployError("the gateway was started again for its new password")
    say("the gateway's passwords are others")


def back_and_forth(project: Project, services: Sequence[str]) -> None:
    """As the operators' page says it: the registry's database dumped, and put back with the demo in between. Raises
    DeployError."""
    containers = project.containers()
    postgres = containers["registry-postgres" if "registry-postgres" in containers else "postgres"]["Id"]
    commands = [
        line for line in PAGE.read_text().splitlines() if line.startswith("docker compose exec -T postgres sh -c")
    ]
    dump, restore = (re.findall(r"sh -c '(.*)'", line)[0] for line in commands)
    saved = subprocess.run(["docker", "exec", postgres, "sh", "-c", dump], capture_output=True, check=False)  # noqa: S607  # the one in use
    if saved.returncode or len(saved.stdout) < LEAST_DUMP:
        raise DeployError(f"the dump has {len(saved.stdout)} bytes: {saved.stderr.decode()[:300]}")
    demo(project, 3332, 0)
    project.run("stop", "registry")
    subprocess.run(["docker", "exec", "-i", postgres, "sh", "-c", restore], input=saved.stdout, check=True)  # noqa: S607  # the one in use
    project.run("run", "--rm", "-T", "--no-deps", "ocop", "adopt", "registry")
    project.run("up", "-d", *services)
    wait_until_well(project)
    demo(project, 0, 3332)


def check_watching(project: Project) -> None:
    """Every service is looked at, spans have come to the collector, alerts and boards are there. Raises DeployError."""
    for query, least in (('sum(up{job="ocop"})', len(SERVICES)), ("sum(otelcol_receiver_accepted_spans)", 1)):
        say(f"{query}: {wait_for_sample(project, query, least):,.0f}")
    rules = asked(project, "prometheus", "http://127.0.0.1:9090/api/v1/rules?type=alert")["data"]["groups"]
    if not (alerts := sum(len(group["rules"]) for group in rules)):
        raise DeployError("Prometheus has no alerts")
    say(f"{alerts} alerts")
    if "grafana" in project.containers():
        password = (SECRETS / "grafana").read_text().strip()
        boards = asked(project, "grafana", f"http://admin:{password}@127.0.0.1:3000/api/search?type=dash-db")
        drawn = {board["title"] for board in boards}
        if missing := {json.loads(file.read_text())["title"] for file in DASHBOARDS.glob("*.json")} - drawn:
            raise DeployError(f"Grafana has no board {', '.join(sorted(missing))}")
        say(f"{len(drawn)} boards")


def wait_for_sample(project: Project, query: str, least: float) -> float:
    """What Prometheus says to a query, when it is that much. Raises DeployError."""
    deadline = time.monotonic() + SEEN_S
    while time.monotonic() < deadline:
        url = f"http://127.0.0.1:9090/api/v1/query?{urlencode({'query': query})}"
        found = asked(project, "prometheus", url)["data"]["result"]
        if found and float(found[0]["value"][1]) >= least:
            return float(found[0]["value"][1])
        time.sleep(2)
    raise DeployError(f"{query} is not {least}")


def asked(project: Project, of: str, url: str) -> Any:
    """What a container answers itself to this."""
    return json.loads(docker("exec", project.containers()[of]["Id"], "wget", "-qO-", url))


def check(project: Project, services: Sequence[str]) -> None:
    """Everything, on a project that is up at the end of it. Raises DeployError."""
    made = passwords.make(SECRETS)
    say(f"{len(made)} passwords made")
    project.run("config", "--quiet", show=False)
    with ThreadPoolExecutor(1) as beside:
        took = wait_until_well(project, beside.submit(project.run, "up", "-d", *services))
    say("all are well")
    check_confinement(project.containers())
    say("all are confined")
    back_and_forth(project, services)
    if {"collector", "prometheus"} <= project.containers().keys():
        check_watching(project)
    tell(project.containers(), took)
    for command in (["oracle"], ["tenant", "list"], ["rebuild", "national", "--dry-run", "--reason", "check"]):
        project.run("run", "--rm", "-T", "ocop", *command)
    say(docker("exec", project.containers()["registry"]["Id"], "ocop", "consumer", "status", "registry"))
    rotate(project)


def main() -> int:
    """Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.deploy", description=__doc__)
    parser.add_argument("--file", action="append", default=[], help="a compose file beside docker-compose.yml")
    parser.add_argument("services", nargs="*", help="only these, and what they need; all if left out")
    arguments = parser.parse_args()
    status = 0
    try:
        project = Project(["docker-compose.yml", *arguments.file])
    except DeployError as error:
        say(str(error))
        return 1
    try:
        check(project, arguments.services)
    except DeployError as error:
        say(f"NOT AS IT SHOULD BE: {error}")
        project.run("logs", "--tail=30")
        status = 1
    finally:
        project.run("down", "--volumes", "--remove-orphans")
    if left := project.left():
        say(f"NOT AS IT SHOULD BE: left behind: {left.split()}")
        status = 1
    say("Nothing is left. All is as it should be." if not status else "Not all is as it should be.")
    return status


if __name__ == "__main__":
    sys.exit(main())
