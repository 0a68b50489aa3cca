"""Catalogues of translations, one `.po` of gettext for each language, as translators' programs read and write them.

A message's context says where it stands: `VIEWER.box` is `texts.VIEWER["box"]`; `sentence` is a `Sentence` of the
program, `error` a kind of error by its code, `question` a question of ours to the model. What a catalogue does not have
stays English. `python -m qwen_demo.ui.i18n.catalogues` takes in new texts and tells what is left to translate.
"""

import functools
import importlib.util
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import polib

from qwen_demo.ui.i18n import texts

_OPTIONS = (
    re.compile(r"\s*[(（][^()（）]*--[a-z][^()（）]*[)）]"),
    re.compile(r"[,;，；](?:[^,;，；.。]|\.(?!\s|$))*--[a-z](?:[^,;，；.。]|\.(?!\s|$))*(?=[.。]|$)"),
    re.compile(r"(?:(?<=[.。])|^)[^.。]*--[a-z](?:[^.。]|\.(?!\s|$))*(?:[.。]|$)"),
)
FOLDER = Path(__file__).parent / "catalogues"
# Language -> its name for browsers, by the two letters that its catalogue has; English is the texts' own.
TAGS = {"en": "en", "zh": "zh-CN", "de": "de"}
NAMES = {"en": "English", "zh": "中文", "de": "Deutsch"}
# Gradio's own words by their English: each language has those that Gradio lacks.
GRADIO = "ACCESSIBILITY.names"


@functools.cache
def read(locale: str) -> Mapping[tuple[str, str], str]:
    """(context, English) -> translation, of those that have one."""
    if locale == "en":
        return {}
    entries = polib.pofile(str(FOLDER / f"{locale}.po"))
    return {(entry.msgctxt or "", entry.msgid): entry.msgstr for entry in entries if entry.translated()}


def of_context(locale: str, context: str) -> dict[str, str]:
    """English -> translation of one context."""
    return {english: known for (found, english), known in read(locale).items() if found == context}


def walk(context: str, value: Any) -> Iterator[tuple[str, str]]:
    """(context, English) of every text in a constant of `texts`."""
    if isinstance(value, str):
        yield context, value
    else:
        for key, inner in value.items():
            yield from walk(f"{context}.{key}", inner)


def english() -> list[tuple[str, str]]:
    """Every text of the page."""
    constants = [(name, value) for name, value in vars(texts).items() if name.isupper()]
    return [pair for name, value in constants for pair in walk(name, value) if pair[1]]


@functools.cache
def words(locale: str, *, visitor: bool = False) -> ModuleType:
    """`texts` in another language: a second one of the module, with its constants translated.

    Args:
        visitor: without the server's options.
    """
    if locale == "en" and not visitor:
        return texts
    spec = importlib.util.find_spec(texts.__name__)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for name, value in list(vars(module).items()):
        if name.isupper():
            translated = _translated(locale, name, value)
            hidden = visitor and isinstance(translated, str)
            setattr(module, name, without_options(translated) if hidden else translated)
    vars(module).update(locale=locale, visitor=visitor)
    return module


def without_options(text: str) -> str:
    """Without what only those can do who start the server: `--option` in brackets, in a clause, in a sentence."""
    if "--" not in text:
        return text
    for part in _OPTIONS:
        text = part.sub("", text)
    return text.strip()


def _translated(locale: str, context: str, value: Any) -> Any:
    if isinstance(value, str):
        return read(locale).get((context, value), value)
    if context == GRADIO:
        return of_context(locale, GRADIO)
    return {key: _translated(locale, f"{context}.{key}", inner) for key, inner in value.items()}


def main() -> None:
    """Bring every catalogue up to date, in the order of the texts; the messages of no text are dropped."""
    for locale in TAGS:
        if locale == "en":
            continue
        path = FOLDER / f"{locale}.po"
        old = polib.pofile(str(path))
        kept = {(entry.msgctxt, entry.msgid): entry.msgstr for entry in old}
        new = polib.POFile(wrapwidth=110)
        new.metadata = old.metadata
        others = [pair for pair in kept if pair[0] in ("sentence", "error", "question", GRADIO)]
        for context, text in [*english(), *others]:
            new.append(polib.POEntry(msgctxt=context, msgid=text, msgstr=kept.get((context, text), "")))
        new.save(str(path))
        print(f"{locale}: {new.percent_translated()} % translated")
        for entry in new.untranslated_entries():
            print(f"  {entry.msgctxt}: {entry.msgid}")


if __name__ == "__main__":
    main()
