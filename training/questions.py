"""The held-out set: wordings, words, fonts, an art style and photographs that training never saw, from fixed seeds."""

import random
from dataclasses import dataclass

from PIL import Image

from training.assets import HELD_OUT_STYLE, Assets
from training.world.photos import photo_sample
from training.world.sample import Sample, Turn, plain
from training.world.world import World

SEED = 770_000


@dataclass(frozen=True)
class Task:
    """One row of the table.  families: where its questions come from; kinds: which of their questions count, () for all."""

    name: str
    families: tuple
    kinds: tuple = ()
    metric: str = "exact"  # exact, text, boxes, points or refusal
    style: str = "seen"  # artwork: "seen" or "unseen"
    chinese: float = 0.0
    photos: bool = False


SHAPES, ART = ("shapes",), ("pictograms",)
TASKS = [
    Task("shapes: describe", SHAPES, ("describe",)),
    Task("shapes: list", SHAPES, ("list",)),
    Task("shapes: colour", SHAPES, ("color", "is_color")),
    Task("shapes: shape", SHAPES, ("shape_of", "what_is")),
    Task("shapes: place", SHAPES, ("where", "what_at", "outermost")),
    Task("shapes: size", SHAPES, ("largest", "smallest", "compare_size")),
    Task("shapes: relations", SHAPES, ("relation", "side")),
    Task("shapes: yes / no", SHAPES, ("exist", "absent")),
    Task("count up to 6", ("shapes", "pictograms", "mixed"), ("count_all", "count_kind")),
    Task("pictograms: name", ART, ("what_is", "list", "what_at")),
    Task("pictograms: find, left / right", ART, ("exist", "where", "relation", "side", "outermost", "count_kind")),
    Task("pictograms: name, unseen art", ART, ("what_is", "list", "what_at"), style="unseen"),
    Task(
        "pictograms: find, unseen art",
        ART,
        ("exist", "where", "relation", "side", "outermost", "count_kind"),
        style="unseen",
    ),
    Task("box of one thing", ("shapes", "pictograms", "mixed"), ("box",), "boxes"),
    Task("boxes of all things", ("shapes", "pictograms", "mixed"), ("boxes",), "boxes"),
    Task("point to a thing", ("shapes", "pictograms", "mixed"), ("point",), "points"),
    Task("printed words", ("printed",), ("read_word",), "text"),
    Task("printed lines", ("printed",), ("read_line", "read_lines"), "text"),
    Task("printed numbers", ("printed",), ("read_number",), "text"),
    Task(
        "text: first / last line or word",
        ("printed",),
        ("first_line", "second_line", "last_line", "first_word", "last_word"),
        "text",
    ),
    Task("receipts: read", ("receipt",), ("read_receipt",), "text"),
    Task("receipts: total, price, items", ("receipt",), ("total", "price", "n_items", "dearest", "shop")),
    Task("posters", ("poster",), ("read_poster", "text_where", "has_text", "text_color", "describe_poster")),
    Task("charts: value", ("chart",), ("value", "which_value")),
    Task("charts: highest, lowest", ("chart",), ("highest", "lowest", "compare")),
    Task("charts: list", ("chart",), ("list_values", "describe_chart")),
    Task("charts: kind, number, title", ("chart",), ("chart_type", "n_parts", "title", "trend")),
    Task("several images", ("group",)),
    Task("clips: motion and change", ("clip",)),
    Task('later turns ("it")', ("shapes", "pictograms", "mixed"), ("it_where", "it_color")),
    Task("image in a later turn", ("late",), ("describe", "list", "color", "where", "exist", "count_all", "what_is")),
    Task("greetings, abilities, off topic", ("chat",)),
    Task(
        "photographs: honest refusal",
        ("photo",),
        ("photo", "photo_text", "no_chart", "zh_photo"),
        "refusal",
        photos=True,
    ),
    Task(
        "Chinese: shapes",
        SHAPES,
        (
            "zh_describe",
            "zh_count",
            "zh_count_kind",
            "zh_exist",
            "zh_where",
            "zh_what",
            "zh_color",
            "zh_side",
            "zh_background",
        ),
        chinese=1.0,
    ),
    Task(
        "Chinese: pictograms",
        ART,
        ("zh_describe", "zh_count", "zh_count_kind", "zh_exist", "zh_where", "zh_what", "zh_side"),
        chinese=1.0,
    ),
    Task("Chinese: charts", ("chart",), ("zh_highest", "zh_lowest", "zh_value", "zh_chart_type"), chinese=0.3),
]


@dataclass
class Question:
    """The last turn of `turns` is asked; earlier ones are given as history."""

    task: Task
    sample: Sample
    turns: list

    @property
    def turn(self) -> Turn:
        return self.turns[-1]

    def messages(self):
        """For the processor's chat template."""
        sample, out = self.sample, [{"role": "system", "content": self.sample.system}]
        for question, answer in sample.history:
            out += [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
        pictures = [{"type": "video" if p.is_clip else "image"} for p in sample.pictures]
        for i, turn in enumerate(self.turns):
            text = [{"type": "text", "text": turn.question}]
            content = text if i else text + pictures if sample.question_first else pictures + text
            out.append({"role": "user", "content": content})
            if turn is not self.turn:
                out.append({"role": "assistant", "content": plain(turn.answer)})
        return out


def sample_photos():
    """The photographs that scikit-image ships: kept for evaluation alone."""
    from pathlib import Path

    import skimage

    folder = Path(skimage.__file__).parent / "data"
    names = [
        "astronaut",
        "chelsea",
        "coffee",
        "rocket",
        "camera",
        "brick",
        "grass",
        "gravel",
        "moon",
        "page",
        "coins",
        "retina",
        "motorcycle_left",
    ]
    found = [p for name in names for p in folder.glob(name + ".*") if p.suffix in (".png", ".jpg", ".jpeg")]
    return [Image.open(p).convert("RGB") for p in found if p.stem != "page"]


def questions(task, count, assets, photos, wordings="test"):
    """`count` questions of a task, at most two of one picture.  assets: style -> Assets; wordings: "test" or "train"."""
    index = TASKS.index(task)
    world = World(SEED + index, assets[task.style], split="test", chinese=task.chinese, wordings=wordings)
    pick = random.Random(index)
    out = []
    while len(out) < count:
        if task.photos:
            picture, turns = photo_sample(world, photos)
            sample = Sample("photo", [picture], [[turn] for turn in turns])
        else:
            sample = world.sample(pick.choice(task.families))
        found = [
            Question(task, sample, dialogue[: i + 1])
            for dialogue in sample.dialogues
            for i, turn in enumerate(dialogue)
            if (not task.kinds or turn.kind in task.kinds)
            and (i == 0 or task.name.startswith(("later", "greet", "several", "clips")))
        ]
        if task.name.startswith("count"):
            found = [q for q in found if len(sample.pictures[0].things) <= 6]
        out += pick.sample(found, min(2, len(found)))
    return out[:count]


def load_assets(fonts="heldout"):
    """fonts: "heldout" or "train"; artwork seen in training, and the unseen style."""
    return {
        "seen": Assets(fonts=fonts, photos="none"),
        "unseen": Assets(styles=(HELD_OUT_STYLE,), fonts=fonts, photos="none"),
    }
