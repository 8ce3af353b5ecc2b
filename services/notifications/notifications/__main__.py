"""Starts notifications: outcomes and recognitions in, mails out."""

import asyncio
from datetime import timedelta

from notifications.intake import OUTCOMES, REVOCATIONS, hear
from notifications.postman import Postman
from notifications.settings import Settings
from servicekit.handler import Handler
from servicekit.listener import Listener
from servicekit.projector import Projectors
from servicekit.service import Service


def reads(waiting_after: timedelta) -> tuple[Handler, ...]:
    """Both kinds of news; what has waited so long is told of."""
    return (Projectors([REVOCATIONS]), Listener(OUTCOMES, hear(waiting_after)))


async def main() -> None:
    """Runs until told to stop."""
    settings = Settings()
    async with Service("notifications", settings) as service:
        await service.run(
            reads=reads(timedelta(seconds=settings.waiting_after_s)),
            workers=[Postman(service.pool, settings).run],
        )


if __name__ == "__main__":
    asyncio.run(main())
