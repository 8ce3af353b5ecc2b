"""What the sizing page says of the manifests, they say; and what nobody has measured, it leaves open."""

import re
from pathlib import Path

from contracts.topics import PARTITIONS
from deploy.k8s import kafka
from deploy.k8s.manifests import render
from servicekit.settings import Settings

PAGE = (Path(__file__).parents[2] / "docs" / "sizing.md").read_text()
MIB = 1024 * 1024


def value(name: str) -> str:
    """The value of an input."""
    found = re.search(rf"^\| {name} \|[^|]*\|([^|]*)\|", PAGE, re.MULTILINE)
    assert found, name
    return found[1].strip()


def test_what_the_manifests_say() -> None:
    production = render("production")
    most = {each["spec"]["maxReplicaCount"] for each in production.of("ScaledObject")}
    connections = {each["spec"]["postgresql"]["parameters"]["max_connections"] for each in production.of("Cluster")}
    lags = {t["metadata"]["lagThreshold"] for each in production.of("ScaledObject") for t in each["spec"]["triggers"]}
    assert value("K1") == str(PARTITIONS)
    assert {value("K2")} == {str(each) for each in most}
    assert value("K3") == str(2 * Settings.model_fields["database_pool"].default + 1)
    assert {value("K4")} == connections
    assert {"20000"} == lags
    assert "`lagThreshold`, 20,000 at first" in PAGE
    fences = kafka.PRODUCER_BYTES_S // MIB, kafka.CONSUMER_BYTES_S // MIB
    assert "({} MiB/s in, {} MiB/s out at first)".format(*fences) in PAGE


def test_each_input_has_a_value_or_is_open() -> None:
    inputs = re.findall(r"^\| ([FAMK]\d+)\b[^|]*\|[^|]*\|([^|]*)\|([^|]*)\|", PAGE, re.MULTILINE)
    assert len(inputs) == len(dict.fromkeys(name for name, _, _ in inputs)) > 20
    assert [name for name, given, source in inputs if not given.strip() or not source.strip()] == []


def test_nothing_is_reckoned_from_what_is_open() -> None:
    """While an input is open, so are the figures that need it."""
    if "*open*" in value("A1"):
        figures = re.findall(r"^\| E\d+ [^|]*\|[^|]*\|([^|]*)\|", PAGE, re.MULTILINE)
        assert {each.strip() for each in figures} == {"*open*"}
