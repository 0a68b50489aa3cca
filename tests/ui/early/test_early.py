"""The box that is in the page before Gradio's own."""

import re

import pytest
from playwright.sync_api import Route, expect
from starlette.responses import HTMLResponse, PlainTextResponse
from starlette.testclient import TestClient

from qwen_demo.ui.early.early import EarlyQuestion
from tests.ui.steps import answered, answers, ask

GRADIO = re.compile("/assets/Blocks-.*js$")


def get(response, path="/"):
    return TestClient(EarlyQuestion(response)).get(path)


def test_the_box_stands_before_what_gradio_draws_and_the_length_is_right():
    page = get(HTMLResponse("<head><script>x = '<gradio-app>'</script></head><body><gradio-app></gradio-app></body>"))
    assert page.text.startswith("<head><script>x = '<gradio-app>'</script></head><body><style>")
    assert page.text.endswith("</script><gradio-app></gradio-app></body>")
    assert int(page.headers["content-length"]) == len(page.content)


@pytest.mark.parametrize(
    ("response", "path"),
    [
        (HTMLResponse("<gradio-app>"), "/docs"),
        (HTMLResponse("<gradio-app>", 500), "/"),
        (HTMLResponse("<p>another page"), "/"),
        (PlainTextResponse("<gradio-app>"), "/"),
    ],
)
def test_nothing_else_is_changed(response, path):
    assert get(response, path).content == response.body


@pytest.fixture
def held(profile):
    """Pages wait for Gradio's script until `held` is told to let it come."""
    waiting: list[Route] = []
    profile.route(GRADIO, lambda route: waiting.append(route))

    def let_come():
        while waiting:
            waiting.pop().continue_()
        profile.unroute(GRADIO)

    yield let_come


def test_what_is_typed_before_gradio_is_there_moves_into_its_box_or_is_sent_by_it(app, profile, held):
    page = profile.new_page()
    page.goto(app.url)
    page.locator("#early textarea").wait_for()
    page.keyboard.insert_text("typed early")
    page.keyboard.press("Home")
    held()
    question = page.locator("#question textarea")
    expect(question).to_have_value("typed early")
    expect(page.locator("#early")).to_have_count(0)
    page.keyboard.insert_text("was ")
    expect(question).to_have_value("was typed early")
    page.close()


def test_enter_in_the_early_box_sends_once_the_page_can(app, profile, held):
    page = profile.new_page()
    page.goto(app.url)
    page.keyboard.insert_text("sent early")
    page.keyboard.press("Enter")
    held()
    expect(answers(page).first).to_contain_text("sent early")
    answered(page, 1)
    expect(page.locator("#question textarea")).to_have_value("")
    page.close()


@pytest.mark.slow
def test_what_is_sent_early_is_asked_of_the_conversation_that_this_tab_showed(app, profile):
    page = profile.new_page()
    page.goto(app.url)
    ask(page, "the first")
    answered(page, 1)
    waiting: list[Route] = []
    page.route(GRADIO, lambda route: waiting.append(route))
    page.reload(wait_until="commit")
    page.locator("#early textarea").wait_for()
    page.keyboard.insert_text("the second")
    page.keyboard.press("Enter")
    while not waiting:
        page.wait_for_timeout(20)
    page.unroute(GRADIO)  # lets it come
    expect(answers(page)).to_have_count(2)
    answered(page, 1)  # notes of the times are those of this visit
    assert len(app.engine.requests[-1].messages) == 3
    page.close()
