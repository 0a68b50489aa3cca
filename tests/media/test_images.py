"""Still images and the places they come from: nothing but an `Image` or a clear refusal."""

import io
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import PIL.Image
import PIL.ImageOps
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from qwen_demo import media
from qwen_demo.errors import MediaRefused
from qwen_demo.media import image_decoder, images
from qwen_demo.media.exchange import Refused
from qwen_demo.media.sniff import file_format
from qwen_demo.settings import Settings
from qwen_demo.types import Image
from tests import hostile
from tests.media.here import decode_here

WHITE, BLACK = (255, 255, 255), (0, 0, 0)

# file -> words that its refusal must have
REFUSED = {
    "bomb.png": "30000 x 30000 = 900,000,000 pixels; the limit is 67,000,000",
    "bomb.gif": "60000 x 60000",
    "bomb-frame.gif": "9000 x 9000",
    "bomb.tiff": "60000 x 60000",
    "bomb.webp": "16383 x 16383",
    "bomb-scans.jpg": "scans",
    "many-chunks.png": "too many small pieces",
    "big.tiff": "is BigTIFF",
    "100000x1.png": "100000 x 1 pixels, 100000:1; the limit is 200:1",
    "0x5.png": "damaged",
    **{f"cut.{kind}": "cut short" for kind in ("png", "jpg", "webp", "gif", "bmp", "tiff", "avif")},
    "text.png": "unknown kind",
    "svg.png": "is SVG",
    "page.gif": "is HTML",
    "pdf.jpg": "is PDF",
    "eps.jpg": "is PostScript",
    "heic.jpg": "is HEIC",
    "empty.png": "is empty",
}
SIZES = {
    "1x1.png": (28, 28),
    "20x2000.png": (28, 2800),
    "3x600.png": (28, 5600),
    "zip.png": (320, 240),
    "html.gif": (320, 240),
    "cmyk.tiff": (320, 240),
    "lab.tiff": (64, 64),
}


@pytest.fixture
def decode(loader):
    async def decode(name: str, **limits) -> Image:
        return await loader(**limits).load_bytes(hostile.STILLS[name](), kind="image", name=name)

    return decode


def assert_helpful(message: str) -> None:
    """No memory address, no internals, nothing that was raised below us."""
    assert not re.search(r"0x[0-9a-f]{5}|PIL|Pillow|BytesIO|libtiff|Traceback|object at|Error", message), message
    assert "\n" not in message and len(message) < 400


@pytest.mark.parametrize("name", REFUSED)
async def test_hostile_images_are_refused_in_words_that_help(decode, name):
    with pytest.raises(MediaRefused) as caught:
        await decode(name)
    assert REFUSED[name] in str(caught.value)
    assert_helpful(str(caught.value))


@pytest.mark.slow
async def test_every_still_of_the_hostile_folder_is_an_image_or_a_refusal(decode, caplog):
    for name in hostile.STILLS:
        if name not in REFUSED:
            image = await decode(name)
            assert image.pixels.mode == "RGB" and min(image.pixels.size) >= media.MODEL_MIN_SIDE, name
            assert max(image.pixels.size) / min(image.pixels.size) <= 200, name
    assert not caplog.records, "a decoder made a mistake of its own"


# Harmless, as what would burst is never read.
ANSWERED = {"bomb-text.png", "bomb-comments.gif", "bomb-directory.tiff", "bomb-exif.jpg", "bomb-exif.avif"}


@pytest.mark.slow
def test_bombs_take_no_memory():
    program = """
import re
from tests import hostile
from tests.media.here import decode_here
from qwen_demo.media.exchange import Refused
from qwen_demo.media.image_decoder import DAMAGE
from qwen_demo.settings import Settings
limits = Settings(_env_file=None)
bombs = {name: make() for name, make in hostile.STILLS.items() if "bomb" in name and name != "bomb.png"}
# Not getrusage: its figure begins with that of the process that started this one.
peak = lambda: int(re.search("VmHWM: *\\t *([0-9]+)", open("/proc/self/status").read())[1])
before = peak()
for name, data in bombs.items():
    try:
        decode_here(data, limits)
        assert name in {answered}, name
    except (Refused, *DAMAGE):
        pass
print((peak() - before) // 1024)
"""
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program.replace("{answered}", repr(ANSWERED))],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
        check=True,
    )
    assert int(result.stdout) < 100, "MiB taken by files that hold 1 MiB or less"


@pytest.mark.parametrize(("name", "size"), SIZES.items())
async def test_odd_images_are_accepted_with_sides_the_model_takes(decode, name, size):
    assert (await decode(name)).pixels.size == size


@pytest.mark.parametrize("name", [name for name in hostile.STILLS if name.startswith("oriented")])
async def test_images_come_upright(decode, name):
    # JPEG and WebP are lossy: the reference is what Pillow makes of the same file.
    with PIL.Image.open(io.BytesIO(hostile.STILLS[name]())) as stored:
        stored.load()
        expected = PIL.ImageOps.exif_transpose(stored).convert("RGB")
    assert np.array_equal(np.asarray((await decode(name)).pixels), np.asarray(expected))


async def test_orientation_six_turns_clockwise(decode):
    pixels = (await decode("oriented-6.png")).pixels
    assert pixels.size == (240, 320)
    left, right = pixels.getpixel((20, 20)), pixels.getpixel((220, 20))
    assert max(left) == left[2] and max(right) == right[0], "stored: red above blue; turned: blue left of red"


@pytest.mark.parametrize("name", ["rgba.png", "la.png", "p.png", "rgba.webp", "rgba.avif", "p.gif", "key-colour.png"])
async def test_transparency_is_put_on_white(decode, name):
    pixels = (await decode(name)).pixels
    assert pixels.getpixel((2, 2)) == WHITE
    assert pixels.getpixel((32, 32)) == BLACK


@pytest.mark.parametrize("name", ["animated.gif", "animated.png", "animated.webp", "animated.avif"])
async def test_animations_give_their_first_frame(decode, name):
    red, green, blue = (await decode(name)).pixels.getpixel((30, 30))
    assert red > 235 and green < 15 and blue < 15


@pytest.mark.parametrize("name", ["cmyk.jpg", "cmyk.tiff"])
async def test_cmyk_keeps_its_colours(decode, name):
    pixels = np.asarray((await decode(name)).pixels, dtype=int)
    assert np.abs(pixels - np.asarray(hostile.photo(), dtype=int)).mean() < 12


@pytest.mark.parametrize("name", ["grey-16.png", "float.tiff"])
async def test_deep_grey_covers_black_to_white(decode, name):
    row = np.asarray((await decode(name)).pixels, dtype=int)[..., 0].ravel()
    assert row[0] == 0 and row[-1] == 255 and (np.diff(row) >= 0).all()
    assert abs(row.mean() - 127) < 2


async def test_floats_that_are_no_numbers_do_no_harm(decode):
    pixels = (await decode("odd-floats.tiff")).pixels
    assert [pixels.getpixel((x, 0))[0] for x in range(8)] == [0, 0, 0, 0, 0, 0, 0, 255]


async def test_one_bit_images_are_black_and_white(decode):
    assert (await decode("1-bit.png")).pixels.getpixel((32, 32)) == WHITE
    assert (await decode("1-bit.png")).pixels.getpixel((2, 2)) == BLACK


async def test_equal_images_have_equal_digests_whatever_the_file(loader):
    photo = hostile.photo()
    digests = [(await loader().load_bytes(hostile.saved(photo, kind))).digest for kind in ("PNG", "BMP", "TIFF")]
    assert len(set(digests)) == 1
    other = photo.copy()
    other.putpixel((5, 5), (1, 2, 3))
    assert media.make_image(other).digest != digests[0]


def test_the_digest_covers_the_shape():
    wide, tall = (media.make_image(PIL.Image.new("RGB", size)) for size in ((28, 56), (56, 28)))
    assert wide.digest != tall.digest


PHOTO = hostile.saved(hostile.photo(), "JPEG")


@pytest.mark.parametrize(
    ("field", "enough", "too_low"),
    [
        ("max_image_bytes", len(PHOTO), len(PHOTO) - 1),
        ("max_image_pixels", 320 * 240, 320 * 240 - 1),
        ("max_aspect_ratio", 320 / 240, 1.33),
        ("image_timeout_s", 60, 1e-6),
    ],
)
async def test_each_limit_is_a_setting_that_the_refusal_names(loader, field, enough, too_low):
    await loader(**{field: enough}).load_bytes(PHOTO)
    with pytest.raises(MediaRefused, match="--" + field.replace("_", "-")):
        await loader(**{field: too_low}).load_bytes(PHOTO)


async def test_a_hostile_name_cannot_spoil_the_message(loader):
    with pytest.raises(MediaRefused) as caught:
        await loader().load_bytes(b"x", name="a\r\nSet-Cookie: x\x1b[31m" + "b" * 500)
    assert_helpful(str(caught.value))
    assert "\x1b" not in str(caught.value)


VALID = [
    hostile.saved(hostile.photo(40, 30), "PNG"),
    hostile.saved(hostile.photo(40, 30), "JPEG", progressive=True),
    hostile.saved(hostile.photo(40, 30), "WEBP"),
    hostile.saved(hostile.photo(40, 30).quantize(16), "GIF"),
    hostile.saved(hostile.photo(40, 30), "BMP"),
    hostile.saved(hostile.photo(40, 30), "TIFF", compression="tiff_lzw"),
    hostile.saved(hostile.shape("RGBA").quantize(8), "PNG"),
    hostile.STILLS["oriented-6.webp"](),
    hostile.saved(hostile.photo(40, 30), "AVIF", speed=10),
    hostile.STILLS["grey-16.png"](),
]
MAGIC = [
    b"",
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
    b"\xff\xd8\xff",
    b"GIF89a",
    b"BM",
    b"II*\0\x08\0\0\0",
    b"RIFF\0\0\0\0WEBPVP8 ",
    b"\0\0\0\x1cftypavif",
]
SMALL = Settings(_env_file=None, max_image_pixels=1_000_000)


def assert_image_or_refusal(data: bytes) -> None:
    if file_format(data[:512]) not in media.IMAGE_FORMATS:
        return  # refused before it comes to a decoder
    try:
        pixels = decode_here(data, SMALL)
    except Refused as refused:
        assert_helpful(str(images._refusal(refused.code, list(refused.values), SMALL, "a.png")))
    except image_decoder.DAMAGE:
        pass
    else:
        assert pixels.mode == "RGB" and min(pixels.size) >= media.MODEL_MIN_SIDE


@settings(max_examples=250)
@given(st.sampled_from(MAGIC), st.binary(max_size=400))
@example(b"", b"")
def test_random_bytes_give_an_image_or_a_refusal(magic, tail):
    assert_image_or_refusal(magic + tail)


@settings(max_examples=1000)
@given(
    st.sampled_from(VALID), st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.binary(max_size=8)), max_size=6)
)
def test_damaged_images_give_an_image_or_a_refusal(data, damage):
    spoiled = bytearray(data)
    for place, patch in damage:
        # Squared: most damage goes to the headers.
        start = int(place * place * len(spoiled))
        spoiled[start : start + len(patch)] = patch
    assert_image_or_refusal(bytes(spoiled))
