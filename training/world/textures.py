"""Procedural pictures with the look of photographs of surfaces: what a model must not take for shapes on a background.

Each maker returns a grey field of about SIDE x SIDE in 0..1, float32, and how it is coloured is drawn afterwards: light from
one side, dirt, a colour ramp, grain.  noise: numpy Generator.
"""

import numpy as np
from PIL import Image

SIDE = 180


def clouds(noise, side=SIDE, first=2, falloff=0.6):
    """Fractal noise, 0..1."""
    field, strength, cells = np.zeros((side, side), np.float32), 1.0, first
    while cells < side and strength > 0.03:
        layer = Image.fromarray(noise.random((cells, cells), np.float32))
        field += strength * np.asarray(layer.resize((side, side), Image.BICUBIC))
        cells, strength = cells * 2, strength * falloff
    return _spread(field)


def _spread(field):
    low, high = field.min(), field.max()
    return (field - low) / (high - low + 1e-6)


def _grid(noise, warp):
    """(y, x) in 0..1, turned and bent."""
    y, x = np.mgrid[0:SIDE, 0:SIDE].astype(np.float32) / SIDE
    angle = noise.uniform(0, 2 * np.pi) if noise.random() < 0.7 else 0.0
    y, x = y * np.cos(angle) + x * np.sin(angle), x * np.cos(angle) - y * np.sin(angle)
    return y + warp * clouds(noise), x + warp * clouds(noise)


def _cells(noise, count, squeeze=1.0):
    """Distance to the nearest and second nearest of random points, and the number of the nearest."""
    points = noise.random((count, 2), np.float32)
    y, x = np.mgrid[0:SIDE, 0:SIDE].astype(np.float32) / SIDE
    bend = 0.05
    y, x = y + bend * clouds(noise, first=4), x + bend * clouds(noise, first=4)
    far = (y[..., None] - points[:, 0]) ** 2 + squeeze * (x[..., None] - points[:, 1]) ** 2
    nearest = far.argmin(-1)
    two = np.sqrt(np.partition(far, 1, -1)[..., :2])
    return two[..., 0], two[..., 1], nearest


def gravel(noise):
    """Stones: cells that are darker at their borders, each of its own grey."""
    count = int(noise.integers(25, 75))
    near, second, which = _cells(noise, count)
    edge = np.clip((second - near) * np.sqrt(count) * noise.uniform(1.5, 4), 0, 1)
    return edge * (0.35 + 0.5 * noise.random(count, np.float32)[which] + 0.3 * clouds(noise, first=16))


def microscope(noise):
    """Cells under a microscope: soft discs with kernels."""
    count = int(noise.integers(8, 50))
    near, _, which = _cells(noise, count, noise.uniform(0.5, 2))
    size = (0.25 + 0.5 * noise.random(count, np.float32)[which]) / np.sqrt(count)
    disc = 1 / (1 + np.exp((near - size) * 90))
    kernel = np.exp(-((near / (0.4 * size)) ** 2))
    return 0.75 * disc * (0.6 + 0.4 * clouds(noise, first=8)) + noise.uniform(-0.5, 0.5) * kernel + 0.2 * clouds(noise)


def bricks(noise):
    """Bricks or tiles with mortar, each of its own shade."""
    y, x = _grid(noise, noise.uniform(0, 0.04))
    rows, ratio = noise.uniform(4, 14), noise.uniform(0.9, 3)
    row = np.floor(y * rows)
    column = x * rows / ratio + (0.5 * (row % 2) if noise.random() < 0.7 else 0)
    inside = np.minimum(np.minimum(y * rows % 1, 1 - y * rows % 1), ratio * np.minimum(column % 1, 1 - column % 1))
    joint = np.clip(inside / noise.uniform(0.06, 0.16), 0, 1)
    shades = noise.random((64, 64), np.float32)[row.astype(int) % 64, np.floor(column).astype(int) % 64]
    wall = 0.45 + 0.3 * shades + 0.5 * (clouds(noise, first=16, falloff=0.8) - 0.5)
    return joint * wall + (1 - joint) * (noise.uniform(0, 0.9) + 0.15 * clouds(noise, first=32))


def wood(noise):
    """Grain: rings far from their centre, bent."""
    _, x = _grid(noise, noise.uniform(0.05, 0.3))
    rings = np.sin((x * noise.uniform(4, 22) + 0.8 * clouds(noise)) * 2 * np.pi)
    fibre = np.asarray(Image.fromarray(noise.random((SIDE, 6), np.float32)).resize((SIDE, SIDE), Image.BICUBIC))
    return 0.5 + 0.28 * rings + 0.4 * fibre + 0.2 * clouds(noise, first=8)


def grass(noise):
    """Blades or hairs: streaks along a bent direction."""
    field = noise.random((SIDE, SIDE), np.float32)
    length, lean = int(noise.integers(6, 22)), noise.uniform(-0.8, 0.8)
    out = sum(np.roll(field, (k, int(k * lean)), (0, 1)) * (1 - k / length) for k in range(length))
    bend = (clouds(noise) * noise.uniform(4, 30)).astype(int)
    across = (np.arange(SIDE)[None] + bend) % SIDE
    return _spread(out)[np.arange(SIDE)[:, None], across] + 0.4 * clouds(noise)


def ripples(noise):
    """Water: sums of bent waves."""
    y, x = _grid(noise, noise.uniform(0.1, 0.4))
    field = 0.4 * clouds(noise)
    for _ in range(4):
        angle, pace = noise.normal(0, 0.5), noise.uniform(5, 40)
        field = field + np.sin((y * np.cos(angle) + x * np.sin(angle)) * pace * 2 + noise.uniform(0, 6)) / pace**0.5
    return _spread(field) ** noise.uniform(0.7, 2.5)


def stars(noise):
    """A night sky, or lights far away."""
    field = 0.25 * clouds(noise) ** 2
    count = int(noise.integers(30, 500))
    at = noise.integers(0, SIDE, (2, count))
    field[at[0], at[1]] += noise.random(count, np.float32) ** 3 * 1.5
    return field


def page(noise):
    """Written or printed lines too small or blurred to be read."""
    y, _ = _grid(noise, noise.uniform(0, 0.06))
    rows = noise.uniform(8, 26)
    line = np.clip(np.sin(y * rows * 2 * np.pi) * 2, 0, 1)
    words = clouds(noise, first=48, falloff=0.9) > 0.42
    return 0.85 - 0.55 * line * words + 0.3 * (clouds(noise) - 0.5)


def leaves(noise):
    """Overlapping discs and ovals of many sizes (dead leaves), shaded and soft: the statistics of natural pictures."""
    y, x = np.mgrid[0:SIDE, 0:SIDE].astype(np.float32)
    field, light = clouds(noise), noise.uniform(0, 2 * np.pi)
    for _ in range(int(noise.integers(70, 170))):
        radius = 5 / noise.uniform(0.06, 1) ** 0.9
        cy, cx = noise.uniform(0, SIDE, 2)
        top, left = max(0, int(cy - radius)), max(0, int(cx - radius))
        part = np.s_[top : int(cy + radius) + 1, left : int(cx + radius) + 1]
        dy, dx = (y[part] - cy) / radius, (x[part] - cx) / radius
        lean = noise.uniform(-0.8, 0.8)
        inside = dy * dy + (dx + lean * dy) ** 2 < noise.uniform(0.4, 1)
        shade = noise.random() + noise.uniform(0, 0.35) * (dy * np.cos(light) + dx * np.sin(light))
        field[part] = np.where(inside, shade, field[part])
    return field + 0.25 * (clouds(noise, first=16, falloff=0.9) - 0.5)


MAKERS = (gravel, microscope, bricks, wood, grass, ripples, stars, page, leaves)


def texture(rng, noise, width, height):
    """An RGB picture of one random surface.  rng: random.Random."""
    field = rng.choice(MAKERS)(noise)
    if rng.random() < 0.6:  # light from one side
        y, x = np.mgrid[-1 : 1 : SIDE * 1j, -1 : 1 : SIDE * 1j]
        field = field * (1 + rng.uniform(-0.4, 0.4) * x + rng.uniform(-0.4, 0.4) * y)
    if rng.random() < 0.5:  # relief
        field = field + rng.uniform(0.3, 1.2) * (field - np.roll(field, (1, 1), (0, 1)))
    ramp = np.sort(noise.random((3, 3)), 0) * noise.uniform(0.5, 1.3, (1, 3))
    if rng.random() < 0.5:  # nearly one hue, as most surfaces
        ramp = 0.25 * ramp + 0.75 * np.sort(noise.random((3, 1)), 0) * noise.uniform(0.6, 1.1, (1, 3))
    field = np.clip(field, 0, 1)
    colored = np.stack([np.interp(field, (0, 0.5, 1), ramp[:, c]) for c in range(3)], -1)
    if rng.random() < 0.5:  # patches of another colour
        patch = clouds(noise)[..., None] * rng.uniform(0.1, 0.5)
        colored = colored * (1 - patch) + patch * noise.random(3)
    image = Image.fromarray((np.clip(colored, 0, 1) * 255).astype(np.uint8))
    part = SIDE * rng.uniform(0.45, 1)
    left, top = rng.uniform(0, SIDE - part), rng.uniform(0, SIDE - part)
    short = min(1, width / height), min(1, height / width)
    box = (left, top, left + part * short[0], top + part * short[1])
    return image.resize((width, height), Image.BICUBIC, box=box)
