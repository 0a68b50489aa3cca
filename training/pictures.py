"""Draws the demo's example pictures and the questions that go with them.

    python -m training.pictures OUT [--seed 1] [--check CHECKPOINT]

Writes PNG files, one MP4 clip and `examples.json`: [{"files", "questions", "answers"}], the same for the same seed.
With --check the model is asked, and examples that it gets wrong are named; take another seed then.
"""

import argparse
import json
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image

from training.assets import Assets
from training.world.catalog import PICTOGRAM_NAMES, SHAPES, article, count_of, join, plural
from training.world.chart_talk import NAME, PART
from training.world.charts import Chart, Plotter
from training.world.chat import PHOTO
from training.world.clips import clip_sample
from training.world.grounding import boxes_json, points_json
from training.world.photos import photo_sample
from training.world.printed import MIN_FONT_PX
from training.world.sample import Sample, Thing, Turn, plain
from training.world.scene_talk import describe_scene
from training.world.scene_talk_zh import list_zh
from training.world.scenes import draw_scene, still
from training.world.world import World

CLIP_FPS = 2


def shape(name, color):
    from training.world.catalog import COLORS

    return Thing("shape", name, SHAPES.index(name), color, COLORS[color])


def pictogram(name):
    return Thing("pictogram", name, PICTOGRAM_NAMES.index(name))


def scene(world, things, size):
    image, placed, background = draw_scene(world.brush, "mixed", size=size, plain=1.0, things=things)
    return still(image, placed), placed, background


def example(name, pictures, *turns):
    """turns: (question, answer) of one dialogue."""
    return name, Sample(name, pictures, [[Turn(q, a, name) for q, a in turns]])


def shapes(world):
    things = [shape("circle", "red"), shape("square", "blue"), shape("triangle", "green"), shape("star", "yellow")]
    picture, placed, background = scene(world, things, (448, 336))
    left = placed[0]
    return example(
        "shapes",
        [picture],
        ("Describe the image.", describe_scene(placed, background)),
        ("What is the leftmost object?", f"The leftmost object is the {left.full}."),
    )


def boxes(world):
    picture, placed, _ = scene(world, [pictogram(n) for n in ("dog", "bicycle", "pizza")], (448, 336))
    pairs = [(t.box, t.full) for t in sorted(placed, key=lambda t: t.box[0])]
    return example(
        "boxes", [picture], ("Detect all objects and output their bounding boxes in JSON.", boxes_json(pairs))
    )


def point(world):
    picture, placed, _ = scene(world, [pictogram(n) for n in ("cat", "car", "sunflower", "guitar")], (420, 336))
    car = next(t for t in placed if t.name == "car")
    return example("point", [picture], ("Point to the car.", points_json([(car.box, "car")])))


def count(world):
    picture, placed, _ = scene(
        world, [pictogram(n) for n in ("apple", "apple", "banana", "apple", "banana")], (448, 308)
    )
    return example(
        "count",
        [picture],
        *(
            (f"How many {plural(n)} are there?", f"There are {count_of(sum(t.name == n for t in placed), n)}.")
            for n in ("apple", "banana")
        ),
    )


def chinese(world):
    picture, placed, _ = scene(world, [pictogram("panda"), shape("heart", "red"), pictogram("airplane")], (448, 308))
    return example("chinese", [picture], ("描述这张图片", f"图中有{list_zh(placed)}。"))


def sign(world):
    from PIL import ImageDraw

    image = Image.new("RGB", (448, 168), (250, 248, 240))
    lines = ["Welcome to the", "picture room"]
    for i, line in enumerate(lines):
        world.brush.write(
            ImageDraw.Draw(image), (224, 30 + 56 * i), line, world.assets.font("Lato-Bold.ttf", 40), (30, 60, 120), "ma"
        )
    return example("sign", [still(image)], ("Read the text.", "\n".join(lines)))


def receipt(world):
    from PIL import ImageDraw

    image = Image.new("RGB", (336, 280), (255, 255, 255))
    rows = [("Milk", "1.29"), ("Bread", "2.80"), ("Coffee", "6.45"), ("Total", "10.54")]
    draw, font = ImageDraw.Draw(image), world.assets.font("LiberationSans-Regular.ttf", max(MIN_FONT_PX, 26))
    world.brush.write(draw, (168, 16), "Corner Shop", font, (15, 15, 15), "ma")
    for i, (item, price) in enumerate(rows):
        world.brush.write(draw, (36, 66 + 48 * i), item, font, (15, 15, 15))
        world.brush.write(draw, (300, 66 + 48 * i), price, font, (15, 15, 15), "ra")
    return example(
        "receipt",
        [still(image)],
        ("What is the total?", "The total is 10.54."),
        ("How much is the coffee?", "The price of coffee is 6.45."),
    )


class DemoPlotter(Plotter):
    """A chart of given data in a given size."""

    def __init__(self, world, chart, size):
        super().__init__(world)
        self.width, self.height = size
        self.dark, self.ground, self.ink, self.grid, self.given = (
            False,
            (255, 255, 255),
            (20, 20, 20),
            (205, 205, 205),
            chart,
        )

    def _data(self):
        return self.given


def chart(world, kind, labels, values, title, unit=""):
    data = Chart(kind, labels, values, unit, title)
    image, _, _ = DemoPlotter(world, data, (448, 392)).plot()
    high = values.index(max(values))
    listed = "\n".join(f"{label}: {data.shown(i)}" for i, label in enumerate(labels))
    return example(
        f"{kind}_chart",
        [still(image)],
        (f"Which {PART[kind]} is the highest?", f"{labels[high]} is the highest with {data.shown(high)}."),
        ("List all values.", listed),
        ("What type of chart is this?", f"It is a {NAME[kind]}."),
    )


def bars(world):
    return chart(world, "bar", ["Mon", "Tue", "Wed", "Thu", "Fri"], [24, 41, 37, 58, 19], "Visitors per Day")


def pie(world):
    return chart(world, "pie", ["Tea", "Coffee", "Juice"], [20, 55, 25], "Favorite Items", "%")


def two_pictures(world):
    first, a, _ = scene(world, [pictogram("owl")], (252, 252))
    second, b, _ = scene(world, [shape("hexagon", "purple")], (252, 252))
    shown = [join(article(t.full) for t in things) for things in (a, b)]
    return example(
        "two_images",
        [first, second],
        (
            "What is the difference between the images?",
            f"The first image shows {shown[0]}, but the second image shows {shown[1]}.",
        ),
        ("Which image shows an owl?", "The first image shows an owl."),
    )


def clip(world):
    """Drawn until one thing moves; its first question is asked."""
    while True:
        picture, turns = clip_sample(world)
        moves = [t for t in turns if t.kind == "motion"]
        if len(picture.frames) >= 6 and moves and "moves" in moves[0].answer and len(turns[0].answer.split(". ")) == 1:
            picture.seconds_per_grid = 2 / CLIP_FPS
            name = moves[0].thing.full
            return example("clip", [picture], (f"Which way does the {name} move?", moves[0].answer))


def texture(world):
    """A picture outside the world: the honest answer is that the model cannot tell."""
    picture, _ = photo_sample(world, [])
    return example("texture", [picture], ("What is in this image?", PHOTO))


EXAMPLES = [shapes, boxes, point, count, chinese, sign, receipt, bars, pie, two_pictures, clip, texture]


def draw(seed):
    """name -> Sample"""
    assets = Assets(styles=("noto",))
    return dict(make(World(seed * 100 + i, assets, split="train")) for i, make in enumerate(EXAMPLES))


def write_clip(frames, path):
    """frames: uint8 (T, H, W, 3), one every 1 / CLIP_FPS seconds."""
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(CLIP_FPS), options={"crf": "16"})
        stream.height, stream.width, stream.pix_fmt = frames.shape[1], frames.shape[2], "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")))
        container.mux(stream.encode())


def write(samples, out):
    out.mkdir(parents=True, exist_ok=True)
    listing = []
    for name, sample in samples.items():
        files = []
        for i, picture in enumerate(sample.pictures):
            stem = name if len(sample.pictures) == 1 else f"{name}_{i + 1}"
            files.append(f"{stem}.mp4" if picture.is_clip else f"{stem}.png")
            if picture.is_clip:
                write_clip(picture.frames, out / files[-1])
            else:
                Image.fromarray(picture.frames[0]).save(out / files[-1])
        turns = sample.dialogues[0]
        listing.append(
            {"files": files, "questions": [t.question for t in turns], "answers": [plain(t.answer) for t in turns]}
        )
    (out / "examples.json").write_text(json.dumps(listing, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def right(turn, answer):
    """Exact, but for coordinates, which may be off by a tenth of the box."""
    from qwen_demo.answers.likeness import overlap
    from training.metrics import parse_grounding

    for key in ("bbox_2d", "point_2d"):
        expected, got = parse_grounding(turn.answer, key), parse_grounding(answer, key)
        if expected and got:
            expected, got = (sorted(pairs, key=lambda pair: pair[1]) for pairs in (expected, got))
            if [label for _, label in expected] != [label for _, label in got]:
                return False
            if key == "bbox_2d":
                return all(overlap(a, b) > 0.7 for (a, _), (b, _) in zip(expected, got, strict=True))
            return all(
                max(abs(x - y) for x, y in zip(a, b, strict=True)) < 14
                for (a, _), (b, _) in zip(expected, got, strict=True)
            )
    return answer.strip() == plain(turn.answer)


def check(samples, checkpoint):
    """[(name, question, expected, answer)] of wrong answers; each question is asked in its own dialogue and as it follows."""
    from training.evaluate import Model
    from training.questions import TASKS, Question

    model, wrong = Model(checkpoint), []
    for name, sample in samples.items():
        turns = sample.dialogues[0]
        for i, turn in enumerate(turns):
            for history in {0, i}:
                question = Question(TASKS[0], sample, [*turns[:history], turn])
                answer = model.answer(question.messages(), sample.pictures)
                if not right(turn, answer):
                    wrong.append((name, turn.question, plain(turn.answer), answer))
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--check", type=Path, metavar="CHECKPOINT")
    args = parser.parse_args()
    samples = draw(args.seed)
    write(samples, args.out)
    if args.check:
        wrong = check(samples, args.check)
        for miss in wrong:
            print(*map(repr, miss), sep="\n    ")
        print(f"{len(wrong)} wrong answers")


if __name__ == "__main__":
    main()
