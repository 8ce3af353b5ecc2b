"""What a service does with the records of its topics: the seam between running and doing."""

from collections.abc import Sequence
from typing import Any, Protocol

from servicekit.database import Connection
from servicekit.held import HeldRow, Key
from servicekit.message import Message


class Handler(Protocol):
    """Three kinds there are: `decider.Deciders`, `projector.Projectors`, `listener.Listener`.

    Each method works in the transaction of the connection that it is given. `depth` limits the held rows that are taken
    along, of all subjects together; 0 takes none. `queues` are those of its held rows. `skip` passes over a failed row
    for good; it says False, and has changed nothing, if that row is not the next of its queue.
    """

    @property
    def topics(self) -> tuple[str, ...]: ...
    @property
    def queues(self) -> tuple[str, ...]: ...

    async def handle(self, connection: Connection, messages: Sequence[Message], depth: int = ...) -> None: ...
    async def fail(self, connection: Connection, message: Message, error: dict[str, Any]) -> None: ...
    async def ready(self, connection: Connection, limit: int) -> list[Key]: ...
    async def drain(self, connection: Connection, keys: Sequence[Key], depth: int = ...) -> None: ...
    async def fail_head(self, connection: Connection, key: Key, error: dict[str, Any]) -> None: ...
    async def skip(self, connection: Connection, row: HeldRow) -> bool: ...
    async def sweep(self, connection: Connection) -> int: ...
