"""uvicorn's HTTP protocol, with bounds on how long a caller may let it wait.

Uvicorn waits for ever for the end of a request's headers: each half-open connection would keep
one of the process's file descriptors until none is left for visitors. And it waits for ever for a
reader that takes nothing: the answer would keep its place in the model's batch.
"""

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_TIMEOUT_S = 20.0
# And what came in one read with its end. httptools has no such bound.
HEAD_BYTES = 64 << 10
# Some 50 kB that nobody takes for so long; before that the system's own buffers are full.
READ_TIMEOUT_S = 30.0


class TimeoutProtocol(HttpToolsProtocol):
    """Closes a connection whose next request has begun, or should have, but whose headers do not end, or are too many.

    It also closes one whose answer is not taken: for the application, its caller has left then.
    """

    _head_bytes = 0
    _late: asyncio.TimerHandle | None = None
    _unread: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        cycle, closing = self.cycle, self.transport.is_closing()
        if cycle is not None and not cycle.response_complete:
            self._stop()
        elif self._late is None and not closing:
            self._wait()
        in_head = cycle is None or (cycle.response_complete and not cycle.more_body)
        self._head_bytes = self._head_bytes + len(data) if in_head else 0
        if self._head_bytes > HEAD_BYTES and not closing:
            self.send_400_response("The head of the request is too long.")

    def pause_writing(self) -> None:
        super().pause_writing()
        # Closing would wait for what is not taken to be sent.
        self._unread = self.loop.call_later(READ_TIMEOUT_S, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stop_reading_clock()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop()
        self._stop_reading_clock()
        super().connection_lost(exc)

    def _stop_reading_clock(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    def _wait(self) -> None:
        self._late = self.loop.call_later(HEAD_TIMEOUT_S, self._close)

    def _stop(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _close(self) -> None:
        self._late = None
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()
