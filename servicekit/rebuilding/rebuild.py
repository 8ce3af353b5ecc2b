"""A reader's tables made again from the topics, beside the live ones, and put in their place.

    shadow   empty tables; every topic copied into them, without indexes; indexes; what was not in order
    catch up behind the live reader, with its own code, while it goes on reading
    compare  all rows, in one snapshot, while reads and writes go on
    swap     positions locked, so that the reader waits: caught up to exactly where it stands, what has moved since
             compared again, and unless there are differences the shadow becomes the live tables

A run that was ended leaves the live tables as they were, and a shadow that the next run drops.
"""

import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

import asyncpg
from aiokafka import TopicPartition

from servicekit import audit, database, log
from servicekit.database import Connection
from servicekit.projector import Projection
from servicekit.rebuilding import difference, handover, shadow
from servicekit.rebuilding.difference import Difference, Standing
from servicekit.rebuilding.filling import Filling, Pace, Say
from servicekit.topic_ids import topic_ids

LOCK: Final = 0x0C0B_0005  # one rebuild at a time per database


class RebuildError(Exception):
    """It cannot be done now; the live tables are as they were."""


@dataclass(slots=True)
class Rebuilt:
    """What came out.

    `elsewhere`: subjects of which other numbers have been applied, though both have read as far. `further`: how many
    have more of them in the rebuilt tables, because the reader had not read so far.
    """

    pace: Pace
    tables: dict[str, Difference] = field(default_factory=dict)
    elsewhere: dict[tuple[str, UUID], Standing] = field(default_factory=dict)
    further: int = 0
    held: int = 0
    swapped: bool = False
    waited: float = 0.0  # seconds for which the live reader had to wait

    @property
    def differs(self) -> bool:
        """Whether the live tables are not what the topics say."""
        return bool(self.elsewhere) or any(table.subjects for table in self.tables.values())

    @property
    def told(self) -> dict[str, Any]:
        """For the record of what was done by hand."""
        differing = {name: len(found.subjects) for name, found in self.tables.items() if found.subjects}
        return {"records": self.pace.total, "differing": differing, "elsewhere": len(self.elsewhere)}


async def rebuild(
    owner_url: str,
    bootstrap: str,
    projections: Sequence[Projection],
    *,
    actor: str,
    reason: str,
    dry_run: bool = False,
    accept: bool = False,
    say: Say = lambda _text: None,
) -> Rebuilt:
    """Makes the tables of these projections again. Swaps them in unless it is a dry run, or, without `accept`, unless
    the live tables differ; then both are kept.

    Raises RebuildError, ShadowError, a KafkaError or an asyncpg.PostgresError; the live tables are then as they were.
    """
    topics = [projection.topic for projection in projections]
    async with AsyncExitStack() as stack:
        keeper, writer = await _connect(stack, owner_url), await _connect(stack, owner_url)
        if not await keeper.fetchval("SELECT pg_try_advisory_lock($1)", LOCK):
            raise RebuildError("Another rebuild of this database is under way.")
        consumer = await stack.enter_async_context(log.opened(bootstrap, "ocop-rebuild"))
        ids = await topic_ids(bootstrap, topics)
        filling = Filling(keeper, writer, consumer, projections, say)
        await filling.copy()
        await filling.catch_up()
        say("Comparing all rows with the live ones.")
        result = await _compare(keeper, filling, projections)
        await filling.catch_up()
        async with keeper.transaction():
            await _stop_reader(keeper)
            began = time.monotonic()
            if ids != await topic_ids(bootstrap, topics):
                raise RebuildError("A topic was made anew meanwhile: begin again when all has been said on it.")
            live = await handover.positions(keeper, topics)
            await filling.read_on(live)
            await _compare_moved(keeper, filling, projections, live, result)
            if not dry_run and (accept or not result.differs):
                tables = await shadow.swapped(keeper, projections)
                await shadow.lock(keeper, tables)
                await handover.take_held(keeper, topics)
                await shadow.swap(keeper, tables)
                await handover.set_positions(keeper, filling.stands, ids)
                await audit.record(keeper, actor, "rebuild", {"reason": reason, **result.told})
                result.swapped = True
        result.waited = time.monotonic() - began
        if dry_run or result.swapped:
            await _tidy(keeper, say)
        return result


async def _tidy(connection: Connection, say: Say) -> None:
    """What is no longer needed goes; where that cannot be done, the work is done all the same."""
    try:
        await shadow.drop(connection)
    except (shadow.ShadowError, asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
        say(f"What is no longer needed stays until the next rebuild: {error}")


async def _connect(stack: AsyncExitStack, owner_url: str) -> "asyncpg.Connection[asyncpg.Record]":
    connection = await database.connect(owner_url, name="ocop-rebuild")
    stack.push_async_callback(connection.close)
    return connection


async def _stop_reader(connection: Connection) -> None:
    """In the order in which everybody locks: the reader's next poll waits for the first of these, drains and skipping
    for the second, and none of them then holds what a swap needs.
    """
    await connection.execute("LOCK TABLE public.position IN EXCLUSIVE MODE")
    await connection.execute("LOCK TABLE public.stream IN EXCLUSIVE MODE")


async def _compare(connection: Connection, filling: Filling, projections: Sequence[Projection]) -> Rebuilt:
    """All rows of both, in one snapshot, while everything goes on."""
    topics = [projection.topic for projection in projections]
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        unequal = await difference.unequal(connection, topics)
        tables = await difference.rows(connection, projections, list(unequal))
    # From here on the reader and the shadow change these only, what is read from now on, and what is held back.
    filling.moved = {subject for _, subject in unequal}
    return Rebuilt(filling.pace, tables)


async def _compare_moved(
    connection: Connection,
    filling: Filling,
    projections: Sequence[Projection],
    live: Mapping[TopicPartition, int],
    result: Rebuilt,
) -> None:
    """The same of what may have changed since then, while the reader waits."""
    held = await connection.fetch(
        f"SELECT subject FROM public.held UNION SELECT subject FROM {shadow.NAME}.held"  # noqa: S608  # a schema's name
    )
    moved = filling.moved | {row["subject"] for row in held if row["subject"] is not None}
    unequal = await difference.unequal(connection, [projection.topic for projection in projections], moved)
    for name, found in (await difference.rows(connection, projections, list(unequal), moved)).items():
        result.tables[name].subjects = (result.tables[name].subjects - moved) | found.subjects
    behind = {partition.topic for partition, stands in filling.stands.items() if stands > live.get(partition, 0)}
    for (topic, subject), standing in unequal.items():
        if topic in behind and standing.rebuilt > standing.live:
            result.further += 1
        else:
            result.elsewhere[topic, subject] = standing
    result.held = await connection.fetchval(f"SELECT count(*) FROM {shadow.NAME}.held")  # noqa: S608  # a schema's name
