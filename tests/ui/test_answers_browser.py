"""How answers are drawn, and what the side panel keeps of them, in a real browser."""

import PIL.Image
import pytest
from playwright.sync_api import expect

from qwen_demo.engines.scripted import Script
from qwen_demo.errors import InvalidRequest
from tests.conftest import draw
from tests.hostile_clips import clip
from tests.ui.steps import answered, answers, ask, barrier, settled
from tests.ui.steps import opened as unfolded

BOX = '[{"bbox_2d": [20, 20, 120, 120], "label": "disc"}]'
FORMULAS = """Euler: $e^{i\\pi}+1=0$, inline \\(a^2\\), and

\\[\\int_0^1 x\\,dx\\]

From $5 to $6, or `$x$` in code."""
DIRECTIONS = """مرحبا بكم في الصفحة

שלום עולם

- مرحبا
- أهلا

Hello"""
TABLE = "| Characteristic properties | Measurements | " + " | ".join(f"Temperature{i}" for i in range(8)) + " |\n"
TABLE += "|" + "---|" * 10 + "\n| a |" + " b |" * 9


@pytest.mark.slow
def test_formulas_are_set_and_prices_are_not(opened, app):
    page = opened(app)
    app.engine.script = Script([FORMULAS])
    ask(page, "formulas")
    answered(page, 1)
    answer = answers(page).first
    expect(answer.locator(".katex")).to_have_count(3)
    expect(answer.locator(".katex-display")).to_have_count(1)
    expect(answer).to_contain_text("From $5 to $6")
    expect(answer.locator("code")).to_have_text("$x$")
    # The model reads its own words in the next turn.
    ask(page, "again")
    answered(page, 2)
    assert app.engine.requests[-1].messages[1].parts[0].text == FORMULAS


@pytest.mark.slow
@pytest.mark.parametrize("opened", ["phone"], indirect=True)
def test_arabic_and_hebrew_begin_at_the_right_and_table_heads_keep_their_words(opened, app):
    page = opened(app)
    app.engine.script = Script([f"{DIRECTIONS}\n\n{TABLE}"])
    ask(page, "مرحبا")
    answered(page, 1)
    answer = answers(page).first
    expect(answer.locator("ul")).to_have_attribute("dir", "auto")
    starts = answer.evaluate(
        """answer => [...answer.querySelectorAll('p, li')].map(node => {
            const words = document.createRange();
            words.selectNodeContents(node);
            const [text, box] = [words.getBoundingClientRect(), node.getBoundingClientRect()];
            return box.right - text.right < text.left - box.left ? 'right' : 'left';
        })"""
    )
    assert starts[:5] == ["right", "right", "right", "right", "left"]
    heads = answer.locator("th")
    lines = heads.evaluate_all("heads => heads.map(head => head.getClientRects().length && head.clientHeight)")
    assert max(lines) < 60 and heads.first.inner_text() == "Characteristic properties"
    page.wait_for_function("document.documentElement.scrollWidth <= window.innerWidth")
    expect(page.locator("#question textarea")).to_have_attribute("dir", "auto")


@pytest.mark.slow
def test_a_question_with_an_image_is_edited_and_keeps_it(opened, app, red):
    page = opened(app)
    ask(page, "first question", red)
    answered(page, 1)
    page.get_by_label("Edit").first.click()
    field = page.get_by_label("Changed question")
    expect(field).to_have_value("first question")
    field.press("Escape")
    expect(field).to_have_count(0)
    page.get_by_label("Edit").first.click()
    field.fill("second wording")
    field.press("Enter")
    expect(answers(page).first).to_contain_text("second wording")
    answered(page, 1)
    expect(page.locator("#chat .user img")).to_have_count(1)
    kinds = [type(part).__name__ for part in app.engine.requests[-1].messages[-1].parts]
    assert kinds == ["Image", "Text"]


@pytest.mark.slow
def test_a_follow_up_leaves_the_boxes(opened, app, red):
    page = opened(app)
    app.engine.script = Script([BOX])
    ask(page, "where?", red)
    boxes = page.locator("#viewer .detections g")
    expect(boxes).to_have_count(1)
    answered(page, 1)
    app.engine.script = Script(["It is red."])
    ask(page, "which colour?")
    answered(page, 2)
    expect(boxes).to_have_count(1)


@pytest.mark.slow
@pytest.mark.parametrize("opened", ["desktop", "phone"], indirect=True)
def test_a_clip_is_shown_beside_the_chat(opened, app, tmp_path):
    (tmp_path / "clip.mp4").write_bytes(clip(20, rate=10))
    page = opened(app)
    page.locator("#question input[type=file]").set_input_files(str(tmp_path / "clip.mp4"))
    expect(page.locator("#context .chip")).to_be_visible() if page.viewport_size["width"] > 800 else None
    unfolded(page, "side")
    expect(page.locator("#viewer video")).to_be_visible()
    expect(page.locator("#viewer .clip figcaption")).to_contain_text("pixels for the model")


@pytest.mark.slow
def test_a_tiny_image_is_told_by_its_own_size(opened, app, tmp_path):
    draw("red").resize((4, 3), PIL.Image.Resampling.NEAREST).save(tmp_path / "tiny.png")
    page = opened(app)
    page.locator("#question input[type=file]").set_input_files(str(tmp_path / "tiny.png"))
    expect(page.locator("#viewer p.caption")).to_contain_text("4 × 3 pixels")
    expect(page.locator("#context .chip")).to_contain_text("4 × 3 →")


@pytest.mark.slow
def test_an_error_says_itself_once_and_a_typed_budget_is_followed(opened, app, red):
    page = opened(app)
    app.engine.script = Script([], error=InvalidRequest("The words were refused. Ask otherwise."))
    ask(page, "what?", red)
    expect(page.locator("#chat")).to_contain_text("The words were refused.")
    settled(page)
    page.locator("#chat .thought-group .title").first.click()
    assert page.locator("#chat").inner_text().count("The words were refused") == 1
    facts = page.locator("#context .chip .facts").first
    before = facts.inner_text()
    unfolded(page, "settings")
    number = page.locator("#pixel-budget input[type=number]")
    number.fill("16")
    number.blur()
    expect(facts).not_to_have_text(before)
    expect(facts).to_contain_text("16 tokens")


@pytest.mark.slow
def test_a_refresh_that_ends_after_the_answer_cannot_remove_its_boxes(opened, app, red):
    page = opened(app)
    app.engine.script = Script([BOX])
    page.locator("#question input[type=file]").set_input_files(red)
    expect(page.locator("#viewer p.caption")).to_be_visible()
    late = []

    def hold(route) -> None:
        late.append(route) if "stamp" in (route.request.post_data or "") else route.continue_()

    page.route("**/run/predict*", hold)
    page.locator("#question textarea").fill("where?")
    page.locator("#question textarea").press("Enter")
    answered(page, 1)
    boxes = page.locator("#viewer .detections g")
    expect(boxes).to_have_count(1)
    assert late  # the attached file left the question's box, which the views follow
    for route in late:
        with page.expect_response("**/run/predict*"):
            route.continue_()
    barrier(page)
    expect(boxes).to_have_count(1)
