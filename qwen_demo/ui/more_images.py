"""Images for the question that are no files of the visitor's: from the camera, and from an address, typed or dropped."""

from typing import Any

import gradio as gr

from qwen_demo.errors import QwenDemoError
from qwen_demo.ui import gradio_internals, render
from qwen_demo.ui.conversation import Reader
from qwen_demo.ui.gradio_internals import EACH, PRIVATE, event_data
from qwen_demo.ui.i18n.languages import words_for


def wire(
    question: gr.MultimodalTextbox, camera: gr.Image, url: gr.Textbox, add_url: gr.Button, dropped: Any, reader: Reader
) -> None:
    """`dropped`: the view whose event `address` hands on what was dropped."""

    def add(asked, path):
        if not path:
            return gr.skip(), None
        asked = asked or {"text": "", "files": []}
        return {"text": asked["text"], "files": [*asked["files"], path]}, None

    async def add_from_url(asked, address, request: gr.Request):
        try:
            data = await reader.download(address.strip())
            path = gradio_internals.save_upload(data, "from-the-web")
            await reader.file(path)
        except QwenDemoError as error:
            raise render.refusal(error, words_for(request)) from error
        return add(asked, path)

    async def add_dropped(asked, event: gr.EventData, request: gr.Request):
        return (await add_from_url(asked, str(event_data(event).get("url", "")), request))[0]

    camera.input(add, [question, camera], [question, camera], queue=False, **PRIVATE)
    dropped.address(add_dropped, question, question, **PRIVATE, **EACH)
    for event in (add_url.click, url.submit):
        event(add_from_url, [question, url], [question, url], **PRIVATE)
