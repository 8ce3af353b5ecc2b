"""Records that are not numbered per subject, outcomes above all: each is taken by itself, in whatever order.

What is done with them must bear repeats and late comers by itself, in the rows that it writes; so there is no
stream to keep, and nothing ever stands behind anything.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from servicekit import held
from servicekit.database import Connection
from servicekit.held import Changes, HeldRow, Key
from servicekit.message import Message

Take = Callable[[Connection, Sequence[Message]], Awaitable[None]]


class Listener:
    """Reads topics; `take` gets the records of a poll that decode and whose type is known."""

    def __init__(self, topics: Sequence[str], take: Take) -> None:
        self.topics = tuple(topics)
        self._take = take

    async def handle(self, connection: Connection, messages: Sequence[Message], depth: int = 0) -> None:  # noqa: ARG002  # nothing queues here
        """Puts aside what does not decode, and hands on the rest."""
        changes = Changes()
        for message in messages:
            if message.error is not None and not await held.same_bytes(connection, message):
                changes.added.append(_aside(message, {"class": "undecodable", "text": message.error}))
        await held.write(connection, changes)
        good = [message for message in messages if message.data is not None]
        if good:
            await self._take(connection, good)

    async def fail(self, connection: Connection, message: Message, error: dict[str, Any]) -> None:
        """Puts a record aside that the code cannot handle; nothing stands behind it."""
        await held.write(connection, Changes(added=[_aside(message, error)]))

    async def ready(self, connection: Connection, limit: int) -> list[Key]:  # noqa: ARG002  # nothing queues here
        """Nothing: these records do not wait for each other."""
        return []

    async def drain(self, connection: Connection, keys: Sequence[Key], depth: int = 0) -> None:
        """Nothing to drain."""

    async def fail_head(self, connection: Connection, key: Key, error: dict[str, Any]) -> None:
        """Nothing has a head."""

    async def sweep(self, connection: Connection) -> int:  # noqa: ARG002  # nothing waits here
        """Nothing waits."""
        return 0


def _aside(message: Message, error: dict[str, Any]) -> HeldRow:
    row = HeldRow(None, "failed", message, error=error)
    row.source, row.event_id = message.named("source"), message.named("id")
    return row
