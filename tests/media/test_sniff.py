"""What a file is, by its first bytes; and a refusal that says what it is and what to do with it."""

import pytest

from qwen_demo.errors import MediaRefused
from qwen_demo.media.sniff import file_format, media_kind
from tests import hostile


def ftyp(major: bytes, *others: bytes) -> bytes:
    body = b"ftyp" + major + bytes(4) + b"".join(others)
    return (len(body) + 4).to_bytes(4, "big") + body + b"\0\0\0\x08mdat" + bytes(60)


AVIF = hostile.saved(hostile.photo(64, 48), "AVIF", speed=10)
BRANDS = {
    "avif": (ftyp(b"avif", b"mif1", b"miaf"), "AVIF"),
    "moving avif": (ftyp(b"avis", b"msf1", b"iso8"), "AVIF"),
    "avif, general first": (ftyp(b"mif1", b"miaf", b"avif"), "AVIF"),
    "avif, general first, moving": (ftyp(b"msf1", b"mif1", b"avis"), "AVIF"),
    "avif, its profile first": (ftyp(b"MA1A", b"mif1", b"avif"), "AVIF"),
    "avif, the last of many": (ftyp(b"mif1", *[b"iso%d" % n for n in range(4, 9)] * 12, b"avif"), "AVIF"),
    "avif, beside heic": (ftyp(b"mif1", b"heic", b"avif"), "AVIF"),
    "avif, a longer length": (b"\0\0\0\1ftyp" + (28).to_bytes(8, "big") + b"mif1" + bytes(4) + b"avif", "AVIF"),
    **{
        f"heic {brand.decode()}": (ftyp(brand, b"mif1", brand), "HEIC")
        for brand in (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs")
    },
    "heic, general first": (ftyp(b"mif1", b"miaf", b"heic"), "HEIC"),
    "heic, general first, moving": (ftyp(b"msf1", b"hevc"), "HEIC"),
    "heic with a film behind it": (ftyp(b"heic", b"mif1", b"mp42", b"isom"), "HEIC"),
    "heif of no known codec": (ftyp(b"mif1", b"miaf"), "HEIF"),
    "film": (ftyp(b"isom", b"iso2", b"avc1", b"mp41"), "MP4"),
    "film of a phone": (ftyp(b"3gp5", b"3gp4", b"isom"), "MP4"),
    "film of an iPhone": (ftyp(b"qt  ", b"qt  "), "MP4"),
    "film of HEVC": (ftyp(b"mp42", b"hvc1", b"isom"), "MP4"),
    "sound": (ftyp(b"M4A ", b"mp42", b"isom"), "audio"),
    "brands beyond the box": (ftyp(b"isom")[:16] + b"avif", "MP4"),
}


@pytest.mark.parametrize(("head", "found"), BRANDS.values(), ids=BRANDS)
def test_all_brands_say_what_is_in_a_file_of_boxes(head, found):
    assert file_format(head[:512]) == found


@pytest.mark.parametrize("major", [b"mif1", b"miaf", b"msf1"])
async def test_avif_whose_first_brand_is_a_general_one_is_opened(loader, major):
    image = await loader().load_bytes(AVIF[:8] + major + AVIF[12:])
    assert image.size == (64, 48)


@pytest.mark.parametrize(
    ("data", "kind", "words"),
    [
        (ftyp(b"mif1", b"miaf"), "image", ("is HEIF", "Save it as PNG or JPEG")),
        (ftyp(b"hevc", b"mif1"), "video", ("is HEIC", "Send a video")),
        (b"\xff\x0a" + bytes(62), "image", ("is JPEG XL", "Save it as PNG or JPEG")),
        (b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(52), "image", ("is JPEG XL",)),
        (b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(52), "image", ("is JPEG 2000",)),
        (b"\0\0\1\0\1\0" + bytes(60), "image", ("is ICO",)),
        (b"%PDF-1.7\n" + bytes(60), "image", ("is PDF", "Send its pages as images", "Documents")),
        (b"\xef\xbb\xbf<?xml version='1.0'?>\n<!-- a drawing -->\n<svg>", "image", ("is SVG", "export it as PNG")),
        (b"<!-- drawn -->\n<SVG xmlns='x'>" + bytes(60), None, ("is SVG",)),
        (b"II*\0\x10\0\0\0CR\x02\0" + bytes(60), "image", ("is RAW",)),
        ((b"G" + bytes(187)) * 3, "video", ("is MPEG", "Convert it to MP4")),
        (b"FLV\x01" + bytes(60), "video", ("is FLV", "Convert it to MP4")),
        (b"PK\x03\x04" + bytes(60), "image", ("is ZIP", "Unpack it")),
        (ftyp(b"isom"), "image", ("is MP4", "Send an image: PNG")),
        (hostile.saved(hostile.photo(40, 30), "PNG"), "video", ("is PNG", "Send a video: MP4")),
        (b"I am an image, believe me.", "image", ("of an unknown kind", "Send an image")),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_a_refusal_says_what_it_is_and_what_to_do(data, kind, words):
    with pytest.raises(MediaRefused) as refused:
        media_kind(data[:512], "a.bin", kind)
    for each in words:
        assert each in str(refused.value)
