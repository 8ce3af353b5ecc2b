"""Who has done what to a service by hand: one row for each act, in a table that only grows."""

from collections.abc import Mapping
from typing import Any

from servicekit.database import Connection


async def record(connection: Connection, actor: str, what: str, details: Mapping[str, Any]) -> None:
    """Notes an act in the transaction that does it, so that neither is there without the other."""
    await connection.execute(
        "INSERT INTO operation (actor, what, details) VALUES ($1, $2, $3::jsonb)", actor, what, dict(details)
    )
