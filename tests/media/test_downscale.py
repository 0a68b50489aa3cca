"""Very large images: scaled down as they are decoded, their own size kept, their memory bounded."""

import asyncio
import gc
import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from qwen_demo.errors import Overloaded
from qwen_demo.media import deep_image_decoder, downscale
from qwen_demo.models.pixels import seen_size
from qwen_demo.settings import MIB, Settings
from tests import hostile
from tests.conftest import question
from tests.media.here import run_here

SMALL = {"decoded_pixels": 10_000}


def quarters(width: int, height: int, mode: str = "RGB") -> PIL.Image.Image:
    """Red and green above blue and white; grey modes from black to white."""
    image = PIL.Image.new("RGB", (width, height), "white")
    image.paste("red", (0, 0, width // 2, height // 2))
    image.paste("green", (width // 2, 0, width, height // 2))
    image.paste("blue", (0, height // 2, width // 2, height))
    return image.convert(mode)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WebP", "GIF", "BMP", "TIFF"])
@pytest.mark.parametrize("size", [(1000, 600), (150, 90), (977, 101)])
async def test_a_large_image_is_scaled_down_and_knows_its_own_size(loader, kind, size):
    image = await loader(**SMALL).load_bytes(hostile.saved(quarters(*size), kind))
    width, height = image.pixels.size
    assert image.size == size
    assert 9_000 < width * height < 11_000
    assert width / height == pytest.approx(size[0] / size[1], rel=0.05)
    for place, colour in (((0.25, 0.25), (255, 0, 0)), ((0.75, 0.25), (0, 128, 0)), ((0.25, 0.75), (0, 0, 255))):
        seen = image.pixels.getpixel((round(place[0] * width), round(place[1] * height)))
        assert max(abs(a - b) for a, b in zip(seen, colour, strict=True)) < 12, place


@pytest.mark.parametrize("size", [(8160, 6144), (16382, 3900), (6944, 9248)])
def test_photos_of_phones_fit_and_take_what_was_counted_and_no_more(size):
    data = hostile.saved(PIL.Image.new("L", size, 200), "JPEG")
    here, last = run_here(data, Settings(_env_file=None))
    assert tuple(last["original"]) == size
    assert here.within_bytes == here.plan["peak_bytes"] < 250 * MIB


async def test_an_image_within_the_bound_is_left_alone(loader):
    image = await loader(**SMALL).load_bytes(hostile.saved(quarters(100, 100), "PNG"))
    assert image.original_size is None and image.pixels.size == image.size == (100, 100)
    larger = loader(**SMALL, max_pixels=1_000_000)
    assert (await larger.load_bytes(hostile.saved(quarters(900, 900), "PNG"))).pixels.size == (900, 900)


async def test_a_turned_image_is_turned_once_and_its_size_too(loader):
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    image = await loader(**SMALL).load_bytes(hostile.saved(quarters(1000, 600), "JPEG", exif=exif))
    assert image.size == (600, 1000)
    assert image.pixels.width < image.pixels.height
    assert image.pixels.getpixel((image.pixels.width // 4, 10))[2] > 200, "blue was below, and is left above now"


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "1", "L", "I;16", "F", "CMYK"])
def test_every_mode_gives_the_same_in_strips_as_at_once(mode, monkeypatch):
    if mode == "I;16":
        image = PIL.Image.fromarray((np.arange(300 * 200) % 65536).astype(np.uint16).reshape(200, 300))
    elif mode == "F":
        image = PIL.Image.fromarray(np.linspace(-5, 9, 300 * 200, dtype=np.float32).reshape(200, 300))
    else:
        image = quarters(300, 200, mode)
    if mode in ("RGBA", "LA"):
        image.putalpha(PIL.Image.linear_gradient("L").resize((300, 200)))
    grey = deep_image_decoder.grey_of(image) if downscale.is_deep(image) else None
    at_once = downscale.rgb_on_white(image, image.size, grey).reduce(3).resize((80, 53), PIL.Image.Resampling.BICUBIC)
    monkeypatch.setattr(downscale, "STRIP_PIXELS", 7 * 300)
    in_strips = downscale.rgb_on_white(image, (80, 53), grey)
    difference = np.abs(np.asarray(at_once, int) - np.asarray(in_strips, int))
    assert difference.max() <= 2


async def test_the_model_sees_the_grid_of_the_image_as_it_was_sent(loader, loaded):
    for size in ((1009, 611), (2049, 300), (700, 701), (3000, 1999)):
        image = await loader(**SMALL).load_bytes(hostile.saved(quarters(*size), "PNG"))
        whole = await loader().load_bytes(hostile.saved(quarters(*size), "PNG"))
        grids = [loaded.prompts.build(question("?", each)).media[0].grid_thw for each in (image, whole)]
        assert grids[0] == grids[1]
        bounds = {"min_pixels": loaded.info.min_pixels, "max_pixels": loaded.info.max_pixels}
        assert (grids[0][2] * 14, grids[0][1] * 14) == seen_size(*image.size, **bounds)


async def test_digests_tell_apart_what_only_differs_in_its_size(loader):
    white = [hostile.saved(PIL.Image.new("RGB", size, "white"), "PNG") for size in ((1000, 1000), (2000, 2000))]
    first, second = [await loader(**SMALL).load_bytes(data) for data in white]
    assert first.pixels.tobytes() == second.pixels.tobytes()
    assert first.digest != second.digest


PEAK = """
import re, sys
from qwen_demo.settings import Settings
from tests.media.here import run_here
limits = Settings(_env_file=None, max_image_bytes=200 << 20)
# Not getrusage: its figure begins with that of the process that started this one.
peak = lambda: int(re.search(r"VmHWM:\s+(\d+)", open("/proc/self/status").read())[1]) * 1024
data = sys.stdin.buffer.read()
run_here(bytes.fromhex(sys.argv[1]), limits)
before = peak()
here, _ = run_here(data, limits)
print(peak() - before, here.plan["peak_bytes"])
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "mode"),
    [
        ("PNG", "RGB"),
        pytest.param("PNG", "RGBA", marks=pytest.mark.slow),
        ("JPEG", "RGB"),
        pytest.param("WebP", "RGB", marks=pytest.mark.slow),
    ],
)
def test_decoding_takes_no_more_memory_than_it_says(kind, mode):
    image = PIL.Image.linear_gradient("L").resize((6000, 6000)).convert(mode)
    file = io.BytesIO()
    image.save(file, kind, **({"compress_level": 1} if kind == "PNG" else {"quality": 50}))
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PEAK, hostile.saved(quarters(50, 50), kind).hex()],
        input=file.getvalue(),
        capture_output=True,
        cwd=Path(__file__).parents[2],
        check=True,
    )
    taken, said = map(int, result.stdout.split())
    assert 20 * MIB < taken < said + 24 * MIB
    if kind != "WebP":  # its library has no other way
        assert taken < 6000 * 6000 * 8, "a copy of the image as it was, or two"


async def test_images_held_by_many_are_counted_and_given_back(loader):
    few = loader(memory_budget_mib=3, cache_seconds=0)
    data = hostile.saved(quarters(500, 400), "PNG")
    held = []
    with pytest.raises(Overloaded, match="--memory-budget-mib"):
        for _ in range(10):
            held.append(await few.load_bytes(data))
    assert 0 < len(held) < 4
    assert few.budget.held_bytes == len(held) * 3 * 500 * 400
    held.clear()
    gc.collect()
    assert few.budget.held_bytes == 0
    assert (await few.load_bytes(data)).size == (500, 400)


async def test_who_leaves_in_the_middle_leaves_the_memory_counted_until_the_decoder_is_gone(loader, monkeypatch):
    all_of_it, decoded = loader(), asyncio.Event()

    async def taken(*_):
        decoded.set()
        await asyncio.Event().wait()

    monkeypatch.setattr("qwen_demo.media.jobs.DecoderJob.raster", taken)
    data, budget = hostile.saved(quarters(600, 400), "PNG"), all_of_it.budget
    loading = asyncio.create_task(all_of_it.load_bytes(data))
    await decoded.wait()
    assert budget.held_bytes > 600 * 400 * 7 and all_of_it.decoders.working("image")
    loading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await loading
    assert not budget.held_bytes and not all_of_it.decoders.working("image")
