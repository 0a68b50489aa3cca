"""What it takes to read a body, and who has to wait because of the bodies before it.

Parsing holds up everybody: it runs on the event loop, or holds Python's lock. One caller may have a quarter of a
processor for it, and then waits a little before each of its next bodies; small ones cost next to nothing.
"""

import asyncio

from qwen_demo.errors import Overloaded
from qwen_demo.fairness import Work, current_account
from qwen_demo.sentences import Sentence

RATE, AT_ONCE_S = 0.25, 0.5
MAX_WAIT_S = 20.0
# Measured on one core of an AMD EPYC: copies, a value through our models, and one through Gradio's, which come and go.
BYTE_S, VALUE_S, EVENT_VALUE_S = 5e-9, 5e-6, 20e-6
# Whatever is in them: any request, and on top an event of the page or a call of MCP, which is several events.
REQUEST_S, EVENT_S, MCP_S = 0.001, 0.002, 0.02
# A form is parsed in Python, which stops at each end of a line.
LINE_S = 1e-6
_LOOKED_AT, _MOST_VALUES = 1 << 20, 10_000


class Effort:
    """Of one application. Work of the program itself waits for nothing.

    Args:
        bounded: False where one caller may have everything.
    """

    def __init__(self, bounded: bool = True):
        self._work = Work(RATE, AT_ONCE_S) if bounded else None

    async def spend(self, work_s: float) -> None:
        """Wait until the caller's turn to have so much work done. Raises `Overloaded`: that would be too late."""
        account = current_account.get()
        if not account or self._work is None:
            return
        wait_s = self._work.wait_s(account, work_s, asyncio.get_running_loop().time())
        if wait_s > MAX_WAIT_S:
            raise Overloaded(
                Sentence("You send more than this server can read. Try again in {seconds:.0f} s.", seconds=wait_s),
                retry_after_s=wait_s,
            )
        if wait_s > 0:
            await asyncio.sleep(wait_s)


def of_json(content: bytes) -> float:
    """Seconds, about; more than a look at a large body."""
    return BYTE_S * len(content) + VALUE_S * _values(content)


def of_event(content: bytes, path: str) -> float:
    alone_s = MCP_S if path.startswith("/gradio_api/mcp") else EVENT_S
    return alone_s + BYTE_S * len(content) + EVENT_VALUE_S * _values(content)


def of_form(content: bytes) -> float:
    return BYTE_S * len(content) + LINE_S * content.count(b"\r")


def _values(content: bytes) -> int:
    """About how many there are in JSON, and as many as are read at most. What stands in a text is none: answers that
    were sent before have lists of boxes in them."""
    pieces = content[:_LOOKED_AT].replace(b"\\\\", b"").replace(b'\\"', b"").split(b'"')
    between = b"".join(pieces[::2])
    return min(_MOST_VALUES, between.count(b",") + between.count(b"["))
