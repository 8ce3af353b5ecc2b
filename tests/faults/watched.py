"""The load of a fault: as elsewhere, and beside it how long answers take, and what a fault sends by itself."""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import httpx2

from tests.delivery.ledger import Answer, Ledger
from tests.delivery.load import ANSWER_S, Load
from tests.delivery.stream import Request
from tests.delivery.verdict import OPEN

PROMPT_S = 5  # where all is well nobody waits longer, however much is asked at once


@dataclass(frozen=True, slots=True)
class Timed:
    """One try: of which request, when it began, how long it took, what it was answered first, and by whom."""

    request: int
    at: float
    seconds: float
    said: str
    gateway: str


class WatchedLoad(Load):
    """Remembers each try."""

    def __init__(
        self, seed: int, gateways: Sequence[str], keys: Mapping[str, str], ledger: Ledger, rate: float | None = None
    ) -> None:
        super().__init__(seed, gateways, keys, ledger, rate)
        self._tries: list[Timed] = []

    async def send(self, requests: Iterable[Request]) -> None:
        """Sends these beside the lanes, one after another, each until it is answered."""
        async with httpx2.AsyncClient(timeout=ANSWER_S) as client:
            for request in requests:
                await self._together(client, [request])

    async def asked(self, url: str) -> str:
        """What somebody with a key is answered, and after how long."""
        began, key = time.monotonic(), next(iter(self.keys.values()))
        try:
            async with httpx2.AsyncClient(timeout=ANSWER_S) as client:
                said = str((await client.get(url, headers={"Authorization": f"Bearer {key}"})).status_code)
        except httpx2.TransportError as error:
            said = type(error).__name__
        return f"{said} after {time.monotonic() - began:.1f} s"

    def said_by(self, gateway: str, since: float) -> list[str]:
        """What a gateway has answered to all that was sent to it from then on, and that has been answered."""
        return [each.said for each in self._tries if each.gateway == gateway and since <= each.at]

    def took(self, since: float, before: float, gateway: str | None = None) -> list[float]:
        """Seconds of the tries of a time, shortest first; of all, or with one gateway."""
        return sorted(
            each.seconds for each in self._tries if since <= each.at < before and gateway in (None, each.gateway)
        )

    def answered_after(self, limit: float) -> list[float]:
        """Of requests that were first tried before a moment: how many seconds after it they were answered, longest
        first. Those that began shortly before it have their time like all others."""
        began: dict[int, float] = {}
        answered: dict[int, float] = {}
        for each in self._tries:
            began[each.request] = min(each.at, began.get(each.request, each.at))
            if each.said not in OPEN:
                answered.setdefault(each.request, each.at + each.seconds)
        ends = [(began[request], end) for request, end in answered.items()]
        return sorted((end - limit for at, end in ends if at < limit < end and at + PROMPT_S < end), reverse=True)

    async def _once(self, client: httpx2.AsyncClient, request: Request, gateway: str, number: int) -> list[Answer]:
        began = time.monotonic()
        answers = await super()._once(client, request, gateway, number)
        self._tries.append(Timed(number, began, time.monotonic() - began, answers[0].said, gateway))
        return answers
