"""Submissions taken back from the topics after the database was set back (see `servicekit.adopt`)."""

import json
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from contracts.submission import SUBMISSIONS, SubmissionWithdrawn
from contracts.topics import TOPICS
from gateway import store
from servicekit.database import Connection
from servicekit.message import Message


async def take(connection: Connection, said: Sequence[Message]) -> int:
    """Keeps what the gateway has answered for, under the ids that it answered with; returns how many were not known.

    The event's own bytes are gone with the database: its body is put together anew, and says the same.
    """
    count = 0
    for withdrawals in (False, True):  # a withdrawal is about what its target is about
        mine = [m for m in said if m.envelope and m.data and isinstance(m.data, SubmissionWithdrawn) == withdrawals]
        targets = await store.kept(connection, [_target(m) for m in mine]) if withdrawals else {}
        rows = []
        for message in mine:
            target = targets.get(_target(message)) if withdrawals else None
            rows.append(_row(message, target.subject_ref if target else _ref(message)))
        count += await _keep(connection, rows)
    return count


def _target(message: Message) -> tuple[str, str]:
    assert isinstance(message.data, SubmissionWithdrawn)
    return (message.named("source") or "", message.data.event_id)


def _ref(message: Message) -> str:
    """As the province writes it; a withdrawal whose target is not known has only the id."""
    kind = SUBMISSIONS.get(message.named("type") or "")
    if kind is None or message.data is None:
        return f"/{message.named('subject')}"
    return str(kind.subject(message.data)[1])


def _row(message: Message, ref: str) -> tuple[Any, ...]:
    envelope = message.envelope
    assert envelope is not None  # `take` leaves out what does not decode
    body = {
        "specversion": "1.0",
        "id": envelope.id,
        "source": envelope.source,
        "type": envelope.type,
        "time": message.named("time"),
        "data": json.loads(message.payload),
    }
    return (
        UUID(envelope.correlationid),
        envelope.tenant,
        envelope.source,
        envelope.id,
        ref.partition("/")[0],
        envelope.type,
        UUID(envelope.subject),
        ref,
        TOPICS[message.topic].reader,
        envelope.contentdigest or "",
        json.dumps(body, ensure_ascii=False).encode(),
        json.dumps(message.shown(), ensure_ascii=False),
        message.payload,
        envelope.recordedtime,
    )


async def _keep(connection: Connection, rows: Sequence[tuple[Any, ...]]) -> int:
    if not rows:
        return 0
    status = await connection.execute(
        f"""INSERT INTO submission (id, tenant, source, event_id, namespace, type, subject, subject_ref, service,
                                    digest, body, headers, payload, received_at, repeat_at, state)
            SELECT n.id, n.tenant, n.source, n.event_id, n.namespace, n.type, n.subject, n.subject_ref, n.service,
                   n.digest, n.body, n.headers::jsonb, n.payload, n.received_at, clock_timestamp(),
                   coalesce(({store.BEST_OUTCOME.format(row="n")}), 'received')
            FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::uuid[], $8::text[],
                        $9::text[], $10::text[], $11::bytea[], $12::text[], $13::bytea[], $14::timestamptz[])
              AS n(id, tenant, source, event_id, namespace, type, subject, subject_ref, service, digest,
                   body, headers, payload, received_at)
            ON CONFLICT DO NOTHING""",  # noqa: S608  # only the store's constant
        *(list(column) for column in zip(*rows, strict=True)),
    )
    return int(status.split()[-1])
