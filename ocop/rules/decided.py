"""O1: every accepted submission is in exactly one state, and gateway and decider agree on it."""

from sys import intern

from contracts.submission import WITHDRAWN
from ocop.rules.evidence import Connection, Finding, Named, digest, rows, submissions_passed_over
from servicekit import failure

HELD = {"waiting": ("waiting", "behind"), "failed": ("failed",)}
# With the reason of the last outcome that says so; what a conflict was told is of another copy. What waits in the
# backfill lane has not been sent.
ACCEPTED = """SELECT s.source, s.event_id, s.type, s.state, o.code, o.pointer,
                     s.state = 'received' AND s.fed_at IS NOT DISTINCT FROM 'infinity' AS in_lane FROM submission s
    LEFT JOIN LATERAL (SELECT code, pointer FROM outcome o
                       WHERE o.source = s.source AND o.event_id = s.event_id AND o.state = s.state
                         AND o.code IS DISTINCT FROM 'conflict' ORDER BY o.number DESC LIMIT 1) o ON true
    WHERE s.service = $1"""


async def decided(gateway: Connection, service: str, decider: Connection) -> list[Finding]:
    """Compares what the gateway accepted for a service with its inbox, its held rows and its log."""
    return [
        *await _states(gateway, service, decider),
        *await _bytes(gateway, service, decider),
        *await _heads(service, decider),
        *await _events(service, decider),
    ]


async def _states(gateway: Connection, service: str, decider: Connection) -> list[Finding]:
    inbox: dict[Named, tuple[str, str, int]] = {}
    query = "SELECT source, event_id, state, code, pointer, cardinality(event_ids) AS made FROM inbox"
    async for row in rows(decider, query):
        inbox[intern(row["source"]), row["event_id"]] = (intern(row["state"]), _reason(row), row["made"])
    held: dict[Named, list[str]] = {}
    async for row in rows(decider, "SELECT source, event_id, reason FROM held WHERE source <> '' AND event_id <> ''"):
        held.setdefault((intern(row["source"]), row["event_id"]), []).append(intern(row["reason"]))
    findings: list[Finding] = []

    def found(event: Named, text: str) -> None:
        findings.append(Finding("O1", f"{service}: {event} {text}", event))

    accepted: set[Named] = set()
    async for row in rows(gateway, ACCEPTED, service):
        event = (intern(row["source"]), row["event_id"])
        accepted.add(event)
        if event not in inbox:
            if not row["in_lane"]:
                found(event, "was accepted and never arrived")
            continue
        (state, reason, made), reasons = inbox[event], held.get(event, [])
        if state == "applied" and made != (row["type"] != WITHDRAWN):
            found(event, f"is applied and has made {made} events")
        if state != row["state"]:
            found(event, f"is {state}, the gateway says {row['state']}")
        elif reason != _reason(row):
            found(event, f"is {state} for {reason!r}, the gateway says {_reason(row)!r}")
        elif len(reasons) != (1 if state in HELD else 0) or not set(reasons) <= set(HELD.get(state, ())):
            found(event, f"is {state}, with held rows {reasons}")
    for event in inbox.keys() - accepted - await submissions_passed_over(decider):
        found(event, "was decided and never accepted")
    for event in held.keys() - inbox.keys():
        found(event, "is held and unknown to the inbox")
    return findings


async def _bytes(gateway: Connection, service: str, decider: Connection) -> list[Finding]:
    """What is held says what was accepted. Bytes that did not decode may be a stranger's: they stand for nothing."""
    query = """SELECT source, event_id, payload FROM held
               WHERE source <> '' AND event_id <> '' AND error->>'class' IS DISTINCT FROM $1"""
    held = {
        (row["source"], row["event_id"]): digest(row["payload"])
        async for row in rows(decider, query, failure.UNDECODABLE)
    }
    query = "SELECT source, event_id, payload FROM submission WHERE service = $1 AND state IN ('waiting', 'failed')"
    findings = []
    async for row in rows(gateway, query, service):
        event, accepted = _event(row), digest(row["payload"])
        if held.get(event, accepted) != accepted:
            findings.append(Finding("O1", f"{service}: {event} is held otherwise than it was accepted", event))
    return findings


async def _heads(service: str, decider: Connection) -> list[Finding]:
    """What stands behind another stands behind one that waits, failed, or has not come."""
    heads = await decider.fetch(
        """SELECT * FROM (SELECT DISTINCT ON (queue, subject) queue, subject, reason, source, event_id FROM held
                          WHERE queue IS NOT NULL ORDER BY queue, subject, coalesce(n, id)) head
           WHERE reason = 'behind'"""
    )
    return [
        Finding("O1", f"{service}: {_event(row)} stands behind nothing in {row['queue']} {row['subject']}", _event(row))
        for row in heads
    ]


async def _events(service: str, decider: Connection) -> list[Finding]:
    """What was applied has said what the inbox names, as its cause, and nothing else has been said."""
    said = "SELECT source, event_id, submission_id, state, unnest(event_ids) AS id FROM inbox"
    missing = await decider.fetch(
        f"SELECT source, event_id, id FROM ({said}) i WHERE NOT EXISTS (SELECT FROM event e WHERE e.id = i.id)"  # noqa: S608  # from above
    )
    strange = await decider.fetch(
        f"""SELECT e.id, i.state FROM event e LEFT JOIN ({said}) i ON i.id = e.id
            WHERE i.state IS DISTINCT FROM 'applied'"""  # noqa: S608  # from above
    )
    others = await decider.fetch(
        f"""SELECT i.source, i.event_id, e.id, e.cause FROM event e JOIN ({said}) i ON i.id = e.id
            WHERE i.submission_id IS DISTINCT FROM e.cause"""  # noqa: S608  # from above
    )
    return [
        *(
            Finding(
                "O1", f"{service}: {_event(row)} is said to have made {row['id']}, which the log lacks", _event(row)
            )
            for row in missing
        ),
        *(
            Finding("O1", f"{service}: {_event(row)} has made {row['id']}, caused by {row['cause']}", _event(row))
            for row in others
        ),
        *(
            Finding("O1", f"{service}: event {row['id']} is in the log, its submission {row['state']}", row["id"])
            for row in strange
        ),
    ]


def _reason(row: object) -> str:
    """Code and place, as both sides write them."""
    return f"{row['code'] or ''} {row['pointer'] or ''}".strip()  # type: ignore[index]  # as below


def _event(row: object) -> Named:
    return (row["source"], row["event_id"])  # type: ignore[index]  # asyncpg's records have no type for it
