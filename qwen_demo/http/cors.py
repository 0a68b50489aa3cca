"""Which other web sites' pages may call: the ones that are named, everything; with `*` all of them, the REST API.

The page may have a login, whose cookie browsers send along; the REST API takes none.
"""

from functools import partial

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

ALL = "*"
_WITHOUT_COOKIE = ("/v1/", "/inference", "/health", "/ready")


def is_allowed(origin: str, path: str, origins: tuple[str, ...]) -> bool:
    """Whether a page of `origin` may send a request to `path`. Its letters' case does not matter."""
    return origin.lower() in origins or (ALL in origins and path.startswith(_WITHOUT_COOKIE))


class Cors:
    """Answers preflights, and tells browsers what they may show. It is needed with no origins, too: where it is
    missing, Gradio allows every one, with credentials.
    """

    def __init__(self, app: ASGIApp, *, origins: tuple[str, ...]):
        cors = partial(
            CORSMiddleware,
            app,
            allow_methods=["GET", "HEAD", "POST"],
            allow_headers=["*"],
            expose_headers=["X-Request-Id", "Retry-After"],
        )
        self._named = cors(allow_origins=[origin for origin in origins if origin != ALL])
        self._all = cors(allow_origins=[ALL]) if ALL in origins else self._named

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        to_all = scope["type"] == "http" and scope["path"].startswith(_WITHOUT_COOKIE)
        await (self._all if to_all else self._named)(scope, receive, send)
