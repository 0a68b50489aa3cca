"""The page: first drawn, then wired. What the handlers do is in `chat.py` and `render.py`."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass

import gradio as gr
from gradio.events import Dependency

from qwen_demo.knowledge.knowledge import Knowledge
from qwen_demo.service.model_menu import ModelMenu
from qwen_demo.service.service import Service
from qwen_demo.ui import adapter_choice, answer_buttons, assets, chat, controls, gradio_internals, more_images, render
from qwen_demo.ui.attachments import Gallery
from qwen_demo.ui.connection import connection
from qwen_demo.ui.conversation import Reader
from qwen_demo.ui.draft import draft
from qwen_demo.ui.endpoints import Endpoints
from qwen_demo.ui.examples import EXAMPLES
from qwen_demo.ui.gradio_internals import PRIVATE, UNQUEUED
from qwen_demo.ui.history import conversations, generation_params, go_on, share
from qwen_demo.ui.i18n import catalogues, labels, languages, texts
from qwen_demo.ui.i18n.languages import words_for
from qwen_demo.ui.kept_settings import kept_settings
from qwen_demo.ui.layout import layout
from qwen_demo.ui.long_chat import long_chat
from qwen_demo.ui.model_menu import instead, model_menu
from qwen_demo.ui.panels import tabs as panel_tabs
from qwen_demo.ui.panels.context import context
from qwen_demo.ui.panels.documents import documents
from qwen_demo.ui.panels.editing import editing
from qwen_demo.ui.panels.knowledge import knowledge as knowledge_panel
from qwen_demo.ui.panels.knowledge import sources
from qwen_demo.ui.panels.knowledge.knowledge import owner_of
from qwen_demo.ui.panels.preview import preview
from qwen_demo.ui.set_chips import set_chips

UPLOADS_KEPT_S = 24 * 3600


@dataclass
class PageWidgets:
    """The widgets that handlers read or write."""

    demo: gradio_internals.LocalizedBlocks
    models: gr.HTML | None
    badge: gr.HTML
    about: gr.Markdown
    chatbot: long_chat.Chatbot
    question: gr.MultimodalTextbox
    added: gr.JSON
    preview: preview.PreviewWidgets
    camera: gr.Image
    url: gr.Textbox
    add_url: gr.Button
    chips: gr.HTML
    options: controls.OptionWidgets
    kept: gr.HTML
    connection: gr.HTML
    editing: gr.HTML
    share: share.ShareWidgets
    reset: gr.Button
    clock: gr.Timer
    panels: panel_tabs.PanelWidgets
    collection: gr.Dropdown
    sources: gr.HTML


def build_page(
    services: Sequence[Service], reader: Reader, menu: ModelMenu | None, knowledge: Knowledge
) -> gradio_internals.LocalizedBlocks:
    """The Blocks to mount; the first service answers, a second is there to be compared with, `menu` changes the model."""
    service = services[0]
    page = _draw(service, len(services), menu)
    gradio_internals.guard(page.demo)
    with page.demo:
        # First, so that no handler of the page takes the names of the public endpoints.
        _publish(service, reader, knowledge)
        _wire_status(page, service)
        model_menu.wire(page.models, menu, page.demo)
        gallery = Gallery(reader)
        previews = preview.Preview(service, gallery)
        setting = _wire_chat(page, service, reader, previews, gallery, menu, knowledge)
        preview.wire(page.preview, previews, page.chatbot, page.question, page.added)
        more_images.wire(page.added, page.question, page.camera, page.url, page.add_url, page.chips, reader)
        draft.wire(page.question, page.connection, page.demo)
        labels.translate_on_load(page.demo)
        filled_in = panel_tabs.ChatWidgets(page.question, page.options.length, page.options.schema, page.preview.viewer)
        picked = panel_tabs.wire(page.panels, filled_in, services, reader)
        _wire_settings(page, [*setting, picked])
        knowledge_panel.wire(page.panels.knowledge, knowledge, reader, page.panels.knowledge_tab)
        changed = [page.models.changed] if page.models else []
        adapter_choice.wire(page.options.adapter, service, page.demo.load, page.connection.back, *changed)
        sources.wire(page.collection, page.sources, knowledge, page.demo.load, page.panels.knowledge.view.change)
    return page.demo


def _draw(service: Service, engines: int, menu: ModelMenu | None) -> PageWidgets:
    settings, visitors = service.settings, catalogues.words("en", visitor=True)
    with gradio_internals.LocalizedBlocks(
        title=texts.TITLE, fill_width=True, analytics_enabled=False, delete_cache=(3600, UPLOADS_KEPT_S)
    ) as demo:
        with layout.header():
            models = model_menu.draw(menu)
            connected = connection.draw()
            badge = gr.HTML(render.badge(service.status(), visitors).html, elem_id="badge", padding=False)
            layout.buttons("header-end", "side", "theme", "settings")
            assets.view("language", catalogues.NAMES, texts.LANGUAGE)
        clock = gr.Timer(1.0)
        with gr.Column(elem_id="rail", min_width=0):
            kept = conversations.draw()
        with gr.Tabs(elem_id="tabs") as tabs:
            with gr.Tab(texts.TAB_CHAT, id="chat"), gr.Row(elem_id="chat-row", equal_height=False):
                with gr.Column(elem_id="conversation"):
                    chatbot = controls.draw_chat()
                    edited = editing.draw()
                    chips = set_chips.draw()
                    with gr.Row(elem_id="answer-with"):
                        collection = sources.draw_switch()
                        adapter = adapter_choice.draw(settings, "adapter")
                    question, added = controls.draw_question(), draft.draw_added()
                    gr.Markdown(texts.CAN_BE_WRONG, elem_id="can-be-wrong")
                with layout.drawer("side", texts.SEEN):
                    cited = sources.draw()
                    views = preview.draw()
            beside = panel_tabs.draw(tabs, settings, engines)
        with layout.drawer("settings", texts.SETTINGS):
            budget = context.draw_budget()
            options = controls.draw_options(settings, adapter)
            with gr.Accordion(texts.MORE_SOURCES, open=False):
                url = gr.Textbox(label=texts.URL, placeholder="https://…", visible=settings.fetch_urls != "off")
                add_url = gr.Button(texts.ADD_URL, size="sm", visible=settings.fetch_urls != "off")
                camera = gr.Image(label=texts.CAMERA, sources=["webcam"], type="filepath", height=220)
            reset = kept_settings.draw()
            sharing = share.draw()
            with gr.Accordion(texts.ABOUT, open=False):
                about = gr.Markdown(render.about(service.status(), visitors))
        previews = preview.with_budget(views, budget)
    gradio_internals.localize_labels(demo)
    return PageWidgets(demo, models, badge, about, chatbot, question, added, previews, camera, url, add_url, chips,
                       options, kept, connected, edited, sharing, reset, clock, beside, collection, cited)  # fmt: skip


def _wire_status(page: PageWidgets, service: Service) -> None:
    def status(request: gr.Request):
        words = words_for(request)
        badge = render.badge(service.status(), words)
        slider = context.fitted_budget(service.status().model)
        return badge.html, render.about(service.status(), words), _recheck(badge), slider

    outputs = [page.badge, page.about, page.clock, page.preview.budget]
    changed = [page.models.changed] if page.models else []
    for event in (page.demo.load, page.clock.tick, page.connection.back, *changed):
        event(status, None, outputs, **UNQUEUED)


def _wire_settings(page: PageWidgets, setting: list[Dependency]) -> None:
    """`setting`: events that set what the chat is asked with."""
    of_chat, of_tabs = {**page.options._asdict(), "budget": page.preview.budget}, panel_tabs.settings_of(page.panels)
    restored, usual = kept_settings.wire({**of_chat, **of_tabs}, page.reset, page.demo, of_chat=["schema", "adapter"])
    documents.follow_task(page.panels.documents, [restored, usual])
    set_chips.wire(page.chips, of_chat, [*setting, restored, usual])
    kept_settings.keep_changes(of_tabs, usual)


def _recheck(badge: render.Badge) -> gr.Timer:
    """The timer that looks at the model's state again, until what the badge says will stay."""
    if badge.recheck_s is None:
        return gr.Timer(active=False)
    return gr.Timer(badge.recheck_s, active=True)


def _status_after_answer(service: Service, words: languages.Words) -> tuple:
    """Badge and timer: an answer that finds the model gone says so at once, and the page looks until it is back."""
    badge = render.badge(service.status(), words)
    return (gr.skip(), gr.skip()) if badge.recheck_s is None else (badge.html, _recheck(badge))


def _wire_chat(
    page: PageWidgets, service: Service, reader: Reader, previews: preview.Preview, gallery: Gallery, menu, knowledge
) -> list[Dependency]:
    """Returns the events that set what the chat is asked with."""

    async def respond(
        request: gr.Request, history, budget, items, collection,
        temperature, length, top_p, penalty, seed, system, schema, adapter,
    ) -> AsyncGenerator:  # fmt: skip
        words = words_for(request)
        sampling = generation_params.sampling_of(temperature, length, top_p, penalty, seed, schema)
        max_pixels = context.budget_pixels(budget, service.status().model)
        off = context.off_files(items, history)
        choices = chat.Choices(sampling, system, max_pixels, off, adapter or "")
        if collection or sampling.json_schema:
            history = chat.to_answer(history)  # neither can begin in the middle
        growing = long_chat.Growing(page.chatbot, history)
        answer_preview = previews.of_answer(history, budget, items, words)
        saver = conversations.Saver(history, "" if collection else go_on.params_of(choices, service))
        asked = sources.asked(service, knowledge, owner_of(request), collection)
        async with aclosing(chat.answer(history, choices, asked, reader, words)) as steps:
            async for step in steps:
                views = await answer_preview.update(step.text, step.finished)
                kept = saver.update(step)
                yield growing.of(step.history), *views, kept, gr.skip(), gr.skip(), gr.skip()
        # In this event, not one of its own: that could end after a later one and bring back an old conversation.
        # The views are given again: Gradio would mix "no change" into the value that it streamed last.
        history = step.history
        if step.finished:
            history = instead.with_button(history, step.text, menu, words, doubtful=step.doubtful)
        if not (step.finished and step.finished.reason != "length") and not (collection or sampling.json_schema):
            history = go_on.with_button(history, words)
        cited = asked.sources() if isinstance(asked, sources.FromCollection) else {}
        shown, kept = growing.of(history), conversations.save(step.history, whole=step.finished is not None)
        yield shown, *views, kept, *_status_after_answer(service, words), cited

    def take(question, history, request: gr.Request):
        asked = chat.ask(history, question)
        if asked == history:
            words = words_for(request)
            raise render.refusal(words.EMPTY_QUESTION)
        return _busy(), asked

    def take_example(selected: gr.SelectData, history, request: gr.Request):
        # By its number: what the browser says is in it could be any file of the machine.
        example = EXAMPLES[long_chat.index_of([], selected.index)]
        question = languages.question(example.question, words_for(request))
        return _busy(), chat.ask(history, {"text": question, "files": example.paths})

    def retry(history, event: gr.RetryData):
        return _busy(), chat.again(history, long_chat.index_of(history, event.index))

    def undo(history, event: gr.UndoData):
        index = long_chat.index_of(history, event.index)
        asked = chat.question_of(history, index)
        return asked, chat.before(history, index), conversations.left()

    def stop(history, collection, schema, request: gr.Request):
        words = words_for(request)
        kept = chat.note_stop(history, words)
        if not (collection or (schema or "").strip()):
            kept = go_on.with_button(kept, words)
        return _idle(), kept, conversations.save(kept, whole=False)

    both, sharing = [page.question, page.chatbot], share.ShareHandlers(service, reader, gallery)
    parts = share.ChatParts(page.chatbot, page.question, page.preview.context, page.preview.budget, page.options)
    settings = [page.preview.budget, *page.options]
    pressed = answer_buttons.wire(page.chatbot, page.question, settings, service, menu, _busy)
    replayed = share.wire(page.share, sharing, parts, service)
    gone_on = go_on.wire(page.kept, page.chatbot, page.question, settings, service, _busy)
    taken = page.question.submit(take, both, both, js=draft.SENT, **PRIVATE)
    draft.keep_rest(taken, page.question)
    begun = [
        taken,
        page.chatbot.example_select(take_example, page.chatbot, both, **UNQUEUED),
        page.chatbot.retry(retry, page.chatbot, both, **UNQUEUED),
        editing.wire(page.editing, page.chatbot, page.question, _busy),
        replayed,
        pressed,
        gone_on,
    ]
    answering = [
        event.success(
            respond,
            [page.chatbot, page.preview.budget, page.preview.context, page.collection, *page.options],
            [page.chatbot, page.preview.viewer, page.preview.context, page.kept, page.badge, page.clock, page.sources],
            **PRIVATE,
            concurrency_id="answers",
        )
        for event in begun
    ]
    for event in answering:
        event.then(_idle, None, page.question, **UNQUEUED)
    # The note comes after the cancelling, or an update under way would write over it.
    stopping = page.question.stop(None, None, None, cancels=[*answering, pressed], **UNQUEUED)
    stopping.then(stop, [page.chatbot, page.collection, page.options.schema], [*both, page.kept], **UNQUEUED)
    opened = conversations.wire(page.kept, page.chatbot, page.question, gallery, service.status, answering)
    undone = page.chatbot.undo(undo, page.chatbot, [*both, page.kept], **UNQUEUED)
    cleared = page.chatbot.clear(
        lambda: (_idle(), conversations.save([])), None, [page.question, page.kept], **UNQUEUED
    )
    # A schema would stick to a conversation that it was not meant for.
    freed = [event.then(lambda: "", None, page.options.schema, **UNQUEUED) for event in (cleared, opened[1])]
    share.judge_after(answering[begun.index(replayed)], page.share, sharing, page.chatbot)
    sources.clear_after([undone, cleared, *opened], page.sources)
    preview.refresh_after([undone, cleared, *opened], page.preview, previews, page.chatbot)
    return [replayed, pressed, gone_on, *freed]


def _publish(service: Service, reader: Reader, knowledge: Knowledge) -> None:
    endpoints = Endpoints(service, reader, knowledge)
    gr.api(endpoints.search_documents, api_name="search_documents")
    for function in (endpoints.ask, endpoints.chat):
        gr.api(function, api_name=function.__name__, concurrency_id="answers")


def _busy() -> gr.MultimodalTextbox:
    return gr.MultimodalTextbox(submit_btn=False, stop_btn=True)


def _idle() -> gr.MultimodalTextbox:
    return gr.MultimodalTextbox(submit_btn=True, stop_btn=False)
