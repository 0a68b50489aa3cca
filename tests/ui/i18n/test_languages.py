"""Both languages say the same things, and every sentence of the program has a translation."""

import ast
import pickle
import re
import string
from pathlib import Path

import gradio as gr
import pytest
from starlette.requests import Request

from qwen_demo.errors import EngineFailed, MediaRefused, QwenDemoError
from qwen_demo.media import images, pdf, points, videos
from qwen_demo.media.sniff import check_bytes, refusal_of_format
from qwen_demo.settings import Settings
from qwen_demo.ui import examples
from qwen_demo.ui.i18n import catalogues, labels, languages, texts

PACKAGE = Path(languages.__file__).parents[2]


ZH = catalogues.words("zh")
VISITOR = catalogues.words("en", visitor=True)
# Read by models, which know them in English.
ENGLISH = {"DOCUMENT_PROMPTS.text", "DOCUMENT_PROMPTS.markdown"}


def fields(text: str) -> set[str]:
    return {field for _, field, _, _ in string.Formatter().parse(text) if field}


@pytest.mark.parametrize("locale", [locale for locale in catalogues.TAGS if locale != "en"])
def test_every_text_of_the_page_is_translated_with_the_same_values(locale):
    known = catalogues.read(locale)
    missing = {context for context, text in catalogues.english() if (context, text) not in known}
    assert missing <= ENGLISH
    for (context, english), text in known.items():
        if context not in ("error", catalogues.GRADIO):
            assert fields(english) == fields(text), context
    texts_of_page = set(catalogues.english())
    beside = ("sentence", "error", "question", catalogues.GRADIO)
    assert [pair for pair in known if pair not in texts_of_page and pair[0] not in beside] == []
    assert catalogues.words(locale).first_token(1.5) != texts.first_token(1.5)


@pytest.mark.parametrize(
    ("said", "to_visitors"),
    [
        (
            "It took longer than 3 s (--video-timeout-s). Send a shorter one.",
            "It took longer than 3 s. Send a shorter one.",
        ),
        ("Send a shorter one, or start the server with a higher --max-video-seconds.", "Send a shorter one."),
        ("Too many. Remove some (an operator can raise --max-images).", "Too many. Remove some."),
        ("上限为 2（--max-frames）。请减少。", "上限为 2。请减少。"),
        ("One engine. Start it with `--compare-engine generate`: it takes twice 1.5 GiB. Ask.", "One engine. Ask."),
        ("chosen with --model", ""),
        ("well-known -- and plain.", "well-known -- and plain."),
    ],
)
def test_visitors_are_told_no_options_of_the_server(said, to_visitors):
    assert catalogues.without_options(said) == to_visitors


@pytest.mark.parametrize("locale", catalogues.TAGS)
def test_what_visitors_are_told_of_a_text_with_options_is_whole_sentences(locale):
    sentences = [("sentence", english) for english in catalogues.of_context("zh", "sentence")]
    for context, english in [*catalogues.english(), *sentences]:
        text = catalogues.read(locale).get((context, english), english).replace("{setting}", "max-frames")
        if "--" in text:
            told = catalogues.without_options(text)
            assert not re.search("`|--", told) and re.search("^$|[.。)}]$", told), told


@pytest.mark.parametrize(("host", "visitor"), [("127.0.0.1", False), ("::1", False), ("10.1.2.3", True), ("", True)])
def test_options_are_told_on_the_servers_own_machine_alone(host, visitor):
    request = gr.Request(Request({"type": "http", "headers": [], "query_string": b"", "client": (host, 1)}))
    words = languages.words_for(request)
    assert words.visitor == visitor
    told, _ = languages.Problem("x", "Too large (--max-image-bytes). Send less.").localize(words)
    assert ("--" in told) != visitor
    assert ("--" in words.EMBEDDED_REMEDY) != visitor


def test_every_sentence_of_the_program_has_a_chinese_one_with_the_same_values():
    refusals = [words for kind in (images, pdf, points, videos) for words in kind._REFUSALS.values()]
    texts_of_code, sentences = set(), set(refusals)
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                texts_of_code.add(node.value)
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "Sentence":
                sentences |= {node.args[0].value} if isinstance(node.args[0], ast.Constant) else set()
    assert sentences <= catalogues.of_context("zh", "sentence").keys() <= texts_of_code
    assert catalogues.of_context("de", "sentence").keys() <= texts_of_code
    assert catalogues.of_context("zh", "question").keys() <= texts_of_code


@pytest.mark.parametrize("locale", [locale for locale in catalogues.TAGS if locale != "en"])
def test_every_kind_of_error_has_a_sentence(locale):
    kinds, codes = [QwenDemoError], set()
    while kinds:
        kind = kinds.pop()
        kinds += kind.__subclasses__()
        codes.add(kind.code)
    assert codes == catalogues.of_context(locale, "error").keys()


def test_a_problem_is_told_with_its_numbers_or_else_with_the_english_words_beneath():
    with pytest.raises(MediaRefused) as large:
        check_bytes(30 << 20, "image", Settings(max_image_bytes=20 << 20), "a.png")
    assert "20.0 MiB" in str(large.value)
    told, original = languages.Problem.of(large.value).localize(ZH)
    assert "30.0 MiB" in told and "20.0 MiB" in told and "上限" in told and not original
    assert languages.Problem.of(large.value).localize(texts) == (str(large.value), "")
    assert languages.Problem.of(EngineFailed("The kernel <b>fell</b>.")).localize(ZH) == (
        catalogues.of_context("zh", "error")["engine_failed"],
        "The kernel <b>fell</b>.",
    )
    with pytest.raises(MediaRefused) as unknown:
        raise refusal_of_format("a.txt", None, "video")
    told, _ = languages.Problem.of(unknown.value).localize(ZH)
    assert not re.search("unknown|kind|Send", told), told
    assert pickle.loads(pickle.dumps(large.value)).args[0].values["setting"] == "max-image-bytes"


@pytest.mark.parametrize(
    ("accepted", "cookie", "words"),
    [
        ("zh-TW,zh;q=0.9,en;q=0.8", "", ZH),
        ("en-US,zh;q=0.9", "", texts),
        ("", "", texts),
        ("de-AT,en;q=0.5", "", catalogues.words("de")),
        ("fr", "", texts),
        ("en-US", "qwen-demo-language=zh", ZH),
        ("zh-CN", "qwen-demo-language=en", texts),
        ("zh-CN", "qwen-demo-language=<script>", ZH),
    ],
)
def test_the_choice_comes_before_the_browser(accepted, cookie, words):
    headers = [(b"accept-language", accepted.encode()), (b"cookie", cookie.encode())]
    request = gr.Request(Request({"type": "http", "headers": headers, "query_string": b""}))
    assert languages.words_for(request).locale == words.locale


def test_views_get_all_languages_and_the_cards_are_known():
    assert labels.in_all(texts.VIEWER)["zh-CN"]["box"] == "画一个框"
    assert labels.in_all(texts.VIEWER)["en"] is texts.VIEWER
    assert {example.title for example in examples.EXAMPLES} == set(texts.EXAMPLE_TITLES)
    assert {example.line for example in examples.EXAMPLES} == set(texts.EXAMPLE_LINES)


COUNTED = re.compile(r"\{\w+\} (pages|frames|messages|views|earlier questions)")


def test_what_the_page_counts_has_its_singular():
    """`counted` of `views.js` takes the text `one_NAME` where there is one of a thing."""
    tables = [table for name, table in vars(texts).items() if name.isupper() and isinstance(table, dict)]
    found = [
        (key, table)
        for table in tables
        for key, text in table.items()
        if isinstance(text, str) and COUNTED.search(text)
    ]
    assert len(found) > 8
    assert [key for key, table in found if f"one_{key}" not in table] == []
