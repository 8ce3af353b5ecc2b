"""The national tables made again from the topics while both replicas read and are read: F22."""

import asyncio
import os
import sys

from tests.delivery.system import REPOSITORY
from tests.faults.frame import Fault, Stage

REBUILD = ("rebuild", "national", "--reason", "a fault", "--actor", "Lan")
REBUILT_S = 120


async def rebuild(stage: Stage) -> None:
    """Twice, so that what was rebuilt is rebuilt: nothing may differ from the live tables, which it replaces."""
    made = stage.system.databases["national"]
    environment = {
        "OCOP_DATABASE_URL": made.app,
        "OCOP_DATABASE_OWNER_URL": made.owner,
        "OCOP_KAFKA_BOOTSTRAP": stage.system.bootstrap,
    }
    for _ in range(2):
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "ocop", *REBUILD),
            env=os.environ | environment,
            cwd=REPOSITORY,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        async with asyncio.timeout(REBUILT_S):
            told, _ = await process.communicate()
        stage.expect(process.returncode == 0 and b"are in use" in told, f"rebuilt and swapped: {told.decode()}")
        stage.mended()
        await stage.last(3)


FAULTS = (Fault("F22", "the national tables rebuilt from the topics while they are read, twice", rebuild),)
