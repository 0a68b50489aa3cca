"""A box for the question in the page's own HTML: words can be typed while Gradio still loads, and move into its box.

`early.js` stands in the body and runs while that is read. The choice of the language comes first, as the box has words.
"""

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from qwen_demo.ui import assets

# Where Gradio draws the page; everything before it in the HTML may be a visitor's or a model's word.
_PLACE = b"<gradio-app"


class EarlyQuestion:
    """Plain ASGI: puts the box into the page. Its body is kept whole, which is no more than Gradio's configuration."""

    def __init__(self, app: ASGIApp):
        self._app, self._box = app, assets.early().encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != "/":
            return await self._app(scope, receive, send)
        start: Message | None = None
        page = bytearray()

        async def send_with_box(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start" and _is_page(message):
                start = message
                return
            if start is None or message["type"] != "http.response.body":
                await send(message)
                return
            page.extend(message.get("body", b""))
            if message.get("more_body"):
                return
            before, place, after = bytes(page).rpartition(_PLACE)
            whole = before + self._box + place + after if place else bytes(page)
            MutableHeaders(scope=start)["content-length"] = str(len(whole))
            await send(start)
            await send({**message, "body": whole})

        await self._app(scope, receive, send_with_box)


def _is_page(start: Message) -> bool:
    return start["status"] == 200 and Headers(raw=start["headers"]).get("content-type", "").startswith("text/html")
