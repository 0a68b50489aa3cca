"""English and Chinese: the browser's language decides, a button switches.

Gradio translates marked labels in the browser, by the browser's language alone and before any script
of ours runs. So who chose a language gets that one under every name. Views bring both languages
and choose in the browser. What the server writes while it answers is English.
"""

from contextvars import ContextVar

import gradio as gr
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from qwen_demo.ui import texts, texts_zh

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
  document.cookie = `qwen-demo-language=${chosen}; path=/; max-age=31536000; SameSite=Lax`;
})();
</script>"""


# Languages that Gradio has words of its own for: it asks for no others.
LOCALES = (
    "ar", "ca", "ckb", "de", "en", "es", "et", "eu", "fa", "fi", "fr", "he", "hi", "id", "ja", "ko", "lt", "nb",
    "nl", "pl", "pt", "pt-BR", "ro", "ru", "sv", "ta", "th", "tr", "uk", "ur", "uz", "zh-CN", "zh-TW",
)  # fmt: skip
_chosen: ContextVar[str] = ContextVar("language", default="")


class Translations(gr.I18n):
    """Labels by their English words, for the visitor whose request is answered."""

    def __init__(self):
        chinese = _labels()
        self._words = {"zh": chinese, "en": {key: key for key in chinese}}
        super().__init__()

    @property
    def translations_dict(self) -> dict[str, dict[str, str]]:
        """Of another language's browser, English."""
        chosen = _chosen.get()
        return {name: self._words[chosen or ("zh" if name.startswith("zh") else "en")] for name in LOCALES}


class Blocks(gr.Blocks):
    """Gradio makes a page's configuration once; here its translations are those of the visitor."""

    @property
    def config(self) -> dict:
        if _chosen.get() and self._config.get("i18n_translations"):
            return {**self._config, "i18n_translations": self.i18n_instance.translations_dict}
        return self._config

    @config.setter
    def config(self, value: dict) -> None:
        self._config = value


class ByVisitor:
    """Plain ASGI: remembers which language the visitor chose while a page of his is made."""

    def __init__(self, app: ASGIApp):
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == "/":
            request = Request(scope)
            chosen = request.query_params.get("lang", request.cookies.get("qwen-demo-language", ""))
            _chosen.set(chosen if chosen in ("en", "zh") else "")
        await self._app(scope, receive, send)


def mark(demo: gr.Blocks) -> None:
    """Let Gradio translate every label of `demo` that is a text of ours."""
    known = _labels()

    def marked(text: str) -> str:
        head, words = ("### ", text[4:]) if text.startswith("### ") else ("", text)
        return f"{head}{gr.I18n()(words)}" if words in known else text

    for block in demo.blocks.values():
        for name in [*_TRANSLATED, *(["value"] if isinstance(block, _WITH_WORDS_AS_VALUE) else [])]:
            if isinstance(text := getattr(block, name, None), str):
                setattr(block, name, marked(text))


def choose(demo: gr.Blocks) -> None:
    """What Gradio does not translate, as it stands deeper: cards of an empty chat and choices. Once the page is open."""
    cards = [block for block in demo.blocks.values() if isinstance(block, gr.Chatbot) and block.examples]
    radios = [block for block in demo.blocks.values() if isinstance(block, gr.Radio)]
    known = _labels()

    def chosen(language: str):
        if language != "zh-CN":
            return [gr.skip()] * (len(cards) + len(radios))
        titles = [
            [{**card, "display_text": known.get(card["display_text"], card["display_text"])} for card in chat.examples]
            for chat in cards
        ]
        choices = [[(known.get(shown, shown), key) for shown, key in radio.choices] for radio in radios]
        return [*(gr.Chatbot(examples=value) for value in titles), *(gr.Radio(choices=value) for value in choices)]

    language = gr.Textbox(visible="hidden", label="language")
    demo.load(chosen, language, [*cards, *radios], js="() => navigator.language", queue=False, show_progress="hidden",
              api_visibility="private")  # fmt: skip


def both(words: dict) -> dict[str, dict]:
    """A view's words in both languages, by the browser's name for them."""
    name = next((name for name, value in vars(texts).items() if value is words), None)
    return {"en": words, "zh-CN": {**words, **getattr(texts_zh, name, {})} if name else words}


def _labels() -> dict[str, str]:
    """English label -> Chinese one."""
    pairs = [(getattr(texts, name), value) for name, value in vars(texts_zh).items() if name.isupper()]
    labels = {english: chinese for english, chinese in pairs if isinstance(english, str)}
    for name in ("DOCUMENT_TASKS", "EXAMPLE_TITLES"):
        labels |= {english: getattr(texts_zh, name)[key] for key, english in getattr(texts, name).items()}
    return labels
