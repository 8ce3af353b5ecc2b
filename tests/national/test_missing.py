"""An answer that lacks events says so, and how many of each kind; one that does not lack them says nothing."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

import asyncpg
import httpx2
import pytest
from national.projections import PROJECTIONS

from ocop.history.events import Event, renewed
from servicekit import database
from servicekit.database import Pool
from servicekit.message import Kept, Message, decode
from servicekit.projector import Projectors
from servicekit.skip import skip
from tests.engines import Databases
from tests.national.asking import ask, asking
from tests.national.feed import read, said_of
from tests.national.test_projections import LATER, history, id_of, moved

NOTHING = {"held": 0, "skipped": 0}
FIGURES = (
    "/v1/figures/products",
    "/v1/figures/products?by=owner_kind",
    "/v1/figures/products?owner_kind=household",
    "/v1/figures/owners",
    "/v1/figures/owners?by=owner_kind_merged",
    "/v1/figures/recognitions",
    "/v1/figures/online",
)


@dataclass(slots=True)
class Asked:
    """A national database of the test's own, for what was skipped is never forgotten; and its HTTP."""

    pool: Pool
    http: httpx2.AsyncClient

    async def missing(self, path: str) -> dict[str, int]:
        """What an answer says that it lacks."""
        found = await ask(self.http, path)
        assert found["incomplete"] is (found["missing"] != NOTHING)
        counts: dict[str, int] = found["missing"]
        return counts

    async def lacking(self) -> dict[str, dict[str, int]]:
        """The figures that lack something."""
        found = {path: await self.missing(path) for path in FIGURES}
        return {path: counts for path, counts in found.items() if counts != NOTHING}

    async def skip(self) -> None:
        """Passes over whatever has failed."""
        async with self.pool.acquire() as connection, connection.transaction():
            (row,) = await connection.fetch("SELECT id, queue FROM held WHERE reason = 'failed'")
            projectors = [Projectors(PROJECTIONS)]
            options: dict[str, Any] = {"actor": "Lan", "reason": "hỏng", "nameless": row["queue"] is None}
            await skip(connection, projectors, row["id"], **options)


@pytest.fixture
async def asked(databases: Databases) -> AsyncIterator[Asked]:
    made = await databases.make("national")
    pool = await database.open_pool(made.app)
    async with asking(made) as http:
        yield Asked(pool, http)
    await pool.close()


def spoilt(message: Message, **headers: str) -> Message:
    """The same record in bytes that nobody can read."""
    written = dict(message.headers)
    written |= {f"ce_{name}": value.encode() for name, value in headers.items()}
    return decode(Kept(message.topic, message.partition, message.offset, tuple(written.items()), b"not JSON"))


def next_ones() -> dict[str, Message]:
    """The next event of each aggregate of the history, by topic."""
    owner: Event = {
        **history()[0],
        "type": "vn.ocop.province.owner.updated.v1",
        "id": "later",
    }
    owner["data"] = {**owner["data"], "effective_on": "2025-06-01"}
    act = renewed(LATER, "act-3", "SP", "2026-1", stars=5, issued_on="2026-06", previous_ref="2025-1")
    said = said_of([*history()[:-1], owner, moved("Gạo khác", "2025-08-01"), act, history()[-1]])
    return {message.topic: message for message in said[-4:]}


ONLY: dict[str, set[str]] = {
    "ocop.registry.owner": {path for path in FIGURES if "owner_kind" in path},
    "ocop.registry.product": set(FIGURES),
    "ocop.evaluation.recognition": set(FIGURES),
    "ocop.marketplace.listing": {"/v1/figures/online"},
}


@pytest.mark.parametrize("topic", ONLY)
async def test_a_figure_lacks_what_the_topics_lack_that_it_is_counted_from(asked: Asked, topic: str) -> None:
    await read(asked.pool, said_of(history()[:-1]))
    assert await asked.lacking() == {}
    late = next_ones()[topic]
    await read(asked.pool, [spoilt(late)])
    assert await asked.lacking() == {path: {"held": 1, "skipped": 0} for path in ONLY[topic]}
    await asked.skip()
    assert await asked.lacking() == {path: {"held": 0, "skipped": 1} for path in ONLY[topic]}
    number = late.named_number("subjectsequence")
    assert number is not None and late.envelope is not None
    headers = tuple((n, str(number + 1).encode() if n == "ce_subjectsequence" else v) for n, v in late.headers)
    headers = tuple((n, str(UUID(int=7)).encode() if n == "ce_id" else v) for n, v in headers)
    await read(asked.pool, [decode(Kept(topic, 0, late.offset + 9_000, headers, late.payload))])
    assert await asked.lacking() == {}, "the next event says the whole state"


async def test_bytes_that_name_nothing_may_be_of_anything_until_they_are_dropped(asked: Asked) -> None:
    said = said_of(history())
    await read(asked.pool, said)
    await read(asked.pool, [replace(spoilt(said[0]), headers=())])
    assert set(await asked.lacking()) == ONLY["ocop.registry.owner"]
    await asked.skip()
    assert await asked.lacking() == {}, "an operator has said that they were nothing"


@pytest.mark.parametrize("topic", ONLY)
async def test_a_product_and_its_owner_lack_what_is_missing_of_them_and_of_nobody_else(
    asked: Asked, topic: str
) -> None:
    product, owner = f"/v1/products/{id_of('product', 'SP')}", f"/v1/owners/{id_of('owner', 'CT')}"
    mine, others = (owner, product) if topic == "ocop.registry.owner" else (product, owner)
    await read(asked.pool, said_of(history()[:-1]))
    late = next_ones()[topic]
    await read(asked.pool, [spoilt(late, subject=str(UUID(int=5)), subjectsequence="1")])
    assert await asked.missing(mine) == await asked.missing(others) == NOTHING, "somebody else's"
    await asked.skip()
    await read(asked.pool, [spoilt(late)])
    assert (await asked.missing(mine), await asked.missing(others)) == ({"held": 1, "skipped": 0}, NOTHING)
    await asked.skip()
    assert (await asked.missing(mine), await asked.missing(others)) == ({"held": 0, "skipped": 1}, NOTHING)


async def test_pages_say_what_they_lack(asked: Asked) -> None:
    page = f"/san-pham/{id_of('product', 'SP')}"
    behind = "/san-pham?indicator=products&at=2026-08-06"
    await read(asked.pool, said_of(history()[:-1]))
    for path in ("/", page, behind):
        assert "có thể còn thiếu" not in (await asked.http.get(path)).text
    await read(asked.pool, [spoilt(next_ones()["ocop.registry.product"])])
    for path in ("/", page, behind):
        text = (await asked.http.get(path)).text
        assert "có thể còn thiếu" in text
        assert "1 sự kiện đã nhận nhưng chưa đọc được" in text
    await asked.skip()
    for path in ("/", page, behind):
        text = (await asked.http.get(path)).text
        assert "1 sự kiện đã được bỏ qua" in text
        assert "chưa đọc được;" not in text


async def test_the_http_role_sees_how_many_are_missing_not_what_they_say(asked: Asked, databases: Databases) -> None:
    made = await databases.make("national")
    connection = await database.connect(made.http)
    for column in ("payload", "headers", "actor", "reason"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.fetch(f"SELECT {column} FROM skipped")  # noqa: S608  # our own names
    await connection.close()
