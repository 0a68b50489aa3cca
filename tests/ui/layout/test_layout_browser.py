"""The page's frame in a real browser, at both widths: what fills the window, what opens and closes, what stays."""

import re

import pytest
from playwright.sync_api import Page, expect

from qwen_demo.engines.scripted import Script
from tests.ui.steps import answered, answers, ask, looked_over, settled
from tests.ui.steps import opened as frame_opened

BOTH = pytest.mark.parametrize("opened", ["desktop", "phone"], indirect=True)
LONG = Script([f"Line {number} of a long answer.\n\n" for number in range(60)] + ["The very last line."])


def box(page: Page, selector: str) -> dict:
    return page.locator(selector).last.bounding_box()


def set_schema(page: Page) -> None:
    frame_opened(page, "settings")
    page.get_by_text("Answer as JSON by this schema").click()
    page.locator("#schema textarea").fill('{"title": "receipt"}')
    page.keyboard.press("Tab")
    page.keyboard.press("Escape")


@BOTH
def test_the_conversation_fills_the_window_with_the_newest_in_view_above_the_question(opened, app):
    app.engine.script = LONG
    page = opened(app)
    ask(page, "tell me all")
    answered(page, 1)
    last = page.locator("#chat").get_by_text("The very last line.")
    expect(last).to_be_in_viewport()
    question, window = box(page, "#question"), page.viewport_size
    assert question["y"] + question["height"] <= window["height"]
    assert last.bounding_box()["y"] + last.bounding_box()["height"] <= question["y"]
    assert page.evaluate("document.documentElement.scrollHeight <= innerHeight")
    assert box(page, "#chat")["height"] > 0.6 * window["height"]


@pytest.mark.slow
@BOTH
def test_the_welcome_starts_at_its_top_with_large_examples(opened, app):
    page = opened(app)
    card = page.locator("#chat .example").first
    expect(card).to_be_in_viewport(ratio=0.9)
    expect(page.get_by_role("heading", name="Show me an image and ask")).to_be_in_viewport()
    assert page.evaluate("document.querySelector('#chat .bubble-wrap').scrollTop") == 0
    assert card.locator("img").bounding_box()["width"] > 120
    expect(page.locator("footer")).to_be_hidden()


@pytest.mark.slow
def test_the_side_panel_is_there_while_there_is_something_to_see_and_closes(opened, app, red):
    page = opened(app)
    side = page.locator("#side")
    expect(side).to_be_hidden()
    ask(page, "what is it?", red)
    expect(side.locator("#viewer svg[role=img]")).to_be_visible()
    page.get_by_role("button", name="Close the panel").click()
    expect(side).to_be_hidden()
    answered(page, 1)
    frame_opened(page, "side")
    page.get_by_role("button", name="New chat").click()
    expect(side).to_be_hidden()


@pytest.mark.slow
@pytest.mark.parametrize("opened", ["phone"], indirect=True)
def test_on_a_phone_chats_and_side_panel_come_over_the_conversation_on_demand(opened, app, red):
    page = opened(app)
    ask(page, "what is it?", red)
    answered(page, 1)
    expect(page.locator("#side")).to_be_hidden()
    frame_opened(page, "side")
    expect(page.locator("#viewer image")).to_be_in_viewport()
    page.keyboard.press("Escape")
    expect(page.locator("#side")).to_be_hidden()
    expect(page.locator("[data-frame=side]")).to_be_focused()
    expect(page.locator("#rail")).to_be_hidden()
    frame_opened(page, "rail")
    expect(page.get_by_role("button", name="New chat")).to_be_focused()
    page.locator("#tabs").get_by_role("tab", name="Tasks").click()
    expect(page.locator("#rail")).to_be_hidden()
    expect(page.locator(".tasks")).to_be_visible()


@pytest.mark.slow
def test_the_rail_folds_away_and_stays_so(opened, app):
    page = opened(app)
    expect(page.locator("#rail")).to_be_visible()
    page.get_by_role("button", name="Chats").click()
    expect(page.locator("#rail")).to_be_hidden()
    page.reload()
    expect(page.locator("#question textarea")).to_be_visible()
    expect(page.locator("#rail")).to_be_hidden()
    expect(page.get_by_role("button", name="Chats")).to_have_attribute("aria-expanded", "false")


@pytest.mark.slow
def test_however_much_is_open_the_conversation_keeps_a_width_to_read_in(opened, app, red):
    page = opened(app)
    ask(page, "what is it?", red)
    answered(page, 1)
    for width in (1024, 1199, 1200, 1280, 1439, 1440):
        page.set_viewport_size({"width": width, "height": 800})
        for settings in (False, True):
            page.evaluate("wanted => window.qwenDemo.frame.change('settings', wanted)", settings)
            expect(page.locator("#viewer svg[role=img]")).to_be_visible()
            expect(page.locator("#rail")).to_be_visible(visible=not (settings and 1200 <= width < 1440))
            assert box(page, "#conversation")["width"] >= 27 * 16, (width, settings)
        page.evaluate("window.qwenDemo.frame.change('settings', false)")
    page.set_viewport_size({"width": 1280, "height": 800})
    frame_opened(page, "settings")
    page.get_by_role("button", name="Chats").click()
    expect(page.locator("#rail")).to_be_visible()
    expect(page.locator("#settings")).to_be_hidden()


@pytest.mark.slow
@BOTH
def test_what_is_set_is_a_chip_at_the_question_which_takes_it_back(opened, app):
    page = opened(app)
    chips = page.locator("#set_chips .chip")
    expect(chips).to_have_count(0)
    frame_opened(page, "settings")
    page.get_by_label("number input for Temperature").fill("0.5")
    page.keyboard.press("Escape")
    expect(chips).to_contain_text(["Temperature 0.5"])
    ask(page, "first")
    answered(page, 1)
    assert app.engine.requests[-1].sampling.temperature == 0.5
    chips.get_by_role("button", name=re.compile("^Back to the default")).click()
    expect(chips).to_have_count(0)
    ask(page, "second")
    answered(page, 2)
    assert app.engine.requests[-1].sampling.temperature == 0


@pytest.mark.slow
def test_a_new_chat_does_not_inherit_the_schema(opened, app):
    page = opened(app)
    set_schema(page)
    expect(page.locator("#set_chips .chip")).to_have_count(1)
    expect(page.locator("#set_chips .chip")).to_have_text(re.compile("JSON: receipt"))
    page.get_by_role("button", name="New chat").click()
    expect(page.locator("#set_chips .chip")).to_have_count(0)


@pytest.mark.slow
@BOTH
def test_timings_are_behind_a_small_clock_at_each_answer(opened, app):
    page = opened(app)
    ask(page, "how fast?")
    answered(page, 1)
    page.mouse.move(0, 0)
    text = page.locator("#chat .timing")
    assert text.bounding_box()["width"] <= 1
    clock = page.locator("#chat .title:has(.timing)")
    assert clock.bounding_box()["width"] < 60
    clock.click()
    expect(page.locator("#chat table.waterfall")).to_be_visible()
    page.mouse.move(0, 0)
    assert text.bounding_box()["width"] > 60


@pytest.mark.slow
@pytest.mark.parametrize(("width", "height"), [(320, 640), (640, 430)], ids=["320 pixels", "zoom of 200 %"])
def test_little_room_leaves_question_answer_and_settings_usable(opened, app, width, height):
    page = opened(app)
    page.set_viewport_size({"width": width, "height": height})
    expect(page.locator("#chat .example").first).to_be_in_viewport(ratio=0.5)
    ask(page, "hello there")
    answered(page, 1)
    expect(answers(page).last).to_be_in_viewport()
    expect(page.locator("#question textarea")).to_be_in_viewport(ratio=1)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    frame_opened(page, "settings")
    expect(page.get_by_role("button", name="Close the settings")).to_be_in_viewport(ratio=1)
    page.get_by_label("number input for Temperature").fill("0.5")
    page.keyboard.press("Escape")
    expect(page.locator("#set_chips .chip")).to_have_count(1)
    settled(page)
    looked_over(page, f"room-{width}")
