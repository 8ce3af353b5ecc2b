"""What a reader of numbered events does: each once, in order, whatever comes twice, late or spoilt."""

import asyncio
from collections.abc import AsyncIterator
from itertools import count
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from contracts.envelope import Envelope, dataschema, encode, to_headers
from contracts.fields import Origin
from contracts.registry import OwnerDocument, OwnerState
from servicekit import database
from servicekit.database import Pool
from servicekit.message import Kept, Message, decode
from servicekit.projector import Event, Projection, Projectors, Table
from servicekit.skip import SkipError, skip
from tests.engines import Databases
from tests.submissions import NOW, TENANT
from tests.waiting import until, waits_for_lock

TOPIC = "ocop.registry.owner"
SUBJECT = UUID(int=7)
_offsets = count()

STATE = Table("test_owner", ("subject", "sequence", "name"))
EVENTS = Table("test_event", ("id", "subject", "sequence"), per="event")


def rows(event: Event) -> dict[str, list[tuple[Any, ...]]]:
    assert isinstance(event.data, OwnerState)
    name = event.data.documents[-1].business_name
    if name == "BUG":
        raise RuntimeError("a bug in rows")
    sequence = event.envelope.subjectsequence
    return {
        "test_owner": [(event.subject, sequence, name)],
        "test_event": [(UUID(event.envelope.id), event.subject, sequence)],
    }


def message(number: int, *, name: str = "", subject: UUID = SUBJECT, **spoilt: Any) -> Message:
    """The numbered event of a subject; `payload`, `type` and single headers may be spoilt."""
    payload = spoilt.pop("payload", None)
    type_ = spoilt.pop("type_", "vn.ocop.registry.owner.updated.v1")
    origin = Origin(
        source="/provinces/2025-68/test",
        event_id=str(number),
        submission_id=uuid4(),
        stated_on=NOW.date(),
        received_at=NOW,
        sequence=number,
    )
    document = OwnerDocument(kind="cooperative", business_name=name or f"Tên {number}", origin=origin)
    state = OwnerState(id=subject, namespace=TENANT, ref="CT-1", documents=(document,))
    envelope = Envelope(
        id=str(uuid4()),
        source="/services/registry",
        type=type_,
        subject=str(subject),
        time=NOW,
        dataschema=dataschema(type_),
        tenant=TENANT,
        correlationid=str(uuid4()),
        causationid=str(uuid4()),
        recordedtime=NOW,
        subjectsequence=number,
    )
    headers = to_headers(envelope) | spoilt
    lines = tuple((key, value.encode()) for key, value in headers.items())
    return decode(Kept(TOPIC, 0, next(_offsets), lines, encode(state) if payload is None else payload))


@pytest.fixture
async def pool(databases: Databases) -> AsyncIterator[Pool]:
    made = await databases.make("registry")
    owner = await asyncpg.connect(made.owner)
    await owner.execute(
        """CREATE TABLE test_owner (subject uuid, sequence bigint, name text);
           CREATE TABLE test_event (id uuid PRIMARY KEY, subject uuid, sequence bigint);
           GRANT ALL ON test_owner, test_event TO ocop_app"""
    )
    await owner.close()
    pool = await database.open_pool(made.app)
    yield pool
    await pool.close()


@pytest.fixture
def reader() -> Projectors:
    return Projectors([Projection(TOPIC, (STATE, EVENTS), rows)])


async def handle(pool: Pool, reader: Projectors, *messages: Message, depth: int = 500) -> None:
    async with pool.acquire() as connection, connection.transaction():
        await reader.handle(connection, messages, depth)


async def drain(pool: Pool, reader: Projectors) -> int:
    async with pool.acquire() as connection, connection.transaction():
        keys = await reader.ready(connection, 500)
        await reader.drain(connection, keys)
        return len(keys)


async def applied(pool: Pool) -> list[int]:
    """Numbers of the events that had an effect, in order of their rows; checks that the stream agrees."""
    numbers = [row["sequence"] for row in await pool.fetch("SELECT sequence FROM test_event ORDER BY sequence")]
    stream = await pool.fetchval("SELECT applied FROM stream WHERE subject = $1", SUBJECT)
    assert (stream or 0) == (numbers[-1] if numbers else 0)
    state = [tuple(row) for row in await pool.fetch("SELECT subject, sequence FROM test_owner")]
    assert state == ([(SUBJECT, numbers[-1])] if numbers else [])
    return numbers


async def held(pool: Pool) -> list[tuple[int, str]]:
    return [(row["n"], row["reason"]) for row in await pool.fetch("SELECT n, reason FROM held ORDER BY n")]


async def test_each_once_in_order(pool: Pool, reader: Projectors) -> None:
    first, second, third = message(1), message(2), message(3)
    await handle(pool, reader, first, second, first, second)
    await handle(pool, reader, second, third, first)
    assert await applied(pool) == [1, 2, 3]
    assert await held(pool) == []


async def test_a_gap_holds_what_comes_after_and_its_filling_applies_all(pool: Pool, reader: Projectors) -> None:
    await handle(pool, reader, message(1), message(4), message(3))
    assert await applied(pool) == [1]
    assert await held(pool) == [(3, "gap"), (4, "gap")]
    await handle(pool, reader, message(2))
    assert await applied(pool) == [1, 2, 3, 4], "the same transaction applies what follows"
    assert await held(pool) == []


async def test_other_subjects_go_on_beside_a_gap(pool: Pool, reader: Projectors) -> None:
    await handle(pool, reader, message(2), message(1, subject=UUID(int=9)))
    assert await pool.fetchval("SELECT count(*) FROM test_event") == 1


async def test_bad_bytes_hold_their_subject_and_a_good_copy_frees_it(pool: Pool, reader: Projectors) -> None:
    good = message(2)
    await handle(pool, reader, message(1), message(2, payload=b"\xff"), message(3))
    assert await applied(pool) == [1]
    assert await held(pool) == [(2, "failed"), (3, "behind")]
    await handle(pool, reader, good)
    assert await applied(pool) == [1, 2, 3]
    assert await held(pool) == []


async def test_a_good_copy_further_ahead_replaces_the_bad_one(pool: Pool, reader: Projectors) -> None:
    await handle(pool, reader, message(3, payload=b"\xff"))
    await handle(pool, reader, message(3))
    assert await held(pool) == [(3, "gap")]
    await handle(pool, reader, message(1), message(2))
    assert await applied(pool) == [1, 2, 3]


async def test_an_unknown_type_counts_as_applied_but_state_stays_at_the_last_handled(
    pool: Pool, reader: Projectors
) -> None:
    """Reduced to the highest number of a handled type: an ignored event must not swallow its predecessor."""
    await handle(pool, reader, message(1, name="Tên một"), message(2, type_="vn.ocop.registry.owner.blessed.v1"))
    assert await pool.fetchval("SELECT applied FROM stream") == 2
    assert await pool.fetchval("SELECT name FROM test_owner") == "Tên một"
    await handle(pool, reader, message(3))
    assert await pool.fetchval("SELECT applied FROM stream") == 3


async def test_an_unknown_major_fails(pool: Pool, reader: Projectors) -> None:
    await handle(pool, reader, message(1), message(2, type_="vn.ocop.registry.owner.updated.v2"))
    assert await applied(pool) == [1]
    assert await held(pool) == [(2, "failed")]


async def test_bytes_that_name_no_number_stand_in_nobodys_way(pool: Pool, reader: Projectors) -> None:
    nameless = message(1, ce_subject="nobody")
    await handle(pool, reader, nameless, message(1))
    await handle(pool, reader, nameless)
    assert await applied(pool) == [1]
    assert await pool.fetchval("SELECT count(*) FROM held WHERE queue IS NULL") == 1


async def test_a_failed_event_is_tried_again_only_when_marked(pool: Pool, reader: Projectors) -> None:
    bug = message(2)
    await handle(pool, reader, message(1))
    async with pool.acquire() as connection, connection.transaction():
        await reader.fail(connection, bug, {"class": "RuntimeError", "text": "a bug"})
    await handle(pool, reader, message(3))
    assert await drain(pool, reader) == 0
    assert await held(pool) == [(2, "failed"), (3, "behind")]
    await pool.execute("UPDATE held SET ready = true WHERE n = 2")  # as `ocop dlq retry` does
    assert await drain(pool, reader) == 1
    assert await applied(pool) == [1, 2, 3]


async def test_what_follows_a_skipped_event_is_applied(pool: Pool, reader: Projectors) -> None:
    await handle(pool, reader, message(1), message(2, payload=b"\xff"), message(3))
    row = await pool.fetchval("SELECT id FROM held WHERE n = 2")
    async with pool.acquire() as connection, connection.transaction():
        await skip(connection, [reader], row, actor="Lan", reason="nobody can read it")
    assert await drain(pool, reader) == 1
    assert await applied(pool) == [1, 3]
    assert await pool.fetchval("SELECT applied FROM stream") == 3
    assert await pool.fetchval("SELECT n FROM skipped WHERE subject = $1", SUBJECT) == 2


async def test_an_event_before_which_one_is_missing_is_not_skipped(pool: Pool, reader: Projectors) -> None:
    await handle(pool, reader, message(1), message(3, payload=b"\xff"))
    row = await pool.fetchval("SELECT id FROM held WHERE n = 3")
    with pytest.raises(SkipError):
        async with pool.acquire() as connection, connection.transaction():
            await skip(connection, [reader], row, actor="Lan", reason="in the way")
    assert await pool.fetchval("SELECT applied FROM stream") == 1


async def test_an_event_whose_good_copy_is_being_applied_is_not_skipped(pool: Pool, reader: Projectors) -> None:
    """Else a rebuild would pass over what has been applied."""
    await handle(pool, reader, message(1, payload=b"\xff"))
    row = await pool.fetchval("SELECT id FROM held")

    async def operator() -> None:
        async with pool.acquire() as connection, connection.transaction():
            await skip(connection, [reader], row, actor="Lan", reason="nobody can read it")

    async with pool.acquire() as reading:
        transaction = reading.transaction()
        await transaction.start()
        await reader.handle(reading, [message(1)])
        skipping = asyncio.create_task(operator())
        await until(lambda: waits_for_lock(pool))
        await transaction.commit()
    with pytest.raises(SkipError):
        await skipping
    assert await applied(pool) == [1]
    assert await pool.fetchval("SELECT count(*) FROM skipped") == 0


async def test_of_two_held_copies_the_good_one_stays(pool: Pool, reader: Projectors) -> None:
    """A bad one may lie beyond the rows that were looked at when its good copy came."""
    for first, second in ((b"\xff", None), (None, b"\xff")):
        subject = uuid4()
        await handle(pool, reader, message(2, subject=subject, payload=first))
        await pool.execute("UPDATE held SET subject = $1 WHERE subject = $2", uuid4(), subject)  # out of sight
        other = await pool.fetchval("SELECT subject FROM held ORDER BY id DESC LIMIT 1")
        await handle(pool, reader, message(2, subject=subject, payload=second))
        await pool.execute("UPDATE held SET subject = $1 WHERE subject = $2", subject, other)
        await handle(pool, reader, message(1, subject=subject))
        await drain(pool, reader)
        assert await pool.fetchval("SELECT applied FROM stream WHERE subject = $1", subject) == 2
    assert await pool.fetchval("SELECT count(*) FROM held") == 0


async def test_one_that_another_has_taken_is_not_marked_failed(pool: Pool, reader: Projectors) -> None:
    await handle(pool, reader, message(3))
    async with pool.acquire() as connection, connection.transaction():
        await reader.fail_head(connection, (TOPIC, SUBJECT), {"class": "KeyError", "text": "of the one before"})
    assert await pool.fetchval("SELECT reason FROM held") == "gap"


async def test_what_was_marked_behind_one_that_fails_again_waits_for_it(pool: Pool, reader: Projectors) -> None:
    await handle(pool, reader, message(1, payload=b"\xff"), message(2, payload=b"\xff"))
    await pool.execute("UPDATE held SET ready = true")
    async with pool.acquire() as connection, connection.transaction():
        await reader.fail_head(connection, (TOPIC, SUBJECT), {"class": "KeyError", "text": "again"})
    assert await pool.fetchval("SELECT count(*) FROM held WHERE ready") == 0


async def test_alone_nothing_held_is_taken_along_but_the_next_is_marked(pool: Pool, reader: Projectors) -> None:
    await handle(pool, reader, message(2), message(3))
    await handle(pool, reader, message(1), depth=0)
    assert await applied(pool) == [1]
    assert await drain(pool, reader) == 1
    assert await applied(pool) == [1, 2, 3]


async def test_a_bug_in_rows_changes_nothing(pool: Pool, reader: Projectors) -> None:
    with pytest.raises(RuntimeError):
        await handle(pool, reader, message(1), message(2, name="BUG"))
    assert await pool.fetchval("SELECT count(*) FROM stream") == 0
    assert await pool.fetchval("SELECT count(*) FROM test_event") == 0


async def test_reader_and_drain_both_lock_the_stream(pool: Pool, reader: Projectors) -> None:
    await handle(pool, reader, message(2))
    async with pool.acquire() as other, other.transaction():
        await reader.handle(other, [message(1, subject=UUID(int=9))])
        await other.execute("SELECT FROM stream WHERE subject = $1 FOR UPDATE", SUBJECT)
        await pool.execute("UPDATE held SET ready = true")
        async with asyncio.timeout(3):  # one that waits for the stream would be ended by the server, seconds later
            assert await drain(pool, reader) == 0, "a drain must pass over a stream that another works on"


async def test_a_retry_before_its_predecessor_has_come_waits_for_it(pool: Pool, reader: Projectors) -> None:
    await handle(pool, reader, message(1), message(3, payload=b"\xff"))
    await pool.execute("UPDATE held SET ready = true")
    assert await drain(pool, reader) == 1
    assert await drain(pool, reader) == 0, "it must not be tried again and again"


async def test_a_long_queue_is_applied_in_parts(pool: Pool, reader: Projectors) -> None:
    """However long a gap lasted: a transaction must end within PostgreSQL's patience."""
    await handle(pool, reader, *(message(number) for number in range(2, 1300)))
    await handle(pool, reader, message(1))
    assert len(await applied(pool)) == 501
    while await drain(pool, reader):
        pass
    assert await applied(pool) == list(range(1, 1300))
    assert await held(pool) == []


async def test_a_long_queue_of_the_same_poll_is_applied_in_parts(pool: Pool, reader: Projectors) -> None:
    """What is behind the first part is put aside by this very poll, and marked so that its turn comes."""
    await handle(pool, reader, *(message(number) for number in range(2, 1300)), message(1))
    assert len(await applied(pool)) == 501
    while await drain(pool, reader):
        pass
    assert await applied(pool) == list(range(1, 1300))
    assert await held(pool) == []


async def test_two_polls_of_one_stream_take_turns(pool: Pool, reader: Projectors) -> None:
    """Of a stream that exists, and that the first one has locked and not yet written."""
    await handle(pool, reader, message(1))
    second = message(2)
    async with pool.acquire() as first:
        transaction = first.transaction()
        await transaction.start()
        await reader._lock(first, [(TOPIC, SUBJECT)])
        repeat = asyncio.create_task(handle(pool, reader, second))
        await until(lambda: waits_for_lock(pool), 5)
        await reader.handle(first, [second])
        await transaction.commit()
    await repeat
    assert await applied(pool) == [1, 2]
