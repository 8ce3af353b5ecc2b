"""`make hostile`: requests that no honest sender makes, as many as are asked for, on real services; two of three have a
body. The exit status tells."""

# ruff: noqa: T201  # it is a command

import argparse
import asyncio
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from contracts.topics import TOPICS
from ocop import provision
from tests.delivery.system import system
from tests.engines import Databases, private_engines
from tests.hostile import barrage


async def run(seed: int, requests: int, connections: int) -> dict[str, Any]:
    """One run, on engines of its own."""
    with tempfile.TemporaryDirectory(prefix="ocop-hostile-") as directory:
        async with private_engines() as engines:
            await provision.topics(engines.kafka_bootstrap, TOPICS.values())
            databases = Databases(engines.postgres_url)
            async with system(engines.kafka_bootstrap, databases, Path(directory), barrage.SERVICES) as under_test:
                await under_test.start_all(1, **barrage.SETTINGS)
                return await barrage.fire(under_test, seed, requests, connections)


def main() -> None:
    """Reads the command line, runs, prints what was seen."""
    parser = argparse.ArgumentParser(prog="make hostile", description=__doc__)
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--connections", type=int, default=32)
    asked = parser.parse_args()
    found = asyncio.run(run(asked.seed, asked.requests, asked.connections))
    print(json.dumps(found, ensure_ascii=False, indent=1))
    print("passed" if not found["wrong"] else f"FAILED: {found['wrong']}")
    sys.exit(bool(found["wrong"]))


if __name__ == "__main__":
    main()
