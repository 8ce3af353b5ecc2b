"""What is counted: each event in exactly one answer, each accepted one in exactly one end or open still."""

from collections import Counter
from pathlib import Path

import httpx2
from prometheus_client.parser import text_string_to_metric_families

from servicekit import metrics
from tests.delivery.system import Process, system
from tests.engines import Databases
from tests.submissions import owner, owner_updated, product, withdrawal
from tests.waiting import until

Found = dict[tuple[str, tuple[str, ...]], float]


async def scraped(process: Process) -> Found:
    """Our metrics of a process: name and labels' values, in the order of the list."""
    async with httpx2.AsyncClient() as client:
        text = (await client.get(f"{process.url}/metrics")).text
    labels = {name: metric._labelnames for name, metric in metrics.all_().items()}
    return {
        (sample.name, tuple(sample.labels[label] for label in labels[sample.name])): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name in labels
    }


async def test_every_event_is_counted_once(kafka_topics: str, databases: Databases, tmp_path: Path) -> None:
    services = ["gateway", "registry", "evaluation", "marketplace", "notifications", "national"]
    async with system(kafka_topics, databases, tmp_path, services) as under_test:
        await under_test.start_all()
        lots = [
            [owner(id_="o"), owner(id_="o"), owner(id_="again"), product(of="CT-9", id_="p"), product("SP-2", id_="q")],
            [owner("CT-3", id_="o"), owner_updated("CT-4", id_="u"), owner(kind="band", id_="bad")],
            [product("SP-3", of="CT-8", id_="back")],
        ]
        sent = Counter[str]()
        for lot in lots:
            sent.update(answer["status"] for answer in await under_test.submit(lot))
        await under_test.settled()
        sent.update(answer["status"] for answer in await under_test.submit([withdrawal("back")]))
        await under_test.settled()
        (gateway,), (registry,) = under_test.running("gateway"), under_test.running("registry")
        found: Found = {}

        async def open_is_told() -> bool:
            found.update(await scraped(gateway))
            return found.get(("ocop_submissions_open", ("2025-68", "waiting"))) == 1

        await until(open_is_told, 60)
        answers = Counter[str]()
        for (name, values), value in found.items():
            if name == "ocop_answers_total":
                assert values[0] == "2025-68"
                answers[values[1]] += int(value)
        assert answers == sent == {"accepted": 7, "duplicate": 1, "conflict": 1, "refused": 1}
        assert found["ocop_answers_total", ("2025-68", "refused", "bad-value")] == 1
        ended = {values[1]: value for (name, values), value in found.items() if name == "ocop_submissions_ended_total"}
        assert ended == {"applied": 3, "rejected": 2, "withdrawn": 1}
        assert answers["accepted"] == sum(ended.values()) + 1, "the one that waits"
        assert found["ocop_province_last_received_timestamp_seconds", ("2025-68",)] > 1.7e9
        assert found["ocop_requests_total", ("2xx",)] >= 4

        async def held_is_told() -> bool:
            found.update(await scraped(registry))
            return found.get(("ocop_held_rows", ("waiting",))) == 1

        await until(held_is_told, 60)
        assert found["ocop_held_rows", ("failed",)] == 0
        assert found["ocop_relay_leads", ()] == 1
        assert found["ocop_outbox_rows", ()] == 0
