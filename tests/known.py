"""Products as the registry tells of them on its topic, and a service's polls over several topics at once."""

from collections.abc import Sequence
from itertools import count
from uuid import UUID

from registry.domain import decide_product

from contracts.decision import Decision
from contracts.envelope import Envelope, dataschema, encode, to_headers
from contracts.names import Ref, aggregate_id, event_id
from servicekit.database import Pool
from servicekit.handler import Handler
from servicekit.message import Kept, Message, decode
from tests.deciding import RECEIVED, last
from tests.submissions import TENANT, product, product_updated

OWNER = aggregate_id("owner", Ref(namespace=TENANT, ref="CT-1"))
_offsets = count()


def product_id(name: str = "SP-1") -> UUID:
    return aggregate_id("product", Ref(namespace=TENANT, ref=name))


def product_told(name: str = "SP-1", number: int = 1, tenant: str = TENANT) -> Message:
    """The registry's event of that number about a product of a tenant's."""
    verdict = last(decide_product, [product(name), *[product_updated(name)] * (number - 1)], {OWNER: TENANT})
    assert isinstance(verdict, Decision)
    (said,) = verdict.events
    cause = event_id(product_id(name), "test", number)
    envelope = Envelope(
        id=str(event_id(cause, "registry", 0)),
        source="/services/registry",
        type=said.type,
        subject=str(product_id(name)),
        time=RECEIVED,
        dataschema=dataschema(said.type),
        tenant=tenant,
        correlationid=str(cause),
        causationid=str(cause),
        recordedtime=RECEIVED,
        subjectsequence=number,
    )
    headers = tuple((key, value.encode()) for key, value in to_headers(envelope).items())
    return decode(Kept("ocop.registry.product", 0, next(_offsets), headers, encode(said.data)))


async def poll(pool: Pool, reads: Sequence[Handler], *messages: Message) -> None:
    """One poll's transaction: each reader in its turn gets the records of its topics."""
    async with pool.acquire() as connection, connection.transaction():
        for handler in reads:
            mine = [message for message in messages if message.topic in handler.topics]
            if mine:
                await handler.handle(connection, mine)


async def drain(pool: Pool, reads: Sequence[Handler]) -> int:
    """Tries ready heads once; returns of how many subjects."""
    found = 0
    for handler in reads:
        async with pool.acquire() as connection, connection.transaction():
            keys = await handler.ready(connection, 500)
            await handler.drain(connection, keys)
            found += len(keys)
    return found
