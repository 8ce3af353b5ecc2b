"""Fires shots over raw sockets, and looks at what comes back."""

import asyncio
import re
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from contracts.reasons import REASONS
from ocop.rules.evidence import Named
from tests.hostile.shots import Arsenal, Shot

ANSWER_S = 30.0  # for an answer that is due
PERHAPS_S = 1.0  # for one that may come or not
MORE_S = 0.02
IDLE_S = 3.0  # the server may close a connection that was not used for 5 s
ENDS_S = 60.0  # in which a server must have let go of who does not go on
MOST_KEPT = 20
CODE = re.compile(rb'"code":"([^"]*)","pointer"')  # a province has a code too
REFUSED = re.compile(rb'"id":"([^"]*)","source":"([^"]*)","status":"refused"')
ACCEPTED = re.compile(rb'"id":"([^"]{1,64})","source":"[^"]*","status":"accepted","submission_id":"([0-9a-f-]{36})"')


@dataclass(frozen=True, slots=True)
class Answer:
    """One response."""

    status: int
    head: bytes
    body: bytes

    @property
    def closes(self) -> bool:
        """Whether the connection ends with it."""
        return b"\r\nconnection: close" in self.head.lower()


@dataclass(slots=True)
class Found:
    """All that was seen."""

    shots: Counter[str] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)
    accepted: dict[str, str] = field(default_factory=dict)  # submission by id of event
    turned_away: set[Named] = field(default_factory=set)  # events that were refused, or sent to be tried only
    unanswered: set[Named] = field(default_factory=set)  # events of which nothing was heard: kept or not
    pages: int = 0
    unseen: int = 0  # connections that ended, or were ended, without an answer that was not due
    wrong: list[str] = field(default_factory=list)
    wrongs: Counter[str] = field(default_factory=Counter)

    def say(self, what: str, shot: Shot, more: object = "") -> None:
        """Something that must not be."""
        self.wrongs[what] += 1
        if len(self.wrong) < MOST_KEPT:
            self.wrong.append(f"{what}: {shot.kind} at {shot.target}: {more!r}: {shot.raw[:700]!r}")

    def look(self, shot: Shot, answer: Answer) -> None:
        """Counts an answer, and says what is wrong with it."""
        self.statuses[answer.status] += 1
        codes = [code.decode("latin-1") for code in CODE.findall(answer.body)]
        self.codes.update(codes)
        self.turned_away.update(
            (s.decode(errors="replace"), i.decode(errors="replace")) for i, s in REFUSED.findall(answer.body)
        )
        if shot.dry or answer.status >= 400:
            self.turned_away.update(shot.events)
        if not shot.dry:
            self.accepted.update((i.decode(), s.decode()) for i, s in ACCEPTED.findall(answer.body))
        if unknown := set(codes) - set(REASONS):
            self.say("a code that is in no catalogue", shot, unknown)
        if answer.status >= 500:
            self.say("5xx", shot, answer.body[:500])
        if answer.status < 400 or shot.head or codes:
            return
        if b"text/html" in answer.head and shot.target == "national":
            self.pages += 1
        else:
            self.say("a refusal without a code", shot, (answer.status, answer.body[:300]))

    @property
    def nowhere(self) -> set[Named]:
        """What was refused and never accepted: an id may have come in several shots."""
        return {event for event in self.turned_away if event[1] not in self.accepted}


class Gun:
    """One connection at a time to each target, opened again when it has ended."""

    def __init__(self, arsenal: Arsenal, ports: Mapping[str, int], found: Found) -> None:
        self._arsenal, self._ports, self._found = arsenal, ports, found
        self._open: dict[str, tuple[asyncio.StreamReader, asyncio.StreamWriter]] = {}
        self._used: dict[str, float] = {}

    async def fire(self, count: int) -> None:
        """So many shots."""
        for _ in range(count):
            shot = self._arsenal.draw()
            self._found.shots[shot.kind] += 1
            await self._due(shot) if shot.answers else await self._perhaps(shot)
        for target in list(self._open):
            self._close(target)

    async def drip(self, done: asyncio.Event) -> None:
        """Slow bodies, one after another, until the rest has been fired: each must come to an end."""
        while not done.is_set():
            shot = self._arsenal.slow()
            self._found.shots[shot.kind] += 1
            self._found.unanswered.update(shot.events)  # its answer is not looked at
            reader, writer = await asyncio.open_connection("127.0.0.1", self._ports[shot.target])
            began, ended = time.monotonic(), asyncio.create_task(reader.read())
            for start in range(0, len(shot.raw), 40):
                writer.write(shot.raw[start : start + 40])
                await asyncio.wait([ended], timeout=0.1)
            while not ended.done() and time.monotonic() < began + ENDS_S:
                await asyncio.wait([ended], timeout=0.5)
                writer.write(b"x" if b"\r\n\r\n" in shot.raw and not ended.done() else b"")
            if not ended.done():
                self._found.say("a slow request is waited for without end", shot)
                ended.cancel()
            await asyncio.gather(ended, return_exceptions=True)
            writer.close()

    async def _due(self, shot: Shot) -> None:
        """Shots that must be answered."""
        try:
            reader, writer = await self._connected(shot.target)
            writer.write(shot.raw)
            for _ in range(shot.answers):
                async with asyncio.timeout(ANSWER_S):
                    answer = await _answer(reader, head=shot.head)
                self._found.look(shot, answer)
                self._expect(shot, answer)
            if answer.closes or shot.closes:
                self._close(shot.target)
        except (TimeoutError, OSError, EOFError, asyncio.LimitOverrunError) as error:
            self._close(shot.target)
            self._found.unanswered.update(shot.events)
            self._found.say("no answer", shot, error)

    def _expect(self, shot: Shot, answer: Answer) -> None:
        if shot.good and (missing := [each for each in shot.good if each not in self._found.accepted]):
            self._found.say("a good event is not taken", shot, (missing, answer.status, answer.body[:500]))

    async def _perhaps(self, shot: Shot) -> None:
        """Shots that a server may answer or not; afterwards nothing can follow on the connection."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self._ports[shot.target], limit=1 << 20)
        answers = 0
        try:
            writer.write(shot.raw)
            while True:
                async with asyncio.timeout(MORE_S if answers else PERHAPS_S):
                    answer = await _answer(reader, head=shot.head)
                answers += 1
                self._found.look(shot, answer)
        except (TimeoutError, OSError, EOFError, asyncio.LimitOverrunError):
            if not answers:
                self._found.unseen += 1
                self._found.unanswered.update(shot.events)
        finally:
            writer.close()

    async def _connected(self, target: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if target in self._open and time.monotonic() > self._used[target] + IDLE_S:
            self._close(target)
        if target not in self._open:
            self._open[target] = await asyncio.open_connection("127.0.0.1", self._ports[target], limit=1 << 20)
        self._used[target] = time.monotonic()
        return self._open[target]

    def _close(self, target: str) -> None:
        opened = self._open.pop(target, None)
        if opened is not None:
            opened[1].close()


async def _answer(reader: asyncio.StreamReader, *, head: bool) -> Answer:
    """The next response. Raises EOFError at the connection's end."""
    found = await reader.readuntil(b"\r\n\r\n")
    status = int(found[9:12])
    if 100 <= status < 200:
        return await _answer(reader, head=head)
    lower = found.lower()
    length = re.search(rb"\r\ncontent-length: ([0-9]+)", lower)
    if head or status in (204, 304):
        body = b""
    elif length:
        body = await reader.readexactly(int(length[1]))
    elif b"transfer-encoding: chunked" in lower:
        body = b""
        while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
            body += (await reader.readexactly(size + 2))[:-2]
        await reader.readexactly(2)
    else:
        body = await reader.read()
    return Answer(status, found, body)
