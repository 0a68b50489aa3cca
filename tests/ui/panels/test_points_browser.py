"""The 3D panel and 3D files in the chat, in a real browser: dropped, turned, asked about, marked, saved."""

import csv
import json
from pathlib import Path

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Locator, Page, expect

from qwen_demo.engines.scripted import Script
from qwen_demo.types import Image
from qwen_demo.ui.examples import FOLDER
from tests.ui.drop.test_drop_browser import dropped
from tests.ui.steps import ask, looked_over, saved, settled, tab
from tests.ui.test_accessibility import violations

ROOM = FOLDER / "room.glb"
# A blue cube, from above and from a side, and a point on the table.
MARKS = [
    {"view": 1, "bbox_2d": [316, 122, 364, 170], "label": "<b>cube</b>"},
    {"view": 2, "bbox_2d": [239, 281, 296, 342], "label": "<b>cube</b>"},
    {"view": 1, "point_2d": [240, 224], "label": "middle"},
]
ANSWER = Script([json.dumps(MARKS[:1])[:-1], ", ", json.dumps(MARKS[1:])[1:]], gap_s=0.05)
LOOKS = [("desktop", "light"), ("phone", "dark")]


def file_of(path: Path) -> list:
    """As `dropped` takes it; browsers know no type of it."""
    return [path.name, "", list(path.read_bytes())]


def downloaded(page: Page, name: str) -> str:
    with page.expect_download() as download:
        page.locator("#points-files tr", has_text=name).locator("a").click()
    return download.value.path().read_text("utf-8")


def shown(canvas: Locator) -> bytes:
    """What is in it once it no longer changes."""
    before, after = b"", canvas.screenshot()
    while before != after:
        canvas.page.wait_for_timeout(200)
        before, after = after, canvas.screenshot()
    return after


def turned(page: Page) -> bool:
    """Whether the model looks otherwise after the mouse was drawn over it."""
    canvas = page.locator("#points-model canvas")
    canvas.scroll_into_view_if_needed()
    before, box = shown(canvas), canvas.bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.4, box["y"] + box["height"] * 0.5)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + box["height"] * 0.4, steps=5)
    page.mouse.up()
    page.mouse.move(0, 0)
    return shown(canvas) != before


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
    for count, tokens in (("2", "512"), ("6", "1,536")):
        page.locator("#points-count input[type=number]").fill(count)
        page.locator("#points-count input[type=number]").press("Enter")
        expect(note).to_contain_text(f"{tokens} tokens")
        page.wait_for_function(
            f"document.querySelector('#points-views img').naturalWidth === {min(3, int(count))} * 448"
        )
    assert turned(page)
    before = views.get_attribute("src")
    page.locator("#points-ask").click()
    things = page.locator("#points-things")
    expect(things).to_contain_text("<b>cube</b>")
    expect(things).to_contain_text("middle")
    expect(page.locator("#points-ask")).to_be_enabled()
    expect(views).not_to_have_attribute("src", before)
    assert sum(isinstance(part, Image) for part in app.engine.requests[-1].messages[0].parts) == 6
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
    expect(page.locator("#question").get_by_label("Remove file")).to_be_visible()
    expect(page.locator("#viewer .caption")).to_contain_text("6 views, each 448 × 448 pixels for the model")
    ask(page, "Where is everything?")
    things = page.locator("#viewer .detections g")
    expect(things).to_have_count(2)
    expect(things.first.locator("path")).to_have_count(1)
    settled(page)
    labels = page.locator("#viewer ol.labels button")
    expect(labels.first).to_contain_text("<b>cube</b>")
    expect(labels.first).to_contain_text("×")
    assert things.first.locator("rect").count() == 2
    expect(page.locator("#viewer .exports button:visible")).to_have_count(3)
    assert len(json.loads(saved(page, "viewer", "JSON"))["things"]) == 2
    assert saved(page, "viewer", "CSV").startswith("label,x,y,z")
    looked_over(page, "points-chat")
    page.evaluate(AXE_SCRIPT)
    found = violations(page, LOOKS[:1], "3D in the chat", "side")
    assert not found, "\n".join(found)
    labels.first.click()
    expect(labels.first).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Turn it in the 3D tab").click()
    expect(page.locator("#points-file")).to_contain_text("room")
    expect(page.locator("#points-note")).to_contain_text("1,536 tokens")


WITHOUT_WEBGL = """
const given = HTMLCanvasElement.prototype.getContext;
HTMLCanvasElement.prototype.getContext = function (kind, ...rest) {
  return /webgl/.test(kind) ? null : given.call(this, kind, ...rest);
};
"""


@pytest.mark.slow
def test_a_browser_without_webgl_says_so_and_shows_the_still_views(opened, app):
    page = opened(app)
    page.add_init_script(WITHOUT_WEBGL)
    page.reload()
    settled(page)
    assert dropped(page, [file_of(ROOM)], "#chat")
    expect(page.locator("#question").get_by_label("Remove file")).to_be_visible()
    ask(page, "Where is everything?")
    expect(page.locator("#chat .no-webgl")).to_contain_text("no WebGL")
    expect(page.locator("#viewer .caption")).to_contain_text("6 views")
    settled(page)
    page.get_by_role("button", name="Turn it in the 3D tab").click()
    expect(page.locator("#points-model .no-webgl")).to_contain_text("The still views show what the model sees")
    expect(page.locator("#points-views img")).to_be_visible()
    # Gradio's own, which draws on whether it can or not.
    page.problems = [problem for problem in page.problems if problem != "WebGL not supported"]
