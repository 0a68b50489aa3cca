"""What one looks for after pressing a button is in view without scrolling."""

import pytest
from playwright.sync_api import Locator, Page, expect

from qwen_demo.engines.scripted import Script
from tests.ui.steps import tab


def in_view(page: Page, *places: Locator) -> None:
    for place in places:
        expect(place).to_be_in_viewport(ratio=1)


@pytest.mark.slow
@pytest.mark.parametrize("opened", ["desktop", "phone"], indirect=True)
def test_answers_and_buttons_of_compare_and_camera_are_in_view(opened, app):
    page = opened(app)
    app.engine.script = Script(["It is green."])
    tab(page, "Compare")
    page.locator("#compare-question textarea").fill("what is it?")
    page.locator("#compare-ask").click()
    answers = page.locator(".compare .answer-text")
    expect(answers).to_have_text(["It is green."] * 2)
    page.evaluate("scrollTo(0, 0)")
    in_view(page, page.locator("#compare-ask"), page.locator("#compare-stop"), answers.first)
    tab(page, "Camera")
    page.locator(".camera .start").click()
    expect(page.locator(".camera .answer-text")).to_have_text("It is green.")
    page.evaluate("scrollTo(0, 0)")
    in_view(page, page.locator(".camera .stop"), page.locator(".camera .stage"), page.locator(".camera .answer-text"))
    page.locator(".camera .stop").click()
