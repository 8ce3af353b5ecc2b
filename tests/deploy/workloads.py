"""Rules of pods: who they are, what they may, how they start, end, and are spread."""

import re
from collections.abc import Iterator
from typing import Any, Final

from fastapi.routing import APIRoute
from gateway.settings import Settings as GatewaySettings
from national.settings import Settings as NationalSettings
from notifications.settings import Settings as NotificationsSettings

from contracts.topics import TOPICS
from deploy.k8s.kafka import reads
from deploy.k8s.manifests import OUR_IMAGE, Manifests, Object, containers, labels, template, title
from ocop.services import SERVICES
from servicekit.access import Tls
from servicekit.health import health_routes
from servicekit.kafka import STOPPED_S
from servicekit.settings import Settings
from servicekit.tracing import END_S
from tests.deploy.rule import ALL, REAL, rule

# Of the machinery around the code, not of its settings.
STANDARD: Final = {"OTEL_EXPORTER_OTLP_ENDPOINT", "FORWARDED_ALLOW_IPS", "OCOP_SECRETS"}
SETTINGS: Final[dict[str, type[Settings]]] = {
    "gateway": GatewaySettings,
    "national": NationalSettings,
    "notifications": NotificationsSettings,
}
DIGEST: Final = re.compile(r"@sha256:[0-9a-f]{64}$")
SHELLS: Final = ("sh", "bash", "/bin/sh", "/bin/bash")
# What servicekit takes to stop: for the poll in hand and the group, with requests under way (10 s) beside them, for two
# pools, for the last spans.
POOLS_S: Final = 10
STOPS_S: Final = STOPPED_S + POOLS_S + END_S


@rule(*ALL)
def every_service_is_there(found: Manifests) -> Iterator[str]:
    """A Deployment and a Service each, of the name of its folder, started as its package."""
    services = {each["metadata"]["name"]: each for each in found.workloads("service")}
    if services.keys() != {service.name for service in SERVICES}:
        yield f"services: {sorted(services)}"
    for service in SERVICES:
        if service.name not in services:
            continue
        main = containers(services[service.name])[0]
        if main.get("command") != ["python", "-m", service.package]:
            yield f"{service.name} is started as {main.get('command')}"
        if service.name not in found.names("Service"):
            yield f"{service.name} has no Service"
        own = template(services[service.name])["metadata"]["labels"]
        for selector in (services[service.name]["spec"]["selector"]["matchLabels"], _selector(found, service.name)):
            if not selector or selector.items() - own.items():
                yield f"{service.name}: its selector takes others or none: {selector}"


def _selector(found: Manifests, name: str) -> dict[str, str]:
    return dict(found.named("Service", name)["spec"]["selector"]) if name in found.names("Service") else {}


@rule(*ALL)
def has_an_account_without_a_token(found: Manifests) -> Iterator[str]:
    """Nothing here talks to the API server, so nothing gets a token for it; of services each has its own account."""
    accounts = {each["metadata"]["name"]: each for each in found.of("ServiceAccount")}
    for workload in found.workloads():
        pod = template(workload)["spec"]
        account = accounts.get(pod.get("serviceAccountName", "default"))
        if account is None or account.get("automountServiceAccountToken") is not False:
            yield f"{title(workload)}: its account is missing or brings a token"
        if pod.get("automountServiceAccountToken") is not False:
            yield f"{title(workload)}: its pod takes a token"
    for workload in found.workloads("service"):
        if template(workload)["spec"].get("serviceAccountName") != workload["metadata"]["name"]:
            yield f"{title(workload)}: not its own account"


@rule(*ALL)
def is_disrupted_one_at_a_time(found: Manifests) -> Iterator[str]:
    """A PodDisruptionBudget of `maxUnavailable: 1` for each service, that takes its pods and no others."""
    budgets = found.of("PodDisruptionBudget")
    for workload in found.workloads("service"):
        own = labels(template(workload))
        fitting = [b for b in budgets if b["spec"]["selector"]["matchLabels"].items() <= own.items()]
        if [b["spec"].get("maxUnavailable") for b in fitting] != [1]:
            yield f"{title(workload)}: budgets {[title(b) for b in fitting]}"
        elif (
            fitting[0]["spec"]["selector"]["matchLabels"].get("app.kubernetes.io/name") != workload["metadata"]["name"]
        ):
            yield f"{title(workload)}: its budget takes others, too"


@rule(*ALL)
def is_spread_over_zones_and_hosts(found: Manifests) -> Iterator[str]:
    """Replicas of one service lie in several zones and on several machines."""
    for workload in found.workloads("service"):
        spreads = template(workload)["spec"].get("topologySpreadConstraints", ())
        keys = {each["topologyKey"] for each in spreads}
        if keys != {"topology.kubernetes.io/zone", "kubernetes.io/hostname"}:
            yield f"{title(workload)}: spread over {sorted(keys)}"
        for each in spreads:
            taken = each["labelSelector"]["matchLabels"]
            if taken.items() - labels(template(workload)).items() or not (
                "app.kubernetes.io/name" in taken or "app.kubernetes.io/name" in each.get("matchLabelKeys", ())
            ):
                yield f"{title(workload)}: spread with others than its own replicas"


@rule(*ALL)
def has_requests_and_a_memory_limit(found: Manifests) -> Iterator[str]:
    """Processor and memory are asked for, memory is limited; the processor is not, for a limit only makes one wait."""
    for workload, container in _containers(found):
        resources = container.get("resources", {})
        if not {"cpu", "memory"} <= resources.get("requests", {}).keys() or set(resources.get("limits", ())) != {
            "memory"
        }:
            yield f"{title(workload)}: {container['name']} has {resources}"


@rule(*ALL)
def writes_to_scratch_only(found: Manifests) -> Iterator[str]:
    """The root is read-only; what must be written has an emptyDir or a volume."""
    for workload, container in _containers(found):
        if container.get("securityContext", {}).get("readOnlyRootFilesystem") is not True:
            yield f"{title(workload)}: {container['name']} can write to its root"
    for workload in [*found.workloads("service"), *found.workloads("migration"), *found.workloads("operator")]:
        scratch = [v["name"] for v in template(workload)["spec"]["volumes"] if "emptyDir" in v]
        mounts = {m["mountPath"]: m["name"] for m in containers(workload)[0]["volumeMounts"]}
        if mounts.get("/tmp") not in scratch:  # noqa: S108  # a container's
            yield f"{title(workload)}: no scratch at /tmp"


@rule(*REAL)
def is_pinned_by_digest(found: Manifests) -> Iterator[str]:
    """Every image is named by its digest, and all of our own code is one image."""
    ours = set()
    for workload, container in _containers(found):
        if not DIGEST.search(container["image"]):
            yield f"{title(workload)}: {container['image']}"
        if OUR_IMAGE in container["image"]:
            ours.add(container["image"])
    for catalog in found.of("ImageCatalog"):
        for image in catalog["spec"]["images"]:
            if not DIGEST.search(image["image"]):
                yield f"{title(catalog)}: {image['image']}"
    if len(ours) != 1:
        yield f"images of our own: {sorted(ours)}"


@rule(*ALL)
def keeps_to_pod_security_restricted(found: Manifests) -> Iterator[str]:
    """The namespace enforces the profile, and every pod keeps it by itself."""
    enforced = labels(found.of("Namespace")[0]).get("pod-security.kubernetes.io/enforce")
    if enforced != "restricted":
        yield f"namespace: {enforced}"
    for workload in found.workloads():
        pod = template(workload)["spec"]
        context = pod.get("securityContext", {})
        if context.get("runAsNonRoot") is not True or context.get("runAsUser", 1) == 0:
            yield f"{title(workload)}: may be root"
        if context.get("seccompProfile", {}).get("type") != "RuntimeDefault":
            yield f"{title(workload)}: any system call"
        if pod.get("hostNetwork") or pod.get("hostPID") or pod.get("hostIPC"):
            yield f"{title(workload)}: in the node's namespaces"
        if any("hostPath" in volume for volume in pod.get("volumes", ())):
            yield f"{title(workload)}: sees the node's files"
        for container in containers(workload):
            inner = container.get("securityContext", {})
            if inner.get("allowPrivilegeEscalation") is not False or inner.get("privileged"):
                yield f"{title(workload)}: {container['name']} may gain rights"
            if inner.get("capabilities") != {"drop": ["ALL"]}:
                yield f"{title(workload)}: {container['name']} keeps capabilities"
            if inner.get("runAsUser", 1) == 0 or inner.get("runAsNonRoot") is False:
                yield f"{title(workload)}: {container['name']} may be root"


@rule(*ALL)
def is_asked_at_three_places(found: Manifests) -> Iterator[str]:
    """Startup, readiness and liveness are different questions, each answered by the code."""
    answered = {route.path for route in health_routes([]).routes if isinstance(route, APIRoute)}
    for workload in found.workloads("service"):
        main = containers(workload)[0]
        paths = [_path(main, f"{kind}Probe") for kind in ("startup", "readiness", "liveness")]
        if len(set(paths)) != 3 or not set(paths) <= answered:
            yield f"{title(workload)}: asked at {paths}"
        if main.get("readinessProbe", {}).get("timeoutSeconds", 1) <= 2:
            yield f"{title(workload)}: readiness is not waited for, and asks the database for 2 s"


def _path(container: Object, probe: str) -> str:
    return str(container.get(probe, {}).get("httpGet", {}).get("path"))


@rule(*ALL)
def has_time_to_stop(found: Manifests) -> Iterator[str]:
    """45 s at least, and more than all that happens one after another at the end."""
    for workload in found.workloads("service"):
        pod, main = template(workload)["spec"], containers(workload)[0]
        before = main.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
        grace = pod.get("terminationGracePeriodSeconds", 30)
        if grace < 45 or grace <= before + STOPS_S:
            yield f"{title(workload)}: {grace} s"
        if before < 1:
            yield f"{title(workload)}: requests may still be sent to it when it has ended"


@rule(*ALL)
def is_process_one(found: Manifests) -> Iterator[str]:
    """Exec form: signals reach Python, and no shell is needed in our image."""
    for workload, container in _containers(found):
        if OUR_IMAGE in container["image"] and (
            not isinstance(container.get("command"), list) or container["command"][0] in SHELLS
        ):
            yield f"{title(workload)}: {container.get('command')}"


@rule(*ALL)
def is_migrated_by_one_job(found: Manifests) -> Iterator[str]:
    """One Job for each database, before the services; no service migrates, or could."""
    jobs = {each["metadata"]["name"]: each for each in found.workloads("migration")}
    if jobs.keys() != {f"migrate-{service.name}" for service in SERVICES}:
        yield f"migrations: {sorted(jobs)}"
    for service in SERVICES:
        job = jobs.get(f"migrate-{service.name}")
        if job is None:
            continue
        if job["kind"] != "Job" or containers(job)[0]["command"] != [
            "python",
            "-m",
            "servicekit.migrate",
            service.wire,
        ]:
            yield f"{title(job)}: {containers(job)[0]['command']}"
        if _secrets(job) != {f"{service.name}-database-owner"}:
            yield f"{title(job)}: reads {sorted(_secrets(job))}"
        if _wave(job) >= min((_wave(each) for each in found.workloads("service")), default=0):
            yield f"{title(job)}: not before the services"
        if not job["spec"].get("backoffLimit") or template(job)["spec"]["restartPolicy"] != "Never":
            yield f"{title(job)}: is not tried again, or does not keep the log of a try"
    for workload in found.workloads("service"):
        if template(workload)["spec"].get("initContainers"):
            yield f"{title(workload)}: starts with another container"
        if any("owner" in name for _, name, _ in _named(workload)):
            yield f"{title(workload)}: has the owner's password"


@rule(*ALL)
def who_reads_comes_before_whom_it_reads(found: Manifests) -> Iterator[str]:
    """What a new release says finds readers that know it. Not of outcomes: the gateway reads what it has caused, and a
    circle has no order."""
    waves = {each["metadata"]["name"]: _wave(each) for each in found.workloads("service")}
    writers = {service.wire: service.name for service in SERVICES}
    for service in SERVICES:
        for topic in (TOPICS[name] for name in reads(service)):
            writer = "gateway" if topic.kind == "submission" else writers[topic.service]
            if topic.kind != "outcome" and waves.get(service.name, 0) >= waves.get(writer, 1):
                yield f"{service.name}: not before {writer}, whose {topic.name} it reads"


def _wave(of: Object) -> int:
    return int(of["metadata"].get("annotations", {}).get("argocd.argoproj.io/sync-wave", 0))


def _secrets(workload: Object) -> set[str]:
    """The Secrets of its environment, without the hash that kustomize puts behind those that it makes."""
    named = (each["secretRef"]["name"] for each in containers(workload)[0].get("envFrom", ()) if "secretRef" in each)
    return {re.sub(r"-[a-z0-9]{10}$", "", name) for name in named}


@rule(*ALL)
def sets_what_the_code_reads(found: Manifests) -> Iterator[str]:
    """Every variable is a setting of its service; one that is mistyped would be passed over without a word."""
    for workload in found.workloads("service"):
        settings = SETTINGS.get(workload["metadata"]["name"], Settings)
        known = {f"OCOP_{name.upper()}" for name in settings.model_fields} | STANDARD
        known |= {f"OCOP_KAFKA_{name.upper()}" for name in Tls.model_fields}
        given = {each["name"] for each in containers(workload)[0].get("env", ())} | _from_maps(found, workload)
        given |= {name.upper() for name in _from_files(found, workload)}
        if given - known:
            yield f"{title(workload)}: {sorted(given - known)}"
        missing = {"OCOP_KAFKA_BOOTSTRAP", "OCOP_DATABASE_URL", "OCOP_DATABASE_HTTP_URL", "OCOP_HTTP_HOST"} - given
        if missing:
            yield f"{title(workload)}: lacks {sorted(missing)}"


def _from_maps(found: Manifests, workload: Object) -> set[str]:
    """The variables that come from ConfigMaps and Secrets, these given or made by the cluster."""
    keys: set[str] = set()
    for source in containers(workload)[0].get("envFrom", ()):
        if "configMapRef" in source:
            keys |= set(found.named("ConfigMap", source["configMapRef"]["name"])["data"])
        else:
            keys |= set(secret_keys(found).get(source["secretRef"]["name"], ()))
    return keys


def _from_files(found: Manifests, workload: Object) -> set[str]:
    """The files in the directory of secrets."""
    main = containers(workload)[0]
    directory = next((each["value"] for each in main.get("env", ()) if each["name"] == "OCOP_SECRETS"), None)
    mounted = {each["name"] for each in main["volumeMounts"] if each["mountPath"] == directory}
    volumes = [each for each in template(workload)["spec"]["volumes"] if each["name"] in mounted]
    return {key for each in volumes for key in secret_keys(found).get(each["secret"]["secretName"], ())}


def secret_keys(found: Manifests) -> dict[str, set[str]]:
    """Every Secret that is there, or that an operator makes of what is there, with its keys."""
    made: dict[str, set[str]] = {each["metadata"]["name"]: set(each.get("data", ())) for each in found.of("Secret")}
    for each in found.of("ExternalSecret"):
        target = each["spec"]["target"]
        made[target.get("name", each["metadata"]["name"])] = set(target["template"]["data"])
    for each in found.of("Kafka"):
        made[f"{each['metadata']['name']}-cluster-ca-cert"] = {"ca.crt"}
        prefix = each["spec"]["entityOperator"]["userOperator"].get("secretPrefix", "")
        for user in found.names("KafkaUser"):
            made[prefix + user] = {"ca.crt", "user.crt", "user.key"}
    for each in found.of("Cluster"):
        made[f"{each['metadata']['name']}-ca"] = {"ca.crt", "ca.key"}
    return made


@rule(*ALL)
def names_only_what_is_there(found: Manifests) -> Iterator[str]:
    """ConfigMaps and Secrets that pods name exist, with the keys that they take; a file of settings has its mount."""
    secrets, maps = (
        secret_keys(found),
        {each["metadata"]["name"]: each.get("data", {}) for each in found.of("ConfigMap")},
    )
    for workload in found.workloads():
        for kind, name, keys in _named(workload):
            there = (secrets if kind == "Secret" else maps).get(name)
            if there is None or not keys <= set(there):
                yield f"{title(workload)}: {kind} {name} {sorted(keys)}"
        for container in containers(workload):
            mounts = tuple(f"{mount['mountPath']}/" for mount in container.get("volumeMounts", ()))
            for each in container.get("env", ()):
                if each["name"].endswith("_FILE") and not each["value"].startswith(mounts):
                    yield f"{title(workload)}: {each['value']} is mounted from nowhere"


def _named(workload: Object) -> Iterator[tuple[str, str, set[str]]]:
    for container in containers(workload):
        for source in container.get("envFrom", ()):
            kind = "Secret" if "secretRef" in source else "ConfigMap"
            yield kind, next(iter(source.values()))["name"], set()
        for each in container.get("env", ()):
            for kind, reference in each.get("valueFrom", {}).items():
                yield "Secret" if kind == "secretKeyRef" else "ConfigMap", reference["name"], {reference["key"]}
    for volume in template(workload)["spec"].get("volumes", ()):
        for source in [volume, *volume.get("projected", {}).get("sources", ())]:
            if "secret" in source:
                secret = source["secret"]
                yield "Secret", secret.get("secretName") or secret["name"], _keys(secret)
            if "configMap" in source:
                yield "ConfigMap", source["configMap"]["name"], _keys(source["configMap"])


def _keys(source: dict[str, Any]) -> set[str]:
    return {item["key"] for item in source.get("items", ())}


def _containers(found: Manifests) -> Iterator[tuple[Object, Object]]:
    for workload in found.workloads():
        for container in containers(workload):
            yield workload, container
