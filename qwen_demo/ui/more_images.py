"""Images for the question that are no files of the visitor's: from the camera, and from an address, typed or dropped."""

from typing import Any

import gradio as gr

from qwen_demo.errors import QwenDemoError
from qwen_demo.media.sniff import file_format
from qwen_demo.ui import gradio_internals, render
from qwen_demo.ui.conversation import Reader
from qwen_demo.ui.draft import draft
from qwen_demo.ui.file_types import media_type
from qwen_demo.ui.gradio_internals import EACH, PRIVATE, event_data
from qwen_demo.ui.i18n.languages import words_for

_HEAD_BYTES = 512


def _named(data: bytes) -> str:
    """A name for a file: by its ending Gradio knows whether to show an image."""
    name = f"from-the-web.{(file_format(data[:_HEAD_BYTES]) or '').lower()}"
    return name if media_type(name) else "from-the-web"


def wire(
    added: gr.JSON,
    question: gr.MultimodalTextbox,
    camera: gr.Image,
    url: gr.Textbox,
    add_url: gr.Button,
    dropped: Any,
    reader: Reader,
) -> None:
    """`dropped`: the view whose event `address` hands on what was dropped."""

    def add(path):
        return (draft.addition([path]) if path else gr.skip()), None

    async def add_from_url(address, request: gr.Request):
        try:
            data = await reader.download((address or "").strip())
            path = gradio_internals.save_upload(data, _named(data))
            await reader.file(path)
        except QwenDemoError as error:
            raise render.refusal(error, words_for(request)) from error
        return add(path)

    async def add_dropped(event: gr.EventData, request: gr.Request):
        return (await add_from_url(str(event_data(event).get("url", "")), request))[0]

    coming = [
        camera.input(add, camera, [added, camera], queue=False, **PRIVATE),
        dropped.address(add_dropped, None, added, **PRIVATE, **EACH),
        *(event(add_from_url, url, [added, url], **PRIVATE) for event in (add_url.click, url.submit)),
    ]
    for each in coming:
        draft.put_in(each, added, question)
