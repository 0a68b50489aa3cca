"""The menu's values and the way from an answer to the larger model, without a browser."""

from types import SimpleNamespace

import gradio as gr
import pytest

from qwen_demo.errors import InvalidRequest
from qwen_demo.models.hub.catalog import GIB
from qwen_demo.service.model_menu import ModelMenu
from qwen_demo.service.service import Service
from qwen_demo.types import Finished, Timing, Usage
from qwen_demo.ui import chat, render
from qwen_demo.ui.i18n import catalogues, texts
from qwen_demo.ui.model_menu import instead, model_menu
from tests.conftest import until
from tests.models.hub.hub_server import Hub, hub_server, use_hub
from tests.ui.model_menu.models import BEYOND, OTHER, Models
from training.world import chat as talk
from training.world import everyday, sheets

FINISHED = Finished("stop", Usage(9, 0, 9), Timing(ttft_s=0.1, decode_s=0.1, total_s=0.2))
ASKED = chat.ask([], {"text": "What is this?"})


def answered(text: str) -> list[dict]:
    return [*ASKED, render.answer(text), render.statistics(FINISHED)]


@pytest.fixture
async def models(tmp_path, monkeypatch):
    with hub_server(Hub()) as hub:
        use_hub(hub, monkeypatch, tmp_path)
        models = Models(tmp_path, monkeypatch)
        models.hub = hub
        models.menu = ModelMenu.of(Service(models.settings, models.switch))
        await models.switch.start()
        yield models
        await models.switch.close()


@pytest.fixture
def with_files(models):
    models.offers.download = lambda model, tell, held: None  # its files are here
    return models


def buttons(history) -> list[str]:
    return [option["label"] for message in history for option in message.get("options", ())]


@pytest.mark.parametrize(
    ("text", "doubtful", "shown"),
    [(BEYOND, False, True), ("A red circle.", False, False), ("A red circle.", True, True),
     ("这看起来像照片或纹理。我只是一个小型演示模型，认不出其中的内容。", False, True)],
)  # fmt: skip
async def test_an_answer_that_is_beyond_the_embedded_model_offers_the_larger_one(models, text, doubtful, shown):
    made = instead.with_button(answered(text), text, models.menu, doubtful=doubtful)
    assert buttons(made) == (["Ask Other-VL instead"] if shown else [])
    assert instead.with_button(answered(text), text, None, doubtful=doubtful) == answered(text)


def test_every_way_in_which_the_embedded_model_was_taught_to_give_up_is_known():
    gives_up = (talk.PHOTO, talk.OFF_TOPIC, talk.OFF_TOPIC_PICTURE, talk.ZH_PHOTO, talk.ZH_OFF_TOPIC)
    assert all(map(instead.is_beyond, gives_up))
    assert instead.is_beyond(everyday.too_small("a letter"))
    told = [sheets.told(noun, can) for noun, can in (("a map", "tell more about it"), ("a QR code", "read it"))]
    assert all(map(instead.is_beyond, (*told, sheets.told("a chart", "read its values"))))
    assert not any(map(instead.is_beyond, (talk.WHO, talk.HELP, talk.HELLO, talk.ZH_WHO, talk.NO_PICTURE)))


async def test_another_model_than_the_embedded_one_offers_nothing(with_files):
    with_files.menu.choose(OTHER)
    await until(lambda: with_files.menu.present == OTHER)
    assert not buttons(instead.with_button(answered(BEYOND), BEYOND, with_files.menu))


async def test_one_click_leads_to_the_question_for_the_other_model(with_files, monkeypatch):
    monkeypatch.setattr(instead, "LOOK_EVERY_S", 0.01)
    steps = [step async for step in instead.until_it_answers(answered(BEYOND), 1, with_files.menu)]
    assert steps[-1] == ASKED and with_files.menu.present == OTHER
    assert all("Other-VL" in step[-1]["metadata"]["title"] for step in steps[:-1])


async def test_a_model_that_does_not_come_leaves_the_answer_with_the_reason(with_files, monkeypatch):
    monkeypatch.setattr(instead, "LOOK_EVERY_S", 0.01)
    with_files.broken.add(OTHER)
    steps = []
    with pytest.raises(gr.Error, match="out of luck"):
        async for step in instead.until_it_answers(answered(BEYOND), 1, with_files.menu, catalogues.words("zh")):
            steps.append(step)
    assert steps[-1][:3] == answered(BEYOND) and "引擎进程无法启动" in steps[-1][3]["metadata"]["title"]


async def test_a_change_that_is_cancelled_brings_the_answer_back(models, monkeypatch):
    monkeypatch.setattr(instead, "LOOK_EVERY_S", 0.01)
    waiting = instead.until_it_answers(answered(BEYOND), 1, models.menu)
    await anext(waiting)
    models.menu.cancel()
    with pytest.raises(gr.Error, match="cancelled"):
        assert [step async for step in waiting][-1] == answered(BEYOND)


async def test_the_menus_value_says_what_each_model_costs(models):
    await models.menu.look(measures=True)
    await until(lambda: models.offers.surveyed is not None)
    value = model_menu.value_of(await models.menu.look())
    assert value["present"] == "embedded" and value["name"] == texts.MODEL_MENU["embedded"] and value["free"] > 0
    other = {offer["model"]: offer for offer in value["offers"]}[OTHER]
    assert other == {
        "model": OTHER, "name": "Other-VL", "about": "", "here": False, "download": None, "needed": 5 * GIB,
        "first_s": 4.2, "tokens_s": 9.5, "present": False,
    }  # fmt: skip
    assert model_menu.value_of(await models.menu.look(), catalogues.words("zh"))["name"] == "内置演示模型"


async def test_what_is_not_offered_cannot_be_chosen(models):
    for model in ("/etc", "somebody/else", "auto"):
        with pytest.raises(InvalidRequest, match="not offered"):
            models.menu.choose(model)


@pytest.mark.parametrize("header", ["x-forwarded-for", "forwarded", "x-real-ip"])
async def test_who_comes_through_a_proxy_is_offered_nothing_unless_the_operator_says_so(models, header):
    assert models.menu.is_for(frozenset(("host", "cookie")))
    assert not models.menu.is_for(frozenset(("host", header)))
    for_all = models.settings.model_copy(update={"model_menu": "on"})
    assert ModelMenu.of(Service(for_all, models.switch)).is_for(frozenset((header,)))


def test_an_engine_of_one_model_has_no_menu(settings):
    assert ModelMenu.of(SimpleNamespace(engine=object(), settings=settings)) is None
    assert model_menu.draw(None) is None
