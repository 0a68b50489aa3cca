"""The main questions about a scene in Chinese."""

from training.world.catalog import BACKGROUND_ZH, COLOR_ZH, PICTOGRAM_ZH, PLACE_ZH, SHAPE_ZH
from training.world.grounding import boxes_json
from training.world.sample import Turn

BACKGROUND_ANSWER = {"gradient": "背景是渐变色。", "patterned": "背景有图案。", "noisy": "背景有噪点。"}


def name_zh(thing):
    return f"{COLOR_ZH[thing.color]}的{SHAPE_ZH[thing.name]}" if thing.kind == "shape" else PICTOGRAM_ZH[thing.name]


def list_zh(things):
    names = [f"一个{name_zh(t)}" for t in things]
    return names[0] if len(names) == 1 else "、".join(names[:-1]) + "和" + names[-1]


def ask_in_chinese(talk):
    """One turn about talk's scene, or None where the drawn kind of question does not fit."""
    kinds = [describe, count, count_kind, exist, background, box]
    kinds += [where] if talk.unique else []
    kinds += [side] if len(talk.unique) > 1 else []
    kinds += [color] if talk.shapes_once else []
    kinds += [what, what, what] if len(talk.things) == 1 else []
    return talk.rng.choice(kinds)(talk)


def describe(talk):
    things = talk.things
    answer = f"图中有{list_zh(things)}。" if len(things) <= 4 else f"图中有{len(things)}个物体：{list_zh(things)}。"
    return Turn(talk.say("zh_describe"), answer, "zh_describe")


def count(talk):
    return Turn(talk.say("zh_count"), f"图中有{len(talk.things)}个物体。", "zh_count")


def _named(talk, name):
    return [t for t in talk.things if name_zh(t) == name]


def count_kind(talk):
    name = name_zh(talk.rng.choice(talk.things))
    return Turn(talk.say("zh_count_kind", name=name), f"图中有{len(_named(talk, name))}个{name}。", "zh_count_kind")


def exist(talk):
    name = name_zh(talk.rng.choice(talk.things) if talk.rng.random() < 0.5 else talk.other_thing())
    found = len(_named(talk, name))
    answer = f"有，图中有{found}个{name}。" if found else f"没有，图中没有{name}。"
    return Turn(talk.say("zh_exist", name=name), answer, "zh_exist")


def where(talk):
    thing = talk.rng.choice(talk.unique)
    name = name_zh(thing)
    return Turn(talk.say("zh_where", name=name), f"{name}在图片的{PLACE_ZH[thing.place]}。", "zh_where", thing)


def side(talk):
    one, other, wide, _ = talk.two()
    if not wide:
        return None
    answer = f"{name_zh(one)}在{name_zh(other)}的{'左边' if wide == 'left of' else '右边'}。"
    return Turn(talk.say("zh_side", name=name_zh(one), other=name_zh(other)), answer, "zh_side")


def color(talk):
    thing = talk.rng.choice(talk.shapes_once)
    shape = SHAPE_ZH[thing.name]
    return Turn(talk.say("zh_color", name=shape), f"{shape}是{COLOR_ZH[thing.color]}。", "zh_color", thing)


def what(talk):
    return Turn(talk.say("zh_what"), f"这是一个{name_zh(talk.things[0])}。", "zh_what", talk.things[0])


def background(talk):
    answer = BACKGROUND_ANSWER.get(talk.background) or f"背景是{BACKGROUND_ZH[talk.background]}。"
    return Turn(talk.say("zh_background"), answer, "zh_background")


def box(talk):
    name = name_zh(talk.rng.choice(talk.things))
    pairs = [(t.box, name) for t in sorted(_named(talk, name), key=lambda t: t.box[0])]
    return Turn(talk.say("zh_box", name=name), boxes_json(pairs), "zh_box", boxes=pairs)
