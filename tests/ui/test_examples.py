"""Every example of the page is answered as its image says."""

import pytest

from qwen_demo.engines.generate import GenerateEngine
from qwen_demo.settings import Settings
from qwen_demo.types import ChatRequest, Sampling, collect
from qwen_demo.ui import chat
from qwen_demo.ui.conversation import Reader
from qwen_demo.ui.examples import EXAMPLES, FOLDER
from qwen_demo.ui.i18n import catalogues, languages

# What the images show, in words that a right answer has to contain.
TRUTHS = {
    "Point at things": ["pizza", "dog", "bicycle", "bbox_2d"],
    "Count": ["three"],
    "Read a receipt": ["10.54"],
    "Read a chart": ["Thu"],
    "Compare images": ["owl", "purple hexagon"],
    "Watch a clip": ["down"],
}
# The same, asked in Chinese, where the model was taught the question.
CHINESE_TRUTHS = {
    "Count": ["3个苹果"],
    "Read a chart": ["Thu"],
    "Watch a clip": ["向下"],
}


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.title)
async def test_the_embedded_model_answers_the_example_rightly(example, loaded, loader):
    answer = await answer_of(example.question, example.paths, loaded, loader)
    for truth in TRUTHS[example.title]:
        assert truth in answer


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.title)
async def test_a_chinese_page_asks_in_chinese_what_the_model_understands(example, loaded, loader):
    question = languages.question(example.question, catalogues.words("zh"))
    assert (question != example.question) == (example.title in CHINESE_TRUTHS)
    if example.title in CHINESE_TRUTHS:
        answer = await answer_of(question, example.paths, loaded, loader)
        for truth in CHINESE_TRUTHS[example.title]:
            assert truth in answer


async def answer_of(question: str, paths: list[str], loaded, loader) -> str:
    engine = GenerateEngine(Settings(max_running=1), loader=lambda *_: loaded)
    await engine.start()
    history = chat.ask([], {"text": question, "files": paths})
    messages = await Reader(loader, [FOLDER]).messages(history)
    answer = await collect(engine.stream(ChatRequest(messages, Sampling(max_new_tokens=200))))
    await engine.close()
    return answer.text
