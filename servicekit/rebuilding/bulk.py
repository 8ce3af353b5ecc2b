"""The plain way of a numbered topic into empty tables: what is in order is copied, what is not is left aside.

A partition is gone through once. Per subject the next number is applied, lower ones were seen; from the first gap, the
first bytes that do not decode or the first event that does not go into its table, a subject is *aside*: `replay`
takes it on from there as the running service would. So nothing of what to do with trouble is here a second time.

    memory: of one partition, each subject's last number and the rows of state that its last event gave
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from aiokafka import TopicPartition

from servicekit import database
from servicekit.database import Connection
from servicekit.log import Records, home
from servicekit.message import Message, decode
from servicekit.projector import Event, Projection

ROWS: Final = 5000  # of a table in one COPY

Number = tuple[str, UUID, int]  # topic, subject, sequence
Rows = Mapping[str, Sequence[tuple[Any, ...]]]


@dataclass(slots=True)
class Aside:
    """What of a topic is left to `replay`: whose events, and from which offset of each partition on."""

    subjects: set[UUID | None] = field(default_factory=set)  # None: bytes that name no subject
    since: dict[TopicPartition, int] = field(default_factory=dict)
    again: set[UUID] = field(default_factory=set)  # of those, the ones of which nothing that was copied may stay

    def put(self, subject: UUID | None, message: Message) -> None:
        """From this record on."""
        partition = TopicPartition(message.topic, message.partition)
        self.subjects.add(subject)
        self.since[partition] = min(message.offset, self.since.get(partition, message.offset))


@dataclass(frozen=True, slots=True)
class _Step:
    """One number of a subject, to be applied; an ignored type or a number that was passed over has no rows."""

    subject: UUID
    number: int
    message: Message
    rows: Rows | None


class Bulk:
    """Copies a projection's topic, partition by partition: `copy` for all of a partition's records, then `end`."""

    def __init__(
        self, connection: Connection, projection: Projection, passed_over: Collection[Number], aside: Aside
    ) -> None:
        self._connection, self._projection = connection, projection
        self._passed_over, self._aside = passed_over, aside
        self._of_events = [table for table in projection.tables if table.per == "event"]
        self._of_subjects = [table for table in projection.tables if table.per == "subject"]
        self._last: dict[UUID, int] = {}
        self._rows: dict[UUID, Rows] = {}  # of the last event of each subject that has any

    async def copy(self, records: Records) -> None:
        """Copies what follows in these records of one partition."""
        ahead: dict[UUID, int] = {}
        steps: list[_Step] = []
        for record in records:
            message = decode(record)
            if (place := message.numbered()) is None:
                self._aside.put(None, message)
                continue
            subject, number = place
            if subject in self._aside.subjects:
                self._aside.put(subject, message)
                continue
            before = ahead.get(subject) or self._last.get(subject, 0)
            if number <= before:
                continue
            if number != before + 1 or (before == 0 and not _at_home(subject, message)):
                self._aside.put(subject, message)
            elif (message.topic, subject, number) in self._passed_over:
                ahead[subject] = number
                steps.append(_Step(subject, number, message, None))
            elif message.envelope is None or message.error is not None:
                self._aside.put(subject, message)
            else:
                try:
                    rows = None if message.ignored else self._projection.rows(Event.of(message))
                except Exception:  # whatever it is, `replay` meets it again, and says what
                    self._aside.put(subject, message)
                    continue
                ahead[subject] = number
                steps.append(_Step(subject, number, message, rows))
        await self._write(steps)

    async def _write(self, steps: Sequence[_Step]) -> None:
        try:
            await self._copy_events(steps)
        except Exception as error:
            if database.is_outage(error):
                raise
            for step in steps:  # one of them does not go in
                if step.subject in self._aside.subjects:
                    self._aside.put(step.subject, step.message)
                    continue
                try:
                    await self._copy_events([step])
                except Exception as worse:
                    if database.is_outage(worse):
                        raise
                    self._aside.put(step.subject, step.message)
                else:
                    self._done(step)
        else:
            for step in steps:
                self._done(step)

    async def _copy_events(self, steps: Sequence[_Step]) -> None:
        async with self._connection.transaction():
            for table in self._of_events:
                rows = [row for step in steps if step.rows is not None for row in step.rows.get(table.name, ())]
                await self._connection.copy_records_to_table(table.name, columns=table.columns, records=rows)

    def _done(self, step: _Step) -> None:
        self._last[step.subject] = step.number
        if step.rows is not None:
            self._rows[step.subject] = {table.name: step.rows.get(table.name, ()) for table in self._of_subjects}

    async def end(self) -> list[UUID]:
        """Writes what the subjects of the partition are now; returns those whose last event gave rows that do not
        go into their tables: all that is there of them is to be removed, and they are to be taken from the start.
        """
        spoilt: list[UUID] = []
        subjects = list(self._rows)
        for start in range(0, len(subjects), ROWS):
            some = subjects[start : start + ROWS]
            try:
                await self._copy_states(some)
            except Exception as error:
                if database.is_outage(error):
                    raise
                for subject in some:
                    try:
                        await self._copy_states([subject])
                    except Exception as worse:
                        if database.is_outage(worse):
                            raise
                        spoilt.append(subject)
        await self._connection.copy_records_to_table(
            "stream",
            columns=("topic", "subject", "applied"),
            records=((self._projection.topic, subject, number) for subject, number in self._last.items()),
        )
        self._last, self._rows = {}, {}
        return spoilt

    async def _copy_states(self, subjects: Iterable[UUID]) -> None:
        states = [self._rows[subject] for subject in subjects]
        async with self._connection.transaction():
            for table in self._of_subjects:
                rows = [row for state in states for row in state[table.name]]
                await self._connection.copy_records_to_table(table.name, columns=table.columns, records=rows)


def _at_home(subject: UUID, message: Message) -> bool:
    """Whether it lies where its writer puts the subject's events; else some may be in another partition."""
    return message.partition == home(message.topic, str(subject))
