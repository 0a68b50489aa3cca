"""Every example of the page is answered as its picture says."""

import pytest

from qwen_demo.engines.generate import GenerateEngine
from qwen_demo.settings import Settings
from qwen_demo.types import ChatRequest, Sampling, collect
from qwen_demo.ui import chat
from qwen_demo.ui.conversation import Reader
from qwen_demo.ui.examples import EXAMPLES, FOLDER

# What the pictures show, in words that a right answer has to contain.
TRUTHS = {
    "Describe a picture": ["red circle", "blue square", "green triangle", "yellow star"],
    "Point at things": ["pizza", "dog", "bicycle", "bbox_2d"],
    "Count": ["three"],
    "Read a sign": ["Welcome to the", "picture room"],
    "Ask about a receipt": ["10.54"],
    "Read a chart": ["Thu"],
    "Compare two pictures": ["owl", "purple hexagon"],
    "Watch a clip": ["down"],
    "用中文提问": ["熊猫", "心形", "飞机"],
}


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.title)
async def test_the_embedded_model_answers_the_example_rightly(example, loaded):
    engine = GenerateEngine(Settings(max_running=1), loader=lambda *_: loaded)
    await engine.start()
    history = chat.ask([], {"text": example.question, "files": example.paths})
    messages = await Reader(Settings(), [FOLDER]).messages(history)
    answer = await collect(engine.stream(ChatRequest(messages, Sampling(max_new_tokens=200))))
    await engine.close()
    for truth in TRUTHS[example.title]:
        assert truth in answer.text
