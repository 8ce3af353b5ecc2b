"""`bench/RESULTS.md`, made of what was measured for a commit. A part that was measured for an earlier one, on such a
machine, stays and says for which. What stands below the mark is people's, and is kept."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Final

from bench import memory
from bench.parts import PARTS

FILE: Final = Path(__file__).with_name("RESULTS.md")
MARK: Final = "<!-- Above: written by `make bench`. Below: written by hand, and kept. -->"
HOW: Final = """\
Engines, services and load share the machine. PostgreSQL: `fsync`, `synchronous_commit` and `full_page_writes` read back
as on. Rates run from the first visible commit to the last; after every run what was written is compared with what it
must be. CPU in seconds per 1,000 events; memory is the peak of a process, in MB. "Reached" is judged by the median."""
OURS: Final = (
    ("one", "one process", 0.25, 1.0),
    ("one_of_two_readers", "one process of two readers", 0.25, 1.0),
    ("two", "two processes", 0.55, 1.5),
)
Rounds = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Line:
    """A figure: its values of all rounds, what it shall be (judged by the median), what it cost."""

    figure: str
    values: Sequence[float]
    least: float | None = None
    most: float | None = None
    cost: Mapping[str, Any] | None = None  # of the round in the middle
    valid: bool = True  # whether the load was what it was meant to be

    @property
    def target(self) -> str:
        if self.least is not None:
            return f"≥ {_number(self.least)}"
        return f"≤ {_number(self.most)}" if self.most is not None else ""

    @property
    def verdict(self) -> str:
        middle = median(self.values)
        if not self.valid:
            return "not kept up"
        if self.least is None and self.most is None:
            return ""
        reached = middle >= self.least if self.least is not None else middle <= (self.most or 0)
        return "yes" if reached else "**no**"

    def row(self) -> str:
        """As a row of the table."""
        spread = [_number(value) for value in (min(self.values), median(self.values), max(self.values))]
        cpu = held = ""
        if self.cost:
            cpu = ", ".join(f"{name} {seconds:.3f}" for name, seconds in self.cost["cpu_s_per_1000"].items())
            held = ", ".join(f"{name} {mb:.0f}" for name, mb in self.cost["rss_mb"].items() if name != "kafka")
        return f"| {self.figure} | {self.target} | {' | '.join(spread)} | {self.verdict} | {cpu} | {held} |"


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _rates(rounds: Rounds, name: str) -> list[float]:
    return [each[name]["rate"] for each in rounds]


def _ratios(rounds: Rounds, name: str, to: str) -> list[float]:
    return [each[name]["rate"] / (each[to] if to == "limit" else each[to]["rate"]) for each in rounds]


def _middle(rounds: Rounds, name: str) -> Mapping[str, Any]:
    """Of the round whose rate is in the middle."""
    ordered = sorted((each[name] for each in rounds), key=lambda found: float(found["rate"]))
    found: Mapping[str, Any] = ordered[len(ordered) // 2]
    return found


def _projection(result: Mapping[str, Any]) -> Iterator[Line]:
    rounds: Rounds = result["rounds"]
    yield Line("L: COPY of the same rows, events/s", [each["limit"] for each in rounds])
    for name, words, of_limit, of_peer in OURS:
        yield Line(f"projection, {words}, events/s", _rates(rounds, name), cost=_middle(rounds, name))
        yield Line(f"projection, {words}, of L", _ratios(rounds, name, "limit"), least=of_limit)
        other, tasks = ("peer_two", "two Connect tasks") if name == "two" else ("peer_one", "one Connect task")
        if other in rounds[0]:
            yield Line(f"projection, {words}, of {tasks}", _ratios(rounds, name, other), least=of_peer)
    if "peer_two" in rounds[0]:
        for other, tasks in (("peer_one", "one Connect task"), ("peer_two", "two Connect tasks")):
            yield Line(f"{tasks}, events/s", _rates(rounds, other), cost=_middle(rounds, other))
        shares = [_services_mb(each["two"]) / each["peer_two"]["rss_mb"]["connect"] for each in rounds]
        yield Line("memory of two processes, of the Connect worker's", shares, most=1 / 3)


def _services_mb(found: Mapping[str, Any]) -> float:
    return float(sum(mb for name, mb in found["rss_mb"].items() if name != "kafka"))


def _decider(result: Mapping[str, Any]) -> Iterator[Line]:
    rounds: Rounds = result["rounds"]
    yield Line("decider step, one process, events/s", _rates(rounds, "one"), least=7500, cost=_middle(rounds, "one"))
    for name, words in (("one_of_two_readers", "one process of two readers"), ("two", "two processes")):
        yield Line(f"decider step, {words}, events/s", _rates(rounds, name), cost=_middle(rounds, name))


def _relay(result: Mapping[str, Any]) -> Iterator[Line]:
    rounds: Rounds = result["rounds"]
    yield Line("relay, rows/s", _rates(rounds, "one"), cost=_middle(rounds, "one"))
    yield Line("relay, of L", _ratios(rounds, "one", "limit"), least=0.3)


def _gateway(result: Mapping[str, Any]) -> Iterator[Line]:
    rounds: Rounds = result["rounds"]
    for name, words, least in (("one", "one process", 8000), ("two", "two processes", 12_000)):
        yield Line(f"gateway, {words}, events/s", _rates(rounds, name), least=least, cost=_middle(rounds, name))
        for rank in ("p50", "p99"):
            values = [each[name]["request_ms"][rank] for each in rounds]
            yield Line(f"gateway, {words}, a request of 100, {rank}, ms", values)


def _floods(result: Mapping[str, Any]) -> Iterator[Line]:
    rounds: Rounds = result["rounds"]
    for kind in rounds[0]:
        yield Line(f"others before a flood of {kind}, p50, ms", [each[kind]["before_ms"] for each in rounds])
        yield Line(f"beside the flood of {kind}, p50, ms", [each[kind]["beside_ms"] for each in rounds])
        yield Line(f"requests of the flood of {kind} answered 429", [each[kind]["limited"] for each in rounds])


def _freshness(result: Mapping[str, Any]) -> Iterator[Line]:
    rounds: Rounds = result["rounds"]
    for load, words in (
        ("at_300", "300/s"),
        ("at_300_by_10", "300/s, ten a request"),
        ("at_1000", "1,000/s"),
        ("at_1000_by_10", "1,000/s, ten a request"),
    ):
        valid = all(each[load]["kept_up"] for each in rounds)
        for rank, most in (("p50", 50), ("p99", 250)):
            values = [each[load]["ms"][rank] for each in rounds]
            cost = rounds[0][load] if rank == "p50" else None
            asked = most if load == "at_300" else None
            yield Line(f"202 to figure, {words}, {rank}, ms", values, most=asked, cost=cost, valid=valid)


def _rebuild(result: Mapping[str, Any]) -> Iterator[Line]:
    rounds, of = result["rounds"], f"{result['read']:,} events"
    built = [each["rebuilt"] for each in rounds]
    yield Line(f"live projection of {of}, one process, events/s", _rates(rounds, "live"), cost=_middle(rounds, "live"))
    yield Line(f"rebuild of {of}, events/s", _rates(rounds, "rebuilt"))
    yield Line("rebuild, of the live projection", _ratios(rounds, "rebuilt", "live"), least=1)
    yield Line("its last tenth, of its first", [each["last_tenth"] / each["first_tenth"] for each in built], least=0.5)
    yield Line("it all, with indexes and comparison, s", [each["whole_s"] for each in built])
    yield Line("its memory, peak, MB", [each["rss_mb"] for each in built])


def _queries(result: Mapping[str, Any]) -> Iterator[Line]:
    for name, words in (("one_client_ms", "one client"), ("four_clients_ms", "four clients")):
        rounds = [each[name] for each in result["rounds"]]
        of = f"{result['products']:,} products and {result['events_held']:,} events, {words}"
        cost = result["rounds"][0] if name == "one_client_ms" else None  # of both, for each answer
        yield Line(f"figures and lists, {of}, p50, ms", [each["p50"] for each in rounds], cost=cost)
        yield Line(f"figures and lists, {of}, p99, ms", [each["p99"] for each in rounds], most=50)
        slowest = f"the slowest ({max(rounds, key=_slowest)['slowest']}), {words}, p99, ms"
        yield Line(slowest, list(map(_slowest, rounds)), most=50)


def _slowest(found: Mapping[str, Any]) -> float:
    return float(found["slowest_p99"])


def _memory(result: Mapping[str, Any]) -> Iterator[Line]:
    for service in memory.GROWS:
        found, minutes = result[service], result["minutes"]
        yield Line(f"{service} at full rate ({found['rate']:,.0f}/s), peak, MB", [found["rss_mb"]], most=150)
        yield Line(f"{service}, slope over {minutes:g} min, MB/min", [found["slope_mb_min"]], most=1)


def _backfill(result: Mapping[str, Any]) -> Iterator[Line]:
    rounds: Rounds = result["rounds"]
    yield Line("publish to queryable, nothing else, p95, ms", [each["quiet_ms"]["p95"] for each in rounds])
    beside = f"the same beside a backfill of {result['events']:,}, p95, ms"
    yield Line(beside, [each["beside_backfill_ms"]["p95"] for each in rounds], most=2000)
    yield Line("backfill, events/s", [each["backfill_rate"] for each in rounds])


def _tracing(result: Mapping[str, Any]) -> Iterator[Line]:
    rounds: Rounds = result["rounds"]
    for way, words, most in (("a share", "a twentieth of all traces", 5), ("all", "all traces", None)):
        more = [(_cpu(each[way]) / _cpu(each["without"]) - 1) * 100 for each in rounds]
        yield Line(f"{words}, {len(rounds)} pairs: CPU more than without, %", more, most=most, cost=rounds[0][way])
    yield Line(
        "without: CPU of all services, s per 1,000 events",
        [_cpu(each["without"]) for each in rounds],
        cost=rounds[0]["without"],
    )


def _weight(result: Mapping[str, Any]) -> Iterator[Line]:
    for kind, sizes in (("on", result["topic_bytes"]), ("in the database of", result["database_bytes"])):
        for name, size in sizes.items():
            yield Line(f"bytes {kind} {name}", [size])
    yield Line("bytes of PostgreSQL's log, of all databases", [result["log_bytes"]], cost=result)


def _text(result: Mapping[str, Any]) -> Iterator[Line]:
    rounds: Rounds = result["rounds"]
    worst = max(rounds[0]["ms"], key=lambda kind: median(each["ms"][kind] for each in rounds))
    words = f"the slowest of {len(rounds[0]['ms'])} kinds ({worst}), {rounds[0]['length']:,} characters, ms"
    yield Line(words, [each["ms"][worst] for each in rounds], most=2)


def _cpu(found: Mapping[str, Any]) -> float:
    return float(found["cpu_s_per_1000"]["all"])


SECTIONS: Final[Mapping[str, Callable[[Mapping[str, Any]], Iterator[Line]]]] = {
    "projection": _projection,
    "peer": _projection,
    "decider": _decider,
    "relay": _relay,
    "gateway": _gateway,
    "floods": _floods,
    "freshness": _freshness,
    "rebuild": _rebuild,
    "growth": _rebuild,
    "queries": _queries,
    "memory": _memory,
    "backfill": _backfill,
    "tracing": _tracing,
    "weight": _weight,
    "text": _text,
}


def write(commit: str, machine: Mapping[str, Any], found: Mapping[str, Mapping[str, Any]]) -> str:
    """Writes the file from what there is, and returns its text. `found` is a result by its part."""
    before, _, kept = (FILE.read_text() if FILE.exists() else "").partition(MARK)
    versions = ", ".join(f"{name} {number}" for name, number in machine["versions"].items())
    like = f"{machine['cores']} cores ({machine['cpu']}),"
    where = f"{like} {machine['memory_gb']} GB, {machine['system']}"
    head = f"""\
# How fast

{where}; a page and `fdatasync` {machine["fdatasync_s"]:,} times a second.
{versions}.

{HOW}"""
    sections = _sections(before) if like in before else {}
    sections |= {part: _section(part, commit, result) for part, result in found.items()}
    if "peer" in sections:  # it measures the projection, too
        sections.pop("projection", None)
    text = "\n\n".join([head, *(sections[part] for part in SECTIONS if part in sections), MARK]) + (kept or "\n")
    FILE.write_text(text)
    return text


def _sections(text: str) -> dict[str, str]:
    """What was written before, by part."""
    _, *sections = text.split("\n## ")
    return {section.partition("\n")[0].lower(): f"## {section.rstrip()}" for section in sections}


def _section(part: str, commit: str, result: Mapping[str, Any]) -> str:
    rows = "\n".join(line.row() for line in SECTIONS[part](result))
    return f"""\
## {part.capitalize()}

{(PARTS[part].module.__doc__ or "").strip()}

{result["at"]}, commit {commit}.

| figure | to reach | least | median | most | reached | CPU s per 1,000 | MB |
|---|---|--:|--:|--:|---|---|---|
{rows}"""
