"""A server that goes and comes back: the page says so, and the visitor's draft stays."""

import re

from playwright.sync_api import expect


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
