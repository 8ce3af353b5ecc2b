"""What a service says, kept with the work that made it say so; the relay carries it to Kafka."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic_core import to_json

from servicekit.database import Connection


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One record to be: headers are text, the key is the subject."""

    topic: str
    key: str
    headers: Mapping[str, str]
    payload: bytes


async def put(connection: Connection, outgoing: Sequence[Outgoing]) -> None:
    """Adds rows in the order given. Call it last: rows inserted after all locks are held keep, per subject,
    the order of id equal to the order of sequence."""
    if not outgoing:
        return
    await connection.execute(
        """INSERT INTO outbox (topic, key, headers, payload)
           SELECT topic, key, headers::jsonb, payload
           FROM unnest($1::text[], $2::text[], $3::text[], $4::bytea[]) WITH ORDINALITY
             AS o(topic, key, headers, payload, n) ORDER BY n""",
        [row.topic for row in outgoing],
        [row.key for row in outgoing],
        [headers_json(row.headers) for row in outgoing],
        [row.payload for row in outgoing],
    )


def headers_json(headers: Mapping[str, str]) -> str:
    """Headers as they are kept."""
    return to_json(headers).decode()
