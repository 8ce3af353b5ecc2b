"""The search for personal data, in texts of full length that keep its patterns at work the longest."""

import time
from contextlib import suppress
from typing import Any, Final

from pydantic_core import PydanticCustomError

from contracts import text

LENGTH: Final = 2000  # of the longest text that an event takes
NOUGHT: Final = "\u0660"  # of the Arabs, read as ours
WORST: Final = {
    "letters": "a",
    "letters with signs": "ế",
    "digits apart": "0 ",
    "other digits apart": f"{NOUGHT} ",
    "numbers nearly": NOUGHT * 13 + "a",
    "addresses nearly": "a@",
    "addresses nearly, wide": "\uff11\uff20",
    "one sign of many letters": "\ufdfa" + "a" * 17,  # eighteen
    "one address nearly": "x" * (LENGTH - 2) + "@b",
}
TIMES: Final = 20


def measure() -> dict[str, Any]:
    """The least processor time of each kind, in ms."""
    return {"length": LENGTH, "ms": {kind: _least_ms((unit * LENGTH)[:LENGTH]) for kind, unit in WORST.items()}}


def _least_ms(value: str) -> float:
    taken = []
    for _ in range(TIMES):
        began = time.process_time()
        with suppress(PydanticCustomError):  # found: a search like another
            text.no_person(value)
        taken.append((time.process_time() - began) * 1000)
    return min(taken)
