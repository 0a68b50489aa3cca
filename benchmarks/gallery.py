"""Screenshots of the page, made anew: `python -m benchmarks.gallery` writes docs/gallery.

Each scene is taken on a desktop in the light and on a phone in the dark, the welcome in both on both. Starts the app on
the embedded model. Needs requirements-dev.txt and fonts for Chinese and pictograms (Debian: fonts-wqy-microhei,
fonts-noto-color-emoji).
"""

import argparse
import io
import sys
from collections.abc import Callable
from pathlib import Path

import PIL.Image
from playwright.sync_api import Page, expect

from benchmarks.page import chromium
from benchmarks.running import ROOT, app

FOLDER = ROOT / "docs" / "gallery"
EXAMPLES = ROOT / "examples"
SIZES = {"desktop": (1280, 860), "phone": (390, 844)}
SHOWN_WIDTH = {"desktop": 960, "phone": 390}  # of the files
LOOKS = (("desktop", "light"), ("phone", "dark"))
ALL_LOOKS = tuple((size, scheme) for size in SIZES for scheme in ("light", "dark"))
MAX_BYTES = 60_000  # of one file
WHERE = "Detect all objects and output their bounding boxes in JSON."


def welcome(page: Page) -> None:
    expect(page.locator("#chat .example").first).to_be_visible()


def boxes(page: Page) -> None:
    """An answer that points at things, with the side panel open."""
    page.locator("#question input[type=file]").set_input_files(EXAMPLES / "boxes.png")
    expect(page.locator("#question img")).to_be_visible()
    page.locator("#question textarea").fill(WHERE)
    page.locator("#question textarea").press("Enter")
    expect(page.locator("#viewer .detections g").first).to_be_attached()
    expect(page.locator("#question .submit-button")).to_be_visible()
    side = page.locator("button[data-frame=side]")
    if side.is_visible() and side.get_attribute("aria-expanded") != "true":
        side.click()


def settings(page: Page) -> None:
    page.locator("button[data-frame=settings]").click()
    expect(page.locator("#settings")).to_be_visible()


def tasks(page: Page) -> None:
    _tab(page, "Tasks")
    expect(page.locator("#tasks .card").first).to_be_visible()


def documents(page: Page) -> None:
    _tab(page, "Documents")
    page.locator("#page-file input[type=file]").set_input_files(EXAMPLES / "page.png")
    expect(page.locator(".document .sheet img")).to_be_visible()
    page.locator("#page-read").click()
    expect(page.locator(".document .element").first).to_be_visible()
    page.locator(".document .sheet").scroll_into_view_if_needed()


def compare(page: Page) -> None:
    _tab(page, "Compare")
    page.locator("#compare-question textarea").fill("Who are you?")
    page.locator("#compare-ask").click()
    expect(page.locator("#compare-ask")).to_be_enabled()
    expect(page.locator(".compare .verdict")).not_to_be_empty()


SCENES: tuple[Callable[[Page], None], ...] = (welcome, boxes, settings, tasks, documents, compare)


def _tab(page: Page, name: str) -> None:
    tab = page.locator("#tabs").get_by_role("tab", name=name, exact=True)
    if not tab.is_visible():
        page.locator("button[data-frame=rail]").click()
    tab.click()


def shoot(page: Page, path: Path, width: int) -> int:
    """Writes the page as it is seen; gives the bytes."""
    shot = PIL.Image.open(io.BytesIO(page.screenshot(animations="disabled"))).convert("RGB")
    shot.resize((width, round(shot.height * width / shot.width)), PIL.Image.Resampling.LANCZOS).save(
        path, "WEBP", quality=70, method=6
    )
    return path.stat().st_size


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=FOLDER)
    parser.add_argument("--scene", choices=[scene.__name__ for scene in SCENES], action="append")
    options = parser.parse_args(argv)
    expect.set_options(timeout=30_000)
    options.folder.mkdir(parents=True, exist_ok=True)
    largest = 0
    with app("embedded", []) as url, chromium() as browser:
        for scene in SCENES:
            if options.scene and scene.__name__ not in options.scene:
                continue
            for size, scheme in ALL_LOOKS if scene is welcome else LOOKS:
                width, height = SIZES[size]
                page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
                page.goto(url)
                expect(page.locator("#question textarea")).to_be_visible(timeout=60_000)
                scene(page)
                page.wait_for_timeout(700)
                path = options.folder / f"{scene.__name__}-{size}-{scheme}.webp"
                told = shoot(page, path, SHOWN_WIDTH[size])
                largest = max(largest, told)
                print(f"{path.name}: {told / 1000:.0f} kB", flush=True)
                page.close()
    return int(largest > MAX_BYTES)


if __name__ == "__main__":
    sys.exit(main())
