"""What the sizing page says of the manifests, they say; what it says is measured, was; what it reckons follows."""

import re
from pathlib import Path

import pytest

from contracts.topics import PARTITIONS
from deploy.k8s import kafka
from deploy.k8s.manifests import render
from servicekit.settings import Settings
from tests.deploy.engines import COMING_AND_GOING, RESERVED

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "sizing.md").read_text()
RESULTS = (ROOT / "bench" / "RESULTS.md").read_text()
MIB = 1024 * 1024
# Two machines of two cores have differed by 1.6 at the same part, and where a rate matters the page takes two of each.
# Bytes are the same on any machine, but for how full pages of an index happen to be.
RATES, BYTES = 2.0, 1.1


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


def measured(figure: str, column: str = "median") -> str:
    """A cell of the row of RESULTS whose figure fits the pattern."""
    rows = [[each.strip() for each in line.split("|")[1:-1]] for line in RESULTS.splitlines() if line.startswith("|")]
    (row,) = [row for row in rows if re.fullmatch(figure, row[0])]
    return row[rows[0].index(column)]


def of_process(cell: str, name: str) -> float:
    """What a process has of a cell that lists them: `gateway-1 0.086, postgres 0.037`."""
    found = re.search(rf"\b{name} ([\d.]+)", cell)
    assert found, (cell, name)
    return float(found[1])


def test_what_is_measured_was() -> None:
    """The median of the last measurement, whatever machine that was on."""
    processes = {
        "gateway-1": "gateway, one process, events/s",
        "registry-1": "decider step, one process, events/s",
        "national-1": "projection, one process, events/s",
    }
    rates = {f"M{n}": number(measured(figure)) for n, figure in enumerate(processes.values(), 1)} | {
        "M4": number(measured("relay, rows/s")),
        "M12": of_process(measured("bytes of PostgreSQL's log.*", "CPU s per 1,000"), "postgres") / 1000,
        "M13": number(measured(r"rebuild of [\d,]+ events, events/s")),
    }
    bytes_ = {
        f"M{n}": number(measured(figure))
        for n, figure in (
            (8, "bytes in the database of registry"),
            (9, "bytes in the database of gateway"),
            (10, "bytes in the database of national"),
            (11, "bytes of PostgreSQL's log.*"),
        )
    }
    topics = ("submission.registry", "registry.product", "registry.outcome")
    bytes_["M7"] = sum(number(measured(f"bytes on ocop.{topic}")) for topic in topics) / len(topics)
    memory = [of_process(measured(figure, "MB"), process) for process, figure in processes.items()]
    page = [(name, given(name), found, RATES) for name, found in rates.items()]
    page += [(name, given(name), found, BYTES) for name, found in bytes_.items()]
    page += [("M6", float(said), found, RATES) for said, found in zip(value("M6").split("/"), memory, strict=True)]
    apart = [(name, said, found) for name, said, found, factor in page if not 1 / factor <= said / found <= factor]
    assert apart == []


def test_how_many_replicas_the_connections_bear() -> None:
    connections, processes = given("K3"), int((given("K4") - RESERVED) // given("K3"))
    assert (
        f"+ {RESERVED} for the operators = {(given('K2') + COMING_AND_GOING) * connections + RESERVED:.0f} ≤ K4" in PAGE
    )
    most = processes - COMING_AND_GOING
    assert f"So K2 may be {most} at most" in PAGE
    assert f"`maxReplicaCount` of its ScaledObject up to {most}," in (ROOT / "docs" / "runbook.md").read_text()


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
