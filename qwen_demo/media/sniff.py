"""What a file is, judged by its first bytes; its name and declared type are never believed."""

from typing import Literal

from qwen_demo.errors import MediaRefused
from qwen_demo.media import avif
from qwen_demo.sentences import Sentence
from qwen_demo.settings import MIB, Settings

Kind = Literal["image", "video"]

IMAGE_FORMATS = ("PNG", "JPEG", "WebP", "GIF", "BMP", "TIFF", *(("AVIF",) if avif.AVAILABLE else ()))
VIDEO_FORMATS = ("MP4", "MOV", "WebM", "MKV", "AVI", "GIF")

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
}
_STILL_BRANDS = {b"avif": "AVIF", b"avis": "AVIF", b"heic": "HEIC", b"heix": "HEIC", b"mif1": "HEIC", b"msf1": "HEIC"}
_MARKUP = (b"<svg", b"<?xml", b"<!doctype", b"<html")


def file_format(head: bytes) -> str | None:
    """Name of the format that a file starting with `head` (64 bytes or more) has, or None."""
    for prefix, name in _PREFIXES.items():
        if head.startswith(prefix):
            return name
    if head[:4] == b"RIFF":
        return {b"WEBP": "WebP", b"AVI ": "AVI"}.get(head[8:12])
    if head[4:8] == b"ftyp":
        return _STILL_BRANDS.get(head[8:12], "MP4")
    if head[4:8] in (b"moov", b"mdat", b"wide", b"free", b"skip"):
        return "MP4"
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith(_MARKUP):
        return "SVG" if b"<svg" in text else "HTML or XML"
    return None


def media_kind(head: bytes, name: str, wanted: Kind | None = None) -> Kind:
    """`image` or `video`. An animated GIF is an image unless a video is wanted.

    Raises:
        MediaRefused: neither, or not the kind that is wanted.
    """
    found = file_format(head)
    if found in IMAGE_FORMATS and wanted != "video":
        return "image"
    if (found in ("MP4", "MATROSKA", "AVI") and wanted != "image") or (found == "GIF" and wanted == "video"):
        return "video"
    raise refusal_of_format(name, found, wanted)


def refusal_of_format(name: str, found: str | None, wanted: Kind | None) -> MediaRefused:
    accepted = {
        "image": Sentence("an image: {images}", images=", ".join(IMAGE_FORMATS)),
        "video": Sentence("a video: {videos}", videos=", ".join(VIDEO_FORMATS)),
        None: Sentence(
            "an image ({images}) or a video ({videos})",
            images=", ".join(IMAGE_FORMATS),
            videos=", ".join(VIDEO_FORMATS[:-1]),
        ),
    }[wanted]
    seen = found or Sentence("of an unknown kind")
    return MediaRefused(Sentence("{name} is {seen}. Send {accepted}.", name=name, seen=seen, accepted=accepted))


def larger_kind(limits: Settings) -> Kind:
    """The kind whose files may be larger: its limit holds for a file of unknown kind."""
    return "video" if limits.max_video_bytes > limits.max_image_bytes else "image"


def label(name: str) -> str:
    """`name` fit to stand in a message: one line, at most 60 characters."""
    clean = "".join(c if c.isprintable() else "?" for c in name)
    return clean if len(clean) <= 60 else clean[:57] + "..."


def check_bytes(count: int, kind: Kind, limits: Settings, name: str) -> None:
    """
    Raises:
        MediaRefused: a file of `count` bytes is empty or over the limit of its kind.
    """
    limit = limits.max_image_bytes if kind == "image" else limits.max_video_bytes
    if count > limit:
        raise MediaRefused(
            Sentence(
                "{name} has {size}; the limit is {limit}. "
                "Send a smaller file, or start the server with a higher --{setting}.",
                name=name,
                size=_size(count),
                limit=_size(limit),
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


def _size(count: int) -> str:
    return f"{count / MIB:.1f} MiB" if count >= MIB // 10 else f"{count:,} bytes"
