"""Starts the gateway: requests in, submissions out, outcomes heard."""

import asyncio
from contextlib import aclosing

from gateway import api, outcomes
from gateway.backfill import Feeder
from gateway.census import Census
from gateway.lag import Lag
from gateway.repeater import Repeater
from gateway.settings import Settings
from servicekit.listener import Listener
from servicekit.service import Service

READS = (Listener(outcomes.TOPICS, outcomes.hear),)


async def main() -> None:
    """Runs until told to stop."""
    settings = Settings()
    async with Service("gateway", settings) as service, aclosing(Lag(settings.kafka_bootstrap)) as lag:
        feeder = Feeder(
            service.pool,
            lag.most,
            rate=settings.backfill_s,
            under_way=settings.backfill_under_way,
            most_lag=settings.backfill_most_lag,
            repeat_after_s=settings.repeat_after_s,
        )
        await service.run(
            reads=READS,
            app=api.build(service.http_pool, settings, taken=service.relay.wake, begun=service.begun),
            workers=[Repeater(service.pool, settings.repeat_after_s).run, feeder.run, Census(service.pool).run],
        )


if __name__ == "__main__":
    asyncio.run(main())
