"""The panel "Copy and share": the question as code, and bundles that ask it again elsewhere."""

import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import gradio as gr

from qwen_demo.errors import QwenDemoError
from qwen_demo.service.service import Service
from qwen_demo.types import Sampling
from qwen_demo.ui import assets, chat, render
from qwen_demo.ui.attachments import Gallery
from qwen_demo.ui.conversation import Reader
from qwen_demo.ui.gradio_internals import EACH, PRIVATE, event_data
from qwen_demo.ui.history import bundles, generation_params, snippets, transcript
from qwen_demo.ui.history.generation_params import GenerationParams
from qwen_demo.ui.i18n import texts
from qwen_demo.ui.i18n.languages import Words, words_for
from qwen_demo.ui.panels.context import context


@dataclass
class ShareWidgets:
    view: gr.HTML
    load: gr.UploadButton


def draw() -> ShareWidgets:
    view = assets.view("share", {}, texts.SHARE)
    load = gr.UploadButton(
        texts.BUNDLE_OPEN, file_types=[".json"], file_count="single", size="sm", elem_id="bundle-open"
    )
    return ShareWidgets(view, load)


@dataclass
class ChatParts:
    """Parts of the page that the panel reads and fills in.

    Attributes:
        options: controls in the order of `generation_params.sampling_of`, then system prompt, schema and adapter.
    """

    chatbot: gr.Chatbot
    question: gr.MultimodalTextbox
    context: gr.HTML
    budget: gr.Slider
    options: Sequence[gr.components.Component]


class ShareHandlers:
    """Handlers of the panel."""

    def __init__(self, service: Service, reader: Reader, gallery: Gallery):
        self._service, self._reader, self._gallery = service, reader, gallery

    def code(self, data: dict, history, question, items, budget, sampling: Sampling, system: str, adapter: str,
             words: Words = texts) -> dict:  # fmt: skip
        """The view's value."""
        settings, model = self._service.settings, self._service.status().model
        asked = snippets.Question(
            transcript.asked_next(
                history, question, context.off_files(items, attached=(question or {}).get("files") or [])
            ),
            sampling,
            snippets.address_of(data.get("address")),
            model.model_id,
            adapter or "",
            (system or "").strip(),
            context.budget_pixels(budget, model),
            bool(settings.api_keys_file),
            bool(settings.page_users_file),
        )
        try:
            return {"code": snippets.all_of(asked), **_fresh()}
        except json.JSONDecodeError as error:
            raise render.refusal(words.SCHEMA_NO_JSON) from error
        except ValueError as error:
            raise render.refusal(words.NOTHING_TO_COPY if not asked.turns else words.TOO_LONG_TO_COPY) from error

    async def pack(self, history, items, words: Words = texts) -> dict:
        off = context.off_files(items, chat.again(history, len(history) - 1)) if history else frozenset()
        turns = transcript.of_history(chat.without_files(history, off))
        try:
            text = await bundles.pack(turns, self._gallery, self._service.status().model)
        except QwenDemoError as error:
            raise render.refusal(error, words) from error
        return {"file": text, **_fresh()}

    async def open(self, path: str, words: Words = texts) -> tuple[chat.History, GenerationParams, dict]:
        """Conversation, parameters and the view's value. Raises `gr.Error`."""
        try:
            found = bundles.parse(Path(path))
            longest = self._service.settings.max_new_tokens
            if found.generation_params.max_new_tokens > longest:
                raise render.refusal(words.bundle_too_long(found.generation_params.max_new_tokens, longest))
            history = await bundles.unpack(found, self._reader, words)
        except QwenDemoError as error:
            raise render.refusal(error, words) from error
        return history, found.generation_params, {"expected": bundles.expected(found), "running": True, **_fresh()}

    async def verdict(self, history, value) -> dict:
        expected = value.get("expected") if isinstance(value, dict) else None
        model = self._service.status().model
        found = await bundles.verdict(expected, transcript.of_history(history), self._gallery, model)
        return {"verdict": found, "failed": bool(expected) and found is None, **_fresh()}


def _fresh() -> dict:
    return {"nonce": secrets.token_hex(4)}


def wire(widgets: ShareWidgets, share: ShareHandlers, parts: ChatParts, service: Service):
    """Returns the event after which the chat shows a bundle's question, to be answered."""

    async def pack(history, items, request: gr.Request):
        return await share.pack(history or [], items, words_for(request))

    async def open_bundle(path, request: gr.Request):
        history, params, value = await share.open(path, words_for(request))
        controls = generation_params.control_values(params, params.max_new_tokens, service.status().model)
        busy = gr.MultimodalTextbox(submit_btn=False, stop_btn=True)
        # The button forgets its file: the same one may be opened twice.
        return history, {"items": []}, *controls, value, busy, None

    def copy(
        request: gr.Request, event: gr.EventData,
        history, question, items, budget, temperature, length, top_p, penalty, seed, system, schema, adapter,
    ):  # fmt: skip
        data = event_data(event)
        sampling = generation_params.sampling_of(temperature, length, top_p, penalty, seed, schema)
        asked = question, items, budget, sampling, system, adapter
        return share.code(data, history or [], *asked, words_for(request))

    state = [parts.chatbot, parts.question, parts.context, parts.budget, *parts.options]
    widgets.view.code(copy, state, widgets.view, **PRIVATE, **EACH)
    widgets.view.pack(pack, [parts.chatbot, parts.context], widgets.view, **PRIVATE, **EACH)
    outputs = [parts.chatbot, parts.context, parts.budget, *parts.options, widgets.view, parts.question]
    outputs.append(widgets.load)
    return widgets.load.upload(open_bundle, widgets.load, outputs, **PRIVATE)


def judge_after(event, widgets: ShareWidgets, share: ShareHandlers, chatbot: gr.Chatbot) -> None:
    """The view says whether the answer that `event` gave is the bundle's."""
    event.then(share.verdict, [chatbot, widgets.view], widgets.view, queue=False, **PRIVATE)
