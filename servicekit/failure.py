"""Why a record could not be handled, as a held row keeps it: error class, field, attempts, version of the service."""

import traceback
from collections.abc import Mapping
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

UNDECODABLE = "undecodable"  # the class of bytes that are not what they claim to be
TEXT_LIMIT = 2000


@cache
def version() -> str:
    """Of the code that runs."""
    return metadata.version("ocop-interconnect")


def undecodable(text: str | None, field: str = "") -> dict[str, Any]:
    """Bytes that do not decode; `field` is a JSON pointer to what is wrong first."""
    return {"class": UNDECODABLE, "field": _told(field), "text": _told(text or ""), "version": version()}


def unhandled(error: BaseException, attempts: int) -> dict[str, Any]:
    """An event that the code cannot handle; `field` is the place in the code that raised."""
    frames = traceback.extract_tb(error.__traceback__)
    return {
        "class": type(error).__name__,
        "field": "/".join([*Path(frames[-1].filename).parts[-2:]]) + f":{frames[-1].lineno}" if frames else "",
        "text": _told(str(error)),
        "attempts": attempts,
        "version": version(),
    }


def _told(text: str) -> str:
    """The beginning, as PostgreSQL can keep it."""
    return text[:TEXT_LIMIT].replace("\0", "\\0").encode(errors="backslashreplace").decode()


def code(failure: Mapping[str, Any]) -> str:
    """What the sender is told, a code of `contracts.reasons`."""
    return "undecodable" if failure.get("class") == UNDECODABLE else "handler-error"
