"""Starts marketplace sync: submissions about listings in, decisions out. Of products it hears from the registry."""

import asyncio

from contracts.marketplace import ListingState
from marketplace_sync import domain
from marketplace_sync.projections import PRODUCTS
from servicekit.decider import Decider, Deciders
from servicekit.projector import Projectors
from servicekit.service import Service
from servicekit.settings import Settings

LISTINGS = Decider("listing", ListingState, domain.decide_listing, known="known_product")
# Products first: what comes in one poll with its product need not wait for it.
READS = (Projectors([PRODUCTS]), Deciders("marketplace", [LISTINGS]))


async def main() -> None:
    """Runs until told to stop."""
    async with Service("marketplace", Settings()) as service:
        await service.run(reads=READS)


if __name__ == "__main__":
    asyncio.run(main())
