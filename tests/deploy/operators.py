"""Rules of the operators' place: a pod that is there for a repair only, with what commands take and no more."""

import base64
import re
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from deploy.k8s.manifests import OUR_IMAGE, Manifests, Object, containers, labels, template, title
from deploy.k8s.network import Outside, Pod, allowed, selects
from ocop.services import SERVICES
from servicekit.access import Tls
from tests.deploy.rule import ALL, rule
from tests.deploy.talking import KAFKA, PORTS, PROMETHEUS, STRANGERS

NATIONAL: Final = next(service for service in SERVICES if service.wire == "national")
# All but one command work as the application does; `ocop rebuild national` makes tables, as their owner.
ROLES: Final = {
    **{service.roles[1]: (f"{service.name}-database", "ocop_database_password") for service in SERVICES},
    NATIONAL.roles[0]: (f"{NATIONAL.name}-db-owner", "password"),
}
STACK: Final = {"OCOP_HOME", "OCOP_SECRETS", "OCOP_SERVICES_URL", "OCOP_POSTGRES_URL", "OCOP_KAFKA_BOOTSTRAP"}
TLS: Final = {f"OCOP_KAFKA_{name.upper()}" for name in Tls.model_fields}
VISITORS: Final[tuple[Pod | Outside, ...]] = (
    *STRANGERS,
    PROMETHEUS,
    *(Pod({}, each) for each in ("ingress", "keda", "strimzi", "cnpg-system")),
)
ELSEWHERE: Final[tuple[Pod | Outside, ...]] = (
    Outside(),
    *(Pod({}, each) for each in ("default", "egress", "monitoring", "ingress")),
)


@rule(*ALL)
def operators_have_a_place(found: Manifests) -> Iterator[str]:
    """One Deployment of no replicas, one pod at most, of our image; it waits, listens nowhere and serves nobody."""
    places = found.workloads("operator")
    if [title(each) for each in places] != ["Deployment/operator"]:
        yield f"places: {[title(each) for each in places]}"
    for place in places:
        spec, pod = place["spec"], template(place)
        if spec.get("replicas") != 0 or spec.get("strategy") != {"type": "Recreate"}:
            yield f"{title(place)}: {spec.get('replicas')} replicas, {spec.get('strategy')}"
        if [OUR_IMAGE in each["image"] for each in containers(place)] != [True]:
            yield f"{title(place)}: {[each['image'] for each in containers(place)]}"
        if pod["spec"].get("serviceAccountName") != place["metadata"]["name"]:
            yield f"{title(place)}: not its own account"
        main = containers(place)[0]
        if "ports" in main or any(name.endswith("Probe") for name in main):
            yield f"{title(place)}: is asked"
        if any(service.package in main.get("command", ()) for service in SERVICES):
            yield f"{title(place)}: runs {main['command']}"
        for each in found.of("Service"):
            if each["spec"]["selector"].items() <= labels(pod).items():
                yield f"{title(place)}: is served by {title(each)}"


@rule(*ALL)
def operators_are_given_what_commands_take(found: Manifests) -> Iterator[str]:
    """The stack's variables and a file for each role that a command takes; each database is found as its service finds
    it. No other password, no key of an authority."""
    for place in found.workloads("operator"):
        main, given = containers(place)[0], files(place)
        variables = {each["name"]: each.get("value") for each in main.get("env", ())}
        tls = TLS if found.of("Kafka") else set()
        if variables.keys() != STACK | tls or not all(variables.values()) or "envFrom" in main:
            yield f"{title(place)}: {sorted(variables.keys() ^ (STACK | tls))}, {main.get('envFrom')}"
            continue
        wanted = {f"{variables['OCOP_SECRETS']}/{role}": _named(found, *source) for role, source in ROLES.items()}
        for service in SERVICES:
            own = urlsplit(value(found, f"{service.name}-database", "ocop_database_url"))
            url = urlsplit(variables["OCOP_POSTGRES_URL"].replace("{service}", service.name))
            if (url.hostname, url.port, _mode(url.query)) != (own.hostname, own.port, _mode(own.query)):
                yield f"{title(place)}: {service.name} at {url.geturl()}"
            for authority in parse_qs(url.query).get("sslrootcert", ()):
                wanted[authority] = (f"{service.name}-db-ca", "ca.crt")
            address = urlsplit(variables["OCOP_SERVICES_URL"].replace("{service}", service.name))
            port = found.named("Service", service.name)["spec"]["ports"][0]["port"]
            if (address.hostname, address.port or 80) != (service.name, port):
                yield f"{title(place)}: asks {address.geturl()}"
        if tls:
            wanted[variables["OCOP_KAFKA_CA_FILE"]] = ("ocop-cluster-ca-cert", "ca.crt")
            wanted[variables["OCOP_KAFKA_CERTIFICATE_FILE"]] = ("kafka-user-operator", "user.crt")
            wanted[variables["OCOP_KAFKA_KEY_FILE"]] = ("kafka-user-operator", "user.key")
        for path in sorted(given.keys() | wanted.keys()):
            if given.get(path) != wanted.get(path):
                yield f"{title(place)}: {path} is {given.get(path)}, not {wanted.get(path)}"
        kafka = {
            each.get("value")
            for service in found.workloads("service")
            for each in containers(service)[0]["env"]
            if each["name"] == "OCOP_KAFKA_BOOTSTRAP"
        }
        if kafka != {variables["OCOP_KAFKA_BOOTSTRAP"]}:
            yield f"{title(place)}: Kafka at {variables['OCOP_KAFKA_BOOTSTRAP']}"


def _mode(query: str) -> list[str] | None:
    return parse_qs(query).get("sslmode")


def files(workload: Object) -> dict[str, tuple[str, str]]:
    """Each file of its Secrets as the first container sees it: from which Secret, and which key of it."""
    mounts = {each["name"]: each["mountPath"] for each in containers(workload)[0].get("volumeMounts", ())}
    found = {}
    for volume in template(workload)["spec"].get("volumes", ()):
        for source in [volume, *volume.get("projected", {}).get("sources", ())]:
            if secret := source.get("secret"):
                name = secret.get("secretName") or secret["name"]
                for item in secret.get("items") or [{"path": "*", "key": "*"}]:  # all that is in it
                    found[f"{mounts.get(volume['name'])}/{item['path']}"] = (name, item["key"])
    return found


def _named(found: Manifests, secret: str, key: str) -> tuple[str, str]:
    """The Secret under the name that it has here: those that kustomize makes end in a hash."""
    made = [name for name in found.names("Secret") if re.fullmatch(rf"{secret}-[a-z0-9]{{10}}", name)]
    return made[0] if made else secret, key


def value(found: Manifests, secret: str, key: str) -> str:
    """What a Secret says, or what it will be made to say."""
    for each in found.of("ExternalSecret"):
        if each["metadata"]["name"] == secret:
            return str(each["spec"]["target"]["template"]["data"].get(key, ""))
    data: dict[str, Any] = found.named("Secret", _named(found, secret, key)[0])["data"]
    return base64.b64decode(data[key]).decode()


@rule(*ALL)
def operators_reach_what_they_look_into(found: Manifests) -> Iterator[str]:
    """Every service, every database and Kafka, by the port that services use; nothing else, and nobody reaches them."""
    policies = found.of("NetworkPolicy")
    pods = {title(each): Pod(labels(template(each))) for each in found.workloads()}
    for each in found.of("Cluster"):
        pods[title(each)] = Pod(each["spec"]["inheritedMetadata"]["labels"])
    if found.of("Kafka"):
        pods["Kafka/ocop"] = KAFKA
    wanted = {title(each): {8080} for each in found.workloads("service")}
    wanted |= {name: {5432} for name in pods if name.startswith("Cluster/") or name == "StatefulSet/postgres"}
    wanted |= {name: {port} for name, port in (("Kafka/ocop", 9093), ("StatefulSet/kafka", 9092)) if name in pods}
    for place in found.workloads("operator"):
        here = Pod(labels(template(place)))
        for name, pod in pods.items():
            reached = {port for port in PORTS if allowed(policies, here, pod, port)}
            if reached != wanted.get(name, set()):
                yield f"{title(place)} → {name} {sorted(reached)}"
        yield from (f"{title(place)} → {who}" for who in ELSEWHERE for p in PORTS if allowed(policies, here, who, p))
        for who in (*VISITORS, *pods.values()):
            yield from (f"{who} → {title(place)} {p}" for p in PORTS if allowed(policies, who, here, p))
        for policy in policies:
            if policy["spec"].get("ingress") and selects(policy["spec"]["podSelector"], here.labels):
                yield f"{title(policy)}: somebody comes to {title(place)}"
