"""On whose account each request counts, and how many of one address there are at a time. Plain ASGI.

Stands behind whatever settles a caller's address, and before everything that holds something for a caller. What a
request holds counts on its address, and on its key once that was looked at (`fairness.also_on`).
"""

import asyncio

from fastapi.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from qwen_demo.errors import Overloaded
from qwen_demo.fairness import ACCOUNT, Tally, Turns, current_account
from qwen_demo.http.access import caller_address
from qwen_demo.http.effort import REQUEST_S, Effort
from qwen_demo.http.errors import body

RETRY_AFTER_S = 5
# Requests of one address that begin at the same time: each takes a millisecond to find its way, and many connections
# that speak at once would hold up everybody for all of them.
BEGIN_AT_ONCE, BEGIN_FOR_S = 16, 0.005


class Accounts:
    """Refuses (429) more than `at_once` requests of one address; open pages, streams and downloads count."""

    def __init__(self, app: ASGIApp, *, at_once: int, effort: Effort | None = None):
        """`effort` counts what each request takes, whatever is in it."""
        self._app, self._at_once, self._effort = app, at_once, effort
        self._running = Tally()
        self._beginning = Turns(lambda: 1 << 30, lambda: BEGIN_AT_ONCE)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        account = scope[ACCOUNT] = (caller_address(scope.get("client")),)
        current_account.set(account)
        if self._running.of(account) >= self._at_once:
            text = (
                f"{self._at_once} requests of this address are open, which is all that one may have "
                "(an operator can raise --caller-connections)."
            )
            return await self._refuse(text, RETRY_AFTER_S, scope, receive, send)
        self._running.add(account, 1)
        try:
            await self._beginning.take(account)
            asyncio.get_running_loop().call_later(BEGIN_FOR_S, self._beginning.give_back, account)
            try:
                if self._effort:
                    await self._effort.spend(REQUEST_S)
            except Overloaded as error:
                return await self._refuse(str(error), error.retry_after_s, scope, receive, send)
            await self._app(scope, receive, send)
        finally:
            self._running.add(account, -1)

    async def _refuse(self, text: str, retry_after_s: float, scope: Scope, receive: Receive, send: Send) -> None:
        scope["app"].state.service.metrics.rejected("connections")
        headers = {"Connection": "close", "Retry-After": f"{retry_after_s:.0f}"}
        response = JSONResponse(body(text, "rate_limit_error", "overloaded"), 429, headers)
        await response(scope, receive, send)
