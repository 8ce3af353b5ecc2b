"""Starts evaluation: submissions about recognitions in, decisions out. Of products it hears from the registry."""

import asyncio

from contracts.evaluation import RecognitionState
from evaluation import domain
from evaluation.projections import PRODUCTS
from servicekit.decider import Decider, Deciders
from servicekit.projector import Projectors
from servicekit.service import Service
from servicekit.settings import Settings

RECOGNITIONS = Decider("recognition", RecognitionState, domain.decide_recognition, known="known_product")
# Products first: what comes in one poll with its product need not wait for it.
READS = (Projectors([PRODUCTS]), Deciders("evaluation", [RECOGNITIONS]))


async def main() -> None:
    """Runs until told to stop."""
    async with Service("evaluation", Settings()) as service:
        await service.run(reads=READS)


if __name__ == "__main__":
    asyncio.run(main())
