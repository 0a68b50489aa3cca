"""English and the languages of `catalogues.py`: the browser's language decides, a menu switches.

Gradio translates marked labels in the browser, by the browser's language alone and before any script
of ours runs. So who chose a language gets that one under every name. Views bring all languages
and choose in the browser. What the server writes while it answers is in the language of whoever asked:
a handler takes `words_for` its request, and hands them to all that writes.
"""

import ipaddress
from contextvars import ContextVar
from dataclasses import dataclass
from types import ModuleType

import gradio as gr
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from qwen_demo.errors import QwenDemoError
from qwen_demo.sentences import Sentence
from qwen_demo.ui.i18n import catalogues

Words = ModuleType  # `texts`, or a module of the same names in another language

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
    """Of the request that is answered: by its two letters, or "" where only the browser says something."""
    return _locale.get()


def _choice_of(request: Request) -> str:
    chosen = request.query_params.get("lang", request.cookies.get("qwen-demo-language", ""))
    return chosen if chosen in catalogues.TAGS else ""


def words_for(request: gr.Request) -> Words:
    """In the language that was chosen, or else the browser's; for visitors from elsewhere without the server's options."""
    http = request.request
    assert http is not None, "Gradio hands its handlers the request that they answer"
    accepted = http.headers.get("accept-language", "").strip().lower()[:2]
    locale = _choice_of(http) or (accepted if accepted in catalogues.TAGS else "en")
    return catalogues.words(locale, visitor=not _from_here(http))


def _from_here(http: Request) -> bool:
    """Whether an operator may sit there: on the server's own machine."""
    try:
        return ipaddress.ip_address(http.client.host if http.client else "").is_loopback
    except ValueError:
        return False


def translate(text: str, words: Words) -> str | None:
    """`text`, which is English, in the language of `words`; None where nobody translated it."""
    told = catalogues.without_options if words.visitor else str
    if words.locale == "en" or not text:
        return told(text)
    template = catalogues.read(words.locale).get(("sentence", text.template)) if isinstance(text, Sentence) else None
    if not isinstance(text, Sentence) or template is None:
        return None
    return told(template.format(**{name: _translate_value(value, words) for name, value in text.values.items()}))


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
        if known is not None:
            return known, ""
        general = catalogues.read(words.locale).get(("error", self.code))
        message = catalogues.without_options(self.message) if words.visitor else self.message
        return (general, message) if general else (message, "")


def question(english: str, words: Words) -> str:
    """A question of ours to the model."""
    return catalogues.read(words.locale).get(("question", english), english)
