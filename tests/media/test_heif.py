"""HEIC, as phones make it: decoded within the same limits, in a process of another kind than other images."""

import asyncio
import contextlib
import os

import numpy as np
import PIL.Image
import pytest

from qwen_demo.errors import MediaRefused
from qwen_demo.media import heif_decoder
from qwen_demo.raster import open_memory
from tests import hostile
from tests.hostile_heif import heic
from tests.media.here import Here

PHOTO = hostile.photo(128, 96)


def close(pixels, expected) -> bool:
    """But for what a lossy codec changes."""
    return pixels.size == expected.size and np.abs(np.asarray(pixels, int) - np.asarray(expected, int)).mean() < 9


@pytest.mark.parametrize("columns", [1, 2], ids=["one", "a grid of tiles"])
@pytest.mark.parametrize("brand", [b"heic", b"mif1"])
async def test_a_photo_is_decoded(loader, columns, brand):
    image = await loader().load_bytes(heic(PHOTO, columns=columns, brand=brand), kind="image")
    assert close(image.pixels, PHOTO)


@pytest.mark.parametrize("turns", [1, 2, 3])
async def test_it_comes_upright(loader, turns):
    image = await loader().load_bytes(heic(PHOTO, turns=turns))
    assert close(image.pixels, PHOTO.rotate(90 * turns, expand=True))


@pytest.mark.parametrize("layout", ["gray", "gray10le", "yuv420p10le", "yuv444p"])
async def test_each_depth_covers_black_to_white(loader, layout):
    ramp = PIL.Image.fromarray(np.tile(np.linspace(0, 255, 128).astype(np.uint8), (96, 1))).convert("RGB")
    assert close((await loader().load_bytes(heic(ramp, layout=layout))).pixels, ramp)


async def test_a_large_one_is_scaled_down_and_knows_its_size(loader):
    image = await loader(decoded_pixels=28 * 28 * 4).load_bytes(heic(PHOTO))
    assert image.size == (128, 96) and image.pixels.width * image.pixels.height < 28 * 28 * 5


async def test_the_limits_are_those_of_all_images(loader):
    data = heic(PHOTO, stated=(20_000, 20_000))
    with pytest.raises(MediaRefused, match=r"20000 x 20000 = 400,000,000 pixels.*--max-image-pixels"):
        await loader().load_bytes(data, name="a.heic")
    with pytest.raises(MediaRefused, match="--max-aspect-ratio"):
        await loader(max_aspect_ratio=1.2).load_bytes(heic(PHOTO))
    with pytest.raises(MediaRefused, match="--image-timeout-s"):
        await loader(image_timeout_s=1e-6).load_bytes(heic(PHOTO))


@pytest.mark.parametrize(
    "make",
    [
        lambda: heic(PHOTO)[:-400],
        lambda: heic(PHOTO)[:200],
        lambda: heic(PHOTO, stated=(64, 48)),
        lambda: b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100),
        lambda: heic(PHOTO).replace(b"hvc1", b"abcd"),
    ],
    ids=["cut short", "cut in its head", "lies about its size", "nothing in it", "another codec"],
)
async def test_what_cannot_be_read_is_called_heic_and_how_to_change_it(loader, make):
    with pytest.raises(MediaRefused, match=r"is HEIC and cannot be read.*Save it as JPEG.*Most Compatible"):
        await loader().load_bytes(make(), name="a.heic")


async def test_damage_anywhere_is_an_image_or_a_refusal(loader):
    files, data = loader(), heic(PHOTO, columns=2, turns=1)

    async def spoiled(place: int) -> None:
        broken = bytearray(data)
        broken[place] ^= 0xFF
        with contextlib.suppress(MediaRefused):
            await files.load_bytes(bytes(broken))

    await asyncio.gather(*map(spoiled, range(32, 700, 9)))


def test_memory_is_limited_to_what_was_said():
    file, here = open_memory("test"), Here()
    os.write(file, heic(PHOTO))
    job = {"max_pixels": 10**6, "max_aspect_ratio": 200, "kept_pixels": 10**6}
    assert heif_decoder.decode(job, file, here)["original"] == PHOTO.size
    assert here.within_bytes == here.plan["peak_bytes"] >= 128 * 96 * 10
