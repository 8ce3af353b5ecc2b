"""Starts notifications: outcomes and recognitions in, mails out."""

import asyncio
from datetime import timedelta

from notifications.intake import OUTCOMES, REVOCATIONS, hear
from notifications.postman import Postman
from notifications.settings import Settings
from servicekit.listener import Listener
from servicekit.projector import Projectors
from servicekit.service import Service


async def main() -> None:
    """Runs until told to stop."""
    settings = Settings()
    async with Service("notifications", settings) as service:
        await service.run(
            reads=[Projectors([REVOCATIONS]), Listener(OUTCOMES, hear(timedelta(seconds=settings.waiting_after_s)))],
            workers=[Postman(service.pool, settings).run],
        )


if __name__ == "__main__":
    asyncio.run(main())
