"""How training draws pictograms and surfaces: other artists' styles for training, the artwork as it is for evaluation."""

import random

import numpy as np
import pytest
from PIL import Image, ImageDraw

from training.assets import Assets
from training.world import artwork, textures
from training.world.world import World


def picture():
    """A red disc with a blue half on transparent ground."""
    image = Image.new("RGBA", (128, 128))
    draw = ImageDraw.Draw(image)
    draw.ellipse((4, 4, 123, 123), fill=(220, 40, 40, 255))
    draw.pieslice((4, 4, 123, 123), 0, 180, fill=(40, 80, 220, 255))
    return image


def test_lines_follow_the_outline_and_the_border_of_two_colours():
    layers = artwork.layers(picture())
    thin, middle = np.asarray(layers.lines[0]), 64 + artwork.PAD
    assert thin[artwork.PAD + 4, middle] > 100 and thin[middle, middle] > 100
    assert thin[middle - 25, middle] == 0 and thin[middle + 25, middle] == 0


def test_what_lines_enclose_counts_as_their_body():
    ring = Image.new("RGBA", (96, 96))
    ImageDraw.Draw(ring).ellipse((4, 4, 91, 91), outline=(0, 0, 0, 255), width=6)
    drawing = artwork.ink(ring)
    assert drawing.ink.getpixel((52, 52)) == 0 and drawing.body.getpixel((52, 52)) == 255
    assert drawing.body.getpixel((1, 1)) == 0


@pytest.mark.parametrize("ground", [(250, 250, 250), (20, 20, 40)])
def test_lines_alone_stand_out_from_what_is_behind_them(ground):
    ring = Image.new("RGBA", (96, 96))
    ImageDraw.Draw(ring).ellipse((4, 4, 91, 91), outline=(0, 0, 0, 255), width=10)
    drawing, rng = artwork.ink(ring), random.Random(1)
    hollow = [
        i for i in (artwork._draw_ink(rng, drawing, 80, ground) for _ in range(60)) if not i.getpixel((40, 40))[3]
    ]
    for image in hollow:
        pixels = np.asarray(image)
        assert abs(int(pixels[pixels[..., 3] > 200][:, :3].mean()) - np.mean(ground)) > 60
    assert hollow


def test_every_look_keeps_the_size_and_covers_the_picture():
    layers, rng = artwork.layers(picture()), random.Random(2)
    for look in artwork.LOOKS:
        image = artwork._restyled(rng, layers, look, 60)
        assert max(image.size) == 60 and np.asarray(image)[30, 30, 3] == 255, look


def test_training_alone_restyles_pictograms():
    plain, styled = Assets(styles=("noto",), photos="none"), Assets(styles=("noto",), photos="none")
    few = {number: images[:1] for number, images in plain.pictograms.items()}
    styled.artwork = artwork.Artwork({n: few[n] for n in list(few)[:3]}, {})
    styled.pictograms = {n: few[n] for n in list(few)[:3]}
    plain.pictograms = styled.pictograms
    first, again, other = (World(3, a).sample("pictograms").pictures[0].frames for a in (plain, plain, styled))
    assert np.array_equal(first, again)
    assert first.shape != other.shape or not np.array_equal(first, other)


def test_surfaces_fill_any_size_and_are_not_flat():
    rng, noise = random.Random(0), np.random.default_rng(0)
    spread = [np.asarray(textures.texture(rng, noise, 224, 308)).std() for _ in range(12)]
    assert textures.texture(rng, noise, 308, 224).size == (308, 224)
    assert np.median(spread) > 8
