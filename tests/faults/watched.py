"""The load of a fault: as elsewhere, and beside it how long answers take, and what a fault sends by itself."""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import httpx2

from tests.delivery.ledger import Answer, Ledger
from tests.delivery.load import ANSWER_S, Load
from tests.delivery.stream import Request


@dataclass(frozen=True, slots=True)
class Timed:
    """One try: when it began, how long it took, what it was answered first, and by whom."""

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

    def took(self, since: float, before: float) -> list[float]:
        """Seconds of the tries of a time, shortest first."""
        return sorted(each.seconds for each in self._tries if since <= each.at < before)

    async def _once(self, client: httpx2.AsyncClient, request: Request, gateway: str) -> list[Answer]:
        began = time.monotonic()
        answers = await super()._once(client, request, gateway)
        self._tries.append(Timed(began, time.monotonic() - began, answers[0].said, gateway))
        return answers
