"""The gateway over HTTP, on PostgreSQL: what it answers, what it keeps, and to whom it shows it."""

import asyncio
import base64
import gzip
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx2
import pytest
from gateway import api, gate, outcomes, repeater, store, tenants
from gateway.repeater import Repeater
from gateway.settings import Settings
from prometheus_client import Histogram

from contracts.envelope import Envelope, dataschema, encode, to_headers
from contracts.outcome import Outcome, outcome_type
from servicekit import database
from servicekit.database import Pool
from servicekit.listener import Listener
from servicekit.message import Kept, Message, decode
from servicekit.metrics import METRICS
from tests.engines import Databases
from tests.plans import most_rows
from tests.submissions import NOW, event, owner, owner_updated, product, ref, withdrawal
from tests.waiting import lock_waiters, until, waits_for_lock

SINGLE, BATCH = "application/cloudevents+json", "application/cloudevents-batch+json"


@dataclass(slots=True)
class Gateway:
    """The application on its database, and the keys of two tenants."""

    pool: Pool  # application role
    http_pool: Pool
    client: httpx2.AsyncClient
    key: str
    other_key: str
    woken: list[bool]
    begun: bool = True

    async def post(self, body: Any, *, kind: str = BATCH, key: str | None = None, **options: Any) -> httpx2.Response:
        """Posts bytes, or a value as JSON."""
        content = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()
        headers = {"Content-Type": kind, "Authorization": f"Bearer {key or self.key}"} | options.pop("headers", {})
        return await self.client.post("/v1/events", content=content, headers=headers, **options)

    async def get(self, path: str, *, key: str | None = None) -> httpx2.Response:
        """Asks with a key."""
        return await self.client.get(path, headers={"Authorization": f"Bearer {key or self.key}"})

    async def count(self, table: str = "submission") -> int:
        """Rows of a table."""
        return int(await self.pool.fetchval(f"SELECT count(*) FROM {table}"))  # noqa: S608  # no input


@pytest.fixture
async def gateway(databases: Databases, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Gateway]:
    made = await databases.make("gateway")
    pool, http_pool = await database.open_pool(made.app), await database.open_pool(made.http)
    monkeypatch.setattr(gate, "KEY_CACHE_S", 0.05)
    monkeypatch.setattr(gate, "BOUND_CACHE_S", 0.0)
    settings = Settings(kafka_bootstrap="-", database_url=made.app, database_http_url=made.http)
    woken: list[bool] = []
    app = api.build(http_pool, settings, taken=lambda: woken.append(True), begun=lambda: made_gateway.begun)
    async with pool.acquire() as connection:
        key = await tenants.enrol(connection, "2025-68", "test")
        other = await tenants.enrol(connection, "2025-80", "test")
    transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://gateway") as client:
        made_gateway = Gateway(pool, http_pool, client, key, other, woken)
        yield made_gateway
    await pool.close()
    await http_pool.close()


def outcome_message(submission: dict[str, Any], number: int, state: str, **said: Any) -> Message:
    """An outcome of a submission, as the gateway answered it."""
    submission_id = said.pop("submission_id", UUID(submission["submission_id"]))
    type_ = outcome_type("registry", state)
    outcome = Outcome(
        submission_id=submission_id,
        source=submission["source"],
        event_id=submission["id"],
        type="vn.ocop.province.owner.registered.v1",
        subject=UUID(submission["subject_id"]),
        state=state,
        **said,
    )
    envelope = Envelope(
        id=f"{submission_id}/{number}",
        source="/services/registry",
        type=type_,
        subject=str(submission_id),
        time=NOW,
        dataschema=dataschema(type_),
        tenant="2025-68",
        correlationid=str(submission_id),
        causationid=str(submission_id),
        recordedtime=NOW,
        subjectsequence=number,
    )
    headers = tuple((name, value.encode()) for name, value in to_headers(envelope).items())
    return decode(Kept("ocop.registry.outcome", 0, number, headers, encode(outcome)))


async def hear(gateway: Gateway, *messages: Message) -> None:
    async with gateway.pool.acquire() as connection, connection.transaction():
        await Listener(outcomes.TOPICS, outcomes.hear).handle(connection, messages)


# -------------------------------------------------------------------- taking


async def test_a_batch_is_answered_event_by_event(gateway: Gateway) -> None:
    bad = owner("CT-2", id_="bad", kind="band")
    answer = await gateway.post([owner(id_="o"), bad, product(id_="p")])
    assert answer.status_code == 200
    results = answer.json()["results"]
    assert [(r["index"], r["id"], r["status"], r["state"]) for r in results] == [
        (0, "o", "accepted", "received"),
        (1, "bad", "refused", None),
        (2, "p", "accepted", "received"),
    ]
    (error,) = results[1]["errors"]
    assert (error["code"], error["pointer"]) == ("bad-value", "/data/kind")
    assert error["message_vi"]
    assert error["message_en"]
    assert error["help"]["vi"]
    assert results[0]["subject"] == "2025-68/CT-1"
    assert await gateway.count() == 2
    topics = await gateway.pool.fetch("SELECT topic, key, headers->>'ce_id' AS id FROM outbox ORDER BY id")
    assert [(row["topic"], row["id"]) for row in topics] == [
        ("ocop.submission.registry", "o"),
        ("ocop.submission.registry", "p"),
    ]
    assert gateway.woken


async def test_statuses_of_a_single_event(gateway: Gateway) -> None:
    async def status(value: Any, **options: Any) -> int:
        return (await gateway.post(value, kind=SINGLE, **options)).status_code

    assert await status(owner(id_="o")) == 202
    assert await status(owner(id_="o")) == 200
    assert await status(owner(id_="o", business_name="Hợp tác xã khác")) == 409
    assert await status(owner(id_="x", kind="band")) == 422
    assert await status(owner(id_="y") | {"source": "/provinces/2025-80/test"}) == 403
    assert await status(event("owner.registered", {"owner": ref("CT", "2004-80")}, id_="z")) == 403


async def test_the_exact_bytes_are_kept(gateway: Gateway) -> None:
    raw = json.dumps(owner(id_="o"), ensure_ascii=False, indent=3).encode()
    await gateway.post(b"[" + raw + b"]")
    assert await gateway.pool.fetchval("SELECT body FROM submission") == raw


async def test_the_same_content_in_other_letters_is_a_duplicate(gateway: Gateway) -> None:
    composed = owner(id_="o", business_name="Hợp tác xã Đắk Lắk")
    decomposed = owner(id_="o", business_name="Hợp tác xã Đắk Lắk")
    first = await gateway.post([composed])
    second = await gateway.post([decomposed])
    assert first.json()["results"][0]["status"] == "accepted"
    assert second.json()["results"][0]["status"] == "duplicate"
    assert await gateway.count() == 1


async def test_the_same_id_twice_in_one_batch(gateway: Gateway) -> None:
    answer = await gateway.post([owner(id_="o"), owner(id_="o"), owner(id_="o", kind="enterprise")])
    assert [r["status"] for r in answer.json()["results"]] == ["accepted", "duplicate", "conflict"]
    assert len({r["submission_id"] for r in answer.json()["results"]}) == 1
    assert await gateway.count("outbox") == 1


async def test_a_dry_run_takes_the_same_way_and_leaves_nothing(gateway: Gateway) -> None:
    events = [owner(id_="o"), owner(id_="bad", kind="band"), withdrawal("o", id_="w")]
    dry = (await gateway.post(events, params={"dry_run": "true"})).json()["results"]
    assert await gateway.count() == await gateway.count("outbox") == 0
    assert [r["submission_id"] for r in dry] == [None] * 3
    wet = (await gateway.post(events)).json()["results"]
    assert [r["status"] for r in dry] == [r["status"] for r in wet] == ["accepted", "refused", "accepted"]
    (again,) = (await gateway.post(events[:1], params={"dry_run": "true"})).json()["results"]
    assert (again["status"], again["submission_id"]) == ("duplicate", wet[0]["submission_id"])


async def test_a_withdrawal_goes_where_its_target_went(gateway: Gateway) -> None:
    await gateway.post([product(id_="p")])
    answers = (
        await gateway.post([withdrawal("p", id_="w"), withdrawal("no", id_="w2"), withdrawal("w", id_="w3")])
    ).json()["results"]
    assert [a["status"] for a in answers] == ["accepted", "refused", "accepted"]
    assert answers[1]["errors"][0]["code"] == "target-not-found"
    rows = await gateway.pool.fetch("SELECT topic, key FROM outbox ORDER BY id")
    assert len({(row["topic"], row["key"]) for row in rows}) == 1


async def test_two_requests_with_the_same_events_at_once(gateway: Gateway) -> None:
    events = [owner(f"CT-{n}", id_=f"o{n}") for n in range(100)]
    answers = await asyncio.gather(*(gateway.post(order) for order in (events, events[::-1], events)))
    statuses = [r["status"] for answer in answers for r in answer.json()["results"]]
    assert (statuses.count("accepted"), statuses.count("duplicate")) == (100, 200)
    assert await gateway.count("outbox") == 100


async def test_requests_with_the_same_events_in_other_orders_cannot_deadlock(gateway: Gateway) -> None:
    """Both are stopped in the middle by a third; unsorted, each would then hold what the other wants."""
    events = [owner(f"CT-{n}", id_=f"o{n}") for n in range(9)]
    async with gateway.pool.acquire() as third:
        transaction = third.transaction()
        await transaction.start()
        await third.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
        await third.execute(
            """INSERT INTO submission (id, tenant, source, event_id, namespace, type, subject, subject_ref, service,
                                       digest, body, headers, payload, received_at, repeat_at)
               VALUES (gen_random_uuid(), '2025-68', $1, 'o4', '', '', gen_random_uuid(), '', '', '', '', '{}', '',
                       now(), now())""",
            events[4]["source"],
        )
        answering = [asyncio.create_task(gateway.post(order)) for order in (events, events[::-1])]

        async def both_wait() -> bool:
            return await lock_waiters(gateway.http_pool) == 2

        await until(both_wait)
        await transaction.rollback()
    answers = await asyncio.gather(*answering)
    assert [answer.status_code for answer in answers] == [200, 200], "one was given up for the other"
    statuses = [r["status"] for answer in answers for r in answer.json()["results"]]
    assert (statuses.count("accepted"), statuses.count("duplicate")) == (9, 9)


async def test_before_it_has_begun_it_takes_nothing_and_says_of_nothing_that_it_is_not_there(gateway: Gateway) -> None:
    """Its database may have been set back: then it does not know what it has answered for."""
    gateway.begun = False
    receipt = uuid4()
    for answer in (
        await gateway.post([owner(id_="o")]),
        await gateway.post(owner(id_="o"), kind=SINGLE),
        await gateway.get(f"/v1/submissions/{receipt}"),
        await gateway.get("/v1/submissions"),
    ):
        assert (answer.status_code, answer.json()["code"]) == (503, "busy")
        assert answer.headers["Retry-After"].isdigit()
    assert await gateway.count() == 0
    gateway.begun = True
    assert (await gateway.post(owner(id_="o"), kind=SINGLE)).status_code == 202
    assert (await gateway.get(f"/v1/submissions/{receipt}")).status_code == 404


async def test_while_the_oldest_in_the_outbox_has_waited_too_long_nothing_is_taken(gateway: Gateway) -> None:
    await gateway.post([owner(id_="o")])
    await gateway.pool.execute("DELETE FROM outbox")
    await gateway.pool.execute(
        """INSERT INTO outbox (topic, key, headers, payload, created_at)
           VALUES ('t', '', '{}', '', clock_timestamp() - interval '1 hour')"""
    )
    answer = await gateway.post([owner("CT-2", id_="late")])
    assert answer.status_code == 503
    assert answer.json()["code"] == "busy"
    assert answer.headers["Retry-After"].isdigit()
    assert await gateway.count() == 1
    await gateway.pool.execute("DELETE FROM outbox")
    assert (await gateway.post([owner("CT-2", id_="late")])).status_code == 200


# -------------------------------------------------------------------- requests that cannot be read


REQUESTS: list[tuple[bytes, dict[str, str], int, str]] = [
    (b"[", {}, 400, "malformed-json"),
    (b"[]", {"Content-Type": "application/json"}, 415, "unsupported-media-type"),
    (b"[]", {"Content-Type": ""}, 415, "unsupported-media-type"),
    (b"[]", {"Content-Encoding": "br"}, 415, "unsupported-media-type"),
    (b"[]", {"Content-Encoding": "gzip"}, 400, "malformed-json"),
    (b"[]", {"Authorization": "Bearer ocop_nobody"}, 401, "unauthenticated"),
    (b"[]", {"Authorization": "Basic b2NvcDpvY29w"}, 401, "unauthenticated"),
    (b"[]", {"Authorization": ""}, 401, "unauthenticated"),
    (b" " * (4 * 1024 * 1024 + 1), {}, 413, "request-too-large"),
    (gzip.compress(b" " * (64 * 1024 * 1024)), {"Content-Encoding": "gzip"}, 413, "request-too-large"),
    (b"[" + b",".join([b"{}"] * 1001) + b"]", {}, 413, "too-many-events"),
]


@pytest.mark.parametrize(("body", "headers", "status", "code"), REQUESTS)
async def test_a_request_that_cannot_be_read(
    gateway: Gateway, body: bytes, headers: dict[str, str], status: int, code: str
) -> None:
    answer = await gateway.post(body, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert await gateway.count() == 0


async def test_a_packed_batch(gateway: Gateway) -> None:
    packed = gzip.compress(json.dumps([owner()]).encode())
    answer = await gateway.post(packed, headers={"Content-Encoding": "gzip"})
    assert answer.json()["results"][0]["status"] == "accepted"


async def test_a_single_event_has_its_own_limit(gateway: Gateway) -> None:
    answer = await gateway.post(owner(business_name="x" * 300_000), kind=SINGLE)
    assert (answer.status_code, answer.json()["code"]) == (413, "request-too-large")


# -------------------------------------------------------------------- asking


async def test_status_with_every_outcome(gateway: Gateway) -> None:
    (taken,) = (await gateway.post([product(id_="p")])).json()["results"]
    path = f"/v1/submissions/{taken['submission_id']}"
    assert (await gateway.get(path)).json()["state"] == "received"
    params = {"ref": "2025-68/CT-1"}
    waiting = outcome_message(taken, 1, "waiting", code="unknown-owner", pointer="/data/owner", params=params)
    event_id = UUID(int=5)
    await hear(gateway, waiting, outcome_message(taken, 2, "applied", event_ids=(event_id,)))
    found = (await gateway.get(path)).json()
    assert (await gateway.get("/v1/submissions?state=applied")).json() == {"submissions": [found], "next": None}
    assert found["state"] == "applied"
    assert [(o["number"], o["state"], o["code"]) for o in found["outcomes"]] == [
        (1, "waiting", "unknown-owner"),
        (2, "applied", None),
    ]
    assert "2025-68/CT-1" in found["outcomes"][0]["message_vi"]
    assert found["outcomes"][1]["event_ids"] == [str(event_id)]


@pytest.mark.parametrize(
    ("fed_at", "counted", "seconds"), [(None, 1, 3600), ("clock_timestamp()", 1, 0), ("'infinity'", 0, 0)]
)
async def test_how_long_it_took_is_counted_from_the_lane(
    gateway: Gateway, fed_at: str | None, counted: int, seconds: int
) -> None:
    """What was fed waited for its turn on purpose, and what was not fed has no time at all."""
    (taken,) = (await gateway.post([product(id_="p")])).json()["results"]
    await gateway.pool.execute(
        f"UPDATE submission SET received_at = clock_timestamp() - interval '1 hour', fed_at = {fed_at or 'NULL'}"  # noqa: S608  # from above
    )
    took = METRICS.to_an_end.labels("applied")
    before = _told(took)
    await hear(gateway, outcome_message(taken, 1, "applied"))
    count, total = (now - then for now, then in zip(_told(took), before, strict=True))
    assert count == counted
    assert seconds <= total < seconds + 60


def _told(took: Histogram) -> tuple[float, float]:
    samples = {sample.name: sample.value for metric in took.collect() for sample in metric.samples}
    return samples["ocop_submission_seconds_count"], samples["ocop_submission_seconds_sum"]


async def test_a_final_outcome_beats_one_that_is_not_whatever_their_numbers(gateway: Gateway) -> None:
    (taken,) = (await gateway.post([product(id_="p")])).json()["results"]
    await hear(gateway, outcome_message(taken, 1, "applied"))
    await hear(gateway, outcome_message(taken, 5, "waiting", code="behind-earlier"))
    assert await gateway.pool.fetchval("SELECT state FROM submission") == "applied"


async def test_among_those_not_final_the_higher_number_wins(gateway: Gateway) -> None:
    (taken,) = (await gateway.post([product(id_="p")])).json()["results"]
    await hear(gateway, outcome_message(taken, 2, "failed", code="handler-error"))
    await hear(gateway, outcome_message(taken, 1, "waiting", code="behind-earlier"))
    assert await gateway.pool.fetchval("SELECT state FROM submission") == "failed"


async def test_an_outcome_of_a_submission_not_known_is_kept(gateway: Gateway) -> None:
    """As after a restore: the outcome is heard first, the province sends again later."""
    (taken,) = (await gateway.post([product(id_="p")], params={"dry_run": "true"})).json()["results"]
    await hear(gateway, outcome_message(taken | {"submission_id": str(uuid4())}, 1, "applied"))
    (again,) = (await gateway.post([product(id_="p")])).json()["results"]
    assert (again["status"], again["state"]) == ("accepted", "applied")


async def test_a_reason_of_a_newer_version_keeps_nobody_from_reading(gateway: Gateway) -> None:
    """Who decides may be a release ahead, and its release be taken back: what it said stays."""
    (taken,) = (await gateway.post([product(id_="p")])).json()["results"]
    await hear(gateway, outcome_message(taken, 1, "rejected", code="of-tomorrow"))
    for path in (f"/v1/submissions/{taken['submission_id']}", "/v1/submissions"):
        answer = await gateway.get(path)
        assert answer.status_code == 200
        found = answer.json()
        (outcome,) = (found["submissions"][0] if "submissions" in found else found)["outcomes"]
        assert outcome["code"] == "of-tomorrow" and "message_vi" not in outcome


async def test_a_conflict_of_another_copy_is_not_this_submissions_end(gateway: Gateway) -> None:
    (taken,) = (await gateway.post([product(id_="p")])).json()["results"]
    await hear(gateway, outcome_message(taken, 1, "rejected", code="conflict", submission_id=UUID(int=9)))
    assert await gateway.pool.fetchval("SELECT state FROM submission") == "received"


@pytest.mark.parametrize("numbers", [(1, 2), (2, 1)])
async def test_a_conflict_of_a_spoilt_copy_does_not_undo_the_end(gateway: Gateway, numbers: tuple[int, int]) -> None:
    (taken,) = (await gateway.post([product(id_="p")])).json()["results"]
    await hear(gateway, outcome_message(taken, numbers[0], "applied"))
    await hear(gateway, outcome_message(taken, numbers[1], "rejected", code="conflict"))
    assert await gateway.pool.fetchval("SELECT state FROM submission") == "applied"


async def test_wait_returns_as_soon_as_the_end_is_known(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    (taken,) = (await gateway.post([product(id_="p")])).json()["results"]
    looked, look = asyncio.Event(), store.submission

    async def told(*arguments: Any) -> Any:
        found = await look(*arguments)
        looked.set()
        return found

    monkeypatch.setattr(store, "submission", told)
    asking = asyncio.create_task(gateway.get(f"/v1/submissions/{taken['submission_id']}?wait=20"))
    async with asyncio.timeout(10):
        await looked.wait()
    await hear(gateway, outcome_message(taken, 1, "rejected", code="already-registered"))
    async with asyncio.timeout(5):
        assert (await asking).json()["state"] == "rejected"


async def test_pages_of_submissions(gateway: Gateway) -> None:
    for start in range(0, 25, 5):
        await gateway.post([owner(f"CT-{n}", id_=f"o{n}") for n in range(start, start + 5)])
    seen, after = [], ""
    while True:
        page = (await gateway.get(f"/v1/submissions?limit=7&state=received{after}")).json()
        seen += [row["id"] for row in page["submissions"]]
        if page["next"] is None:
            break
        after = f"&after={page['next']}"
    assert sorted(seen) == sorted(f"o{n}" for n in range(25))
    assert (await gateway.get("/v1/submissions?state=applied")).json()["submissions"] == []


def cursor(moment: str, submission: UUID) -> str:
    """A cursor that says this."""
    return base64.urlsafe_b64encode(f"{moment}|{submission}".encode()).decode()


@pytest.mark.parametrize(
    ("asked", "code", "said"),
    [
        ("?since=0001-01-01T00:00:00%2B14:00", "bad-time", "giây và múi giờ"),
        ("?since=9999-12-31T23:59:59-14:00", "bad-time", "giây và múi giờ"),
        ("?since=2026-01-01T00:00:00", "bad-time", "giây và múi giờ"),
        ("?since=x", "bad-time", "giây và múi giờ"),
        (f"?after={cursor('0001-01-01T00:00:00+14:00', UUID(int=1))}", "bad-cursor", "vị trí trang (next)"),
        (f"?after={cursor('2026-01-01T00:00:00', UUID(int=1))}", "bad-cursor", "vị trí trang (next)"),
        ("?after=nonsense", "bad-cursor", "vị trí trang (next)"),
        ("?after=%00", "bad-cursor", "vị trí trang (next)"),
        ("?after=" + "x" * 201, "bad-cursor", "vị trí trang (next)"),
        ("?state=band", "bad-value", ": received, waiting, applied, rejected, withdrawn, failed."),
        ("?limit=0", "bad-value", ": 1-500."),
        ("?limit=x", "bad-value", ": 1-500."),
        (f"/{UUID(int=1)}?wait=31", "bad-value", ": 0-30."),
        (f"/{UUID(int=1)}?wait=nan", "bad-value", ": 0-30."),
        ("/SP-1", "wrong-type", "mã định danh (UUID)"),
    ],
)
async def test_bad_questions(gateway: Gateway, asked: str, code: str, said: str) -> None:
    answer = await gateway.get(f"/v1/submissions{asked}")
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    found = answer.json()
    assert found["code"] == code
    assert said in found["message_vi"]


async def test_each_parameter_has_words_for_what_cannot_be_read(gateway: Gateway) -> None:
    answer = await gateway.client.post("/v1/events?dry_run=perhaps")
    assert answer.json()["errors"][0]["message_en"] == "The value is not one of the list: true, false."
    described = (await gateway.client.get("/openapi.json")).json()["paths"].values()
    names = {each["name"] for path in described for route in path.values() for each in route.get("parameters", ())}
    assert names == api._WRONGLY_ASKED.keys()


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/v2", 404), ("PUT", "/v1/events", 405)])
async def test_nothing_there(gateway: Gateway, method: str, path: str, status: int) -> None:
    answer = await gateway.client.request(method, path)
    assert (answer.status_code, answer.json()["code"]) == (status, "no-such-thing")


async def test_an_answer_is_bounded(gateway: Gateway) -> None:
    bad = owner()
    bad["data"] |= {f"unknown-{n}": n for n in range(500)}
    (refused,) = (await gateway.post([bad])).json()["results"]
    assert len(refused["errors"]) == 20


# -------------------------------------------------------------------- whose it is


async def test_another_tenant_sees_nothing(gateway: Gateway) -> None:
    (taken,) = (await gateway.post([owner()])).json()["results"]
    path = f"/v1/submissions/{taken['submission_id']}"
    assert (await gateway.get(path)).status_code == 200
    foreign = await gateway.get(path, key=gateway.other_key)
    assert (foreign.status_code, foreign.json()["code"]) == (404, "not-found")
    assert (await gateway.get("/v1/submissions", key=gateway.other_key)).json()["submissions"] == []
    answer = await gateway.post([withdrawal(taken["id"])], key=gateway.other_key)
    assert answer.json()["results"][0]["errors"][0]["code"] == "forbidden"


async def test_the_second_wall_stands_whatever_a_query_forgets(gateway: Gateway) -> None:
    await gateway.post([owner()])
    async with gateway.http_pool.acquire() as connection:
        assert await connection.fetchval("SELECT count(*) FROM submission") == 0, "no tenant, no rows"
        async with connection.transaction():
            await connection.execute("SELECT set_config('app.tenant', '2025-80', true)")
            assert await connection.fetchval("SELECT count(*) FROM submission") == 0
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute("UPDATE submission SET state = 'applied'")
        for table in ("api_key", "tenant", "outbox", "held"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.fetch(f"SELECT * FROM {table}")  # noqa: S608  # no input
        forced = await connection.fetch(
            "SELECT relname FROM pg_class WHERE relname IN ('submission', 'outcome') AND relforcerowsecurity"
        )
        assert len(forced) == 2


async def test_rotation_and_suspension_take_effect(gateway: Gateway) -> None:
    async def until(status: int, key: str) -> None:
        async with asyncio.timeout(5):
            while (await gateway.post([], key=key)).status_code != status:
                await asyncio.sleep(0.01)

    async with gateway.pool.acquire() as connection:
        assert (await gateway.post([])).status_code == 200
        new = await tenants.rotate(connection, "2025-68", "test")
        await until(401, gateway.key)
        await until(200, new)
        await tenants.suspend(connection, "2025-68")
        await until(401, new)
        await tenants.suspend(connection, "2025-68", suspended=False)
        await until(200, new)


async def test_keys_are_kept_as_hashes_and_limited_to_namespaces(gateway: Gateway) -> None:
    async with gateway.pool.acquire() as connection:
        rows = await connection.fetch("SELECT * FROM api_key")
        assert all(gateway.key not in str(dict(row)) for row in rows)
        with pytest.raises(tenants.TenantError):
            await tenants.enrol(connection, "2025-68", "test")
        with pytest.raises(tenants.TenantError):
            await tenants.enrol(connection, "2025-68", "narrow", ["2004-80"])
        with pytest.raises(tenants.TenantError):
            await tenants.enrol(connection, "2025-02", "test")
        key = await tenants.enrol(connection, "2025-68", "narrow", ["2004-67"])
    value = event("owner.registered", {"owner": ref("CT-1", "2025-68")}, id_="o")
    value["source"] = "/provinces/2025-68/narrow"
    answer = await gateway.post([value], key=key)
    assert answer.json()["results"][0]["errors"][0]["code"] == "forbidden"
    value["data"]["owner"]["namespace"] = "2004-67"
    assert (await gateway.post([value], key=key)).json()["results"][0]["status"] == "accepted"


async def test_of_two_who_enrol_a_system_at_once_one_gets_a_key(gateway: Gateway) -> None:
    async def enrol() -> str:
        async with gateway.pool.acquire() as connection, connection.transaction():
            return await tenants.enrol(connection, "2025-80", "twice")

    async with gateway.pool.acquire() as first, first.transaction():
        await tenants.enrol(first, "2025-80", "twice")
        second = asyncio.create_task(enrol())

        async def has_met_the_first() -> bool:
            return second.done() or await waits_for_lock(gateway.pool)

        await until(has_met_the_first)
    with pytest.raises(tenants.TenantError):
        await second


# -------------------------------------------------------------------- sending again


async def test_what_has_no_end_is_sent_again_less_and_less_often(gateway: Gateway) -> None:
    answers = (await gateway.post([owner(id_="o"), owner_updated(id_="u")])).json()["results"]
    await hear(gateway, outcome_message(answers[0], 1, "applied"))
    await gateway.pool.execute("DELETE FROM outbox")
    repeater = Repeater(gateway.pool, 600)
    assert await repeater.once() == 0
    await gateway.pool.execute("UPDATE submission SET repeat_at = received_at")
    assert await repeater.once() == 1, "o has its end"
    rows = await gateway.pool.fetch("SELECT headers->>'ce_id' AS id, topic FROM outbox")
    assert [(row["id"], row["topic"]) for row in rows] == [("u", "ocop.submission.registry")]
    in_20_minutes = "repeat_at - clock_timestamp() BETWEEN interval '19 min' AND interval '20 min'"
    assert await gateway.pool.fetchval(f"SELECT {in_20_minutes} FROM submission WHERE event_id = 'u'")  # noqa: S608  # no input
    assert await repeater.once() == 0


async def test_what_is_due_is_found_without_looking_at_what_is_not(gateway: Gateway) -> None:
    """Neither at what has still time, nor at what is in the backfill lane."""
    await gateway.post([owner(id_="o")])
    await gateway.pool.execute(
        """INSERT INTO submission (id, tenant, source, event_id, namespace, type, subject, subject_ref, service, digest,
                                   body, headers, payload, received_at, repeat_at, fed_at)
           SELECT gen_random_uuid(), tenant, source, 'o' || n, namespace, type, subject, subject_ref, service, digest,
                  body, headers, payload, received_at, CASE WHEN n % 2 = 0 THEN 'infinity' ELSE repeat_at END,
                  CASE WHEN n % 2 = 0 THEN timestamptz 'infinity' END
           FROM submission, generate_series(1, 4000) n"""
    )
    await gateway.pool.execute("UPDATE submission SET repeat_at = received_at WHERE event_id IN ('o', 'o1')")
    async with gateway.pool.acquire() as connection, connection.transaction():
        assert await most_rows(connection, store.DUE_AGAIN, 600.0, 500) <= 2


@pytest.mark.parametrize("state", ["waiting", "failed"])
async def test_what_waits_or_failed_is_sent_again(gateway: Gateway, state: str) -> None:
    answers = (await gateway.post([owner(id_="o")])).json()["results"]
    await hear(gateway, outcome_message(answers[0], 1, state))
    await gateway.pool.execute("DELETE FROM outbox")
    await gateway.pool.execute("UPDATE submission SET repeat_at = received_at")
    assert await Repeater(gateway.pool, 600).once() == 1


async def test_two_that_are_told_of_at_once_see_each_other(gateway: Gateway) -> None:
    """Outcomes of two copies of an id lie on two partitions."""
    (taken,) = (await gateway.post([owner(id_="o")])).json()["results"]
    end, other = outcome_message(taken, 1, "applied"), outcome_message(taken, 1, "waiting", submission_id=uuid4())
    async with gateway.pool.acquire() as first:
        transaction = first.transaction()
        await transaction.start()
        await outcomes.hear(first, [end])
        second = asyncio.create_task(hear(gateway, other))
        await until(lambda: waits_for_lock(gateway.pool))
        await transaction.commit()
    await second
    assert await gateway.pool.fetchval("SELECT state FROM submission") == "applied"


async def test_what_has_waited_for_ever_is_still_sent_again(gateway: Gateway) -> None:
    """Nothing waits out, so the back-off must bear any number of repeats."""
    await gateway.post([owner(id_="o")])
    await gateway.pool.execute("UPDATE submission SET repeated = 5000, repeat_at = received_at")
    await gateway.pool.execute("DELETE FROM outbox")
    assert await Repeater(gateway.pool, 600).once() == 1
    assert await gateway.pool.fetchval("SELECT repeat_at < clock_timestamp() + interval '25 hours' FROM submission")


async def test_nothing_is_sent_again_while_much_waits_to_be_sent(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repeater, "MOST_WAITING", 1)
    await gateway.post([owner(id_="o")])
    await gateway.pool.execute("UPDATE submission SET repeat_at = received_at")
    assert await Repeater(gateway.pool, 600).once() == 0
    assert await gateway.count("outbox") == 1
    await gateway.pool.execute("DELETE FROM outbox")
    assert await Repeater(gateway.pool, 600).once() == 1


async def test_what_a_clock_that_ran_away_has_put_off_is_sent_again(gateway: Gateway) -> None:
    await gateway.post([owner("CT-1", id_="astray"), owner("CT-2", id_="in a day")])
    await gateway.pool.execute("DELETE FROM outbox")
    await gateway.pool.execute(
        """UPDATE submission
           SET repeat_at = clock_timestamp() + CASE event_id WHEN 'astray' THEN interval '3 d' ELSE '1 d' END"""
    )
    assert await Repeater(gateway.pool, 600).once() == 1
    assert await gateway.pool.fetchval("SELECT headers->>'ce_id' FROM outbox") == "astray"
    assert await Repeater(gateway.pool, 600).once() == 0, "it has its place again"


async def test_a_fault_of_ours_says_so_and_asks_to_send_again(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: Any, **__: Any) -> None:
        raise KeyError("a bug")

    monkeypatch.setattr("gateway.intake.take", broken)
    answer = await gateway.post([owner()])
    assert (answer.status_code, answer.json()["code"]) == (500, "server-error")
    assert "a bug" not in answer.text, "what went wrong inside stays inside"


async def test_docs_need_nothing_from_outside(gateway: Gateway) -> None:
    page = (await gateway.client.get("/docs")).text
    assert "https://" not in page
    assert (await gateway.client.get("/docs/static/swagger-ui-bundle.js")).status_code == 200
    described = (await gateway.client.get("/openapi.json")).json()
    assert set(described["paths"]) == {"/v1/events", "/v1/submissions/{submission_id}", "/v1/submissions"}
