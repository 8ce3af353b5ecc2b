"""Sends the stream over all gateways, as provinces' systems would: what is not answered is sent again."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import count

import httpx2

from tests.delivery.author import REFUSED, Item
from tests.delivery.ledger import NO_RETRY_AFTER, UNKNOWN, Answer, Ledger
from tests.delivery.stream import BATCH, LANES, Lane, Request
from tests.delivery.system import System

PATIENCE_S = 180  # how long a request is sent again; longer than any outage that is made
AGAIN_S = 0.5
ANSWER_S = 15
KEY_S = 10  # in which whoever replaces a key tells of the new one
KEY_LAPSED = Answer("unavailable", "401")  # nothing was taken; with the new key it will be
KEY_REFUSED = Answer("refused", "401")  # there is no other key: this one should have been good


async def enrolled(under_test: System) -> dict[str, str]:
    """The key of each lane's source, made for it."""
    return {f"/provinces/{tenant}/{name}": await under_test.key(tenant, name) for tenant, name in LANES}


class Load:
    """Runs until told to stop, then sends what is owed. `rate` is in events a second for all lanes together.

    With a rate the loop is open: what an outage has kept back comes after it, in a burst. Without, each lane sends
    as fast as it is answered. Which gateways there are may change while it runs.
    """

    def __init__(
        self, seed: int, gateways: Sequence[str], keys: Mapping[str, str], ledger: Ledger, rate: float | None = None
    ) -> None:
        self.gateways = gateways
        self.keys = dict(keys)
        self.new_keys: dict[str, str] = {}  # by source: taken into use when the old one is refused; it may lapse, too
        self._ledger, self._rate = ledger, rate
        self._random = random.Random(f"{seed}/gateways")  # noqa: S311  # repeatable, not secret
        self._started = 0.0
        self._extra = 0.0
        self.sent = 0  # events that are to be accepted, each counted once however often it was sent
        self.answers: Counter[str] = Counter()
        self.forms: Counter[str] = Counter()  # of requests, races and hostile ones
        self.lanes = [Lane(seed, tenant, system) for tenant, system in LANES]

    async def run(self, until: Callable[[], bool]) -> None:
        """All lanes at once. Raises AssertionError when a request is not answered for long."""
        self._started = time.monotonic()
        async with httpx2.AsyncClient(timeout=ANSWER_S) as client, asyncio.TaskGroup() as group:
            for lane in self.lanes:
                group.create_task(self._lane(client, lane, until))

    def burst(self, events: float) -> None:
        """So many events at once, beside the rate."""
        self._extra += events

    def hurry(self) -> None:
        """From now on as fast as it is answered."""
        self._rate = None

    async def _lane(self, client: httpx2.AsyncClient, lane: Lane, until: Callable[[], bool]) -> None:
        while not until():
            if self._rate is not None and self.sent > self._rate * (time.monotonic() - self._started) + self._extra:
                await asyncio.sleep(0.02)
                continue
            await self._together(client, lane.step())
        await self._together(client, lane.last())

    async def _together(self, client: httpx2.AsyncClient, requests: Sequence[Request]) -> None:
        first = self._random.randrange(len(self.gateways))
        self.sent += sum(_own(item) for request in requests for item in request.items)
        self.forms.update(form for request in requests for form in request.forms)
        await asyncio.gather(*(self._send(client, request, first + n) for n, request in enumerate(requests)))

    async def _send(self, client: httpx2.AsyncClient, request: Request, gateway: int) -> None:
        """Sends until it is answered, in turn over all gateways."""
        deadline = time.monotonic() + PATIENCE_S
        sendings = [item.sending for item in request.items]
        first = None
        for attempt in count():
            numbers = self._ledger.before(sendings, first, attempt)
            first = numbers[0] if first is None else first
            answers = await self._once(client, request, self.gateways[(gateway + attempt) % len(self.gateways)], first)
            self._ledger.after(numbers, answers)
            self.answers.update(answer.said for answer in answers)
            if not any(answer.said in ("unavailable", "unknown") for answer in answers):
                return
            assert time.monotonic() < deadline, f"no answer for {PATIENCE_S} s: {answers[0]}"
            await asyncio.sleep(AGAIN_S)

    async def _once(self, client: httpx2.AsyncClient, request: Request, gateway: str, number: int) -> list[Answer]:
        """One try; the number of its request is for those who watch."""
        key = self.keys[request.source] if request.own_key else "ocop_nobody"
        try:
            response = await client.post(
                f"{gateway}/v1/events",
                content=request.content,
                headers={"Content-Type": request.kind, "Authorization": f"Bearer {key}"},
            )
        except httpx2.ConnectError:
            return [Answer("unavailable", "no connection")] * len(request.items)
        except httpx2.TransportError:
            return [UNKNOWN] * len(request.items)
        if request.own_key and response.status_code == 401:
            return [await self._key_refused(request.source)] * len(request.items)
        return _read(response, request)

    async def _key_refused(self, source: str) -> Answer:
        """What that is worth: nothing wrong where the key has been replaced, of which its owner hears soon."""
        deadline = time.monotonic() + KEY_S
        while source not in self.new_keys:
            if time.monotonic() >= deadline:
                return KEY_REFUSED
            await asyncio.sleep(0.05)
        self.keys[source] = self.new_keys[source]
        return KEY_LAPSED


def _own(item: Item) -> bool:
    """Whether it is an event of its own, to be accepted."""
    return item.sending.intent not in ("duplicate", "conflict") and item.sending.ends != REFUSED


def _read(response: httpx2.Response, request: Request) -> list[Answer]:
    """What the response says of each event."""
    items = len(request.items)
    if response.status_code in (429, 503):
        when = "" if response.headers.get("Retry-After", "").isdigit() else NO_RETRY_AFTER
        return [Answer("unavailable", f"{response.status_code}{when}")] * items
    if response.status_code >= 500:
        return [Answer("unknown", str(response.status_code))] * items
    body = response.json()
    if "results" in body:
        assert request.kind == BATCH and len(body["results"]) == items, "an answer for each event"
        return [_answer(result) for result in body["results"]]
    if "status" in body and "submission_id" in body:
        return [_answer(body)]
    return [Answer("refused", body["code"])] * items


def _answer(result: Mapping[str, object]) -> Answer:
    errors = result["errors"]
    assert isinstance(errors, list)
    submission_id = result["submission_id"]
    return Answer(
        str(result["status"]),
        str(errors[0]["code"]) if errors else None,
        str(submission_id) if submission_id else None,
    )
