"""Images composed at random, of print, surfaces, marks, cells and controls: what they are has no name here.

They are no likeness of any kind that people know, so that "a picture that I do not know" is what a model says of a kind
that it was never shown.  Each maker returns (picture, Seen).
"""

import math

from PIL import Image, ImageDraw

from training.world import chat, textures
from training.world.charts import PALETTE
from training.world.documents import PAGE
from training.world.photos import _crop
from training.world.scenes import thing_of
from training.world.sheets import FANCY, MONO, UNKNOWN, Field, Seen, Sheet, told

SEEN = Seen("unknown", UNKNOWN, (), told=told(UNKNOWN, "tell more about it"))
PHOTO = Seen("photo", UNKNOWN, (), told=chat.PHOTO)


def _color(rng):
    return rng.choice([*PALETTE, (0, 0, 0), (255, 255, 255), tuple(rng.randint(0, 255) for _ in range(3))])


def _ground(rng):
    chance = rng.random()
    if chance < 0.35:
        return (255, 255, 255)
    return tuple(rng.randint(215, 255) if chance < 0.65 else rng.randint(0, 255) for _ in range(3))


def _sheet(world, paper=True):
    sheet = Sheet(world, (0.6, 1.8), _ground(world.rng), paper=paper, low=60_000)
    if world.rng.random() < 0.15:
        _paste(sheet, (0, 0, sheet.width, sheet.height), _gradient(world.rng))
    return sheet


def _gradient(rng):
    image = Image.new("RGB", (2, 2))
    image.putdata([_color(rng) for _ in range(2)] * 2 if rng.random() < 0.5 else [_color(rng) for _ in range(4)])
    return image


def _paste(sheet, box, image):
    """Fills the box, in the model's pixels, with a scaled image."""
    x1, y1, x2, y2 = (round(v * sheet.scale) for v in box)
    sheet.image.paste(image.resize((max(1, x2 - x1), max(1, y2 - y1)), Image.BILINEAR), (x1, y1))


# ---- what they are made of: each fills a box (left, top, right, bottom) more or less
def lines_of_print(sheet, box):
    """A few lines in a face, a size and a colour of their own."""
    rng, (x1, y1, x2, y2) = sheet.rng, box
    font, ink = rng.choice(sheet.world.assets.font_names), rng.choice([sheet.ink, sheet.ink, _color(rng)])
    px = min(rng.choice([rng.uniform(4, 8), rng.uniform(8, 14), rng.uniform(13, 34)]), (y2 - y1) * 0.8, (x2 - x1) / 3)
    anchor, x = rng.choice([("la", x1), ("la", x1), ("ma", (x1 + x2) / 2), ("ra", x2)])
    pitch, case = px * rng.uniform(1.1, 1.9), rng.choice([str, str, str.upper, str.title])
    for row in range(min(rng.randint(1, 9), int((y2 - y1) / pitch))):
        words = max(1, round((x2 - x1) / px / 4 * rng.uniform(0.4, 1.0)))
        text = case(" ".join(sheet.words(words))) if rng.random() < 0.85 else sheet.world.typist.number()
        sheet.text((x, y1 + row * pitch), text, sheet.fitting(text, px, x2 - x1, font), ink, anchor, font)


def turned_print(sheet, box):
    """One line at an angle."""
    rng, s, text = sheet.rng, sheet.scale, " ".join(sheet.words(sheet.rng.randint(1, 2)))
    font = sheet.font(rng.choice(sheet.world.assets.font_names), min(rng.uniform(9, 34), (box[2] - box[0]) / 4))
    mask = Image.new("L", (int(font.getlength(text)) + 4, int(font.size * 1.4)))
    ImageDraw.Draw(mask).text((2, 0), text, font=font, fill=rng.choice([90, 160, 255]))
    mask = mask.rotate(rng.choice([90, 270, rng.uniform(-60, 60)]), expand=True)
    sheet.image.paste(_color(rng), (round(box[0] * s), round(box[1] * s)), mask)


def surface(sheet, box):
    """A part of a photograph, a surface or a run of colours."""
    rng, world = sheet.rng, sheet.world
    wide, high = (max(16, round(box[i + 2] - box[i])) for i in (0, 1))
    chance = rng.random()
    if chance < 0.5 and world.assets.photos:
        image = _crop(rng, rng.choice(world.assets.photos), wide, high, 0.2)
    elif chance < 0.75:
        image = textures.texture(rng, world.brush.noise, wide, high)
    else:
        image = _gradient(rng)
    _paste(sheet, box, image)


def mark(sheet, box):
    """A made-up sign of two or three overlapping figures."""
    rng, (x1, y1, x2, y2) = sheet.rng, box
    r = min(x2 - x1, y2 - y1) * rng.uniform(0.2, 0.5)
    x, y = rng.uniform(x1 + r, max(x1 + r, x2 - r)), rng.uniform(y1 + r, max(y1 + r, y2 - r))
    for _ in range(rng.randint(1, 3)):
        corners, first, fill = rng.choice([3, 4, 5, 6, 8, 24]), rng.uniform(0, 6.3), _color(rng)
        dent = rng.choice([1, 1, 0.5])
        points = []
        for i in range(corners * 2):
            a, far = first + i * math.pi / corners, r * (dent if i % 2 else 1)
            points.append((x + far * math.cos(a), y + far * math.sin(a)))
        hollow = rng.random() < 0.3
        sheet.shape(points, None if hollow else fill, fill if hollow else None, 2)
        x, y, r = x + rng.uniform(-0.4, 0.4) * r, y + rng.uniform(-0.4, 0.4) * r, r * rng.uniform(0.4, 0.9)


def thing(sheet, box):
    """A pictogram of the world's own."""
    side = round(max(14, min(box[2] - box[0], box[3] - box[1]) * sheet.rng.uniform(0.5, 0.95)) * sheet.scale)
    fill, mask = sheet.world.brush.sprite(thing_of(sheet.world.brush, "pictograms"), side)
    sheet.image.paste(fill, tuple(round(v * sheet.scale) for v in box[:2]), mask)


def cells(sheet, box):
    """Close rows and columns of numbers, words, dots or colours."""
    rng, (x1, y1, x2, y2) = sheet.rng, box
    rows, columns = (max(2, int(side / rng.uniform(9, 34))) for side in (y2 - y1, x2 - x1))
    rows, columns, what = min(rows, 14), min(columns, 14), rng.randrange(4)
    wide, high, ink = (x2 - x1) / columns, (y2 - y1) / rows, _color(rng)
    font, edge = rng.choice(sheet.world.assets.font_names), rng.choice([None, (150, 150, 150), sheet.ink])
    for row in range(rows):
        for column in range(columns):
            x, y = x1 + column * wide, y1 + row * high
            if what == 0 and rows * columns < 90:
                sheet.text((x + wide / 2, y + high / 2), str(rng.randint(0, 99)), high * 0.6, ink, "mm", font)
            elif what == 1:
                sheet.disc(x + wide / 2, y + high / 2, min(wide, high) * rng.choice([0.2, 0.35, 0.45]), ink)
            elif rng.random() < 0.6:
                sheet.box((x, y, x + wide, y + high), _color(rng) if what == 2 else ink)
            if edge:
                sheet.box((x, y, x + wide, y + high), None, edge)


def bars(sheet, box):
    """Bars, a curve or wedges that stand for nothing."""
    rng, (x1, y1, x2, y2) = sheet.rng, box
    count, color, what = rng.randint(4, 24), _color(rng), rng.randrange(3)
    heights = [y2 - (y2 - y1) * rng.random() for _ in range(count)]
    step = (x2 - x1) / count
    if what == 0:
        for i, top in enumerate(heights):
            sheet.box((x1 + i * step, top, x1 + (i + rng.choice([0.4, 0.8])) * step, y2), color)
    elif what == 1:
        sheet.line([(x1 + i * step, top) for i, top in enumerate(heights)], color, rng.choice([1, 2, 4]))
    else:
        s, first = sheet.scale, rng.uniform(0, 360)
        side = min(x2 - x1, y2 - y1)
        for _ in range(rng.randint(1, 4)):
            last = first + rng.uniform(30, 170)
            place = [v * s for v in (x1, y1, x1 + side, y1 + side)]
            sheet.draw.arc(place, first, last, _color(rng), max(2, int(side * rng.uniform(0.03, 0.2) * s)))
            first = last


def scribble(sheet, box):
    """A curve that wanders."""
    rng, (x1, y1, x2, y2) = sheet.rng, box
    x, y, turn, points = (x1 + x2) / 2, (y1 + y2) / 2, rng.uniform(0, 6.3), []
    for _ in range(rng.randint(8, 40)):
        turn += rng.uniform(-0.9, 0.9)
        x, y = x + 9 * math.cos(turn), y + 9 * math.sin(turn)
        points.append((min(max(x, x1), x2), min(max(y, y1), y2)))
    sheet.line(points, _color(rng), rng.choice([1, 2, 4]))


def controls(sheet, box):
    """A column of switches, sliders, knobs or ticks, some with words."""
    rng, (x1, y1, x2, y2) = sheet.rng, box
    high, what, color = rng.uniform(14, 34), rng.randrange(4), _color(rng)
    for row in range(max(1, min(8, int((y2 - y1) / high)))):
        y, r = y1 + (row + 0.5) * high, high * 0.3
        at = x1 + r + (x2 - x1 - 2 * r) * rng.random() * 0.5
        if what == 0:
            sheet.box((x1, y - r, x1 + 4 * r, y + r), color if rng.random() < 0.5 else (170, 170, 170), radius=r)
            sheet.disc(x1 + (r if rng.random() < 0.5 else 3 * r), y, r * 0.8, (255, 255, 255))
        elif what == 1:
            sheet.line([(x1, y), ((x1 + x2) / 2, y)], (150, 150, 150), 3)
            sheet.disc(at, y, r, color, sheet.ink)
        elif what == 2:
            sheet.disc(x1 + r, y, r, color, sheet.ink, 2)
            a = rng.uniform(0, 6.3)
            sheet.line([(x1 + r, y), (x1 + r + r * math.cos(a), y + r * math.sin(a))], sheet.ink, 2)
        else:
            sheet.box((x1, y - r, x1 + (x2 - x1) * 0.5, y + r), None, sheet.ink)
            sheet.box((x1, y - r, at, y + r), color)
        if rng.random() < 0.5 and x2 - x1 > 60:
            sheet.text(((x1 + x2) / 2 + 8, y), sheet.words(1)[0], high * rng.uniform(0.3, 0.55), anchor="lm")


def panel(sheet, box):
    """A filled or framed box with something else in it."""
    rng, (x1, y1, x2, y2) = sheet.rng, box
    fill, old = rng.choice([None, _color(rng), _color(rng)]), (sheet.ground, sheet.ink)
    line = _color(rng) if fill is None or rng.random() < 0.3 else None
    sheet.box(box, fill, line, rng.choice([1, 2, 4]), rng.choice([0, 0, 6, 14]))
    if fill:
        sheet.ground, sheet.ink = fill, (20, 20, 20) if sum(fill) > 380 else (235, 235, 235)
    edge = min(x2 - x1, y2 - y1) * 0.12
    if x2 - x1 > 40 and y2 - y1 > 24:
        rng.choice([lines_of_print, lines_of_print, mark, bars, controls, thing])(
            sheet, (x1 + edge, y1 + edge, x2 - edge, y2 - edge)
        )
    sheet.ground, sheet.ink = old


PARTS = {
    lines_of_print: 7,
    turned_print: 1,
    surface: 3,
    mark: 2,
    thing: 1.5,
    cells: 1.5,
    bars: 1.5,
    scribble: 1,
    controls: 1.5,
    panel: 3,
}


def _parts(rng, count):
    """Makers of at least two sorts."""
    while True:
        found = rng.choices(list(PARTS), PARTS.values(), k=count)
        if len(set(found)) > 1:
            return found


# ---- how they are laid out
def _split(rng, box, least, out):
    """Cuts the box in two again and again, into boxes of no side below about twice `least`."""
    x1, y1, x2, y2 = box
    wide, high = x2 - x1, y2 - y1
    if max(wide, high) < least * 2.2 or (len(out) > 2 and rng.random() < 0.12):
        out.append(box)
        return out
    at = rng.uniform(0.3, 0.7)
    if wide * rng.uniform(0.6, 1.6) > high:
        halves = (x1, y1, x1 + wide * at, y2), (x1 + wide * at, y1, x2, y2)
    else:
        halves = (x1, y1, x2, y1 + high * at), (x1, y1 + high * at, x2, y2)
    for half in halves:
        _split(rng, half, least, out)
    return out


def blocks(world):
    """Blocks side by side and below each other."""
    sheet = _sheet(world)
    rng, w, h = sheet.rng, sheet.width, sheet.height
    edge, gap = rng.uniform(0, 0.06) * w, rng.uniform(1, 9)
    boxes = _split(rng, (edge, edge, w - edge, h - edge), rng.uniform(50, 130), [])
    for maker, (x1, y1, x2, y2) in zip(_parts(rng, max(2, len(boxes))), boxes, strict=False):
        maker(sheet, (x1 + gap, y1 + gap, x2 - gap, y2 - gap))
        if rng.random() < 0.12:
            sheet.line([(x1, y2), (x2, y2)], sheet.ink, rng.choice([1, 2]))
    return sheet.picture(), SEEN


def pile(world):
    """Parts anywhere, over one another."""
    sheet = _sheet(world)
    rng = sheet.rng
    for maker in _parts(rng, rng.randint(3, 9)):
        wide, high = sheet.width * rng.uniform(0.15, 0.6), sheet.height * rng.uniform(0.08, 0.5)
        x, y = rng.uniform(0, sheet.width - wide), rng.uniform(0, sheet.height - high)
        maker(sheet, (x, y, x + wide, y + high))
    return sheet.picture(), SEEN


def labelled_photo(world):
    """A photograph or a surface with stickers, frames and print on panels: refused as photographs are."""
    sheet = _sheet(world, paper=False)
    rng, w, h = sheet.rng, sheet.width, sheet.height
    surface(sheet, (0, 0, w, h))
    for maker in rng.choices([panel, panel, mark, thing, controls, turned_print], k=rng.randint(2, 5)):
        wide, high = w * rng.uniform(0.2, 0.6), h * rng.uniform(0.1, 0.35)
        x, y = rng.uniform(0, w - wide), rng.uniform(0, h - high)
        maker(sheet, (x, y, x + wide, y + high))
    return sheet.picture(), PHOTO


def rows(world):
    """The same part over and over in rows and columns, each with print below or beside it."""
    sheet = _sheet(world)
    rng = sheet.rng
    across, down = rng.randint(1, 5), rng.randint(2, 5)
    wide, high = sheet.width / across, sheet.height / down
    maker, below = rng.choice([surface, mark, thing, bars, panel, cells, scribble]), rng.random() < 0.5
    for i in range(across * down):
        x, y = i % across * wide + 4, i // across * high + 4
        x2, y2 = x + wide - 8, y + high - 8
        if below:
            maker(sheet, (x, y, x2, y + (y2 - y) * 0.65))
            lines_of_print(sheet, (x, y + (y2 - y) * 0.7, x2, y2))
        else:
            maker(sheet, (x, y, x + (x2 - x) * 0.35, y2))
            lines_of_print(sheet, (x + (x2 - x) * 0.42, y, x2, y2))
    return sheet.picture(), SEEN


def scattered_print(world):
    """Print in several faces, sizes and colours, block by block."""
    sheet = _sheet(world)
    rng, w, h = sheet.rng, sheet.width, sheet.height
    boxes = _split(rng, (0, 0, w, h), rng.uniform(60, 120), [])
    for x1, y1, x2, y2 in boxes:
        if rng.random() < 0.85:
            lines_of_print(sheet, (x1 + 6, y1 + 6, x2 - 6, y2 - 6))
    for _ in range(rng.choice([0, 0, 1, 2])):
        x1, y1, x2, y2 = rng.choice(boxes)
        rng.choice([mark, scribble, surface])(sheet, (x1, y1, x1 + (x2 - x1) * 0.4, y1 + (y2 - y1) * 0.6))
    return sheet.picture(), SEEN


def small_lines(world):
    """Ragged lines of small print on any ground: nothing but a page of text is certain."""
    sheet = Sheet(world, (0.6, 1.8), _ground(world.rng), paper=world.rng.random() < 0.5)
    rng, y = sheet.rng, sheet.height * sheet.rng.uniform(0.02, 0.1)
    px, left = rng.uniform(5, 9), sheet.width * rng.uniform(0.02, 0.12)
    sheet.body, _ = sheet.fonts(None, (*FANCY, *MONO))
    pitch, inks = px * rng.uniform(1.1, 2.0), [sheet.ink] if rng.random() < 0.6 else [sheet.ink, _color(rng)]
    while y + pitch < sheet.height * 0.98:
        if rng.random() < 0.88:
            text = " ".join(sheet.words(rng.randint(1, 9)))
            sheet.text((left, y), text, sheet.fitting(text, px, sheet.width - left * 1.5), rng.choice(inks))
        y += pitch
    first = sheet.lines[0] if sheet.lines else sheet.text((left, y - pitch), "end", px)
    fields = [Field("first line", first.value, first.x_px)]
    seen = Seen("page", "a page of text", PAGE, fields, ("total", "chart", "signature", "phone number"))
    return sheet.picture(), seen


def dense_table(world):
    """More rows and columns of smaller print than `documents.table` has; it can be named, not read."""
    sheet = Sheet(world, (0.7, 1.7), _ground(world.rng), paper=True)
    rng, made = sheet.rng, world.made
    sheet.ink = (20, 20, 20) if sum(sheet.ground) > 380 else (235, 235, 235)
    down, across, edge = rng.randint(12, 26), rng.randint(4, 9), rng.uniform(3, 20)
    wide, high = (sheet.width - 2 * edge) / across, (sheet.height - 2 * edge) / down
    px, ruled, striped = min(high * 0.7, 8.5), rng.random() < 0.5, rng.random() < 0.4
    numeric = [column > 0 and rng.random() < 0.7 for column in range(across)]
    for row in range(down):
        y = edge + row * high
        if striped and row % 2:
            sheet.box((edge, y, sheet.width - edge, y + high), (225, 230, 238))
        for column in range(across):
            x = edge + column * wide + 2
            text = str(made.amount(5000)) if numeric[column] and row else sheet.words(1)[0]
            sheet.text(
                (x, y + high / 2), text, sheet.fitting(text, px, wide - 4), (20, 20, 20) if striped else None, "lm"
            )
            if ruled:
                sheet.box((x - 2, y, x - 2 + wide, y + high), None, (150, 150, 150))
    said = "I see a table, but its text is too small for me."
    return sheet.picture(), Seen("table", "a table", ("a page of text", "a spreadsheet"), [], ("signature",), told=said)


KINDS = {blocks: 6, pile: 5, labelled_photo: 4, rows: 4, scattered_print: 4, small_lines: 2, dense_table: 2}
