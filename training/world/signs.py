"""Road and safety signs on a post, a wall or nothing."""

import math

from training.world.photos import _crop
from training.world.sheets import Seen, Sheet

RED, BLUE, GREEN, YELLOW = (200, 25, 35), (20, 80, 170), (0, 130, 80), (250, 200, 20)
WHITE, BLACK, ORANGE = (250, 250, 250), (20, 20, 20), (240, 130, 20)


def _ring(s, x, y, r, fill=WHITE):
    s.disc(x, y, r, RED)
    s.disc(x, y, r * 0.8, fill)


def _corners(x, y, r, count, turn):
    return [
        (x + r * math.cos(math.radians(turn + 360 * i / count)), y + r * math.sin(math.radians(turn + 360 * i / count)))
        for i in range(count)
    ]


def _triangle(s, x, y, r, down=False, fill=WHITE, edge=RED):
    turn = 90 if down else -90
    s.shape(_corners(x, y, r, 3, turn), edge)
    s.shape(_corners(x, y, r * 0.72, 3, turn), fill)


def _square(s, x, y, r, fill):
    s.box((x - r, y - r, x + r, y + r), fill, radius=r * 0.12)
    s.box((x - r * 0.93, y - r * 0.93, x + r * 0.93, y + r * 0.93), None, WHITE, 1.5, r * 0.1)


def _word(s, x, y, text, r, color=WHITE):
    s.text((x, y), text, s.fitting(text, r * 1.1, r * 1.5, s.strong), color, "mm", s.strong)
    return text


def _person(s, x, y, r, color, walking=True):
    s.disc(x, y - r * 0.62, r * 0.16, color)
    s.line([(x, y - r * 0.45), (x, y + r * 0.1)], color, r * 0.16)
    s.line([(x, y + r * 0.1), (x - r * 0.3, y + r * 0.65)], color, r * 0.13)
    s.line([(x, y + r * 0.1), (x + r * 0.3, y + r * 0.65)], color, r * 0.13)
    s.line([(x - r * 0.35, y - r * 0.02), (x, y - r * 0.35), (x + r * 0.35, y + r * 0.02)], color, r * 0.1)
    if walking:
        s.line([(x - r * 0.6, y + r * 0.75), (x + r * 0.6, y + r * 0.75)], color, r * 0.06)


def stop(s, x, y, r):
    s.shape(_corners(x, y, r, 8, 22.5), WHITE)
    s.shape(_corners(x, y, r * 0.94, 8, 22.5), RED)
    return _word(s, x, y, "STOP", r * 0.75)


def give_way(s, x, y, r):
    _triangle(s, x, y, r, down=True)


def no_entry(s, x, y, r):
    s.disc(x, y, r, RED)
    s.box((x - r * 0.7, y - r * 0.16, x + r * 0.7, y + r * 0.16), WHITE)


def speed_limit(s, x, y, r):
    _ring(s, x, y, r)
    return _word(s, x, y, str(s.rng.choice([20, 30, 40, 50, 60, 70, 80, 100, 120])), r * 0.85, BLACK)


def no_parking(s, x, y, r):
    s.disc(x, y, r, RED)
    s.disc(x, y, r * 0.82, BLUE)
    d = r * 0.62
    s.line([(x - d, y - d), (x + d, y + d)], RED, r * 0.17)


def parking(s, x, y, r):
    _square(s, x, y, r * 0.9, BLUE)
    return _word(s, x, y, "P", r * 1.1)


def hospital(s, x, y, r):
    _square(s, x, y, r * 0.9, BLUE)
    return _word(s, x, y, "H", r * 1.1)


def crossing(s, x, y, r):
    _square(s, x, y, r * 0.9, BLUE)
    s.shape(_corners(x, y + r * 0.12, r * 0.8, 3, -90), WHITE)
    _person(s, x, y + r * 0.15, r * 0.45, BLACK)


def one_way(s, x, y, r):
    s.box((x - r, y - r * 0.4, x + r, y + r * 0.4), BLUE if s.rng.random() < 0.5 else BLACK, radius=4)
    s.box((x - r * 0.7, y - r * 0.08, x + r * 0.3, y + r * 0.08), WHITE)
    s.shape([(x + r * 0.25, y - r * 0.25), (x + r * 0.75, y), (x + r * 0.25, y + r * 0.25)], WHITE)


def warning(s, x, y, r):
    _triangle(s, x, y, r, fill=s.rng.choice([WHITE, YELLOW]), edge=s.rng.choice([RED, BLACK]))
    s.line([(x, y - r * 0.35), (x, y + r * 0.1)], BLACK, r * 0.13)
    s.disc(x, y + r * 0.27, r * 0.07, BLACK)


def high_voltage(s, x, y, r):
    _triangle(s, x, y, r, fill=YELLOW, edge=BLACK)
    bolt = [(0.08, -0.42), (-0.18, 0.06), (0.0, 0.06), (-0.08, 0.38), (0.2, -0.08), (0.02, -0.08)]
    s.shape([(x + r * a, y + r * b) for a, b in bolt], BLACK)


def road_works(s, x, y, r):
    _triangle(s, x, y, r, fill=s.rng.choice([WHITE, YELLOW]))
    _person(s, x - r * 0.06, y + r * 0.08, r * 0.42, BLACK, walking=False)
    s.shape([(x + r * 0.08, y + r * 0.36), (x + r * 0.24, y + r * 0.12), (x + r * 0.42, y + r * 0.36)], BLACK)


def traffic_light_ahead(s, x, y, r):
    _triangle(s, x, y, r)
    for i, color in enumerate([RED, YELLOW, GREEN]):
        s.disc(x, y + r * (-0.25 + 0.22 * i), r * 0.1, color)


def roundabout(s, x, y, r):
    s.disc(x, y, r, BLUE)
    for i in range(3):
        a = math.radians(120 * i)
        points = [(x + r * 0.52 * math.cos(a + t), y + r * 0.52 * math.sin(a + t)) for t in (0, 0.4, 0.8, 1.2)]
        s.line(points, WHITE, r * 0.15)
        tip = a + 1.55
        s.shape(
            _corners(x + r * 0.52 * math.cos(tip), y + r * 0.52 * math.sin(tip), r * 0.22, 3, math.degrees(tip) + 90),
            WHITE,
        )


def turn(s, x, y, r, side):
    s.disc(x, y, r, BLUE)
    s.box((x - r * 0.5, y - r * 0.1, x + r * 0.5, y + r * 0.1), WHITE)
    tip = x + side * r * 0.7
    s.shape([(tip, y), (tip - side * r * 0.4, y - r * 0.35), (tip - side * r * 0.4, y + r * 0.35)], WHITE)


def turn_left(s, x, y, r):
    turn(s, x, y, r, -1)


def turn_right(s, x, y, r):
    turn(s, x, y, r, 1)


def no_smoking(s, x, y, r):
    _ring(s, x, y, r)
    s.box((x - r * 0.5, y - r * 0.07, x + r * 0.35, y + r * 0.07), BLACK)
    s.box((x + r * 0.37, y - r * 0.07, x + r * 0.5, y + r * 0.07), ORANGE)
    s.line(
        [(x + r * 0.45, y - r * 0.15), (x + r * 0.38, y - r * 0.3), (x + r * 0.48, y - r * 0.42)], (120, 120, 120), 2
    )
    d = r * 0.62
    s.line([(x - d, y - d), (x + d, y + d)], RED, r * 0.14)


def no_pedestrians(s, x, y, r):
    _ring(s, x, y, r)
    _person(s, x, y + r * 0.03, r * 0.65, BLACK, walking=False)
    d = r * 0.62
    s.line([(x - d, y - d), (x + d, y + d)], RED, r * 0.1)


def exit_sign(s, x, y, r):
    s.box((x - r, y - r * 0.45, x + r, y + r * 0.45), GREEN, radius=3)
    return _word(s, x, y, s.rng.choice(["EXIT", "EXIT", "Exit"]), r * 0.8)


def first_aid(s, x, y, r):
    _square(s, x, y, r * 0.85, GREEN)
    s.box((x - r * 0.16, y - r * 0.55, x + r * 0.16, y + r * 0.55), WHITE)
    s.box((x - r * 0.55, y - r * 0.16, x + r * 0.55, y + r * 0.16), WHITE)


def fire_extinguisher(s, x, y, r):
    _square(s, x, y, r * 0.85, RED)
    s.box((x - r * 0.2, y - r * 0.25, x + r * 0.2, y + r * 0.6), WHITE, radius=r * 0.1)
    s.box((x - r * 0.07, y - r * 0.45, x + r * 0.07, y - r * 0.25), WHITE)
    s.line([(x, y - r * 0.42), (x + r * 0.4, y - r * 0.3), (x + r * 0.42, y + r * 0.1)], WHITE, r * 0.08)


def restroom(s, x, y, r):
    _square(s, x, y, r * 0.9, s.rng.choice([BLUE, BLACK]))
    _person(s, x - r * 0.4, y, r * 0.6, WHITE, walking=False)
    s.line([(x, y - r * 0.6), (x, y + r * 0.6)], WHITE, 2)
    _person(s, x + r * 0.4, y, r * 0.6, WHITE, walking=False)
    s.shape([(x + r * 0.4, y - r * 0.3), (x + r * 0.18, y + r * 0.2), (x + r * 0.62, y + r * 0.2)], WHITE)


def wet_floor(s, x, y, r):
    s.shape([(x - r * 0.35, y - r), (x + r * 0.35, y - r), (x + r * 0.6, y + r), (x - r * 0.6, y + r)], YELLOW)
    _triangle(s, x, y - r * 0.15, r * 0.4, fill=YELLOW, edge=BLACK)
    s.text((x, y + r * 0.55), "WET FLOOR", s.fitting("WET FLOOR", r * 0.3, r * 0.95, s.strong), BLACK, "mm", s.strong)
    return "WET FLOOR"


SIGNS = {
    "stop sign": stop,
    "give way sign": give_way,
    "no entry sign": no_entry,
    "speed limit sign": speed_limit,
    "no parking sign": no_parking,
    "parking sign": parking,
    "hospital sign": hospital,
    "pedestrian crossing sign": crossing,
    "one way sign": one_way,
    "warning sign": warning,
    "high voltage sign": high_voltage,
    "road works sign": road_works,
    "traffic light sign": traffic_light_ahead,
    "roundabout sign": roundabout,
    "turn left sign": turn_left,
    "turn right sign": turn_right,
    "no smoking sign": no_smoking,
    "no pedestrians sign": no_pedestrians,
    "exit sign": exit_sign,
    "first aid sign": first_aid,
    "fire extinguisher sign": fire_extinguisher,
    "restroom sign": restroom,
    "wet floor sign": wet_floor,
}


def sign(world):
    """One sign, small or large, before something or nothing."""
    rng = world.rng
    name = rng.choice(list(SIGNS))
    sheet = Sheet(world, (0.7, 1.5), low=55_000)
    w, h = sheet.width, sheet.height
    r = min(w, h) * rng.uniform(0.2, 0.46)
    x, y = rng.uniform(r * 1.02, max(r * 1.02, w - r)), rng.uniform(r * 1.02, max(r * 1.02, h - r))
    size = sheet.image.size
    chance = rng.random()
    if chance < 0.4:
        ground, _, _ = world.brush.background(w, h, 0.5)
        sheet.image.paste(ground.resize(size))
    elif chance < 0.65 and world.assets.photos:
        sheet.image.paste(_crop(rng, rng.choice(world.assets.photos), *size))
    elif chance < 0.85:  # sky above grass, or a wall
        sheet.box((0, 0, w, h), tuple(rng.randint(120, 230) for _ in range(3)))
        sheet.box((0, h * rng.uniform(0.6, 0.9), w, h), tuple(rng.randint(60, 160) for _ in range(3)))
    if rng.random() < 0.5:
        sheet.box((x - r * 0.06, y, x + r * 0.06, h), (120, 120, 125))
    text = SIGNS[name](sheet, x, y, r)
    noun = f"{'an' if name[0] in 'aeiou' else 'a'} {name}"
    box = tuple(int(v) for v in (x - r, max(0, y - r), x + r, y + r))
    round_box = name in ("speed limit sign", "no entry sign", "no parking sign", "no smoking sign", "roundabout sign")
    line = sheet.lines[0] if text else None
    fields = [type(line)("sign", text, line.x_px)] if line else []
    seen = Seen("sign", noun, (), fields, ("total", "date"), [(box, name)] if round_box else [], mute=not text)
    return sheet.picture(), seen
