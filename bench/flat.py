"""Events as the peer needs them: rows of the table, in JSON that carries its schema."""

import json
from collections.abc import Iterable, Iterator
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

from bench.data import Record
from bench.limit import PROJECTION
from servicekit.projector import Event

TOPIC: Final = "bench.product"
TABLE: Final = "product_event"
# Column -> its type in Connect's words.
FIELDS: Final[dict[str, dict[str, Any]]] = {
    "id": {"type": "string", "name": "io.debezium.data.Uuid"},
    "topic": {"type": "string"},
    "subject": {"type": "string", "name": "io.debezium.data.Uuid"},
    "sequence": {"type": "int64"},
    "type": {"type": "string"},
    "time": {"type": "string", "name": "io.debezium.time.ZonedTimestamp"},
    "stated_on": {"type": "int32", "name": "org.apache.kafka.connect.data.Date"},
    "recorded_at": {"type": "string", "name": "io.debezium.time.ZonedTimestamp"},
    "tenant": {"type": "string"},
    "namespace": {"type": "string"},
    "canary": {"type": "boolean"},
    "source": {"type": "string", "optional": True},
    "event_id": {"type": "string", "optional": True},
    "correlationid": {"type": "string", "name": "io.debezium.data.Uuid"},
    "causationid": {"type": "string", "name": "io.debezium.data.Uuid"},
    "payload": {"type": "string", "name": "io.debezium.data.Json"},
}
SCHEMA: Final = {"type": "struct", "fields": [{"field": name, **kind} for name, kind in FIELDS.items()]}


def flat(records: Iterable[Record]) -> Iterator[Record]:
    """The same events, in the same order and with the same keys, as rows in JSON with their schema."""
    columns = next(table.columns for table in PROJECTION.tables if table.name == TABLE)
    schema = json.dumps(SCHEMA)
    for record in records:
        ((*values,),) = PROJECTION.rows(Event.of(record.message()))[TABLE]
        row = {name: _plain(value) for name, value in zip(columns, values, strict=True)}
        value = f'{{"schema":{schema},"payload":{json.dumps(row, ensure_ascii=False)}}}'
        yield Record(TOPIC, record.key, (), value.encode())


def _plain(value: Any) -> Any:
    match value:
        case UUID():
            return str(value)
        case datetime():
            return value.isoformat()
        case date():
            return (value - date(1970, 1, 1)).days
        case _:
            return value
