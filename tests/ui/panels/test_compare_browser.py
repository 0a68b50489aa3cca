"""The Compare panel in a real browser: two settings from upload to difference."""

import pytest
from playwright.sync_api import expect

from qwen_demo.engines.scripted import Script
from tests.ui.conftest import SIZES
from tests.ui.steps import looked_over, tab


@pytest.mark.slow
def test_two_settings_from_upload_to_difference(opened, app, red):
    page = opened(app)
    tab(page, "Compare")
    page.locator("#compare-ask").click()
    expect(page.locator(".toast-body")).to_contain_text("Type a question")
    expect(page.locator("#compare-two")).to_contain_text("--compare-engine")
    page.locator("#compare-question input[type=file]").set_input_files(red)
    seen = page.locator(".model_inputs p")
    expect(seen).to_have_count(2)
    expect(seen.first).to_contain_text("336 × 336 → 336 × 336 · 144 tokens")
    budget = page.locator("#compare-budget-B input[type=number]")
    budget.fill("64")
    budget.press("Enter")
    expect(seen.last).to_contain_text("→ 224 × 224 · 64 tokens")
    page.locator("#compare-question textarea").fill("what is it?")
    app.engine.script = Script(
        [*["a <b>red</b> circle "] * 200], gap_s=0.3
    )  # longer than any machine takes to reach Stop
    page.locator("#compare-ask").click()
    texts = page.locator(".compare .answer-text")
    for side in (texts.first, texts.last):
        expect(side).to_contain_text("<b>red</b> circle a <b>red</b>")
    page.locator("#compare-stop").click()
    expect(page.locator(".compare .note")).to_have_text(["Stopped. What was written so far stays."] * 2)
    assert sorted(request.max_pixels or 0 for request in list(app.engine.requests)[-2:]) == [0, 64 * 28 * 28]
    while app.service.status().running:
        page.wait_for_timeout(20)
    # The scripted engine cuts an answer at its length: that is what differs here.
    app.engine.script = Script([*["word ", "<i>word</i> "] * 16])
    longest = page.locator("#compare-B").get_by_label("number input for Longest answer, in tokens")
    longest.fill("16")
    longest.press("Enter")
    page.locator("#compare-ask").click()
    expect(page.locator(".compare .verdict")).to_contain_text("The answers differ.")
    expect(page.locator(".compare .difference del")).to_contain_text("word <i>word</i>")
    expect(page.locator(".compare .difference ins")).to_have_count(0)
    expect(page.locator(".compare .settings").last).to_contain_text(
        "temperature 1 · 64 tokens an image · up to 16 tokens"
    )
    expect(page.locator(".compare tbody tr").filter(has_text="answer tokens").locator("td")).to_have_text(["32", "16"])
    assert page.get_by_role("group", name="A", exact=True).count() == 1
    looked_over(page, "compare")
    assert texts.first.bounding_box()["y"] == texts.last.bounding_box()["y"]  # side by side
    page.set_viewport_size(dict(zip(("width", "height"), SIZES["phone"], strict=True)))
    page.wait_for_function(
        """() => {
            const [first, last] = [...document.querySelectorAll(".compare .answer-text")].map(e => e.getBoundingClientRect());
            return first.bottom <= last.top;
        }"""
    )
