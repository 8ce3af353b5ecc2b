"""A request's body: never more of it than may be, never longer than it may take, and paid for as it comes."""

import asyncio
from typing import Final

from fastapi import Request

from contracts.problems import Problem
from gateway.gate import Bill
from gateway.request import RequestRefused, inflate

ENCODINGS: Final = ("identity", "gzip")


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
                await bill.reach_bytes(len(body))
    except TimeoutError:
        raise RequestRefused(408, Problem("too-slow", "", {"seconds": seconds})) from None
    if encoding == "identity":
        return bytes(body)
    try:
        unpacked = inflate(bytes(body), limit)
    except RequestRefused:
        await bill.reach_bytes(limit)
        raise
    await bill.reach_bytes(len(unpacked))
    return unpacked
