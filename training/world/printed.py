"""Printed text: words, lines, numbers and short paragraphs on paper-like or coloured grounds, and small signs."""

import math
import string

from PIL import Image, ImageDraw

from training.world.catalog import BACKGROUNDS, NUMBERS, article
from training.world.lettering import choose, dressed
from training.world.sample import Turn, spelled
from training.world.scenes import still, thing_of

MODES = {"word": 30, "line": 26, "lines": 24, "number": 12}
MIN_FONT_PX = 17


class Typist:
    """Makes up things to print.  words: {"common", "rare", "heldout"} lists; split decides which are used."""

    def __init__(self, rng, words, split):
        self.rng, self.words, self.split = rng, words, split

    def word(self):
        rng, chance = self.rng, self.rng.random()
        if self.split == "test" and rng.random() < 0.7:
            return rng.choice(self.words["heldout"])
        if chance < 0.5:
            return rng.choice(self.words["common"])
        if chance < 0.86:
            return rng.choice(self.words["rare"])
        return "".join(rng.choice(string.ascii_lowercase) for _ in range(rng.randint(2, 8)))

    def number(self):
        """Numbers as people print them: amounts, dates, times, codes."""
        rng = self.rng
        date = (rng.randint(1, 28), rng.randint(1, 12), rng.randint(1990, 2030))
        return rng.choice(
            [
                str(rng.randint(0, 10 ** rng.randint(1, 7))),
                str(rng.randint(0, 9999)),
                rng.choice(["$", "€", "£", ""]) + f"{rng.uniform(0, 10 ** rng.randint(1, 4)):.2f}",
                "{:02d}/{:02d}/{}".format(*date),
                "{2}-{1:02d}-{0:02d}".format(*date),
                f"{rng.randint(0, 23):02d}:{rng.randint(0, 59):02d}",
                "".join(rng.choice(string.ascii_uppercase + string.digits) for _ in range(rng.randint(3, 7))),
                f"{rng.randint(1, 100)}%",
            ]
        )

    def line(self, longest):
        """One to `longest` words in some usual casing and punctuation."""
        rng = self.rng
        words = [self.number() if rng.random() < 0.14 else self.word() for _ in range(rng.randint(1, longest))]
        chance = rng.random()
        if chance < 0.25:
            words = [w.upper() for w in words]
        elif chance < 0.5:
            words[0] = words[0][0].upper() + words[0][1:]
        elif chance < 0.65:
            words = [w[0].upper() + w[1:] for w in words]
        if rng.random() < 0.06 and len(words) > 1:
            words[0] += rng.choice([",", ";", " -", " &", ":"])
        return " ".join(words) + (rng.choice([".", "!", "?", ":", "..."]) if rng.random() < 0.2 else "")


def _fit(world, lines, width, height, largest):
    """(font, lines) that fit the picture; drops to one short word where nothing else does."""
    rng, assets = world.rng, world.assets
    name = rng.choice(assets.font_names)
    longest = min(largest, int(height * 0.75 / len(lines) / 1.25), 80)
    size = rng.randint(MIN_FONT_PX, max(MIN_FONT_PX + 1, longest))
    style = choose(world)
    while True:
        font = dressed(assets.font(name, size), style)
        widest = max(font.getlength(line) for line in lines)
        if widest <= width - 16 and len(lines) * size * 1.2 <= height - 8:
            return font, lines
        if size > MIN_FONT_PX:
            size = max(MIN_FONT_PX, min(size - 1, int(size * (width - 16) / widest)))
        elif len(lines) > 1:
            lines = lines[:-1]
        elif " " in lines[0]:
            lines = [lines[0].rpartition(" ")[0]]
        else:
            lines = ["OK"]


def paper(world, width, height):
    """(image, background's spoken name, mean colour, text colour's name, text colour), readable."""
    brush = world.brush
    image, name, mean = brush.background(width, height, 0.75)
    if name in BACKGROUNDS:
        return image, name, mean, *brush.text_color(mean)
    if 290 < sum(mean) < 500:  # neither black nor white text reads well on middle grey texture
        image, name, mean = Image.new("RGB", (width, height), (255, 255, 255)), "white", (255, 255, 255)
    return image, name, mean, *(("black", (10, 10, 10)) if sum(mean) > 380 else ("white", (255, 255, 255)))


def draw_text(world):
    """(picture, mode, lines, background's spoken name, text colour's name)"""
    rng, brush = world.rng, world.brush
    width, height = brush.size()
    image, background, mean, color_name, color = paper(world, width, height)
    mode = rng.choices(list(MODES), MODES.values())[0]
    if mode == "number":
        lines = [world.typist.number()]
    elif mode == "lines":
        lines = [world.typist.line(rng.choice([2, 3, 4])) for _ in range(rng.randint(2, 5))]
    else:
        lines = [world.typist.line(1 if mode == "word" else 5)]
    font, lines = _fit(world, lines, width, height, 60 if mode in ("word", "number") else 36)
    draw = ImageDraw.Draw(image)
    pitch = int(font.size * rng.uniform(1.18, 1.55))
    if len(lines) * pitch > height - 6:
        pitch = int(font.size * 1.18)
    widest = max(font.getlength(line) for line in lines)
    centred = rng.random() < 0.4
    x = width / 2 if centred else rng.uniform(6, max(6, width - widest - 8))
    low, high = 3, height - pitch * len(lines) - 6
    style = getattr(font, "style", None)
    if style and style.angle:
        drop = font.drop(widest) * (0.5 if centred else 1)
        low, high = low + drop, high - drop
        if low > high:
            style.angle, low, high = 0.0, 3, height - pitch * len(lines) - 6
    y = rng.uniform(low, max(low, high))
    turned = style is not None and style.angle != 0
    if len(lines) == 1 and not turned and rng.random() < 0.15:  # a sign: a panel behind the text
        left = x - (widest / 2 if centred else 0)
        panel = brush.jitter((255, 255, 255) if sum(color) < 380 else (30, 30, 30), 10)
        draw.rounded_rectangle(
            (left - 10, y - 6, left + widest + 10, y + pitch + 6), radius=8, fill=panel, outline=color, width=2
        )
    letters = []
    for i, line in enumerate(lines):
        letters += brush.write(draw, (x, y + i * pitch), line, font, color, "ma" if centred else "la")
    if len(lines) == 1 and not turned and rng.random() < 0.12:
        image, letters = _turned(rng, image, letters, mean)
    return still(brush.camera(image), [], letters), mode, lines, background, color_name


def _turned(rng, image, letters, fill):
    """The picture turned by a few degrees, letters following."""
    angle = rng.uniform(-6, 6)
    cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    mid_x, mid_y = image.width / 2, image.height / 2
    moved = [
        (mid_x + (x - mid_x) * cos + (y - mid_y) * sin, mid_y - (x - mid_x) * sin + (y - mid_y) * cos, c)
        for x, y, c in letters
    ]
    return image.rotate(angle, resample=Image.BILINEAR, fillcolor=fill), moved


def printed_sample(world):
    """(picture, turns)"""
    picture, mode, lines, background, color = draw_text(world)
    rng, say = world.rng, world.speaker.ask
    full = "\n".join(lines)
    turns = [Turn(say("zh_read" if rng.random() < world.chinese else "read"), spelled(full), f"read_{mode}", text=full)]
    if rng.random() < 0.45:
        rest = f" and {NUMBERS[len(lines) - 1]} more line{'s' if len(lines) > 2 else ''}" if len(lines) > 1 else ""
        answer = f'The image shows the text "{spelled(lines[0])}"{rest} on a {background} background.'
        turns.append(Turn(say("describe"), answer, "describe_text"))
    if rng.random() < 0.35:
        turns.append(Turn(say("text_color"), f"The text is {color}.", "text_color"))
    turns.append(_about_lines(rng, say, lines))
    if rng.random() < 0.12:
        name = thing_of(world.brush, "pictograms").name
        turns.append(
            Turn(say("exist", name=name, names=name, a_name=article(name)), f"No, there is no {name}.", "exist")
        )
    if rng.random() < 0.06:
        turns.append(Turn(say("chart_type"), "There is no chart in the image.", "no_chart"))
    if rng.random() < 0.12:
        turns.append(Turn(say("has_text"), "Yes, there is text in the image.", "has_text"))
    return picture, [t for t in turns if t]


def _about_lines(rng, say, lines):
    if len(lines) > 1:
        kinds = ["first_line", "last_line", "n_lines"] + (["second_line"] if len(lines) > 2 else [])
        kind = rng.choice(kinds)
        if kind == "n_lines":
            return Turn(say(kind), f"There are {NUMBERS[len(lines)]} lines.", kind)
        line = lines[{"first_line": 0, "second_line": 1, "last_line": -1}[kind]]
        return Turn(say(kind), spelled(line), kind, text=line)
    words = lines[0].split(" ")
    if len(words) < 2:
        return None
    kind = rng.choice(["first_word", "last_word", "n_words"])
    if kind == "n_words":
        return Turn(say(kind), f"There are {NUMBERS[len(words)]} words.", kind)
    word = words[0] if kind == "first_word" else words[-1]
    return Turn(say(kind), spelled(word), kind, text=word)
