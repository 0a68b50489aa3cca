"""What a visitor has set is there after the page was opened again, and one click takes it back."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.ui.steps import answered, ask, settled, tab
from tests.ui.steps import opened as frame_opened


def opened_again(page: Page) -> None:
    page.reload()
    expect(page.locator("#question textarea")).to_be_visible()
    settled(page)


def chips(page: Page):
    return page.locator("#set_chips .chip .what")


@pytest.mark.slow
def test_settings_outlive_a_reload_and_a_new_chat_until_one_click_takes_them_back(opened, app):
    page = opened(app)
    frame_opened(page, "settings")
    page.get_by_label("number input for Temperature").fill("0.5")
    page.get_by_text("Advanced").click()
    page.get_by_label("System prompt").fill("Answer in verse.")
    page.get_by_text("Answer as JSON by this schema").click()
    page.locator("#schema textarea").fill('{"title": "receipt"}')
    set_ = ["Temperature 0.5", "System: Answer in verse.", "JSON: receipt"]
    expect(chips(page)).to_have_text(set_)
    opened_again(page)
    expect(chips(page)).to_have_text(set_)
    # Its field is folded away now.
    page.get_by_role("button", name="New chat").click()
    expect(chips(page)).to_have_text(set_[:2])
    ask(page, "hello")
    answered(page, 1)
    asked = app.engine.requests[-1]
    assert asked.sampling.temperature == 0.5 and asked.messages[0].text == "Answer in verse."
    page.get_by_role("button", name="Reset all").click()
    expect(chips(page)).to_have_count(0)
    opened_again(page)
    expect(page.locator("#set_chips .set_chips")).to_be_attached()
    expect(chips(page)).to_have_count(0)


@pytest.mark.slow
def test_settings_of_another_version_or_server_are_brought_within_bounds(opened, app):
    page = opened(app)
    kept = '{"temperature": 99, "top_p": "much", "length": 1e9, "points.up": "down", "system": 7, "strange": 1}'
    page.evaluate("kept => localStorage.setItem('qwen-demo.settings', kept)", kept)
    opened_again(page)
    expect(chips(page)).to_have_text(["Temperature 2", re.compile(r"^Up to \d{3,5} tokens$")])
    page.evaluate("localStorage.setItem('qwen-demo.settings', '{')")
    page.evaluate("sessionStorage.setItem('qwen-demo.settings', '[7]')")
    opened_again(page)
    ask(page, "hello")
    answered(page, 1)
    expect(chips(page)).to_have_count(0)


@pytest.mark.slow
def test_settings_of_the_tabs_stay_and_go_with_those_of_the_chat(opened, app):
    page = opened(app)
    tab(page, "Camera")
    every = page.locator("#camera-every input[type=number]")
    every.fill("9")
    every.press("Tab")
    page.wait_for_function("localStorage.getItem('qwen-demo.settings') === '{\"camera.every\":9}'")
    opened_again(page)
    tab(page, "Camera")
    expect(every).to_have_value("9")
    frame_opened(page, "settings")
    page.get_by_role("button", name="All settings back to the defaults").click()
    expect(every).to_have_value("3")
    page.wait_for_function("localStorage.getItem('qwen-demo.settings') === null")
