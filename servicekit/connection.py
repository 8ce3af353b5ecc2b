"""HTTP connections with an end: what a client does not say, send or read in time is waited for no longer.

uvicorn has a time limit between requests only.
"""

import asyncio
from typing import Final

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from contracts.problems import Problem
from servicekit.http import problem_response

HEAD_S: Final = 10.0  # for a request's head, and for the rest of a body that was answered before its end
FLUSH_S: Final = 30.0  # for reading an answer, from when no more of it fits, or the connection would be closed
REST_BYTES: Final = 1024 * 1024  # of a body that was answered before its end, where it comes in chunks: each is work
READ_BYTES: Final = 16 * 1024  # at a time: in chunks of a byte even these are ten milliseconds' work


class Connection(H11Protocol):
    """uvicorn's, with deadlines of its own. How long a body may take is the application's business."""

    _deadline: asyncio.TimerHandle | None = None
    _stuck: asyncio.TimerHandle | None = None
    _rest = 0  # bytes of a body that nobody waits for

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        transport.max_size = READ_BYTES  # type: ignore[attr-defined]  # asyncio's own, where it reads from sockets
        self._watch()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()
        answered = self.cycle is not None and self.cycle.response_complete
        self._rest = self._rest + len(data) if answered and self.conn.their_state is h11.SEND_BODY else 0
        if self._rest > REST_BYTES and any(name == b"transfer-encoding" for name, _ in self.headers):
            self.transport.abort()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stuck = self.loop.call_later(FLUSH_S, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._stuck is not None:
            self._stuck.cancel()
            self._stuck = None

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002  # uvicorn's form; its words are none for a person
        """Says that this is no HTTP, unless an answer is on its way already; an application at work is told that
        nobody listens any more.
        """
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            answer = problem_response(400, Problem("not-http", ""), headers={"Connection": "close"})
            head = h11.Response(status_code=400, headers=answer.raw_headers, reason=b"Bad Request")
            for part in (head, h11.Data(data=bytes(answer.body)), h11.EndOfMessage()):
                self.transport.write(self.conn.send(part) or b"")
        self.transport.close()
        if self.cycle is not None:
            self.cycle.disconnected = True
            self.cycle.message_event.set()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._watch()

    def timeout_keep_alive_handler(self) -> None:
        super().timeout_keep_alive_handler()
        self.loop.call_later(FLUSH_S, self.transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._disarm()
        if self._stuck is not None:
            self._stuck.cancel()

    def _watch(self) -> None:
        """While the application works its own limits hold; at all other times something must come to its end."""
        if self.cycle is not None:
            at_work = not self.cycle.response_complete
            between = self.conn.their_state is h11.IDLE and not self.conn.trailing_data[0]
            if at_work or between:
                self._disarm()
            if at_work:
                return
        if self._deadline is None and not self.transport.is_closing():
            self._deadline = self.loop.call_later(HEAD_S, self.transport.abort)

    def _disarm(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
