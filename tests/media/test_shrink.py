"""Very large pictures: scaled down as they are decoded, their own size kept, their memory bounded."""

import asyncio
import gc
import io
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from qwen_demo import media
from qwen_demo.errors import Overloaded
from qwen_demo.media import shrink
from qwen_demo.media.images import open_image
from qwen_demo.media.memory_budget import budget_of_loop
from qwen_demo.models.pixels import seen_size
from qwen_demo.settings import MIB, Settings
from tests import hostile
from tests.conftest import question, until

SMALL = Settings(_env_file=None, decoded_pixels=10_000)


def quarters(width: int, height: int, mode: str = "RGB") -> PIL.Image.Image:
    """Red and green above blue and white; grey modes from black to white."""
    picture = PIL.Image.new("RGB", (width, height), "white")
    picture.paste("red", (0, 0, width // 2, height // 2))
    picture.paste("green", (width // 2, 0, width, height // 2))
    picture.paste("blue", (0, height // 2, width // 2, height))
    return picture.convert(mode)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WebP", "GIF", "BMP", "TIFF"])
@pytest.mark.parametrize("size", [(1000, 600), (150, 90), (977, 101)])
def test_a_large_picture_is_scaled_down_and_knows_its_own_size(kind, size):
    image = media.decode_image(hostile.saved(quarters(*size), kind), SMALL)
    width, height = image.pixels.size
    assert image.size == size
    assert 9_000 < width * height < 11_000
    assert width / height == pytest.approx(size[0] / size[1], rel=0.05)
    for place, colour in (((0.25, 0.25), (255, 0, 0)), ((0.75, 0.25), (0, 128, 0)), ((0.25, 0.75), (0, 0, 255))):
        seen = image.pixels.getpixel((round(place[0] * width), round(place[1] * height)))
        assert max(abs(a - b) for a, b in zip(seen, colour, strict=True)) < 12, place


def test_a_picture_within_the_bound_is_left_alone():
    image = media.decode_image(hostile.saved(quarters(100, 100), "PNG"), SMALL)
    assert image.original_size is None and image.pixels.size == image.size == (100, 100)
    larger = SMALL.model_copy(update={"max_pixels": 1_000_000})
    assert media.decode_image(hostile.saved(quarters(900, 900), "PNG"), larger).pixels.size == (900, 900)


def test_a_turned_picture_is_turned_once_and_its_size_too():
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    image = media.decode_image(hostile.saved(quarters(1000, 600), "JPEG", exif=exif), SMALL)
    assert image.size == (600, 1000)
    assert image.pixels.width < image.pixels.height
    assert image.pixels.getpixel((image.pixels.width // 4, 10))[2] > 200, "blue was below, and is left above now"


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "1", "L", "I;16", "F", "CMYK"])
def test_every_mode_gives_the_same_in_strips_as_at_once(mode, monkeypatch):
    if mode == "I;16":
        picture = PIL.Image.fromarray((np.arange(300 * 200) % 65536).astype(np.uint16).reshape(200, 300))
    elif mode == "F":
        picture = PIL.Image.fromarray(np.linspace(-5, 9, 300 * 200, dtype=np.float32).reshape(200, 300))
    else:
        picture = quarters(300, 200, mode)
    if mode in ("RGBA", "LA"):
        picture.putalpha(PIL.Image.linear_gradient("L").resize((300, 200)))
    at_once = shrink.rgb_on_white(picture, picture.size).reduce(3).resize((80, 53), PIL.Image.Resampling.BICUBIC)
    monkeypatch.setattr(shrink, "STRIP_PIXELS", 7 * 300)
    in_strips = shrink.rgb_on_white(picture, (80, 53))
    difference = np.abs(np.asarray(at_once, int) - np.asarray(in_strips, int))
    assert difference.max() <= 2


def test_the_model_sees_the_grid_of_the_picture_as_it_was_sent(loaded):
    for size in ((1009, 611), (2049, 300), (700, 701), (3000, 1999)):
        image = media.decode_image(hostile.saved(quarters(*size), "PNG"), SMALL)
        whole = media.decode_image(hostile.saved(quarters(*size), "PNG"), Settings(_env_file=None))
        grids = [loaded.prompts.build(question("?", each)).media[0].grid_thw for each in (image, whole)]
        assert grids[0] == grids[1]
        bounds = {"min_pixels": loaded.info.min_pixels, "max_pixels": loaded.info.max_pixels}
        assert (grids[0][2] * 14, grids[0][1] * 14) == seen_size(*image.size, **bounds)


def test_digests_tell_apart_what_only_differs_in_its_size():
    white = [hostile.saved(PIL.Image.new("RGB", size, "white"), "PNG") for size in ((1000, 1000), (2000, 2000))]
    first, second = (media.decode_image(data, SMALL) for data in white)
    assert first.pixels.tobytes() == second.pixels.tobytes()
    assert first.digest != second.digest


PEAK = """
import re, sys
from qwen_demo.media.images import open_image
from qwen_demo.settings import Settings
limits = Settings(_env_file=None, max_image_bytes=200 << 20)
# Not getrusage: its figure begins with that of the process that started this one.
peak = lambda: int(re.search(r"VmHWM:\s+(\d+)", open("/proc/self/status").read())[1]) * 1024
data = sys.stdin.buffer.read()
open_image(data[:], limits)
before = peak()
opened = open_image(data, limits)
opened.decode()
print(peak() - before, opened.peak_bytes)
"""


@pytest.mark.parametrize(("kind", "mode"), [("PNG", "RGB"), ("PNG", "RGBA"), ("JPEG", "RGB"), ("WebP", "RGB")])
def test_decoding_takes_no_more_memory_than_it_says(kind, mode):
    picture = PIL.Image.linear_gradient("L").resize((6000, 6000)).convert(mode)
    file = io.BytesIO()
    picture.save(file, kind, **({"compress_level": 1} if kind == "PNG" else {"quality": 50}))
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PEAK],
        input=file.getvalue(),
        capture_output=True,
        cwd=Path(__file__).parents[2],
        check=True,
    )
    taken, said = map(int, result.stdout.split())
    assert 20 * MIB < taken < said + 24 * MIB
    if kind != "WebP":  # its library has no other way
        assert taken < 6000 * 6000 * 8, "a copy of the picture as it was, or two"


async def test_pictures_held_by_many_are_counted_and_given_back():
    limits = Settings(_env_file=None, memory_budget_mib=3)
    data = hostile.saved(quarters(500, 400), "PNG")
    budget = budget_of_loop(limits.memory_budget_mib * MIB)
    held = []
    with pytest.raises(Overloaded, match="--memory-budget-mib"):
        for _ in range(10):
            held.append(await media.load_bytes(data, limits))
    assert 0 < len(held) < 4
    assert budget.held_bytes == len(held) * 4 * 500 * 400
    held.clear()
    gc.collect()
    assert budget.held_bytes == 0
    assert (await media.load_bytes(data, limits)).size == (500, 400)


async def test_who_leaves_in_the_middle_leaves_the_memory_counted_until_the_thread_ends(monkeypatch):
    limits = Settings(_env_file=None)
    data, budget = hostile.saved(quarters(3000, 2400), "PNG"), budget_of_loop(limits.memory_budget_mib * MIB)
    said = open_image(data, limits).peak_bytes
    loading = asyncio.create_task(media.load_bytes(data, limits))
    await until(lambda: budget.held_bytes >= said)
    loading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await loading
    assert budget.held_bytes >= said
    await until(lambda: not budget.held_bytes)
    assert said > math.prod((3000, 2400)) * 4
