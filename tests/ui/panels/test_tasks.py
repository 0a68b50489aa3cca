"""Every preset is there, and each that is not marked is answered rightly by the embedded model."""

from contextlib import aclosing

import PIL.Image
import PIL.ImageChops
import pytest

from qwen_demo.engines.generate import GenerateEngine
from qwen_demo.engines.scripted import ScriptedEngine
from qwen_demo.media import MediaLoader
from qwen_demo.service.service import Service
from qwen_demo.settings import Settings
from qwen_demo.types import Sampling
from qwen_demo.ui import chat
from qwen_demo.ui.conversation import Reader
from qwen_demo.ui.examples import FOLDER
from qwen_demo.ui.i18n import texts
from qwen_demo.ui.panels.documents import documents
from qwen_demo.ui.panels.tasks import tasks
from qwen_demo.ui.panels.video import video
from training import pages
from training.assets import Assets

# What the images show, in words that a right answer has to contain.
TRUTHS = {
    "describe": ["red circle", "blue square", "green triangle", "yellow star"],
    "read": ["Welcome to the", "picture room"],
    "find": ["pizza", "dog", "bicycle", "bbox_2d"],
    "count": ["three"],
    "compare": ["owl", "purple hexagon"],
    "chart": ["Mon: 24", "Thu: 58", "Fri: 19"],
    "page": ["Garden Club\nMeeting on Friday\nPlease bring gloves\nand some seeds"],
    "motion": ["down"],
}
WORKING = [task for task in tasks.TASKS if task.embedded]


@pytest.fixture
async def service(loaded):
    settings = Settings(model="embedded", max_running=1, warmup=False)
    service = Service(settings, GenerateEngine(settings, loader=lambda *_: loaded))
    service.start()
    await service.loaded()
    yield service
    await service.close()


async def answer_of(task: tasks.Preset, service: Service, loader: MediaLoader) -> str:
    """Asked as its panel asks it."""
    reader, sampling = Reader(loader, [FOLDER]), Sampling(max_new_tokens=min(task.tokens, 256))
    if task.tab == "video":
        values = video.answers(task.paths[0], task.prompt, video.clip_of(0, 0, 2, 32), sampling, service, reader)
    elif task.tab == "documents":
        values = documents.read_page(task.paths[0], 1, task.prompt, sampling, service, reader)
    else:
        schema = Sampling(max_new_tokens=sampling.max_new_tokens, json_schema=task.schema or None)
        history = chat.ask([], {"text": task.prompt, "files": task.paths})
        async with aclosing(chat.answer(history, chat.Choices(schema), service, reader)) as steps:
            return [step.text async for step in steps][-1]
    async with aclosing(values):
        last = [value async for value in values][-1]
    assert not last["problem"]
    return last["text"]


@pytest.mark.parametrize("task", WORKING, ids=lambda task: task.key)
async def test_the_embedded_model_answers_what_is_not_marked(task, service, loader):
    answer = await answer_of(task, service, loader)
    for truth in TRUTHS[task.key]:
        assert truth in answer


async def test_the_strip_tells_the_tokens_that_the_clip_costs(service, loader):
    reader, path, clip = Reader(loader, [FOLDER]), str(FOLDER / "clip.mp4"), video.clip_of(0.5, 3, 1, 4)
    strip = await video.preview(path, clip, service, reader)
    async with aclosing(
        video.answers(path, "Describe the video.", clip, Sampling(max_new_tokens=4), service, reader)
    ) as values:
        last = [value async for value in values][-1]
    assert f"({strip['tokens']} image)" in last["note"]


def test_there_is_a_preset_for_each_kind_of_task_and_its_files_are_ours():
    assert {task.key for task in tasks.TASKS} == set(texts.TASK_TITLES)
    assert {task.key for task in WORKING} == set(TRUTHS)
    for task in tasks.TASKS:
        assert task.files and all((FOLDER / name).exists() for name in task.files)
        assert task.tab in ("chat", "video", "documents", "points")


async def test_marks_depend_on_the_model_that_answers(service):
    unable = {card["key"] for card in tasks.cards(service)["cards"] if card["unable"]}
    assert unable == {task.key for task in tasks.TASKS if not task.embedded} != set()
    full = Service(Settings(warmup=False), ScriptedEngine())
    assert not any(card["unable"] for card in tasks.cards(full)["cards"])


def test_the_page_and_the_window_are_drawn_by_a_script_of_ours():
    assets = Assets(styles=("noto",))
    for name, draw in (("page.png", pages.page), ("gui.png", pages.window)):
        with PIL.Image.open(FOLDER / name) as kept:
            assert PIL.ImageChops.difference(kept.convert("RGB"), draw(assets)).getbbox() is None
