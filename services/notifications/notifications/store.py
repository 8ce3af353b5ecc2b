"""SQL of notifications: deliveries come in with the events, mails are made of what is due."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from notifications import domain
from notifications.domain import Delivery
from servicekit.database import Connection

MOST_IN_ONE_MAIL: Final = 100
# The head of each line that has no mail before its first try, oldest first. Each line is asked for by itself, so that a
# long one hides none of the others.
DUE: Final = """
    WITH line AS MATERIALIZED (
        SELECT tenant, rule FROM contact CROSS JOIN unnest($2::text[]) AS rules (rule)
        WHERE NOT EXISTS (SELECT FROM mail m WHERE m.tenant = contact.tenant AND m.rule = rules.rule
                                               AND m.sent_at IS NULL AND m.attempts = 0)
    )
    SELECT line.tenant, line.rule, head.ids
    FROM line CROSS JOIN LATERAL (
        SELECT array_agg(id ORDER BY due_at, id) AS ids, min(due_at) AS since
        FROM (SELECT id, due_at FROM delivery
              WHERE tenant = line.tenant AND rule = line.rule AND mail IS NULL AND NOT cancelled
                AND due_at <= statement_timestamp()
              ORDER BY due_at, id LIMIT $1 FOR UPDATE SKIP LOCKED) taken
    ) head
    WHERE head.ids IS NOT NULL
    ORDER BY head.since, line.tenant, line.rule
"""


async def add(connection: Connection, deliveries: Sequence[Delivery]) -> None:
    """Adds what is new, in the order of its coming. What was told, or cancelled, stays so; what is still to be told is
    told as it was said last: what waits may wait for something else by then."""
    ordered = sorted(deliveries, key=lambda each: each.id)
    await connection.executemany(
        """INSERT INTO delivery (id, rule, tenant, cause, due_at, told, traceparent) VALUES ($1, $2, $3, $4, $5, $6, $7)
           ON CONFLICT (id) DO UPDATE SET told = EXCLUDED.told
           WHERE delivery.mail IS NULL AND NOT delivery.cancelled AND delivery.told IS DISTINCT FROM EXCLUDED.told""",
        [(each.id, each.rule, each.tenant, each.cause, each.due_at, each.told, each.traceparent) for each in ordered],
    )


async def cancel(connection: Connection, deliveries: Sequence[UUID]) -> None:
    """What no longer waits is not told to wait, unless it has been."""
    await connection.execute(
        """UPDATE delivery SET cancelled = true
           WHERE id IN (SELECT id FROM delivery WHERE id = ANY($1::uuid[]) AND mail IS NULL AND NOT cancelled
                        ORDER BY id FOR UPDATE)""",
        deliveries,
    )


async def make_mails(connection: Connection) -> int:
    """Puts what is due into mails, one per tenant and rule, for tenants that have a contact; returns how many mails.

    Who has more to be told than one mail holds gets the next one when that has been tried, behind all others.
    """
    groups = await connection.fetch(DUE, MOST_IN_ONE_MAIL, domain.RULES)
    for group in groups:
        mail_id = domain.mail_id(group["ids"])
        await connection.execute(
            "INSERT INTO mail (id, tenant, rule) VALUES ($1, $2, $3)", mail_id, group["tenant"], group["rule"]
        )
        await connection.execute("UPDATE delivery SET mail = $1 WHERE id = ANY($2::uuid[])", mail_id, group["ids"])
    return len(groups)


async def unsent(connection: Connection) -> tuple[int, float]:
    """How many mails are not sent, and how many seconds ago the oldest of them was made (0 if there is none)."""
    row = await connection.fetchrow(
        """SELECT count(*), coalesce(extract(epoch FROM clock_timestamp() - min(made_at)), 0)::float8
           FROM mail WHERE sent_at IS NULL"""
    )
    assert row is not None
    return row[0], row[1]


async def claim(connection: Connection, lease_s: int, limit: int) -> list[dict[str, Any]]:
    """Mails to send now, each with its address, what it tells and the traces of that; nobody else gets them while the
    lease lasts."""
    rows = await connection.fetch(
        """UPDATE mail SET next_at = clock_timestamp() + make_interval(secs => $1::float8), attempts = attempts + 1
           WHERE id IN (SELECT id FROM mail WHERE sent_at IS NULL AND next_at <= clock_timestamp()
                        ORDER BY next_at LIMIT $2 FOR UPDATE SKIP LOCKED)
           RETURNING id, tenant, rule, made_at, attempts,
                     (SELECT c.address FROM contact c WHERE c.tenant = mail.tenant) AS address""",
        float(lease_s),
        limit,
    )
    told = await connection.fetch(
        "SELECT mail, told, traceparent FROM delivery WHERE mail = ANY($1::uuid[]) ORDER BY due_at, id",
        [row["id"] for row in rows],
    )
    of_mail = {row["id"]: [each for each in told if each["mail"] == row["id"]] for row in rows}
    return [
        {**row, "entries": [each["told"] for each in found], "traces": [each["traceparent"] for each in found]}
        for row, found in zip(rows, of_mail.values(), strict=True)
    ]


async def sent(connection: Connection, mail_id: UUID) -> None:
    """The mail server has taken it."""
    await connection.execute("UPDATE mail SET sent_at = clock_timestamp(), error = NULL WHERE id = $1", mail_id)


async def put_off(connection: Connection, mail_id: UUID, wait_s: float, error: str) -> None:
    """It could not be sent; it is tried again after so many seconds."""
    await connection.execute(
        """UPDATE mail SET next_at = clock_timestamp() + make_interval(secs => $2::float8), error = $3
           WHERE id = $1""",
        mail_id,
        wait_s,
        error[:500],
    )


async def set_contact(connection: Connection, tenant: str, address: str) -> None:
    """From now on the tenant is told at this address, also what has been due meanwhile."""
    await connection.execute(
        """INSERT INTO contact (tenant, address) VALUES ($1, $2)
           ON CONFLICT (tenant) DO UPDATE SET address = EXCLUDED.address, set_at = clock_timestamp()""",
        tenant,
        address,
    )


async def contacts(connection: Connection) -> list[tuple[str, str, datetime]]:
    """Every tenant that is told, and where."""
    rows = await connection.fetch("SELECT tenant, address, set_at FROM contact ORDER BY tenant")
    return [(row["tenant"], row["address"], row["set_at"]) for row in rows]
