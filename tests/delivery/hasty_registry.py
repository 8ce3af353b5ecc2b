"""The registry with a bug, as `broken_registry`, which gives up at once: of a bug, five tries tell no more."""

import asyncio

from servicekit import patience
from tests.delivery import broken_registry

patience.TRIES_ALONE = 1

if __name__ == "__main__":
    asyncio.run(broken_registry.main())
