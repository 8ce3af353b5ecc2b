"""Starts the gateway: requests in, submissions out, outcomes heard."""

import asyncio

from gateway import api, outcomes
from gateway.repeater import Repeater
from gateway.settings import Settings
from servicekit.listener import Listener
from servicekit.service import Service

READS = (Listener(outcomes.TOPICS, outcomes.hear),)


async def main() -> None:
    """Runs until told to stop."""
    settings = Settings()
    async with Service("gateway", settings) as service:
        await service.run(
            reads=READS,
            app=api.build(service.http_pool, settings, taken=service.relay.wake),
            workers=[Repeater(service.pool, settings.repeat_after_s).run],
        )


if __name__ == "__main__":
    asyncio.run(main())
