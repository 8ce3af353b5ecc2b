"""The shadow filled from the topics: copied from their start, then read on behind the reader, with its own code."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

import asyncpg
from aiokafka import AIOKafkaConsumer, TopicPartition

from servicekit import breaker, log
from servicekit.database import Connection
from servicekit.message import Message, decode
from servicekit.projector import Projection, Projectors, Table
from servicekit.rebuilding import difference, handover, shadow
from servicekit.rebuilding.bulk import Aside, Bulk
from servicekit.rebuilding.replay import PassedOver, Replay

COPIED, POLLED = 5000, 500  # records at a time
CLOSE: Final = 500  # records behind the live reader: so few are read while it waits
ROUNDS: Final = 20  # of reading on; more would not bring us nearer
SAY_EVERY_S: Final = 5.0

Say = Callable[[str], None]


@dataclass(slots=True)
class Pace:
    """How fast records went into the shadow."""

    total: int
    done: int = 0
    began: float = field(default_factory=time.monotonic)
    marks: dict[str, float] = field(default_factory=dict)  # seconds after which a tenth, nine tenths, all were done

    def add(self, count: int) -> None:
        """So many more."""
        self.done += count
        for name, share in (("first", 0.1), ("last", 0.9), ("end", 1.0)):
            if self.done >= share * self.total:
                self.marks.setdefault(name, time.monotonic() - self.began)

    def end(self) -> None:
        """That was all, however many offsets had no record."""
        self.total = self.done
        for name in ("first", "last", "end"):
            self.marks.setdefault(name, time.monotonic() - self.began)

    @property
    def whole(self) -> float:
        """Seconds since it began."""
        return time.monotonic() - self.began

    @property
    def rates(self) -> tuple[float, float, float]:
        """Records a second: over all, in the first tenth, in the last."""
        if "end" not in self.marks:
            return (0.0, 0.0, 0.0)
        end, tenth = self.marks["end"], self.total / 10
        first, last = self.marks["first"], end - self.marks["last"]
        return (self.total / max(end, 1e-6), tenth / max(first, 1e-6), tenth / max(last, 1e-6))


class Filling:
    """Fills the shadow over `writer`; `owner` looks at the live tables.

    `stands` is how far each partition has been read, `moved` the subjects of what was read since it was last emptied.
    """

    def __init__(
        self,
        owner: Connection,
        writer: Connection,
        consumer: AIOKafkaConsumer,
        projections: Sequence[Projection],
        say: Say,
    ) -> None:
        self._owner, self._writer, self._consumer, self._projections = owner, writer, consumer, projections
        self._say = say
        self._said = 0.0
        self._topics = [projection.topic for projection in projections]
        self._passed_over = PassedOver()
        self._replay = Replay(writer, Projectors(projections), self._passed_over)
        self.pace = Pace(0)
        self.stands: dict[TopicPartition, int] = {}
        self.moved: set[UUID] = set()

    async def copy(self) -> None:
        """Makes the shadow and fills it with all that lies on the topics now."""
        if await shadow.make(self._owner, self._projections):
            self._say("The shadow of a rebuild that did not come to its end is dropped.")
        await self._writer.execute(f"SET search_path = {shadow.NAME}")
        # What is lost with the server is made again by the next run; the swap is committed as everything is.
        await self._writer.execute("SET synchronous_commit = off; SET maintenance_work_mem = '128MB'")
        await self._passed_over.read(self._owner)
        starts, ends = await log.limits(self._consumer, self._topics)
        ends = await self._as_far_as_read(ends)
        self.stands = {partition: max(starts[partition], end) for partition, end in ends.items()}
        self.pace = Pace(sum(self.stands[partition] - start for partition, start in starts.items()))
        self._say(f"Copying {self.pace.total:,} records of {len(self._topics)} topics.")
        aside = {projection: await self._copy_topic(projection, starts) for projection in self._projections}
        self.pace.end()
        self._say("Indexing.")
        await shadow.index(self._writer, "stream")
        for projection, left in aside.items():
            for table in projection.tables:
                left.again |= await self._index(table)
            await self._take_aside(projection, left, starts)
        await shadow.attach(self._writer, self._projections)
        await shadow.grant(self._writer, await shadow.swapped(self._owner, self._projections))
        await shadow.vacuum(self._writer, await shadow.swapped(self._owner, self._projections))

    async def _as_far_as_read(self, ends: log.Offsets) -> log.Offsets:
        """A topic that too many failures have stopped is taken as far as it was read."""
        stopped = await breaker.stopped(self._owner)
        live = await handover.positions(self._owner, self._topics)
        return {p: min(end, live.get(p, 0)) if p.topic in stopped else end for p, end in ends.items()}

    async def _copy_topic(self, projection: Projection, starts: log.Offsets) -> Aside:
        aside = Aside()
        bulk = Bulk(self._writer, projection, self._passed_over.numbers, aside)
        for partition in sorted(partition for partition in starts if partition.topic == projection.topic):
            start, end = {partition: starts[partition]}, {partition: self.stands[partition]}
            async for found in log.records(self._consumer, start, end, COPIED):
                await bulk.copy(found)
                self.pace.add(len(found))
                self._progress(partition)
            aside.again |= set(await bulk.end())
        return aside

    def _progress(self, partition: TopicPartition) -> None:
        if time.monotonic() - self._said > SAY_EVERY_S:
            self._said = time.monotonic()
            rate = self.pace.done / self.pace.whole
            self._say(f"{self.pace.done:,} of {self.pace.total:,} records, {rate:,.0f}/s; at {partition.topic}")

    async def _index(self, table: Table) -> set[UUID]:
        """Indexes a table; returns the subjects whose rows had to go, because a key has some of them twice."""
        gone: set[UUID] = set()
        column = difference.subject_column(table)
        while True:
            try:
                async with self._writer.transaction():
                    await shadow.index(self._writer, table.name)
                return gone
            except asyncpg.UniqueViolationError:
                twice = set[UUID]()
                for key in await shadow.keyed(self._writer, table.name):
                    rows = await self._writer.fetch(
                        f"""SELECT DISTINCT {column} AS subject FROM
                              (SELECT {column}, count(*) OVER (PARTITION BY {", ".join(key)}) AS n FROM {table.name}) k
                            WHERE n > 1"""  # noqa: S608  # names from the code's own wiring and the catalogue
                    )
                    twice |= {row["subject"] for row in rows}
                if not twice:
                    raise
                await self._remove(table.name, column, twice)
                gone |= twice

    async def _take_aside(self, projection: Projection, aside: Aside, starts: log.Offsets) -> None:
        """Takes what was not in order as the running service would; what may not stay as it was copied, anew."""
        since = dict(aside.since)
        if aside.again:
            for table in projection.tables:
                await self._remove(table.name, difference.subject_column(table), aside.again)
            await self._remove("stream", "subject", aside.again, projection.topic)
            since = {partition: start for partition, start in starts.items() if partition.topic == projection.topic}
        wanted = aside.subjects | aside.again
        if wanted:
            self._say(f"{projection.topic}: {len(wanted)} subjects not in order, taken as the service takes them.")
        async for found in log.records(self._consumer, since, self.stands, POLLED):
            messages = [message for message in map(decode, found) if _subject(message) in wanted]
            if messages:
                await self._replay.handle(messages)

    async def _remove(self, table: str, column: str, subjects: set[UUID], topic: str | None = None) -> None:
        of_topic = "" if topic is None else f" AND topic = '{topic}'"
        await self._writer.execute(
            f"DELETE FROM {table} WHERE {column} = ANY($1::uuid[]){of_topic}",  # noqa: S608  # names from the code's own wiring
            list(subjects),
        )

    async def catch_up(self) -> None:
        """Reads on behind the live reader until little is left."""
        for _ in range(ROUNDS):
            _, ends = await log.limits(self._consumer, self._topics)
            ends = await self._as_far_as_read(ends)
            if sum(max(0, end - self.stands[partition]) for partition, end in ends.items()) <= CLOSE:
                return
            await self.read_on(ends)

    async def read_on(self, ends: log.Offsets) -> None:
        """Reads up to these offsets, where the shadow is not beyond them."""
        async for found in log.records(self._consumer, self.stands, {**self.stands, **ends}, POLLED):
            messages = [decode(record) for record in found]
            self.moved.update(subject for message in messages if (subject := message.named_uuid("subject")))
            await self._replay.handle(messages)
        self.stands = {partition: max(stands, ends.get(partition, 0)) for partition, stands in self.stands.items()}
        await self._passed_over.read(self._writer)
        await self._replay.drain()


def _subject(message: Message) -> UUID | None:
    """The subject whose number it is; None where it names none, so that it stands in nobody's row."""
    place = message.numbered()
    return place[0] if place else None
