"""What is no route of the API, in the API's own shape: without this, the page's application answers for it."""

import re
from collections.abc import Sequence

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from qwen_demo.http.errors import body

# Programs that were given an address without its /v1 ask there.
_WITHOUT_VERSION = ("/chat/completions", "/completions", "/responses", "/embeddings", "/models")
_HAS = "This server has POST /v1/chat/completions, POST /v1/responses, GET /v1/models and POST /inference"


def add_unknown_paths(router: APIRouter) -> None:
    """Call it when all routes are there."""
    known = [(route.path_regex, set(route.methods or ())) for route in router.routes if isinstance(route, APIRoute)]
    paths = {route.path for route in router.routes if isinstance(route, APIRoute) and "{" not in route.path}
    answer = _Unknown(known)
    for path in ("/v1", "/v1/{rest:path}", *_WITHOUT_VERSION, *sorted(paths)):
        # Without methods: it answers all of them.
        router.routes.append(Route(path, answer, include_in_schema=False))


class _Unknown:
    """404, or 405 where the path is known."""

    def __init__(self, known: Sequence[tuple[re.Pattern[str], set[str]]]):
        self._known = known

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path, method = scope["path"].removeprefix(scope.get("root_path", "")), scope["method"]
        allowed = sorted({method for pattern, methods in self._known if pattern.match(path) for method in methods})
        if allowed:
            status, text = 405, f"{method} is not answered at {path}: send {' or '.join(allowed)}."
        else:
            status, text = 404, f"There is nothing at {method} {path[:200]}. {_HAS}."
        scope["app"].state.service.metrics.rejected(f"http_{status}")
        content = body(text, "invalid_request_error", f"http_{status}")
        headers = {"Allow": ", ".join(allowed)} if allowed else {}
        await JSONResponse(content, status, headers)(scope, receive, send)
