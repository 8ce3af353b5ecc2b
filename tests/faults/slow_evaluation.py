"""Evaluation whose decisions take two seconds more for each poll."""

import asyncio
from typing import Any

from evaluation.__main__ import RECOGNITIONS
from evaluation.projections import PRODUCTS

from servicekit.decider import Deciders
from servicekit.projector import Projectors
from servicekit.service import Service
from servicekit.settings import Settings

LONGER_S = 2


class Slow(Deciders):
    """Does what it does, later."""

    async def handle(self, *poll: Any) -> None:
        """In its transaction, under the locks of the positions."""
        await asyncio.sleep(LONGER_S)
        await super().handle(*poll)


async def main() -> None:
    """As evaluation does it."""
    async with Service("evaluation", Settings()) as service:
        await service.run(reads=[Projectors([PRODUCTS]), Slow("evaluation", [RECOGNITIONS])])


if __name__ == "__main__":
    asyncio.run(main())
