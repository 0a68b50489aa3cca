"""Drawn objects and silhouettes, and things that can be named but not read: codes, calendars, boards, scores, plans, comics.

Maps, flow charts (training.world.plots) and memes are for evaluation alone.
"""

import itertools
import math

from training.world.charts import PALETTE
from training.world.photos import _crop, _texture
from training.world.sheets import HAND, Seen, Sheet, told

# Parts of an object in a square from 0 to 100: ("box" | "disc" | "poly" | "line", numbers); the first colour fills.
OBJECTS = {
    "mug": [("box", 25, 25, 65, 85), ("ring", 68, 52, 17)],
    "bottle": [("box", 42, 5, 58, 30), ("poly", 42, 30, 58, 30, 70, 45, 30, 45), ("box", 30, 45, 70, 97)],
    "table": [("box", 5, 30, 95, 40), ("box", 12, 40, 20, 95), ("box", 80, 40, 88, 95)],
    "lamp": [("poly", 35, 10, 65, 10, 80, 48, 20, 48), ("box", 47, 48, 53, 85), ("box", 30, 85, 70, 92)],
    "ladder": [
        ("box", 25, 3, 32, 97),
        ("box", 68, 3, 75, 97),
        *(("box", 25, 12 + 16 * i, 75, 17 + 16 * i) for i in range(5)),
    ],
    "spoon": [("oval", 38, 3, 62, 38), ("box", 47, 36, 53, 97)],
    "fork": [
        ("box", 47, 40, 53, 97),
        ("box", 35, 30, 65, 42),
        *(("box", 35 + 12.5 * i, 5, 40 + 12.5 * i, 35) for i in range(3)),
    ],
    "knife": [("poly", 45, 5, 58, 20, 58, 55, 45, 55), ("box", 45, 55, 56, 97)],
    "bucket": [("poly", 20, 35, 80, 35, 70, 95, 30, 95), ("arc", 22, 5, 78, 65)],
    "broom": [("box", 47, 3, 53, 60), ("poly", 40, 60, 60, 60, 75, 97, 25, 97)],
    "saw": [("poly", 30, 40, 97, 55, 97, 60, 30, 68), ("box", 3, 35, 32, 72)],
    "ruler": [("box", 3, 40, 97, 62), *(("cut", 10 + 9 * i, 40, 12 + 9 * i, 50) for i in range(10))],
    "comb": [("box", 10, 25, 90, 45), *(("box", 10 + 8.4 * i, 45, 14 + 8.4 * i, 75) for i in range(10))],
    "flag": [("box", 20, 3, 25, 97), ("poly", 25, 8, 85, 20, 25, 50)],
    "fence": [
        ("box", 3, 45, 97, 52),
        ("box", 3, 70, 97, 77),
        *(
            ("poly", 8 + 18 * i, 35, 15 + 18 * i, 22, 22 + 18 * i, 35, 22 + 18 * i, 92, 8 + 18 * i, 92)
            for i in range(5)
        ),
    ],
    "window": [
        ("box", 12, 8, 88, 92),
        *(("cut", 19 + 33 * i, 15 + 39 * j, 47 + 33 * i, 46 + 39 * j) for i in (0, 1) for j in (0, 1)),
    ],
    "bowl": [("half", 10, 10, 90, 90), ("box", 38, 88, 62, 94)],
    "vase": [("poly", 40, 5, 60, 5, 56, 25, 78, 55, 62, 95, 38, 95, 22, 55, 44, 25)],
    "shelf": [
        ("box", 10, 5, 16, 97),
        ("box", 84, 5, 90, 97),
        *(("box", 10, 10 + 27 * i, 90, 15 + 27 * i) for i in range(4)),
    ],
    "mailbox": [("box", 45, 50, 55, 97), ("box", 15, 22, 85, 52), ("box", 85, 10, 90, 34)],
    "toothbrush": [("box", 3, 58, 97, 66), ("box", 3, 42, 30, 58)],
    "wheel": [("ring", 50, 50, 45), ("disc", 50, 50, 8), ("box", 48, 8, 52, 92), ("box", 8, 48, 92, 52)],
    "bridge": [("box", 3, 40, 97, 50), ("box", 25, 15, 31, 90), ("box", 69, 15, 75, 90), ("arc", 28, -20, 72, 40)],
    "lighthouse": [("poly", 38, 30, 62, 30, 70, 95, 30, 95), ("box", 40, 15, 60, 30), ("poly", 36, 15, 64, 15, 50, 3)],
    "windmill": [
        ("poly", 40, 40, 60, 40, 68, 97, 32, 97),
        ("poly", 50, 38, 90, 5, 95, 12),
        ("poly", 50, 38, 10, 5, 5, 12),
        ("poly", 50, 38, 92, 68, 86, 74),
        ("poly", 50, 38, 8, 68, 14, 74),
    ],
    "stool": [
        ("box", 20, 25, 80, 35),
        ("poly", 25, 35, 32, 35, 25, 95, 17, 95),
        ("poly", 75, 35, 68, 35, 75, 95, 83, 95),
    ],
}


def drawn_object(world):
    """One object as flat drawing, outline drawing or silhouette."""
    rng = world.rng
    sheet = Sheet(
        world, (0.75, 1.35), rng.choice([(255, 255, 255)] * 3 + [(245, 240, 225), (220, 232, 245)]), low=52_000
    )
    name, look = rng.choice(list(OBJECTS)), sheet.pick(["flat", "ink", "line"], ["gray", "ink"])
    fill = {"flat": rng.choice(PALETTE), "ink": (15, 15, 15), "line": sheet.ground, "gray": (95, 95, 105)}[look]
    edge = (20, 20, 20) if look == "line" or (look == "flat" and rng.random() < 0.5) else None
    size = min(sheet.width, sheet.height) * rng.uniform(0.45, 0.92)
    x0, y0 = (rng.uniform(0.01, 0.99) * (side - size) for side in (sheet.width, sheet.height))
    flip, squeeze = rng.random() < 0.5, rng.uniform(0.85, 1.0)

    def at(x, y):
        return x0 + size * (1 - x / 100 if flip else x / 100) * squeeze, y0 + size * y / 100

    for kind, *v in OBJECTS[name]:
        if kind in ("box", "cut"):
            (a, b), (c, d) = at(v[0], v[1]), at(v[2], v[3])
            sheet.box((min(a, c), b, max(a, c), d), sheet.ground if kind == "cut" else fill, edge, 2)
        elif kind == "poly":
            sheet.shape([at(*v[i : i + 2]) for i in range(0, len(v), 2)], fill, edge, 2)
        elif kind in ("disc", "ring"):
            radius = size * v[2] / 100
            if kind == "ring":
                sheet.disc(*at(*v[:2]), radius, None, edge or fill, size * 0.07 if not edge else 2)
            else:
                sheet.disc(*at(*v[:2]), radius, fill, edge, 2)
        else:
            (a, b), (c, d) = at(v[0], v[1]), at(v[2], v[3])
            box = [p * sheet.scale for p in (min(a, c), b, max(a, c), d)]
            wide = max(2, int(size * 0.04 * sheet.scale))
            if kind == "oval":
                sheet.draw.ellipse(box, fill, edge)
            elif kind == "half":
                sheet.draw.chord(box, 0, 180, fill, edge)
            else:
                sheet.draw.arc(box, 180, 360, edge or fill, wide)
    noun = f"a {name}"
    seen = Seen("object", noun, (), [], ("total", "date"), mute=True)
    return sheet.picture(), seen


def _told(sheet, kind, noun, accepted=(), can="tell more about it"):
    seen = Seen(kind, noun, accepted, [], ("total", "date", "title"), mute=True)
    seen.told = told(noun, can)
    return sheet.picture(), seen


def qr_code(world):
    sheet = Sheet(world, (0.8, 1.3), low=55_000)
    rng, n = sheet.rng, sheet.rng.choice([21, 25, 29, 33])
    side = min(sheet.width, sheet.height) * rng.uniform(0.5, 0.95)
    x0, y0, step = (sheet.width - side) / 2, (sheet.height - side) / 2, side / n
    for row in range(n):
        for column in range(n):
            corner = ((row < 8 or row > n - 9) and column < 8) or (row < 8 and column > n - 9)
            if not corner and rng.random() < 0.5:
                x, y = x0 + column * step, y0 + row * step
                sheet.box((x, y, x + step, y + step), sheet.ink)
    for cx, cy in ((0, 0), (n - 7, 0), (0, n - 7)):
        x, y = x0 + cx * step, y0 + cy * step
        for inset, color in ((0, sheet.ink), (1, sheet.ground), (2, sheet.ink)):
            sheet.box((x + inset * step, y + inset * step, x + (7 - inset) * step, y + (7 - inset) * step), color)
    return _told(sheet, "QR code", "a QR code", (), "read it")


def barcode(world):
    sheet = Sheet(world, (1.0, 1.9), low=55_000)
    rng, x = sheet.rng, sheet.width * 0.12
    top, bottom = sheet.height * rng.uniform(0.1, 0.3), sheet.height * rng.uniform(0.65, 0.85)
    while x < sheet.width * 0.88:
        wide = rng.choice([1.5, 2, 3, 4.5])
        sheet.box((x, top, x + wide, bottom), sheet.ink)
        x += wide + rng.choice([1.5, 2, 3.5])
    sheet.text((sheet.width / 2, bottom + 4), str(rng.randint(10**11, 10**12)), rng.uniform(8, 11), anchor="ma")
    return _told(sheet, "barcode", "a barcode", (), "read it")


def calendar(world):
    sheet = Sheet(world, (0.9, 1.4))
    rng, w, h = sheet.rng, sheet.width, sheet.height
    month = f"{rng.choice(['March', 'June', 'May', 'August', 'October'])} {rng.randint(2015, 2030)}"
    size = rng.uniform(12, 30)
    fields = [sheet.named("title", (w / 2, h * 0.03), month, size, anchor="ma", font=sheet.strong)]
    top, px, accent = h * 0.06 + size * 1.5, rng.uniform(7, 12), rng.choice(PALETTE)
    for column, day in enumerate(["Mo", "Tu", "We", "Th", "Fr", "Sa", "Su"]):
        sheet.text((w * (0.1 + 0.133 * column), top), day, px, accent, "mm")
    first, step = rng.randint(0, 6), (h * 0.95 - top) / 6.5
    for day in range(1, rng.randint(29, 32)):
        row, column = divmod(day - 1 + first, 7)
        x, y = w * (0.1 + 0.133 * column), top + step * (row + 1)
        sheet.text((x, y), str(day), px, anchor="mm")
    return sheet.picture(), Seen(
        "calendar", "a calendar", ("a table", "a page of text"), fields, ("total", "signature")
    )


def board(world):
    """A chess board with pieces as discs, or a crossword or number puzzle."""
    sheet = Sheet(world, (0.85, 1.2), low=60_000)
    rng, side = sheet.rng, min(sheet.width, sheet.height) * 0.92
    x0, y0, chess = (sheet.width - side) / 2, (sheet.height - side) / 2, sheet.rng.random() < 0.5
    n = 8 if chess else rng.choice([9, 11, 13])
    step, dark = side / n, rng.choice([(118, 150, 86), (181, 136, 99), (90, 90, 90)])
    for row in range(n):
        for column in range(n):
            box = (x0 + column * step, y0 + row * step, x0 + (column + 1) * step, y0 + (row + 1) * step)
            if chess:
                sheet.box(box, dark if (row + column) % 2 else (238, 238, 210))
                if rng.random() < 0.3:
                    color = rng.choice([(20, 20, 20), (250, 250, 250)])
                    sheet.disc(box[0] + step / 2, box[1] + step / 2, step * 0.33, color, (60, 60, 60))
            else:
                sheet.box(box, (20, 20, 20) if n > 9 and rng.random() < 0.2 else None, (60, 60, 60))
                if n == 9 and rng.random() < 0.35:
                    sheet.text((box[0] + step / 2, box[1] + step / 2), str(rng.randint(1, 9)), step * 0.6, anchor="mm")
    sheet.letters = []
    noun = "a chess board" if chess else "a number puzzle" if n == 9 else "a crossword puzzle"
    return _told(sheet, "board", noun, ("a board", "a puzzle", "a grid"))


def score(world):
    """Sheet music."""
    sheet = Sheet(world, (0.8, 1.6), (255, 253, 246))
    rng, y, gap = sheet.rng, sheet.height * 0.08, sheet.rng.uniform(4, 7)
    while y + gap * 6 < sheet.height:
        for i in range(5):
            sheet.line([(12, y + i * gap), (sheet.width - 12, y + i * gap)], sheet.ink)
        x = 40.0
        while x < sheet.width - 25:
            note = y + gap * rng.uniform(-0.5, 4.5)
            sheet.disc(x, note, gap * 0.55, sheet.ink)
            sheet.line([(x + gap * 0.5, note), (x + gap * 0.5, note - gap * 3)], sheet.ink, 1.2)
            x += rng.uniform(12, 34)
        y += gap * rng.uniform(8, 11)
    return _told(sheet, "score", "sheet music", ("a page of music", "notes"), "play or read it")


def floor_plan(world):
    sheet = Sheet(world, (0.8, 1.5))
    rng, w, h = sheet.rng, sheet.width, sheet.height
    sheet.box((w * 0.05, h * 0.05, w * 0.95, h * 0.95), None, sheet.ink, 4)
    for _ in range(rng.randint(2, 5)):
        if rng.random() < 0.5:
            x = rng.uniform(0.2, 0.8) * w
            sheet.line([(x, h * 0.05), (x, h * rng.uniform(0.4, 0.9))], sheet.ink, 3)
        else:
            y = rng.uniform(0.2, 0.8) * h
            sheet.line([(w * 0.05, y), (w * rng.uniform(0.4, 0.9), y)], sheet.ink, 3)
    for _ in range(rng.randint(2, 6)):
        x, y = rng.uniform(0.1, 0.75) * w, rng.uniform(0.1, 0.85) * h
        sheet.box((x, y, x + rng.uniform(15, 60), y + rng.uniform(10, 40)), None, (120, 120, 120))
        sheet.text((x, y - 10), rng.choice(["Bed", "Kitchen", "Bath", "Hall", "Office"]), rng.uniform(6, 10))
    return _told(sheet, "floor plan", "a floor plan", ("a plan", "a map", "a drawing"))


def comic(world):
    """Panels with figures and speech balloons."""
    sheet = Sheet(world, (0.7, 1.5), (252, 252, 250))
    rng, w, h = sheet.rng, sheet.width, sheet.height
    rows, columns = rng.choice([(1, 2), (2, 2), (1, 3), (2, 1), (3, 2)])
    for row in range(rows):
        for column in range(columns):
            x, y, wide, high = w * column / columns + 6, h * row / rows + 6, w / columns - 12, h / rows - 12
            sheet.box((x, y, x + wide, y + high), rng.choice(PALETTE) if rng.random() < 0.6 else None, sheet.ink, 2)
            for _ in range(rng.randint(1, 2)):
                cx, cy, r = x + wide * rng.uniform(0.2, 0.8), y + high * 0.7, min(wide, high) * 0.13
                sheet.line([(cx, cy), (cx, y + high - 3)], sheet.ink, 4)
                sheet.disc(cx, cy, r, (255, 224, 189), sheet.ink, 1.5)
            top = (x + wide * 0.1, y + high * 0.06, x + wide * 0.9, y + high * 0.3)
            sheet.box(top, (255, 255, 255), sheet.ink, 1, 9)
            words = " ".join(sheet.words(2))
            sheet.text(
                ((top[0] + top[2]) / 2, (top[1] + top[3]) / 2),
                words,
                sheet.fitting(words, 9, wide * 0.75),
                (0, 0, 0),
                "mm",
            )
    return _told(sheet, "comic", "a comic", ("a drawing", "a picture"))


def handwriting(world):
    """A note in a hand-like script, its lines not quite straight: readable where it is large."""
    sheet = Sheet(world, (0.7, 1.6), world.rng.choice([(255, 255, 255), (255, 250, 220), (240, 245, 250)]), paper=True)
    rng = sheet.rng
    sheet.body, _ = sheet.fonts(HAND, ())
    px, ink = (
        rng.choice([rng.uniform(8, 12), rng.uniform(20, 34)]),
        rng.choice([(20, 30, 110), (20, 20, 20), (90, 20, 20)]),
    )
    y, lines = sheet.height * 0.06, []
    if rng.random() < 0.5:
        for i in range(1, 40):
            if px * 1.6 * i < sheet.height:
                sheet.line([(0, px * 1.6 * i), (sheet.width, px * 1.6 * i)], (200, 215, 235))
    while y + px * 1.5 < sheet.height * 0.96 and len(lines) < (5 if px > 15 else 40):
        text = " ".join(sheet.words(rng.randint(1, 4)))
        size = sheet.fitting(text, px, sheet.width * 0.88)
        lines.append(sheet.text((sheet.width * rng.uniform(0.04, 0.07), y), text, size, ink))
        y += px * 1.6
    for name, line in (("first line", lines[0]), ("last line", lines[-1])):
        line.name = name
    fields = [lines[0], *(lines[-1:] if len(lines) > 1 else [])]
    return sheet.picture(), Seen(
        "note", "a handwritten note", ("a note", "a letter", "a page of text"), fields, ("total", "date")
    )


def sketch(world):
    """A child's drawing: wobbly lines for a house, a person, a sun, a tree."""
    sheet = Sheet(world, (0.8, 1.5), (255, 255, 255), low=60_000)
    rng, w, h = sheet.rng, sheet.width, sheet.height

    def pen(points, color):
        for (x1, y1), (x2, y2) in itertools.pairwise(points):
            middle = ((x1 + x2) / 2 + rng.uniform(-4, 4), (y1 + y2) / 2 + rng.uniform(-4, 4))
            sheet.line([(x1, y1), middle, (x2, y2)], color, rng.uniform(1.5, 4))

    for _ in range(rng.randint(2, 5)):
        x, y, s, color = rng.uniform(0, w * 0.7), rng.uniform(0, h * 0.6), rng.uniform(50, 130), rng.choice(PALETTE)
        what = rng.randrange(4)
        if what == 0:
            pen([(x, y + s), (x, y + s / 2), (x + s / 2, y), (x + s, y + s / 2), (x + s, y + s), (x, y + s)], color)
        elif what == 1:
            sheet.disc(x + s / 3, y + s / 6, s / 8, None, color, 2.5)
            pen([(x + s / 3, y + s * 0.3), (x + s / 3, y + s * 0.7), (x, y + s)], color)
            pen([(x, y + s * 0.45), (x + s * 0.66, y + s * 0.4)], color)
        elif what == 2:
            sheet.disc(x + s / 4, y + s / 4, s / 5, None, color, 3)
            for i in range(8):
                a = i * math.pi / 4
                cos, sin = math.cos(a), math.sin(a)
                pen(
                    [
                        (x + s / 4 + s * 0.25 * cos, y + s / 4 + s * 0.25 * sin),
                        (x + s / 4 + s * 0.4 * cos, y + s / 4 + s * 0.4 * sin),
                    ],
                    color,
                )
        else:
            points = [(x + rng.uniform(0, s), y + rng.uniform(0, s)) for _ in range(rng.randint(4, 12))]
            pen(points, color)
    return _told(sheet, "sketch", "a drawing", ("a sketch", "a picture"))


# ---- training never draws it
def meme(world):
    """A photograph-like image with large words above and below."""
    rng = world.rng
    sheet = Sheet(world, (0.8, 1.3), (0, 0, 0))
    w, h = sheet.width, sheet.height
    photos = world.assets.photos
    image = _crop(rng, rng.choice(photos), w, h) if photos else _texture(rng, world.brush.noise, w, h)
    sheet.image.paste(image.resize(sheet.image.size))
    fields = []
    for name, y, anchor in (("first line", h * 0.03, "ma"), ("last line", h * 0.97, "mb")):
        text = " ".join(sheet.words(rng.randint(1, 3))).upper()
        px, s = sheet.fitting(text, 34, w * 0.92, sheet.strong), sheet.scale
        font = sheet.font(sheet.strong, px)
        sheet.draw.text(
            (w / 2 * s, y * s), text, (255, 255, 255), font, anchor, stroke_width=int(2 * s), stroke_fill=(0, 0, 0)
        )
        fields.append(sheet.named(name, (w / 2, y), text, px, color=(255, 255, 255), anchor=anchor, font=sheet.strong))
    seen = Seen(
        "meme", "a picture with words", ("a photo", "a texture", "a poster", "a meme"), fields, ("total", "date")
    )
    seen.told = ""
    return sheet.picture(), seen
