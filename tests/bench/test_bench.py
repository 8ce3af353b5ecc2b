"""That what measures would notice if what it measures were wrong. How fast anything is, no test asks."""

from pathlib import Path

import pytest
from national.projections import PROJECTIONS

from bench import limit, projection, results
from bench.data import PRODUCT, product_submissions, products, put
from bench.engines import bench
from bench.nation import histories
from servicekit import database
from tests.engines import Databases

EVENTS, SUBJECTS = 300, 30
COST = {"cpu_s_per_1000": {"all": 0.2}, "rss_mb": {"registry-1": 90.0, "kafka": 230.0}}
SEVERAL_POLLS = 2000  # for there must be time between the first commit and the last


def test_what_is_sent_decodes_and_is_numbered() -> None:
    numbers: dict[str, int] = {}
    for record in products(EVENTS, SUBJECTS):
        message = record.message()
        assert message.error is None and message.envelope is not None
        assert message.envelope.subjectsequence == numbers.get(record.key, 0) + 1
        numbers[record.key] = numbers.get(record.key, 0) + 1
    assert numbers and set(numbers.values()) == {EVENTS // SUBJECTS}


def test_submissions_decode() -> None:
    assert all(record.message().error is None for record in product_submissions(EVENTS, SUBJECTS))


def test_a_nation_decodes() -> None:
    made = histories(20, 400)
    counts = {topic: [record.message().error for record in records] for topic, records in made.items()}
    assert set(counts) == {each.topic for each in PROJECTIONS}
    assert not any(error for errors in counts.values() for error in errors)
    assert sum(map(len, counts.values())) >= 400


async def test_a_table_that_differs_in_one_value_is_noticed(databases: Databases) -> None:
    made = await databases.make("national")
    connection = await database.connect(made.superuser)
    try:
        await limit.write(connection, products(EVENTS, SUBJECTS))
        found = await limit.digests(connection)
        assert found["product_event"].startswith(f"{EVENTS} rows")
        await connection.execute(
            "UPDATE product_event SET tenant = '2025-80' WHERE id = (SELECT id FROM product_event LIMIT 1)"
        )
        differing = await limit.digests(connection)
    finally:
        await connection.close()
    assert {name for name in found if found[name] != differing[name]} == {"product_event"}


async def test_a_projection_is_measured_and_what_it_wrote_is_checked() -> None:
    async with bench() as made:
        rows = await limit.prepare(made, SEVERAL_POLLS, SUBJECTS)
        assert await rows.measure(made) > 0
        records = list(products(SEVERAL_POLLS, SUBJECTS))
        await put(made.bootstrap, records)
        found = await projection.run(made, rows, 1)
        assert found["rate"] > 0 and found["rss_mb"]["national-1"] > 0
        await made.reset_topics([PRODUCT])
        await put(made.bootstrap, [*records[:-1], *products(1, 1, prefix="KHAC")])  # another in the place of the last
        with pytest.raises(AssertionError, match="the tables hold"):
            await projection.run(made, rows, 1)


def test_results_say_what_was_reached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "FILE", tmp_path / "RESULTS.md")
    rates = (7000.0, 7600.0, 9000.0)
    rounds = [{name: {"rate": rate, **COST} for name in ("one", "one_of_two_readers", "two")} for rate in rates]
    machine = {"cores": 2, "cpu": "C", "memory_gb": 24, "system": "S", "fdatasync_s": 7000, "versions": {"Python": "3"}}
    found = {"decider": {"rounds": rounds, "events": 10, "at": "2026-09-01 10:00"}}
    text = results.write("abc", machine, found)
    assert "| decider step, one process, events/s | ≥ 7,500 | 7,000 | 7,600 | 9,000 | yes | all 0.200 |" in text
    results.FILE.write_text(text + "By hand.\n")
    slower = {"decider": {"rounds": rounds[:1], "events": 10, "at": "2026-09-01 10:00"}}
    again = results.write("abd", machine, slower)
    assert "| 7,000 | 7,000 | 7,000 | **no** |" in again and again.endswith("By hand.\n") and "commit abc" not in again


def test_results_of_another_part_stay_with_their_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "FILE", tmp_path / "RESULTS.md")
    machine = {"cores": 2, "cpu": "C", "memory_gb": 24, "system": "S", "fdatasync_s": 7000, "versions": {"Python": "3"}}
    measured = {"events": 10, "at": "2026-09-01 10:00"}
    fed = {"quiet_ms": {"p95": 1}, "backfill_rate": 2, "beside_backfill_ms": {"p95": 3}}
    lane = {"backfill": {"rounds": [fed], **measured}}
    weight = {"weight": {"topic_bytes": {"t": 800}, "database_bytes": {}, "log_bytes": 1, **COST, **measured}}
    first = results.write("abc", machine, lane)
    both = results.write("abd", machine, weight)
    assert both.count("commit abc") == both.count("commit abd") == 1
    section = first[first.index("## Backfill") : first.index(results.MARK)].strip()
    assert section in both and both.index(section) < both.index("## Weight")
    assert results.write("abd", machine, weight) == both
    assert "commit abc" not in results.write("abd", machine | {"cpu": "D"}, weight)
