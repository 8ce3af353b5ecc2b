"""What processes cost: CPU seconds and memory, from the kernel's own counts."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil

Cpu = dict[str, float]  # by name, in seconds


def cpu(pids: Mapping[str, int]) -> Cpu:
    """CPU seconds so far of each process and its children, those that have ended included."""
    return {name: _cpu(pid) for name, pid in pids.items()}


def _cpu(pid: int) -> float:
    process = psutil.Process(pid)
    times = process.cpu_times()
    total = times.user + times.system + times.children_user + times.children_system
    for child in process.children(recursive=True):
        try:
            own = child.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += own.user + own.system
    return float(total)


class Meter:
    """What processes cost from its making on. PostgreSQL's memory is left out: its processes share most of it."""

    def __init__(self, pids: Mapping[str, int]) -> None:
        self._pids = pids
        self._before = cpu(pids)

    def cost(self, events: int) -> dict[str, Any]:
        """CPU seconds per 1,000 events of each and of all, and the peak of each one's resident memory in MB."""
        after = cpu(self._pids)
        each = {name: (after[name] - self._before[name]) * 1000 / events for name in self._pids}
        memory = {name: peak_mb(pid) for name, pid in self._pids.items() if name != "postgres"}
        return {"cpu_s_per_1000": {**each, "all": sum(each.values())}, "rss_mb": memory}


def peak_mb(pid: int) -> float:
    """The most memory that a process has had resident, in MB (10^6 bytes)."""
    return _status(pid, "VmHWM")


def resident_mb(pid: int) -> float:
    """Its resident memory now, in MB."""
    return _status(pid, "VmRSS")


def _status(pid: int, name: str) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise ProcessLookupError(f"{pid} has ended")
