"""The registry with a bug: it cannot handle what is called BUG."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from uuid import UUID

from registry.__main__ import DECIDERS

from contracts.decision import Decision, Rejected, Submission, Waits
from servicekit.decider import Decider, Deciders
from servicekit.service import Service
from servicekit.settings import Settings


def broken(decider: Decider) -> Decider:
    """The same decider with a bug."""

    def decide(state: Any, submission: Submission, known: Mapping[UUID, str]) -> Decision | Rejected | Waits:
        verdict = decider.decide(state, submission, known)
        if "BUG" in submission.data.model_dump_json() and isinstance(verdict, Decision):
            raise RuntimeError("a bug")
        return verdict

    return replace(decider, decide=decide)


async def main() -> None:
    """As the registry does it."""
    async with Service("registry", Settings()) as service:
        await service.run(reads=[Deciders("registry", [broken(decider) for decider in DECIDERS])])


if __name__ == "__main__":
    asyncio.run(main())
