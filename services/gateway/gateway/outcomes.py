"""What the deciding services say of submissions, kept and folded into each submission's state.

Outcomes are numbered per submission, and the submission's own row is the place where they come together, so
there is no stream to keep: a repeat changes nothing, and a number that comes late is only history.
"""

import json
from collections.abc import Sequence
from typing import Any

from contracts.outcome import Outcome
from contracts.topics import DECIDERS, outcome_topic
from gateway.store import BEST_OUTCOME
from servicekit import held
from servicekit.database import Connection
from servicekit.held import Changes, HeldRow, Key
from servicekit.message import Message


class Outcomes:
    """Reads the outcome topics of all deciding services."""

    topics = tuple(outcome_topic(service) for service in DECIDERS)

    async def handle(self, connection: Connection, messages: Sequence[Message], depth: int = 0) -> None:  # noqa: ARG002  # nothing queues here
        """Keeps outcomes and sets the state of their submissions."""
        changes = Changes()
        told = []
        for message in messages:
            if isinstance(message.data, Outcome) and message.envelope and message.envelope.subjectsequence:
                told.append((message.data, message.envelope.subjectsequence, message.envelope.tenant))
            elif not message.ignored and not await held.same_bytes(connection, message):
                changes.added.append(_aside(message, {"class": "undecodable", "text": message.error}))
        await held.write(connection, changes)
        if not told:
            return
        await connection.execute(
            """INSERT INTO outcome (source, event_id, submission_id, number, tenant, state, code, pointer, params,
                                    event_ids)
               SELECT source, event_id, submission_id, number, tenant, state, code, pointer, params::jsonb,
                      coalesce(string_to_array(nullif(event_ids, ''), ',')::uuid[], '{}')
               FROM unnest($1::text[], $2::text[], $3::uuid[], $4::int[], $5::text[], $6::text[], $7::text[],
                           $8::text[], $9::text[], $10::text[])
                 AS n(source, event_id, submission_id, number, tenant, state, code, pointer, params, event_ids)
               ORDER BY 1, 2, 3, 4 ON CONFLICT DO NOTHING""",
            [outcome.source for outcome, _, _ in told],
            [outcome.event_id for outcome, _, _ in told],
            [outcome.submission_id for outcome, _, _ in told],
            [number for _, number, _ in told],
            [tenant for _, _, tenant in told],
            [outcome.state for outcome, _, _ in told],
            [outcome.code for outcome, _, _ in told],
            [outcome.pointer for outcome, _, _ in told],
            [json.dumps(outcome.params, ensure_ascii=False) for outcome, _, _ in told],
            [",".join(map(str, outcome.event_ids)) for outcome, _, _ in told],
        )
        await connection.execute(
            f"""UPDATE submission s SET state = coalesce(({BEST_OUTCOME.format(row="s")}), s.state)
                WHERE (s.source, s.event_id) IN (SELECT * FROM unnest($1::text[], $2::text[]))""",  # noqa: S608  # a constant
            [outcome.source for outcome, _, _ in told],
            [outcome.event_id for outcome, _, _ in told],
        )

    async def fail(self, connection: Connection, message: Message, error: dict[str, Any]) -> None:
        """Puts an outcome aside that the code cannot handle; nothing stands behind it."""
        await held.write(connection, Changes(added=[_aside(message, error)]))

    async def ready(self, connection: Connection, limit: int) -> list[Key]:  # noqa: ARG002  # nothing queues here
        """Nothing: outcomes do not wait for each other."""
        return []

    async def drain(self, connection: Connection, keys: Sequence[Key], depth: int = 0) -> None:
        """Nothing to drain."""

    async def fail_head(self, connection: Connection, key: Key, error: dict[str, Any]) -> None:
        """Nothing has a head."""

    async def sweep(self, connection: Connection) -> int:  # noqa: ARG002  # nothing queues here
        """Nothing waits."""
        return 0


def _aside(message: Message, error: dict[str, Any]) -> HeldRow:
    row = HeldRow(None, "failed", message, error=error)
    row.source, row.event_id = message.named("source"), message.named("id")
    return row
