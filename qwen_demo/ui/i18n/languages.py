"""English and Chinese: the browser's language decides, a button switches.

Gradio translates marked labels in the browser, by the browser's language alone and before any script
of ours runs. So who chose a language gets that one under every name. Views bring both languages
and choose in the browser. What the server writes while it answers is in the language of whoever asked:
a handler takes `words_for` its request, and hands them to all that writes.
"""

from contextvars import ContextVar
from dataclasses import dataclass
from types import ModuleType

import gradio as gr
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from qwen_demo.errors import QwenDemoError
from qwen_demo.sentences import Sentence
from qwen_demo.ui.i18n import sentences_zh, texts, texts_zh

Words = ModuleType  # `texts` or `texts_zh`, which have the same names

_locale: ContextVar[str] = ContextVar("locale", default="")


class LocaleMiddleware:
    """Plain ASGI: remembers the locale that was chosen, while the page for this request is made."""

    def __init__(self, app: ASGIApp):
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == "/":
            _locale.set(_choice_of(Request(scope)))
        await self._app(scope, receive, send)


def chosen_locale() -> str:
    """Of the request that is answered: "en" or "zh", or "" where only the browser says something."""
    return _locale.get()


def _choice_of(request: Request) -> str:
    chosen = request.query_params.get("lang", request.cookies.get("qwen-demo-language", ""))
    return chosen if chosen in ("en", "zh") else ""


def words_for(request: gr.Request) -> Words:
    """In the language that was chosen, or else the browser's."""
    http = request.request
    assert http is not None, "Gradio hands its handlers the request that they answer"
    accepted = "zh" if http.headers.get("accept-language", "").strip().lower().startswith("zh") else "en"
    return texts_zh if (_choice_of(http) or accepted) == "zh" else texts


def translate(text: str, words: Words) -> str | None:
    """`text`, which is English, in the language of `words`; None where nobody translated it."""
    if words is texts or not text:
        return text
    if not isinstance(text, Sentence) or (template := sentences_zh.SENTENCES.get(text.template)) is None:
        return None
    return template.format(**{name: _translate_value(value, words) for name, value in text.values.items()})


def _translate_value(value, words: Words):
    return (translate(value, words) or value) if isinstance(value, Sentence) else value


@dataclass(frozen=True, slots=True)
class Problem:
    """What went wrong, until it is told in somebody's language."""

    code: str
    message: str

    @classmethod
    def of(cls, error: QwenDemoError) -> "Problem":
        return cls(error.code, error.args[0])

    def localize(self, words: Words) -> tuple[str, str]:
        """The sentence to show, and beneath it the English one where that says more and has no translation."""
        known = translate(self.message, words)
        return (known, "") if known is not None else (sentences_zh.ERRORS[self.code], self.message)


def question(english: str, words: Words) -> str:
    """A question of ours to the model."""
    return english if words is texts else sentences_zh.QUESTIONS.get(english, english)
