"""Changing the model in a real browser: progress, pause, cancel, every reason why it may fail, and one click at an answer."""

import re

import numpy as np
import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import expect
from safetensors.numpy import save

from qwen_demo.models.hub import download as downloading
from tests.api.conftest import App
from tests.models.hub.hub_server import Hub, hub_server, use_hub
from tests.ui.model_menu.models import BEYOND, OTHER, Models
from tests.ui.steps import SCREENSHOTS, answered, answers, ask, looked_over
from tests.ui.test_accessibility import violations

WEIGHTS = save({"weight": np.arange(200_000, dtype=np.float32)})
FILES = {"config.json": b"{}", "model.safetensors": WEIGHTS}
LARGE = "model.safetensors"


@pytest.fixture
def hub(monkeypatch, tmp_path):
    with hub_server(Hub({OTHER: dict(FILES)})) as hub:
        use_hub(hub, monkeypatch, tmp_path)
        monkeypatch.setattr(downloading, "REPORT_EVERY_S", 0.0)
        yield hub


@pytest.fixture
def app(hub, tmp_path, monkeypatch):
    models = Models(tmp_path, monkeypatch)
    app = App(models.settings, None, engine=models.switch)
    app.models = models
    yield app
    app.stop()


def menu(page):
    return page.locator("#model_menu")


def row(page, name: str):
    return menu(page).locator("li", has_text=name)


def open_menu(page):
    menu(page).locator("summary").click()
    expect(menu(page).locator(".sheet")).to_be_visible()


def choose_other(page):
    row(page, "Other-VL").get_by_role("button").click()


@pytest.mark.slow
def test_a_model_is_fetched_paused_resumed_and_takes_over(app, opened, hub, monkeypatch):
    hub.slow.add(LARGE)
    pause = app.models.switch.pause
    monkeypatch.setattr(
        app.models.switch, "pause", lambda: (pause(), hub.go.set())
    )  # bytes come again once it is asked
    page = opened(app)
    expect(menu(page).locator("summary")).to_contain_text("Embedded demo model")
    open_menu(page)
    expect(row(page, "Embedded")).to_contain_text("answers now")
    expect(row(page, "Other-VL")).to_contain_text("5.0 GiB of memory")
    expect(row(page, "Other-VL")).to_contain_text("about 4.2 s to the first word, then 9.5 tokens/s")
    expect(row(page, "Qwen2.5-VL-3B")).to_contain_text("7.5 GB to download")
    looked_over(page, "models")
    page.evaluate(AXE_SCRIPT)
    looks = [("desktop", "light"), ("desktop", "dark"), ("phone", "light")]
    assert violations(page, looks, "models", "model_menu") == []
    choose_other(page)
    expect(menu(page).locator(".change")).to_contain_text("Downloading Other-VL")
    expect(menu(page).locator(".short")).to_have_text(re.compile(r"\d+ %"))
    expect(row(page, "Qwen2.5-VL-3B").get_by_role("button")).to_be_disabled()
    menu(page).get_by_role("button", name="Pause").click()
    expect(menu(page).locator(".change")).to_contain_text("download paused")
    page.keyboard.press("Escape")
    expect(menu(page).locator(".sheet")).to_be_hidden()
    ask(page, "What is this?")
    answered(page, 1)
    expect(answers(page).first).to_contain_text("small demo model")
    open_menu(page)
    menu(page).get_by_role("button", name="Go on").click()
    expect(row(page, "Other-VL")).to_contain_text("answers now")
    expect(menu(page).locator(".change")).to_be_hidden()
    expect(menu(page).locator("summary")).to_contain_text("Other-VL")
    expect(page.locator("#badge")).to_contain_text(f"{OTHER} answers")
    assert hub.sent(LARGE)[-1].startswith("bytes="), "it went on where it was"
    assert app.models.remembered.read() == OTHER


@pytest.mark.slow
@pytest.mark.parametrize("opened", ["phone"], indirect=True)
def test_on_a_phone_the_header_has_room_for_the_menu_and_all_its_buttons(app, opened):
    page = opened(app)
    expect(menu(page).locator("summary")).to_be_in_viewport(ratio=1)
    for button in page.locator("#header button:visible").all():
        expect(button).to_be_in_viewport(ratio=1)
    open_menu(page)
    expect(menu(page).locator(".sheet")).to_be_in_viewport(ratio=1)
    page.screenshot(path=SCREENSHOTS / "models-phone.png")


@pytest.mark.slow
def test_a_cancelled_download_leaves_nothing(app, opened, hub, tmp_path):
    hub.slow.add(LARGE)
    page = opened(app)
    open_menu(page)
    choose_other(page)
    expect(menu(page).locator(".short")).to_have_text(re.compile(r"\d+ %"))
    menu(page).get_by_role("button", name="Cancel").click()
    hub.go.set()
    expect(menu(page).locator(".change")).to_be_hidden()
    expect(row(page, "Other-VL").get_by_role("button", name="Download and use")).to_be_enabled()
    assert not list((tmp_path / "cache").rglob("*.part"))


def out_of_room(app, hub, monkeypatch):
    monkeypatch.setattr(downloading, "SPARE_BYTES", 1 << 60)


def other_bytes(app, hub, monkeypatch):
    hub.wrong.add(LARGE)


def private(app, hub, monkeypatch):
    hub.private.add(OTHER)


def too_large(app, hub, monkeypatch):
    monkeypatch.setattr(app.models.offers, "_judge", None)

    async def room(model, held_bytes):
        from qwen_demo.errors import ModelLoadError

        raise ModelLoadError("It needs about 99.0 GiB of memory")

    monkeypatch.setattr(app.models.offers, "room", room)


def unreachable(app, hub, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")


def does_not_load(app, hub, monkeypatch):
    app.models.broken.add(OTHER)


FAULTS = {
    out_of_room: "the disk of",
    other_bytes: "other bytes than the hub names",
    private: "it is private",
    too_large: "99.0 GiB",
    unreachable: "connection to the hub",
    does_not_load: "out of luck",
}


@pytest.mark.slow
def test_each_reason_why_a_model_cannot_be_used_is_said_and_the_present_one_goes_on(app, opened, hub):
    page = opened(app)
    open_menu(page)
    expect(row(page, "Other-VL")).to_contain_text("to the first word")
    for number, (fault, words) in enumerate(FAULTS.items(), 1):
        with pytest.MonkeyPatch.context() as patch:
            fault(app, hub, patch)
            choose_other(page)
            expect(menu(page).locator(".change")).to_contain_text("could not be used")
            expect(menu(page).locator(".change")).to_contain_text(words)
            hub.wrong.clear()
            hub.private.clear()
            menu(page).get_by_role("button", name="Close").click()
            expect(menu(page).locator(".change")).to_be_hidden()
        page.keyboard.press("Escape")
        ask(page, "What is this?")
        answered(page, number)
        open_menu(page)
    expect(answers(page).last).to_contain_text("small demo model")
    app.models.broken.clear()
    choose_other(page)
    expect(menu(page).locator("summary")).to_contain_text("Other-VL")


@pytest.mark.slow
def test_one_click_at_an_answer_leads_to_the_other_models_answer(app, opened, hub):
    hub.slow.add(LARGE)
    page = opened(app)
    ask(page, "What is this?")
    answered(page, 1)
    expect(answers(page).first).to_contain_text(BEYOND)
    page.locator("#chat").get_by_role("button", name="Ask Other-VL instead").click()
    expect(page.locator("#chat")).to_contain_text("Downloading Other-VL")
    expect(page.locator("#chat")).not_to_contain_text(BEYOND)
    hub.go.set()
    expect(answers(page).first).to_contain_text(f"{OTHER} sees a cat.")
    answered(page, 1)
    expect(page.locator("#chat").get_by_role("button", name="instead")).to_have_count(0)
    expect(menu(page).locator("summary")).to_contain_text("Other-VL")
