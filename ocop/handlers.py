"""What each service does with held records, wired as the service itself wires it: for trying and passing over."""

import importlib
from collections.abc import Sequence
from datetime import timedelta
from typing import cast

from ocop.services import Service
from servicekit.handler import Handler


def handlers(of: Service) -> Sequence[Handler]:
    """Of this installation's code, which may be newer than the service that runs."""
    start = importlib.import_module(f"{of.package}.__main__")
    if of.wire == "notifications":  # its wiring has a setting, which does not matter to one event
        return cast(Sequence[Handler], start.reads(timedelta()))
    return cast(Sequence[Handler], start.READS)
