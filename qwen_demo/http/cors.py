"""Which other web sites' pages may call: the ones that are named, everything; with `*` all of them, the REST API.

The page may have a login, whose cookie browsers send along; the REST API takes none.
"""

from typing import Any

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

ALL = "*"
_WITHOUT_COOKIE = ("/v1/", "/inference", "/health", "/ready")

_OPTIONS: dict[str, Any] = {
    "allow_methods": ["GET", "HEAD", "POST", "DELETE"],
    "allow_headers": ["*"],
    "expose_headers": ["X-Request-Id", "Retry-After"],
}


def is_allowed(origin: str, path: str, origins: tuple[str, ...]) -> bool:
    """Whether a page of `origin` may send a request to `path`. Its letters' case does not matter."""
    return origin.lower() in origins or (ALL in origins and path.startswith(_WITHOUT_COOKIE))


def add_cors(app: FastAPI, origins: tuple[str, ...]) -> None:
    """Answer preflights, and tell browsers what they may show."""
    # Also with no origins, and of starlette's own class: where Gradio finds none, it allows all, with credentials.
    named = [origin for origin in origins if origin != ALL]
    app.add_middleware(CORSMiddleware, allow_origins=named, **_OPTIONS)
    if ALL in origins:
        app.add_middleware(_OpenApi)


class _OpenApi:
    """Every origin, for the REST API; before the middleware of those that are named."""

    def __init__(self, app: ASGIApp):
        self._app, self._to_all = app, CORSMiddleware(app, allow_origins=[ALL], **_OPTIONS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        to_all = scope["type"] == "http" and scope["path"].startswith(_WITHOUT_COOKIE)
        await (self._to_all if to_all else self._app)(scope, receive, send)
