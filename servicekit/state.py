"""The state of aggregates: one table per aggregate, named like it, holding each one as its last event says it.

Every decider keeps its state in this one form, because a domain event carries the whole state anyway: what is
stored is what was said, byte for byte, and state = fold of the log can be checked by comparing the two.
"""

from collections.abc import Mapping, Sequence
from uuid import UUID

from pydantic import BaseModel

from servicekit.database import Connection


async def load(
    connection: Connection, table: str, model: type[BaseModel], ids: Sequence[UUID]
) -> dict[UUID, BaseModel]:
    """The aggregates with these ids; those that do not exist are absent."""
    rows = await connection.fetch(
        f"SELECT id, data::text AS data FROM {table} WHERE id = ANY($1::uuid[])",  # noqa: S608  # a name from the wiring
        ids,
    )
    return {row["id"]: model.model_validate_json(row["data"]) for row in rows}


async def save(connection: Connection, table: str, said: Mapping[UUID, bytes], tenants: Mapping[UUID, str]) -> None:
    """Puts aggregates down as the payloads of their last events say; an aggregate's tenant never changes."""
    ids = sorted(said)
    await connection.execute(
        f"""INSERT INTO {table} (id, tenant, data)
            SELECT id, tenant, data::jsonb FROM unnest($1::uuid[], $2::text[], $3::text[]) AS n(id, tenant, data)
            ON CONFLICT (id) DO UPDATE SET data = EXCLUDED.data""",  # noqa: S608  # a name from the wiring
        ids,
        [tenants[subject] for subject in ids],
        [said[subject].decode() for subject in ids],
    )
