"""Who gives a command, and how its time limits are read: every act by hand is noted with its actor."""

import getpass
import os
from datetime import UTC, datetime
from typing import Annotated

import typer

from ocop.errors import OcopError

Actor = Annotated[
    str, typer.Option(envvar="OCOP_ACTOR", help="Who does it, for the record; the login name if left out.")
]
Reason = Annotated[str, typer.Option(help="Why, for the record.")]

MOST_ID = 2**63 - 1  # that a row can have
MOMENT = "%Y-%m-%d %H:%M:%SZ"  # as databases and topics have them, and logs: in UTC


def named(actor: str) -> str:
    """The actor to note. Raises OcopError where there is no name at all."""
    try:
        return actor.strip() or os.environ.get("SUDO_USER") or getpass.getuser()
    except KeyError as error:  # a container's user need not have a name
        raise OcopError("Say who you are: --actor NAME.") from error


def moment(text: str | None) -> datetime | None:
    """A time as an operator writes it: 2026-11-25, or with a time of day; UTC unless it says otherwise."""
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise OcopError(f"{text!r} is not a time like 2026-11-25T08:30, in UTC, or 2026-11-25T15:30+07:00.") from error
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def ago(then: datetime) -> str:
    """How long ago, in one unit."""
    seconds = int((datetime.now(UTC) - then).total_seconds())
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds // length} {unit} ago"
    return f"{seconds} s ago"
