"""The tour at the top of README.md, recorded anew: `python -m benchmarks.tour` writes docs/tour.webp.

Starts the app on the embedded model, drives a Chromium through it, and takes one image after each small step. How long
an image stands is said here and not measured, so a busy machine records the same tour. Needs requirements-dev.txt and
fonts for Chinese and pictograms (Debian: fonts-wqy-microhei, fonts-noto-color-emoji).
"""

import argparse
import contextlib
import functools
import io
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont
from playwright.sync_api import Locator, Page, expect

from benchmarks.page import chromium
from benchmarks.running import ROOT, app

VIEW = {"width": 1280, "height": 800}  # of the browser
WIDTH, CAPTION = 880, 44  # of the tour, and the height of the words below
MAX_BYTES = 3 << 18  # 768 KiB
STEP_MS, READ_MS = 80, 1200  # an image in motion; one that is to be read
CURSOR = [(0, 0), (0, 16), (4, 12.5), (7, 19), (10, 17.7), (7, 11.5), (12.5, 11.5)]
EXAMPLES = ROOT / "examples"
WHERE = "Detect all objects and output their bounding boxes in JSON."


class Tour:
    """Images of a page with how long each stands, a drawn cursor and the words below."""

    def __init__(self, page: Page):
        self.page = page
        self.frames: list[PIL.Image.Image] = []
        self.durations: list[int] = []
        self._at, self._words = (720.0, 740.0), ""

    def say(self, words: str) -> None:
        self._words = words

    def shoot(self, ms: int = STEP_MS) -> None:
        """One more image; the same as the last one only makes that stand longer."""
        shot = PIL.Image.open(io.BytesIO(self.page.screenshot())).convert("RGB")
        pen = PIL.ImageDraw.Draw(shot)
        x, y = self._at
        pen.polygon([(x + dx, y + dy) for dx, dy in CURSOR], fill="black", outline="white")
        scale = WIDTH / VIEW["width"]
        frame = PIL.Image.new("RGB", (WIDTH, round(VIEW["height"] * scale) + CAPTION), "#1e1b4b")
        frame.paste(shot.resize((WIDTH, frame.height - CAPTION), PIL.Image.Resampling.LANCZOS))
        pen = PIL.ImageDraw.Draw(frame)
        pen.text((WIDTH / 2, frame.height - CAPTION / 2), self._words, "white", _font(), anchor="mm")
        if self.frames and frame.tobytes() == self.frames[-1].tobytes():
            self.durations[-1] += ms
        else:
            self.frames.append(frame)
            self.durations.append(ms)

    def move(self, x: float, y: float, steps: int = 4) -> None:
        x0, y0 = self._at
        for step in range(1, steps + 1):
            done = step / steps
            eased = done * done * (3 - 2 * done)
            self._at = (x0 + (x - x0) * eased, y0 + (y - y0) * eased)
            self.page.mouse.move(*self._at)
            self.shoot()

    def over(self, target: Locator, steps: int = 4) -> None:
        box = target.bounding_box()
        self.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2, steps)

    def click(self, target: Locator) -> None:
        self.over(target)
        self.page.mouse.down()
        self.page.mouse.up()
        self.page.wait_for_timeout(150)
        self.shoot()

    def drag(self, x: float, y: float, steps: int = 4) -> None:
        self.page.mouse.down()
        self.move(x, y, steps)
        self.page.mouse.up()
        self.shoot()

    def type(self, box: Locator, words: str, pieces: int = 6) -> None:
        box.focus()
        size = -(-len(words) // pieces)
        for start in range(0, len(words), size):
            self.page.keyboard.insert_text(words[start : start + size])
            self.shoot()

    def scroll(self, by: float, steps: int = 4) -> None:
        for _ in range(steps):
            self.page.evaluate("by => scrollBy({top: by, behavior: 'instant'})", by / steps)
            self.shoot()

    def until(self, ended: Callable[[], bool], ms: int = 100) -> None:
        """Images while something grows."""
        while not ended():
            self.shoot(ms)
            self.page.wait_for_timeout(60)

    def write(self, path: Path) -> int:
        """An animated WebP; gives its bytes."""
        self.frames[0].save(
            path, "WEBP", save_all=True, append_images=self.frames[1:], duration=self.durations, loop=0, quality=70,
            method=4, allow_mixed=True, minimize_size=False, kmin=9, kmax=40,
        )  # fmt: skip
        return path.stat().st_size


@functools.cache
def _font() -> PIL.ImageFont.FreeTypeFont:
    return PIL.ImageFont.truetype("DejaVuSans-Bold.ttf", 18)


def record(tour: Tour) -> None:
    welcome(tour)
    sight(tour)
    boxes(tour)
    region(tour)
    settings(tour)
    video(tour)
    model(tour)
    compare(tour)
    chinese(tour)


def welcome(tour: Tour) -> None:
    tour.say("One command, no GPU, no account: a Qwen2.5-VL answers")
    tour.shoot(READ_MS + 600)


def sight(tour: Tour) -> None:
    page = tour.page
    page.locator("#question input[type=file]").set_input_files(EXAMPLES / "boxes.png")
    expect(page.locator("#viewer image")).to_be_visible()
    expect(page.locator("#context .chip")).to_have_count(1)
    page.wait_for_timeout(600)
    tour.say("Before you ask: what the model will see of the image, and its cost in tokens")
    tour.shoot(600)
    tour.over(page.locator("#context .chip"))
    tour.shoot(READ_MS)


def boxes(tour: Tour) -> None:
    page = tour.page
    tour.say("The answer streams; boxes appear with its words")
    tour.over(page.locator("#question textarea"))
    tour.type(page.locator("#question textarea"), WHERE)
    page.keyboard.press("Enter")
    settled(tour)
    tour.shoot(900)
    tour.say("Labels and boxes are linked; export as JSON, COCO, CSV, PNG")
    labels = page.locator("#viewer ol.labels button")
    labels.first.scroll_into_view_if_needed()
    for number in range(labels.count()):
        tour.over(labels.nth(number), 4)
        tour.shoot(350)
    tour.click(labels.last)
    tour.shoot(900)
    page.keyboard.press("Escape")


def region(tour: Tour) -> None:
    page = tour.page
    tour.say("Draw a box and ask about that part alone")
    tour.click(page.get_by_role("button", name="Draw a box"))
    box = page.locator("#viewer .detections g rect").nth(2).bounding_box()
    tour.move(box["x"] - 12, box["y"] - 12)
    tour.drag(box["x"] + box["width"] + 12, box["y"] + box["height"] + 12)
    tour.click(page.get_by_role("button", name="Ask about this region"))
    expect(page.locator("#question textarea")).to_have_value("What is this?")
    page.wait_for_timeout(300)
    tour.shoot(500)
    page.locator("#question textarea").press("Enter")
    settled(tour)
    if page.get_by_text("The model is unsure of this answer.").is_visible():
        tour.say("An answer that is unsure says so, and a larger model is offered")
    tour.shoot(READ_MS + 600)


def settings(tour: Tour) -> None:
    page = tour.page
    tour.say("Fewer pixels, fewer tokens: the image follows the slider")
    tour.click(page.locator("[data-frame=settings]"))
    page.wait_for_timeout(400)
    tour.shoot(600)
    slider = page.locator("#pixel-budget input[type=range]")
    most = float(slider.get_attribute("max"))

    def place(tokens: int) -> tuple[float, float]:
        rail = slider.bounding_box()  # it moves with the words above it
        return rail["x"] + 8 + (rail["width"] - 16) * tokens / most, rail["y"] + rail["height"] / 2

    for before, after in ((0, 96), (96, 24), (24, 4)):
        tour.move(*place(before), 2)
        tour.drag(*place(after), 3)
        page.wait_for_timeout(500)
        tour.shoot(600)
    tour.click(page.get_by_role("button", name="Close the settings"))
    page.wait_for_timeout(300)
    tour.say("What is set stands above the question; one click takes it back")
    tour.shoot(400)
    tour.over(page.locator("#set_chips .chip .reset"))
    tour.shoot(700)
    tour.click(page.locator("#set_chips .chip .reset"))
    expect(page.locator("#set_chips .chip")).to_have_count(0)
    expect(slider).to_have_value("0")


def video(tour: Tour) -> None:
    page = tour.page
    tour.say("Ready-made tasks; what needs the full model is marked")
    opened(tour, "Tasks")
    card = page.locator("#tasks .card[data-key=motion]")
    expect(card).to_be_visible()
    page.wait_for_timeout(400)
    tour.shoot(800)
    tour.scroll(page.evaluate("document.documentElement.scrollHeight - innerHeight"))
    tour.shoot(READ_MS)
    tour.click(card)
    expect(page.locator("#frames .list li").first).to_be_visible()
    page.wait_for_timeout(500)
    page.evaluate("scrollTo({top: 0, behavior: 'instant'})")
    tour.say("Video: which frames the model sees, and what they cost")
    tour.shoot(READ_MS)
    tour.click(page.locator("#clip-ask"))
    said = page.locator("#timestamps .answer-text")
    tour.until(lambda: said.is_visible() and page.locator("#clip-ask").is_enabled())
    tour.shoot(READ_MS)


def model(tour: Tour) -> None:
    page = tour.page
    tour.say("3D: turn a scene; the views that the model sees, and what they cost")
    opened(tour, "3D")
    page.locator("#points-file input[type=file]").set_input_files(EXAMPLES / "room.glb")
    expect(page.locator("#points-views img")).to_be_visible()
    expect(page.locator("#points-note")).to_contain_text("tokens")
    page.wait_for_timeout(2500)  # its light comes after it
    tour.shoot(READ_MS)
    canvas = page.locator("#points-model canvas").bounding_box()
    tour.move(canvas["x"] + canvas["width"] * 0.4, canvas["y"] + canvas["height"] * 0.6)
    tour.drag(canvas["x"] + canvas["width"] * 0.52, canvas["y"] + canvas["height"] * 0.5, 6)
    page.wait_for_timeout(500)
    tour.shoot(900)


def compare(tour: Tour) -> None:
    page = tour.page
    tour.say("One question, two settings: what differs, and which was faster")
    opened(tour, "Compare")
    page.locator("#compare-question input[type=file]").set_input_files(EXAMPLES / "shapes.png")
    expect(page.locator("#compare-question img")).to_be_visible()
    tour.type(page.locator("#compare-question textarea"), "Describe the image.", 3)
    tour.click(page.locator("#compare-ask"))
    expect(page.locator("#compare .columns")).to_be_visible()
    tour.until(lambda: page.locator("#compare-ask").is_enabled())
    page.wait_for_timeout(300)
    tour.shoot(READ_MS + 600)


def chinese(tour: Tour) -> None:
    page = tour.page
    tour.say("English, Chinese and German, light and dark")
    opened(tour, "Chat")
    tour.click(page.get_by_role("button", name="New chat", exact=True))
    expect(page.locator("#side")).to_be_hidden()
    tour.over(page.locator("#language select"))
    page.locator("#language select").select_option("zh")
    expect(page.locator("#language select")).to_have_value("zh")
    expect(page.locator("#question textarea")).to_be_visible()
    page.wait_for_timeout(1500)
    tour.shoot(1000)
    tour.click(page.locator("[data-frame=theme]"))
    page.wait_for_timeout(300)
    tour.shoot(READ_MS)


def opened(tour: Tour, tab: str) -> None:
    """A panel by its tab in the rail."""
    tour.page.evaluate("scrollTo({top: 0, behavior: 'instant'})")
    tour.click(tour.page.locator("#tabs").get_by_role("tab", name=tab, exact=True))
    tour.page.wait_for_timeout(300)
    tour.shoot()


def settled(tour: Tour) -> None:
    """Until the answer has ended."""
    expect(tour.page.locator("#question .stop-button")).to_be_visible()
    tour.until(tour.page.locator("#question .submit-button").is_visible)
    tour.page.wait_for_timeout(300)


@contextlib.contextmanager
def served(url: str | None) -> Iterator[str]:
    """The address that was given, or of an app of its own, in which nobody has collections of documents yet."""
    if url:
        yield url
        return
    with tempfile.TemporaryDirectory() as folder, app("embedded", ["--knowledge-dir", folder]) as own:
        yield own


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", help="an app that runs already, with the embedded model")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "tour.webp")
    options = parser.parse_args(argv)
    expect.set_options(timeout=30_000)
    with served(options.url) as url, chromium() as browser:
        page = browser.new_context(viewport=VIEW, color_scheme="light", locale="en-GB").new_page()
        page.goto(url)
        expect(page.locator("#badge")).to_contain_text("embedded model answers")
        page.wait_for_timeout(1500)
        tour = Tour(page)
        record(tour)
    size = tour.write(options.out)
    print(f"{options.out}: {len(tour.frames)} images, {sum(tour.durations) / 1000:.1f} s, {size / 1024:.0f} KiB")
    if size > MAX_BYTES:
        print(f"error: larger than {MAX_BYTES / 1024:.0f} KiB; take steps out or lower the quality", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
