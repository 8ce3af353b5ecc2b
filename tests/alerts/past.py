"""Three days in which all was well, as a Prometheus remembers them.

What is promised is judged by shares of an hour, of six, of three days. In a Prometheus that has just begun a bad minute
is most of what there ever was, and no share says anything.
"""

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from tests.alerts.prometheus import TOOL

DAYS, EVERY_S = 3, 60
RATES = {  # a second; what fails is a tenth of what is allowed
    'ocop_requests_total{job="ocop",service="gateway",status="2xx",instance="before"}': 1.5,
    'ocop_requests_total{job="ocop",service="gateway",status="5xx",instance="before"}': 1.5 * 0.0001,
    'ocop_requests_total{job="ocop",service="national",status="2xx",instance="before"}': 1.5,
    'ocop_submission_seconds_bucket{job="ocop",service="gateway",state="applied",le="10.0",instance="before"}': 19.98,
    'ocop_submission_seconds_count{job="ocop",service="gateway",state="applied",instance="before"}': 20.0,
}


def remembered(directory: Path, data: Path) -> None:
    """Writes them where a Prometheus will have its data; up to now."""
    text = directory / "past.txt"
    with text.open("w") as file:
        file.writelines(_lines(time.time()))
    command = [TOOL, "tsdb", "create-blocks-from", "openmetrics", str(text), str(data)]
    subprocess.run(command, check=True, capture_output=True)
    text.unlink()


def _lines(now: float) -> Iterator[str]:
    times = range(0, DAYS * 86_400, EVERY_S)
    began = int(now) - times[-1]
    for series, rate in RATES.items():
        yield from (f"{series} {rate * passed} {began + passed}\n" for passed in times)
    yield "# EOF\n"
