"""What a file is, judged by its first bytes; its name and declared type are never believed."""

import re
from typing import Literal

from qwen_demo.errors import MediaRefused
from qwen_demo.media import avif
from qwen_demo.sentences import Sentence, told_bytes
from qwen_demo.settings import Settings

Kind = Literal["image", "video", "points"]

IMAGE_FORMATS = ("PNG", "JPEG", "WebP", "GIF", "BMP", "TIFF", *(("AVIF",) if avif.AVAILABLE else ()), "HEIC")
VIDEO_FORMATS = ("MP4", "MOV", "WebM", "MKV", "AVI", "GIF")
POINTS_FORMATS = ("PLY", "PCD", "LAS", "LAZ", "XYZ", "GLB", "glTF", "OBJ", "STL")

# Those that have a decoder, and others that people send, so that a refusal can say what it is.
_PREFIXES = {
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"GIF87a": "GIF",
    b"GIF89a": "GIF",
    b"BM": "BMP",
    b"II*\x00": "TIFF",
    b"MM\x00*": "TIFF",
    b"\x1aE\xdf\xa3": "MATROSKA",
    b"%PDF": "PDF",
    b"%!PS": "PostScript",
    b"8BPS": "Photoshop",
    b"PK\x03\x04": "ZIP",
    b"#EXTM3U": "playlist",
    b"ffconcat": "playlist",
    b"\xff\x0a": "JPEG XL",
    b"\x00\x00\x00\x0cJXL \r\n\x87\n": "JPEG XL",
    b"\x00\x00\x00\x0cjP  \r\n\x87\n": "JPEG 2000",
    b"\xff\x4f\xff\x51": "JPEG 2000",
    b"II\xbc": "JPEG XR",
    b"\x00\x00\x01\x00": "ICO",
    b"\x00\x00\x02\x00": "ICO",
    b"icns": "ICNS",
    b"II+\x00": "BigTIFF",
    b"MM\x00+": "BigTIFF",
    b"IIU\x00": "RAW",
    b"IIRO": "RAW",
    b"FUJIFILMCCD-RAW": "RAW",
    b"v/1\x01": "OpenEXR",
    b"#?RADIANCE": "HDR",
    b"qoif": "QOI",
    b"DDS ": "DDS",
    b"\x8aMNG": "MNG",
    b"FLV\x01": "FLV",
    b"\x30\x26\xb2\x75\x8e\x66\xcf\x11": "WMV",
    b"\x00\x00\x01\xba": "MPEG",
    b"\x00\x00\x01\xb3": "MPEG",
    b"OggS": "Ogg",
    b"ID3": "audio",
    b"fLaC": "audio",
    b"\x1f\x8b": "gzip",
    b"7z\xbc\xaf\x27\x1c": "7z",
    b"Rar!": "RAR",
}
_RIFF = {b"WEBP": "WebP", b"AVI ": "AVI", b"WAVE": "audio"}
# Brands of ISO/IEC 23008-12 and of AVIF that say which codec is inside; the general ones of that family do not.
_BRANDS = {
    **dict.fromkeys((b"avif", b"avis"), "AVIF"),
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"), "HEIC"),
    **dict.fromkeys((b"jpeg", b"jpgs", b"avci", b"avcs", b"vvic", b"vvis", b"j2ki", b"j2is"), "HEIF"),
    **dict.fromkeys((b"crx ",), "RAW"),
    **dict.fromkeys((b"M4A ", b"M4B ", b"M4P "), "audio"),
}
_GENERAL_BRANDS = frozenset((b"mif1", b"mif2", b"msf1", b"miaf", b"MiHB", b"MiHE", b"MiPr", b"MA1A", b"MA1B"))
_MARKUP = (b"<svg", b"<?xml", b"<!doctype", b"<html", b"<!--")
# Where a file's JSON begins with what glTF alone has.
_GLTF_WORDS = (b'"asset"', b'"accessors"', b'"bufferViews"', b'"scenes"', b'"nodes"')
_OBJ_LINE = re.compile(rb"(?:v|vn|vt)[ \t]+[-+.\d]|mtllib\s|usemtl\s|(?:o|g)\s+\S")
_NUMBER = rb"[-+]?(?:[\d.][-+.\deE]*|nan|inf)"
_XYZ_LINE = re.compile(rb"%b(?:[\s,;|]+%b){2,31}\s*$" % (_NUMBER, _NUMBER), re.IGNORECASE)
_OTHER_IMAGES = ("JPEG XL", "JPEG 2000", "JPEG XR", "ICO", "ICNS", "Photoshop", "OpenEXR", "HDR", "QOI", "DDS", "MNG")


def file_format(head: bytes) -> str | None:
    """Name of the format that a file starting with `head` (64 bytes or more) has, or None."""
    for prefix, name in _PREFIXES.items():
        if head.startswith(prefix):
            return "RAW" if name == "TIFF" and head[8:10] == b"CR" else name
    if head[:4] == b"RIFF":
        return _RIFF.get(head[8:12])
    if head[4:8] == b"ftyp":
        return _of_brands(_brands(head))
    if head[4:8] in (b"moov", b"mdat", b"wide", b"free", b"skip"):
        return "MP4"
    if head[:1] == head[188:189] == head[376:377] == b"G":  # packets of a transport stream
        return "MPEG"
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith(_MARKUP):
        return "SVG" if b"<svg" in text or text.startswith(b"<!doctype svg") else "HTML or XML"
    return None


def _brands(head: bytes) -> list[bytes]:
    """The major brand of an `ftyp` box and all compatible ones (ISO/IEC 14496-12, section 4.3)."""
    size, start = int.from_bytes(head[:4], "big"), 8
    if size == 1:  # its length is a longer number
        size, start = int.from_bytes(head[8:16], "big"), 16
    end = min(len(head), size or len(head))
    return [head[start : start + 4], *(head[at : at + 4] for at in range(start + 8, end - 3, 4))]


def _of_brands(brands: list[bytes]) -> str:
    """The major brand decides where it names a codec. A general one, and one that is not known, leave it to the
    compatible ones, among which AVIF is before all others."""
    if name := _BRANDS.get(brands[0]):
        return name
    named = [_BRANDS[brand] for brand in brands if brand in _BRANDS]
    if "AVIF" in named:
        return "AVIF"
    if _GENERAL_BRANDS.intersection(brands):
        return "HEIC" if "HEIC" in named else "HEIF" if brands[0] in _GENERAL_BRANDS else "MP4"
    return "MP4"


def media_kind(head: bytes, name: str, wanted: Kind | None = None) -> Kind:
    """`image`, `video` or `points`. An animated GIF is an image unless a video is wanted.

    Raises:
        MediaRefused: neither, or not the kind that is wanted.
    """
    found = file_format(head)
    if found in IMAGE_FORMATS and wanted in (None, "image"):
        return "image"
    if (found in ("MP4", "MATROSKA", "AVI") and wanted in (None, "video")) or (found == "GIF" and wanted == "video"):
        return "video"
    model = None if found else points_format(head, name)
    if wanted in (None, "points") and (model or (wanted and not found)):
        return "points"
    raise refusal_of_format(name, found or model, wanted)


def points_format(head: bytes, name: str) -> str | None:
    """Name of the reader of a point cloud or 3D model that starts with `head`, or None.

    Binary STL has no mark of its own: its name is believed, and then the number of triangles that it states.
    """
    for prefix, found in ((b"ply", "PLY"), (b"LASF", "LAS"), (b"glTF", "GLB")):
        if head.startswith(prefix):
            return found
    ending = name.lower().rpartition(".")[2]
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text[:1] == b"{":
        return "glTF" if ending == "gltf" or any(word in text for word in _GLTF_WORDS) else None
    if text[:5].lower() == b"solid" or ending == "stl":
        return "STL"
    lines = [line.strip() for line in text.splitlines()]
    if any(line.startswith((b"# .PCD", b"VERSION ", b"FIELDS ")) for line in lines[:4]):
        return "PCD"
    if b"\0" in head:
        return None
    if any(_OBJ_LINE.match(line) for line in lines):
        return "OBJ"
    # The last line may be cut.
    rows = [line for line in (lines if len(head) < 512 else lines[:-1]) if line]
    return "XYZ" if rows and _XYZ_LINE.match(rows[-1]) else None


def refusal_of_format(name: str, found: str | None, wanted: Kind | None) -> MediaRefused:
    accepted = {
        "image": Sentence("an image: {images}", images=", ".join(IMAGE_FORMATS)),
        "video": Sentence("a video: {videos}", videos=", ".join(VIDEO_FORMATS)),
        "points": Sentence("a point cloud or 3D model: {models}", models=", ".join(POINTS_FORMATS)),
        None: Sentence(
            "an image ({images}), a video ({videos}), or a point cloud or 3D model ({models})",
            images=", ".join(IMAGE_FORMATS),
            videos=", ".join(VIDEO_FORMATS[:-1]),
            models=", ".join(POINTS_FORMATS),
        ),
    }[wanted]
    seen = found or Sentence("of an unknown kind")
    refusal = Sentence("{name} is {seen}. Send {accepted}.", name=name, seen=seen, accepted=accepted)
    remedy = _remedy(found)
    return MediaRefused(Sentence("{refusal} {remedy}", refusal=refusal, remedy=remedy) if remedy else refusal)


def _remedy(found: str | None) -> Sentence | None:
    """How its owner gets something that is accepted."""
    if found in _OTHER_IMAGES or found in ("HEIF", "BigTIFF", "RAW", "PostScript"):
        return Sentence("Save it as PNG or JPEG.")
    if found == "SVG":
        return Sentence("It is a drawing without pixels: export it as PNG.")
    if found == "PDF":
        return Sentence("Send its pages as images, or open it under Documents on the page.")
    if found in ("FLV", "WMV", "MPEG", "Ogg"):
        return Sentence("Convert it to MP4 with H.264.")
    if found in ("ZIP", "gzip", "7z", "RAR"):
        return Sentence("Unpack it and send what is in it.")
    return None


def larger_kind(limits: Settings) -> Kind:
    """The kind whose files may be largest: its limit holds for a file of unknown kind."""
    kinds: tuple[Kind, ...] = ("image", "video", "points")
    return max(kinds, key=lambda kind: max_bytes(kind, limits))


def max_bytes(kind: Kind, limits: Settings) -> int:
    largest: int = getattr(limits, f"max_{kind}_bytes")
    return largest


def label(name: str) -> str:
    """`name` fit to stand in a message: one line, at most 60 characters."""
    clean = "".join(c if c.isprintable() else "?" for c in name)
    return clean if len(clean) <= 60 else clean[:57] + "..."


def check_bytes(count: int, kind: Kind, limits: Settings, name: str) -> None:
    """
    Raises:
        MediaRefused: a file of `count` bytes is empty or over the limit of its kind.
    """
    limit = max_bytes(kind, limits)
    if count > limit:
        raise MediaRefused(
            Sentence(
                "{name} has {size}; the limit is {limit}. "
                "Send a smaller file, or start the server with a higher --{setting}.",
                name=name,
                size=told_bytes(count),
                limit=told_bytes(limit),
                setting=f"max-{kind}-bytes",
            )
        )
    if count == 0:
        raise MediaRefused(Sentence("{name} is empty.", name=name))


def check_dimensions(width: int, height: int, max_pixels: int, setting: str, limits: Settings, name: str) -> None:
    """
    Raises:
        MediaRefused: too many pixels, too long and thin, or no area at all.
    """
    if width < 1 or height < 1:
        raise MediaRefused(f"{name} is {width} x {height} pixels: it has no area.")
    if width * height > max_pixels:
        raise MediaRefused(
            Sentence(
                "{name} is {width} x {height} = {area:,} pixels; the limit is {limit:,}. "
                "Scale it down, or start the server with a higher --{setting}.",
                name=name,
                width=width,
                height=height,
                area=width * height,
                limit=max_pixels,
                setting=setting,
            )
        )
    ratio = max(width, height) / min(width, height)
    if ratio > limits.max_aspect_ratio:
        raise MediaRefused(
            Sentence(
                "{name} is {width} x {height} pixels, {ratio:g}:1; the limit is {limit:g}:1 "
                "(--max-aspect-ratio, at most 200, which is the model's own limit). Crop it or cut it into pieces.",
                name=name,
                width=width,
                height=height,
                ratio=ratio,
                limit=limits.max_aspect_ratio,
            )
        )
