"""Several pictures in one question: describe, compare, which one has …"""

from training.world.catalog import article, join
from training.world.sample import Turn
from training.world.scenes import draw_scene, still

NTH = ["first", "second", "third"]


def group_sample(world):
    """(pictures, turns) for two or three pictures."""
    rng, brush = world.rng, world.brush
    count = 3 if rng.random() < 0.25 else 2
    same = count == 2 and rng.random() < 0.25
    pictures, scenes = [], []
    for i in range(count):
        number = 1 if same or rng.random() < 0.7 else 2
        again = scenes[0] if same and i else None
        image, things, _ = draw_scene(
            brush, rng.choice(["shapes", "pictograms"]), number, brush.small_size(), 0.8, again
        )
        pictures.append(still(brush.camera(image), things))
        scenes.append(things)
    shown = [join(article(t.full) for t in things) for things in scenes]
    pool = _pair_turns(world.speaker.ask, shown) if count == 2 else _triple_turns(world.speaker.ask, shown)
    pool += _each(rng, world.speaker.ask, scenes, shown)
    return pictures, rng.sample(pool, min(len(pool), rng.choice([3, 4, 5])))


def _pair_turns(say, shown):
    first, second = shown
    equal = first == second
    both = f"Both images show {first}."
    return [
        Turn(say("pair_describe"), f"The first image shows {first}. The second image shows {second}.", "pair_describe"),
        Turn(
            say("pair_compare"),
            both if equal else f"The first image shows {first}, but the second image shows {second}.",
            "pair_compare",
        ),
        Turn(
            say("pair_same"),
            f"Yes, both images show {first}."
            if equal
            else f"No. The first image shows {first} and the second image shows {second}.",
            "pair_same",
        ),
    ]


def _triple_turns(say, shown):
    answer = " ".join(f"The {nth} image shows {what}." for nth, what in zip(NTH, shown, strict=True))
    return [Turn(say("triple_describe"), answer, "triple_describe")]


def _each(rng, say, scenes, shown):
    turns = [
        Turn(say("nth", nth=NTH[i], n=i + 1), f"The {NTH[i]} image shows {what}.", "nth")
        for i, what in enumerate(shown)
    ]
    turns.append(Turn(say("n_images"), f"There are {'two' if len(scenes) == 2 else 'three'} images.", "n_images"))
    thing = rng.choice(rng.choice(scenes))
    holding = [i for i, things in enumerate(scenes) if any(t.full == thing.full for t in things)]
    if len(holding) == 1:
        answer = f"The {NTH[holding[0]]} image shows {article(thing.full)}."
    elif len(scenes) == len(holding) == 2:
        answer = f"Both images show {article(thing.full)}."
    else:
        return turns
    turns.append(Turn(say("which_image", name=thing.full, a_name=article(thing.full)), answer, "which_image"))
    return turns
