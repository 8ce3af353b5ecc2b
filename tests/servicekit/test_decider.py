"""What a deciding service does with arrivals: order, holding, waking, repeats. On PostgreSQL, without Kafka."""

import asyncio
import json
from collections.abc import AsyncIterator
from uuid import UUID, uuid4

import asyncpg
import pytest
from registry.__main__ import DECIDERS

from servicekit import batch, database
from servicekit.batch import Batch
from servicekit.database import Connection, Pool
from servicekit.decider import DRAIN_DEPTH, Deciders
from servicekit.message import Message
from servicekit.retry import retry
from servicekit.skip import SkipError, skip
from servicekit.trouble import Which
from tests.engines import Databases
from tests.submissions import Province, owner, owner_updated, product, product_updated, withdrawal
from tests.waiting import until, waits_for_lock


@pytest.fixture
async def pool(databases: Databases) -> AsyncIterator[Pool]:
    made = await databases.make("registry")
    pool = await database.open_pool(made.app)
    yield pool
    await pool.close()


@pytest.fixture
def province() -> Province:
    return Province()


@pytest.fixture
def registry() -> Deciders:
    return Deciders("registry", DECIDERS)


async def handle(pool: Pool, deciders: Deciders, *messages: Message) -> None:
    async with pool.acquire() as connection, connection.transaction():
        await deciders.handle(connection, messages)


async def drain(pool: Pool, deciders: Deciders) -> int:
    async with pool.acquire() as connection, connection.transaction():
        keys = await deciders.ready(connection, 500)
        await deciders.drain(connection, keys)
        return len(keys)


async def sweep(pool: Pool, deciders: Deciders) -> int:
    async with pool.acquire() as connection:
        return await deciders.sweep(connection)


async def said(pool: Pool) -> list[tuple[str, str, str | None]]:
    """Outcomes so far, in order: (event id, state, code)."""
    rows = await pool.fetch("SELECT payload FROM outbox WHERE topic = 'ocop.registry.outcome' ORDER BY id")
    outcomes = [json.loads(row["payload"]) for row in rows]
    return [(outcome["event_id"], outcome["state"], outcome.get("code")) for outcome in outcomes]


async def log(pool: Pool) -> list[tuple[str, int]]:
    rows = await pool.fetch("SELECT type, sequence FROM event ORDER BY recorded_at, aggregate, sequence")
    return [(row["type"].removeprefix("vn.ocop.registry."), row["sequence"]) for row in rows]


async def test_applied_once_however_often_it_comes(pool: Pool, province: Province, registry: Deciders) -> None:
    sent = province.send(owner(id_="o"))
    await handle(pool, registry, sent.message(), sent.message())
    await handle(pool, registry, sent.message())
    assert await log(pool) == [("owner.registered.v1", 1)]
    assert await said(pool) == [("o", "applied", None)] * 3


async def test_a_repeat_is_answered_to_the_submission_id_that_asks(
    pool: Pool, province: Province, registry: Deciders
) -> None:
    value = owner(id_="o")
    first, again = uuid4(), uuid4()
    await handle(pool, registry, province.send(value, submission_id=first).message())
    await handle(pool, registry, province.send(value, submission_id=again).message())
    rows = await pool.fetch("SELECT key, payload FROM outbox WHERE topic = 'ocop.registry.outcome' ORDER BY id")
    assert [UUID(row["key"]) for row in rows] == [first, again]
    assert [UUID(json.loads(row["payload"])["submission_id"]) for row in rows] == [first, again]


async def test_what_becomes_of_a_submission_is_told_to_its_sources_tenant_alone(
    pool: Pool, province: Province, registry: Deciders
) -> None:
    """Bytes on the topic that name another one are put aside, and nobody hears of it."""
    await handle(pool, registry, province.message(owner(id_="o")))
    for id_ in ("o", "other"):
        await handle(pool, registry, province.send(owner("CT-2", id_=id_)).message(ce_tenant="2025-80"))
    assert await said(pool) == [("o", "applied", None)]
    kept = await pool.fetch("SELECT event_id, reason FROM held")
    assert [tuple(row) for row in kept] == [("other", "failed")]


async def test_same_id_with_other_content_is_refused_and_the_first_stands(
    pool: Pool, province: Province, registry: Deciders
) -> None:
    await handle(pool, registry, province.message(owner(id_="o")))
    await handle(pool, registry, province.message(owner(id_="o", business_name="Hợp tác xã khác")))
    assert await said(pool) == [("o", "applied", None), ("o", "rejected", "conflict")]
    assert await pool.fetchval("SELECT state FROM inbox") == "applied"
    assert await log(pool) == [("owner.registered.v1", 1)]


async def test_a_product_waits_for_its_owner_and_is_woken(pool: Pool, province: Province, registry: Deciders) -> None:
    await handle(pool, registry, province.message(product(id_="p")))
    assert await said(pool) == [("p", "waiting", "unknown-owner")]
    await handle(pool, registry, province.message(owner(id_="o")))
    assert await drain(pool, registry) == 1
    assert (await said(pool))[1:] == [("o", "applied", None), ("p", "applied", None)]
    assert await pool.fetchval("SELECT count(*) FROM held") == 0


async def test_in_one_poll_nothing_waits_for_its_neighbour(pool: Pool, province: Province, registry: Deciders) -> None:
    await handle(pool, registry, province.message(product(id_="p")), province.message(owner(id_="o")))
    assert await said(pool) == [("o", "applied", None), ("p", "applied", None)]


async def test_what_stands_behind_a_waiting_one_keeps_its_order(
    pool: Pool, province: Province, registry: Deciders
) -> None:
    await handle(
        pool,
        registry,
        province.message(product(id_="p1")),
        province.message(product_updated(id_="p2", on="2025-10-01")),
        province.message(product_updated(id_="p3", on="2025-11-01")),
        province.message(product("SP-2", of="CT-2", id_="other")),
    )
    assert await said(pool) == [
        ("p1", "waiting", "unknown-owner"),
        ("p2", "waiting", "behind-earlier"),
        ("p3", "waiting", "behind-earlier"),
        ("other", "waiting", "unknown-owner"),
    ]
    await handle(pool, registry, province.message(owner(id_="o")))
    await drain(pool, registry)
    assert (await said(pool))[4:] == [(id_, "applied", None) for id_ in ("o", "p1", "p2", "p3")]
    state = json.loads(await pool.fetchval("SELECT data::text FROM product"))
    assert [document.get("from") for document in state["documents"]] == [None, "2025-10-01", "2025-11-01"]


async def test_a_poll_drains_the_ready_head_of_its_own_subject_first(
    pool: Pool, province: Province, registry: Deciders
) -> None:
    await handle(pool, registry, province.message(product(id_="p1")))
    await handle(pool, registry, province.message(owner(id_="o")))  # marks p1 ready, drains nothing
    await handle(pool, registry, province.message(product_updated(id_="p2")))
    assert (await said(pool))[1:] == [("o", "applied", None), ("p1", "applied", None), ("p2", "applied", None)]


async def test_lost_wake_up_is_found_by_the_sweep(pool: Pool, province: Province, registry: Deciders) -> None:
    """Neither transaction sees the other's row: the one that waits, and the one that makes known."""
    async with pool.acquire() as waits, pool.acquire() as makes:
        waiting, making = waits.transaction(), makes.transaction()
        await waiting.start()
        await making.start()
        await registry.handle(waits, [province.message(product(id_="p"))])
        await registry.handle(makes, [province.message(owner(id_="o"))])
        await making.commit()
        await waiting.commit()
    assert await drain(pool, registry) == 0, "the wake-up was not lost, so this test shows nothing"
    assert await sweep(pool, registry) == 1
    await drain(pool, registry)
    assert (await said(pool))[-1] == ("p", "applied", None)


async def test_held_is_read_after_the_lock(pool: Pool, province: Province, registry: Deciders) -> None:
    """A second replica that waits for the subject must see what the first one put aside meanwhile."""
    async with pool.acquire() as first:
        transaction = first.transaction()
        await transaction.start()
        await registry.handle(first, [province.message(product(id_="p1"))])
        second = asyncio.create_task(handle(pool, registry, province.message(product_updated(id_="p2"))))
        await until(lambda: waits_for_lock(pool))
        await transaction.commit()
    await second
    assert await said(pool) == [("p1", "waiting", "unknown-owner"), ("p2", "waiting", "behind-earlier")]


async def test_withdrawal_of_the_head_lets_the_next_one_go(pool: Pool, province: Province, registry: Deciders) -> None:
    await handle(
        pool, registry, province.message(product(id_="p1")), province.message(product("SP-1", of="CT-2", id_="p2"))
    )
    await handle(pool, registry, province.message(owner("CT-2", id_="o2")))
    assert await drain(pool, registry) == 0
    await handle(pool, registry, province.message(withdrawal("p1", id_="w")))
    await drain(pool, registry)
    assert (await said(pool))[-3:] == [("p1", "withdrawn", None), ("w", "applied", None), ("p2", "applied", None)]
    assert await pool.fetchval("SELECT count(*) FROM held") == 0


async def test_withdrawal_in_the_same_poll_as_its_target(pool: Pool, province: Province, registry: Deciders) -> None:
    await handle(pool, registry, province.message(product(id_="p")), province.message(withdrawal("p", id_="w")))
    assert await said(pool) == [
        ("p", "waiting", "unknown-owner"),
        ("p", "withdrawn", None),
        ("w", "applied", None),
    ]
    assert await pool.fetchval("SELECT count(*) FROM held") == 0


async def test_what_was_taken_back_already_is_as_its_sender_wants_it(
    pool: Pool, province: Province, registry: Deciders
) -> None:
    """The first word may be one whose outcome was lost with a database that was set back: so each is answered alike."""
    await handle(pool, registry, province.message(product(id_="p")), province.message(withdrawal("p", id_="w1")))
    await handle(pool, registry, province.message(withdrawal("p", id_="w2")))
    assert (await said(pool))[1:] == [("p", "withdrawn", None), ("w1", "applied", None), ("w2", "applied", None)]


async def test_what_was_decided_cannot_be_withdrawn(pool: Pool, province: Province, registry: Deciders) -> None:
    await handle(pool, registry, province.message(owner(id_="o")))
    await handle(pool, registry, province.message(withdrawal("o", id_="w")))
    assert await said(pool) == [("o", "applied", None), ("w", "rejected", "not-held")]
    assert await log(pool) == [("owner.registered.v1", 1)]


async def test_undecodable_bytes_are_held_and_their_sender_told(
    pool: Pool, province: Province, registry: Deciders
) -> None:
    sent = province.send(owner(id_="o"))
    await handle(pool, registry, sent.message(payload=b"\xff{"), province.message(owner("CT-2", id_="neighbour")))
    assert await said(pool) == [("o", "failed", "undecodable"), ("neighbour", "applied", None)]
    assert await pool.fetchval("SELECT state FROM inbox WHERE event_id = 'o'") == "failed"
    assert await pool.fetchval("SELECT payload FROM held") == b"\xff{"


async def test_a_good_copy_takes_the_place_of_one_that_did_not_decode(
    pool: Pool, province: Province, registry: Deciders
) -> None:
    bad = province.send(owner(id_="o1"))
    await handle(pool, registry, bad.message(payload=b"{"), province.message(owner_updated(id_="o2")))
    await handle(pool, registry, bad.message())
    await drain(pool, registry)
    assert [entry for entry in await said(pool) if entry[1] == "applied"] == [
        ("o1", "applied", None),
        ("o2", "applied", None),
    ]
    assert await log(pool) == [("owner.registered.v1", 1), ("owner.updated.v1", 2)]


async def test_bytes_that_name_nothing_are_kept_once_and_stand_in_nobodys_way(
    pool: Pool, province: Province, registry: Deciders
) -> None:
    sent = province.send(owner(id_="o"))
    nameless = {"ce_id": "", "ce_source": ""}
    await handle(pool, registry, sent.message(payload=b"?", **nameless))
    await handle(pool, registry, sent.message(payload=b"?", **nameless), sent.message())
    assert await said(pool) == [("o", "applied", None)]
    assert await pool.fetchval("SELECT count(*) FROM held WHERE queue IS NULL") == 1


async def test_a_failed_one_holds_back_its_own_subject_only(pool: Pool, province: Province, registry: Deciders) -> None:
    bad = province.send(owner(id_="o1")).message()
    async with pool.acquire() as connection, connection.transaction():
        await registry.fail(connection, bad, {"class": "KeyError", "text": "a bug"})
    await handle(pool, registry, province.message(owner_updated(id_="o2")), province.message(owner("CT-2", id_="o3")))
    assert await said(pool) == [
        ("o1", "failed", "handler-error"),
        ("o2", "waiting", "behind-earlier"),
        ("o3", "applied", None),
    ]
    await pool.execute("UPDATE held SET ready = true WHERE event_id = 'o1'")  # as `ocop dlq retry` does
    await drain(pool, registry)
    assert (await said(pool))[3:] == [("o1", "applied", None), ("o2", "applied", None)]


async def test_recorded_times_never_step_back(pool: Pool, registry: Deciders) -> None:
    late, early = Province(), Province(received_at=Province().received_at.replace(year=2025, month=12))
    late_owner = owner(id_="o1")
    await handle(pool, registry, late.message(late_owner))
    value = owner_updated(id_="o2", on="2025-09-01") | {"time": "2025-10-05T00:00:00+07:00"}
    await handle(pool, registry, early.message(value))
    rows = await pool.fetch("SELECT recorded_at FROM event ORDER BY sequence")
    assert rows[1]["recorded_at"] > rows[0]["recorded_at"]
    assert rows[0]["recorded_at"] == late.received_at


async def test_ten_thousand_wait_for_one_owner(pool: Pool, province: Province, registry: Deciders) -> None:
    for start in range(0, 10_000, 500):
        await handle(
            pool, registry, *(province.message(product(f"SP-{n}", id_=f"p{n}")) for n in range(start, start + 500))
        )
    await handle(pool, registry, province.message(owner(id_="o")))
    rounds = [0, 0]
    while (drained := await drain(pool, registry)) or await sweep(pool, registry):
        rounds[not drained] += 1
    assert rounds == [20, 1], "at most 500 at a time, and 5,000 woken at once"
    assert await pool.fetchval("SELECT count(*) FROM product") == 10_000
    assert await pool.fetchval("SELECT count(*) FROM held") == 0


async def test_a_long_queue_is_drained_in_parts(pool: Pool, province: Province, registry: Deciders) -> None:
    updates = [product_updated(id_=f"u{n:04}", on="2025-09-01") for n in range(1200)]
    await handle(pool, registry, province.message(product(id_="p")))
    for start in range(0, len(updates), 400):
        await handle(pool, registry, *(province.message(update) for update in updates[start : start + 400]))
    await handle(pool, registry, province.message(owner(id_="o")))
    rounds = 0
    while await drain(pool, registry):
        rounds += 1
    assert rounds == 3
    applied = [id_ for id_, state, _ in await said(pool) if state == "applied"]
    assert applied == ["o", "p", *(update["id"] for update in updates)]


async def test_what_says_too_much_for_one_transaction_is_refused_as_a_whole(
    pool: Pool, province: Province, registry: Deciders, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its records are then taken one by one, and each has room."""
    monkeypatch.setattr(batch, "MOST_SAID", 1000)
    owners = [province.message(owner(f"CT-{n}")) for n in range(4)]
    with pytest.raises(batch.TooMuchError):
        await handle(pool, registry, *owners)
    for each in owners:
        await handle(pool, registry, each)
    assert [state for _, state, _ in await said(pool)] == ["applied"] * 4


async def test_held_rows_that_say_much_are_drained_some_at_a_time(
    pool: Pool, province: Province, registry: Deciders, monkeypatch: pytest.MonkeyPatch
) -> None:
    updates = [product_updated("SP-1", of="CT-1", on=f"2025-09-0{day}", id_=str(day)) for day in range(1, 6)]
    await handle(pool, registry, *map(province.message, [product("SP-1", of="CT-1", id_="0"), *updates]))
    await handle(pool, registry, province.message(owner("CT-1", id_="owner")))
    monkeypatch.setattr(batch, "MOST_SAID", 4000)
    rounds = 0
    while await drain(pool, registry):
        rounds += 1
    assert rounds > 1
    applied = [event_id for event_id, state, _ in await said(pool) if state == "applied"]
    assert applied == ["owner", "0", "1", "2", "3", "4", "5"]


async def test_two_replicas_drain_beside_each_other(pool: Pool, province: Province, registry: Deciders) -> None:
    await handle(pool, registry, *(province.message(product(f"SP-{n}", id_=f"p{n}")) for n in range(200)))
    await handle(pool, registry, province.message(owner(id_="o")))
    async with pool.acquire() as first, first.transaction():
        locked = await registry.ready(first, 100)
        assert len(locked) == 100
        assert await drain(pool, registry) == 100, "rows that another holds are skipped, not waited for"
        await registry.drain(first, locked)
    assert await pool.fetchval("SELECT count(*) FROM product") == 200


async def test_the_same_id_under_two_subjects_at_once_is_decided_once(
    pool: Pool, province: Province, registry: Deciders
) -> None:
    async with pool.acquire() as first:
        transaction = first.transaction()
        await transaction.start()
        await registry.handle(first, [province.message(owner("CT-1", id_="same"))])
        second = asyncio.create_task(handle(pool, registry, province.message(owner("CT-2", id_="same"))))
        await until(lambda: waits_for_lock(pool))
        await transaction.commit()
    with pytest.raises(asyncpg.UniqueViolationError):
        await second
    assert await pool.fetchval("SELECT count(*) FROM owner") == 1


async def test_a_good_copy_in_the_same_poll_takes_the_place_too(
    pool: Pool, province: Province, registry: Deciders
) -> None:
    sent = province.send(owner(id_="o"))
    await handle(pool, registry, sent.message(payload=b"{"), sent.message())
    await drain(pool, registry)
    assert await log(pool) == [("owner.registered.v1", 1)]
    assert await pool.fetchval("SELECT count(*) FROM held") == 0


async def test_a_good_copy_does_not_take_a_place_in_anothers_queue(
    pool: Pool, province: Province, registry: Deciders
) -> None:
    """The bad copy's subject was spoilt as well, into one that exists."""
    sent, other = province.send(owner(id_="o")), province.send(owner("CT-2", id_="o2"))
    await handle(pool, registry, sent.message(payload=b"{", ce_subject=str(other.subject)))
    await handle(pool, registry, sent.message())
    await drain(pool, registry)
    assert [row["subject"] for row in await pool.fetch("SELECT subject FROM event")] == [sent.subject]
    assert await pool.fetchval("SELECT count(*) FROM held") == 0


async def test_nameless_twins_in_one_poll_are_kept_once(pool: Pool, province: Province, registry: Deciders) -> None:
    sent = province.send(owner(id_="o"))
    nameless = sent.message(payload=b"?", ce_id="", ce_source="")
    await handle(pool, registry, nameless, sent.message(payload=b"?", ce_id="", ce_source=""))
    assert await pool.fetchval("SELECT count(*) FROM held") == 1


async def test_a_withdrawal_that_failed_is_tried_again(pool: Pool, province: Province, registry: Deciders) -> None:
    await handle(pool, registry, province.message(product(id_="p")))
    failed = province.message(withdrawal("p", id_="w"))
    async with pool.acquire() as connection, connection.transaction():
        await registry.fail(connection, failed, {"class": "RuntimeError", "text": "a bug", "attempts": 5})
    assert (await said(pool))[-1] == ("w", "failed", "handler-error")
    async with pool.acquire() as connection:
        assert len(await retry(connection, Which(class_="RuntimeError"))) == 1
    await drain(pool, registry)
    assert (await said(pool))[-2:] == [("p", "withdrawn", None), ("w", "applied", None)]
    assert await pool.fetchval("SELECT count(*) FROM held") == 0


async def test_a_drain_takes_a_bounded_number_of_rows(pool: Pool, province: Province, registry: Deciders) -> None:
    """However many subjects and however deep: a transaction must end within PostgreSQL's patience."""
    for n in range(20):
        behind = [product_updated(f"SP-{n}", id_=f"u{n}-{k}", on="2025-09-01") for k in range(60)]
        await handle(pool, registry, *map(province.message, [product(f"SP-{n}", id_=f"p{n}"), *behind]))
    await handle(pool, registry, province.message(owner(id_="o")))
    before = await pool.fetchval("SELECT count(*) FROM held")
    assert await drain(pool, registry) == 20
    assert before - await pool.fetchval("SELECT count(*) FROM held") == DRAIN_DEPTH
    while await drain(pool, registry):
        pass
    assert await pool.fetchval("SELECT count(*) FROM held") == 0


async def test_two_polls_of_one_subject_take_turns(pool: Pool, province: Province, registry: Deciders) -> None:
    """Of a subject that exists, and that the first one has locked and not yet written."""
    sent = province.send(owner(id_="o"))
    await handle(pool, registry, sent.message())
    async with pool.acquire() as first:
        transaction = first.transaction()
        await transaction.start()
        await Batch("registry", first).lock([("owner", sent.subject)])
        second = asyncio.create_task(handle(pool, registry, province.message(owner_updated(id_="u2"))))
        await until(lambda: waits_for_lock(pool), 5)
        await registry.handle(first, [province.message(owner_updated(id_="u1", on="2025-10-01"))])
        await transaction.commit()
    await second
    rows = await pool.fetch("SELECT sequence, headers->>'ce_subjectsequence' AS said FROM event ORDER BY sequence")
    assert [tuple(row) for row in rows] == [(1, "1"), (2, "2"), (3, "3")]
    documents = "jsonb_array_length(convert_from(payload, 'UTF8')::jsonb->'documents')"
    rows = await pool.fetch(f"SELECT {documents} FROM event ORDER BY sequence")  # noqa: S608  # from above
    assert [tuple(row) for row in rows] == [(1,), (2,), (3,)]


async def numbers_said(pool: Pool) -> list[int]:
    """Numbers of the domain events in the outbox, in the order in which the relay takes them."""
    rows = await pool.fetch(
        "SELECT headers->>'ce_subjectsequence' AS n FROM outbox WHERE topic = 'ocop.registry.owner' ORDER BY id"
    )
    return [int(row["n"]) for row in rows]


async def test_outbox_ids_follow_the_numbers_whichever_connection_writes(
    pool: Pool, province: Province, registry: Deciders
) -> None:
    """A cache of ids would give each connection a block of its own."""
    async with pool.acquire() as first, pool.acquire() as second:
        for number, connection in enumerate((first, second, first)):
            update = owner_updated(id_=f"u{number}", on=f"2025-09-0{number + 1}")
            await registry.handle(connection, [province.message(update if number else owner(id_="o"))])
    assert await numbers_said(pool) == [1, 2, 3]


async def test_outbox_ids_follow_the_numbers_however_long_a_lock_is_waited_for(
    pool: Pool, province: Province, registry: Deciders
) -> None:
    """One waits for a subject before ours, another passes it by on ours, and is said first."""
    sent = sorted((province.send(owner(name, id_=name)) for name in ("CT-1", "CT-2")), key=lambda each: each.subject)
    await handle(pool, registry, *(each.message() for each in sent))
    await pool.execute("DELETE FROM outbox")
    before, ours = sent[0].headers["ce_id"], sent[1].headers["ce_id"]
    async with pool.acquire() as other, other.transaction():
        await other.execute("SELECT FROM subject WHERE id = $1 FOR UPDATE", sent[0].subject)
        slow = asyncio.create_task(
            handle(pool, registry, *(province.message(owner_updated(name, id_=f"s-{name}")) for name in (before, ours)))
        )
        await until(lambda: waits_for_lock(pool), 5)
        await handle(pool, registry, province.message(owner_updated(ours, id_="quick", on="2025-10-01")))
    await slow
    rows = await pool.fetch(
        """SELECT headers->>'ce_subjectsequence' AS n FROM outbox
           WHERE topic = 'ocop.registry.owner' AND key = $1 ORDER BY id""",
        str(sent[1].subject),
    )
    assert [row["n"] for row in rows] == ["2", "3"]


async def nameless_copy(pool: Pool, province: Province, registry: Deciders) -> tuple[Message, int]:
    """A bad copy that says whose it is but not of what; the good one, and the bad one's row."""
    sent = province.send(owner(id_="o"))
    await handle(pool, registry, sent.message(ce_type="vn.ocop.province.owner.unheard.v1"))
    return sent.message(), await pool.fetchval("SELECT id FROM held WHERE queue IS NULL")


async def drop(connection: Connection, registry: Deciders, row: int) -> None:
    await skip(connection, [registry], row, actor="test", reason="test", nameless=True)


async def test_what_a_good_copy_has_taken_over_is_not_dropped(
    pool: Pool, province: Province, registry: Deciders
) -> None:
    good, row = await nameless_copy(pool, province, registry)

    async def operator() -> None:
        async with pool.acquire() as connection, connection.transaction():
            await drop(connection, registry, row)

    async with pool.acquire() as reader:
        transaction = reader.transaction()
        await transaction.start()
        await registry.handle(reader, [good])
        dropping = asyncio.create_task(operator())
        await until(lambda: waits_for_lock(pool))
        await transaction.commit()
    with pytest.raises(SkipError):
        await dropping
    assert (await said(pool))[1:] == [("o", "applied", None)]
    assert await pool.fetchval("SELECT count(*) FROM skipped") == 0


async def test_what_was_dropped_meanwhile_is_not_decided(pool: Pool, province: Province, registry: Deciders) -> None:
    good, row = await nameless_copy(pool, province, registry)
    async with pool.acquire() as operator:
        transaction = operator.transaction()
        await transaction.start()
        await drop(operator, registry, row)
        reading = asyncio.create_task(handle(pool, registry, good))
        await until(lambda: waits_for_lock(pool))
        await transaction.commit()
    with pytest.raises(RuntimeError, match="another transaction"):
        await reading
    await handle(pool, registry, good)
    assert (await said(pool))[1:] == [("o", "rejected", "passed-over")] * 2
    assert await log(pool) == []


async def test_one_that_another_has_taken_is_not_marked_failed(
    pool: Pool, province: Province, registry: Deciders
) -> None:
    await handle(pool, registry, province.message(product(id_="p1")), province.message(product_updated(id_="p2")))
    (key,) = [tuple(row) for row in await pool.fetch("SELECT DISTINCT queue, subject FROM held")]
    async with pool.acquire() as connection, connection.transaction():
        await registry.fail_head(connection, key, {"class": "KeyError", "text": "of the one before"})
    rows = await pool.fetch("SELECT reason FROM held ORDER BY id")
    assert [row["reason"] for row in rows] == ["waiting", "behind"]


async def test_what_was_marked_behind_one_that_fails_again_waits_for_it(
    pool: Pool, province: Province, registry: Deciders
) -> None:
    """Only the first of a subject is tried: another mark would stand there for ever."""
    for message in (province.message(owner(id_="o1")), province.message(owner_updated(id_="o2"))):
        async with pool.acquire() as connection, connection.transaction():
            await registry.fail(connection, message, {"class": "KeyError", "text": "a bug"})
    await pool.execute("UPDATE held SET ready = true")
    async with pool.acquire() as connection, connection.transaction():
        (key,) = await registry.ready(connection, 500)
        await registry.fail_head(connection, key, {"class": "KeyError", "text": "again"})
    assert await pool.fetchval("SELECT count(*) FROM held WHERE ready") == 0
