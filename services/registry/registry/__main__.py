"""Starts the registry: submissions about owners and products in, decisions out."""

import asyncio

from contracts.registry import OwnerState, ProductState
from registry import domain
from servicekit.decider import Decider, Deciders
from servicekit.service import Service
from servicekit.settings import Settings

DECIDERS = (
    Decider("owner", OwnerState, domain.decide_owner),
    Decider("product", ProductState, domain.decide_product, known="owner"),
)

READS = (Deciders("registry", DECIDERS),)


async def main() -> None:
    """Runs until told to stop."""
    async with Service("registry", Settings()) as service:
        await service.run(reads=READS)


if __name__ == "__main__":
    asyncio.run(main())
