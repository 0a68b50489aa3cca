import pytest

from qwen_demo.types import ModelInfo
from qwen_demo.ui import boxes, chat
from qwen_demo.ui.conversation import Reader
from tests.conftest import draw

MODEL = ModelInfo("test", min_pixels=28 * 28 * 64, max_pixels=28 * 28 * 256)


@pytest.fixture
def ask(settings, tmp_path):
    async def ask_(answer: str, size=(600, 400), max_pixels=None):
        draw("red", size).save(tmp_path / "p.png")
        history = chat.ask([], {"text": "find", "files": [str(tmp_path / "p.png")]})
        history.append({"role": "assistant", "content": [{"type": "text", "text": answer}]})
        history.append({"role": "assistant", "content": [], "metadata": {"title": "note"}})
        return await boxes.drawing(history, max_pixels, MODEL, Reader(settings, [tmp_path]))

    return ask_


async def test_boxes_are_scaled_from_what_the_model_saw(ask):
    # 600 x 400 fits the largest size after shrinking to 532 x 364.
    drawing = await ask('[{"bbox_2d": [0, 0, 266, 182], "label": "disc"}]')
    assert drawing.picture.size == (600, 400)
    assert drawing.boxes == [((0, 0, 300, 200), "disc")]


async def test_the_pixel_budget_of_the_answer_counts(ask):
    # 64 tokens make 252 x 168 of it.
    drawing = await ask('[{"bbox_2d": [0, 0, 126, 84], "label": "disc"}]', max_pixels=28 * 28 * 64)
    assert drawing.boxes == [((0, 0, 300, 200), "disc")]


async def test_a_large_picture_is_shown_smaller_with_its_boxes(ask):
    drawing = await ask('[{"bbox_2d": [0, 0, 100000, 100000]}, {"point_2d": [1, 1], "label": "p"}]', size=(3200, 2000))
    assert drawing.picture.size == (1600, 1000)
    assert drawing.boxes[0] == ((0, 0, 1600, 1000), "#1")
    assert drawing.boxes[1][1] == "p"


async def test_an_answer_without_marks_draws_nothing(ask):
    assert await ask("a red disc") is None
