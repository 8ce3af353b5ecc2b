"""What the deciding services say of submissions, kept and folded into each submission's state.

Outcomes are numbered per submission, and the submission's own row is the place where they come together: a
repeat changes nothing, and a number that comes late is only history.
"""

import json
from collections.abc import Sequence
from functools import partial
from typing import Final

from contracts.outcome import FINAL, Outcome
from contracts.topics import DECIDERS, outcome_topic
from gateway.store import BEST_OUTCOME
from servicekit import database
from servicekit.database import Connection
from servicekit.message import Message
from servicekit.metrics import METRICS

TOPICS: Final = tuple(outcome_topic(service) for service in DECIDERS)


async def hear(connection: Connection, messages: Sequence[Message]) -> None:
    """Keeps outcomes, also of submissions not known, and sets the state of those that are."""
    told = [
        (message.data, message.envelope.subjectsequence or 0, message.envelope.tenant)
        for message in messages
        if isinstance(message.data, Outcome) and message.envelope
    ]
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
    # Locked before: where two copies of an id are told of at once, the second must see what the first was told.
    await connection.execute(
        """SELECT FROM submission WHERE (source, event_id) IN (SELECT * FROM unnest($1::text[], $2::text[]))
           ORDER BY source, event_id FOR UPDATE""",
        [outcome.source for outcome, _, _ in told],
        [outcome.event_id for outcome, _, _ in told],
    )
    ended = await connection.fetch(
        f"""UPDATE submission s SET state = coalesce(({BEST_OUTCOME.format(row="s")}), s.state)
            WHERE (s.source, s.event_id) IN (SELECT * FROM unnest($1::text[], $2::text[]))
            RETURNING tenant, old.state AS before, new.state AS now,
                      extract(epoch FROM clock_timestamp()
                        - CASE WHEN fed_at < 'infinity' THEN fed_at WHEN fed_at IS NULL THEN received_at END
                      )::float8 AS seconds""",  # noqa: S608  # a constant
        [outcome.source for outcome, _, _ in told],
        [outcome.event_id for outcome, _, _ in told],
    )
    for row in ended:
        if row["now"] in FINAL and row["before"] not in FINAL:
            database.on_commit(METRICS.ended.labels(row["tenant"], row["now"]).inc)
            if row["before"] == "received" and row["seconds"] is not None:  # else it has never been fed
                database.on_commit(partial(METRICS.to_an_end.labels(row["now"]).observe, row["seconds"]))
