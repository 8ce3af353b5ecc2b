"""The load's ledger and verdict: a run with nothing broken is clean, and each planted break is named."""

import asyncio
import re
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest

from contracts.submission import SUBMISSIONS, WITHDRAWN
from ocop.rules.evidence import Finding
from servicekit import database
from tests.delivery import decisions, judging, ledger, verdict
from tests.delivery import load as load_of
from tests.delivery.ledger import INTENTS, UNKNOWN, Answer, Entry, Ledger, Sending
from tests.delivery.load import Load, enrolled
from tests.delivery.stream import ALONE, LANES, RACES, WHOLE, Lane
from tests.delivery.system import SERVICES, System, system
from tests.engines import Databases
from tests.submissions import owner

SEED, EVENTS = 11, 1500
SENDING = Sending("/provinces/2025-68/test", "e1", "2025-68", "t", "2025-68/CT-1", "00", "good", ("applied",))


def test_the_ledger_outlives_its_sender(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    first = Ledger(path)
    numbers = first.before([SENDING, replace(SENDING, id="e2")])
    first.after(numbers[:1], [Answer("accepted", None, "s1")])
    with path.open("ab") as file:
        file.write(b'{"send": 2, "request": 2, "att')  # the sender dies in the middle of a line
    assert ledger.read(path) == [
        Entry(0, 0, SENDING, Answer("accepted", None, "s1")),
        Entry(0, 0, replace(SENDING, id="e2"), UNKNOWN),
    ]
    again = Ledger(path)
    assert again.before([replace(SENDING, id="e2")], request=0, attempt=1) == [2]
    assert ledger.read(path)[2] == Entry(0, 1, replace(SENDING, id="e2"), UNKNOWN)
    for each in (first, again):
        each.close()


@pytest.mark.parametrize(
    ("log", "found"), [("abc", []), ("bac", []), ("acb", ["c"]), ("cab", ["c"]), ("xabc", ["x"]), ("abcx", [])]
)
def test_what_was_sent_after_an_answer_stands_behind_what_was_answered(
    tmp_path: Path, log: str, found: list[str]
) -> None:
    book = Ledger(tmp_path / "ledger")
    a, b = book.before([replace(SENDING, id=each) for each in "ab"])  # on their way at the same time
    book.after([b], [Answer("accepted")])
    book.after([a], [Answer("unavailable")])
    book.after(book.before([replace(SENDING, id="a")], request=a, attempt=1), [Answer("duplicate")])
    book.after(book.before([replace(SENDING, id="c")]), [Answer("accepted")])
    book.after(book.before([replace(SENDING, id="x")]), [UNKNOWN])
    book.close()
    applied = [(SENDING.source, each) for each in log]
    wrong = decisions.in_order([applied], ledger.read(tmp_path / "ledger"))
    assert [each.who for each in wrong] == [(SENDING.source, each) for each in found]


@pytest.mark.parametrize(
    ("log", "found"), [("abc", []), ("bac", ["b"]), ("cba", ["b", "c"]), ("acb", ["c"]), ("xabc", []), ("dabc", [])]
)
def test_what_came_in_one_request_stands_in_its_order(tmp_path: Path, log: str, found: list[str]) -> None:
    book = Ledger(tmp_path / "ledger")
    together = [replace(SENDING, id=each) for each in "abcd"]
    numbers = book.before(together)
    book.after(numbers, [Answer("unavailable")] * 3 + [Answer("refused")])
    book.after(book.before(together, numbers[0], 1), [Answer("accepted")] * 3 + [Answer("refused")])
    book.after(book.before([replace(SENDING, id="x"), replace(SENDING, id="a")]), [Answer("accepted")] * 2)
    book.close()
    applied = [(SENDING.source, each) for each in log]
    wrong = decisions.in_order([applied], ledger.read(tmp_path / "ledger"))
    wrong = [each for each in wrong if "in the request of both" in each.text]
    assert {each.who for each in wrong} == {(SENDING.source, each) for each in found}


@pytest.mark.parametrize(("told", "within_s", "said"), [(True, 10, "unavailable"), (False, 0.3, "refused")])
async def test_a_key_that_is_refused_is_a_finding_unless_there_is_a_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, told: bool, within_s: float, said: str
) -> None:
    monkeypatch.setattr(load_of, "KEY_S", within_s)
    lane = Lane(SEED, *LANES[0])
    transport = httpx2.MockTransport(lambda _: httpx2.Response(401, json={"code": "unauthorized"}))
    with closing(Ledger(tmp_path / "ledger")) as book:
        load = Load(SEED, ["http://gateway"], {lane.source: "old"}, book)
        async with httpx2.AsyncClient(transport=transport) as client:
            asking = asyncio.create_task(load._once(client, lane.step()[0], "http://gateway", 0))
            if told:  # a while after the old one has ended
                await asyncio.wait([asking], timeout=0.1)
                assert not asking.done()
                load.new_keys[lane.source] = "new"
            answers = await asking
    assert {(answer.said, answer.code) for answer in answers} == {(said, "401")}
    assert load.keys[lane.source] == ("new" if told else "old")


def test_the_same_seed_sends_the_same() -> None:
    def sent(seed: int) -> list[bytes]:
        lane = Lane(seed, "2025-68", "ocop")
        return [request.content for _ in range(60) for request in lane.step()] + [r.content for r in lane.last()]

    assert sent(1) == sent(1) != sent(2)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_load_is_of_every_kind(seed: int) -> None:
    lanes = [Lane(seed, tenant, system) for tenant, system in LANES]
    sent = [[request for _ in range(100) for request in lane.step()] + lane.last() for lane in lanes]
    for requests in sent:
        forms = {form for request in requests for form in request.forms}
        assert forms == {*WHOLE, *ALONE, *RACES}
    sendings = [item.sending for requests in sent for request in requests for item in request.items]
    assert {each.type for each in sendings} == {*SUBMISSIONS, WITHDRAWN}
    assert {each.intent for each in sendings} == set(INTENTS)
    foreign = [each for each in sendings if each.intent == "foreign-reference"]
    assert {each.tenant for each in foreign} == {tenant for tenant, _ in LANES}


async def test_a_load_is_told_and_found_as_it_was_meant(
    kafka_topics: str, databases: Databases, tmp_path: Path
) -> None:
    async with system(kafka_topics, databases, tmp_path, SERVICES) as under_test:
        await under_test.start_all()
        await under_test.start("gateway")
        keys = await enrolled(under_test)
        gateways = [gateway.url for gateway in under_test.running("gateway")]
        book = Ledger(tmp_path / "ledger")
        load = Load(SEED, gateways, keys, book)
        forms = {*WHOLE, *ALONE, *RACES}
        # Each form has its turn; how many events that takes is the machine's pace to say.
        await load.run(lambda: load.sent >= EVENTS and (load.forms.keys() == forms or load.sent >= 4 * EVENTS))
        book.close()
        entries = ledger.read(tmp_path / "ledger")
        assert {"accepted", "duplicate", "conflict", "refused"} <= set(load.answers)
        assert load.forms.keys() == forms
        under_test.refused = verdict.refused(entries)
        await under_test.settled()
        found = await verdict.compare(kafka_topics, under_test.urls, entries)
        found += await verdict.reachable(gateways[0], keys, entries, SEED)
        assert [str(each) for each in found] == []
        assert await _broken(under_test, entries) == []


# How an entry of this answer is spoilt (answer, sending), and what the verdict must say.
BREAKS: list[tuple[str, dict[str, Any], dict[str, Any], str]] = [
    ("accepted", {"said": "refused"}, {}, "O5 .* was meant as .* and was refused"),
    ("accepted", {"said": "unknown", "code": "500"}, {}, "O6 .* was answered 500, which is no answer"),
    ("accepted", {"said": "unavailable", "code": "503 without Retry-After"}, {}, "O6 .* was answered 503 without"),
    ("accepted", {"said": "duplicate"}, {}, "O6 .* and those sent with it are there in part"),
    ("duplicate", {"submission_id": "another"}, {}, "O1 .* was answered as another, the gateway has"),
    ("accepted", {}, {"ends": ("refused",)}, "O5 .* was to be refused and was answered accepted"),
    ("accepted", {}, {"ends": ("failed",)}, "O1 .* meant as .*, to be .*failed"),
    ("accepted", {}, {"sha256": "00"}, "O1 .* is in the gateway in bytes that were not accepted"),
    ("accepted", {}, {"id": "another"}, "O1 .* is in the gateway and was never sent"),
    ("accepted", {}, {"id": "another"}, "O1 .*another.* was accepted and is not in the gateway"),
    ("conflict", {"said": "duplicate"}, {}, "O1 .* has other content and was answered duplicate"),
    ("duplicate", {"said": "accepted"}, {}, "O1 .* was accepted 2 times"),
    ("refused", {"said": "accepted"}, {}, "O1 .* was accepted and is not in the gateway"),
]
# What is done to the registry's log, and then to the gateway's table.
MISDECIDED = [
    ("payload = before.payload", "O4 registry: event 2 of .* is not as it is decided again"),
    ("recorded_at = before.recorded_at", "O4 registry: event 2 of .* is recorded before the one before it"),
]
SPOILT = [
    ("payload = payload || ' '", "O2 .* goes on as other than it came"),
    ("payload = payload || ' '", "O2 .* is on no topic as it was accepted"),
    ("body = body || ' '", "O1 .* is in the gateway in bytes that were not accepted"),
]


async def _broken(under_test: System, entries: Sequence[Entry]) -> list[str]:
    """The breaks that were not found."""

    async def says(finding: str, changed: Sequence[Entry]) -> bool:
        found = await verdict.taken(under_test.bootstrap, under_test.urls["gateway"], changed)
        return any(re.match(finding, str(each)) for each in found)

    missed = []
    together = Counter(entry.request for entry in entries)
    for said, answer, sending, finding in BREAKS:
        # In a batch, so that it can be there in part.
        place = next(n for n, e in enumerate(entries) if e.answer.said == said and together[e.request] > 5)
        entry = entries[place]
        spoilt = replace(entry, answer=replace(entry.answer, **answer), sending=replace(entry.sending, **sending))
        if not await says(finding, [*entries[:place], spoilt, *entries[place + 1 :]]):
            missed.append(finding)
    registry = await database.connect(under_test.databases["registry"].superuser)
    for change, finding in MISDECIDED:
        await registry.execute(
            f"""UPDATE event SET {change} FROM event before WHERE event.sequence = 2 AND before.sequence = 1
                AND (before.aggregate, before.subject) = (event.aggregate, event.subject)""",  # noqa: S608  # from above
        )
        found = await decisions.compare(under_test.urls, entries)
        if not any(re.match(finding, str(each)) for each in found):
            missed.append(finding)
    await registry.close()
    for change, finding in SPOILT:
        await under_test.execute("gateway", f"UPDATE submission SET {change}")  # noqa: S608  # from above
        if not await says(finding, entries):
            missed.append(finding)
    return missed


def test_only_what_was_thrown_in_and_who_is_excused_are_no_findings() -> None:
    thrown = {"ocop.registry.owner/1@1"}
    assert judging.names(Finding("O2", "ocop.registry.owner/1@1 is not in the log"), thrown)
    assert judging.names(Finding("O2", "registry reads ocop.registry.owner/1@1"), thrown)
    for other in ("ocop.registry.owner/1@10", "ocop.registry.owner/1@", "x.ocop.registry.owner/1@1"):
        assert not judging.names(Finding("O2", f"{other} is not in the log"), thrown)
    event, another = ("/provinces/2025-68/test", "e1"), ("/provinces/2025-68/test", "e2")
    excused = {"; meant as ": {event}}
    assert judging.excuses(Finding("O1", f"{event} is rejected; meant as good", event), excused)
    assert not judging.excuses(Finding("O1", f"{another} is rejected; meant as good", another), excused)
    assert not judging.excuses(Finding("O1", f"{event} was accepted 2 times", event), excused)


async def test_what_another_key_reaches_is_found(kafka_topics: str, databases: Databases, tmp_path: Path) -> None:
    async with system(kafka_topics, databases, tmp_path, ["gateway"]) as under_test:
        gateway = await under_test.start("gateway")
        (answer,) = await under_test.submit([owner(id_="e1")])
        keys = {f"/provinces/{tenant}/test": await under_test.key(tenant, "test") for tenant in ("2025-68", "2025-80")}
        entries = [Entry(0, 0, SENDING, Answer("accepted", None, answer["submission_id"]))]
        assert await verdict.reachable(gateway.url, keys, entries, SEED) == []
        # The second tenant gets a key of the first's.
        swapped = keys | {"/provinces/2025-80/test": keys["/provinces/2025-68/test"]}
        found = [str(each) for each in await verdict.reachable(gateway.url, swapped, entries, SEED)]
        event = "('/provinces/2025-68/test', 'e1')"
        assert found == [f"O7 {event} is answered 200 to 2025-80", f"O7 {event} is listed to 2025-80"]
