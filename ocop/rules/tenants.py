"""O5 and O7: what was refused is nowhere, and everything belongs to the tenant that sent it."""

from collections.abc import Collection
from uuid import UUID

from contracts.topics import DECIDERS, TOPICS
from ocop.rules.evidence import Connection, Databases, Finding, Named, Record, rows

SENT = {"gateway": ("submission", "outcome", "held"), "national": ("event",)}
DECIDING = ("inbox", "held")


class Refused:
    """Sees every topic: what was refused in the HTTP answer is on none of them, and in no table."""

    def __init__(self, refused: Collection[Named]) -> None:
        self._refused = set(refused)
        self._findings: list[Finding] = []

    def see(self, record: Record) -> None:
        """One record of any topic."""
        if record.event in self._refused:
            self._findings.append(Finding("O5", f"{record.place} was refused", record.event))

    async def compare(self, databases: Databases) -> list[Finding]:
        """What was found on topics, and what is in tables."""
        findings = list(self._findings)
        for service, connection in databases.items():
            for table in SENT.get(service, DECIDING if service in DECIDERS else ()):
                found = await connection.fetch(
                    f"""SELECT DISTINCT source, event_id FROM {table} JOIN unnest($1::text[], $2::text[])
                        AS refused(source, event_id) USING (source, event_id)""",  # noqa: S608  # names from above
                    [source for source, _ in self._refused],
                    [event_id for _, event_id in self._refused],
                )
                for row in found:
                    event = (row["source"], row["event_id"])
                    findings.append(Finding("O5", f"{service}.{table}: {event} was refused", event))
        return findings


async def of_gateway(gateway: Connection) -> list[Finding]:
    """Submissions and outcomes that are another's than their source says."""
    findings = []
    for table in ("submission", "outcome"):
        query = f"SELECT source, event_id, tenant FROM {table} WHERE tenant <> split_part(source, '/', 3)"  # noqa: S608  # from above
        for row in await gateway.fetch(query):
            text = f"gateway.{table}: {row['event_id']} of {row['source']} belongs to {row['tenant']}"
            findings.append(Finding("O7", text, (row["source"], row["event_id"])))
    return findings


async def of_decider(service: str, decider: Connection) -> list[Finding]:
    """Events and states that are another's than their submission."""
    findings = []
    query = """SELECT e.id, e.headers ->> 'ce_tenant' AS tenant, i.source
               FROM event e JOIN inbox i ON i.submission_id = e.cause
               WHERE e.headers ->> 'ce_tenant' IS DISTINCT FROM split_part(i.source, '/', 3)"""
    for row in await decider.fetch(query):
        text = f"{service}: event {row['id']} of {row['source']} belongs to {row['tenant']}"
        findings.append(Finding("O7", text, row["id"]))
    for topic in TOPICS.values():
        if topic.kind == "domain" and topic.service == service:
            query = f"""SELECT e.id, s.id AS subject, s.tenant FROM {topic.aggregate} s
                        JOIN event e ON e.aggregate = $1 AND e.subject = s.id
                        WHERE e.headers ->> 'ce_tenant' IS DISTINCT FROM s.tenant"""  # noqa: S608  # the catalogue's
            for row in await decider.fetch(query, topic.aggregate):
                text = f"{service}: {topic.aggregate} {row['subject']} of {row['id']} belongs to {row['tenant']}"
                findings.append(Finding("O7", text, row["id"]))
    return findings


# Where the cause of a delivery is, by its rule, and whose it is there.
CAUSES = {
    ("rejected", "waiting"): ("gateway", "SELECT id, tenant FROM submission"),
    ("revoked",): ("evaluation", "SELECT id, headers ->> 'ce_tenant' AS tenant FROM event"),
}


async def of_deliveries(databases: Databases) -> list[Finding]:
    """Deliveries that are another's than the submission or the revocation that they tell of, and mails that are
    another's than what they tell."""
    notifications, findings = databases["notifications"], []
    for rules, (service, whose) in CAUSES.items():
        if service not in databases:
            continue
        owners: dict[UUID, str] = {}
        query = "SELECT cause, tenant FROM delivery WHERE rule = ANY($1::text[])"
        async for row in rows(notifications, query, list(rules)):
            owners[row["cause"]] = row["tenant"]
        wrong = await databases[service].fetch(
            f"""SELECT c.id, c.tenant FROM ({whose}) c JOIN unnest($1::uuid[], $2::text[]) AS told(id, tenant)
                ON c.id = told.id WHERE c.tenant IS DISTINCT FROM told.tenant""",  # noqa: S608  # from above
            list(owners),
            list(owners.values()),
        )
        for row in wrong:
            text = f"notifications: {row['tenant']}'s {row['id']} is told to {owners[row['id']]}"
            findings.append(Finding("O7", text, row["id"]))
    query = """SELECT d.cause, d.tenant, m.tenant AS told FROM delivery d JOIN mail m ON m.id = d.mail
               WHERE m.tenant <> d.tenant"""
    for row in await notifications.fetch(query):
        text = f"notifications: {row['tenant']}'s {row['cause']} is in a mail to {row['told']}"
        findings.append(Finding("O7", text, row["cause"]))
    return findings
