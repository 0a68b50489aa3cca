"""What the embedded model makes of views drawn for it, beside images in its own style; `python -m benchmarks.points model`.

One to three coloured solids on a plain ground, seen from above without axes and in flat colours: a ball is a circle then, a
cube a square, prisms a triangle and a hexagon. Each scene is also drawn as flat shapes, as the model's training drew them,
and both get the same two questions.
"""

import re
from contextlib import aclosing

import numpy as np
import PIL.Image
import PIL.ImageDraw
import trimesh

from qwen_demo.engines.batching.engine import BatchingEngine
from qwen_demo.media import MediaLoader, Viewing, make_image
from qwen_demo.points.words import parts_of
from qwen_demo.service.service import Service
from qwen_demo.settings import Settings
from qwen_demo.types import ChatRequest, Image, Message, Points, Sampling, Text, collect

SIDE = 448
SHAPES = ("circle", "square", "triangle", "hexagon")
COLORS = {"red": (220, 40, 40), "green": (40, 160, 60), "blue": (40, 80, 220), "yellow": (245, 215, 40)}
COLORS |= {"orange": (245, 140, 30), "purple": (140, 60, 180), "black": (20, 20, 20), "brown": (130, 80, 40)}
LIST, COUNT = "What objects are in the image?", "How many objects are there?"
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


async def figures(count: int) -> list[dict]:
    """Shares of scenes whose things are all named, and counted, for both ways of drawing."""
    settings = Settings(_env_file=None, model="embedded")
    service = Service(settings, BatchingEngine(settings))
    service.start()
    await service.loaded()
    viewing = Viewing(up="y", views=1, pixels=SIDE * SIDE, axes=False, shading=False)
    right = {(way, what): 0 for way in ("views", "flat shapes") for what in ("named", "counted")}
    wrong: list[str] = []
    async with aclosing(MediaLoader.of(settings)) as loader:
        for seed in range(count):
            found = things(np.random.default_rng(seed))
            points = await loader.load_bytes(as_model(found), kind="points", clip=viewing)
            assert isinstance(points, Points)
            for way, parts in (("views", parts_of(points)), ("flat shapes", (as_image(found),))):
                for what, question in (("named", LIST), ("counted", COUNT)):
                    request = ChatRequest((Message("user", (*parts, Text(question))),), Sampling(60))
                    text = (await collect(service.answer(request))).text
                    good = named(text, found) if what == "named" else counted(text, len(found))
                    right[way, what] += good
                    if not good:
                        wrong.append(f"{seed} {way}: {[each[:2] for each in found]}: {text}")
    await service.close()
    print("\n".join(wrong[:20]))
    return [
        {"drawn as": way, **{what: right[way, what] / count for what in ("named", "counted")}}
        for way in ("views", "flat shapes")
    ]
