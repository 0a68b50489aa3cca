"""What the model sees, from upload to export, in a real browser."""

import csv
import io
import json
import re

import PIL.Image
import PIL.ImageDraw
import pytest
from playwright.sync_api import Page, expect

from tests.ui.steps import answered, answers, ask, looked_over, settled
from tests.ui.steps import opened as frame_opened

WHERE = "Detect all objects and give their bounding boxes in JSON."


@pytest.fixture
def scene(tmp_path) -> str:
    """A photo as phones take them: stored on its side, with a mark that says so. Upright, it is 560 x 420."""
    image = PIL.Image.new("RGB", (560, 420), "white")
    pen = PIL.ImageDraw.Draw(image)
    pen.ellipse((50, 75, 200, 225), fill=(220, 30, 30))
    pen.rectangle((330, 230, 480, 380), fill=(30, 60, 220))
    exif = PIL.Image.Exif()
    exif[274] = 6
    image.transpose(PIL.Image.Transpose.ROTATE_90).save(tmp_path / "on its side.jpg", exif=exif, quality=95)
    return str(tmp_path / "on its side.jpg")


def detections(page: Page):
    return page.locator("#viewer .detections g")


def boxes(page: Page) -> dict[str, list[float]]:
    """Label -> x1, y1, x2, y2 of the rectangles drawn, in pixels of the original image."""
    return page.evaluate(
        """Object.fromEntries([...document.querySelectorAll('#viewer .detections g')].map(g => {
            const [x, y, w, h] = ['x', 'y', 'width', 'height'].map(n => Number(g.querySelector('rect').getAttribute(n)));
            return [g.querySelector('text').textContent, [x, y, x + w, y + h]];
        }))"""
    )


def saved(page: Page, kind: str) -> bytes:
    with page.expect_download() as download:
        page.locator("#viewer .exports").get_by_role("button", name=kind, exact=True).click()
    return download.value.path().read_bytes()


@pytest.mark.slow
def test_from_upload_to_export(opened, embedded, scene):
    page = opened(embedded)
    expect(page.locator("#side")).to_be_hidden()
    page.locator("#question input[type=file]").set_input_files(scene)
    # Before sending: the image, its size for the model, its cost.
    expect(page.locator("#viewer image")).to_be_visible()
    expect(page.locator("#viewer .caption")).to_contain_text("560 × 420 pixels · 504 × 364 pixels for the model")
    chip = page.locator("#context .chip")
    expect(chip).to_contain_text("560 × 420 → 504 × 364 · 234 tokens")
    expect(page.locator("#context .total")).to_contain_text(re.compile(r"234 of 4,096 tokens are images \(6 %\)"))
    looked_over(page, "preview-before")
    ask(page, WHERE)
    expect(detections(page)).to_have_count(2)
    settled(page)
    # Drawn where the objects are in the upright original.
    drawn = boxes(page)
    for name, true in {"red circle": (50, 75, 200, 225), "blue square": (330, 230, 480, 380)}.items():
        assert all(abs(a - b) < 12 for a, b in zip(drawn[name], true, strict=True)), (name, drawn)
    looked_over(page, "preview-boxes")
    # The answer's own numbers are others, and that is said beneath them.
    expect(page.locator("#chat .model-pixels")).to_have_text(re.compile("as the model saw it"))
    expect(page.locator("#viewer .found")).to_contain_text("In pixels of the image itself, 560 × 420.")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.locator("#viewer").get_by_role("button", name="Copy", exact=True).click()
    expect(page.locator("#viewer .copied")).to_contain_text("Copied")
    for place in json.loads(page.evaluate("navigator.clipboard.readText()")):
        assert place["bbox_2d"] == pytest.approx(drawn[place["label"]], abs=0.51)
    # Exports are in the same pixels.
    content = json.loads(saved(page, "JSON"))
    assert (content["width"], content["height"]) == (560, 420)
    assert {detection["label"] for detection in content["detections"]} == set(drawn)
    for detection in content["detections"]:
        assert detection["bbox_2d"] == pytest.approx(drawn[detection["label"]], abs=0.06)
    assert len(json.loads(saved(page, "COCO"))["annotations"]) == 2
    assert len(list(csv.DictReader(io.StringIO(saved(page, "CSV").decode())))) == 2
    assert PIL.Image.open(io.BytesIO(saved(page, "PNG"))).size == (560, 420)


@pytest.mark.slow
def test_labels_and_boxes_are_linked_and_the_keyboard_reaches_all(opened, embedded, scene):
    page = opened(embedded)
    ask(page, WHERE, scene)
    expect(detections(page)).to_have_count(2)
    settled(page)
    labels = page.locator("#viewer ol.labels button")
    labels.first.hover()
    expect(detections(page).first).to_have_class(re.compile("lit"))
    detections(page).nth(1).locator("rect").hover()
    expect(labels.nth(1)).to_have_class(re.compile("lit"))
    # Keyboard: one stop for the list, arrows within it, Enter zooms, Escape comes back.
    labels.first.focus()
    page.keyboard.press("ArrowDown")
    expect(labels.nth(1)).to_be_focused()
    expect(detections(page).nth(1)).to_have_class(re.compile("lit"))
    svg = page.locator("#viewer svg")
    before = svg.get_attribute("viewBox")
    page.keyboard.press("Enter")
    expect(svg).not_to_have_attribute("viewBox", before)
    expect(labels.nth(1)).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("Escape")
    expect(svg).to_have_attribute("viewBox", before)
    page.keyboard.press("Tab")
    expect(page.locator("#viewer .exports button").first).to_be_focused()
    assert page.locator("#viewer button:visible").evaluate_all("all => all.every(b => b.innerText.trim())")


@pytest.mark.slow
def test_a_drawn_region_is_asked_about(opened, embedded, scene):
    page = opened(embedded)
    ask(page, "How many objects are there?", scene)
    expect(page.locator("#chat")).to_contain_text("two objects")
    settled(page)
    page.get_by_role("button", name="Draw a box").click()
    svg = page.locator("#viewer svg")
    svg.scroll_into_view_if_needed()
    box = svg.bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.56, box["y"] + box["height"] * 0.5)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.88, box["y"] + box["height"] * 0.93, steps=4)
    page.mouse.up()
    expect(page.locator("#viewer .region rect")).to_be_visible()
    expect(page.locator("#viewer .region-bar")).to_contain_text("asked about alone")
    looked_over(page, "preview-region")
    page.get_by_role("button", name="Ask about this region").click()
    expect(page.locator("#question textarea")).to_have_value("What is this?")
    # The small model gets the crop alone, and the page shows that.
    expect(page.locator("#context .chip")).to_have_count(2)
    expect(page.locator("#context .switch").first).to_have_attribute("aria-checked", "false")
    expect(page.locator("#context .switch").nth(1)).to_have_attribute("aria-checked", "true")
    page.locator("#question textarea").press("Enter")
    expect(answers(page).filter(has_text="blue square")).to_be_visible()
    settled(page)
    # The whole image was left out of that question alone: the next one sends both again.
    expect(page.locator("#context .switch[aria-checked=true]")).to_have_count(2)


@pytest.mark.slow
def test_the_keyboard_alone_draws_a_region_and_asks_in_coordinates(opened, app, scene):
    page = opened(app)
    page.locator("#question input[type=file]").set_input_files(scene)
    page.get_by_role("button", name="Draw a box").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#viewer svg")).to_be_focused()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#viewer .region rect")).to_be_visible()
    page.keyboard.press("Shift+ArrowLeft")
    expect(page.locator("#viewer .region rect")).to_have_attribute("width", re.compile(r"^172\.6"))
    page.keyboard.press("Escape")
    expect(page.locator("#viewer .region-bar")).to_be_hidden()
    page.keyboard.press("ArrowRight")
    page.get_by_role("button", name="Put its coordinates in the question").focus()
    page.keyboard.press("Enter")
    # A third of 504 x 364, the size that this engine's model would see.
    expect(page.locator("#question textarea")).to_have_value('What is at {"bbox_2d": [168, 121, 336, 243]}')
    expect(page.locator("#question textarea")).to_be_focused()


@pytest.mark.slow
@pytest.mark.parametrize("opened", ["phone"], indirect=True)
def test_the_pixel_budget_shows_what_is_lost_before_sending(opened, start, scene):
    page = opened(start())  # which has answered nobody, so knows no times
    page.locator("#question input[type=file]").set_input_files(scene)
    expect(page.locator("#context .total")).to_contain_text("time unknown before")
    expect(page.locator("#viewer .caption")).to_contain_text("504 × 364")
    frame_opened(page, "settings")
    page.locator("#pixel-budget input[type=number]").fill("48")
    page.locator("#pixel-budget input[type=number]").press("Enter")
    page.keyboard.press("Escape")
    frame_opened(page, "side")
    expect(page.locator("#viewer .caption")).to_contain_text("224 × 168")
    expect(page.locator("#context .chip")).to_contain_text("48 tokens")
    expect(page.locator("#viewer image")).to_have_attribute("data-resolution", "224x168")
    toggle = page.get_by_role("button", name="As the model sees it")
    expect(toggle).to_have_attribute("aria-pressed", "true")
    toggle.click()
    expect(page.locator("#viewer svg")).not_to_have_class(re.compile("as-seen"))


@pytest.mark.slow
@pytest.mark.parametrize("opened", ["phone"], indirect=True)
def test_an_image_that_is_switched_off_is_not_sent(opened, embedded, scene, red):
    page = opened(embedded)
    ask(page, "Describe the image.", scene)
    answered(page, 1)
    ask(page, "Describe the image.", red)
    answered(page, 2)
    expect(page.locator("#context .chip")).to_have_count(2)
    frame_opened(page, "side")
    page.locator("#context .switch").first.focus()
    page.keyboard.press("Space")
    expect(page.locator("#context .switch").first).to_have_attribute("aria-checked", "false")
    expect(page.locator("#context .switch").first).to_be_focused()
    expect(page.locator("#context .total")).to_contain_text("144 of")
    ask(page, "How many images are there?")
    answered(page, 3)
    expect(page.locator("#chat")).to_contain_text(re.compile(r"prompt \d+ tokens \(144 image\)"))
    # Its encoding was kept from the question before.
    expect(page.locator("#context .chip").nth(1)).to_contain_text("cached")
    page.keyboard.press("Escape")
    page.locator("#chat .title:has(.timing)").last.click()
    waterfall = page.locator("#chat table.waterfall").last
    expect(waterfall).to_be_visible()
    expect(waterfall.locator("th")).to_have_count(7)
    widths = waterfall.locator(".bar").evaluate_all("bars => bars.map(bar => bar.getBoundingClientRect().width)")
    assert max(widths) > 10 and len(widths) == 7
    expect(page.locator("#chat dl.counts").last).to_contain_text("144")
    looked_over(page, "waterfall")


@pytest.mark.slow
def test_boxes_of_several_images_go_where_the_visitor_says(opened, app, scene, red):
    page = opened(app)
    page.locator("#question input[type=file]").set_input_files([scene, red])
    expect(page.locator("#context .chip")).to_have_count(2)
    ask(page, '{"bbox_2d": [0, 0, 168, 168], "label": "half"} in the second image')
    expect(detections(page)).to_have_count(1)
    settled(page)
    # The question names the second: 336 x 336 pixels, seen as they are.
    assert boxes(page) == {"half": [0, 0, 168, 168]}
    page.get_by_role("button", name="Image 1").click()
    expect(page.locator("#viewer .caption")).to_contain_text("560 × 420")
    assert boxes(page)["half"] == pytest.approx([0, 0, 186.7, 193.8], abs=0.06)


HOSTILE = [
    '{"bbox_2d": [10, 20, 300, 400], "label": "<img/src=x/onerror=window.hacked=1>"}',
    '{"bbox_2d": [10, 20, 300, 400], "label": "<script>window.hacked=1</script>${window.hacked=1}{{value}}"}',
    '{"bbox_2d": [-999999, -999999, 999999, 999999], "label": "' + "W" * 400 + '"}',
    '{"bbox_2d": [NaN, 1, 2, 3]} {"bbox_2d": [1e999, 1, 2, 3]} {"bbox_2d": [1, 2, 3, ' + "9" * 60 + "]}",
    '{"point_2d": [5, 5], "label": {"label": "nested"}} {"bbox_2d": {"bbox_2d": [7, 7, 9, 9]}}',
    '{"bbox_2d": [900, 900, 950, 950], "label": "outside"}',
]


@pytest.mark.slow
def test_hostile_answers_neither_break_the_page_nor_run(opened, app, scene, red):
    page = opened(app)
    ask(page, " ".join(HOSTILE), scene)
    answered(page, 1)
    expect(detections(page)).to_have_count(5)
    labels = page.locator("#viewer ol.labels button")
    expect(labels.first).to_contain_text("<img/src=x/onerror=window.hacked=1>")
    expect(page.locator("#viewer")).to_contain_text("without area: 1 of 6")
    assert page.evaluate("window.hacked") is None
    assert page.locator("#viewer img, #viewer script").count() == 0
    page.problems[:] = [problem for problem in page.problems if "/x" not in problem]
    page.get_by_role("button", name="New chat").click()
    expect(page.locator("#side")).to_be_hidden()
    # A million boxes: the first are shown, and the page says so.
    ask(page, "[[1,2,30,40]," * 1200 + ' "bbox_2d":[' + "[1,2,30,40]," * 1200, red)
    settled(page)
    expect(page.locator("#viewer")).to_contain_text("The first 500 are shown.")
    expect(detections(page)).to_have_count(500)
