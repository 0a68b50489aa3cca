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
from qwen_demo.ui import texts, texts_zh

Words = ModuleType  # `texts` or `texts_zh`, which have the same names

# Only what stands in the page before anybody asks; a question in a text box is for the model.
_TRANSLATED = ("label", "info", "placeholder")
_WITH_WORDS_AS_VALUE = (gr.Button, gr.Markdown)

# Before the views. The switch leaves its choice in the storage, and for the server in a cookie.
HEAD = """<script>
(() => {
  const known = ["en", "zh"], key = "qwen-demo.language";
  let chosen = new URLSearchParams(location.search).get("lang");
  try {
    if (known.includes(chosen)) localStorage.setItem(key, chosen);
    else chosen = localStorage.getItem(key);
  } catch {}
  if (!known.includes(chosen)) chosen = navigator.language.toLowerCase().startsWith("zh") ? "zh" : null;
  if (!chosen) return;
  const language = chosen === "zh" ? "zh-CN" : "en";
  Object.defineProperty(navigator, "language", { get: () => language, configurable: true });
  Object.defineProperty(navigator, "languages", { get: () => [language], configurable: true });
  document.documentElement.lang = language;
  // A Space stands in a frame of another site.
  const scope = location.protocol === "https:" ? "SameSite=None; Secure; Partitioned" : "SameSite=Lax";
  document.cookie = `qwen-demo-language=${chosen}; path=/; max-age=31536000; ${scope}`;
})();
</script>"""


# Languages that Gradio has words of its own for: it asks for no others.
LOCALES = (
    "ar", "ca", "ckb", "de", "en", "es", "et", "eu", "fa", "fi", "fr", "he", "hi", "id", "ja", "ko", "lt", "nb",
    "nl", "pl", "pt", "pt-BR", "ro", "ru", "sv", "ta", "th", "tr", "uk", "ur", "uz", "zh-CN", "zh-TW",
)  # fmt: skip
_chosen: ContextVar[str] = ContextVar("language", default="")


class Translations(gr.I18n):
    """Labels of a page by their English words, for the visitor whose request is answered."""

    def __init__(self, page: "Blocks"):
        chinese = {english: known for english, known in _labels().items() if english in page.marked}
        self._words = {"zh": chinese, "en": {key: key for key in chinese}}
        super().__init__()

    @property
    def translations_dict(self) -> dict[str, dict[str, str]]:
        """Of another language's browser, English."""
        chosen = _chosen.get()
        return {name: self._words[chosen or ("zh" if name.startswith("zh") else "en")] for name in LOCALES}


class Blocks(gr.Blocks):
    """Gradio makes a page's configuration once; here its translations are those of the visitor.

    Attributes:
        marked: labels that the browser translates. Each page that is open holds a copy of their translations.
    """

    marked: frozenset[str] = frozenset()

    @property
    def config(self) -> dict:
        if _chosen.get() and self._config.get("i18n_translations"):
            return {**self._config, "i18n_translations": self.i18n_instance.translations_dict}
        return self._config

    @config.setter
    def config(self, value: dict) -> None:
        self._config = value


class LocaleMiddleware:
    """Plain ASGI: remembers which language the visitor chose while a page of his is made."""

    def __init__(self, app: ASGIApp):
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == "/":
            _chosen.set(_chosen_by(Request(scope)))
        await self._app(scope, receive, send)


def _chosen_by(request: Request) -> str:
    chosen = request.query_params.get("lang", request.cookies.get("qwen-demo-language", ""))
    return chosen if chosen in ("en", "zh") else ""


def words_for(request: gr.Request) -> Words:
    """Of the visitor: the language that he chose, or else his browser's."""
    http: Request = request.request
    accepted = "zh" if http.headers.get("accept-language", "").strip().lower().startswith("zh") else "en"
    return texts_zh if (_chosen_by(http) or accepted) == "zh" else texts


def said(text: str, words: Words) -> str | None:
    """`text`, which is English, in the language of `words`; None where nobody translated it."""
    if words is texts or not text:
        return text
    template = words.SENTENCES.get(text.template) if isinstance(text, Sentence) else None
    if template is None:
        return None
    return template.format(**{name: _value_said(value, words) for name, value in text.values.items()})


def _value_said(value, words: Words):
    return (said(value, words) or value) if isinstance(value, Sentence) else value


@dataclass(frozen=True, slots=True)
class Problem:
    """What went wrong, until somebody is told it in his language."""

    code: str
    message: str

    @classmethod
    def of(cls, error: QwenDemoError) -> "Problem":
        return cls(error.code, error.args[0])

    def told(self, words: Words) -> tuple[str, str]:
        """The sentence to show, and beneath it the English one where that says more and has no translation."""
        known = said(self.message, words)
        return (known, "") if known is not None else (words.ERRORS[self.code], self.message)


def question(english: str, words: Words) -> str:
    """A question of ours to the model."""
    return english if words is texts else words.QUESTIONS.get(english, english)


def mark(demo: Blocks) -> None:
    """Let Gradio translate every label of `demo` that is a text of ours."""
    known = _labels()
    found: set[str] = set()

    def marked(text: str) -> str:
        head, words = ("### ", text[4:]) if text.startswith("### ") else ("", text)
        if words not in known:
            return text
        found.add(words)
        return f"{head}{gr.I18n()(words)}"

    for block in demo.blocks.values():
        for name in [*_TRANSLATED, *(["value"] if isinstance(block, _WITH_WORDS_AS_VALUE) else [])]:
            if isinstance(text := getattr(block, name, None), str):
                setattr(block, name, marked(text))
    demo.marked = frozenset(found)


def choose(demo: gr.Blocks) -> None:
    """What Gradio does not translate: cards of an empty chat, choices, questions in boxes. Once the page is open."""
    cards = [block for block in demo.blocks.values() if isinstance(block, gr.Chatbot) and block.examples]
    radios = [block for block in demo.blocks.values() if isinstance(block, gr.Radio)]
    known = _labels()
    boxes = [block for block in demo.blocks.values() if isinstance(block, gr.Textbox) and block.value in known]
    outputs = [*cards, *radios, *boxes]

    def chosen(request: gr.Request):
        if words_for(request) is texts:
            return [gr.skip()] * len(outputs)
        titles = [
            [{**card, "display_text": known.get(card["display_text"], card["display_text"])} for card in chat.examples]
            for chat in cards
        ]
        choices = [[(known.get(shown, shown), key) for shown, key in radio.choices] for radio in radios]
        filled = [gr.Textbox(known[box.value]) for box in boxes]
        return [*(gr.Chatbot(examples=value) for value in titles), *(gr.Radio(choices=value) for value in choices),
                *filled]  # fmt: skip

    demo.load(chosen, None, outputs, queue=False, show_progress="hidden", api_visibility="private")


def both(words: dict) -> dict[str, dict]:
    """A view's words in both languages, by the browser's name for them."""
    name = next((name for name, value in vars(texts).items() if value is words), None)
    return {"en": words, "zh-CN": {**words, **getattr(texts_zh, name, {})} if name else words}


def _labels() -> dict[str, str]:
    """English label -> Chinese one."""
    pairs = [(getattr(texts, name, None), value) for name, value in vars(texts_zh).items() if name.isupper()]
    labels = {english: chinese for english, chinese in pairs if isinstance(english, str)}
    for name in ("DOCUMENT_TASKS", "DOCUMENT_PROMPTS", "EXAMPLE_TITLES"):
        labels |= {english: getattr(texts_zh, name)[key] for key, english in getattr(texts, name).items()}
    return labels
