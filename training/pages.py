"""Draws the demo's example page and example window: printed lines to read, and a small program to point into.

    python -m training.pages OUT

The same every time. They are no training data; the world of the embedded model draws its own (`training.world`).
"""

import argparse
from pathlib import Path

from PIL import Image, ImageDraw

from training.assets import Assets

LINES = ("Garden Club", "Meeting on Friday", "Please bring gloves", "and some seeds")


def page(assets: Assets) -> Image.Image:
    """A notice of a few printed lines, in the size that the embedded model sees: 392 x 504."""
    picture = Image.new("RGB", (392, 504), "white")
    pen = ImageDraw.Draw(picture)
    title, body = assets.font("DejaVuSans.ttf", 46), assets.font("DejaVuSans.ttf", 34)
    pen.text((36, 56), LINES[0], "black", title)
    for row, line in enumerate(LINES[1:]):
        pen.text((36, 150 + 70 * row), line, "black", body)
    return picture


BUTTONS = ("New", "Open", "Save", "Print", "Close")


def window(assets: Assets) -> Image.Image:
    """A text editor with five buttons."""
    picture = Image.new("RGB", (560, 392), "#e5e7eb")
    pen = ImageDraw.Draw(picture)
    small, words = assets.font("DejaVuSans.ttf", 17), assets.font("DejaVuSans.ttf", 19)
    pen.rectangle((0, 0, 560, 36), "#334155")
    pen.text((16, 8), "notes.txt", "white", small)
    for left, colour in zip((478, 504, 530), ("#fbbf24", "#34d399", "#f87171"), strict=True):
        pen.ellipse((left, 11, left + 14, 25), colour)
    for number, name in enumerate(BUTTONS):
        left = 16 + 106 * number
        pen.rounded_rectangle((left, 50, left + 94, 88), 6, "white", "#94a3b8", 2)
        pen.text((left + 47, 69), name, "#0f172a", small, anchor="mm")
    pen.rectangle((16, 104, 544, 376), "white", "#94a3b8")
    for row, line in enumerate(("Milk, bread and coffee", "Call the dentist", "Water the plants")):
        pen.text((32, 124 + 40 * row), line, "#0f172a", words)
    return picture


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    assets = Assets(styles=("noto",))
    page(assets).save(out / "page.png", optimize=True)
    window(assets).save(out / "gui.png", optimize=True)


if __name__ == "__main__":
    main()
