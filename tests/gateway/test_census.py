"""What is told of each tenant: who is expected to send, and since when it has not."""

import time

from gateway import tenants
from gateway.census import Census

from servicekit.metrics import METRICS
from tests.engines import Databases
from tests.gateway.serving import served


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
