"""What the sizing page says of the manifests, they say; and what it reckons follows from its inputs."""

import re
from pathlib import Path

import pytest

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


def test_each_input_has_a_value_and_a_source() -> None:
    inputs = re.findall(r"^\| ([FAMK]\d+)\b[^|]*\|[^|]*\|([^|]*)\|([^|]*)\|", PAGE, re.MULTILINE)
    assert len(inputs) == len(dict.fromkeys(name for name, _, _ in inputs)) > 20
    assert [name for name, given, source in inputs if not given.strip() or not source.strip()] == []


def number(text: str) -> float:
    """The first number of a value."""
    found = re.search(r"[\d,]*\.?\d+", text)
    assert found, text
    return float(found[0].replace(",", ""))


def given(name: str) -> float:
    """An input, as a number."""
    return number(value(name))


def cell(part: str, what: str) -> float:
    """What a part of the page reckons."""
    section = PAGE.split(f"## {part}\n")[1].split("\n## ")[0]
    found = re.search(rf"^\| {re.escape(what)} \|[^|]*\|([^|]*)\|", section, re.MULTILINE)
    assert found, what
    return number(found[1])


def test_what_is_reckoned_follows_from_the_inputs() -> None:
    first, growth, share = given("F3") * given("A1") + given("F4") * given("A2"), 1 + given("F5"), 0.6
    last = first * growth**10
    busy = last * given("A3") / 3600
    kept = sum(first * growth**n for n in range(10)) + given("F1") * given("A5")
    communes = round(given("F2") / given("F1"))
    assert "F2 / F1 = 98 times" in PAGE and communes == 98
    reckoned = {
        "A day, a busy hour, ten years": {
            "E1 events a year, at first": first,
            "E2 events a year, in year 10": last,
            "E3 events a second in the busiest hour, in year 10": busy,
            "E4 events kept after ten years": kept,
        },
        "Where the first limit lies": {
            "a database's processors": 2 / given("M12") / busy,
            "a decider": given("M2") * given("K2") / share / busy,
            "one relay (one leads)": given("M4") / 2 / busy,
            "gateway": given("M1") * 2 / busy,
            "national": given("M3") * given("K2") / busy,
        },
        "A hundred times as much": {
            "submissions a second": communes * busy,
            "gateways": communes * busy / given("M1") * 2,
            "replicas of the busiest decider": communes * share * busy / given("M2") * 2,
            "replicas of national": communes * busy / given("M3") * 2,
            "processors of all databases": communes * busy * given("M12"),
            "events after ten years": communes * kept,
            "a rebuild of national, hours": communes * kept / given("M13") / 3600,
        },
    }
    said = {part: {what: cell(part, what) for what in values} for part, values in reckoned.items()}
    for part, values in reckoned.items():
        assert said[part] == pytest.approx(values, rel=0.03, abs=0.01), part
