"""Makes a folder of hostile and odd media files: `python -m tests.hostile FOLDER`.

Everything is built from scratch, small on disk whatever it unpacks to. `STILLS`, and `CLIPS`
in `hostile_clips.py`, map a file name to a function that returns its bytes; tests state for each what must happen.
"""

import functools
import io
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

# Stills: parts


def png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int, height: int, *, bits: int = 1, colour: int = 0, rows: bytes = b"", extra: bytes = b"") -> bytes:
    """A PNG that says it is `width` x `height`, whatever `rows` holds."""
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    parts = [png_chunk(b"IHDR", header), extra, png_chunk(b"IDAT", zlib.compress(rows, 9)), png_chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def tiff(entries: list[tuple[int, int, int, int]], tail: bytes = b"", magic: int = 42) -> bytes:
    """A little-endian TIFF with one directory of (tag, type, count, value or offset)."""
    packed = b"".join(struct.pack("<HHII", *entry) for entry in sorted(entries))
    return b"II" + struct.pack("<HIH", magic, 8, len(entries)) + packed + bytes(4) + tail


def tiff_header(width: int, height: int, length: int = 16) -> list[tuple[int, int, int, int]]:
    plain = {258: 8, 259: 1, 262: 1, 277: 1}
    sizes = [(256, 4, 1, width), (257, 4, 1, height), (278, 4, 1, height), (273, 4, 1, 8), (279, 4, 1, length)]
    return sizes + [(tag, 3, 1, value) for tag, value in plain.items()]


def saved(image: Image.Image, kind: str, **options) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


@functools.cache
def photo(width: int = 320, height: int = 240) -> Image.Image:
    """Noise over four colours (red, green / blue, white): does not compress, is not symmetric."""
    image = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(image)
    half = (width // 2, height // 2)
    draw.rectangle((0, 0, *half), "red")
    draw.rectangle((half[0], 0, width, half[1]), "green")
    draw.rectangle((0, half[1], half[0], height), "blue")
    noise = np.random.default_rng(7).integers(-20, 20, (height, width, 3))
    return Image.fromarray(np.clip(np.asarray(image, dtype=int) + noise, 0, 255).astype(np.uint8))


def shape(mode: str) -> Image.Image:
    """A black square on see-through ground, in a mode that can say so."""
    image = Image.new("RGBA", (64, 64), (255, 0, 0, 0))
    ImageDraw.Draw(image).rectangle((16, 16, 47, 47), (0, 0, 0, 255))
    return image if mode == "RGBA" else image.convert(mode)


def cut(data: bytes) -> bytes:
    return data[: len(data) * 2 // 3]


# Stills: attacks


def bomb_gif() -> bytes:
    screen = struct.pack("<HHBBB", 60000, 60000, 0x80, 0, 0) + bytes(6)
    return b"GIF89a" + screen + b"," + struct.pack("<HHHHB", 0, 0, 60000, 60000, 0) + b"\x02\x02\x4c\x01\x00;"


def bomb_gif_frame() -> bytes:
    """A 10 x 10 screen whose first frame is far larger."""
    screen = struct.pack("<HHBBB", 10, 10, 0x80, 0, 0) + bytes(6)
    return b"GIF89a" + screen + b"," + struct.pack("<HHHHB", 0, 0, 9000, 9000, 0) + b"\x02\x02\x4c\x01\x00;"


def bomb_webp() -> bytes:
    size = 16383
    body = b"\x2f" + struct.pack("<I", (size - 1) | (size - 1) << 14) + bytes(64)
    chunk = b"VP8L" + struct.pack("<I", len(body)) + body + bytes(len(body) % 2)
    return b"RIFF" + struct.pack("<I", 4 + len(chunk)) + b"WEBP" + chunk


def bomb_png_text() -> bytes:
    text = png_chunk(b"zTXt", b"Comment\x00\x00" + zlib.compress(bytes(100_000_000), 9))
    return png(64, 64, rows=bytes(9 * 64), extra=text)


def bomb_tiff_directory() -> bytes:
    """3,000 tags that all point at the same megabyte: 3 GB once read."""
    tags = [(40000 + index, 7, 1_000_000, 8) for index in range(3000)]
    return tiff(tiff_header(4, 4) + tags, bytes(1_000_000))


def bomb_jpeg_exif() -> bytes:
    """64 KB of EXIF whose 4,000 tags all point at the same 60 KB: 240 MB once read."""
    block = tiff([(40000 + index, 7, 60_000, 8) for index in range(4000)])
    return saved(photo(), "JPEG", exif=b"Exif\x00\x00" + block.ljust(65_000, b"\0"))


def bomb_avif_exif() -> bytes:
    """The same with 1,000 times 1 MB."""
    block = tiff([(40000 + index, 7, 1_000_000, 8) for index in range(1000)], bytes(1_000_000))
    return saved(photo(), "AVIF", exif=b"Exif\x00\x00" + block, speed=10)


def bomb_jpeg_scans() -> bytes:
    """A progressive JPEG with 3,000 more scans of eleven bytes, each of which goes over the whole image."""
    scan = b"\xff\xda\x00\x08\x01\x01\x00\x01\x3f\x10\x00"
    return saved(photo(1600, 1200), "JPEG", progressive=True)[:-2] + scan * 3000 + b"\xff\xd9"


def bomb_gif_comments() -> bytes:
    data = saved(photo().quantize(16), "GIF")
    start = 13 + 3 * (2 << (data[10] & 7))
    return data[:start] + b"!\xfe" + (b"\xff" + bytes(255)) * 60_000 + b"\x00" + data[start:]


def many_png_chunks() -> bytes:
    return png(64, 64, rows=bytes(9 * 64), extra=png_chunk(b"tEXt", b"a\x00b") * 100_000)


def oriented(value: int, kind: str = "JPEG") -> bytes:
    exif = Image.Exif()
    exif[0x0112] = value
    return saved(photo(), kind, exif=exif)


ODD_FLOATS = np.array([np.nan, np.inf, -np.inf, -3.4e38, 3.4e38, 0.0, 1e-38, 5.0], dtype=np.float32)


def deep_grey() -> bytes:
    ramp = np.linspace(0, 65535, 64 * 64).reshape(64, 64).astype(np.uint16)
    return saved(Image.fromarray(ramp), "PNG")


def animated(kind: str) -> bytes:
    frames = [Image.new("RGB", (64, 64), colour) for colour in ("red", "green", "blue")]
    return saved(frames[0], kind, save_all=True, append_images=frames[1:], duration=100)


def polyglot_zip() -> bytes:
    return saved(photo(), "PNG") + b"PK\x05\x06" + bytes(18)


def polyglot_html() -> bytes:
    data = saved(photo().quantize(16), "GIF")
    return data[:-1] + b"!\xfe\x20/*<script>alert(1)</script>*/   \x00;"


STILLS = {
    "bomb.png": lambda: png(30000, 30000, rows=bytes(3751 * 30000)),
    "bomb-text.png": bomb_png_text,
    "bomb.gif": bomb_gif,
    "bomb-frame.gif": bomb_gif_frame,
    "bomb-comments.gif": bomb_gif_comments,
    "bomb.tiff": lambda: tiff(tiff_header(60000, 60000)),
    "bomb-directory.tiff": bomb_tiff_directory,
    "big.tiff": lambda: tiff(tiff_header(64, 64), magic=43),
    "bomb.webp": bomb_webp,
    "bomb-exif.jpg": bomb_jpeg_exif,
    "bomb-scans.jpg": bomb_jpeg_scans,
    "many-chunks.png": many_png_chunks,
    "100000x1.png": lambda: png(100_000, 1, rows=bytes(12501)),
    "0x5.png": lambda: png(0, 5),
    "1x1.png": lambda: saved(Image.new("RGB", (1, 1), "blue"), "PNG"),
    "20x2000.png": lambda: saved(photo(20, 2000), "PNG"),
    "3x600.png": lambda: saved(photo(3, 600), "PNG"),
    "cut.png": lambda: cut(saved(photo(), "PNG")),
    "cut.jpg": lambda: cut(saved(photo(), "JPEG")),
    "cut.webp": lambda: cut(saved(photo(), "WEBP")),
    "cut.gif": lambda: cut(saved(photo().quantize(64), "GIF")),
    "cut.bmp": lambda: cut(saved(photo(), "BMP")),
    "cut.tiff": lambda: cut(saved(photo(), "TIFF", compression="tiff_deflate")),
    "text.png": lambda: b"I am an image, believe me.\n" * 20,
    "svg.png": lambda: b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"><script/></svg>',
    "page.gif": lambda: b"<!DOCTYPE html><html><script>alert(1)</script></html>",
    "pdf.jpg": lambda: b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n",
    "eps.jpg": lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n(%pipe%id) (r) file\n",
    "heic.jpg": lambda: b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic" + bytes(64),
    "empty.png": lambda: b"",
    "zip.png": polyglot_zip,
    "html.gif": polyglot_html,
    **{f"oriented-{value}.jpg": functools.partial(oriented, value) for value in range(1, 9)},
    "oriented-6.png": lambda: oriented(6, "PNG"),
    "oriented-6.webp": lambda: oriented(6, "WEBP"),
    "oriented-6.tiff": lambda: oriented(6, "TIFF"),
    "oriented-6.avif": lambda: oriented(6, "AVIF"),
    "bomb-exif.avif": bomb_avif_exif,
    "cut.avif": lambda: cut(saved(photo(), "AVIF", speed=10)),
    "animated.avif": lambda: animated("AVIF"),
    "rgba.avif": lambda: saved(shape("RGBA"), "AVIF", quality=100),
    "rgba.png": lambda: saved(shape("RGBA"), "PNG"),
    "la.png": lambda: saved(shape("LA"), "PNG"),
    "p.png": lambda: saved(shape("RGBA").quantize(8), "PNG"),
    "rgba.webp": lambda: saved(shape("RGBA"), "WEBP", lossless=True),
    "p.gif": lambda: saved(shape("RGBA"), "GIF"),
    "key-colour.png": lambda: saved(shape("RGBA").convert("RGB"), "PNG", transparency=(255, 0, 0)),
    "cmyk.jpg": lambda: saved(photo().convert("CMYK"), "JPEG", quality=95),
    "cmyk.tiff": lambda: saved(photo().convert("CMYK"), "TIFF"),
    "lab.tiff": lambda: saved(Image.new("LAB", (64, 64)), "TIFF"),
    "grey-16.png": deep_grey,
    "float.tiff": lambda: saved(Image.fromarray(np.linspace(-1, 3, 4096, dtype=np.float32).reshape(64, 64)), "TIFF"),
    "odd-floats.tiff": lambda: saved(Image.fromarray(np.tile(ODD_FLOATS, (64, 8))), "TIFF"),
    "1-bit.png": lambda: saved(shape("RGBA").getchannel("A").convert("1"), "PNG"),
    "animated.gif": lambda: animated("GIF"),
    "animated.png": lambda: animated("PNG"),
    "animated.webp": lambda: animated("WEBP"),
}


def main(folder: Path) -> None:
    from tests.hostile_clips import CLIPS  # which needs this module

    for name, make in {**STILLS, **{f"video-{name}": make for name, make in CLIPS.items()}}.items():
        (folder / name).write_bytes(make())


if __name__ == "__main__":
    Path(sys.argv[1]).mkdir(parents=True, exist_ok=True)
    main(Path(sys.argv[1]))
