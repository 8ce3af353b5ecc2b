"""The worked example of CONTRIBUTING.md does what it says: its blocks are taken as they stand, and an event sent."""

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from contracts import submission, topics
from contracts.names import Ref, aggregate_id
from contracts.submission import SubmissionType
from contracts.topics import Topic
from servicekit import database
from servicekit.database import Pool
from servicekit.decider import Deciders
from servicekit.message import Kept, decode
from servicekit.projector import Projectors
from tests.engines import Databases
from tests.submissions import Province

TEXT = (Path(__file__).parent.parent / "CONTRIBUTING.md").read_text()
BLOCKS = {(kind, name): body for kind, name, body in re.findall(r"```(\w+) (\w+)\n(.*?)```", TEXT, re.DOTALL)}
TYPE, EVENT_TYPE = "vn.ocop.province.village.recognised.v1", "vn.ocop.registry.village.recognised.v1"
TOPIC = "ocop.registry.village"


@pytest.fixture
def code(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The Python blocks, run one after another, and their lines in the tables of the contracts."""
    names: dict[str, Any] = {"__name__": "example"}
    for part in ("contract", "decider", "wiring", "projector"):
        exec(BLOCKS["python", part], names)  # noqa: S102  # the page's own code
    made, state = names["VillageRecognised"], names["VillageState"]
    kind = SubmissionType(TYPE, "registry", "village", made, lambda d: ("village", d.village), lambda _: None)
    monkeypatch.setitem(submission.SUBMISSIONS, TYPE, kind)
    monkeypatch.setitem(submission.MODELS, TYPE, made)
    monkeypatch.setitem(topics.TOPICS, TOPIC, Topic(TOPIC, "domain", "registry", aggregate="village"))
    monkeypatch.setitem(topics._MODELS, EVENT_TYPE, state)  # as a line of _DOMAIN would
    return names


async def _pool(databases: Databases, service: str, table: str) -> Pool:
    made = await databases.make(service)
    owner = await asyncpg.connect(made.owner)
    await owner.execute(BLOCKS["sql", table])
    await owner.close()
    return await database.open_pool(made.app)


@pytest.fixture
async def registry(databases: Databases) -> AsyncIterator[Pool]:
    pool = await _pool(databases, "registry", "decider")
    yield pool
    await pool.close()


@pytest.fixture
async def national(databases: Databases) -> AsyncIterator[Pool]:
    pool = await _pool(databases, "national", "projector")
    yield pool
    await pool.close()


async def test_an_event_goes_all_the_way(code: dict[str, Any], registry: Pool, national: Pool) -> None:
    event = json.loads(BLOCKS["json", "event"])
    deciders = Deciders("registry", [code["VILLAGE"]])
    province = Province()
    async with registry.acquire() as connection, connection.transaction():
        await deciders.handle(connection, [province.message(event), province.message(event | {"id": "village-2"})])
    said = await registry.fetch("SELECT * FROM outbox ORDER BY id")
    states = [json.loads(row["payload"])["state"] for row in said if row["topic"] == "ocop.registry.outcome"]
    assert states == ["applied", "rejected"]
    (row,) = [row for row in said if row["topic"] == TOPIC]
    headers = tuple((name, value.encode()) for name, value in row["headers"].items())
    async with national.acquire() as connection, connection.transaction():
        await Projectors([code["VILLAGES"]]).handle(connection, [decode(Kept(TOPIC, 0, 0, headers, row["payload"]))])
    (village,) = await national.fetch("SELECT * FROM village")
    assert village["id"] == aggregate_id("village", Ref(namespace="2025-68", ref="LN-1"))
    assert (village["name"], village["event"]) == ("Làng nghề thử nghiệm", UUID(row["headers"]["ce_id"]))
