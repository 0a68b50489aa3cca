"""What surrounds the pixels of a file is dropped unread: however much or broken, the image is answered the same."""

import io
import struct
import zlib

import numpy as np
import PIL.Image
import pytest

from qwen_demo.media import bare_image
from qwen_demo.media.exchange import Refused
from qwen_demo.media.image_decoder import DAMAGE
from qwen_demo.media.structure import Suspicious
from qwen_demo.settings import Settings
from tests import hostile
from tests.hostile import png_chunk, saved
from tests.media.here import decode_here, run_here

LIMITS = Settings(_env_file=None)
SIZE = (120, 90)
PHOTO = hostile.photo(*SIZE)
MIB = 1 << 20
XMP = b"<x:xmpmeta>" + b"words " * 500_000


def packed(data: bytes) -> bytes:
    return zlib.compress(data, 1)


# PNG


def png(*chunks: bytes) -> bytes:
    """The photo, with these chunks behind its header."""
    data = saved(PHOTO, "PNG")
    return data[:33] + b"".join(chunks) + data[33:]


def spoiled(chunk: bytes) -> bytes:
    return chunk[:-4] + bytes(4)


def exif(orientation: int) -> bytes:
    return struct.pack("<2sHIHHHIHHI", b"II", 42, 8, 1, 0x0112, 3, 1, orientation, 0, 0)


ITXT = b"XML:com.adobe.xmp\0\0\0\0\0"
PNGS = {
    "a long XMP text": lambda: png(png_chunk(b"iTXt", ITXT + XMP)),
    "a long XMP text, packed": lambda: png(png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + packed(XMP))),
    "a long comment, packed": lambda: png(png_chunk(b"zTXt", b"Comment\0\0" + packed(XMP))),
    "comments that burst": lambda: png(
        *[png_chunk(b"zTXt", b"k%d\0\0" % n + packed(bytes(9 * MIB))) for n in range(30)]
    ),
    "a comment packed in an unknown way": lambda: png(png_chunk(b"zTXt", b"Comment\0\7" + XMP)),
    "a long comment": lambda: png(png_chunk(b"tEXt", b"Comment\0" + XMP)),
    "a large colour profile": lambda: png(png_chunk(b"iCCP", b"p\0\0" + packed(np.arange(MIB, dtype=">u4").tobytes()))),
    "a colour profile that bursts": lambda: png(png_chunk(b"iCCP", b"p\0\0" + packed(bytes(200 * MIB)))),
    "a colour profile packed in an unknown way": lambda: png(png_chunk(b"iCCP", b"p\0\7" + XMP)),
    "a checksum of a comment that is wrong": lambda: png(spoiled(png_chunk(b"tEXt", b"Comment\0words"))),
    "a checksum of a colour profile that is wrong": lambda: png(spoiled(png_chunk(b"iCCP", b"p\0\0" + packed(b"x")))),
    "a checksum of EXIF that is wrong": lambda: png(spoiled(png_chunk(b"eXIf", exif(6)))),
    "EXIF that makes no sense": lambda: png(png_chunk(b"eXIf", b"II*\0" + b"\xff" * 70_000)),
    "a broken animation": lambda: png(png_chunk(b"acTL", b"\0\0"), png_chunk(b"fcTL", bytes(26))),
    "chunks of nobody": lambda: png(
        png_chunk(b"caBX", XMP), png_chunk(b"vpAg", bytes(9)), png_chunk(b"CgBI", bytes(4))
    ),
    "texts behind the pixels": lambda: (
        saved(PHOTO, "PNG")[:-12] + png_chunk(b"iTXt", ITXT + XMP) + saved(PHOTO, "PNG")[-12:]
    ),
    "a film behind the end": lambda: saved(PHOTO, "PNG") + hostile.saved(PHOTO, "JPEG") + XMP,
}


@pytest.mark.parametrize("name", PNGS)
def test_a_png_is_answered_whatever_surrounds_its_pixels(name):
    assert decode_here(PNGS[name](), LIMITS).tobytes() == PHOTO.tobytes()


def test_a_png_keeps_its_palette_transparency_and_orientation():
    see_through = hostile.saved(hostile.shape("RGBA").quantize(8), "PNG")
    data = see_through[:33] + png_chunk(b"iTXt", ITXT + XMP) + see_through[33:]
    assert decode_here(data, LIMITS).tobytes() == decode_here(see_through, LIMITS).tobytes()
    assert decode_here(png(png_chunk(b"eXIf", exif(6))), LIMITS).size == SIZE[::-1]


@pytest.mark.parametrize("kind", [b"IHDR", b"PLTE"])
def test_a_wrong_checksum_of_what_pixels_need_is_damage(kind):
    data = bytearray(saved(PHOTO.quantize(16), "PNG"))
    at = data.index(kind)
    data[at + 4 + int.from_bytes(data[at - 4 : at], "big")] ^= 1
    with pytest.raises(DAMAGE):
        decode_here(bytes(data), LIMITS)


# JPEG


def segment(code: int, body: bytes) -> bytes:
    return b"\xff" + bytes([code]) + struct.pack(">H", len(body) + 2) + body


def jpeg(*segments: bytes, image: PIL.Image.Image = PHOTO, **options) -> bytes:
    data = saved(image, "JPEG", quality=90, **options)
    return data[:2] + b"".join(segments) + data[2:]


def many(code: int, head: bytes, count: int = 300) -> bytes:
    return b"".join(segment(code, head + bytes([n % 256]) * 65_000) for n in range(count))


JPEGS = {
    "20 MB of extended XMP": lambda: jpeg(many(0xE1, b"http://ns.adobe.com/xmp/extension/\0")),
    "a large colour profile": lambda: jpeg(many(0xE2, b"ICC_PROFILE\0\1\377", 200)),
    "comments": lambda: jpeg(many(0xFE, b"words", 50)),
    "a catalogue of further images": lambda: jpeg(segment(0xE2, b"MPF\0II*\0" + b"\xff" * 60_000)),
    "previews of an editor": lambda: jpeg(many(0xED, b"Photoshop 3.0\x008BIM", 100)),
    "segments of nobody": lambda: jpeg(*[segment(code, bytes(9)) for code in (*range(0xE3, 0xED), 0xEF)]),
    "EXIF that makes no sense": lambda: jpeg(segment(0xE1, b"Exif\0\0MM\0*" + b"\xff" * 60_000)),
    "two EXIF blocks": lambda: jpeg(segment(0xE1, b"Exif\0\0" + exif(1)), segment(0xE1, b"Exif\0\0" + exif(6))),
    "a gain map behind the end": lambda: jpeg() + saved(PIL.Image.new("L", (30, 30)), "JPEG") + XMP,
}


@pytest.mark.parametrize("name", JPEGS)
def test_a_jpeg_is_answered_whatever_surrounds_its_pixels(name):
    assert decode_here(JPEGS[name](), LIMITS).tobytes() == decode_here(jpeg(), LIMITS).tobytes()


def test_a_jpeg_keeps_what_says_how_its_colours_are_stored():
    for image in (PHOTO.convert("CMYK"), PHOTO.convert("L"), PHOTO):
        plain = saved(image, "JPEG", quality=90)
        assert decode_here(plain, LIMITS).tobytes() == PIL.Image.open(io.BytesIO(plain)).convert("RGB").tobytes()


def test_a_jpeg_of_several_scans_counts_its_coefficients():
    taken = [
        run_here(jpeg(progressive=progressive), LIMITS)[0].plan["peak_bytes"] - len(jpeg(progressive=progressive)) * 2
        for progressive in (False, True)
    ]
    assert taken[1] - taken[0] == SIZE[0] * SIZE[1] * 6


# WebP, GIF, TIFF


@pytest.mark.parametrize("options", [{"quality": 90}, {"lossless": True}], ids=["lossy", "lossless"])
def test_a_webp_is_answered_whatever_surrounds_its_pixels(options):
    image = PHOTO.convert("RGBA")
    image.putalpha(PIL.Image.linear_gradient("L").resize(SIZE))
    plain = saved(image, "WEBP", **options)
    data = saved(image, "WEBP", icc_profile=XMP, xmp=XMP, exif=b"Exif\0\0" + exif(6), **options)
    turned = decode_here(plain, LIMITS).transpose(PIL.Image.Transpose.ROTATE_270)
    assert decode_here(data, LIMITS).tobytes() == turned.tobytes()
    assert len(bare_image.bare(data, "WebP").data) < len(data) - 5_000_000
    assert decode_here(plain + plain[12:] + XMP, LIMITS).tobytes() == decode_here(plain, LIMITS).tobytes()


def gif(*blocks: bytes) -> bytes:
    data = saved(PHOTO.quantize(16), "GIF")
    start = 13 + 3 * (2 << (data[10] & 7))
    return data[:start] + b"".join(blocks) + data[start:]


GIFS = {
    "many comments": lambda: gif(b"!\xfe" + (b"\xff" + b"x" * 255) * 60_000 + b"\0"),
    "XMP as editors write it": lambda: gif(b"!\xff\x0bXMP DataXMP" + XMP + b"\1" + bytes(range(255, -1, -1)) + b"\0"),
    "a text to be drawn": lambda: gif(b"!\x01\x0c" + bytes(12) + b"\5words\0"),
    "bytes between its blocks": lambda: gif(bytes(9)),
    "many frames": lambda: saved(
        PHOTO.quantize(16), "GIF", save_all=True, append_images=[PHOTO.rotate(n).quantize(16) for n in range(1, 9)]
    ),
    "nothing behind its first frame": lambda: gif()[:-1],
}


@pytest.mark.parametrize("name", GIFS)
def test_a_gif_is_answered_whatever_surrounds_its_pixels(name):
    assert decode_here(GIFS[name](), LIMITS).tobytes() == decode_here(gif(), LIMITS).tobytes()


def tiff_with(**tags: tuple[int, bytes]) -> bytes:
    info = PIL.TiffImagePlugin.ImageFileDirectory_v2()
    for number, (kind, value) in tags.items():
        info[int(number[1:])] = value
        info.tagtype[int(number[1:])] = kind
    return saved(PHOTO, "TIFF", compression="tiff_lzw", tiffinfo=info)


TIFFS = {
    "XMP": lambda: tiff_with(_700=(1, XMP)),
    "layers of an editor": lambda: tiff_with(_37724=(7, XMP), _34377=(7, XMP[:MIB]), _34675=(7, XMP[:MIB])),
    "private data": lambda: tiff_with(**{f"_{number}": (7, bytes(MIB)) for number in range(65000, 65004)}),
    "further pages": lambda: saved(PHOTO, "TIFF", save_all=True, append_images=[PHOTO.rotate(90)] * 3),
}


@pytest.mark.parametrize("name", TIFFS)
def test_a_tiff_is_answered_whatever_surrounds_its_pixels(name):
    assert decode_here(TIFFS[name](), LIMITS).tobytes() == PHOTO.tobytes()


def test_a_tag_of_a_tiff_that_stands_there_twice_means_its_first():
    entries = [*hostile.tiff_header(64, 64, 64 * 64), (256, 4, 1, 60_000)]
    data = hostile.tiff(sorted(entries, key=lambda entry: entry[0]), bytes(64 * 64))
    assert run_here(data, LIMITS)[1]["original"] == (64, 64)


def tiled(size: int, tile: int) -> bytes:
    """A grey image of `size` in tiles of that side; number n is of grey 50 n."""
    across = -(-size // tile)
    tiles = [packed(bytes([50 * n]) * tile * tile) for n in range(across**2)]
    entries = [(256, 4, 1, size), (257, 4, 1, size), (322, 4, 1, tile), (323, 4, 1, tile)]
    entries += [(tag, 3, 1, value) for tag, value in {258: 8, 259: 8, 262: 1, 277: 1}.items()]
    start = 8 + 2 + 12 * (len(entries) + 2) + 4
    lists, data = start, b"".join(tiles)
    first = start + 8 * len(tiles)
    places = [first + sum(map(len, tiles[:n])) for n in range(len(tiles))]
    if len(tiles) == 1:
        entries += [(324, 4, 1, first), (325, 4, 1, len(tiles[0]))]
    else:
        entries += [(324, 4, len(tiles), lists), (325, 4, len(tiles), lists + 4 * len(tiles))]
    return hostile.tiff(entries, struct.pack(f"<{2 * len(tiles)}I", *places, *map(len, tiles)) + data)


def test_tiles_are_decoded_and_counted():
    image = decode_here(tiled(100, 64), LIMITS)
    assert [image.getpixel(place)[0] for place in ((0, 0), (99, 0), (0, 99), (99, 99))] == [0, 50, 100, 150]
    peaks = [run_here(tiled(64, side), LIMITS)[0].plan["peak_bytes"] for side in (64, 512)]
    assert peaks[1] - peaks[0] > 512 * 512


@pytest.mark.parametrize("side", [8_000, 20_000, 1 << 31])
def test_tiles_far_larger_than_the_image_are_refused_before_they_are_unpacked(side):
    data = tiled(64, 64)
    for tag in (322, 323):
        data = data.replace(struct.pack("<HHII", tag, 4, 1, 64), struct.pack("<HHII", tag, 4, 1, side))
    with pytest.raises(Refused, match="tiles"):
        run_here(data, LIMITS)


# Bounds of the walk itself


TOO_MANY = {
    "texts": ("PNG", lambda: png(png_chunk(b"tEXt", b"a\0b") * 100_000)),
    "empty pixels": ("PNG", lambda: png(png_chunk(b"IDAT", b"") * 100_000)),
    "segments": ("JPEG", lambda: jpeg(segment(0xE5, b"") * 10_000)),
    "scans": ("JPEG", lambda: hostile.STILLS["bomb-scans.jpg"]()),
    "comments": ("GIF", lambda: gif(b"!\xfe\1x\0" * 300_000)),
    "chunks": ("WebP", lambda: b"RIFF" + struct.pack("<I", 80_004) + b"WEBP" + (b"abcd" + bytes(4)) * 10_000),
    "tags": ("TIFF", lambda: hostile.tiff([(40_000 + n, 3, 1, 0) for n in range(5_000)])),
}


@pytest.mark.parametrize("name", TOO_MANY)
def test_far_too_many_pieces_are_refused(name):
    found, make = TOO_MANY[name]
    with pytest.raises(Suspicious):
        bare_image.bare(make(), found)
