"""What is told of each tenant: who is expected to send, since when it has not, and what of it has no end."""

import time

from gateway import tenants
from gateway.census import Census

from servicekit.metrics import METRICS
from tests.engines import Databases
from tests.gateway.serving import BATCH, served
from tests.submissions import owner


def told() -> dict[str, float]:
    """When each tenant last came, as it is scraped."""
    (family,) = METRICS.last_received.collect()
    return {sample.labels["tenant"]: sample.value for sample in family.samples}


async def test_who_is_enrolled_is_expected_until_it_is_suspended(databases: Databases) -> None:
    async with served(await databases.make("gateway")) as gateway:
        await gateway.key("2025-11")
        await gateway.key("2025-12")
        census = Census(gateway.pool)
        await census.once()
        assert told()["2025-11"] > time.time() - 60, "it has sent nothing yet, and its time runs all the same"
        async with gateway.pool.acquire() as connection:
            await tenants.suspend(connection, "2025-11")
            await census.once()
            assert "2025-11" not in told()
            assert "2025-12" in told()
            await tenants.suspend(connection, "2025-11", suspended=False)
            await census.once()
            assert "2025-11" in told()


async def test_what_is_open_is_told_until_nothing_is(databases: Databases) -> None:
    open_ = METRICS.open.labels("2025-68", "received")
    async with served(await databases.make("gateway")) as gateway:
        headers = await gateway.key("2025-68") | {"Content-Type": BATCH}
        await gateway.client.post("/v1/events", json=[owner(f"CT-{n}", id_=f"o{n}") for n in range(2)], headers=headers)
        census = Census(gateway.pool)
        await census.once()
        assert open_._value.get() == 2
        await gateway.pool.execute("UPDATE submission SET state = 'applied'")
        await census.once()
        assert open_._value.get() == 0, "not left out: what is scraped last would be shown for ever"
