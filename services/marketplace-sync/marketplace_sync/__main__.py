"""Starts marketplace sync: submissions about listings in, decisions out. Of products it hears from the registry."""

import asyncio

from contracts.marketplace import ListingState
from marketplace_sync import domain
from marketplace_sync.projections import PRODUCTS
from servicekit.decider import Decider, Deciders
from servicekit.projector import Projectors
from servicekit.service import Service
from servicekit.settings import Settings

DECIDERS = (Decider("listing", ListingState, domain.decide_listing, known="known_product"),)


async def main() -> None:
    """Runs until told to stop."""
    async with Service("marketplace", Settings()) as service:
        # Products first: what comes in one poll with its product need not wait for it.
        await service.run(reads=[Projectors([PRODUCTS]), Deciders("marketplace", DECIDERS)])


if __name__ == "__main__":
    asyncio.run(main())
