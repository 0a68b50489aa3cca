"""The 3D panel and 3D files in the chat, in a real browser: dropped, turned, asked about, marked, saved."""

import csv
import json
from pathlib import Path

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Page, expect

from qwen_demo.engines.scripted import Script
from qwen_demo.types import Image
from qwen_demo.ui.examples import FOLDER
from tests.ui.drop.test_drop_browser import dropped
from tests.ui.steps import ask, looked_over, saved, settled, tab
from tests.ui.test_accessibility import violations

ROOM = FOLDER / "room.glb"
# The first is the same as the second, seen from a side; the third is a point.
MARKS = [
    {"view": 1, "bbox_2d": [100, 100, 348, 348], "label": "<b>all</b>"},
    {"view": 2, "bbox_2d": [60, 60, 388, 388], "label": "<b>all</b>"},
    {"view": 1, "point_2d": [224, 224], "label": "middle"},
]
ANSWER = Script([json.dumps(MARKS[:1])[:-1], ", ", json.dumps(MARKS[1:])[1:]], gap_s=0.05)
LOOKS = [("desktop", "light"), ("phone", "dark")]


def file_of(path: Path) -> list:
    """As `dropped` takes it; browsers know no type of it."""
    return [path.name, "", list(path.read_bytes())]


def downloaded(page: Page, name: str) -> str:
    with page.expect_download() as download:
        page.locator("#points-files").get_by_role("link").filter(has_text=name).first.click()
    return download.value.path().read_text("utf-8")


@pytest.mark.slow
def test_a_model_from_drop_to_files_of_what_was_marked(opened, app):
    page = opened(app)
    page.evaluate(AXE_SCRIPT)
    app.engine.script = ANSWER
    tab(page, "3D")
    page.locator("#points-ask").click()
    expect(page.locator(".toast-body")).to_contain_text("Choose a point cloud or 3D model")
    assert dropped(page, [file_of(ROOM)], "#points-views")
    note, views = page.locator("#points-note"), page.locator("#points-views img")
    expect(note).to_contain_text("1,536 tokens")
    expect(views).to_be_visible()
    # Another number of views is another preview.
    page.locator("#points-count input[type=number]").fill("2")
    page.locator("#points-count input[type=number]").press("Enter")
    expect(note).to_contain_text("512 tokens")
    page.wait_for_function("document.querySelector('#points-views img').naturalHeight === 448")
    before = views.get_attribute("src")
    page.locator("#points-ask").click()
    rows = page.locator("#points-things tbody tr")
    expect(page.locator("#points-things")).to_contain_text("<b>all</b>")
    expect(page.locator("#points-ask")).to_be_enabled()
    expect(views).not_to_have_attribute("src", before)
    assert rows.count() >= 2
    assert sum(isinstance(part, Image) for part in app.engine.requests[-1].messages[0].parts) == 2
    document = json.loads(downloaded(page, "json"))
    assert [[mark["view"] for mark in thing["marks"]] for thing in document["things"]] == [[1, 2], [1]]
    assert [row["views"] for row in csv.DictReader(downloaded(page, "csv").splitlines())] == ["1 2", "1"]
    looked_over(page, "points-panel")
    panel = page.locator("#tabs .tabitem:visible").get_attribute("id")
    found = violations(page, LOOKS, "3D", panel)
    assert not found, "\n".join(found)


@pytest.mark.slow
def test_a_model_in_the_chat_is_marked_in_space_and_turned_in_its_panel(opened, app):
    page = opened(app)
    app.engine.script = ANSWER
    assert dropped(page, [file_of(ROOM)], "#chat")
    expect(page.locator("#question")).to_contain_text("room")
    expect(page.locator("#viewer .caption")).to_contain_text("6 views, each 448 × 448 pixels for the model")
    ask(page, "Where is everything?")
    things = page.locator("#viewer .detections g")
    expect(things).to_have_count(2)
    expect(things.first.locator("path")).to_have_count(1)
    settled(page)
    labels = page.locator("#viewer ol.labels button")
    expect(labels.first).to_contain_text("<b>all</b>")
    expect(labels.first).to_contain_text("×")
    assert things.first.locator("rect").count() == 2
    expect(page.locator("#viewer .exports button:visible")).to_have_count(3)
    assert len(json.loads(saved(page, "viewer", "JSON"))["things"]) == 2
    assert saved(page, "viewer", "CSV").startswith("label,x,y,z")
    looked_over(page, "points-chat")
    labels.first.click()
    expect(labels.first).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Turn it in the 3D tab").click()
    expect(page.locator("#points-file")).to_contain_text("room")
    expect(page.locator("#points-note")).to_contain_text("1,536 tokens")
