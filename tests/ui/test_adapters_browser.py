"""An adapter is chosen at the question, stays with the conversation, and answers beside the model in Compare."""

import pytest
from playwright.sync_api import expect

from qwen_demo.engines.scripted import Script
from tests.api.test_adapters import make
from tests.ui import steps


def asked_of(app) -> list[str]:
    return [request.adapter.name if request.adapter else "" for request in app.engine.requests]


@pytest.mark.slow
def test_an_adapter_is_chosen_kept_compared_and_missed_by_its_name(start, opened, tmp_path):
    adapters = (f"signs={make(tmp_path / 'signs')}", f"forms={make(tmp_path / 'forms')}")
    app = start(Script(["A sign."]), adapters=adapters)
    page = opened(app)
    steps.ask(page, "plain?")
    expect(steps.answers(page).last).to_contain_text("A sign.")
    page.locator("#adapter input").click()
    page.get_by_role("option", name="forms").click()
    chip = page.locator(".set_chips .chip[data-name=adapter]")
    expect(chip).to_contain_text("Adapter forms")
    steps.ask(page, "which?")
    expect(steps.answers(page)).to_have_count(2)
    steps.settled(page)
    assert asked_of(app) == ["", "forms"]

    page.reload()
    expect(page.locator("#adapter input")).to_have_value("forms")
    expect(chip).to_contain_text("Adapter forms")
    app.service.adapters.unload("forms")
    steps.ask(page, "still there?")
    expect(page.locator("#chat")).to_contain_text("There is no model 'forms' here; this server has scripted, signs.")
    chip.get_by_role("button").last.click()
    expect(page.locator("#adapter input")).to_have_value("None: the model alone")

    steps.tab(page, "Compare")
    expect(page.locator("#compare-adapter-B input")).to_have_value("signs")
    page.locator("#compare-question textarea").fill("which sign?")
    page.locator("#compare-ask").click()
    expect(page.locator(".compare .verdict")).to_contain_text("The answers are the same.")
    expect(page.locator(".compare section.side").last).to_contain_text("adapter signs")
    assert sorted(asked_of(app)[-2:]) == ["", "signs"]
