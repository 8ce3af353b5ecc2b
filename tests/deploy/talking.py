"""Rules of the network: nobody talks to anybody, but for the sentences that say who may."""

from collections.abc import Iterator
from itertools import product
from typing import Final

from gateway.request import MAX_BODY_BYTES

from deploy.k8s.manifests import Manifests, labels, template, title
from deploy.k8s.network import Outside, Pod, allowed, selects
from tests.deploy.rule import ALL, REAL, rule

DNS: Final = Pod({"k8s-app": "kube-dns"}, "kube-system")
KAFKA: Final = Pod({"ocop/engine": "kafka"})
COLLECTOR: Final = Pod({"app.kubernetes.io/name": "otel-collector"})
PROMETHEUS: Final = Pod({}, "monitoring")
MAY_LEAVE: Final = {"marketplace-sync", "notifications"}  # through a proxy, and nobody else
PROXIES: Final = "egress"
STRANGERS: Final = (Pod({}, "default"), Pod({}, "elsewhere"), Outside())
PORTS: Final = (80, 443, 1025, 4318, 5432, 6443, 8000, 8025, 8080, 9090, 9091, 9092, 9093, 9187, 9404)


@rule(*ALL)
def denies_both_ways_by_default(found: Manifests) -> Iterator[str]:
    """A policy for all pods that lets nothing in and nothing out."""
    for each in found.of("NetworkPolicy"):
        spec = each["spec"]
        both = set(spec["policyTypes"]) == {"Ingress", "Egress"}
        if spec["podSelector"] == {} and both and not spec.get("ingress") and not spec.get("egress"):
            return
    yield "no policy denies all"


@rule(*ALL)
def asks_for_names(found: Manifests) -> Iterator[str]:
    """Everybody may ask the cluster's DNS."""
    for name, pod in _pods(found).items():
        if not all(allowed(found.of("NetworkPolicy"), pod, DNS, 53, protocol) for protocol in ("UDP", "TCP")):
            yield name


@rule(*ALL)
def says_which_ports(found: Manifests) -> Iterator[str]:
    """No policy lets anybody to all ports, or to all places."""
    for policy in found.of("NetworkPolicy"):
        for way, peers in (("ingress", "from"), ("egress", "to")):
            for each in policy["spec"].get(way) or ():
                if not each.get("ports") or not each.get(peers) or {} in each[peers]:
                    yield f"{title(policy)}: {way}"
                if any(peer.get("ipBlock", {}).get("cidr") in ("0.0.0.0/0", "::/0") for peer in each.get(peers, ())):
                    yield f"{title(policy)}: the whole world"


@rule(*REAL)
def reaches_its_own_database_only(found: Manifests) -> Iterator[str]:
    """Service and migration reach port 5432 of their database; of the others', nobody."""
    policies = found.of("NetworkPolicy")
    services, databases = _pods(found, "service"), _databases(found)
    if set(services) != set(databases):
        yield f"databases of {sorted(databases)}"
    for (name, service), (of, database) in product(services.items(), databases.items()):
        if allowed(policies, service, database, 5432) != (name == of):
            yield f"{name} → database of {of}"
    for name, migration in _pods(found, "migration").items():
        reached = {of for of, database in databases.items() if allowed(policies, migration, database, 5432)}
        if reached != {name.removeprefix("migrate-")}:
            yield f"{name} → databases of {sorted(reached)}"


@rule(*REAL)
def reaches_kafka_by_tls(found: Manifests) -> Iterator[str]:
    """Port 9093, and none that is Kafka's own; migrations need no Kafka. KEDA comes from its namespace."""
    policies = found.of("NetworkPolicy")
    for name, service in _pods(found, "service").items():
        if not allowed(policies, service, KAFKA, 9093):
            yield f"{name} does not reach Kafka"
        yield from (f"{name} → Kafka {port}" for port in (9090, 9091, 9092) if allowed(policies, service, KAFKA, port))
    for name, migration in _pods(found, "migration").items():
        if allowed(policies, migration, KAFKA, 9093):
            yield f"{name} reaches Kafka"
    if not allowed(policies, Pod({}, "keda"), KAFKA, 9093):
        yield "KEDA does not reach Kafka"


@rule("dev")
def reaches_the_single_engines(found: Manifests) -> Iterator[str]:
    """In dev: services reach both engines, migrations PostgreSQL, the Job of topics Kafka."""
    policies, postgres = found.of("NetworkPolicy"), Pod({"ocop/engine": "postgres"})
    for name, pod in _pods(found, "service").items():
        if not (allowed(policies, pod, KAFKA, 9092) and allowed(policies, pod, postgres, 5432)):
            yield name
    yield from (n for n, pod in _pods(found, "migration").items() if not allowed(policies, pod, postgres, 5432))
    yield from (n for n, pod in _pods(found, "topics").items() if not allowed(policies, pod, KAFKA, 9092))


@rule(*REAL)
def hands_traces_to_the_collector(found: Manifests) -> Iterator[str]:
    """OTLP to the collector, and from there to where traces are kept."""
    policies = found.of("NetworkPolicy")
    for name, service in _pods(found, "service").items():
        if not allowed(policies, service, COLLECTOR, 4318):
            yield f"{name} does not reach the collector"
    if not allowed(policies, COLLECTOR, PROMETHEUS, 4318):
        yield "the collector hands on to nobody"


@rule(*ALL)
def is_asked_by_whom_it_serves(found: Manifests) -> Iterator[str]:
    """The ingress reaches gateway and national; Prometheus reaches all; nobody else does, another service neither."""
    policies, services = found.of("NetworkPolicy"), _pods(found, "service")
    for name, service in services.items():
        if allowed(policies, Pod({}, "ingress"), service, 8080) != (name in ("gateway", "national")):
            yield f"ingress → {name}"
        if not allowed(policies, PROMETHEUS, service, 8080):
            yield f"monitoring does not reach {name}"
        for other, asking in services.items():
            if allowed(policies, asking, service, 8080):
                yield f"{other} → {name}"
        yield from (f"{who} → {name}" for who in STRANGERS if allowed(policies, who, service, 8080))


@rule(*ALL)
def leaves_by_a_proxy_only(found: Manifests) -> Iterator[str]:
    """No service reaches an address outside; notifications and marketplace-sync may reach a proxy of ours."""
    policies = found.of("NetworkPolicy")
    for name, pod in {**_pods(found, "service"), **_pods(found, "migration")}.items():
        if any(allowed(policies, pod, Outside(), port) for port in PORTS):
            yield f"{name} → outside"
        for policy in policies:
            if "Egress" in policy["spec"]["policyTypes"] and selects(policy["spec"]["podSelector"], pod.labels):
                named = str(policy["spec"].get("egress"))
                if PROXIES in named and name not in MAY_LEAVE:
                    yield f"{name} → proxy, by {title(policy)}"


@rule(*ALL)
def lets_no_stranger_to_the_engines(found: Manifests) -> Iterator[str]:
    """Kafka and PostgreSQL are reached by nobody of another namespace but their operators, KEDA and Prometheus: by our
    policies alone, for the cluster's Strimzi is to make none (deploy/k8s/README.md)."""
    policies = found.of("NetworkPolicy")
    engines = {"kafka": KAFKA, **{f"database of {of}": pod for of, pod in _databases(found).items()}}
    for name, engine in engines.items():
        for who in (*STRANGERS, Pod({}, "ingress")):
            reached = [port for port in PORTS if allowed(policies, who, engine, port)]
            yield from (f"{who} → {name} {port}" for port in reached)


@rule(*REAL)
def lets_the_engines_talk_among_themselves(found: Manifests) -> Iterator[str]:
    """Brokers and controllers, and the instances of one database; not those of two. Their operators reach them."""
    policies, databases = found.of("NetworkPolicy"), _databases(found)
    for port in (9090, 9091, 8443):
        if not allowed(policies, KAFKA, KAFKA, port) or not allowed(policies, Pod({}, "strimzi"), KAFKA, port):
            yield f"Kafka {port}"
    for (one, source), (other, target) in product(databases.items(), repeat=2):
        for port in (5432, 8000):
            if allowed(policies, source, target, port) != (one == other):
                yield f"database of {one} → of {other} {port}"
    for of, database in databases.items():
        if not allowed(policies, Pod({}, "cnpg-system"), database, 8000):
            yield f"the operator does not reach the database of {of}"
        if not allowed(policies, database, Outside(), 443) or not allowed(policies, database, Outside(), 6443):
            yield f"the database of {of} reaches no backup or no API server"
        if not allowed(policies, PROMETHEUS, database, 9187):
            yield f"nobody watches the database of {of}"
    if not allowed(policies, PROMETHEUS, KAFKA, 9404):
        yield "nobody watches Kafka"


@rule(*REAL)
def shows_the_outside_no_inside(found: Manifests) -> Iterator[str]:
    """From outside one reaches pages and interfaces, encrypted; not /health, not /metrics."""
    for each in found.of("Ingress"):
        hosts = {host for tls in each["spec"].get("tls", ()) for host in tls["hosts"]}
        for line in each["spec"]["rules"]:
            if line["host"] not in hosts:
                yield f"{title(each)}: {line['host']} without TLS"
            for path in line["http"]["paths"]:
                name = path["backend"]["service"]["name"]
                if name not in found.names("Service"):
                    yield f"{title(each)}: leads to {name}"
                if any(_leads(path, inside) for inside in ("/health/live", "/health/ready", "/metrics")):
                    yield f"{title(each)}: {path['path']} leads inside"


@rule(*REAL)
def lets_whole_batches_in(found: Manifests) -> Iterator[str]:
    """The proxy takes as large a body as the gateway does: its own answer would be no province's to read."""
    for each in found.of("Ingress"):
        size = each["metadata"].get("annotations", {}).get("nginx.ingress.kubernetes.io/proxy-body-size")
        if each["metadata"]["name"] == "gateway" and size != f"{MAX_BODY_BYTES >> 20}m":
            yield f"{title(each)}: {size}"


def _leads(path: dict[str, str], asked: str) -> bool:
    if path["pathType"] == "Exact":
        return path["path"] == asked
    return path["pathType"] != "Prefix" or f"{asked}/".startswith(path["path"].rstrip("/") + "/")


def _pods(found: Manifests, component: str | None = None) -> dict[str, Pod]:
    return {each["metadata"]["name"]: Pod(labels(template(each))) for each in found.workloads(component)}


def _databases(found: Manifests) -> dict[str, Pod]:
    """The pods of each CloudNativePG cluster: they get its inherited labels."""
    inherited = [each["spec"].get("inheritedMetadata", {}).get("labels", {}) for each in found.of("Cluster")]
    return {each["ocop/database-of"]: Pod(each) for each in inherited if "ocop/database-of" in each}
