"""Starts the national database: domain events in, rows written, figures out."""

import asyncio
from datetime import UTC, date, datetime

from contracts.fields import local_date
from national import api
from national.projections import PROJECTIONS
from national.settings import Settings
from servicekit.projector import Projectors
from servicekit.service import Service

READS = (Projectors(PROJECTIONS),)


def today() -> date:
    """The day that it is in Vietnam."""
    return local_date(datetime.now(UTC))


async def main() -> None:
    """Runs until told to stop."""
    settings = Settings()
    async with Service("national", settings) as service:
        app = api.build(service.http_pool, today=today)
        api.limit(app, settings)
        await service.run(reads=READS, app=app)


if __name__ == "__main__":
    asyncio.run(main())
