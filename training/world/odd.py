"""Pictures of kinds that have no name here, and charts and diagrams that can be named but not read.

What has no name is answered with one sentence, whatever is asked, so that a kind which training never drew need not be
taken for the nearest one that it knows.
"""

import json
import math

from PIL import Image, ImageOps

from training.phrases import everyday as phrases
from training.world import chat, documents, medleys, plots, screens, signs
from training.world.charts import PALETTE
from training.world.drawings import _told, drawn_object
from training.world.everyday import json_turn, turns_about
from training.world.sample import Turn
from training.world.sheets import UNKNOWN, Seen, Sheet, told

GROUNDS = [(255, 255, 255)] * 3 + [(245, 240, 225), (225, 236, 245), (30, 34, 44)]
PIECES = (
    documents.invoice,
    documents.letter,
    screens.window,
    screens.web_page,
    signs.sign,
    drawn_object,
    plots.several_series,
)


def _sheet(world):
    return Sheet(world, (0.7, 1.6), world.rng.choice(GROUNDS), low=60_000)


def _unknown(sheet):
    seen = Seen("unknown", UNKNOWN, (), told=told(UNKNOWN, "tell more about it"))
    return sheet.picture(), seen


def _label(sheet, x, y, low=6.0, high=15.0, anchor="mm"):
    text = str(sheet.rng.randint(1, 999)) if sheet.rng.random() < 0.3 else sheet.words(1)[0]
    sheet.text((x, y), text, sheet.rng.uniform(low, high), anchor=anchor)


def _anywhere(sheet, edge=0.06):
    return [sheet.rng.uniform(edge, 1 - edge) * side for side in (sheet.width, sheet.height)]


# ---- without a name
def collage(world):
    """Scraps of other images, turned and laid over one another."""
    sheet = _sheet(world)
    rng, s = sheet.rng, sheet.scale
    for _ in range(rng.randint(4, 8)):
        picture = rng.choice(PIECES)(world)[0]
        scrap = _scrap(rng, picture.frames[0], min(sheet.width, sheet.height) * s)
        x, y = (round(v * s - scrap.width / 2) for v in _anywhere(sheet))
        sheet.image.paste(scrap, (x, y))
    return _unknown(sheet)


def _scrap(rng, frame, side):
    image = Image.fromarray(frame)
    wide, high = (max(20, int(v * rng.uniform(0.2, 0.45))) for v in image.size)
    x, y = rng.randint(0, image.width - wide), rng.randint(0, image.height - high)
    scale = side * rng.uniform(0.25, 0.6) / max(wide, high)
    scrap = image.crop((x, y, x + wide, y + high)).resize((max(8, int(wide * scale)), max(8, int(high * scale))))
    scrap = scrap.transpose(rng.choice(list(Image.Transpose))) if rng.random() < 0.7 else scrap
    return ImageOps.invert(scrap) if rng.random() < 0.25 else scrap


def strokes(world):
    """Lines, curves and patches at random, or lines with words beside them: words and patches together look like a map."""
    sheet = _sheet(world)
    rng, w, h = sheet.rng, sheet.width, sheet.height
    colors = [rng.choice(PALETTE) for _ in range(rng.randint(1, 5))]
    patches = rng.choice([0, 0, rng.randint(1, 7)])
    for _ in range(patches):
        x, y = _anywhere(sheet)
        points = [(x + rng.uniform(-0.3, 0.3) * w, y + rng.uniform(-0.3, 0.3) * h) for _ in range(rng.randint(3, 8))]
        sheet.shape(points, rng.choice(colors), sheet.ink if rng.random() < 0.3 else None)
    curved = rng.random() < 0.5
    for _ in range(rng.randint(3, 22)):
        color, wide = rng.choice([*colors, sheet.ink]), rng.choice([1, 1, 2, 3, 6])
        (x, y), turn, bend = _anywhere(sheet), rng.uniform(0, 6.3), rng.uniform(-0.25, 0.25) if curved else 0
        points, step = [(x, y)], rng.uniform(6, 24) if curved else rng.uniform(30, 200)
        for _ in range(rng.randint(6, 30) if curved else rng.randint(1, 5)):
            turn += bend if curved else rng.choice([0.0, math.pi / 2, -math.pi / 2, rng.uniform(-1, 1)])
            x, y = x + step * math.cos(turn), y + step * math.sin(turn)
            points.append((x, y))
        sheet.line(points, color, wide)
    for _ in range(0 if patches else rng.choice([0, 3, 6, 10])):
        _label(sheet, *_anywhere(sheet))
    return _unknown(sheet)


def pattern(world):
    """A tiling, a maze, rings or stripes, drawn over the whole image."""
    sheet = _sheet(world)
    rng, w, h = sheet.rng, sheet.width, sheet.height
    step, colors, what = rng.uniform(14, 60), [rng.choice(PALETTE) for _ in range(3)], rng.randrange(4)
    if what == 3:
        x, y = _anywhere(sheet, 0.3)
        for i in range(int(max(w, h) / step), 0, -1):
            sheet.disc(x, y, i * step, colors[i % 3] if i % 2 else sheet.ground, sheet.ink)
        return _unknown(sheet)
    for row in range(int(h / step) + 1):
        for column in range(int(w / step) + 1):
            x, y = column * step, row * step
            corners = [(x, y), (x + step, y), (x + step, y + step), (x, y + step)]
            if what == 0:
                first = rng.randrange(4)
                sheet.line([corners[first], corners[(first + rng.choice([1, 2])) % 4]], colors[0], 2)
            elif what == 1:
                sheet.shape(corners[: 3 + (row + column) % 2], rng.choice(colors), sheet.ink if step > 30 else None)
            else:
                sheet.disc(x + step / 2, y + step / 2, step * rng.uniform(0.1, 0.6), rng.choice(colors))
    return _unknown(sheet)


def dials(world):
    """Round and long instruments with marks and hands."""
    sheet = _sheet(world)
    rng, count = sheet.rng, sheet.rng.choice([1, 1, 2, 4, 6])
    columns = math.ceil(count**0.5)
    wide, high = sheet.width / columns, sheet.height / math.ceil(count / columns)
    for i in range(count):
        x, y, r = (i % columns + 0.5) * wide, (i // columns + 0.5) * high, min(wide, high) * rng.uniform(0.28, 0.46)
        sheet.disc(x, y, r, rng.choice([None, *PALETTE]), sheet.ink, rng.choice([1, 2, 5]))
        first, ticks = rng.uniform(0, 3), rng.choice([8, 10, 12, 24])
        for n in range(ticks):
            a = first + n * rng.choice([5.0, 6.283]) / ticks
            cos, sin = math.cos(a), math.sin(a)
            sheet.line([(x + r * 0.85 * cos, y + r * 0.85 * sin), (x + r * cos, y + r * sin)], sheet.ink, 1.5)
            if r > 60 and rng.random() < 0.7:
                sheet.text((x + r * 0.7 * cos, y + r * 0.7 * sin), str(n * 10), r * 0.12, anchor="mm")
        for _ in range(rng.choice([1, 1, 2, 3])):
            a, long = rng.uniform(0, 6.3), r * rng.uniform(0.4, 0.8)
            sheet.line([(x, y), (x + long * math.cos(a), y + long * math.sin(a))], rng.choice(PALETTE), 3)
    return _unknown(sheet)


# ---- with a name
def network(world):
    """Round or six-sided knots with words, joined by lines."""
    sheet = _sheet(world)
    rng, places = sheet.rng, []
    while len(places) < rng.randint(4, 12):
        places.append(_anywhere(sheet, 0.1))
    for i, place in enumerate(places[1:], 1):
        sheet.line([place, places[rng.randrange(i)]], sheet.ink, rng.choice([1, 2]))
    fill, r, sides = rng.choice(PALETTE), rng.uniform(10, 34), rng.choice([6, 24])
    for x, y in places:
        points = [(x + r * math.cos(a * 6.2832 / sides), y + r * math.sin(a * 6.2832 / sides)) for a in range(sides)]
        sheet.shape(points, fill, sheet.ink)
        _label(sheet, x, y, 6, max(7, r * 0.55))
    return _told(sheet, "network", "a diagram")


def circles(world):
    """A Venn diagram."""
    sheet = _sheet(world)
    rng, r = sheet.rng, min(sheet.width, sheet.height) * sheet.rng.uniform(0.22, 0.3)
    for i in range(count := rng.choice([2, 3, 3, 4])):
        a = i * 6.2832 / count
        x, y = sheet.width / 2 + r * 0.7 * math.cos(a), sheet.height / 2 + r * 0.7 * math.sin(a)
        sheet.disc(x, y, r, None, rng.choice(PALETTE), rng.choice([2, 4]))
        _label(sheet, x + r * 0.4 * math.cos(a), y + r * 0.4 * math.sin(a), 7, 14)
    return _told(sheet, "circles", "a diagram")


def _chart(sheet, kind):
    seen = Seen(
        kind, "a chart", ("a graph",), [], ("signature", "total", "date"), told=told("a chart", "read its values")
    )
    return sheet.picture(), seen


def radar(world):
    """Values on spokes."""
    sheet = _sheet(world)
    rng, x, y, count = sheet.rng, sheet.width / 2, sheet.height / 2, sheet.rng.randint(5, 9)
    r = min(x, y) * rng.uniform(0.6, 0.85)

    def at(i, share):
        a = i * 6.2832 / count - 1.57
        return x + r * share * math.cos(a), y + r * share * math.sin(a)

    for ring in (0.25, 0.5, 0.75, 1):
        sheet.shape([at(i, ring) for i in range(count)], None, (150, 150, 150))
    for i in range(count):
        sheet.line([(x, y), at(i, 1)], (150, 150, 150))
        _label(sheet, *at(i, 1.12), 7, 11)
    for _ in range(rng.choice([1, 2, 2])):
        points = [at(i, rng.uniform(0.2, 1)) for i in range(count)]
        sheet.line([*points, points[0]], rng.choice(PALETTE), 3)
    return _chart(sheet, "radar")


def heat_map(world):
    """Rows and columns of coloured cells."""
    sheet = _sheet(world)
    rng, rows, columns = sheet.rng, sheet.rng.randint(4, 12), sheet.rng.randint(4, 14)
    low, high = rng.choice(PALETTE), rng.choice(GROUNDS[:5])
    wide, tall = sheet.width * 0.8 / columns, sheet.height * 0.8 / rows
    for row in range(rows):
        y = sheet.height * 0.08 + row * tall
        _label(sheet, sheet.width * 0.13, y + tall / 2, 6, 10, "rm")
        for column in range(columns):
            x, share = sheet.width * 0.16 + column * wide, rng.random()
            color = tuple(int(a + (b - a) * share) for a, b in zip(low, high, strict=True))
            sheet.box((x, y, x + wide, y + tall), color)
    for column in range(columns):
        _label(sheet, sheet.width * 0.16 + (column + 0.5) * wide, sheet.height * 0.93, 6, 9)
    return _chart(sheet, "heat map")


def schedule(world):
    """A plan of bars along time."""
    sheet = _sheet(world)
    rng, rows, y = sheet.rng, sheet.rng.randint(4, 11), sheet.height * 0.1
    tall = sheet.height * 0.82 / rows
    for i in range(rng.randint(4, 9)):
        x = sheet.width * (0.25 + 0.08 * i)
        sheet.line([(x, sheet.height * 0.08), (x, sheet.height * 0.94)], (170, 170, 170))
    for _ in range(rows):
        _label(sheet, sheet.width * 0.22, y + tall / 2, 7, 12, "rm")
        x = sheet.width * rng.uniform(0.25, 0.6)
        sheet.box((x, y + tall * 0.2, x + sheet.width * rng.uniform(0.08, 0.35), y + tall * 0.8), rng.choice(PALETTE))
        y += tall
    return _chart(sheet, "schedule")


KINDS = {collage: 3, strokes: 5, pattern: 2, dials: 2.5, network: 3, circles: 1, radar: 1.5, heat_map: 2, schedule: 1.5}
KINDS |= medleys.KINDS


def odd_sample(world):
    """(picture, turns)"""
    picture, seen = world.rng.choices(list(KINDS), KINDS.values())[0](world)
    return picture, turns_of(world, seen, picture)


def turns_of(world, seen, picture):
    """Questions about one of these images; of what has no name, the answer is the same whatever is asked."""
    if seen.noun != UNKNOWN:
        return turns_about(world, seen, picture)
    rng, split, turns = world.rng, world.wordings, []
    for _ in range(rng.choice([3, 4, 5])):
        chance = rng.random()
        if chance < 0.5:
            question = phrases.of(rng, split, rng.choice(["what", "describe", "read"]))
        elif chance < 0.8:
            question = phrases.about(rng, split, rng.choice([*phrases.FIELDS, "chart", "form", "letter"]))
        elif chance < 0.88:
            question = world.speaker.ask("photo")
        elif chance < 0.93:
            question = phrases.of(rng, split, "box", it=world.typist.word())
        else:
            question = world.speaker.ask(rng.choice(["chart_type", "list_values"]))
        answer = chat.NO_CHART if seen.kind == "photo" and chance >= 0.93 else seen.told
        turns.append(Turn(world.speaker.vary(question), answer, "unknown", seen=seen))
    if rng.random() < 0.3:
        turns.append(_empty_json(world, seen))
    if rng.random() < world.chinese:
        answer = chat.ZH_PHOTO if seen.kind == "photo" else chat.ZH_UNKNOWN
        turns.append(Turn(world.speaker.ask("zh_describe"), answer, "zh_describe", seen=seen))
    return turns


def _empty_json(world, seen):
    """An object with given keys, of which nothing is known."""
    rng, split = world.rng, world.wordings
    names = [name.replace(" ", "_") for name in rng.sample(list(phrases.FIELDS), rng.choice([1, 2, 2, 3]))]
    pairs = [(name, None) for name in names]
    question, answer = json_turn(lambda kind, **slots: phrases.of(rng, split, kind, **slots), pairs)
    return Turn(world.speaker.vary(question), answer, "json", wanted=json.dumps(dict(pairs)), seen=seen)
