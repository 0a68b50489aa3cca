"""Scenes: shapes and pictograms placed on a background without touching."""

import numpy as np
from PIL import Image

from training.world.canvas import contrast
from training.world.catalog import COLORS, PICTOGRAM_NAMES, PLACES, SHAPES
from training.world.sample import Picture, Thing

COUNT_WEIGHTS = {1: 17, 2: 20, 3: 19, 4: 15, 5: 12, 6: 10, 7: 4, 8: 3}
LARGEST = {1: 0.8, 2: 0.48, 3: 0.42, 4: 0.36}  # share of the shorter picture side, by number of things
SMALLEST = {1: 0.2, 2: 0.17, 3: 0.15}
BORDER = 0.022  # middles keep this far (share of a side) from the lines between thirds


def thing_of(brush, what, background=(128, 128, 128)):
    """A random thing; what: "shapes", "pictograms" or "mixed".  A shape's colour stands out from the background."""
    rng = brush.rng
    if what == "shapes" or (what == "mixed" and rng.random() < 0.5):
        for _ in range(30):
            color = rng.choice(list(COLORS))
            rgb = brush.jitter(COLORS[color])
            if contrast(rgb, background) > 130:
                break
        number = rng.randrange(len(SHAPES))
        return Thing("shape", SHAPES[number], number, color, rgb)
    number = rng.choice(list(brush.assets.pictograms))
    return Thing("pictogram", PICTOGRAM_NAMES[number], number)


def place_of(x, y, width, height):
    return PLACES[min(2, int(y * 3 / height))][min(2, int(x * 3 / width))]


def near_border(x, y, width, height):
    return any(abs(v / side - line) < BORDER for v, side in ((x, width), (y, height)) for line in (1 / 3, 2 / 3))


def copy_of(thing):
    return Thing(thing.kind, thing.name, thing.number, thing.color, thing.rgb)


def paste(brush, image, thing, x, y, side):
    """Draws the thing inside the square at (x, y) and sets its box and place."""
    ground = image.resize((1, 1), Image.BOX, box=(x, y, x + side, y + side)).getpixel((0, 0))
    fill, mask = brush.sprite(thing, side, ground)
    if max(mask.size) > side:  # rotation made it larger
        size = tuple(max(4, int(v * side / max(mask.size))) for v in mask.size)
        mask = mask.resize(size, Image.BILINEAR)
        fill = fill if thing.kind == "shape" else fill.resize(size, Image.BILINEAR)
    x, y = x + (side - mask.width) // 2, y + (side - mask.height) // 2
    image.paste(fill, (x, y), mask)
    thing.box = (x, y, x + mask.width, y + mask.height)
    thing.place = place_of(*thing.center, *image.size)


def free_square(brush, width, height, low, high, taken):
    """(x, y, side) of a square that touches no taken one, or None; it shrinks a little with each try."""
    rng, short = brush.rng, min(width, height)
    for attempt in range(30):
        side = max(26, int(short * rng.uniform(low, high) * 0.95**attempt))
        x, y = rng.randint(2, max(2, width - side - 3)), rng.randint(2, max(2, height - side - 3))
        if near_border(x + side / 2, y + side / 2, width, height):
            continue
        if all(x + side + 5 < a or c + 5 < x or y + side + 5 < b or d + 5 < y for a, b, c, d in taken):
            return x, y, side
    return None


def draw_scene(brush, what, count=None, size=None, plain=0.6, things=None):
    """(PIL image, things from left to right, background's spoken name); `things` overrides what is drawn."""
    rng = brush.rng
    width, height = size or brush.size()
    image, background, color = brush.background(width, height, plain)
    count = len(things) if things else count or rng.choices(list(COUNT_WEIGHTS), COUNT_WEIGHTS.values())[0]
    repeats = None
    if not things and count >= 3 and rng.random() < 0.3:  # counting scenes: few kinds, many copies
        repeats = [thing_of(brush, what, color) for _ in range(rng.randint(1, 3))]
    placed, taken = [], []
    for i in range(count):
        thing = (
            copy_of(things[i]) if things else copy_of(rng.choice(repeats)) if repeats else thing_of(brush, what, color)
        )
        square = free_square(brush, width, height, SMALLEST.get(count, 0.14), LARGEST.get(count, 0.32), taken)
        if square is None:
            continue
        x, y, side = square
        paste(brush, image, thing, x, y, side)
        taken.append((x, y, x + side, y + side))
        placed.append(thing)
    if not placed or (things and len(placed) < len(things)):
        return draw_scene(brush, what, count, size, plain, things)
    placed.sort(key=lambda thing: thing.center[0])
    return image, placed, background


def still(image, things=None, letters=()):
    """A Picture of one frame from a PIL image."""
    return Picture(np.asarray(image)[None], things, list(letters))
