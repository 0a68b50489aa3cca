"""A conversation of many questions in a real browser."""

import re

import pytest
from playwright.sync_api import expect

from tests.ui.steps import answered, ask, settled, until

TURNS = 24
LINE = [
    {"role": role, "parts": [{"text": f"{said} {number}." + " More words." * 20}]}
    for number in range(TURNS)
    for role, said in (("user", "Question"), ("assistant", "Answer"))
]
ITEM = {"id": "long", "name": "long", "named": True, "time": 1, "at": 0, "lines": [LINE]}
TOP = """text => [...document.querySelectorAll("#chat .user-row")].find(row => row.textContent.includes(text))
    .getBoundingClientRect().top"""


def numbers(page) -> list[int]:
    """Of the questions that are shown."""
    return [int(text.split()[1].strip(".")) for text in page.locator("#chat .user.message").all_text_contents()]


@pytest.mark.slow
def test_earlier_questions_come_when_they_are_asked_for_and_stay_what_they_were(opened, app):
    page = opened(app)
    page.evaluate("item => window.qwenDemo.store.put(item)", ITEM)
    page.reload()
    page.locator(".conversations button.open").click()
    more = page.locator("#chat .title:has(.earlier)")
    expect(more).to_have_text("Show 18 earlier questions")
    assert numbers(page) == list(range(18, 24))
    expect(page.locator("#chat .correct")).to_have_count(6)

    # All of it is asked with, and kept.
    ask(page, "Question 24. What now?")
    answered(page, 1)
    assert len(app.engine.requests[-1].messages) == 2 * TURNS + 1
    until(page, "(async () => (await window.qwenDemo.store.get('long')).lines[0].length === 50)()")

    # More of it, by the mouse and by the keyboard; what was in view stays there.
    page.evaluate("document.querySelector('#chat .bubble-wrap').scrollTop = 0")
    first = numbers(page)[0]
    before = page.evaluate(TOP, f"Question {first}.")
    more.click()
    expect(more).to_have_text(f"Show {first - 8} earlier questions")
    until(page, f"Math.abs(({TOP})('Question {first}.') - {before}) < 2")
    more.focus()
    page.keyboard.press("Enter")
    expect(more).to_have_text(f"Show {first - 16} earlier questions")
    settled(page)

    # The question that is changed is the one that is pressed.
    edited = first - 12
    row = page.locator("#chat .user-row").filter(has_text=f"Question {edited}.")
    row.hover()
    row.locator("+ .message-buttons").get_by_role("button", name="Edit").click()
    field = page.locator("#chat .edit-question textarea")
    expect(field).to_have_value(re.compile(f"^Question {edited}\\."))
    field.fill(f"Question {edited}. Changed.")
    field.press("Enter")
    until(page, f"(async () => (await window.qwenDemo.store.get('long')).lines[1]?.length === {2 * edited + 2})()")
    settled(page)
    assert len(app.engine.requests[-1].messages) == 2 * edited + 1
    assert app.engine.requests[-1].messages[-1].text == f"Question {edited}. Changed."
    expect(page.locator("#chat .versions")).to_have_text("‹2 / 2›")
