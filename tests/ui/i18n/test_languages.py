"""Both languages say the same things, and every sentence of the program has a translation."""

import ast
import inspect
import pickle
import re
import string
from pathlib import Path
from types import FunctionType

import gradio as gr
import pytest
from starlette.requests import Request

from qwen_demo.errors import EngineFailed, MediaRefused, QwenDemoError
from qwen_demo.media import images, pdf, points, videos
from qwen_demo.media.sniff import check_bytes, refusal_of_format
from qwen_demo.settings import Settings
from qwen_demo.ui import examples
from qwen_demo.ui.i18n import labels, languages, sentences_zh, texts, texts_zh

PACKAGE = Path(languages.__file__).parents[2]


def names(module) -> set[str]:
    return {name for name in vars(module) if name.isupper()}


def fields(text: str) -> set[str]:
    return {field for _, field, _, _ in string.Formatter().parse(text) if field}


def spoken(module) -> dict:
    """What the module says through functions, and with which parameters."""
    functions = {name: value for name, value in vars(module).items() if isinstance(value, FunctionType)}
    return {name: list(inspect.signature(function).parameters) for name, function in functions.items()}


def test_every_text_of_the_page_is_there_in_both_languages():
    assert names(texts_zh) == names(texts)
    assert spoken(texts_zh) == spoken(texts)
    for name in names(texts):
        english, chinese = getattr(texts, name), getattr(texts_zh, name)
        if isinstance(english, str):
            assert fields(english) == fields(chinese) and (english != chinese or name in ("TOP_P", "TITLE")), name
            continue
        assert english.keys() == chinese.keys(), name  # Gradio's own names are English by themselves
        for key, text in english.items():
            assert not isinstance(text, str) or fields(text) == fields(chinese[key]), (name, key)


def test_every_sentence_of_the_program_has_a_chinese_one_with_the_same_values():
    refusals = [words for kind in (images, pdf, points, videos) for words in kind._REFUSALS.values()]
    texts_of_code, sentences = set(), set(refusals)
    for path in PACKAGE.rglob("*.py"):
        if path.name == "sentences_zh.py":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                texts_of_code.add(node.value)
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "Sentence":
                sentences |= {node.args[0].value} if isinstance(node.args[0], ast.Constant) else set()
    assert sentences <= sentences_zh.SENTENCES.keys() <= texts_of_code
    assert sentences_zh.QUESTIONS.keys() <= texts_of_code
    for english, chinese in sentences_zh.SENTENCES.items():
        assert fields(english) == fields(chinese), english


def test_every_kind_of_error_has_a_chinese_sentence():
    kinds, codes = [QwenDemoError], set()
    while kinds:
        kind = kinds.pop()
        kinds += kind.__subclasses__()
        codes.add(kind.code)
    assert codes == sentences_zh.ERRORS.keys()


def test_a_problem_is_told_with_its_numbers_or_else_with_the_english_words_beneath():
    with pytest.raises(MediaRefused) as large:
        check_bytes(30 << 20, "image", Settings(max_image_bytes=20 << 20), "a.png")
    assert "20.0 MiB" in str(large.value)
    told, original = languages.Problem.of(large.value).localize(texts_zh)
    assert "30.0 MiB" in told and "20.0 MiB" in told and "上限" in told and not original
    assert languages.Problem.of(large.value).localize(texts) == (str(large.value), "")
    assert languages.Problem.of(EngineFailed("The kernel <b>fell</b>.")).localize(texts_zh) == (
        sentences_zh.ERRORS["engine_failed"],
        "The kernel <b>fell</b>.",
    )
    with pytest.raises(MediaRefused) as unknown:
        raise refusal_of_format("a.txt", None, "video")
    told, _ = languages.Problem.of(unknown.value).localize(texts_zh)
    assert not re.search("unknown|kind|Send", told), told
    assert pickle.loads(pickle.dumps(large.value)).args[0].values["setting"] == "max-image-bytes"


@pytest.mark.parametrize(
    ("accepted", "cookie", "words"),
    [
        ("zh-TW,zh;q=0.9,en;q=0.8", "", texts_zh),
        ("en-US,zh;q=0.9", "", texts),
        ("", "", texts),
        ("en-US", "qwen-demo-language=zh", texts_zh),
        ("zh-CN", "qwen-demo-language=en", texts),
        ("zh-CN", "qwen-demo-language=<script>", texts_zh),
    ],
)
def test_the_choice_comes_before_the_browser(accepted, cookie, words):
    headers = [(b"accept-language", accepted.encode()), (b"cookie", cookie.encode())]
    request = gr.Request(Request({"type": "http", "headers": headers, "query_string": b""}))
    assert languages.words_for(request) is words


def test_views_get_both_languages_and_the_cards_are_known():
    assert labels.both(texts.VIEWER)["zh-CN"]["box"] == "画一个框"
    assert labels.both(texts.VIEWER)["en"] is texts.VIEWER
    assert {example.title for example in examples.EXAMPLES} == set(texts.EXAMPLE_TITLES)
