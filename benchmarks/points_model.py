"""What the embedded model makes of views drawn for it, beside images in its own style; `python -m benchmarks.points model`.

One to three coloured solids on a plain ground, seen from above without axes and in flat colours: a ball is a circle then, a
cube a square, prisms a triangle and a hexagon. Each scene is also drawn as flat shapes, as the model's training drew them,
and both get the same three questions.
"""

import re
from collections.abc import Sequence
from contextlib import aclosing

import numpy as np
import PIL.Image
import PIL.ImageDraw
import trimesh

from qwen_demo.answers import detections
from qwen_demo.answers.places import places
from qwen_demo.engines.batching.engine import BatchingEngine
from qwen_demo.media import MediaLoader, Viewing, make_image
from qwen_demo.models.pixels import seen_views
from qwen_demo.points.words import parts_of
from qwen_demo.service.service import Service
from qwen_demo.settings import Settings
from qwen_demo.types import ChatRequest, Image, Message, ModelInfo, Points, Sampling, Text, collect

SIDE = 448
SHAPES = ("circle", "square", "triangle", "hexagon")
COLORS = {"red": (220, 40, 40), "green": (40, 160, 60), "blue": (40, 80, 220), "yellow": (245, 215, 40)}
COLORS |= {"orange": (245, 140, 30), "purple": (140, 60, 180), "black": (20, 20, 20), "brown": (130, 80, 40)}
QUESTIONS = {
    "named": "What objects are in the image?",
    "counted": "How many objects are there?",
    "marked": "Detect all objects and output their bounding boxes in JSON.",
}
NUMBERS = {"no": 0, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6}
Thing = tuple[str, str, float, float, float]  # colour, shape, x, y, size


def things(random: np.random.Generator) -> list[Thing]:
    """On a ground of 10 x 10."""
    spots = random.permutation([(x, y) for x in (2.2, 5, 7.8) for y in (2.2, 5, 7.8)])
    colors, count = random.permutation(list(COLORS)), random.integers(1, 4)
    return [
        (str(colors[k]), str(random.choice(SHAPES)), *map(float, spots[k]), float(random.uniform(1.7, 2.4)))
        for k in range(count)
    ]


def solid(shape: str, size: float) -> trimesh.Trimesh:
    if shape == "circle":
        made = trimesh.creation.icosphere(4, size / 2)
    elif shape == "square":
        made = trimesh.creation.box((size, size, size))
    else:
        made = trimesh.creation.cylinder(size / 2, size, sections=3 if shape == "triangle" else 6)
        made.apply_transform(trimesh.transformations.rotation_matrix(np.pi / 2, (0, 0, 1)))
    made.apply_translation((0, 0, size / 2))
    return made


def as_model(found: list[Thing]) -> bytes:
    """GLB, with y up as it has to be."""
    parts = [trimesh.creation.box((10, 10, 0.1))]
    parts[0].apply_translation((5, 5, -0.05))
    parts[0].visual.vertex_colors = (255, 255, 255, 255)
    for color, shape, x, y, size in found:
        part = solid(shape, size)
        part.apply_translation((x, y, 0))
        part.visual.vertex_colors = (*COLORS[color], 255)
        parts.append(part)
    scene = trimesh.Scene(parts)
    scene.apply_transform(trimesh.transformations.rotation_matrix(-np.pi / 2, (1, 0, 0)))
    data: bytes = scene.export(file_type="glb")
    return data


def as_image(found: list[Thing]) -> Image:
    """The same as flat shapes."""
    image = PIL.Image.new("RGB", (2 * SIDE, 2 * SIDE), "white")
    draw = PIL.ImageDraw.Draw(image)
    for color, shape, x, y, size in found:
        unit = 2 * SIDE / 10
        x, y, reach = x * unit, (10 - y) * unit, size / 2 * unit
        if shape == "circle":
            draw.ellipse((x - reach, y - reach, x + reach, y + reach), COLORS[color])
        elif shape == "square":
            draw.rectangle((x - reach, y - reach, x + reach, y + reach), COLORS[color])
        else:
            sides = 3 if shape == "triangle" else 6
            draw.regular_polygon((x, y, reach), sides, 0, COLORS[color])
    return make_image(image.resize((SIDE, SIDE), PIL.Image.Resampling.LANCZOS))


def named(answer: str, found: list[Thing]) -> bool:
    """Every thing with its colour and shape, and no other."""
    said = re.findall(rf"\b({'|'.join(COLORS)})\s+(\w+?)s?\b", answer.lower())
    return sorted(said) == sorted((color, shape) for color, shape, *_ in found)


def counted(answer: str, count: int) -> bool:
    words = re.findall(r"\d+|\w+", answer.lower())
    numbers = [int(word) if word.isdigit() else NUMBERS[word] for word in words if word.isdigit() or word in NUMBERS]
    return bool(numbers) and numbers[0] == count


def boxed(text: str, found: list[Thing], pixels: np.ndarray) -> bool:
    """Every thing has a box that overlaps by more than half what has its colour, and under its name."""
    marks = {mark.label.lower(): mark.coordinates for mark in detections.find(text) if mark.is_box}
    return sorted(marks) == sorted(f"{color} {shape}" for color, shape, *_ in found) and all(
        overlap(marks[f"{color} {shape}"], around(pixels, color)) > 0.5 for color, shape, *_ in found
    )


def around(pixels: np.ndarray, color: str) -> tuple[float, ...]:
    """The rectangle around all that has this colour."""
    rows, columns = np.nonzero(np.abs(pixels.astype(int) - COLORS[color]).sum(2) < 60)
    return columns.min(), rows.min(), columns.max() + 1, rows.max() + 1


def overlap(one: Sequence[float], other: Sequence[float]) -> float:
    """IoU of two rectangles."""
    wide, high = (min(one[k + 2], other[k + 2]) - max(one[k], other[k]) for k in (0, 1))
    shared = max(0.0, wide) * max(0.0, high)
    areas = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other))
    return shared / (areas - shared)


def aways(text: str, found: list[Thing], points: Points, model: ModelInfo) -> list[float]:
    """How far each marked thing's place is from its own, over the ground, in parts of the ground's side."""
    _, marked = places(text, points, seen_views(points, model))
    truth = {}
    for color, shape, x, y, size in found:
        (low, high) = solid(shape, size).bounds
        across, along, _ = (low + high) / 2
        truth[f"{color} {shape}"] = (x + across, -y - along)  # as glTF has y up
    return [
        float(np.hypot(thing.center[0] - truth[thing.label][0], thing.center[2] - truth[thing.label][1])) / 10
        for thing in marked
        if thing.center and thing.label in truth
    ]


def judged(what: str, text: str, found: list[Thing], pixels: np.ndarray) -> bool:
    if what == "named":
        return named(text, found)
    return counted(text, len(found)) if what == "counted" else boxed(text, found, pixels)


async def figures(count: int) -> list[dict]:
    """Shares of scenes whose things are all named, counted and marked, for both ways of drawing.

    And where the marks in views lead: `place_error`, in parts of the ground's side.
    """
    settings = Settings(_env_file=None, model="embedded")
    service = Service(settings, BatchingEngine(settings))
    service.start()
    await service.loaded()
    viewing = Viewing(up="y", views=1, pixels=SIDE * SIDE, axes=False, shading=False)
    right = {way: dict.fromkeys(QUESTIONS, 0) for way in ("views", "flat shapes")}
    wrong: list[str] = []
    away: list[float] = []
    async with aclosing(MediaLoader.of(settings)) as loader:
        for seed in range(count):
            found = things(np.random.default_rng(seed))
            points = await loader.load_bytes(as_model(found), kind="points", clip=viewing)
            assert isinstance(points, Points)
            for way, parts in (("views", parts_of(points)), ("flat shapes", (as_image(found),))):
                pixels = np.asarray(parts[0].pixels)
                for what, question in QUESTIONS.items():
                    request = ChatRequest((Message("user", (*parts, Text(question))),), Sampling(160))
                    text = (await collect(service.answer(request))).text
                    good = judged(what, text, found, pixels)
                    right[way][what] += good
                    if not good:
                        wrong.append(f"{seed} {way}: {[each[:2] for each in found]}: {text}")
                    if (what, way) == ("marked", "views"):
                        away += aways(text, found, points, service.status().model)
    await service.close()
    print("\n".join(wrong[:20]))
    rows = [{"drawn as": way, **{what: right[way][what] / count for what in right[way]}} for way in right]
    rows[0] |= {
        "places": len(away),
        "place_error_median": float(np.median(away)),
        "place_error_worst": max(away),
    }
    return rows
