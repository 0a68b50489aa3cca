"""Posters: one to three things with one line of text above or below them."""

from PIL import Image, ImageDraw

from training.world.canvas import CELL
from training.world.catalog import article, join
from training.world.lettering import choose, dressed
from training.world.sample import Turn, spelled
from training.world.scene_talk import SceneTalk
from training.world.scenes import draw_scene, near_border, place_of, still

SKIP = (
    "describe",
    "no_text",
    "no_chart",
    "background",
    "zh_describe",
    "zh_background",
    "count_all",
    "zh_count",
    "absent",
)


def poster_sample(world):
    """(picture, turns)"""
    rng, brush = world.rng, world.brush
    while True:
        width, height = brush.size()
        band = max(44, int(height * rng.uniform(0.16, 0.28)))
        scene_height = (height - band) // CELL * CELL
        band = height - scene_height
        if scene_height < 112 or band > 150:
            continue
        what = rng.choice(["shapes", "pictograms", "mixed"])
        scene, things, background = draw_scene(brush, what, rng.choice([1, 1, 2, 3]), (width, scene_height), 0.85)
        top = rng.random() < 0.5
        offset = band if top else 0
        for thing in things:
            x1, y1, x2, y2 = thing.box
            thing.box = (x1, y1 + offset, x2, y2 + offset)
            thing.place = place_of(*thing.center, width, height)
        if not any(near_border(*t.center, width, height) for t in things):
            break
    ground = scene.getpixel((2, 2))
    image = Image.new("RGB", (width, height), ground)
    image.paste(scene, (0, offset))
    name, color = brush.text_color(ground)
    line, font = _headline(world, width, band)
    x = width / 2 if rng.random() < 0.7 else font.getlength(line) / 2 + 8
    y = band / 2 if top else scene_height + band / 2
    letters = brush.write(ImageDraw.Draw(image), (x, y), line, font, color, "mm")
    turns = rng.sample(_text_turns(world, things, line, name, top), rng.choice([2, 3]))
    turns += SceneTalk(brush, world.speaker, world.chat, things, background, (width, height)).turns(
        3, world.chinese, SKIP
    )
    rng.shuffle(turns)
    return still(brush.camera(image), things, letters), turns


def _headline(world, width, band):
    """(line, font) that fits the band."""
    rng, style = world.rng, choose(world)
    for _ in range(30):
        line = world.typist.line(rng.choice([1, 1, 2, 3]))
        font = world.assets.font(
            rng.choice(world.assets.font_names), rng.randint(18, max(19, min(44, int(band * 0.7))))
        )
        font = dressed(font, style)
        length = font.getlength(line)
        if length < width - 12 and not (style and font.size + 2 * font.drop(length / 2) > band):
            return line, font
    return "OK", font


def _text_turns(world, things, line, color, top):
    say = world.speaker.ask
    shown = join(article(t.full) for t in things)
    where = "above" if top else "below"
    return [
        Turn(say("read"), spelled(line), "read_poster", text=line),
        Turn(say("describe"), f'The image shows {shown} and the text "{spelled(line)}" {where}.', "describe_poster"),
        Turn(say("text_where"), f"The text is at the {'top' if top else 'bottom'}.", "text_where"),
        Turn(say("has_text"), "Yes, there is text in the image.", "has_text"),
        Turn(say("text_color"), f"The text is {color}.", "text_color"),
    ]
