"""Rules of the engines: what Kafka and PostgreSQL must be before they may hold what provinces said."""

from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import yaml
from gateway.lag import READERS

from contracts.topics import FOREVER, TOPICS
from deploy.k8s import kafka
from deploy.k8s.manifests import Manifests, Object, containers, labels, title
from ocop.services import SERVICES
from servicekit.migrate import LINES
from servicekit.settings import Settings
from tests.deploy.rule import ALL, REAL, rule
from tests.deploy.workloads import secret_keys

SECRET_API: Final = "external-secrets.io/v1"
RESERVED: Final = 20  # connections: the operator, backups, metrics, a migration, an operator's command
COMING_AND_GOING: Final = 2  # replicas more, while a release is rolled out: one that begins, one that ends
CA_FILE: Final = "/run/secrets/postgres/ca.crt"


# ---------------------------------------------------------------- Kafka


@rule(*REAL)
def kafka_is_three_and_three(found: Manifests) -> Iterator[str]:
    """Three controllers and three brokers, in pools of their own, on disks that outlive them."""
    pools = {tuple(each["spec"]["roles"]): each["spec"] for each in found.of("KafkaNodePool")}
    if {roles: pool["replicas"] for roles, pool in pools.items()} != {("controller",): 3, ("broker",): 3}:
        yield f"pools: {[(roles, pool['replicas']) for roles, pool in pools.items()]}"
    for roles, pool in pools.items():
        for volume in pool["storage"].get("volumes", [pool["storage"]]):
            if volume["type"] != "persistent-claim" or volume.get("deleteClaim") is not False:
                yield f"{roles}: {volume}"
    for each in [*found.of("Kafka", "KafkaNodePool", "KafkaTopic", "KafkaUser")]:
        if each["apiVersion"] != "kafka.strimzi.io/v1":
            yield f"{title(each)}: {each['apiVersion']}"
    for each in [*found.of("Kafka"), *found.of("KafkaNodePool"), *found.of("KafkaTopic"), *found.of("Cluster")]:
        kept = each["metadata"].get("annotations", {}).get("argocd.argoproj.io/sync-options", "")
        if "Prune=false" not in kept or "Delete=false" not in kept:
            yield f"{title(each)}: goes with its application"


@rule(*REAL)
def kafka_may_write_its_disks(found: Manifests) -> Iterator[str]:
    """A new disk is root's. Strimzi gives its pods the group that may write, unless they are told a context."""
    for each in found.of("Kafka"):
        context = each["spec"]["kafka"]["template"]["pod"].get("securityContext")
        if context is not None and "fsGroup" not in context:
            yield f"{title(each)}: {context}"


@rule(*REAL)
def kafka_knows_who_comes(found: Manifests) -> Iterator[str]:
    """One listener, encrypted, by certificate; who may do what is said, and who may come near, too."""
    for each in found.of("Kafka"):
        spec = each["spec"]["kafka"]
        for listener in spec["listeners"]:
            if not listener["tls"] or listener.get("authentication", {}).get("type") != "tls":
                yield f"listener {listener['name']}: {listener}"
            if not listener.get("networkPolicyPeers"):
                yield f"listener {listener['name']}: Strimzi's own policy lets everybody in"
        if spec.get("authorization") != {"type": "simple"}:  # no superusers
            yield f"authorization: {spec.get('authorization')}"


@rule(*REAL)
def kafka_keeps_two_copies_at_least(found: Manifests) -> Iterator[str]:
    """Replication 3, two in sync before a send is confirmed; also of what Kafka keeps for itself."""
    wanted = {
        "default.replication.factor": 3,
        "min.insync.replicas": 2,
        "offsets.topic.replication.factor": 3,
        "transaction.state.log.replication.factor": 3,
        "transaction.state.log.min.isr": 2,
        "share.coordinator.state.topic.replication.factor": 3,
        "share.coordinator.state.topic.min.isr": 2,
        "unclean.leader.election.enable": False,
        "auto.create.topics.enable": False,
        "delete.topic.enable": False,
    }
    config = found.of("Kafka")[0]["spec"]["kafka"]["config"]
    yield from (f"{name}: {config.get(name)}" for name, value in wanted.items() if config.get(name) != value)
    for each in found.of("KafkaTopic"):
        spec = each["spec"]
        if spec["replicas"] != 3 or spec["config"].get("min.insync.replicas") != "2":
            yield f"{title(each)}: {spec['replicas']} copies, {spec['config'].get('min.insync.replicas')} in sync"


@rule(*REAL)
def topics_are_the_catalogue(found: Manifests) -> Iterator[str]:
    """A KafkaTopic for each entry and no other. Domain topics are for ever; there is no topic of dead letters."""
    topics = {each["spec"]["topicName"]: each["spec"] for each in found.of("KafkaTopic")}
    if topics.keys() != TOPICS.keys():
        yield f"topics: {sorted(topics.keys() ^ TOPICS.keys())}"
    for name, topic in TOPICS.items():
        spec = topics.get(name, {"config": {}})
        if spec.get("partitions") != topic.partitions or topic.config.items() - spec["config"].items():
            yield f"{name}: {spec}"
        if topic.kind == "domain" and spec["config"].get("retention.ms") != str(FOREVER):
            yield f"{name}: is not kept for ever"
    for each in found.of("KafkaTopic", "KafkaUser", "KafkaNodePool"):
        if each["metadata"]["labels"].get("strimzi.io/cluster") != found.of("Kafka")[0]["metadata"]["name"]:
            yield f"{title(each)}: of another cluster"


@rule(*REAL)
def users_may_what_their_code_does(found: Manifests) -> Iterator[str]:
    """A KafkaUser for each service: writes its own topics, reads those that it subscribes to, with quotas. No more.

    Operators read and write what the catalogue has, in no group.
    """
    users = {each["metadata"]["name"]: each["spec"] for each in found.of("KafkaUser")}
    if users.keys() != {service.name for service in SERVICES} | {"keda", "operator"}:
        yield f"users: {sorted(users)}"
    for service in SERVICES:
        spec = users.get(service.name)
        if spec is None:
            continue
        own = {topic.name for topic in TOPICS.values() if topic.service == service.wire}
        if _allowed(spec, "topic", "Write") != own:
            yield f"{service.name} writes {sorted(_allowed(spec, 'topic', 'Write'))}"
        if _allowed(spec, "topic", "Read") != own | set(kafka.reads(service)):
            yield f"{service.name} reads {sorted(_allowed(spec, 'topic', 'Read'))}"
        if _allowed(spec, "group", "Read") != {service.wire}:
            yield f"{service.name} is in {sorted(_allowed(spec, 'group', 'Read'))}"
    if (spec := users.get("operator")) is not None:
        if _allowed(spec, "topic", "Write") != set(TOPICS) or _allowed(spec, "topic", "Read") != {kafka.PREFIX}:
            yield f"operators write {sorted(_allowed(spec, 'topic', 'Write'))}"
        if _allowed(spec, "group", "Read") or _allowed(spec, "group", "Describe") != set(READERS):
            yield f"operators are in {sorted(_allowed(spec, 'group', 'Read'))}"
    for name, spec in users.items():
        operations = {operation for acl in spec["authorization"]["acls"] for operation in acl["operations"]}
        if operations - {"Read", "Write", "Describe", "DescribeConfigs"}:
            yield f"{name} may {sorted(operations)}"
        if spec["authentication"] != {"type": "tls"}:
            yield f"{name}: {spec['authentication']}"
        if not {"producerByteRate", "consumerByteRate", "requestPercentage"} <= spec.get("quotas", {}).keys():
            yield f"{name} has no quotas"


def _allowed(user: dict[str, Any], kind: str, operation: str) -> set[str]:
    return {
        acl["resource"]["name"]
        for acl in user["authorization"]["acls"]
        if acl["resource"]["type"] == kind and operation in acl["operations"]
    }


# ---------------------------------------------------------------- PostgreSQL


@rule(*REAL)
def each_service_has_its_database(found: Manifests) -> Iterator[str]:
    """One CloudNativePG cluster each, with the database and the roles that `ocop.services` names; no superuser."""
    clusters = {each["metadata"]["name"]: each["spec"] for each in found.of("Cluster")}
    if clusters.keys() != {f"{service.name}-db" for service in SERVICES}:
        yield f"clusters: {sorted(clusters)}"
    for service in SERVICES:
        spec = clusters.get(f"{service.name}-db")
        if spec is None:
            continue
        owner, app, http = service.roles
        begun = spec["bootstrap"]["initdb"]
        if (begun["database"], begun["owner"]) != (service.database, owner):
            yield f"{service.name}: {begun['database']} of {begun['owner']}"
        roles = {role["name"]: role.get("inRoles") for role in spec["managed"]["roles"]}
        if roles != {app: ["ocop_app"], http: ["ocop_http"]}:
            yield f"{service.name}: roles {roles}"
        rights = {"superuser", "createdb", "createrole", "bypassrls", "replication"}
        if any(role.get(right) for role in spec["managed"]["roles"] for right in rights):
            yield f"{service.name}: a role with rights over others"
        if spec.get("enableSuperuserAccess"):
            yield f"{service.name}: a superuser by password"
        said = " ".join([*begun.get("postInitSQL", ()), *begun.get("postInitApplicationSQL", ())])
        if f"REVOKE CONNECT ON DATABASE {service.database} FROM PUBLIC" not in said:
            yield f"{service.name}: everybody may connect"
        named = {begun["secret"]["name"], *(role["passwordSecret"]["name"] for role in spec["managed"]["roles"])}
        for name in named:
            if secret_keys(found).get(name) != {"username", "password"}:
                yield f"{service.name}: no password in {name}"


@rule(*REAL)
def commits_are_held_twice(found: Manifests) -> Iterator[str]:
    """Three instances on three machines, and no commit is answered before two have it."""
    for each in found.of("Cluster"):
        spec = each["spec"]
        if spec["instances"] != 3:
            yield f"{title(each)}: {spec['instances']} instances"
        synchronous = spec["postgresql"].get("synchronous", {})
        if (synchronous.get("method"), synchronous.get("number"), synchronous.get("dataDurability")) != (
            "any",
            1,
            "required",
        ):
            yield f"{title(each)}: {synchronous}"
        if synchronous.get("failoverQuorum") is not True:
            yield f"{title(each)}: may fail over to one that has not all"
        parameters = spec["postgresql"]["parameters"]
        for name in ("fsync", "full_page_writes", "synchronous_commit"):
            if parameters.get(name, "on") != "on":
                yield f"{title(each)}: {name} = {parameters[name]}"
        if spec["affinity"].get("podAntiAffinityType") != "required" or spec.get("enablePDB") is False:
            yield f"{title(each)}: two instances may go at once"
        if "hostnossl all all all reject" not in spec["postgresql"].get("pg_hba", ()):
            yield f"{title(each)}: passwords without TLS"


@rule(*REAL)
def any_moment_can_be_gone_back_to(found: Manifests) -> Iterator[str]:
    """Each database archives its log all the time and is copied each night, kept for weeks; under a name of its own."""
    stores = {each["metadata"]["name"]: each["spec"] for each in found.of("ObjectStore")}
    copied = {each["spec"]["cluster"]["name"]: each["spec"] for each in found.of("ScheduledBackup")}
    servers = []
    for each in found.of("Cluster"):
        archivers = [plugin for plugin in each["spec"].get("plugins", ()) if plugin.get("isWALArchiver")]
        if len(archivers) != 1:
            yield f"{title(each)}: {len(archivers)} archivers"
            continue
        store = stores.get(archivers[0]["parameters"]["barmanObjectName"], {})
        servers.append(archivers[0]["parameters"].get("serverName"))
        if int(store.get("retentionPolicy", "0d").rstrip("d")) < 14:
            yield f"{title(each)}: kept for {store.get('retentionPolicy')}"
        backup = copied.get(each["metadata"]["name"], {})
        if backup.get("method") != "plugin" or len(str(backup.get("schedule", "")).split()) != 6:
            yield f"{title(each)}: copied {backup}"
        elif backup["pluginConfiguration"]["name"] != archivers[0]["name"]:
            yield f"{title(each)}: copied elsewhere"
    if len(servers) != len(set(servers)):
        yield f"two databases in one archive: {sorted(servers)}"
    for spec in stores.values():
        for reference in spec["configuration"]["s3Credentials"].values():
            if reference["key"] not in secret_keys(found).get(reference["name"], ()):
                yield f"no {reference['key']} in {reference['name']}"


@rule(*REAL)
def asks_the_primary_over_tls(found: Manifests) -> Iterator[str]:
    """Every address leads to the service's own primary (`-rw`), by the right role, and its certificate is checked."""
    given = {
        each["metadata"]["name"]: each["spec"]["target"]["template"]["data"] for each in found.of("ExternalSecret")
    }
    for service in SERVICES:
        owner, app, http = service.roles
        wanted = {
            (f"{service.name}-database", "ocop_database_url"): app,
            (f"{service.name}-database", "ocop_database_http_url"): http,
            (f"{service.name}-database-owner", "OCOP_DATABASE_OWNER_URL"): owner,
        }
        for (secret, variable), role in wanted.items():
            url = urlsplit(given.get(secret, {}).get(variable, ""))
            options = parse_qs(url.query)
            if (url.username, url.hostname, url.path) != (role, f"{service.name}-db-rw", f"/{service.database}"):
                yield f"{secret} {variable}: {url.username} at {url.hostname}{url.path}"
            if options.get("sslmode") != ["verify-full"] or options.get("sslrootcert") != [CA_FILE]:
                yield f"{secret} {variable}: {url.query}"


# ---------------------------------------------------------------- scaling


@rule(*REAL)
def scales_what_reads_by_lag(found: Manifests) -> Iterator[str]:
    """Deciders and the projector, by all topics that they read, in their group; nothing else fights over replicas."""
    scaled = {each["spec"]["scaleTargetRef"]["name"]: each["spec"] for each in found.of("ScaledObject")}
    wanted = {s.name: s for s in SERVICES if "deciding" in LINES[s.wire] or s.wire == "national"}
    if scaled.keys() != wanted.keys():
        yield f"scaled: {sorted(scaled)}"
    for name, service in wanted.items():
        triggers = [each["metadata"] for each in scaled.get(name, {}).get("triggers", ())]
        if sorted(each["topic"] for each in triggers) != sorted(kafka.reads(service)):
            yield f"{name}: by {sorted(each['topic'] for each in triggers)}"
        for each in triggers:
            if each["consumerGroup"] != service.wire:
                yield f"{name}: group {each['consumerGroup']}"
            if (
                each["bootstrapServers"] != f"ocop-kafka-bootstrap.{found.namespace}.svc:9093"
                or each.get("tls") != "enable"
            ):
                yield f"{name}: asks {each['bootstrapServers']}"
            if each.get("excludePersistentLag") != "true" or each.get("allowIdleConsumers") != "false":
                yield f"{name}: a topic that stands still calls for more and more"
            if int(each.get("activationLagThreshold", "0")) < 1 or int(each.get("lagThreshold", "0")) < 1:
                yield f"{name}: thresholds of {each['topic']}"
        if any(
            each["authenticationRef"]["name"] not in found.names("TriggerAuthentication")
            for each in scaled.get(name, {}).get("triggers", ())
        ):
            yield f"{name}: KEDA has no certificate"
        if "replicas" in found.named("Deployment", name)["spec"]:
            yield f"{name}: applying sets its replicas back"
    for each in found.of("TriggerAuthentication"):
        for reference in each["spec"]["secretTargetRef"]:
            if reference["key"] not in secret_keys(found).get(reference["name"], ()):
                yield f"{title(each)}: no {reference['key']} in {reference['name']}"


@rule(*REAL)
def scales_within_partitions_and_connections(found: Manifests) -> Iterator[str]:
    """Never to nothing, never to more readers than partitions, never to more connections than the database has."""
    most = {each["spec"]["scaleTargetRef"]["name"]: each["spec"] for each in found.of("ScaledObject")}
    for service in SERVICES:
        deployment = found.named("Deployment", service.name)
        spec = most.get(
            service.name, {"minReplicaCount": (n := deployment["spec"].get("replicas", 1)), "maxReplicaCount": n}
        )
        variables = {each["name"]: each.get("value") for each in containers(deployment)[0]["env"]}
        readers = int(variables.get("OCOP_READERS") or Settings.model_fields["readers"].default)
        pool = int(variables.get("OCOP_DATABASE_POOL") or Settings.model_fields["database_pool"].default)
        partitions = min(TOPICS[topic].partitions for topic in kafka.reads(service))
        least, greatest = spec["minReplicaCount"], spec["maxReplicaCount"]
        if least < 2 or greatest * readers > partitions:
            yield f"{service.name}: {least} to {greatest} replicas, {partitions} partitions"
        processes = greatest + COMING_AND_GOING
        needed = processes * (2 * pool + 1) + RESERVED  # two pools, and the relay's own
        has = int(found.named("Cluster", f"{service.name}-db")["spec"]["postgresql"]["parameters"]["max_connections"])
        if needed > has:
            yield f"{service.name}: {needed} connections, its database has {has}"
        behavior = spec.get("advanced", {}).get("horizontalPodAutoscalerConfig", {}).get("behavior", {})
        if service.name in most and [p["value"] for p in behavior.get("scaleUp", {}).get("policies", ())] != [1]:
            yield f"{service.name}: more than one at a time, and each moves partitions"


# ---------------------------------------------------------------- secrets


@rule(*REAL)
def secrets_come_from_the_vault(found: Manifests) -> Iterator[str]:
    """External Secrets, asked periodically, but for PostgreSQL's own when told to; none lies in the repository."""
    yield from (f"{title(each)} lies in the repository" for each in found.of("Secret"))
    for each in found.of("ExternalSecret"):
        spec = each["spec"]
        policy = "OnChange" if labels(each).get("ocop/secret") == "role" else "Periodic"
        if each["apiVersion"] != SECRET_API or spec.get("refreshPolicy") != policy or not spec.get("refreshInterval"):
            yield f"{title(each)}: {each['apiVersion']} {spec.get('refreshPolicy')} {spec.get('refreshInterval')}"
        if spec["target"].get("deletionPolicy") != "Retain":
            yield f"{title(each)}: goes when the vault is away"
        given = {line["secretKey"] for line in spec["data"]}
        used = yaml.safe_dump(spec["target"]["template"]["data"])
        unused = {key for key in given if f".{key} " not in used}
        if unused:
            yield f"{title(each)}: {sorted(unused)} is not used"


@rule(*REAL)
def passwords_change_without_a_restart(found: Manifests) -> Iterator[str]:
    """Services read them from files, for both of their roles, the same that PostgreSQL is given; no address has one."""
    secrets = {each["metadata"]["name"]: each["spec"] for each in found.of("ExternalSecret")}
    for service in SERVICES:
        spec = secrets[f"{service.name}-database"]
        data = spec["target"]["template"]["data"]
        vault = {line["secretKey"]: line["remoteRef"] for line in spec["data"]}
        for name, role in (("", "app"), ("http_", "http")):
            if urlsplit(data[f"ocop_database_{name}url"]).password is not None:
                yield f"{service.name}: a password in the address of {role}"
            if data.get(f"ocop_database_{name}password") != f"{{{{ .{role} }}}}":
                yield f"{service.name}: no file for the password of {role}"
            if [line["remoteRef"] for line in secrets[f"{service.name}-db-{role}"]["data"]] != [vault[role]]:
                yield f"{service.name}: PostgreSQL is given another password for {role}"


# ---------------------------------------------------------------- dev


@rule("dev")
def dev_needs_nothing_installed(found: Manifests) -> Iterator[str]:
    """Only kinds that every cluster has; engines as single pods, with the roles and topics that the code names."""
    for each in found.objects:
        group = each["apiVersion"].partition("/")[0] if "/" in each["apiVersion"] else ""
        if group and group not in ("apps", "batch", "policy", "networking.k8s.io"):
            yield f"{title(each)}: {each['apiVersion']}"
    engines = {each["metadata"]["name"]: each["spec"].get("replicas", 1) for each in found.of("StatefulSet")}
    if engines != {"kafka": 1, "postgres": 1}:
        yield f"engines: {engines}"
    said = _text(found, "init.sql")
    for service in SERVICES:
        owner, app, http = service.roles
        wanted = (
            f"CREATE ROLE {owner} LOGIN",
            f"CREATE ROLE {app} LOGIN PASSWORD 'dev' IN ROLE ocop_app;",
            f"CREATE ROLE {http} LOGIN PASSWORD 'dev' IN ROLE ocop_http;",
            f"CREATE DATABASE {service.database} OWNER {owner};",
            f"REVOKE CONNECT ON DATABASE {service.database} FROM PUBLIC;",
        )
        yield from (line for line in wanted if line not in said)
    yield from (name for name in TOPICS if f"--topic {name} " not in _text(found, "topics.sh"))


def _text(found: Manifests, name: str) -> str:
    maps: list[Object] = found.of("ConfigMap")
    return str(next(each["data"][name] for each in maps if name in each.get("data", {})))


@rule(*ALL)
def is_all_in_one_namespace(found: Manifests) -> Iterator[str]:
    """Whatever has a namespace is in this overlay's."""
    for each in found.objects:
        if each["kind"] != "Namespace" and each["metadata"].get("namespace") != found.namespace:
            yield f"{title(each)}: {each['metadata'].get('namespace')}"
