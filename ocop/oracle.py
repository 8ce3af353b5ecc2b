"""Says whether anything was lost, doubled or put out of order, from the databases and the topics alone.

Asked when all is quiet. The rules, each in its module of `ocop.rules`:

    O1  every accepted submission is in exactly one state, and gateway and decider agree on it
    O2  every event of a log is on its topic, byte for byte, first appearances in order; nothing else is there
    O3  every reader has applied 1 … n of every subject, each once, or a held row says why not
    O4  state is the fold of the log, and national tables are what a rebuild from the topics gives
    O5  what was refused in the HTTP answer is nowhere
    O7  everything belongs to the tenant that sent it

Who sent knows more (was it answered, with which bytes): the delivery tests keep a ledger and compare it (O1, O5, O6).
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from uuid import UUID

from national.projections import PROJECTIONS

from contracts.topics import DECIDERS, TOPICS
from ocop import trace
from ocop.errors import OcopError
from ocop.quiet import wait_until_quiet
from ocop.rules import tenants
from ocop.rules.applied import applied
from ocop.rules.decided import decided
from ocop.rules.deliveries import Deliveries
from ocop.rules.evidence import (
    READERS,
    Databases,
    Finding,
    Named,
    Witness,
    opened,
    passed_over,
    records,
    skipped,
)
from ocop.rules.said import Log, Outcomes, PassedOver, Submissions
from ocop.rules.states import Rebuild, folded, known_products

__all__ = ["Finding", "Named", "examine", "find", "records", "told", "wait_until_quiet"]

Moment = tuple[datetime, UUID]
NEVER: Moment = (datetime.min.replace(tzinfo=UTC), UUID(int=0))  # of what the gateway has no row of
NOBODY: Moment = (datetime.max.replace(tzinfo=UTC), UUID(int=2**128 - 1))  # of what names no submission


async def examine(bootstrap: str, urls: Mapping[str, str], refused: Collection[Named] = ()) -> list[str]:
    """All findings in words, as `told` gives them; empty is well."""
    return await told(bootstrap, urls, await find(bootstrap, urls, refused))


async def find(bootstrap: str, urls: Mapping[str, str], refused: Collection[Named] = ()) -> list[Finding]:
    """All findings. `urls` gives the database of each service that runs, by its name on the wire."""
    async with opened(urls, "ocop-oracle") as databases:
        findings = await _tables(databases)
        notifications = databases.get("notifications")
        outside = tenants.Refused(refused)
        deliveries = Deliveries(await skipped(notifications) if notifications else ())
        aside = await passed_over(databases)
        for topic in TOPICS:
            witnesses = await _witnesses(topic, databases, bootstrap, aside)
            rebuilds = await _rebuilds(topic, databases)
            told_of = topic.endswith(".outcome") or topic in READERS["notifications"]
            see = [outside.see, *(each.see for each in witnesses), *(each.see for each in rebuilds)]
            see += [deliveries.see] if told_of else []
            async for record in records(bootstrap, topic):
                for look in see:
                    look(record)
            for witness in witnesses:
                findings += await witness.end()
            for rebuild in rebuilds:
                findings += await rebuild.compare(databases["national"])
        if "notifications" in databases:
            findings += await deliveries.compare(databases)
        return findings + await outside.compare(databases)


async def _tables(databases: Databases) -> list[Finding]:
    """What the databases alone tell."""
    gateway = databases["gateway"]
    findings = await tenants.of_gateway(gateway)
    for service in DECIDERS:
        if service in databases:
            findings += await decided(gateway, service, databases[service])
            findings += await folded(service, databases[service])
            findings += await tenants.of_decider(service, databases[service])
    for reader, topics in READERS.items():
        for topic in topics:
            owner = TOPICS[topic].service
            if reader in databases and owner in databases:
                findings += await applied(reader, databases[reader], topic, databases[owner])
    if "registry" in databases:
        for reader in ("evaluation", "marketplace"):
            if reader in databases:
                findings += await known_products(reader, databases[reader], databases["registry"])
    if "notifications" in databases:
        findings += await tenants.of_deliveries(databases)
    return findings


async def _witnesses(name: str, databases: Databases, bootstrap: str, aside: PassedOver) -> list[Witness]:
    topic = TOPICS[name]
    if topic.kind == "submission":
        assert topic.reader is not None  # every submission topic has one
        return [await Submissions.of(databases["gateway"], topic.reader, aside)]
    if topic.service not in databases:
        return []
    if topic.kind == "outcome":
        gateway = databases["gateway"]
        return [await Outcomes.of(topic.service, databases[topic.service], gateway, bootstrap, aside)]
    assert topic.aggregate is not None  # every domain topic has one
    return [await Log.of(topic.service, topic.aggregate, databases[topic.service], aside)]


async def _rebuilds(topic: str, databases: Databases) -> list[Rebuild]:
    if "national" not in databases:
        return []
    rows = await databases["national"].fetch("SELECT DISTINCT subject FROM held WHERE queue = $1", topic)
    held = {row["subject"] for row in rows}
    numbers = await skipped(databases["national"])
    return [Rebuild(projection, held, numbers) for projection in PROJECTIONS if projection.topic == topic]


# -------------------------------------------------------------------- in words


async def told(bootstrap: str, urls: Mapping[str, str], findings: Sequence[Finding]) -> list[str]:
    """Findings in words, in the order in which their submissions came in; the first with that event's whole way.

    What the gateway has lost, or never had, comes before all that it has.
    """
    if not findings:
        return []
    async with opened(urls, "ocop-oracle") as databases:
        came = await _came(databases, findings)

    def moment(finding: Finding) -> Moment:
        return came.get(finding, NEVER) if finding.who is not None else NOBODY

    ordered = sorted(findings, key=moment)  # ids of one moment are in order, too
    words = [str(finding) for finding in ordered]
    who = ordered[0].who
    if who is not None:
        try:
            way = await trace.trace(bootstrap, urls, who if isinstance(who, tuple) else str(who))
        except OcopError as error:
            way = [("trace", str(error))]
        words[0] = "\n".join([words[0], *(f"    {where:14}{what}" for where, what in way)])
    return words


async def _came(databases: Databases, findings: Sequence[Finding]) -> dict[Finding, Moment]:
    """When the submission of each finding was received, and its id, as far as the gateway has it."""
    ids = [finding.who for finding in findings if isinstance(finding.who, UUID)]
    causes = {identifier: identifier for identifier in ids}
    for service in DECIDERS:
        if service in databases:
            query = "SELECT id, cause FROM event WHERE id = ANY($1::uuid[])"
            causes |= {row["id"]: row["cause"] for row in await databases[service].fetch(query, ids)}
    names = [finding.who for finding in findings if isinstance(finding.who, tuple)]
    found = await databases["gateway"].fetch(
        """SELECT source, event_id, id, received_at FROM submission
           WHERE id = ANY($1::uuid[]) OR (source, event_id) IN (SELECT * FROM unnest($2::text[], $3::text[]))""",
        list(causes.values()),
        [source for source, _ in names],
        [event_id for _, event_id in names],
    )
    of_name = {(row["source"], row["event_id"]): (row["received_at"], row["id"]) for row in found}
    of_id = {row["id"]: (row["received_at"], row["id"]) for row in found}
    came = {}
    for finding in findings:
        who = finding.who
        place = of_id.get(causes[who]) if isinstance(who, UUID) else of_name.get(who) if who else None
        if place is not None:
            came[finding] = place
    return came
