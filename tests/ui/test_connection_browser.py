"""A server that goes and comes back: the page says so, and the visitor's draft stays."""

import re
import signal

import pytest
from playwright.sync_api import expect

from benchmarks.proxy import free_ports
from tests.servers import running
from tests.ui.steps import answered, answers, ask, settled, until


@pytest.mark.slow
def test_a_lost_server_is_said_and_one_that_was_started_again_does_not_load_the_page(opened, app):
    page = opened(app)
    page.locator("#question textarea").fill("a long draft")
    page.evaluate("window.sameDocument = true")
    told = page.locator(".connection")
    expect(told).to_be_hidden()
    page.route(re.compile("/app_id$"), lambda route: route.abort())
    expect(told).to_have_text(re.compile("The server does not answer"))
    expect(page.locator("#badge")).to_be_hidden()
    page.unroute(re.compile("/app_id$"))
    page.route(re.compile("/app_id$"), lambda route: route.fulfill(json={"app_id": 1}))
    expect(told).to_have_text(re.compile("The server was started again"))
    expect(page.locator("#badge")).to_be_visible()
    expect(told.get_by_role("button", name="Load the page again")).to_be_visible()
    expect(page.locator("#question textarea")).to_have_value("a long draft")
    assert page.evaluate("window.sameDocument")
    page.problems[:] = [problem for problem in page.problems if "/app_id" not in problem]


@pytest.mark.slow
def test_an_open_page_outlives_a_restart_of_its_server(opened, red, tmp_path):
    """Its answer goes on, its image is sent anew, and what was typed meanwhile can be asked."""
    flags = ("--port", str(free_ports(1)[0]), "--engine", "scripted")
    with running(*flags) as server:
        page = opened(server)
        ask(page, "word " * 1000, red)
        until(page, "window.qwenDemo.store.all().then(([item]) => item?.lines[0].length === 2)")
        server.process.send_signal(signal.SIGKILL)
        server.process.wait()
        expect(page.locator(".connection")).to_have_text(re.compile("does not answer"))
        page.locator("#question textarea").fill("and now?")
        before = len(answers(page).first.inner_text())
    with running(*flags):
        grown = "n => document.querySelector('#chat .bot.message')?.innerText.length > n"
        page.wait_for_function(grown, arg=before + 50, timeout=60_000)
        page.locator("#question .stop-button").click()
        expect(page.locator("#chat")).to_contain_text("Stopped.")
        settled(page)
        expect(page.locator("#chat .user img")).to_be_visible()
        expect(page.locator("#question textarea")).to_have_value("and now?")
        page.locator("#question textarea").press("Enter")
        expect(answers(page).last).to_contain_text("and now?")
        answered(page, 1)
        page.close()
        page.problems.clear()  # the browser tells of every request that nobody answered
