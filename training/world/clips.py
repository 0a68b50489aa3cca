"""Short clips of one or two things: which way one moves, what appears, vanishes, grows, shrinks or changes colour.

A clip has four to eight frames at one to four frames a second, all of one size.
"""

import numpy as np
from PIL import Image

from training.world.catalog import COLORS, article, join
from training.world.sample import Picture, Turn
from training.world.scene_talk_zh import name_zh
from training.world.scenes import copy_of, thing_of

SIZES = [(224, 224), (252, 224), (224, 252), (280, 224), (224, 280), (308, 196), (336, 224)]
EVENTS = {"move": 60, "still": 6, "appear": 8, "vanish": 8, "grow": 7, "shrink": 7, "recolor": 8}
DIRECTIONS = {"to the right": (1, 0), "to the left": (-1, 0), "down": (0, 1), "up": (0, -1)}
DIRECTIONS_ZH = {"to the right": "向右", "to the left": "向左", "down": "向下", "up": "向上"}


class Actor:
    """One thing's looks and its path: centre (share of the picture), side (pixels) and colour for each frame."""

    def __init__(self, world, event, frames, size, lane):
        rng, brush = world.rng, world.brush
        self.event, self.frames = event, frames
        what = "shapes" if event == "recolor" or rng.random() < 0.55 else "pictograms"
        self.thing = thing_of(brush, what, world.clip_ground)
        short = min(size)
        self.side = [short * rng.uniform(0.24, 0.36) * (0.8 if lane else 1)] * frames
        self.way = rng.choice(list(DIRECTIONS))
        dx, dy = DIRECTIONS[self.way]
        x0, y0 = rng.uniform(0.3, 0.7), rng.uniform(0.3, 0.7)
        if lane:  # two actors keep to their halves
            y0 = 0.27 if lane == 1 else 0.73
        low, high = 0.2, 0.8
        self.centers = [(x0, y0)] * frames
        if event == "move":
            if lane and dy:
                self.way = rng.choice(["to the right", "to the left"])
                dx, dy = DIRECTIONS[self.way]
            reach = rng.uniform(0.35, high - low)
            start = rng.uniform(low, high - reach)
            track = [start + reach * t / (frames - 1) for t in range(frames)]
            track = track if dx + dy > 0 else track[::-1]
            self.centers = [(p, y0) if dx else (x0, p) for p in track]
        elif event in ("grow", "shrink"):
            scale = [0.55 + 0.75 * t / (frames - 1) for t in range(frames)]
            self.side = [self.side[0] * s for s in (scale if event == "grow" else scale[::-1])]
        self.change_at = rng.randint(1, frames - 1) // 2 * 2 or 2  # between two merged frame pairs
        self.new_color = rng.choice([c for c in COLORS if c != self.thing.color]) if event == "recolor" else None

    def visible(self, t):
        return t >= self.change_at if self.event == "appear" else t < self.change_at if self.event == "vanish" else True

    def sentence(self):
        name = f"The {self.thing.full}"
        return {
            "move": f"{name} moves {self.way}.",
            "still": f"{name} does not move.",
            "appear": f"{name} appears.",
            "vanish": f"{name} disappears.",
            "grow": f"{name} gets bigger.",
            "shrink": f"{name} gets smaller.",
            "recolor": f"The {self.thing.name} changes its color from {self.thing.color} to {self.new_color}.",
        }[self.event]


def clip_sample(world):
    """(picture, turns)"""
    rng, brush = world.rng, world.brush
    frames = rng.choice([4, 4, 4, 6, 6, 8])
    size = rng.choice(SIZES)
    while True:
        ground, _, world.clip_ground = brush.background(*size, 0.85)
        events = rng.choices(list(EVENTS), EVENTS.values(), k=1 if rng.random() < 0.75 else 2)
        actors = [Actor(world, event, frames, size, i + 1 if len(events) > 1 else 0) for i, event in enumerate(events)]
        if len({a.thing.full for a in actors}) == len(actors) and len({a.thing.name for a in actors}) == len(actors):
            break
    sprites = [brush.sprite(a.thing, int(max(a.side))) for a in actors]
    images = [_frame(ground, actors, sprites, t) for t in range(frames)]
    seconds = 2 / rng.choice([1, 2, 2, 2, 4])
    return Picture(np.stack([np.asarray(i) for i in images]), None, [], seconds), _turns(world, actors)


def _frame(ground, actors, sprites, t):
    image = ground.copy()
    for actor, (fill, mask) in zip(actors, sprites, strict=True):
        if not actor.visible(t):
            continue
        scale = actor.side[t] / max(actor.side)
        size = (max(4, round(mask.width * scale)), max(4, round(mask.height * scale)))
        x = round(actor.centers[t][0] * image.width - size[0] / 2)
        y = round(actor.centers[t][1] * image.height - size[1] / 2)
        shape = mask.resize(size, Image.BILINEAR) if size != mask.size else mask
        if actor.thing.kind == "shape":
            fill = COLORS[actor.new_color] if actor.new_color and t >= actor.change_at else fill
        elif size != mask.size:
            fill = fill.resize(size, Image.BILINEAR)
        image.paste(fill, (x, y), shape)
    return image


def _turns(world, actors):
    rng, say = world.rng, world.speaker.ask
    story = " ".join(actor.sentence() for actor in actors)
    turns = [Turn(say("video_describe"), story, "video_describe")]
    actor = rng.choice(actors)
    name = actor.thing.full if actor.event != "recolor" else actor.thing.name
    if actor.event in ("move", "still"):
        turns.append(Turn(say("motion", name=name), actor.sentence(), "motion", copy_of(actor.thing)))
        turns.append(Turn(say("motion", name=actor.thing.name), actor.sentence(), "motion", copy_of(actor.thing)))
        zh = (
            f"{name_zh(actor.thing)}{DIRECTIONS_ZH[actor.way]}移动。"
            if actor.event == "move"
            else f"{name_zh(actor.thing)}没有移动。"
        )
        if rng.random() < world.chinese * 3:
            turns.append(Turn(say("zh_motion", name=name_zh(actor.thing)), zh, "zh_motion"))
    changed = [a.sentence() for a in actors if a.event not in ("move", "still")]
    if changed:
        turns.append(Turn(say("change"), " ".join(changed), "change"))
    if len(actors) == 1 and actor.event != "recolor":
        turns.append(Turn(say("video_object"), f"The video shows {article(actor.thing.full)}.", "video_object"))
    elif actor.event != "recolor" and len(actors) == 2 and all(a.event != "recolor" for a in actors):
        turns.append(
            Turn(say("video_object"), f"The video shows {join(article(a.thing.full) for a in actors)}.", "video_object")
        )
    return turns
