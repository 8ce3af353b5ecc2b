"""Records given to projectors outside the running service: in order, as a poll would give them, to their commit."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from servicekit import database, held
from servicekit.database import Connection
from servicekit.failure import unhandled
from servicekit.held import Key
from servicekit.message import Message, from_json, to_json
from servicekit.projector import Projectors

HEADS: Final = 500

Bytes = tuple[str, tuple[tuple[str, bytes], ...], bytes]  # topic, headers, payload


@dataclass(slots=True)
class PassedOver:
    """What an operator has skipped, by number, and dropped, by its bytes: read from the table `skipped`."""

    numbers: set[tuple[str, UUID, int]] = field(default_factory=set)
    nameless: set[Bytes] = field(default_factory=set)
    last: int = 0  # the last row that was read

    async def read(self, connection: Connection, schema: str = "public") -> None:
        """Takes over what has come since the last time."""
        rows = await connection.fetch(f"SELECT * FROM {schema}.skipped WHERE id > $1 ORDER BY id", self.last)  # noqa: S608  # a schema's name
        for row in rows:
            self.last = row["id"]
            if row["n"] is not None and row["subject"] is not None:
                self.numbers.add((row["topic"], row["subject"], row["n"]))
            elif row["queue"] is None:
                self.nameless.add((row["topic"], from_json(row["headers"]), row["payload"]))


class Replay:
    """Feeds projectors on a connection of its own; `connection` must be in no transaction.

    What cannot be handled is put aside as the service would, at the first attempt: nobody else is at work here. Raises
    what `database.is_outage` calls one.
    """

    def __init__(self, connection: Connection, projectors: Projectors, passed_over: PassedOver) -> None:
        self._connection, self._projectors, self._passed_over = connection, projectors, passed_over

    async def handle(self, messages: Sequence[Message]) -> None:
        """Applies these, then all held rows that they have made ready."""
        messages = [m for m in messages if (m.topic, m.headers, m.payload) not in self._passed_over.nameless]
        try:
            async with self._connection.transaction():
                await self._take(messages)
        except Exception as error:
            if database.is_outage(error):
                raise
            for message in messages:
                await self._alone(message)
        await self.drain()

    async def drain(self) -> None:
        """Tries ready heads, and passes over what has been skipped meanwhile, until there is nothing of either."""
        while True:
            async with self._connection.transaction():
                passed = await self._pass_over_held()
            try:
                async with self._connection.transaction():
                    keys = await self._projectors.ready(self._connection, HEADS)
                    if keys:
                        await self._projectors.drain(self._connection, keys)
            except Exception as error:
                if database.is_outage(error):
                    raise
                keys = await self._drain_alone()
            if not passed and not keys:
                return

    async def _take(self, messages: Sequence[Message], depth: int = HEADS) -> None:
        """Like a poll, but what was passed over is passed over in its place."""
        waiting: list[Message] = []
        for message in messages:
            place = message.numbered()
            if place is None or (message.topic, *place) not in self._passed_over.numbers:
                waiting.append(message)
                continue
            await self._projectors.handle(self._connection, waiting, depth)
            waiting = []
            # As it was: put aside as failed, and passed over in its turn (`_pass_over_held`).
            await self._projectors.fail(self._connection, message, {"class": "passed-over"})
        await self._projectors.handle(self._connection, waiting, depth)

    async def _alone(self, message: Message) -> None:
        try:
            async with self._connection.transaction():
                await self._take([message], 0)
        except Exception as error:
            if database.is_outage(error):
                raise
            async with self._connection.transaction():
                await self._projectors.fail(self._connection, message, unhandled(error, 1))

    async def _drain_alone(self) -> list[Key]:
        async with self._connection.transaction():
            keys = await self._projectors.ready(self._connection, HEADS)
        for key in keys:
            try:
                async with self._connection.transaction():
                    await self._projectors.drain(self._connection, [key], 1)
            except Exception as error:
                if database.is_outage(error):
                    raise
                async with self._connection.transaction():
                    await self._projectors.fail_head(self._connection, key, unhandled(error, 1))
        return keys

    async def _pass_over_held(self) -> int:
        """Goes on behind held rows that were skipped and are next; removes dropped bytes. Returns how many went."""
        went = 0
        if self._passed_over.numbers:
            topics, subjects, numbers = zip(*self._passed_over.numbers, strict=True)
            rows = await self._connection.fetch(
                """SELECT h.id FROM held h JOIN stream s ON s.topic = h.topic AND s.subject = h.subject
                   WHERE h.n = s.applied + 1
                     AND (h.topic, h.subject, h.n) IN (SELECT * FROM unnest($1::text[], $2::uuid[], $3::bigint[]))""",
                topics,
                subjects,
                numbers,
            )
            for row in rows:
                skipped = await held.one(self._connection, row["id"])
                went += skipped is not None and await self._projectors.skip(self._connection, skipped)
        for topic, headers, payload in self._passed_over.nameless:
            await self._connection.execute(
                "DELETE FROM held WHERE queue IS NULL AND topic = $1 AND headers = $2::jsonb AND payload = $3",
                topic,
                to_json(headers),
                payload,
            )
        return went
