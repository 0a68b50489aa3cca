"""The Camera panel in a real browser: never a backlog."""

import pytest
from playwright.sync_api import expect

from qwen_demo.engines.scripted import Script
from tests.ui.steps import barrier, looked_over, tab


@pytest.mark.slow
def test_the_camera_never_has_a_backlog_and_stops_when_nobody_looks(opened, app):
    page = opened(app)
    tab(page, "Camera")
    page.locator("#camera-every input[type=number]").fill("1")
    app.engine.script = Script(["A green ", "<i>clock</i>."], first_s=2.5)
    page.clock.install()
    page.locator(".camera .start").click()
    most, answer = 0, page.locator(".camera .answer-text")
    while answer.inner_text() != "A green <i>clock</i>.":
        status = app.service.status()
        most = max(most, status.running + status.waiting)
        page.wait_for_timeout(50)
    assert most == 1  # an image a second would have made two or more of it
    assert len(app.engine.requests) <= 2
    expect(page.locator(".camera .asked")).to_contain_text("Image of")
    assert app.engine.requests[-1].messages[0].parts[0].pixels.width > 100
    looked_over(page, "camera")
    # The latest answer stays while the next image is looked at.
    page.wait_for_function("document.querySelector('.camera [role=status]').textContent.startsWith('Looking')")
    expect(page.locator(".camera .answer-text")).to_have_text("A green <i>clock</i>.")
    page.evaluate(
        """() => { Object.defineProperty(document, 'hidden', { value: true, configurable: true });
        document.dispatchEvent(new Event('visibilitychange')); }"""
    )
    expect(page.locator(".camera [role=status]")).to_have_text("Stopped, because the page was hidden.")
    assert page.evaluate("document.querySelector('.camera video').srcObject") is None
    page.evaluate("delete document.hidden")
    while app.service.status().running:
        page.wait_for_timeout(50)
    asked = len(app.engine.requests)
    page.clock.fast_forward(5000)
    barrier(page)
    assert len(app.engine.requests) == asked
    app.engine.script = Script(["Again."])
    page.locator(".camera .start").click()
    expect(page.locator(".camera .answer-text")).to_have_text("Again.")
    page.locator(".camera .stop").click()
    expect(page.locator(".camera .start")).to_be_enabled()
