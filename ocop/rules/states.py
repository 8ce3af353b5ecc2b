"""O4: state is the fold of the log, and national tables are what a rebuild from the topics gives."""

import json
from collections import Counter
from collections.abc import Collection, Iterable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from contracts.topics import TOPICS
from ocop.rules.evidence import Connection, Finding, Record, digest, rows
from servicekit.message import decode
from servicekit.projector import Event, Projection


async def folded(service: str, decider: Connection) -> list[Finding]:
    """States that are not what the last event of their log says."""
    findings = []
    for topic in TOPICS.values():
        if topic.kind != "domain" or topic.service != service:
            continue
        query = f"""SELECT coalesce(s.id, e.subject) AS id, e.id AS event FROM {topic.aggregate} s
                    FULL JOIN (SELECT DISTINCT ON (subject) subject, id, payload FROM event WHERE aggregate = $1
                               ORDER BY subject, sequence DESC) e ON e.subject = s.id
                    WHERE s.data IS DISTINCT FROM convert_from(e.payload, 'UTF8')::jsonb"""  # noqa: S608  # the catalogue's
        for row in await decider.fetch(query, topic.aggregate):
            text = f"{service}: {topic.aggregate} {row['id']} is not what its log says"
            findings.append(Finding("O4", text, row["event"]))
    return findings


async def known_products(reader: str, connection: Connection, registry: Connection) -> list[Finding]:
    """Products that a reader knows otherwise than the registry does, by existence and tenant."""
    products = {(row["id"], row["tenant"]) async for row in rows(registry, "SELECT id, tenant FROM product")}
    known = {(row["id"], row["tenant"]) async for row in rows(connection, "SELECT id, tenant FROM known_product")}
    # What waits for a product stands under the product's id, too, and is no reason not to know it.
    query = "SELECT subject FROM held WHERE queue = $1 UNION SELECT subject FROM skipped WHERE queue = $1"
    held = {row["subject"] for row in await connection.fetch(query, "ocop.registry.product")}
    wrong = {product for product, _ in products ^ known} - held
    return [Finding("O4", f"{reader}: product {product} is not known as the registry has it") for product in wrong]


class Rebuild:
    """Sees a numbered topic and works out the rows of its projection: each event once, states from the highest number.

    Subjects that something is held of are left out, and numbers that were passed over.
    """

    def __init__(
        self, projection: Projection, held: Collection[UUID], skipped: Collection[tuple[str, UUID, int]]
    ) -> None:
        self._projection, self._held, self._skipped = projection, held, skipped
        self._tables = {table.name: table for table in projection.tables}
        self._seen: set[tuple[UUID, int]] = set()
        self._per_event: dict[str, dict[bytes, UUID]] = {t.name: {} for t in projection.tables if t.per == "event"}
        self._last: dict[UUID, tuple[int, UUID, dict[str, list[bytes]]]] = {}

    def see(self, record: Record) -> None:
        """One record; what does not decode, or repeats, changes nothing."""
        message = decode(record)
        if message.envelope is None or message.data is None or message.envelope.subjectsequence is None:
            return
        event = Event.of(message)
        subject, number, event_id = event.subject, message.envelope.subjectsequence, event.id
        if subject in self._held or record.number in self._skipped or (subject, number) in self._seen:
            return
        self._seen.add((subject, number))
        made = {name: list(map(_written, rows)) for name, rows in self._projection.rows(event).items()}
        for name in self._per_event:
            self._per_event[name] |= dict.fromkeys(made.pop(name, ()), event_id)
        if number > self._last.get(subject, (0,))[0]:
            self._last[subject] = (number, event_id, made)

    async def compare(self, connection: Connection) -> list[Finding]:
        """The first row of each table that a rebuild would not give, and the first that is missing."""
        findings = []
        for table in self._projection.tables:
            made_by = dict(self._per_event.get(table.name, {}))
            expected = Counter(made_by.keys())
            if table.per != "event":
                for _, event_id, made in self._last.values():
                    for row in made.get(table.name, ()):
                        expected[row] += 1
                        made_by[row] = event_id
            columns = ", ".join(f'"{column}"' for column in table.columns)
            strange = None
            async for found in rows(connection, f"SELECT {columns} FROM {table.name}"):  # noqa: S608  # wiring
                if found["subject" if table.per == "event" else 0] in self._held:
                    continue
                written = _written(tuple(found))
                if expected[written] > 0:
                    expected[written] -= 1
                elif strange is None:
                    strange = found
            if strange is not None:
                who = strange["id"] if table.per == "event" else strange["event"]
                findings.append(Finding("O4", f"national.{table.name}: {strange} is not what a rebuild gives", who))
            missing = next((row for row, count in expected.items() if count > 0), None)
            if missing is not None:
                text = f"national.{table.name}: a row of event {made_by[missing]} is missing"
                findings.append(Finding("O4", text, made_by[missing]))
        return findings


def _written(row: Iterable[Any]) -> bytes:
    """A digest of a row, the same whether it comes from a projection or from PostgreSQL."""
    return digest(
        json.dumps([_plain(value) for value in row], ensure_ascii=False, sort_keys=True, default=str).encode()
    )


def _plain(value: Any) -> Any:
    if isinstance(value, tuple | list):
        return [_plain(each) for each in value]
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, str) and value[:1] in ("{", "["):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    return value
