"""Seeded events of the real contracts, as the services and the gateway would put them on their topics."""

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import islice
from typing import Any, Final
from uuid import UUID, uuid5

from aiokafka import AIOKafkaProducer

from contracts import envelope as wire
from contracts.fields import Origin, Unit
from contracts.names import NAMES, Key, Ref
from contracts.registry import ProductDocument, ProductState, StatedPlace
from contracts.topics import domain_topic, submission_topic
from servicekit.kafka import start_producer
from servicekit.message import Kept, Message, decode
from tests.national.feed import headers_of
from tests.submissions import Province, owner, product, product_updated

TENANT: Final = "2025-68"
SOURCE: Final = f"/provinces/{TENANT}/bench"
RECEIVED: Final = datetime(2026, 9, 1, 12, 0, tzinfo=UTC)
PRODUCT: Final = domain_topic("registry", "product")
OWNERS: Final = 1000
AT_ONCE: Final = 2000  # records under way to the broker


@dataclass(frozen=True, slots=True)
class Record:
    """A record to be."""

    topic: str
    key: str
    headers: tuple[tuple[str, bytes], ...]
    payload: bytes

    def message(self) -> Message:
        """As its reader decodes it."""
        return decode(Kept(self.topic, 0, 0, self.headers, self.payload))

    @property
    def size(self) -> int:
        """Bytes of key, headers and payload."""
        return len(self.key) + len(self.payload) + sum(len(name) + len(value) for name, value in self.headers)


def products(events: int, subjects: int, *, seed: int = 1, prefix: str = "SP") -> Iterator[Record]:
    """Events of products, each subject's numbered 1, 2, … in order, the subjects in random order among them.

    A product is registered and then updated again and again from the same day on, so that it has one document, then
    two. At least one event for each subject.
    """
    order = [number % subjects for number in range(events)]
    random.Random(seed).shuffle(order)  # noqa: S311  # repeatable, not secret
    sequences = [0] * subjects
    for number in order:
        sequences[number] += 1
        yield product_event(f"{prefix}-{number}", sequences[number])


def product_event(ref: str, sequence: int) -> Record:
    """The product's event of this number."""
    key = Key.of("product", Ref(namespace=TENANT, ref=ref))
    documents = [_document(ref, key.id, 1, None)]
    if sequence > 1:
        documents.append(_document(ref, key.id, sequence, date(2025, 9, 1)))
    state = ProductState(id=key.id, namespace=key.namespace, ref=key.ref, documents=tuple(documents))
    happening = "registered" if sequence == 1 else "updated"
    return domain_event("registry", "product", happening, key.id, sequence, wire.encode(state))


def _document(ref: str, subject: UUID, sequence: int, since: date | None) -> ProductDocument:
    return ProductDocument(
        from_=since,
        owner=Key.of("owner", Ref(namespace=TENANT, ref=f"CT-{subject.int % OWNERS}")),
        name=f"Sản phẩm đo tốc độ {ref}, lần {sequence}",
        place=StatedPlace(province=Unit(catalogue="2025", code="68")),
        origin=origin(subject, sequence),
    )


def submission_id(subject: UUID, sequence: int) -> UUID:
    """Of the submission that made this event."""
    return uuid5(NAMES, f"bench/{subject}/{sequence}")


def origin(subject: UUID, sequence: int) -> Origin:
    """Where the statement of this number comes from."""
    return Origin(
        source=SOURCE,
        event_id=f"{subject}-{sequence}",
        submission_id=submission_id(subject, sequence),
        stated_on=RECEIVED.date(),
        received_at=RECEIVED,
        sequence=sequence,
    )


def domain_event(service: str, aggregate: str, happening: str, subject: UUID, sequence: int, payload: bytes) -> Record:
    """An event as the relay of its service writes it."""
    cause = submission_id(subject, sequence)
    stated = {"tenant": TENANT, "time": RECEIVED, "recordedtime": RECEIVED}
    headers = headers_of(service, aggregate, happening, subject, sequence, cause, **stated)
    return Record(domain_topic(service, aggregate), str(subject), headers, payload)


def _bytes(headers: dict[str, str]) -> tuple[tuple[str, bytes], ...]:
    return tuple((name, value.encode()) for name, value in headers.items())


def owner_submissions() -> Iterator[Record]:
    """One for each owner that the products name."""
    yield from submissions(owner(f"CT-{number}", id_=f"owner-{number}") for number in range(OWNERS))


def product_submissions(events: int, subjects: int, *, seed: int = 1, prefix: str = "SP") -> Iterator[Record]:
    """Submissions that will all be applied: each product is registered, then updated, in this order."""
    order = [number % subjects for number in range(events)]
    random.Random(seed).shuffle(order)  # noqa: S311  # repeatable, not secret
    yield from submissions(product_acts(order, prefix))


def product_acts(order: Iterable[int], prefix: str) -> Iterator[dict[str, Any]]:
    """The events behind them, as a province sends them; a number's first is its registration."""
    seen: dict[int, int] = {}
    for number in order:
        seen[number] = times = seen.get(number, 0) + 1
        ref, of, id_ = f"{prefix}-{number}", f"CT-{number % OWNERS}", f"{prefix}-{number}-{times}"
        yield product(ref, of, id_=id_) if times == 1 else product_updated(ref, of, id_=id_)


def submissions(events: Iterable[dict[str, Any]]) -> Iterator[Record]:
    """What the gateway makes of events, in their order."""
    province = Province(TENANT, RECEIVED)
    for event in events:
        sent = province.send(event, submission_id=uuid5(NAMES, f"bench/{event['id']}"))
        province.targets.clear()  # nothing is taken back here, and they would add up
        yield Record(submission_topic(sent.service), str(sent.subject), _bytes(sent.headers), sent.payload)


async def put(bootstrap: str, records: Iterable[Record]) -> int:
    """Sends the records in order, by the producer that the relay uses; returns how many, all acknowledged."""
    producer = await start_producer(bootstrap, "bench")
    try:
        return await send(producer, records)
    finally:
        await producer.stop()


async def send(producer: AIOKafkaProducer, records: Iterable[Record]) -> int:
    """The same by a producer that there is."""
    count, rest = 0, iter(records)
    while some := list(islice(rest, AT_ONCE)):
        sent = [
            await producer.send(record.topic, record.payload, key=record.key.encode(), headers=list(record.headers))
            for record in some
        ]
        for each in sent:
            await each
        count += len(some)
    return count
