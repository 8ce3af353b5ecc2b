"""What waiting was like: percentiles in milliseconds."""

from collections.abc import Sequence
from math import ceil


def latencies(seconds: Sequence[float]) -> dict[str, float]:
    """The least, median, 95th and 99th percentile and the most, by nearest rank, in ms."""
    ordered = sorted(seconds)

    def rank(share: float) -> float:
        return ordered[ceil(share * len(ordered)) - 1] * 1000

    return {
        "min": ordered[0] * 1000,
        "p50": rank(0.50),
        "p95": rank(0.95),
        "p99": rank(0.99),
        "max": ordered[-1] * 1000,
        "n": len(ordered),
    }
