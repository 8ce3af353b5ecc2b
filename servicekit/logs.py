"""Logs as JSON lines."""

import logging
import sys
import time
from collections.abc import Callable
from typing import Final

import structlog


class Damped(logging.Filter):
    """Lets a library say each thing once in ten seconds, with the number of repeats that were left out: aiokafka has
    thousands of lines to say while a broker is away, and uvicorn one or two of each request that is none."""

    MOST: Final = 1000  # things remembered

    def __init__(self, every_s: float = 10.0, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._every_s, self._clock = every_s, clock
        self._said: dict[tuple[str, str], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        of_requests = record.name == "uvicorn.error" and record.levelno <= logging.WARNING
        if not of_requests and not record.name.startswith("aiokafka"):
            return True
        thing, now = (record.name, str(record.msg)), self._clock()
        at, left_out = self._said.get(thing, (-self._every_s, 0))
        if now - at < self._every_s:
            self._said[thing] = (at, left_out + 1)
            return False
        if len(self._said) >= self.MOST:
            self._said.clear()
        self._said[thing] = (now, 0)
        if left_out:
            record.msg = f"{record.msg} (and {left_out} times since the last)"
        return True


def configure_logging(service: str, level: str = "INFO") -> None:
    """One JSON line per event on standard error, from this code and from libraries alike; no personal data."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(Damped())
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder()],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                structlog.processors.JSONRenderer(ensure_ascii=False),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for noisy in ("aiokafka", "servicekit.faststream", "uvicorn.access"):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, root.level))
    structlog.contextvars.bind_contextvars(service=service)
