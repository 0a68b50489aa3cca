"""HEAD wherever GET is: as GET, without the body. FastAPI's routes know GET alone."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

# Gradio's own: its files know HEAD, and what else it has streams, or changes something.
_LEFT_ALONE = ("/gradio_api/", "/login", "/logout")


class HeadAsGet:
    """Plain ASGI, before every route."""

    def __init__(self, app: ASGIApp):
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD" or scope["path"].startswith(_LEFT_ALONE):
            return await self._app(scope, receive, send)

        async def send_without_body(message: Message) -> None:
            if message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        return await self._app({**scope, "method": "GET"}, receive, send_without_body)
