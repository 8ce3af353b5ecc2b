"""Who runs when: actors that pass gates, are stopped between any two of them, crash there, or go on much later."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Literal

CURRENT: ContextVar["Actor | None"] = ContextVar("actor", default=None)
LOOK_AFTER_S = 0.004  # an actor that has not come to a gate by then perhaps waits for another's lock
PATIENCE_S = 20.0

Sending = Literal["fine", "not answered", "late", "never"]
Fault = Literal["crash", "lost", "answer lost"]  # the process; the connection before the call, or after it


class Crash(BaseException):
    """The process is no more. No code of the product catches it, as none survives `kill -9`."""


@dataclass(slots=True)
class Process:
    """What dies as one: a replica's actors and connections."""

    name: str
    dead: bool = False
    over: bool = False  # its history has ended, and it with it
    on_death: list[Callable[[], None]] = field(default_factory=list)
    on_end: list[Callable[[], Awaitable[None]]] = field(default_factory=list)
    connect: Callable[[], Awaitable[object]] | None = None  # a database connection of its own
    plan: list[Sending] = field(default_factory=list)  # what becomes of the next sends of its producers

    def kill(self) -> None:
        """As by `kill -9`: connections are cut, and no actor passes another gate."""
        self.dead = True
        for end in list(self.on_death):
            end()


@dataclass(eq=False, slots=True)
class Actor:
    """One task of a process. `fuel` is how many gates it may pass before it is stopped; None: no limit."""

    name: str
    process: Process
    schedule: "Schedule"
    fuel: int | None = None
    fault: tuple[int, Fault] | None = None  # after so many gates
    rests_at: frozenset[str] = frozenset()  # gates at which it waits for its next turn
    parked: "asyncio.Future[None] | None" = None
    at: str = ""  # the gate that it came to last
    pid: int | None = None  # of the backend that works for it
    task: "asyncio.Task[None] | None" = None

    @property
    def done(self) -> bool:
        """It has come to its end."""
        return self.task is not None and self.task.done()

    async def pass_gate(self, kind: str) -> Fault | None:
        """Stops here if it must. Returns the fault that the caller meets at this call; raises Crash if dead."""
        self.at, rest = kind, kind in self.rests_at
        while rest or self.fuel == 0:
            rest = False
            self.parked = asyncio.get_running_loop().create_future()
            self.schedule.changed.set()
            try:
                await self.parked
            finally:
                self.parked = None
            if self.process.dead:
                break
        if self.process.dead:
            raise Crash(self.name)
        if self.fuel is not None:
            self.fuel -= 1
        self.schedule.awaits[kind] += 1
        if self.fault is None:
            return None
        left, fault = self.fault
        self.fault = (left - 1, fault) if left else None
        if left:
            return None
        self.schedule.faults[f"{fault} at {kind}"] += 1
        if fault == "crash":
            self.process.kill()
            raise Crash(self.name)
        return fault

    def go_on(self, fuel: int | None = None, fault: tuple[int, Fault] | None = None) -> None:
        """Lets it run from where it was stopped."""
        self.fuel, self.fault = fuel, fault
        if self.parked is not None and not self.parked.done():
            self.parked.set_result(None)


class Schedule:
    """All actors of a history."""

    def __init__(self, blocked: Callable[[list[int]], Awaitable[bool]]) -> None:
        """`blocked` tells whether all these backends wait for a lock."""
        self.actors: list[Actor] = []
        self.changed = asyncio.Event()
        self.awaits: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self._blocked = blocked

    def start(self, actor: Actor, work: Callable[[], Awaitable[object]]) -> Actor:
        """Makes a task of it; what it raises is `Actor.task`'s."""

        async def run() -> None:
            CURRENT.set(actor)
            try:
                await work()
            except Crash:
                pass
            finally:
                self.changed.set()

        self.actors.append(actor)
        actor.task = asyncio.create_task(run(), name=actor.name)
        return actor

    async def settle(self) -> None:
        """Returns when every actor has ended, is stopped at a gate, or waits for a lock that one of these holds."""
        loop = asyncio.get_running_loop()
        until = loop.time() + PATIENCE_S
        while True:
            self.changed.clear()
            busy = [actor for actor in self.actors if not actor.done and not (actor.parked and not actor.parked.done())]
            if not busy:
                break
            try:
                async with asyncio.timeout(LOOK_AFTER_S):
                    await self.changed.wait()
            except TimeoutError:
                pids = [actor.pid for actor in busy]
                known = [pid for pid in pids if pid is not None]
                if len(known) == len(pids) and await self._blocked(known):
                    break
                assert loop.time() < until, f"neither stopped nor blocked: {[actor.name for actor in busy]}"
        self.reap()

    def reap(self) -> None:
        """Forgets actors that have ended; raises what one of them raised."""
        ended = [actor for actor in self.actors if actor.done]
        self.actors = [actor for actor in self.actors if not actor.done]
        for actor in ended:
            assert actor.task is not None
            actor.task.result()

    async def end(self) -> None:
        """Kills what is left."""
        for actor in self.actors:
            actor.process.over = actor.process.dead = True
            actor.go_on()
        await asyncio.gather(*(actor.task for actor in self.actors if actor.task), return_exceptions=True)
        for actor in self.actors:
            while actor.process.on_end:
                await actor.process.on_end.pop()()
        self.actors.clear()


async def gate(kind: str) -> Fault | None:
    """A call to the outside: here an actor may be stopped. Outside of actors it does nothing."""
    actor = CURRENT.get()
    return None if actor is None else await actor.pass_gate(kind)


@dataclass(slots=True)
class Clock:
    """Time as back-offs see it: it moves when somebody waits, and at each look a little."""

    now: float = 0.0

    def monotonic(self) -> float:
        """Seconds."""
        self.now += 0.0001
        return self.now

    async def sleep(self, seconds: float) -> None:
        """Passes at once."""
        self.now += seconds
        await gate("back-off")
        await asyncio.sleep(0)
