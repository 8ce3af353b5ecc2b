"""Runs a service that finds every topic empty until a gate is opened: `python -m bench.held`, told by environment.

So several replicas can start, join and share the partitions, and then begin together; what was fetched meanwhile
waits in their clients, as it does for any consumer. Everything else is the service as it is. With BENCH_PROFILE the
time from the gate's opening on is profiled, and kept in that file at the end.
"""

import asyncio
import cProfile
import importlib
import os
from typing import Any, Final

from aiokafka import AIOKafkaConsumer

LOOK_S: Final = 0.005


def main() -> None:
    """The service named by BENCH_SERVICE, behind the file BENCH_GATE."""
    gate = os.environ["BENCH_GATE"]
    profile = os.environ.get("BENCH_PROFILE")
    profiler = cProfile.Profile()
    getmany = AIOKafkaConsumer.getmany

    async def behind_the_gate(consumer: AIOKafkaConsumer, *partitions: Any, timeout_ms: int = 0, **options: Any) -> Any:
        if not os.path.exists(gate):  # noqa: ASYNC240, PTH110  # too short to be waited for
            await asyncio.sleep(LOOK_S)
            return {}
        AIOKafkaConsumer.getmany = getmany
        if profile:
            profiler.enable()
        return await getmany(consumer, *partitions, timeout_ms=timeout_ms, **options)

    AIOKafkaConsumer.getmany = behind_the_gate
    service = importlib.import_module(f"{os.environ['BENCH_SERVICE']}.__main__")
    asyncio.run(service.main())
    if profile:
        profiler.disable()
        profiler.dump_stats(profile)


if __name__ == "__main__":
    main()
