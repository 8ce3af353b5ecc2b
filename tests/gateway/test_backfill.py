"""The backfill lane: taken at once, fed in order while nobody is behind, and back in the live lane when all is done."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import asyncpg
import pytest
from gateway import backfill, intake, store
from gateway.backfill import Feeder
from gateway.domain import Holder
from gateway.repeater import Repeater
from gateway.request import Piece

from contracts.names import namespaces_of
from servicekit import database
from servicekit.database import Pool
from tests.engines import Databases
from tests.submissions import TENANT, owner, owner_updated

NAMESPACE = TENANT  # what the builders of events name
HOLDER = Holder(TENANT, "test", namespaces_of(TENANT))


@dataclass(slots=True)
class Lane:
    """A gateway's database, and how far behind the readers are said to be."""

    pool: Pool
    behind: int = 0

    async def take(self, *events: dict[str, object]) -> list[str]:
        """Takes events as a request would; how each was answered."""
        pieces = [Piece(raw=b"{}", value=event, problem=None) for event in events]
        return [answer.status for answer in await intake.take(self.pool, HOLDER, pieces, repeat_after_s=600)]

    async def lag(self) -> int:
        return self.behind

    def feeder(self, rate: int = 10, under_way: int = 100) -> Feeder:
        """Feeds two at a time unless told otherwise."""
        return Feeder(self.pool, self.lag, rate=rate, under_way=under_way, most_lag=10, repeat_after_s=600)

    async def outbox(self) -> list[str]:
        """Ids of the events in it, in order."""
        return [row["id"] for row in await self.pool.fetch("SELECT headers ->> 'ce_id' AS id FROM outbox ORDER BY id")]

    async def declare(self) -> None:
        async with self.pool.acquire() as connection, connection.transaction():
            assert await backfill.declare(connection, NAMESPACE, "Lan")

    async def end(self, quiet_s: float = 0) -> bool:
        async with self.pool.acquire() as connection, connection.transaction():
            return await backfill.end(connection, NAMESPACE, quiet_s)


@pytest.fixture
async def lane(databases: Databases) -> AsyncIterator[Lane]:
    made = await databases.make("gateway")
    async with await database.open_pool(made.app) as pool:
        yield Lane(pool)


async def test_it_is_taken_at_once_and_fed_in_order(lane: Lane) -> None:
    await lane.take(owner("CT-0", id_="before"))
    await lane.declare()
    assert await lane.take(*(owner(f"CT-{n}", id_=f"e{n}") for n in range(1, 6))) == ["accepted"] * 5
    assert await lane.take(owner("CT-1", id_="e1")) == ["duplicate"]
    assert await lane.outbox() == ["before"], "what was taken before stands before it"
    feeder = lane.feeder()
    await feeder.once()
    assert await lane.outbox() == ["before", "e1", "e2"]
    await feeder.once()
    await feeder.once()
    await feeder.once()
    assert await lane.outbox() == ["before", "e1", "e2", "e3", "e4", "e5"]


async def test_others_are_not_in_it(lane: Lane) -> None:
    async with lane.pool.acquire() as connection, connection.transaction():
        await backfill.declare(connection, "2004-80", "Lan")
    await lane.take(owner("CT-1", id_="live"))
    assert await lane.outbox() == ["live"]


async def test_it_waits_while_somebody_is_behind(lane: Lane) -> None:
    await lane.declare()
    await lane.take(owner("CT-1", id_="e1"))
    lane.behind = 11
    feeder = lane.feeder()
    await feeder.once()
    assert await lane.outbox() == []
    lane.behind = 10
    await feeder.once()
    assert await lane.outbox() == ["e1"]


async def test_one_replica_feeds_at_a_time(lane: Lane) -> None:
    """Two together would feed twice as fast, and more than may be under way."""
    await lane.declare()
    await lane.take(owner("CT-1", id_="e1"))
    async with lane.pool.acquire() as other, other.transaction():
        await other.execute("SELECT pg_advisory_xact_lock($1)", backfill._FEED_LOCK)
        await lane.feeder().once()
        assert await lane.outbox() == []
    await lane.feeder().once()
    assert await lane.outbox() == ["e1"]


async def test_only_so_many_are_under_way(lane: Lane) -> None:
    await lane.declare()
    await lane.take(*(owner(f"CT-{n}", id_=f"e{n}") for n in range(9)))
    feeder = lane.feeder(rate=1000, under_way=4)
    await feeder.once()
    await feeder.once()
    assert len(await lane.outbox()) == 4
    await lane.pool.execute("UPDATE submission SET state = 'applied' WHERE event_id IN ('e0', 'e1', 'e2')")
    await feeder.once()
    assert len(await lane.outbox()) == 7


async def test_what_is_not_fed_yet_is_not_sent_again(lane: Lane) -> None:
    """It would overtake what stands before it."""
    await lane.declare()
    await lane.take(owner("CT-1", id_="e1"))
    await lane.pool.execute("UPDATE submission SET repeat_at = received_at")
    assert await Repeater(lane.pool, 600).once() == 0


async def test_it_leaves_the_lane_when_all_of_it_has_an_outcome(lane: Lane) -> None:
    await lane.declare()
    await lane.take(owner("CT-1", id_="e1"))
    assert not await lane.end()
    await lane.feeder().once()
    assert not await lane.end(), "it is under way"
    await lane.pool.execute("UPDATE submission SET state = 'waiting'")
    assert not await lane.end(quiet_s=60), "more of it may come"
    assert await lane.end()
    await lane.take(owner_updated("CT-1", id_="live-again"))
    assert await lane.outbox() == ["e1", "live-again"]


async def test_it_stays_in_the_lane_until_its_sender_has_begun(lane: Lane) -> None:
    await lane.declare()
    day_ago = "UPDATE backfill SET latest_at = latest_at - interval '1 day'"
    await lane.pool.execute(day_ago)
    assert not await lane.end(quiet_s=600)
    await lane.take(owner("CT-1", id_="e1"))
    await lane.feeder().once()
    await lane.pool.execute("UPDATE submission SET state = 'applied'")
    assert not await lane.end(quiet_s=600)
    await lane.pool.execute(day_ago)
    assert await lane.end(quiet_s=600)


async def test_who_never_begins_is_taken_out_by_hand(lane: Lane) -> None:
    await lane.declare()
    assert await lane.end()


async def test_a_request_under_way_ends_before_its_namespace_changes_lanes(lane: Lane) -> None:
    """Else it could go on in the lane that it had seen, behind what comes after it."""
    async with lane.pool.acquire() as request, request.transaction():
        await store.enter(request, TENANT, HOLDER.namespaces)
        async with lane.pool.acquire() as other, other.transaction():
            await other.execute("SET LOCAL lock_timeout = '100ms'")
            with pytest.raises(asyncpg.LockNotAvailableError):
                await backfill.declare(other, NAMESPACE, "Lan")


async def test_a_request_that_stands_still_keeps_nobody_elses_lane(lane: Lane) -> None:
    """A host that was stopped keeps its transaction for seconds: no other tenant's requests, feeding or lanes wait."""
    await lane.declare()
    await lane.take(owner("CT-1", id_="e1"))
    async with lane.pool.acquire() as stalled, stalled.transaction():
        await store.enter(stalled, "2025-80", namespaces_of("2025-80"))
        await lane.feeder().once()
        assert await lane.take(owner("CT-2", id_="e2")) == ["accepted"]
        await lane.pool.execute("UPDATE submission SET state = 'applied', fed_at = received_at")
        assert await lane.end()


async def test_nobody_waits_for_a_namespace_of_which_something_is_under_way(lane: Lane) -> None:
    await lane.declare()
    await lane.take(owner("CT-1", id_="e1"))
    async with lane.pool.acquire() as stalled, stalled.transaction():
        await store.enter(stalled, TENANT, HOLDER.namespaces)
        await lane.feeder().once()
        assert not await lane.end()
        assert await lane.take(owner("CT-2", id_="e2")) == ["accepted"]
