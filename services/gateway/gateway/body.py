"""A request's body: never more of it than may be, never longer than it may take, and paid for before it is read."""

import asyncio
from typing import Final

from fastapi import Request

from contracts.problems import Problem
from gateway.gate import Bill
from gateway.request import RequestRefused, inflate, signs

ENCODINGS: Final = ("identity", "gzip")
EVENT_BYTES: Final = 4096  # of a body count as an event, whatever stands in them
EVENT_SIGNS: Final = 200  # that part values count as an event, too; the longest has half as many
UNPACKED_BYTES: Final = 65536  # count as an event once they are unpacked, though the body be refused for its size then
OF_EACH_EVENT: Final = b'"specversion"'


async def read(request: Request, bill: Bill, *, limit: int, seconds: int) -> bytes:
    """The body, unpacked. Raises RequestRefused (400, 408, 413, 415), Limited (429), ClientDisconnect."""
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ENCODINGS:
        raise RequestRefused(415, Problem("unsupported-media-type", ""))
    too_large = RequestRefused(413, Problem("request-too-large", "", {"max": limit}))
    declared = request.headers.get("content-length", "")
    if declared.isascii() and declared.isdigit() and len(declared) < 20 and int(declared) > limit:
        raise too_large
    body = bytearray()
    try:
        async with asyncio.timeout(seconds):
            async for chunk in request.stream():
                body += chunk
                if len(body) > limit:
                    raise too_large
    except TimeoutError:
        raise RequestRefused(408, Problem("too-slow", "", {"seconds": seconds})) from None
    content = bytes(body)
    if encoding == "gzip":
        try:
            content = inflate(content, limit)
        except RequestRefused:
            await bill.charge(limit // EVENT_BYTES)
            raise
        await bill.charge(len(content) // UNPACKED_BYTES)
    # All at once, so that of many requests at a time those are taken that fit, and not a part of each.
    events = content.count(OF_EACH_EVENT), len(content) // EVENT_BYTES + 1, signs(content) // EVENT_SIGNS
    await bill.reach(max(events))
    return content
