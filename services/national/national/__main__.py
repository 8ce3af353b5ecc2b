"""Starts the national database: domain events in, rows written, figures out."""

import asyncio
from datetime import UTC, date, datetime

from contracts.fields import local_date
from national import api
from national.projections import PROJECTIONS
from servicekit.projector import Projectors
from servicekit.service import Service
from servicekit.settings import Settings


def today() -> date:
    """The day that it is in Vietnam."""
    return local_date(datetime.now(UTC))


async def main() -> None:
    """Runs until told to stop."""
    async with Service("national", Settings()) as service:
        await service.run(reads=[Projectors(PROJECTIONS)], app=api.build(service.http_pool, today=today))


if __name__ == "__main__":
    asyncio.run(main())
