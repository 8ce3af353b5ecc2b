"""What the sender knows: written down before and after each send, so that it outlives the sender.

One JSON object a line, appended and fsynced. A send whose answer is not written down is of unknown outcome. A torn
last line is cut off: it had not been fsynced, so nothing had been sent for it.
"""

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

INTENTS = (
    "good",
    "duplicate",
    "conflict",
    "late-reference",
    "never-reference",
    "withdrawn",
    "rule-breach",
    "foreign-reference",
    "hostile",
)
SAID = ("accepted", "duplicate", "conflict", "refused", "unavailable", "unknown")


@dataclass(frozen=True, slots=True)
class Sending:
    """One event that is about to be sent, and what it was meant to be."""

    source: str
    id: str
    tenant: str
    type: str
    subject: str  # as <namespace>/<ref>; of a withdrawal, the id of its target
    sha256: str  # of the event's own bytes
    intent: str  # one of INTENTS
    ends: tuple[str, ...]  # states in which it may end; "refused" where the answer must say so


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: accepted, duplicate, conflict, refused, unavailable (503) or unknown (no answer, 500)."""

    said: str
    code: str | None = None
    submission_id: str | None = None


UNKNOWN = Answer("unknown")
NO_RETRY_AFTER = " without Retry-After"  # behind the code of one that is unavailable and does not say for how long


@dataclass(frozen=True, slots=True)
class Entry:
    """A send with its answer. `request` tells which went out together, `attempt` how often before.

    Of two moments the later one has the higher number.
    """

    request: int
    attempt: int
    sending: Sending
    answer: Answer
    sent: int = field(default=0, compare=False)  # the moment before it
    told: int | None = field(default=None, compare=False)  # the moment after its answer


class Ledger:
    """Open for writing; numbers go on where an earlier sender stopped."""

    def __init__(self, path: Path) -> None:
        _cut_torn_line(path)
        self._next = sum(1 for line in _lines(path) if "send" in line)
        self._file = path.open("ab")

    def before(self, sendings: Sequence[Sending], request: int | None = None, attempt: int = 0) -> list[int]:
        """Writes down what is about to be sent; on disk when it returns. Returns each one's number.

        The first number names the request when it is sent again.
        """
        numbers = list(range(self._next, self._next + len(sendings)))
        self._next += len(sendings)
        together = {"request": numbers[0] if request is None else request, "attempt": attempt}
        self._write([{"send": n, **together, **asdict(s)} for n, s in zip(numbers, sendings, strict=True)])
        return numbers

    def after(self, numbers: Sequence[int], answers: Sequence[Answer]) -> None:
        """Writes down what came back; on disk when it returns."""
        self._write([{"answer": n, **asdict(answer)} for n, answer in zip(numbers, answers, strict=True)])

    def _write(self, lines: Sequence[dict[str, object]]) -> None:
        self._file.write(b"".join(json.dumps(line, ensure_ascii=False).encode() + b"\n" for line in lines))
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Nothing more is sent."""
        self._file.close()


def read(path: Path) -> list[Entry]:
    """Every send, in order, with its answer."""
    entries: list[Entry] = []
    for moment, line in enumerate(_lines(path)):
        if "send" in line:
            assert line.pop("send") == len(entries), "a send is missing"
            request, attempt = line.pop("request"), line.pop("attempt")
            sending = Sending(**line | {"ends": tuple(line["ends"])})
            entries.append(Entry(request, attempt, sending, UNKNOWN, moment))
        else:
            number = line.pop("answer")
            entries[number] = replace(entries[number], answer=Answer(**line), told=moment)
    return entries


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    if path.exists():
        with path.open("rb") as file:
            for line in file:
                if line.endswith(b"\n"):
                    yield json.loads(line)


def _cut_torn_line(path: Path) -> None:
    if path.exists():
        whole = path.read_bytes()
        if not whole.endswith(b"\n"):
            os.truncate(path, whole.rfind(b"\n") + 1)
