"""Named places where a test may kill the process, to see what a crash there leaves behind."""

import os
import signal

_ARMED = os.environ.get("OCOP_FAILPOINT", "")


def failpoint(name: str) -> None:
    """Dies as by `kill -9` if the environment variable OCOP_FAILPOINT names this place; else does nothing."""
    if name == _ARMED:
        os.kill(os.getpid(), signal.SIGKILL)
