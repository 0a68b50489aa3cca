"""Photographs and textures: pictures outside the world, to which the honest answer is that the model cannot tell."""

import numpy as np
from PIL import Image, ImageFilter

from training.phrases.everyday import about as say_everyday
from training.world import chat, textures
from training.world.catalog import article, plural
from training.world.sample import Turn
from training.world.scenes import still, thing_of


def photo_sample(world, pictures=None):
    """(picture, turns); pictures: PIL images to crop from instead of the assets' photographs."""
    rng, say, brush = world.rng, world.speaker.ask, world.brush
    width, height = brush.size() if rng.random() < 0.7 else brush.small_size()
    sources = pictures if pictures is not None else world.assets.photos
    if pictures is None and world.assets.split == "train":
        image = _training_picture(world, width, height)
    elif sources and (pictures is not None or rng.random() < 0.62):
        image = _crop(rng, rng.choice(sources), width, height)
    else:
        image = _texture(rng, brush.noise, width, height)
    turns = []
    for _ in range(rng.choice([2, 3])):
        chance = rng.random()
        name = thing_of(brush, "pictograms").name
        slots = {"name": name, "names": plural(name), "a_name": article(name)}
        if chance < world.chinese * 1.5:
            turns.append(Turn(say("zh_photo"), chat.ZH_PHOTO, "zh_photo"))
        elif chance < 0.66:
            turns.append(Turn(say("photo"), chat.PHOTO, "photo"))
        elif chance < 0.82 and pictures is None and world.assets.split == "train" and rng.random() < 0.3:
            field = rng.choice(["total", "date", "title", "sender", "name"])
            turns.append(Turn(say_everyday(rng, "train", field), chat.PHOTO, "photo"))
        elif chance < 0.82:
            turns.append(Turn(say(rng.choice(["exist", "count_kind", "where", "box"]), **slots), chat.PHOTO, "photo"))
        elif chance < 0.93:
            turns.append(Turn(say("read"), "I cannot see any readable text in the image.", "photo_text"))
        else:
            turns.append(
                Turn(say(rng.choice(["chart_type", "list_values"])), "There is no chart in the image.", "no_chart")
            )
    return still(brush.camera(image)), turns


def _training_picture(world, width, height):
    """A part of a photograph, of any size and in any light, or a surface."""
    rng, brush, chance = world.rng, world.brush, world.rng.random()
    if chance < 0.55 and world.assets.photos:
        image = _crop(rng, rng.choice(world.assets.photos), width, height, rng.choice([0.12, 0.3, 0.5]))
    elif chance < 0.92:
        image = textures.texture(rng, brush.noise, width, height)
    else:
        image = _texture(rng, brush.noise, width, height)
    if rng.random() < 0.3:  # low light, glare, strong or weak contrast
        gain, middle, aim = rng.uniform(0.35, 2.2), rng.uniform(70, 150), rng.uniform(30, 200)
        image = image.point([max(0, min(255, int((v - middle) * gain + aim))) for v in range(256)] * 3)
    if rng.random() < 0.15:
        image = image.convert("L").convert("RGB")
    if rng.random() < 0.15:
        image = image.filter(ImageFilter.BoxBlur(rng.uniform(0.5, 4)))
    if rng.random() < 0.4:
        image = brush.add_noise(image, rng.uniform(0.1, 0.9))
    return image


def _crop(rng, photo, width, height, smallest=0.3):
    """A random part of the photograph, from the whole to the share `smallest` of a side, with changed colours."""
    scale = rng.uniform(smallest, 1.0)
    crop_width, crop_height = photo.width * scale, photo.height * scale
    if crop_width / crop_height > width / height:
        crop_width = crop_height * width / height
    else:
        crop_height = crop_width * height / width
    x, y = rng.uniform(0, photo.width - crop_width), rng.uniform(0, photo.height - crop_height)
    image = photo.resize((width, height), Image.BILINEAR, box=(x, y, x + crop_width, y + crop_height))
    if rng.random() < 0.5:
        image = image.transpose(Image.FLIP_LEFT_RIGHT)
    if rng.random() < 0.6:
        gains, shift, order = [rng.uniform(0.55, 1.35) for _ in range(3)], rng.uniform(-25, 25), rng.sample(range(3), 3)
        image = image.point([max(0, min(255, int(v * gains[c] + shift))) for c in range(3) for v in range(256)])
        if rng.random() < 0.4:  # exchanged channels: skies need not be blue
            bands = image.split()
            image = Image.merge("RGB", [bands[c] for c in order])
    return image.convert("L").convert("RGB") if rng.random() < 0.12 else image


def _texture(rng, noise, width, height):
    """Fractal noise: clouds, stone, plasma."""
    field = np.zeros((height, width, 3), np.float32)
    cells, strength = 2, 1.0
    while cells < min(width, height) and strength > 0.04:
        layer = (noise.random((cells, cells + 1, 3)).astype(np.float32) * 255).astype(np.uint8)
        field += strength * np.asarray(Image.fromarray(layer).resize((width, height), Image.BICUBIC), np.float32)
        cells *= 2
        strength *= rng.uniform(0.45, 0.9)
    field -= field.min((0, 1))
    field /= field.max((0, 1)) + 1e-6
    if rng.random() < 0.6:
        first, last = (np.array([rng.randint(0, 255) for _ in range(3)], np.float32) for _ in range(2))
        field = field[..., :1] * first + (1 - field[..., :1]) * last
    else:
        field *= 255
    return Image.fromarray(field.clip(0, 255).astype(np.uint8))
