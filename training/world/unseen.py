"""Kinds of images that training never draws, nor anything like them: for evaluation alone, as those in `everyday.UNSEEN`."""

import math

from training.world.made_up import CITIES
from training.world.sheets import Seen, Sheet, told

PAGE = ("a page of text", "a document", "a page", "a ticket", "a form")


def _mute(sheet, kind, noun, accepted):
    seen = Seen(kind, noun, accepted, [], ("total", "date", "title"), mute=True, told=told(noun, "tell more about it"))
    return sheet.picture(), seen


def keyboard(world):
    """The keys of a computer, in rows that are not quite below each other."""
    ground = world.rng.choice([(225, 225, 228), (40, 42, 46), (250, 250, 250)])
    sheet = Sheet(world, (1.7, 2.3), ground)
    rng, w, h = sheet.rng, sheet.width, sheet.height
    key, ink = rng.choice([((255, 255, 255), (30, 30, 30)), ((70, 72, 78), (240, 240, 240))])
    side, top = w / 13.5, h * rng.uniform(0.08, 0.25)
    for row, (letters, shift) in enumerate(
        (("1234567890", 0.2), ("QWERTYUIOP", 0.7), ("ASDFGHJKL", 1.0), ("ZXCVBNM", 1.5))
    ):
        y = top + row * side * 1.05
        for i, letter in enumerate(letters):
            x = w * 0.04 + (shift + i * 1.05) * side
            sheet.box((x, y, x + side, y + side), key, (120, 120, 120), 1, 4)
            sheet.text((x + side / 2, y + side / 2), letter, side * 0.45, ink, "mm")
    y = top + 4.2 * side
    sheet.box((w * 0.28, y, w * 0.72, y + side), key, (120, 120, 120), 1, 4)
    return _mute(sheet, "keyboard", "a keyboard", ("keys", "a picture", "a drawing"))


def playing_cards(world):
    """One to five cards, fanned out."""
    sheet = Sheet(world, (0.9, 1.7), world.rng.choice([(20, 100, 50), (120, 20, 30), (235, 235, 235)]), low=60_000)
    rng, count = sheet.rng, sheet.rng.randint(1, 5)
    high = sheet.height * rng.uniform(0.5, 0.75)
    wide, y = high * 0.68, sheet.height * rng.uniform(0.08, 0.2)
    step = (sheet.width * 0.9 - wide) / max(1, count - 1)
    for i in range(count):
        x, ink = sheet.width * 0.05 + i * step, rng.choice([(200, 20, 30), (15, 15, 15)])
        sheet.box((x, y, x + wide, y + high), (255, 255, 255), (90, 90, 90), 1, 9)
        rank, size = rng.choice(["A", "K", "Q", "J", "10", "9", "8", "7", "5", "3"]), wide * 0.22
        sheet.text((x + wide * 0.08, y + high * 0.03), rank, size, ink)
        sheet.text((x + wide * 0.92, y + high * 0.97), rank, size, ink, "rb")
        diamond = rng.random() < 0.5
        for a in range(rng.choice([1, 3, 5])):
            cx, cy, r = x + wide / 2, y + high * (0.28 + 0.11 * a), wide * 0.1
            if diamond:
                sheet.shape([(cx, cy - r), (cx + r * 0.8, cy), (cx, cy + r), (cx - r * 0.8, cy)], ink)
            else:
                sheet.disc(cx - r * 0.5, cy, r * 0.5, ink)
                sheet.disc(cx + r * 0.5, cy, r * 0.5, ink)
                sheet.shape([(cx, cy + r), (cx - r, cy), (cx + r, cy)], ink)
    return _mute(sheet, "playing cards", "playing cards", ("cards", "a card", "a game", "a picture", "a drawing"))


def video_game(world):
    """A scene to run and jump in: sky, platforms, coins, a figure, a line of state."""
    sheet = Sheet(world, (1.2, 1.8), world.rng.choice([(110, 170, 250), (20, 16, 40), (250, 190, 130)]), low=60_000)
    rng, w, h = sheet.rng, sheet.width, sheet.height
    step = w / rng.randint(14, 20)
    for i in range(math.ceil(w / step)):
        x = i * step
        for row in range(2):
            y = h - (row + 1) * step
            sheet.box((x, y, x + step, y + step), (80, 160, 60) if row else (140, 90, 50), (60, 40, 20))
    for _ in range(rng.randint(2, 5)):
        x, y = rng.uniform(0, w * 0.75), rng.uniform(h * 0.3, h * 0.7)
        for i in range(rng.randint(2, 5)):
            left = x + i * step
            sheet.box((left, y, left + step, y + step), (200, 110, 50), (90, 40, 10), 2)
            if rng.random() < 0.5:
                sheet.disc(left + step / 2, y - step * 0.7, step * 0.3, (255, 210, 40), (150, 110, 0))
    x, y = rng.uniform(w * 0.1, w * 0.8), h - 2 * step
    sheet.box((x, y - step, x + step * 0.8, y), (210, 40, 40))
    sheet.disc(x + step * 0.4, y - step * 1.3, step * 0.4, (250, 210, 170), (60, 40, 20))
    for at, word in ((0.05, "SCORE"), (0.45, "LIVES"), (0.75, "TIME")):
        text = f"{word} {rng.randint(1, 900)}"
        sheet.text((w * at, 6), text, sheet.fitting(text, rng.uniform(9, 15), w * 0.24), (255, 255, 255))
    accepted = ("a game", "a screenshot", "a comic", "a drawing", "a picture", "an app")
    return _mute(sheet, "video game", "a video game", accepted)


def boarding_pass(world):
    """A flight's pass: a band of colour, two places, small boxes, a stub with a code of bars."""
    sheet = Sheet(world, (1.9, 2.4), (252, 252, 252), paper=True, low=70_000)
    rng, made, w, h = sheet.rng, world.made, sheet.width, sheet.height
    band = rng.choice([(0, 60, 130), (190, 20, 40), (0, 120, 110)])
    sheet.box((0, 0, w, h * 0.2), band)
    sheet.text((w * 0.04, h * 0.1), "BOARDING PASS", h * 0.08, (255, 255, 255), "lm", sheet.strong)
    start, end = rng.sample(CITIES, 2)
    sheet.text((w * 0.04, h * 0.3), f"{start} - {end}", sheet.fitting(f"{start} - {end}", h * 0.11, w * 0.6))
    person, px = made.person(), h * rng.uniform(0.045, 0.08)
    fields = [sheet.named("name", (w * 0.04, h * 0.48), person, sheet.fitting(person, px, w * 0.4))]
    time, seat = made.time(), f"{rng.randint(1, 39)}{rng.choice('ABCDEF')}"
    for i, (label, value) in enumerate((("FLIGHT", made.number()), ("GATE", "B7"), ("SEAT", seat), ("TIME", time))):
        x = w * (0.04 + 0.17 * i)
        sheet.text((x, h * 0.66), label, h * 0.04, (120, 120, 120))
        line = sheet.text((x, h * 0.74), value, sheet.fitting(value, px, w * 0.15))
        if label == "TIME":
            fields.append(type(line)("time", time, line.x_px))
    for i in range(12):
        sheet.line([(w * 0.73, h * i / 12), (w * 0.73, h * (i + 0.5) / 12)], (150, 150, 150))
    y = h * 0.3
    while y < h * 0.95:
        sheet.box((w * 0.8, y, w * 0.95, y + rng.choice([1, 2, 3])), (10, 10, 10))
        y += rng.uniform(4, 7)
    seen = Seen("boarding pass", "a boarding pass", ("a card", *PAGE), fields, ("total", "signature"))
    return sheet.picture(), seen
