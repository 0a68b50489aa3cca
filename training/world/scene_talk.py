"""Questions and answers about a scene of shapes and pictograms."""

from training.world.catalog import COLORS, NUMBERS, PLACE_PHRASE, article, count_of, join, plural
from training.world.grounding import boxes_json, points_json
from training.world.sample import Turn
from training.world.scene_talk_zh import ask_in_chinese
from training.world.scenes import thing_of

BACKGROUND_ANSWER = {
    "gradient": "The background is a color gradient.",
    "patterned": "The background has a pattern.",
    "noisy": "The background is noisy.",
}
OPPOSITE = {"left of": "right of", "right of": "left of", "above": "below", "below": "above"}
SPOKEN = {"left of": "to the left of", "right of": "to the right of", "above": "above", "below": "below"}
ONCE = {"describe", "list", "background"}  # asked once a picture: they have one answer


class SceneTalk:
    """Asks about one scene.  things are sorted from left to right; size is (width, height) in pixels."""

    def __init__(self, brush, speaker, chat, things, background, size):
        self.brush, self.rng, self.say, self.chat = brush, brush.rng, speaker.ask, chat
        self.things, self.background, self.size = things, background, size
        full = [t.full for t in things]
        names = [t.name for t in things]
        self.unique = [t for t in things if full.count(t.full) == 1]
        self.named_once = [t for t in things if names.count(t.name) == 1]
        self.shapes_once = [t for t in self.named_once if t.kind == "shape"]
        colors = [t.color for t in things]
        self.colored_once = [t for t in things if t.color and colors.count(t.color) == 1]
        self.all_shapes = all(t.kind == "shape" for t in things)

    def turns(self, count, chinese=0.1, skip=()):
        """Up to `count` different turns; kinds in `skip` are not asked."""
        asks, weights = zip(*self._menu(), strict=True)
        out, seen = [], set(skip)
        for _ in range(count * 8):
            if len(out) == count:
                break
            if self.rng.random() < chinese:
                turn = ask_in_chinese(self)
            elif self.rng.random() < 0.02:
                turn = Turn(*self.chat.ask("picture_off_topic"), "picture_off_topic")
            else:
                turn = self.rng.choices(asks, weights)[0]()
            if turn is None or turn.question in seen or turn.kind in seen:
                continue
            seen.add(turn.question)
            if turn.kind in ONCE:
                seen.add(turn.kind)
            out.append(turn)
        return out

    def _menu(self):
        many = len(self.things) > 1
        menu = [
            (self.describe, 2.6),
            (self.listing, 1.2),
            (self.count_all, 1.2),
            (self.count_kind, 1.8),
            (self.exist, 1.9),
            (self.box, 2.0),
            (self.point, 0.8),
            (self.absent, 0.4),
            (self.background_color, 0.6),
            (self.no_text, 0.3),
        ]
        if len(self.things) <= 6:
            menu.append((self.boxes, 1.3))
        if self.unique:
            menu.append((self.where, 1.8))
        if self.shapes_once:
            menu += [(self.color, 1.6), (self.is_color, 0.8)]
        if self.all_shapes and self.colored_once:
            menu.append((self.shape_of, 1.2))
        if many:
            menu += [(self.what_at, 1.2), (self.by_size, 1.1), (self.by_place, 1.1)]
        if len(self.unique) > 1:
            menu += [(self.relation, 1.5), (self.side, 1.4), (self.compare_size, 1.0)]
        if not many:
            menu.append((self.what_is, 4.0))
        return menu

    def a_name(self, thing):
        """The thing's name, with its colour half of the time."""
        return thing.name if thing.kind == "pictogram" or self.rng.random() < 0.5 else thing.full

    def matching(self, name):
        return [t for t in self.things if name in (t.name, t.full)]

    def other_thing(self):
        kind = self.rng.choice(self.things).kind if self.rng.random() < 0.7 else self.rng.choice(["shape", "pictogram"])
        return thing_of(self.brush, "shapes" if kind == "shape" else "pictograms")

    def exact_name(self, thing):
        """A name that fits only this thing."""
        return thing.name if thing in self.named_once and self.rng.random() < 0.5 else thing.full

    # ---- the whole picture
    def describe(self):
        return Turn(self.say("describe"), describe_scene(self.things, self.background), "describe")

    def listing(self):
        text = join(article(t.full) for t in self.things)
        return Turn(self.say("list"), text[0].upper() + text[1:] + ".", "list")

    def count_all(self):
        things = (
            "shapes" if self.all_shapes and self.rng.random() < 0.5 else self.rng.choice(["objects", "things", "items"])
        )
        count = len(self.things)
        verb = "is" if count == 1 else "are"
        return Turn(self.say("count_all", things=things), f"There {verb} {count_of(count, 'object')}.", "count_all")

    def count_kind(self):
        name = self.a_name(self.other_thing() if self.rng.random() < 0.15 else self.rng.choice(self.things))
        count = len(self.matching(name))
        verb = "is" if count == 1 else "are"
        return Turn(self.say("count_kind", names=plural(name)), f"There {verb} {count_of(count, name)}.", "count_kind")

    def exist(self):
        name = self.a_name(self.rng.choice(self.things) if self.rng.random() < 0.5 else self.other_thing())
        count = len(self.matching(name))
        answer = (
            f"Yes, there {'is' if count == 1 else 'are'} {count_of(count, name)}."
            if count
            else f"No, there is no {name}."
        )
        return Turn(self.say("exist", name=name, names=plural(name), a_name=article(name)), answer, "exist")

    def background_color(self):
        answer = BACKGROUND_ANSWER.get(self.background, f"The background is {self.background}.")
        return Turn(self.say("background"), answer, "background")

    def no_text(self):
        if self.rng.random() < 0.6:
            return Turn(self.say("read"), "There is no text in the image.", "no_text")
        kind = self.rng.choice(["chart_type", "list_values"])
        return Turn(self.say(kind), "There is no chart in the image.", "no_chart")

    # ---- one thing
    def what_is(self):
        thing = self.things[0]
        kind = "what_is" if thing.kind == "pictogram" else "what_shape"
        return Turn(self.say(kind), f"This is {article(thing.full)}.", "what_is", thing)

    def where(self):
        thing = self.rng.choice(self.unique)
        name = self.exact_name(thing)
        return Turn(self.say("where", name=name), f"The {name} is {PLACE_PHRASE[thing.place]}.", "where", thing)

    def what_at(self):
        places = [t.place for t in self.things]
        alone = [t for t in self.unique if places.count(t.place) == 1]
        if not alone:
            return None
        thing = self.rng.choice(alone)
        place = PLACE_PHRASE[thing.place]
        return Turn(self.say("what_at", place=place), f"There is {article(thing.full)} {place}.", "what_at", thing)

    def color(self):
        thing = self.rng.choice(self.shapes_once)
        return Turn(self.say("color", name=thing.name), f"The {thing.name} is {thing.color}.", "color", thing)

    def is_color(self):
        thing = self.rng.choice(self.shapes_once)
        color = thing.color if self.rng.random() < 0.5 else self.rng.choice(list(COLORS))
        yes = "Yes" if color == thing.color else "No"
        return Turn(
            self.say("is_color", name=thing.name, color=color),
            f"{yes}, the {thing.name} is {thing.color}.",
            "is_color",
            thing,
        )

    def shape_of(self):
        thing = self.rng.choice(self.colored_once)
        return Turn(
            self.say("shape_of", color=thing.color),
            f"The {thing.color} shape is {article(thing.name)}.",
            "shape_of",
            thing,
        )

    # ---- comparing things
    def by_size(self):
        order = sorted(self.things, key=lambda t: t.area)
        large = self.rng.random() < 0.5
        first, second = (order[-1], order[-2]) if large else (order[1], order[0])
        if first.area < 1.4 * second.area:
            return None
        thing, kind = (first, "largest") if large else (second, "smallest")
        return Turn(self.say(kind), f"The {kind} object is the {thing.full}.", kind, thing)

    def by_place(self):
        kind = self.rng.choice(["leftmost", "rightmost", "topmost", "lowest_object"])
        axis, last = (0, kind == "rightmost") if kind in ("leftmost", "rightmost") else (1, kind == "lowest_object")
        order = sorted(self.things, key=lambda t: t.center[axis], reverse=last)
        if abs(order[0].center[axis] - order[1].center[axis]) < 0.08 * self.size[axis]:
            return None
        return Turn(
            self.say(kind), f"The {kind.partition('_')[0]} object is the {order[0].full}.", "outermost", order[0]
        )

    def two(self):
        one, other = self.rng.sample(self.unique, 2)
        dx, dy = (a - b for a, b in zip(one.center, other.center, strict=True))
        wide = ("left of" if dx < 0 else "right of") if abs(dx) > 0.1 * self.size[0] else None
        high = ("above" if dy < 0 else "below") if abs(dy) > 0.1 * self.size[1] else None
        return one, other, wide, high

    def relation(self):
        one, other, wide, high = self.two()
        options = [r for r in (wide, high) if r]
        if not options:
            return None
        true = self.rng.choice(options)
        asked = true if self.rng.random() < 0.5 else OPPOSITE[true]
        spoken = SPOKEN[asked] if self.rng.random() < 0.6 else asked
        yes = "Yes" if asked == true else "No"
        return Turn(
            self.say("relation", name=one.full, other=other.full, relation=spoken),
            f"{yes}, the {one.full} is {SPOKEN[true]} the {other.full}.",
            "relation",
        )

    def side(self):
        one, other, wide, high = self.two()
        if not (wide or high):
            return None
        kind = "side_lr" if wide and (not high or self.rng.random() < 0.6) else "side_ab"
        relation = wide if kind == "side_lr" else high
        return Turn(
            self.say(kind, name=one.full, other=other.full),
            f"The {one.full} is {SPOKEN[relation]} the {other.full}.",
            "side",
        )

    def compare_size(self):
        one, other = self.rng.sample(self.unique, 2)
        large, small = (one, other) if one.area > other.area else (other, one)
        if large.area < 1.4 * small.area:
            return None
        kind = "larger" if self.rng.random() < 0.6 else "smaller"
        thing = large if kind == "larger" else small
        return Turn(
            self.say(kind, name=one.full, other=other.full), f"The {thing.full} is {kind}.", "compare_size", thing
        )

    # ---- grounding
    def _grounded(self):
        name = self.a_name(self.rng.choice(self.things))
        found = sorted(self.matching(name), key=lambda t: t.box[0])
        return (plural(name) if len(found) > 1 else name), [(t.box, name) for t in found], found

    def box(self):
        spoken, pairs, found = self._grounded()
        return Turn(
            self.say("box", name=spoken), boxes_json(pairs), "box", found[0] if len(found) == 1 else None, boxes=pairs
        )

    def boxes(self):
        pairs = [(t.box, t.full) for t in sorted(self.things, key=lambda t: t.box[0])]
        return Turn(self.say("boxes"), boxes_json(pairs), "boxes", boxes=pairs)

    def point(self):
        spoken, pairs, found = self._grounded()
        return Turn(
            self.say("point", name=spoken),
            points_json(pairs),
            "point",
            found[0] if len(found) == 1 else None,
            points=pairs,
        )

    def absent(self):
        name = self.a_name(self.other_thing())
        if self.matching(name):
            return None
        return Turn(
            self.say(self.rng.choice(["where", "box", "point"]), name=name),
            f"There is no {name} in the image.",
            "absent",
        )

    # ---- later turns
    def follow_up(self, turn):
        """A turn about "it" after a turn about one thing, or None."""
        thing = turn.thing
        if thing is None or (turn.kind in ("box", "point") and thing not in self.unique):
            return None
        options = [
            Turn(
                self.say("it_box"),
                boxes_json([(thing.box, thing.full)]),
                "it_box",
                thing,
                boxes=[(thing.box, thing.full)],
            )
        ]
        if turn.kind not in ("where", "what_at"):
            options.append(Turn(self.say("it_where"), f"It is {PLACE_PHRASE[thing.place]}.", "it_where", thing))
        if thing.color and turn.kind not in ("color", "is_color", "shape_of"):
            options.append(Turn(self.say("it_color"), f"It is {thing.color}.", "it_color", thing))
        return self.rng.choice(options)


def describe_scene(things, background):
    ground = f"on a {background} background"
    if len(things) == 1:
        return f"The image shows {article(things[0].full)} {PLACE_PHRASE[things[0].place]}, {ground}."
    number = NUMBERS[len(things)]
    if len(things) <= 4:
        placed = join(f"{article(t.full)} {PLACE_PHRASE[t.place]}" for t in things)
        return f"The image shows {number} objects {ground}: {placed}."
    return f"The image shows {number} objects {ground}. From left to right: {join(article(t.full) for t in things)}."
