"""The header's menu: which model answers, which could, and changing to one of them, for everybody.

What the server tells is a value for the view `model_menu.js`; numbers travel as numbers and are written by the view.
"""

from pathlib import PurePath
from typing import Any

import gradio as gr

from qwen_demo.errors import QwenDemoError
from qwen_demo.models.hub.offers import Offer
from qwen_demo.service.model_menu import MenuState, ModelMenu
from qwen_demo.service.switch_status import SwitchStatus
from qwen_demo.ui import assets
from qwen_demo.ui.gradio_internals import EACH, UNQUEUED, event_data
from qwen_demo.ui.i18n import texts
from qwen_demo.ui.i18n.languages import Problem, Words, translate, words_for


def name_of(model: str, words: Words = texts) -> str:
    """As people say it: without the owner and the ending that all have, and of a folder its last part."""
    if model in ("embedded", "auto", ""):
        return str(words.MODEL_MENU["embedded"])
    return PurePath(model).name.removesuffix("-Instruct")


def draw(menu: ModelMenu | None) -> gr.HTML | None:
    """None where there is nothing to choose."""
    return None if menu is None else assets.view("model_menu", {}, texts.MODEL_MENU)


def value_of(state: MenuState, words: Words = texts, problem: tuple[str, str] = ("", "")) -> dict[str, Any]:
    """Value of the view.

    Args:
        problem: why what was asked for was refused, and its English original.
    """
    survey = state.survey
    return {
        "present": state.present,
        "name": name_of(state.present, words),
        "offers": [_offer(offer, state, words) for offer in state.offers],
        "free": survey.free_now() if survey else None,
        "measuring": state.measuring,
        "trouble": _either(state.trouble, words),
        "change": _change(state.status, words),
        "problem": problem[0],
        "original": problem[1],
    }


def _offer(offer: Offer, state: MenuState, words: Words) -> dict[str, Any]:
    return {
        "model": offer.model,
        "name": name_of(offer.model, words),
        "about": words.MODELS_KNOWN_FOR.get(offer.model, ""),
        "here": offer.here,
        "download": offer.download_bytes,
        "needed": offer.needed_bytes,
        "first_s": offer.first_token_s,
        "tokens_s": offer.tokens_per_s,
        "present": offer.model == state.present,
    }


def _change(status: SwitchStatus, words: Words) -> dict[str, Any]:
    return {
        "stage": status.stage,
        "model": status.model,
        "name": name_of(status.model, words) if status.model else "",
        "detail": _either(status.detail, words),
        "done": status.done_bytes,
        "total": status.total_bytes,
    }


def _either(text: str, words: Words) -> str:
    return translate(text, words) or text


def wire(view: gr.HTML | None, menu: ModelMenu | None, demo: gr.Blocks) -> None:
    """The view's events. It sends one more, `changed`, once another model answers, for whoever shows which one does."""
    if view is None or menu is None:
        return

    async def shown(request: gr.Request, problem: tuple[str, str] = ("", ""), *, measures: bool = False):
        if not _may(menu, request):
            return {}
        words = words_for(request)
        return value_of(await menu.look(measures=measures), words, problem)

    async def look(event: gr.EventData, request: gr.Request):
        return await shown(request, measures=event_data(event).get("measures") is True)

    async def act(event: gr.EventData, request: gr.Request):
        data = event_data(event)
        problem = ("", "")
        if _may(menu, request):
            try:
                _do(menu, data.get("what"), str(data.get("model", "")))
            except QwenDemoError as error:
                problem = Problem.of(error).localize(words_for(request))
        return await shown(request, problem, measures=True)

    async def first(request: gr.Request):
        return await shown(request)

    demo.load(first, None, view, **UNQUEUED)
    view.look(look, None, view, **UNQUEUED)
    view.act(act, None, view, **UNQUEUED, **EACH)


def _may(menu: ModelMenu, request: gr.Request) -> bool:
    http = request.request
    assert http is not None, "Gradio hands its handlers the request that they answer"
    return menu.is_for(frozenset(name.lower() for name in http.headers))


def _do(menu: ModelMenu, what: Any, model: str) -> None:
    if what == "choose":
        menu.choose(model)
    elif what == "pause":
        menu.pause()
    elif what == "cancel":
        menu.cancel()
