"""uvicorn's HTTP protocol, with bounds on how long a caller may let it wait.

Uvicorn waits for ever for the end of a request's headers: each half-open connection would keep
one of the process's file descriptors until none is left for visitors. And it waits for ever for a
reader that takes nothing: the answer would keep its place in the model's batch.
"""

import asyncio
import json

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from qwen_demo.http.connections import Connections

HEAD_TIMEOUT_S = 20.0
# And what came in one read with its end. httptools has no such bound.
HEAD_BYTES = 64 << 10
# Some 50 kB that nobody takes for so long; before that the system's own buffers are full.
READ_TIMEOUT_S = 30.0


class TimeoutProtocol(HttpToolsProtocol):
    """Closes a connection whose next request has begun, or should have, but whose headers do not end, or are too many.

    It also closes one whose answer is not taken: for the application, its caller has left then.

    Attributes:
        bounds: of how many there may be; None is no bound. See `bounded`.
    """

    bounds: Connections | None = None
    _counted = False
    _head_bytes = 0
    _late: asyncio.TimerHandle | None = None
    _unread: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        super().connection_made(transport)
        if self.bounds is not None:
            socket = transport.get_extra_info("socket")
            status = self.bounds.enter(self.client, socket.fileno() if socket else 0)
            if status:
                transport.write(_refusal(status))
                return transport.close()
            self._counted = True
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
        if self._counted and self.bounds is not None:
            self._counted = False
            self.bounds.leave(self.client)
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


def bounded(bounds: Connections) -> type[TimeoutProtocol]:
    """The protocol of one server."""
    return type("BoundedProtocol", (TimeoutProtocol,), {"bounds": bounds})


def _refusal(status: int) -> bytes:
    """An answer to whoever connects; no request was read."""
    phrase, text = {
        429: (
            "Too Many Requests",
            "This address has too many connections (an operator can raise --caller-connections).",
        ),
        503: ("Service Unavailable", "The server has no room for another connection."),
    }[status]
    error = {"message": text, "type": "rate_limit_error", "param": None, "code": "overloaded", "request_id": ""}
    content = json.dumps({"error": error}).encode()
    head = (
        f"HTTP/1.1 {status} {phrase}\r\nContent-Type: application/json\r\nContent-Length: {len(content)}\r\n"
        "Retry-After: 5\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + content
