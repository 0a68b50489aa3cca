"""Varied training text: labels stay on their letters, lines stay in the picture, evaluation stays plain."""

import hashlib
import random
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image, ImageDraw

from training.assets import Assets
from training.world.canvas import Brush
from training.world.lettering import Style, StyledFont, choose
from training.world.world import World

HELD_OUT = "3aaadc8b0ba44a40"  # SHA-256 of the files in the order of their names


@pytest.fixture(scope="module")
def assets():
    return Assets(styles=("noto",), photos="none")


@pytest.fixture
def page():
    return Image.new("L", (400, 160), 255)


def write(page, assets, at, text, style, anchor="la"):
    font = StyledFont(assets.font("Lato-Bold.ttf", 40), style)
    image = page.convert("RGB")
    letters = Brush(random.Random(1), None, assets).write(ImageDraw.Draw(image), at, text, font, (0, 0, 0), anchor)
    return np.asarray(image.convert("L")) < 128, letters


@pytest.mark.parametrize("anchor", ["la", "ma", "rm"])
@pytest.mark.parametrize(
    "style",
    [Style(), Style(slant=12), Style(angle=4), Style(angle=-4, stretch=1.2), Style(stretch=0.85, spacing=0.12)],
)
def test_each_label_lies_on_the_middle_of_its_letter(page, assets, style, anchor):
    x = {"l": 40, "m": 200, "r": 360}[anchor[0]]
    ink, letters = write(page, assets, (x, 60), "H O H", style, anchor)
    columns = np.flatnonzero(ink.any(0))
    runs = np.split(columns, np.flatnonzero(np.diff(columns) > 4) + 1)
    assert [c for _, _, c in letters] == ["H", "O", "H"] and len(runs) == 3
    for run, (label_x, label_y, _) in zip(runs, letters, strict=True):
        rows = np.flatnonzero(ink[:, run].any(1))
        assert abs(run.mean() - label_x) < 3 and abs(rows.mean() - label_y) < 4


@pytest.mark.parametrize("at", [(-30, -20), (330, 140), (100, 150)])
def test_a_line_that_would_leave_the_picture_is_moved_in(page, assets, at):
    ink, letters = write(page, assets, at, "inside", Style(angle=4, shadow=(2, 2)))
    assert not (ink[0].any() or ink[-1].any() or ink[:, 0].any() or ink[:, -1].any())
    assert len(letters) == 6 and all(0 < x < 400 and 0 < y < 160 for x, y, _ in letters)


def test_evaluation_draws_plain_text_from_an_untouched_stream():
    rng = random.Random(3)
    before = rng.getstate()
    assert choose(SimpleNamespace(rng=rng, split="test")) is None and rng.getstate() == before
    assert any(choose(SimpleNamespace(rng=rng, split="train")) for _ in range(20))


def test_no_label_of_training_text_lies_outside_its_picture(assets):
    world = World(8, assets)
    for family in ("printed", "receipt") * 40:
        picture = world.sample(family).pictures[0]
        _, height, width, _ = picture.frames.shape
        assert picture.letters and all(0 <= x < width and 0 <= y < height for x, y, _ in picture.letters)


def test_the_held_out_fonts_stay_the_ones_that_results_were_measured_with(assets):
    held_out = Assets(styles=(), fonts="heldout", photos="none")
    digest = hashlib.sha256(b"".join(held_out._font_data[n] for n in held_out.font_names)).hexdigest()
    assert digest.startswith(HELD_OUT)
    families = ("ebgaramond", "go-", "lobster", "notosansmono")
    assert len(assets.font_names) > 250 and not [n for n in assets.font_names if n.lower().startswith(families)]
