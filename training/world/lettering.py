"""How a line of training text departs from its font: slant, width, spacing, weight, turn, outline, shadow, wear.

Evaluation draws plain text; there the random stream is not touched.
"""

import math
from dataclasses import dataclass, field

from PIL import Image, ImageDraw, ImageFilter

PLAIN_SHARE = 0.6  # a varied picture takes about half as long again to draw as a plain one
OUTLINE_FROM_PX = 26  # thinner letters would be all outline
MIDDLE = 0.34  # of the size: how far above the baseline the middle of a character lies
EDGE = 3  # pixels that stay free at the picture's edge, the shadow included


@dataclass
class Style:
    """Angles are in degrees, lengths are shares of the font's size."""

    slant: float = 0.0
    angle: float = 0.0
    stretch: float = 1.0
    spacing: float = 0.0
    stroke: float = 0.0
    outline: bool = False
    shadow: tuple | None = None  # pixels to the right and down
    strength: float = 1.0
    blur: float = 0.0


def choose(world):
    """A style for one picture's text, or None for plain text."""
    rng = world.rng
    if world.split != "train" or rng.random() < PLAIN_SHARE:
        return None

    def draw(share, low, high, plain=0.0):
        return rng.uniform(low, high) if rng.random() < share else plain

    return Style(
        slant=draw(0.3, -12, 12),
        angle=draw(0.3, -4, 4),
        stretch=draw(0.4, 0.85, 1.2, 1.0),
        spacing=draw(0.25, -0.02, 0.12),
        stroke=draw(0.25, 0.006, 0.022),
        outline=rng.random() < 0.08,
        shadow=(rng.choice([-2, -1, 1, 2]), rng.choice([1, 2])) if rng.random() < 0.1 else None,
        strength=draw(0.15, 0.7, 0.95, 1.0),
        blur=draw(0.12, 0.3, 0.7),
    )


def dressed(font, style):
    return StyledFont(font, style) if style else font


@dataclass
class StyledFont:
    """Measures like a font of Pillow; `Brush.write` draws with it."""

    font: object
    style: Style
    size: float = field(init=False)

    def __post_init__(self):
        self.size = self.font.size

    def getmetrics(self):
        return self.font.getmetrics()

    def getlength(self, text):
        """Pixels, what a slant adds at both ends included."""
        style = self.style
        advance = (self.font.getlength(text) + style.spacing * self.size * len(text)) * style.stretch
        return advance + abs(math.tan(math.radians(style.slant))) * self.size * 0.8

    def drop(self, length):
        """Pixels by which the turn lifts one end of a line of that length above the other."""
        return length * abs(math.sin(math.radians(self.style.angle)))


def write(draw, at, text, font, color, widths, across):
    """Draws a styled line; `widths` are its characters' plain advances and `at` is its middle height.

    across: share of the line left of at[0].  Returns [(x, y, character)], the middles of the characters in pixels.  A
    line that would leave the picture loses its turn, or is moved in.
    """
    style = font.style
    gap = style.spacing * font.size
    starts, x = [], 0.0
    for width in widths:
        starts.append(x)
        x += width + gap
    pivot = across * (x - gap)
    masks = _masks(text, font, starts, x, pivot)
    for angle in (style.angle, 0.0) if style.angle else (0.0,):
        matrix = _matrix(style, angle)
        placed = [_placed(mask, origin, matrix, at) for mask, origin in masks]
        moves = [_move_in(low, high, side) for low, high, side in zip(*_extent(placed), draw.im.size, strict=True)]
        if moves == [0, 0]:
            break
    dx, dy = (move or 0 for move in moves)
    _paint(draw, placed, style, color, (dx, dy))
    a, _, c, _ = matrix
    letters = []
    for char, start, width in zip(text, starts, widths, strict=True):
        if char != " ":
            u = start + width / 2 - pivot
            letters.append((at[0] + a * u + dx, at[1] + c * u + dy, char))
    return letters


def _masks(text, font, starts, length, pivot):
    """[(mask, its pivot in pixels)]: the outline's, where there is one, and the letters' own."""
    style, plain, size = font.style, font.font, font.size
    pad = int(size * 0.4) + 2
    baseline = pad + plain.getmetrics()[0]
    out = []
    outlined = style.outline and size >= OUTLINE_FROM_PX
    for stroke in ([max(1.0, size * 0.035)] if outlined else []) + [style.stroke * size]:
        mask = Image.new("L", (int(length) + 2 * pad, baseline + plain.getmetrics()[1] + pad))
        pen = ImageDraw.Draw(mask)
        if style.spacing:
            for start, char in zip(starts, text, strict=True):
                pen.text((pad + start, baseline), char, font=plain, fill=255, anchor="ls", stroke_width=stroke)
        else:
            pen.text((pad, baseline), text, font=plain, fill=255, anchor="ls", stroke_width=stroke)
        out.append((mask, (pad + pivot, baseline - size * MIDDLE)))
    return out


def _matrix(style, angle):
    """(a, b, c, d): pixel (u, v) from the pivot goes to (a u + b v, c u + d v)."""
    cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    slant = math.tan(math.radians(style.slant))
    return style.stretch * cos, sin - slant * cos, -style.stretch * sin, cos + slant * sin


def _placed(mask, pivot, matrix, at):
    """(mask after the matrix, its left, its top in the picture); the mask holds visible pixels alone."""
    a, b, c, d = matrix
    if (b, c) == (0, 0) and a == 1:
        left, top = round(at[0] - pivot[0]), round(at[1] - pivot[1])
    else:
        ends = [(u - pivot[0], v - pivot[1]) for u in (0, mask.width) for v in (0, mask.height)]
        xs, ys = [a * u + b * v for u, v in ends], [c * u + d * v for u, v in ends]
        left, top = math.floor(at[0] + min(xs)), math.floor(at[1] + min(ys))
        size = math.ceil(max(xs) - min(xs)) + 2, math.ceil(max(ys) - min(ys)) + 2
        k = 1 / (a * d - b * c)
        x, y = left - at[0], top - at[1]
        back = (d * k, -b * k, (d * x - b * y) * k + pivot[0], -c * k, a * k, (a * y - c * x) * k + pivot[1])
        mask = mask.transform(size, Image.AFFINE, back, Image.BILINEAR)
    box = mask.getbbox() or (0, 0, 1, 1)
    return mask.crop((box[0] - 1, box[1] - 1, box[2] + 1, box[3] + 1)), left + box[0] - 1, top + box[1] - 1


def _extent(placed):
    """((left, top), (right, bottom)) of all masks."""
    return (min(p[1] for p in placed), min(p[2] for p in placed)), (
        max(p[1] + p[0].width for p in placed),
        max(p[2] + p[0].height for p in placed),
    )


def _move_in(low, high, side):
    """Pixels to move a stretch of pixels by so that it lies inside the picture."""
    if low < EDGE:
        return EDGE - low
    return min(0, side - EDGE - high)


def _paint(draw, placed, style, color, move):
    def stamp(mask, left, top, ink, strength):
        if style.blur:
            mask = mask.filter(ImageFilter.BoxBlur(style.blur))
        if strength < 1:
            mask = mask.point([int(v * strength) for v in range(256)])
        draw.bitmap((left + move[0], top + move[1]), mask, fill=ink)

    contrary = (0, 0, 0) if sum(color) > 380 else (255, 255, 255)
    letters, left, top = placed[-1]
    if style.shadow:
        stamp(letters, left + style.shadow[0], top + style.shadow[1], (110, 110, 110), 0.6)
    if len(placed) > 1:
        stamp(*placed[0], contrary, 1.0)
    stamp(letters, left, top, color, style.strength)
