"""Pages and screens as people send them: drawn at some size, photographed or copied, seen at the model's size.

Text counts as readable by one measured rule: the height of an "x" in the pixels that the model gets.
"""

import io
import math
from dataclasses import dataclass, field

import numpy as np
from PIL import Image, ImageDraw

from training.world.canvas import CELL, MAX_PIXELS, contrast
from training.world.scenes import still

READABLE_X_PX, TOO_SMALL_X_PX = 7.0, 6.0  # between them either answer is right: nothing is asked about such text
MONO = ("Mono", "mono", "Code", "Courier", "Hack", "Inconsolata", "cmuntb", "cmuntt", "cursor", "Hermit", "Cascadia")
HAND = ("Dancing", "Kaushan", "Yusei", "Klee", "ComicNeue", "Leckerli", "chorus", "Lobster")
FANCY = (*HAND, "CherryBomb", "Stick", "DotGothic", "PoiretOne", "cyklop", "AlphaSlab", "Jura", "Algol", "RocknRoll")
UNKNOWN = "a picture that I do not know"  # the noun of what has none here
X_HEIGHTS = {}  # key of a font in a size -> pixels


def x_height(font):
    """Pixels of a small x in this loaded font."""
    if font.key not in X_HEIGHTS:
        _, top, _, bottom = font.getbbox("x")
        X_HEIGHTS[font.key] = bottom - top
    return X_HEIGHTS[font.key]


@dataclass
class Field:
    """One thing that can be asked about.  name: "total"; value: as printed; x_px: height of its x as the model sees it."""

    name: str
    value: str
    x_px: float

    @property
    def readable(self):
        return self.x_px >= READABLE_X_PX

    @property
    def too_small(self):
        return self.x_px < TOO_SMALL_X_PX


@dataclass
class Seen:
    """What there is to say about one image.

    noun: "an invoice"; accepted: further words that name it rightly; absent: fields that it lacks; parts: [(box, label)];
    mute: it has no text to speak of, and `told` is all that can be said; turns: questions of its own.
    """

    kind: str
    noun: str
    accepted: tuple = ()
    fields: list = field(default_factory=list)
    absent: tuple = ()
    parts: list = field(default_factory=list)
    mute: bool = False
    told: str = ""
    turns: list = field(default_factory=list)

    @property
    def heading(self):
        return next((f for f in self.fields if f.name == "title"), None)


def told(noun, beyond):
    """That something is seen, and what cannot be done with it."""
    return f"I see {noun} and cannot {beyond}."


def page_size(rng, low_aspect, high_aspect, low=100_000):
    """(width, height) in pixels, multiples of 28, of a page that is shown about as large as the model sees anything."""
    while True:
        area = rng.uniform(low, MAX_PIXELS)
        aspect = math.exp(rng.uniform(math.log(low_aspect), math.log(high_aspect)))
        width, height = (max(5, round(math.sqrt(area * a) / CELL)) * CELL for a in (aspect, 1 / aspect))
        if width * height <= MAX_PIXELS:
            return width, height


class Sheet:
    """A canvas in the model's pixels.  Everything is measured in them, whatever size it is drawn at.

    paper: a document that may have been photographed; screens are only copied.
    """

    def __init__(self, world, aspects=(0.68, 0.8), ground=(255, 255, 255), paper=False, low=100_000):
        self.world, self.rng = world, world.rng
        rng = self.rng
        self.width, self.height = page_size(rng, *aspects, low)
        self.scale = rng.choice([1, 1, 1, 1.5, 2])
        self.quad = self._quad() if paper and rng.random() < 0.2 else None
        self.shrink = 0.86 if self.quad else 1.0
        self.ground = ground
        self.image = Image.new("RGB", (int(self.width * self.scale), int(self.height * self.scale)), ground)
        self.draw = ImageDraw.Draw(self.image)
        self.letters, self.lines, self.places = [], [], []
        self.body, self.strong = self.fonts()
        self.ink = (20, 20, 20) if sum(ground) > 380 else (235, 235, 235)

    # ---- choices
    @property
    def test(self):
        return self.world.split == "test"

    def pick(self, train, test):
        """One of the looks of this split."""
        return self.rng.choice(test if self.test else train)

    def fonts(self, kinds=None, other=FANCY):
        """(font, font for headings).  kinds: parts of the names of fonts that fit; other: of those that do not."""
        names = self.world.assets.font_names
        fit = [n for n in names if (not kinds or any(k in n for k in kinds)) and not any(k in n for k in other)]
        fit = fit or names
        body = self.rng.choice(fit)
        bold = body.replace("Regular", "Bold").replace("Sans.", "Sans-Bold.")
        return body, bold if bold in names else body if self.rng.random() < 0.6 else self.rng.choice(fit)

    def _quad(self):
        """Where the page's corners lie in the photograph: left top, right top, right bottom, left bottom."""
        rng, w, h = self.rng, self.width, self.height
        near = [(rng.uniform(0.02, 0.1) * w, rng.uniform(0.02, 0.1) * h) for _ in range(4)]
        (a, b), (c, d), (e, f), (g, i) = near
        return [(a, b), (w - c, d), (w - e, h - f), (g, h - i)]

    # ---- drawing
    def font(self, name, px):
        return self.world.assets.font(name, max(4, round(px * self.scale)))

    def length(self, text, px, name=None):
        """Pixels that the text takes."""
        return self.font(name or self.body, px).getlength(text) / self.scale

    def text(self, at, text, px, color=None, anchor="la", font=None):
        """Prints one line; returns a Field without a name."""
        font, s = self.font(font or self.body, px), self.scale
        high = x_height(font) / s * self.shrink
        place, color = (at[0] * s, at[1] * s), color or self.ink
        if high >= TOO_SMALL_X_PX:
            letters = self.world.brush.write(self.draw, place, text, font, color, anchor)
            self.letters += [(x / s, y / s, c) for x, y, c in letters]
        else:
            self.draw.text(place, text, font=font, fill=color, anchor=anchor)
        self.lines.append(Field("line", text, high))
        self.places.append((round(at[1]), at[0]))
        return self.lines[-1]

    def named(self, name, at, text, px, value=None, **how):
        """Prints a line that holds a field's value, and returns that field."""
        line = self.text(at, text, px, **how)
        return Field(name, value or text, line.x_px)

    def fitting(self, text, px, room, name=None):
        """A size in pixels at which the text takes no more than `room`."""
        wide = self.length(text, px, name)
        return px if wide <= room else px * room / wide * 0.98

    def box(self, box, fill=None, outline=None, width=1, radius=0):
        s = self.scale
        box, width = tuple(round(v * s) for v in box), max(1, round(width * s)) if outline else 0
        if radius:
            self.draw.rounded_rectangle(box, round(radius * s), fill, outline, width)
        else:
            self.draw.rectangle(box, fill, outline, width)

    def line(self, points, color, width=1):
        self.draw.line([(x * self.scale, y * self.scale) for x, y in points], color, max(1, round(width * self.scale)))

    def disc(self, x, y, radius, fill=None, outline=None, width=1):
        s = self.scale
        box = [v * s for v in (x - radius, y - radius, x + radius, y + radius)]
        self.draw.ellipse(box, fill, outline, max(1, round(width * s)) if outline else 0)

    def shape(self, points, fill=None, outline=None, width=1):
        s = self.scale
        self.draw.polygon([(x * s, y * s) for x, y in points], fill, outline, max(1, round(width * s)))

    def words(self, count):
        return [self.world.typist.word() for _ in range(count)]

    def sentence(self, count):
        words = self.words(count)
        return words[0].capitalize() + " " + " ".join(words[1:]) + "." if count > 1 else words[0].capitalize()

    def paragraph(self, left, top, room, rows, px, pitch=1.4, color=None):
        """Rows of words; returns where the next line would begin."""
        font, s = self.font(self.body, px), self.scale
        row = []
        for i in range(rows):
            row, wide = [], 0.0
            limit = room * (0.6 if i == rows - 1 and rows > 1 else 1.0)
            while wide < limit and len(row) < 30:
                row.append(self.world.typist.word())
                wide = font.getlength(" ".join(row)) / s
            text = " ".join(row[:-1] or [row[0][:6]])
            self.text((left, top), text.capitalize() if i == 0 else text, px, color)
            top += px * pitch
        return top

    def all_text(self):
        """What is printed, row by row, where it is at most six rows that can be read; else None."""
        rows = {}
        for (y, x), line in sorted(zip(self.places, self.lines, strict=True), key=lambda pair: pair[0]):
            rows.setdefault(y, []).append((x, line))
        if not 0 < len(rows) <= 6 or not all(line.readable for line in self.lines):
            return None
        return "\n".join(" ".join(line.value for _, line in sorted(row, key=lambda r: r[0])) for row in rows.values())

    # ---- from the canvas to what the model gets
    def picture(self):
        rng, image = self.rng, self.image
        size = (self.width, self.height)
        if self.scale != 1:
            how = rng.choice([Image.BICUBIC, Image.BILINEAR, Image.LANCZOS, Image.BOX])
            image = image.resize(size, how, reducing_gap=2.0)
        if self.quad:
            image = self._photographed(image)
        if rng.random() < 0.25:
            buffer = io.BytesIO()
            image.save(buffer, "JPEG", quality=rng.randint(45, 92))
            image = Image.open(buffer).convert("RGB")
        elif rng.random() < 0.3:
            image = self.world.brush.camera(image)
        picture = still(image, None, self.letters)
        picture.text = self.all_text()
        return picture

    def _photographed(self, image):
        """The page on a table, seen from a little aside, in uneven light; letters follow."""
        rng, w, h = self.rng, self.width, self.height
        corners = [(0, 0), (w, 0), (w, h), (0, h)]
        there = _perspective(corners, self.quad)
        self.letters = [(*_moved(there, x, y), c) for x, y, c in self.letters]
        back = _perspective(self.quad, corners)
        table = tuple(rng.randint(30, 200) for _ in range(3))
        if contrast(table, self.ground) < 90:
            table = tuple(v // 2 for v in self.ground)
        image = image.transform((w, h), Image.PERSPECTIVE, back, Image.BICUBIC, fillcolor=table)
        light = Image.new("L", (2, 2))
        light.putdata([rng.randint(150, 255) for _ in range(4)])
        shade = Image.merge("RGB", [light.resize((w, h), Image.BILINEAR)] * 3)
        return Image.fromarray((np.asarray(image).astype(np.uint16) * np.asarray(shade) >> 8).astype(np.uint8))


def _perspective(source, target):
    """The eight numbers of the map that takes each source point to its target."""
    rows, values = [], []
    for (x, y), (u, v) in zip(source, target, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        values += [u, v]
    return np.linalg.solve(np.array(rows, float), np.array(values, float)).tolist()


def _moved(k, x, y):
    below = k[6] * x + k[7] * y + 1
    return (k[0] * x + k[1] * y + k[2]) / below, (k[3] * x + k[4] * y + k[5]) / below
