"""How many connections there may be: of one address, and before the process has no file descriptor left.

Each connection takes one. Where none is left, no visitor gets in, no upload is stored and no decoder starts; so the
last ones are kept for those, and who comes then is told so.
"""

import asyncio
import logging
import resource
from collections.abc import Container
from typing import Any

from qwen_demo.fairness import Tally, most_of
from qwen_demo.http.access import caller_address

log = logging.getLogger(__name__)

TELL_EVERY_S = 10.0
# Of the descriptors, for files, decoders and engines.
RESERVE_SHARE, LEAST_RESERVE = 1 / 8, 16


class Connections:
    """All of one server.

    Args:
        each: of one address.
        share: the part of all descriptors that one address may take.
        proxies: addresses that many callers come from; they are bounded as a whole alone.
        limit: of descriptors; 0 asks the system.
    """

    def __init__(self, each: int, share: float = 1.0, proxies: Container[str] = (), limit: int = 0):
        limit = limit or resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        if limit < 0:  # no limit
            limit = 1 << 20
        self._last = limit - max(LEAST_RESERVE, int(limit * RESERVE_SHARE))
        self._each = min(each, most_of(self._last, share))
        self._proxies = proxies
        self._open = Tally()
        self._told_at = -TELL_EVERY_S

    def enter(self, client: tuple[str, int] | None, descriptor: int) -> int:
        """Count one connection more. Gives 0, or the status with which to refuse it.

        Args:
            descriptor: its number. The system gives the lowest that is free, so the number says how many are taken.
        """
        address = caller_address(client)
        if descriptor >= self._last:
            self._tell("%d file descriptors are open: new connections are refused until some are closed", descriptor)
            return 503
        if client is None or client[0] in self._proxies:
            return 0
        if self._open.of((address,)) >= self._each:
            self._tell("%s has %d connections: more of it are refused", address, self._each)
            return 429
        self._open.add((address,), 1)
        return 0

    def leave(self, client: tuple[str, int] | None) -> None:
        if client is not None and client[0] not in self._proxies:
            self._open.add((caller_address(client),), -1)

    def _tell(self, text: str, *values: object) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._told_at >= TELL_EVERY_S:
            self._told_at = now
            log.warning(text, *values)


def quiet_at_the_limit(loop: asyncio.AbstractEventLoop) -> None:
    """asyncio's own loop tries to accept again thousands of times a second while no descriptor is left, and logs each
    time. uvloop closes such connections by itself.
    """
    told_at = -TELL_EVERY_S

    def handle(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        nonlocal told_at
        message = context.get("message", "")
        if "_start_serving" in message and isinstance(context.get("exception"), ValueError):
            return  # one of its tries came after the server was closed
        if "out of system resource" not in message:
            return loop.default_exception_handler(context)
        if loop.time() - told_at >= TELL_EVERY_S:
            told_at = loop.time()
            log.error("no file descriptor is left for another connection: %s", context.get("exception"))

    loop.set_exception_handler(handle)
