"""Provinces that send all the while, as their systems would: in no hurry, and what is not taken comes again."""

import asyncio
from collections.abc import Mapping

import httpx2

from tests.delivery.stream import LANES, Lane, Request

STEP_S = 5.0  # from one step of a province to its next
ANSWER_S = 15
AGAIN_S = 5  # as the gateway asks those whom it answers 503


class Provinces:
    """Six systems of five provinces."""

    def __init__(self, gateway: str, keys: Mapping[str, str], seed: int) -> None:
        self._gateway, self._keys = gateway, keys
        self._lanes = [Lane(seed, tenant, system) for tenant, system in LANES]
        self.sent = 0  # events that were answered

    async def run(self) -> None:
        """Until cancelled."""
        async with httpx2.AsyncClient(timeout=ANSWER_S) as client, asyncio.TaskGroup() as group:
            for number, lane in enumerate(self._lanes):
                group.create_task(self._lane(client, lane, STEP_S * number / len(self._lanes)))

    async def _lane(self, client: httpx2.AsyncClient, lane: Lane, later: float) -> None:
        await asyncio.sleep(later)
        while True:
            await asyncio.gather(*(self._send(client, request) for request in lane.step()), asyncio.sleep(STEP_S))

    async def _send(self, client: httpx2.AsyncClient, request: Request) -> None:
        while not await self._answered(client, request):
            await asyncio.sleep(AGAIN_S)
        self.sent += len(request.items)

    async def _answered(self, client: httpx2.AsyncClient, request: Request) -> bool:
        """Whether it was taken or refused, and need not be sent again."""
        key = self._keys[request.source] if request.own_key else "ocop_nobody"
        headers = {"Content-Type": request.kind, "Authorization": f"Bearer {key}"}
        try:
            answer = await client.post(f"{self._gateway}/v1/events", content=request.content, headers=headers)
        except httpx2.TransportError:
            return False
        return answer.status_code != httpx2.codes.TOO_MANY_REQUESTS and answer.status_code < 500
