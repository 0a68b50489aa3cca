"""The Tasks panel in a real browser, and what the embedded model says that it cannot do."""

import re

import pytest
from playwright.sync_api import expect

from qwen_demo.engines.scripted import Script
from qwen_demo.ui.panels.tasks.tasks import TASKS
from tests.ui.steps import drawn, looked_over, tab
from tests.ui.steps import opened as opened_part


@pytest.mark.slow
def test_a_preset_fills_in_image_question_and_controls(opened, app):
    page = opened(app)
    app.engine.script = Script(["yes"])
    tab(page, "Tasks")
    expect(page.locator(".tasks .card")).to_have_count(13)
    page.wait_for_function(
        "[...document.querySelectorAll('.tasks img')].slice(0, 3).every(img => img.naturalWidth > 0)"
    )
    looked_over(page, "tasks")
    page.locator(".tasks .card[data-key=extract]").click()
    expect(page.locator("#question textarea")).to_have_value("What is the total?")
    expect(page.locator("#question img")).to_be_visible()
    expect(page.locator("#set_chips .chip")).to_have_count(2)  # the schema, and a short answer
    opened_part(page, "settings")
    page.get_by_text("Answer as JSON by this schema").click()
    expect(page.locator("#schema textarea")).to_have_value(re.compile('"total"'))
    # What happens to a field that is only just drawn can be lost.
    drawn(page)
    page.locator("#schema textarea").press("ControlOrMeta+a")
    page.locator("#schema textarea").press("Delete")
    expect(page.locator("#schema textarea")).to_have_value("")
    drawn(page)
    page.keyboard.press("Escape")
    page.locator("#question textarea").press("Enter")
    expect(page.locator("#chat .bot.message").last).to_contain_text("yes")
    assert app.engine.requests[-1].sampling.max_new_tokens == 64
    tab(page, "Tasks")
    page.locator(".tasks .card[data-key=document]").click()
    expect(page.locator("#page-prompt textarea")).to_have_value("QwenVL HTML")
    expect(page.locator(".document .sheet img")).to_be_visible()
    tab(page, "Tasks")
    page.locator(".tasks .card[data-key=video]").click()
    expect(page.locator("#clip-question textarea")).to_have_value(re.compile("start_time"))
    expect(page.locator(".frames .frame").first).to_be_visible()


@pytest.mark.slow
def test_the_schema_reaches_the_engine(opened, app):
    page = opened(app)
    opened_part(page, "settings")
    page.get_by_text("Answer as JSON by this schema").click()
    page.locator("#schema textarea").fill('{"type": "integer"}')
    page.locator("#question textarea").fill("how many?")
    page.locator("#question textarea").press("Enter")
    # The scripted engine has no grammar and says so; nothing is ignored in silence.
    expect(page.locator("#chat")).to_contain_text("cannot hold an answer to a JSON schema")


@pytest.mark.slow
def test_the_embedded_model_says_what_it_cannot_do_and_reads_a_page(opened, embedded):
    page = opened(embedded)
    tab(page, "Tasks")
    expect(page.locator(".tasks .unable")).to_have_count(sum(not task.embedded for task in TASKS))
    expect(page.locator(".tasks .card[data-key=document]")).to_contain_text("needs the full model")
    page.locator(".tasks .card[data-key=page]").click()
    expect(page.locator("#page-note")).to_contain_text("never taught QwenVL HTML")
    expect(page.locator(".document .sheet img")).to_be_visible()
    page.locator("#page-read").click()
    expect(page.frame_locator(".document iframe").locator("body")).to_contain_text("Meeting on Friday")
    expect(page.locator(".document")).to_contain_text("names no regions")
    looked_over(page, "document-embedded")
