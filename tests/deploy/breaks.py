"""Each rule broken on purpose: a small mistake in otherwise good manifests, which its rule must notice."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from deploy.k8s.manifests import Manifests, Object, containers, template

Change = Callable[[Manifests], None]


@dataclass(frozen=True, slots=True)
class Break:
    """`change` works on a copy of the objects; `without` leaves one of them out."""

    rule: str
    what: str
    change: Change | None = None
    without: tuple[str, str] | None = None  # kind and name

    def apply(self, manifests: Manifests) -> tuple[Object, ...]:
        """The objects with the mistake in them."""
        if self.change is not None:
            self.change(manifests)
        return tuple(o for o in manifests.objects if (o["kind"], o["metadata"]["name"]) != self.without)


def _set(kind: str, name: str, path: str, value: Any) -> Change:
    """Puts a value at a path like `spec/template/spec/containers/0/image`; None takes away what is there."""

    def change(manifests: Manifests) -> None:
        at: Any = manifests.named(kind, name)
        *way, last = path.split("/")
        for step in way:
            at = at[int(step) if isinstance(at, list) else step.replace("~", "/")]
        key: Any = int(last) if isinstance(at, list) else last.replace("~", "/")
        if value is None:
            del at[key]
        else:
            at[key] = value

    return change


def _pod(name: str, path: str, value: Any) -> Change:
    return _set("Deployment", name, f"spec/template/spec/{path}", value)


def _main(name: str, path: str, value: Any) -> Change:
    return _pod(name, f"containers/0/{path}", value)


def _first(name: str, variable: str, value: str) -> Change:
    """Another name for a variable, or another value."""

    def change(manifests: Manifests) -> None:
        main = containers(manifests.named("Deployment", name))[0]
        for each in main["env"]:
            if each["name"] == variable:
                each["name" if value.startswith("OCOP_") else "value"] = value

    return change


def _init_container(manifests: Manifests) -> None:
    pod = template(manifests.named("Deployment", "registry"))["spec"]
    pod["initContainers"] = [pod["containers"][0] | {"name": "migrate"}]


def _trigger(key: str, value: str | None) -> Change:
    return _set("ScaledObject", "registry", f"spec/triggers/0/metadata/{key}", value)


def _policy(name: str, path: str, value: Any) -> Change:
    return _set("NetworkPolicy", name, f"spec/{path}", value)


def _open_door(manifests: Manifests) -> None:
    manifests.named("NetworkPolicy", "services-to-collector")["spec"]["egress"].append(
        {"to": [{"ipBlock": {"cidr": "203.0.113.0/24"}}], "ports": [{"port": 443}]}
    )


def _two_doors(manifests: Manifests) -> None:
    _policy("registry-to-database", "egress/0/to/0/podSelector/matchLabels", {"ocop/engine": "postgres"})(manifests)
    _policy("national-database", "ingress/0/from/0", {"podSelector": {}})(manifests)


def _config(old: str, new: str) -> Change:
    """Another text in a ConfigMap."""

    def change(manifests: Manifests) -> None:
        for each in manifests.of("ConfigMap"):
            for name, text in each.get("data", {}).items():
                each["data"][name] = text.replace(old, new)

    return change


def _committed_secret(manifests: Manifests) -> None:
    secret = manifests.named("ExternalSecret", "registry-database")
    secret["kind"], secret["apiVersion"], secret["data"] = "Secret", "v1", {}


def _database(path: str, value: Any) -> Change:
    return _set("Cluster", "registry-db", f"spec/{path}", value)


def _user(path: str, value: Any) -> Change:
    return _set("KafkaUser", "registry", f"spec/{path}", value)


def _place(path: str, value: Any) -> Change:
    return _set("Deployment", "operator", f"spec/template/spec/{path}", value)


def _addressed(name: str, value: str) -> Change:
    return _first("operator", name, value)


def _file(volume: str, number: int, path: str, value: Any) -> Change:
    """Of one of the Secrets of a volume of the operators' place."""

    def change(manifests: Manifests) -> None:
        volumes = template(manifests.named("Deployment", "operator"))["spec"]["volumes"]
        index = next(index for index, each in enumerate(volumes) if each["name"] == volume)
        _place(f"volumes/{index}/projected/sources/{number}/secret{path}", value)(manifests)

    return change


def _no_scratch(manifests: Manifests) -> None:
    mounts = containers(manifests.named("Deployment", "operator"))[0]["volumeMounts"]
    mounts[:] = [each for each in mounts if each["name"] != "scratch"]


def _kafkas_own_port(manifests: Manifests) -> None:
    manifests.named("NetworkPolicy", "operator-to-engines")["spec"]["egress"][1]["ports"].append({"port": 9091})
    manifests.named("NetworkPolicy", "kafka-from-operator")["spec"]["ingress"][0]["ports"].append({"port": 9091})


def _second_place(manifests: Manifests) -> None:
    manifests.named("Deployment", "otel-collector")["spec"]["template"]["metadata"]["labels"][
        "app.kubernetes.io/component"
    ] = "operator"


def _somebody_comes(manifests: Manifests) -> None:
    policy = manifests.named("NetworkPolicy", "monitoring-to-services")
    policy["spec"]["podSelector"] = {"matchExpressions": [{"key": "app.kubernetes.io/component", "operator": "Exists"}]}


_DATA: Final = "spec/target/template/data"
_URL: Final = f"{_DATA}/ocop_database_url"
_ADDRESS: Final = "postgresql://registry_app@registry-db-{}:5432/ocop_registry?sslmode={}&sslrootcert={}"
_CA: Final = "/run/secrets/postgres/ca.crt"

BREAKS: Final = (
    # pods
    Break("every_service_is_there", "a service left out", without=("Deployment", "national")),
    Break("every_service_is_there", "another package", _main("registry", "command/2", "evaluation")),
    Break(
        "every_service_is_there",
        "the Service of another",
        _set("Service", "registry", "spec/selector", {"app.kubernetes.io/name": "national"}),
    ),
    Break(
        "has_an_account_without_a_token", "a token in the pod", _pod("registry", "automountServiceAccountToken", True)
    ),
    Break(
        "has_an_account_without_a_token",
        "a token by the account",
        _set("ServiceAccount", "registry", "automountServiceAccountToken", None),
    ),
    Break("has_an_account_without_a_token", "another's account", _pod("registry", "serviceAccountName", "gateway")),
    Break("is_disrupted_one_at_a_time", "no budget", without=("PodDisruptionBudget", "registry")),
    Break(
        "is_disrupted_one_at_a_time", "two at a time", _set("PodDisruptionBudget", "registry", "spec/maxUnavailable", 2)
    ),
    Break(
        "is_disrupted_one_at_a_time",
        "a budget for all",
        _set(
            "PodDisruptionBudget", "registry", "spec/selector/matchLabels", {"app.kubernetes.io/component": "service"}
        ),
    ),
    Break("is_spread_over_zones_and_hosts", "one zone", _pod("registry", "topologySpreadConstraints/0", None)),
    Break(
        "is_spread_over_zones_and_hosts",
        "with all services",
        _pod("registry", "topologySpreadConstraints/1/matchLabelKeys", ["pod-template-hash"]),
    ),
    Break("has_requests_and_a_memory_limit", "no limit", _main("registry", "resources/limits", None)),
    Break("has_requests_and_a_memory_limit", "no request", _main("registry", "resources/requests/memory", None)),
    Break("has_requests_and_a_memory_limit", "processor limited", _main("registry", "resources/limits/cpu", "1")),
    Break(
        "writes_to_scratch_only",
        "a root that can be written",
        _main("registry", "securityContext/readOnlyRootFilesystem", False),
    ),
    Break("writes_to_scratch_only", "no scratch", _main("registry", "volumeMounts/2/mountPath", "/var/tmp")),  # noqa: S108  # the break
    Break("writes_to_scratch_only", "none for operators", _no_scratch),
    Break("is_pinned_by_digest", "a tag", _main("registry", "image", "registry.ocop.example/ocop-interconnect:1.0")),
    Break(
        "is_pinned_by_digest",
        "two images of ours",
        _main("registry", "image", f"registry.ocop.example/ocop-interconnect@sha256:{'1' * 64}"),
    ),
    Break(
        "is_pinned_by_digest",
        "PostgreSQL's by tag",
        _set("ImageCatalog", "postgresql", "spec/images/0/image", "postgresql:18.4"),
    ),
    Break(
        "keeps_to_pod_security_restricted",
        "the namespace does not enforce it",
        _set("Namespace", "ocop", "metadata/labels/pod-security.kubernetes.io~enforce", "baseline"),
    ),
    Break("keeps_to_pod_security_restricted", "root", _pod("registry", "securityContext/runAsNonRoot", False)),
    Break("keeps_to_pod_security_restricted", "no seccomp", _pod("registry", "securityContext/seccompProfile", None)),
    Break("keeps_to_pod_security_restricted", "capabilities", _main("registry", "securityContext/capabilities", None)),
    Break(
        "keeps_to_pod_security_restricted",
        "escalation",
        _main("registry", "securityContext/allowPrivilegeEscalation", None),
    ),
    Break(
        "keeps_to_pod_security_restricted",
        "the node's files",
        _pod("registry", "volumes/2", {"name": "scratch", "hostPath": {"path": "/"}}),
    ),
    Break(
        "is_asked_at_three_places",
        "one place for two",
        _main("registry", "livenessProbe/httpGet/path", "/health/ready"),
    ),
    Break(
        "is_asked_at_three_places",
        "a place that nobody answers",
        _main("registry", "livenessProbe/httpGet/path", "/healthz"),
    ),
    Break("is_asked_at_three_places", "no startup probe", _main("registry", "startupProbe", None)),
    Break("is_asked_at_three_places", "readiness in a hurry", _main("registry", "readinessProbe/timeoutSeconds", 1)),
    Break("has_time_to_stop", "30 s", _pod("registry", "terminationGracePeriodSeconds", 30)),
    Break("has_time_to_stop", "fifteen seconds before", _main("registry", "lifecycle/preStop/sleep/seconds", 15)),
    Break("has_time_to_stop", "at once", _main("registry", "lifecycle", None)),
    Break("is_process_one", "a shell", _main("registry", "command", ["sh", "-c", "python -m registry"])),
    Break("is_migrated_by_one_job", "no migration", without=("Job", "migrate-registry")),
    Break("is_migrated_by_one_job", "by the service", _init_container),
    Break(
        "is_migrated_by_one_job",
        "after the services",
        _set("Job", "migrate-registry", "metadata/annotations/argocd.argoproj.io~sync-wave", "2"),
    ),
    Break(
        "who_reads_comes_before_whom_it_reads",
        "all at once",
        _set("Deployment", "national", "metadata/annotations/argocd.argoproj.io~sync-wave", "3"),
    ),
    Break(
        "is_migrated_by_one_job",
        "another's schema",
        _set("Job", "migrate-registry", "spec/template/spec/containers/0/command/3", "national"),
    ),
    Break(
        "is_migrated_by_one_job",
        "the service knows the owner",
        _main("registry", "envFrom", [{"secretRef": {"name": "registry-database-owner"}}]),
    ),
    Break("sets_what_the_code_reads", "a mistyped variable", _first("registry", "OCOP_HTTP_HOST", "OCOP_HTTP_HOTS")),
    Break("sets_what_the_code_reads", "no database", _set("ExternalSecret", "registry-database", _URL, None)),
    Break("names_only_what_is_there", "a Secret that is not made", without=("ExternalSecret", "registry-database")),
    Break("names_only_what_is_there", "a key that is not there", _set("ConfigMap", "proxy", "data", {})),
    Break("names_only_what_is_there", "no such user of Kafka", without=("KafkaUser", "registry")),
    Break(
        "names_only_what_is_there",
        "a file that is not mounted",
        _first("registry", "OCOP_KAFKA_CA_FILE", "/etc/kafka/ca.crt"),
    ),
    # the operators' place
    Break("operators_have_a_place", "none", without=("Deployment", "operator")),
    Break("operators_have_a_place", "two", _second_place),
    Break("operators_have_a_place", "always there", _set("Deployment", "operator", "spec/replicas", 1)),
    Break("operators_have_a_place", "as many as one likes", _set("Deployment", "operator", "spec/replicas", None)),
    Break("operators_have_a_place", "two at once", _set("Deployment", "operator", "spec/strategy", None)),
    Break("operators_have_a_place", "another image", _place("containers/0/image", "busybox@sha256:0")),
    Break("operators_have_a_place", "a service's account", _place("serviceAccountName", "gateway")),
    Break("operators_have_a_place", "a port", _place("containers/0/ports", [{"containerPort": 8080}])),
    Break("operators_have_a_place", "a service's work", _place("containers/0/command", ["python", "-m", "gateway"])),
    Break(
        "operators_have_a_place",
        "served",
        _set("Service", "gateway", "spec/selector", {"app.kubernetes.io/component": "operator"}),
    ),
    Break("operators_are_given_what_commands_take", "a role less", _file("roles", 0, "", None)),
    Break("operators_are_given_what_commands_take", "another's", _file("roles", 0, "/name", "registry-database")),
    Break(
        "operators_are_given_what_commands_take",
        "for HTTP",
        _file("roles", 0, "/items/0/key", "ocop_database_http_password"),
    ),
    Break("operators_are_given_what_commands_take", "another name", _file("roles", 0, "/items/0/path", "gateway")),
    Break("operators_are_given_what_commands_take", "all of a Secret", _file("roles", 0, "/items", None)),
    Break("operators_are_given_what_commands_take", "another owner", _file("roles", 6, "/name", "registry-db-owner")),
    Break(
        "operators_are_given_what_commands_take",
        "an authority's key",
        _file("postgres", 0, "/items/0/key", "ca.key"),
    ),
    Break(
        "operators_are_given_what_commands_take",
        "a service's certificate",
        _file("kafka", 1, "/name", "kafka-user-gateway"),
    ),
    Break(
        "operators_are_given_what_commands_take",
        "a copy of the database",
        _addressed("OCOP_POSTGRES_URL", "postgresql://{service}-db-ro:5432?sslmode=verify-full"),
    ),
    Break(
        "operators_are_given_what_commands_take",
        "not checked",
        _addressed("OCOP_POSTGRES_URL", "postgresql://{service}-db-rw:5432?sslmode=require"),
    ),
    Break(
        "operators_are_given_what_commands_take",
        "one authority for all",
        _addressed(
            "OCOP_POSTGRES_URL",
            "postgresql://{service}-db-rw:5432?sslmode=verify-full&sslrootcert=/run/secrets/postgres/gateway.crt",
        ),
    ),
    Break(
        "operators_are_given_what_commands_take",
        "another port",
        _addressed("OCOP_SERVICES_URL", "http://{service}:8080"),
    ),
    Break("operators_are_given_what_commands_take", "one service's", _addressed("OCOP_HOME", "OCOP_DATABASE_URL")),
    Break(
        "operators_are_given_what_commands_take", "without TLS", _addressed("OCOP_KAFKA_BOOTSTRAP", "ocop-kafka:9092")
    ),
    Break("operators_reach_what_they_look_into", "no services", without=("NetworkPolicy", "services-from-operator")),
    Break("operators_reach_what_they_look_into", "no database", without=("NetworkPolicy", "databases-from-operator")),
    Break("operators_reach_what_they_look_into", "no Kafka", without=("NetworkPolicy", "kafka-from-operator")),
    Break("operators_reach_what_they_look_into", "Kafka's own ports", _kafkas_own_port),
    Break(
        "operators_reach_what_they_look_into",
        "outside",
        _policy("operator-to-services", "egress/0/to/0", {"ipBlock": {"cidr": "203.0.113.0/24"}}),
    ),
    Break("operators_reach_what_they_look_into", "somebody comes", _somebody_comes),
    # network
    Break("denies_both_ways_by_default", "no default", without=("NetworkPolicy", "default-deny")),
    Break("denies_both_ways_by_default", "in only", _policy("default-deny", "policyTypes", ["Ingress"])),
    Break("asks_for_names", "no DNS", without=("NetworkPolicy", "everybody-to-dns")),
    Break("asks_for_names", "TCP only", _policy("everybody-to-dns", "egress/0/ports/0/protocol", "TCP")),
    Break("says_which_ports", "all ports", _policy("services-to-kafka", "egress/0/ports", None)),
    Break("says_which_ports", "all places", _policy("services-to-kafka", "egress/0/to", None)),
    Break(
        "says_which_ports",
        "the whole world",
        _policy("databases-to-backups", "egress/0/to/0/ipBlock/cidr", "0.0.0.0/0"),
    ),
    Break(
        "reaches_its_own_database_only",
        "another's",
        _policy("registry-to-database", "egress/0/to/0/podSelector/matchLabels", {"ocop/database-of": "national"}),
    ),
    Break("reaches_its_own_database_only", "any database's, on both sides", _two_doors),
    Break(
        "reaches_its_own_database_only",
        "no migration",
        _policy("registry-to-database", "podSelector/matchExpressions/0/values", ["service"]),
    ),
    Break("reaches_kafka_by_tls", "without TLS", _policy("services-to-kafka", "egress/0/ports/0/port", 9092)),
    Break(
        "reaches_kafka_by_tls",
        "Kafka lets no service in",
        _policy("kafka", "ingress/0/from/0/podSelector/matchLabels", {"a": "b"}),
    ),
    Break("reaches_the_single_engines", "no PostgreSQL", _policy("services-to-engines", "egress/1/ports/0/port", 5433)),
    Break("hands_traces_to_the_collector", "no way", without=("NetworkPolicy", "services-to-collector")),
    Break(
        "is_asked_by_whom_it_serves",
        "the world asks registry",
        _policy("outside-to-gateway-and-national", "podSelector/matchExpressions", None),
    ),
    Break("is_asked_by_whom_it_serves", "nobody watches", without=("NetworkPolicy", "monitoring-to-services")),
    Break(
        "is_asked_by_whom_it_serves",
        "any namespace",
        _policy("outside-to-gateway-and-national", "ingress/0/from/0/namespaceSelector", {}),
    ),
    Break("leaves_by_a_proxy_only", "an address", _open_door),
    Break("leaves_by_a_proxy_only", "all by the proxy", _policy("notifications-to-mail-relay", "podSelector", {})),
    Break(
        "lets_no_stranger_to_the_engines", "any namespace", _policy("kafka", "ingress/0/from/1/namespaceSelector", {})
    ),
    Break(
        "lets_no_stranger_to_the_engines",
        "no policy of the database",
        _policy("registry-database", "ingress/0", {"from": [{"namespaceSelector": {}}], "ports": [{"port": 5432}]}),
    ),
    Break("lets_the_engines_talk_among_themselves", "no replication", _policy("registry-database", "egress", [])),
    Break("lets_the_engines_talk_among_themselves", "no backups", without=("NetworkPolicy", "databases-to-backups")),
    Break(
        "lets_the_engines_talk_among_themselves",
        "no operator",
        _policy("kafka", "ingress/2/from/0/namespaceSelector/matchLabels", {"a": "b"}),
    ),
    Break(
        "shows_the_outside_no_inside",
        "everything",
        _set("Ingress", "national", "spec/rules/0/http/paths/0/pathType", "Prefix"),
    ),
    Break("shows_the_outside_no_inside", "no TLS", _set("Ingress", "national", "spec/tls", [])),
    Break("lets_whole_batches_in", "a proxy's default", _set("Ingress", "gateway", "metadata/annotations", {})),
    Break("is_all_in_one_namespace", "elsewhere", _set("Service", "registry", "metadata/namespace", "default")),
    # Kafka
    Break("kafka_is_three_and_three", "two brokers", _set("KafkaNodePool", "brokers", "spec/replicas", 2)),
    Break(
        "kafka_is_three_and_three",
        "disks that go",
        _set("KafkaNodePool", "brokers", "spec/storage/volumes/0/deleteClaim", True),
    ),
    Break("kafka_is_three_and_three", "an older API", _set("Kafka", "ocop", "apiVersion", "kafka.strimzi.io/v1beta2")),
    Break(
        "kafka_is_three_and_three",
        "a topic that is pruned",
        _set("KafkaTopic", "ocop.registry.product", "metadata/annotations", {}),
    ),
    Break(
        "kafka_may_write_its_disks",
        "nobody's disks",
        _set("Kafka", "ocop", "spec/kafka/template/pod/securityContext/fsGroup", None),
    ),
    Break("kafka_knows_who_comes", "plain", _set("Kafka", "ocop", "spec/kafka/listeners/0/tls", False)),
    Break("kafka_knows_who_comes", "anonymous", _set("Kafka", "ocop", "spec/kafka/listeners/0/authentication", None)),
    Break(
        "kafka_knows_who_comes", "anybody's", _set("Kafka", "ocop", "spec/kafka/listeners/0/networkPolicyPeers", None)
    ),
    Break("kafka_knows_who_comes", "all may all", _set("Kafka", "ocop", "spec/kafka/authorization", None)),
    Break(
        "kafka_keeps_two_copies_at_least",
        "one in sync",
        _set("Kafka", "ocop", "spec/kafka/config/min.insync.replicas", 1),
    ),
    Break(
        "kafka_keeps_two_copies_at_least",
        "a topic with one copy",
        _set("KafkaTopic", "ocop.registry.product", "spec/replicas", 1),
    ),
    Break("topics_are_the_catalogue", "one is missing", without=("KafkaTopic", "ocop.registry.product")),
    Break(
        "topics_are_the_catalogue",
        "not for ever",
        _set("KafkaTopic", "ocop.registry.product", "spec/config/retention.ms", "86400000"),
    ),
    Break(
        "topics_are_the_catalogue",
        "another number of partitions",
        _set("KafkaTopic", "ocop.registry.product", "spec/partitions", 24),
    ),
    Break("users_may_what_their_code_does", "no user", without=("KafkaUser", "registry")),
    Break(
        "users_may_what_their_code_does", "writes all", _user("authorization/acls/0/operations", ["Describe", "Write"])
    ),
    Break("users_may_what_their_code_does", "may all", _user("authorization/acls/0/operations", ["All"])),
    Break("users_may_what_their_code_does", "no quotas", _user("quotas", None)),
    Break("users_may_what_their_code_does", "no operators", without=("KafkaUser", "operator")),
    Break(
        "users_may_what_their_code_does",
        "operators write what nobody has named",
        _set("KafkaUser", "operator", "spec/authorization/acls/0/operations", ["Describe", "Read", "Write"]),
    ),
    Break(
        "users_may_what_their_code_does",
        "operators make topics",
        _set("KafkaUser", "operator", "spec/authorization/acls/1/operations", ["Create", "DescribeConfigs", "Write"]),
    ),
    Break(
        "users_may_what_their_code_does",
        "operators take a service's place",
        _set("KafkaUser", "operator", "spec/authorization/acls/11/operations", ["Describe", "Read"]),
    ),
    # PostgreSQL
    Break("each_service_has_its_database", "none", without=("Cluster", "registry-db")),
    Break("each_service_has_its_database", "another owner", _database("bootstrap/initdb/owner", "registry_app")),
    Break("each_service_has_its_database", "passes the policies", _database("managed/roles/1/bypassrls", True)),
    Break("each_service_has_its_database", "no password", without=("ExternalSecret", "registry-db-http")),
    Break(
        "each_service_has_its_database", "everybody connects", _database("bootstrap/initdb/postInitApplicationSQL", [])
    ),
    Break("commits_are_held_twice", "one instance", _database("instances", 1)),
    Break(
        "commits_are_held_twice", "alone if need be", _database("postgresql/synchronous/dataDurability", "preferred")
    ),
    Break("commits_are_held_twice", "not waited for", _database("postgresql/parameters/synchronous_commit", "off")),
    Break("commits_are_held_twice", "failover to anybody", _database("postgresql/synchronous/failoverQuorum", None)),
    Break("commits_are_held_twice", "on one machine", _database("affinity/podAntiAffinityType", "preferred")),
    Break("commits_are_held_twice", "without TLS", _database("postgresql/pg_hba", [])),
    Break("any_moment_can_be_gone_back_to", "no archive", _database("plugins", [])),
    Break("any_moment_can_be_gone_back_to", "no copies", without=("ScheduledBackup", "registry-db")),
    Break("any_moment_can_be_gone_back_to", "no store", without=("ObjectStore", "backups")),
    Break("any_moment_can_be_gone_back_to", "a week", _set("ObjectStore", "backups", "spec/retentionPolicy", "7d")),
    Break(
        "any_moment_can_be_gone_back_to",
        "another's archive",
        _database("plugins/0/parameters/serverName", "national-db"),
    ),
    Break(
        "any_moment_can_be_gone_back_to",
        "a schedule without seconds",
        _set("ScheduledBackup", "registry-db", "spec/schedule", "0 18 * * *"),
    ),
    Break(
        "asks_the_primary_over_tls",
        "a copy",
        _set("ExternalSecret", "registry-database", _URL, _ADDRESS.format("ro", "verify-full", _CA)),
    ),
    Break(
        "asks_the_primary_over_tls",
        "not checked",
        _set("ExternalSecret", "registry-database", _URL, _ADDRESS.format("rw", "require", _CA)),
    ),
    # scaling
    Break("scales_what_reads_by_lag", "one does not", without=("ScaledObject", "national")),
    Break("scales_what_reads_by_lag", "by another topic", _trigger("topic", "ocop.registry.owner")),
    Break("scales_what_reads_by_lag", "by another group", _trigger("consumerGroup", "marketplace-sync")),
    Break("scales_what_reads_by_lag", "by what stands still", _trigger("excludePersistentLag", "false")),
    Break("scales_what_reads_by_lag", "no threshold", _trigger("activationLagThreshold", None)),
    Break(
        "scales_what_reads_by_lag",
        "another namespace",
        _trigger("bootstrapServers", "ocop-kafka-bootstrap.NAMESPACE.svc:9093"),
    ),
    Break("scales_what_reads_by_lag", "replicas named", _set("Deployment", "registry", "spec/replicas", 2)),
    Break(
        "scales_within_partitions_and_connections",
        "more than partitions",
        _set("ScaledObject", "registry", "spec/maxReplicaCount", 13),
    ),
    Break(
        "scales_within_partitions_and_connections",
        "more than connections",
        _database("postgresql/parameters/max_connections", "100"),
    ),
    Break(
        "scales_within_partitions_and_connections",
        "to nothing",
        _set("ScaledObject", "registry", "spec/minReplicaCount", 0),
    ),
    Break(
        "scales_within_partitions_and_connections",
        "two at a time",
        _set(
            "ScaledObject",
            "registry",
            "spec/advanced/horizontalPodAutoscalerConfig/behavior/scaleUp/policies/0/value",
            2,
        ),
    ),
    # secrets
    Break("secrets_come_from_the_vault", "one in the repository", _committed_secret),
    Break(
        "secrets_come_from_the_vault",
        "asked once",
        _set("ExternalSecret", "registry-database", "spec/refreshPolicy", "CreatedOnce"),
    ),
    Break(
        "secrets_come_from_the_vault",
        "the older API",
        _set("ExternalSecret", "registry-database", "apiVersion", "external-secrets.io/v1beta1"),
    ),
    Break(
        "secrets_come_from_the_vault",
        "PostgreSQL is given a password that services do not have yet",
        _set("ExternalSecret", "registry-db-app", "spec/refreshPolicy", "Periodic"),
    ),
    Break(
        "passwords_change_without_a_restart",
        "in the address",
        _set("ExternalSecret", "registry-database", _URL, "postgresql://registry_app:x@registry-db-rw:5432/d"),
    ),
    Break(
        "passwords_change_without_a_restart",
        "no file",
        _set("ExternalSecret", "registry-database", f"{_DATA}/ocop_database_http_password", None),
    ),
    Break(
        "passwords_change_without_a_restart",
        "another's",
        _set("ExternalSecret", "registry-db-app", "spec/data/0/remoteRef/property", "http"),
    ),
    # dev
    Break(
        "dev_needs_nothing_installed",
        "a topic left out",
        _config("--topic ocop.registry.product ", "--topic ocop.registry.produkt "),
    ),
    Break(
        "dev_needs_nothing_installed",
        "a role left out",
        _config("CREATE ROLE registry_http", "CREATE ROLE registry_htp"),
    ),
    Break(
        "dev_needs_nothing_installed",
        "an operator's kind",
        _set("Service", "kafka", "apiVersion", "kafka.strimzi.io/v1"),
    ),
    Break("dev_needs_nothing_installed", "two Kafkas", _set("StatefulSet", "kafka", "spec/replicas", 2)),
    # watching
    Break("the_collector_keeps_its_memory", "no limiter", _config("[memory_limiter, batch]", "[batch]")),
    Break("everything_is_watched", "not the services", without=("PodMonitor", "services")),
    Break(
        "everything_is_watched",
        "a service that gives itself out as the operators' place",
        _set("Deployment", "registry", "spec/template/metadata/labels/app.kubernetes.io~component", "operator"),
    ),
    Break(
        "everything_is_watched",
        "another port",
        _set("PodMonitor", "services", "spec/podMetricsEndpoints/0/port", "metrics"),
    ),
    Break(
        "everything_is_watched",
        "Kafka's controllers say nothing",
        _set("Kafka", "ocop", "spec/kafka/metricsConfig/values/allowList/2", None),
    ),
    Break(
        "alerts_say_what_to_do",
        "an engine's metric that is not",
        _set("PrometheusRule", "ocop", "spec/groups/0/rules/1/expr", "cnpg_collector_down == 1"),
    ),
    Break(
        "alerts_say_what_to_do",
        "a metric that is not",
        _set("PrometheusRule", "ocop", "spec/groups/0/rules/1/expr", "ocop_topic_stoped == 1"),
    ),
    Break(
        "alerts_say_what_to_do",
        "no page",
        _set("PrometheusRule", "ocop", "spec/groups/0/rules/1/annotations/runbook_url", None),
    ),
    Break("dashboards_come_along", "a metric that is not", _config("ocop_outbox_rows", "ocop_outbox_row")),
    Break("dashboards_come_along", "none", without=("ConfigMap", "dashboards")),
)
