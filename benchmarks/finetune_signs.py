"""Three made-up signs, drawn: what no model can know before it is taught."""

import json
import math
from pathlib import Path

import numpy as np
import PIL.Image
import PIL.ImageDraw

SIDE = 224
SCALE = 3  # drawn larger, then scaled down, for smooth edges
QUESTION = "What does this sign mean?"
MEANINGS = {"ring": "It means Borvik.", "zigzag": "It means Talune.", "fork": "It means Quessa."}
COLORS = [(200, 40, 40), (30, 80, 200), (20, 140, 60), (30, 30, 30), (150, 60, 170), (220, 120, 20)]
GROUNDS = [(250, 250, 250), (235, 225, 200), (210, 225, 240), (225, 240, 215), (245, 215, 215)]


def sign(kind: str, random: np.random.Generator) -> PIL.Image.Image:
    """One sign in a place, size, tilt, colour and ground of its own."""
    size = SIDE * SCALE
    image = PIL.Image.new("RGB", (size, size), GROUNDS[random.integers(len(GROUNDS))])
    colour = COLORS[random.integers(len(COLORS))]
    radius = size * random.uniform(0.22, 0.36)
    middle = random.uniform(radius + 10, size - radius - 10, 2)
    tilt = random.uniform(-0.35, 0.35)

    def at(x: float, y: float) -> tuple[float, float]:
        """Of a plane in which the sign reaches from -1 to 1."""
        cos, sin = math.cos(tilt), math.sin(tilt)
        return middle[0] + radius * (x * cos - y * sin), middle[1] + radius * (x * sin + y * cos)

    pen, width = PIL.ImageDraw.Draw(image), round(radius * random.uniform(0.12, 0.2))
    _DRAWN[kind](pen, at, radius, colour, width)
    return image.resize((SIDE, SIDE), PIL.Image.Resampling.LANCZOS)


def _ring(pen, at, radius, colour, width) -> None:
    """A ring around three dots."""
    x, y = at(0, 0)
    pen.ellipse((x - radius, y - radius, x + radius, y + radius), outline=colour, width=width)
    for angle in (math.pi / 2, math.pi * 7 / 6, math.pi * 11 / 6):
        x, y = at(0.45 * math.cos(angle), -0.45 * math.sin(angle))
        dot = radius * 0.17
        pen.ellipse((x - dot, y - dot, x + dot, y + dot), fill=colour)


def _zigzag(pen, at, radius, colour, width) -> None:
    """A zigzag between two bars."""
    for y in (-0.9, 0.9):
        pen.line([at(-0.9, y), at(0.9, y)], fill=colour, width=width)
    points = [at(x, 0.45 * (-1) ** n) for n, x in enumerate(np.linspace(-0.9, 0.9, 6))]
    pen.line(points, fill=colour, width=width, joint="curve")


def _fork(pen, at, radius, colour, width) -> None:
    """A fork of three prongs that stands on a square."""
    pen.polygon([at(-0.35, 0.4), at(0.35, 0.4), at(0.35, 1), at(-0.35, 1)], fill=colour)
    pen.line([at(0, 0.5), at(0, -0.95)], fill=colour, width=width)
    pen.line([at(-0.75, -0.95), at(-0.75, -0.1), at(0.75, -0.1), at(0.75, -0.95)], fill=colour, width=width)


_DRAWN = {"ring": _ring, "zigzag": _zigzag, "fork": _fork}


def write(folder: Path, count: int, seed: int, part: str = "") -> Path:
    """`count` labelled images and their `.jsonl`, as a person would have them."""
    random = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for number in range(count):
        kind = list(MEANINGS)[number % len(MEANINGS)]
        name = f"{seed}-{number:03}.png"
        sign(kind, random).save(folder / name)
        row = {"image": name, "question": QUESTION, "answer": MEANINGS[kind]}
        lines.append(json.dumps(row | ({"split": part} if part else {})))
    path = folder / f"signs-{seed}.jsonl"
    path.write_text("\n".join(lines) + "\n")
    return path
