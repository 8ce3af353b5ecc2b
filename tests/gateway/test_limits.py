"""What a key may ask of the gateway: events, requests, at once; what strangers may; how long a body may take."""

import asyncio
import gzip
import json
import threading
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from gateway import api, gate, intake, store
from gateway.domain import Holder
from gateway.request import Piece, pieces

from servicekit import database
from tests.engines import Database, Databases
from tests.gateway.serving import BATCH, Served, served
from tests.submissions import owner
from tests.waiting import lock_waiters, until


@pytest.fixture
async def made(databases: Databases) -> Database:
    return await databases.make("gateway")


async def post(
    gateway: Served, key: dict[str, str], content: Any, *, tenant: str = "2025-68", **headers: str
) -> httpx2.Response:
    body = content if not isinstance(content, list) else json.dumps(content).encode()
    return await gateway.client.post("/v1/events", content=body, headers={"Content-Type": BATCH, **key, **headers})


def owners(count: int, start: int = 0) -> list[dict[str, Any]]:
    return [owner(f"CT-{n}", id_=f"o{n}") for n in range(start, start + count)]


def assert_limited(answer: httpx2.Response) -> None:
    assert (answer.status_code, answer.json()["code"]) == (429, "rate-limited")
    assert answer.headers["content-type"] == "application/problem+json"
    assert 1 <= int(answer.headers["retry-after"]) <= 10


async def test_events_are_counted_not_requests(made: Database) -> None:
    async with served(made, key_events_s=10) as gateway:
        key, other = await gateway.key("2025-68"), await gateway.key("2025-80")
        assert (await post(gateway, key, owners(60))).status_code == 200
        assert_limited(await post(gateway, key, owners(41, 60)))
        assert await gateway.pool.fetchval("SELECT count(*) FROM submission") == 60, "nothing of it was taken"
        assert (await post(gateway, key, owners(30, 60))).status_code == 200, "what was too much cost its bytes only"
        assert_limited(await post(gateway, key, owners(10, 90)))
        assert (await post(gateway, other, [])).status_code == 200


async def test_refused_events_cost_as_much(made: Database) -> None:
    async with served(made, key_events_s=10) as gateway:
        key = await gateway.key("2025-68")
        bad = [event | {"specversion": "9"} for event in owners(100)]
        assert {r["status"] for r in (await post(gateway, key, bad)).json()["results"]} == {"refused"}
        assert_limited(await post(gateway, key, owners(1)))


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        (b"[" + b" " * 409_600, {}, 400),
        (b"[" + b"," * 20_000, {}, 400),
        (gzip.compress(b"[" + b" " * 409_600), {"Content-Encoding": "gzip"}, 400),
        (gzip.compress(b" " * 64_000_000), {"Content-Encoding": "gzip"}, 413),
    ],
)
async def test_what_cannot_be_read_costs_by_its_size(
    made: Database, content: bytes, headers: dict[str, str], status: int
) -> None:
    async with served(made, key_events_s=10) as gateway:
        key = await gateway.key("2025-68")
        assert (await post(gateway, key, content, **headers)).status_code == status
        assert_limited(await post(gateway, key, owners(1)))


@pytest.mark.parametrize(("size", "times", "status"), [(64_000_000, 1, 413), (1_048_576, 3, 429)])
async def test_what_was_unpacked_is_paid_for_though_it_does_not_fit(
    made: Database, size: int, times: int, status: int
) -> None:
    async with served(made, key_events_s=10) as gateway:
        key = await gateway.key("2025-68")
        assert (await post(gateway, key, owners(50))).status_code == 200
        for _ in range(times):
            answer = await post(gateway, key, gzip.compress(b" " * size), **{"Content-Encoding": "gzip"})
            assert answer.status_code == status
        assert_limited(await post(gateway, key, owners(3, 50)))


async def test_requests_of_any_kind_are_counted(made: Database) -> None:
    async with served(made, key_requests_s=1) as gateway:
        key = await gateway.key("2025-68")
        for _ in range(5):
            assert (await post(gateway, key, [])).status_code == 200
            assert (await gateway.client.get("/v1/submissions", headers=key)).status_code == 200
        assert_limited(await gateway.client.get("/v1/submissions", headers=key))
        assert_limited(await post(gateway, key, []))


async def test_a_body_is_not_asked_for_when_nothing_may_come(made: Database) -> None:
    async def never() -> AsyncIterator[bytes]:
        raise AssertionError("the body is read")
        yield b""

    async with served(made, key_events_s=1) as gateway:
        key = await gateway.key("2025-68")
        for size, status in (("4194305", 413), ("9" * 19, 413)):
            answer = await post(gateway, key, never(), **{"Content-Length": size})
            assert answer.status_code == status
        assert (await post(gateway, key, owners(8))).status_code == 200
        assert_limited(await post(gateway, key, never()))


async def test_slow_bodies_of_one_key_keep_none_of_the_others_out(made: Database) -> None:
    """A slow loris: it fills its own places, is told so, and its bodies come to an end."""
    settings = {"key_requests_at_once": 3, "body_timeout_s": 5, "database_pool": 2}
    begun = asyncio.Semaphore(0)

    async def slow() -> AsyncIterator[bytes]:
        yield b"["
        begun.release()
        await asyncio.Event().wait()

    async with served(made, **settings) as gateway:
        key, other = await gateway.key("2025-68"), await gateway.key("2025-80")
        lorises = [asyncio.create_task(post(gateway, key, slow())) for _ in range(3)]
        for _ in lorises:
            await begun.acquire()
        assert_limited(await post(gateway, key, []))
        assert (await post(gateway, other, [])).status_code == 200
        for loris in lorises:
            answer = await loris
            assert (answer.status_code, answer.json()["code"]) == (408, "too-slow")
        assert (await post(gateway, key, [])).status_code == 200


async def test_one_key_has_half_of_the_connections(made: Database) -> None:
    """Its requests stand in the database behind a lock; another key's do not."""
    async with served(made, database_pool=4) as gateway, await database.open_pool(made.superuser) as pool:
        key, other = await gateway.key("2025-68"), await gateway.key("2025-80")
        assert (await post(gateway, other, [])).status_code == 200
        async with pool.acquire() as holding:
            transaction = holding.transaction()
            await transaction.start()
            await holding.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
            await holding.execute(
                """INSERT INTO submission (id, tenant, source, event_id, namespace, type, subject, subject_ref, service,
                                           digest, body, headers, payload, received_at, repeat_at)
                   VALUES (gen_random_uuid(), '2025-68', $1, 'o0', '', '', gen_random_uuid(), '', '', '', '', '{}', '',
                           now(), now())""",
                owners(1)[0]["source"],
            )
            stuck = [asyncio.create_task(post(gateway, key, owners(1))) for _ in range(10)]

            async def its_share_waits() -> bool:
                return await lock_waiters(pool) >= 2

            await until(its_share_waits)
            async with asyncio.timeout(10):
                for _ in range(20):
                    assert (await post(gateway, other, [])).status_code == 200
            assert await lock_waiters(pool) == 2
            await transaction.rollback()
        assert {(await each).status_code for each in stuck} == {200}


async def test_a_flood_of_unknown_keys_costs_little_and_hinders_no_known_one(
    made: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate, "KEY_CACHE_S", 0.0)  # a known key is looked up each time
    asked = 0
    look_up = store.holder

    async def counted(*arguments: Any) -> Any:
        nonlocal asked
        asked += 1
        return await look_up(*arguments)

    monkeypatch.setattr(store, "holder", counted)
    async with served(made, address_unknown_keys_s=1) as gateway:
        key = await gateway.key("2025-68")
        assert (await post(gateway, key, [])).status_code == 200
        bad = [await post(gateway, {"Authorization": f"Bearer ocop_{n}"}, []) for n in range(50)]
        assert [answer.status_code for answer in bad] == [401] * 9 + [429] * 41
        assert_limited(bad[-1])
        assert asked == 2 + 9, "the known one's before its body and after it"
        assert (await post(gateway, key, [])).status_code == 200


@pytest.mark.parametrize(("path", "status"), [("/openapi.json", 200), ("/v1/nothing", 404), ("/v1/submissions", 401)])
async def test_what_is_asked_without_a_key_is_limited_by_address(made: Database, path: str, status: int) -> None:
    async with served(made, address_requests_s=1) as gateway:
        statuses = [(await gateway.client.get(path)).status_code for _ in range(11)]
        assert statuses == [status] * 10 + [429]
        assert (await gateway.client.get("/health/live")).status_code == 404, "not limited; served by the service"


async def test_what_is_larger_than_ever_fits_is_taken_when_all_is_free(made: Database) -> None:
    async with served(made, key_events_s=1) as gateway:
        key = await gateway.key("2025-68")
        assert (await post(gateway, key, owners(200))).status_code == 200
        assert_limited(await post(gateway, key, owners(1)))


async def test_a_long_batch_leaves_the_others_their_turn() -> None:
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    beside = asyncio.create_task(others())
    body = json.dumps(owners(500)).encode()
    examined = await intake._examined(Holder("2025-68", "test", frozenset({"2025-68"})), pieces(body, batch=True))
    assert len(examined) == 500
    assert turns >= 500 // intake.AT_A_TIME
    turns = 0
    answer = await api._results([intake.Answer("refused", id=f"o{n}") for n in range(500)])
    beside.cancel()
    assert [result["id"] for result in json.loads(bytes(answer.body))["results"]] == [f"o{n}" for n in range(500)]
    assert turns >= 500 // intake.AT_A_TIME


@pytest.mark.parametrize(("keys", "wait_s", "expected"), [(1, 0.1, 1), (2, 30, 2)])
async def test_of_each_key_one_long_body_is_read_at_a_time(
    made: Database, monkeypatch: pytest.MonkeyPatch, keys: int, wait_s: float, expected: int
) -> None:
    at_once, most, met = 0, 0, threading.Event()

    def together(content: bytes, *, batch: bool) -> list[Piece]:
        """Waits for another one to come."""
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        if at_once == 2:
            met.set()
        met.wait(wait_s)
        at_once -= 1
        return pieces(content, batch=batch)

    monkeypatch.setattr(api, "pieces", together)
    async with served(made) as gateway:
        own = [await gateway.key(tenant) for tenant in ("2025-68", "2025-80")[:keys]]
        batches = [post(gateway, own[n % keys], owners(300, 300 * n)) for n in range(4)]
        assert len(json.dumps(owners(300))) > api.LONG_BODY_BYTES
        assert {answer.status_code for answer in await asyncio.gather(*batches)} == {200}
    assert most == expected


async def test_of_many_requests_at_once_those_are_taken_that_fit(made: Database) -> None:
    """Not a part of each: then none would be."""
    async with served(made, key_events_s=100) as gateway:
        key = await gateway.key("2025-68")
        batches = [owners(300, 300 * n) for n in range(10)]
        for batch in batches:
            batch[0]["data"]["business_name"] = "x" * 200_000  # refused, and of many bytes
        answers = await asyncio.gather(*(post(gateway, key, batch) for batch in batches))
        assert sorted(answer.status_code for answer in answers) == [200] * 3 + [429] * 7
