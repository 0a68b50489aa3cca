"""Files inside texts: base64 and data: URLs, measured before they are decoded."""

import base64
import io
from collections.abc import Iterator
from urllib.parse import unquote

from qwen_demo.errors import MediaRefused
from qwen_demo.media.sniff import Kind, check_bytes, label, larger_kind
from qwen_demo.settings import Settings

_BLANKS = b" \t\r\n\v\f"
# Decoding holds Python's lock, so others have a turn after each of so many characters, a multiple of four.
_SLICE = 1 << 20
_FROM_URL_ALPHABET = bytes.maketrans(b"-_", b"+/")
# vLLM's type of a clip that is already cut into frames, given one after the other.
_FRAMES = "video/jpeg"
_MOST_FRAMES = 10_000


def decode_base64(text: str, limits: Settings, *, kind: Kind | None = None, name: str = "image") -> bytes:
    """Bytes of base64 (RFC 4648) of either alphabet, its length checked first.

    Line breaks and other ASCII blanks, which mail programs, phones and shells put in, are skipped; padding may be
    missing where nothing else is. The head of a data: URL before it, which no base64 can be, is skipped as well.

    Raises:
        MediaRefused: not base64, or too long.
    """
    if text[:5].lower() == "data:":
        text = _text_of(text, name)
    name = label(name)
    length = len(text)
    for blank in _BLANKS.decode():
        length -= text.count(blank)
    check_bytes(length * 3 // 4 - text.rstrip()[-2:].count("="), kind or larger_kind(limits), limits, name)
    decoded = io.BytesIO()  # joining would copy all of it at the end, and hold Python's lock meanwhile
    try:
        for piece in _decoded(text):
            decoded.write(piece)
        return decoded.getvalue()
    except ValueError as exc:  # binascii's and Unicode's own are such, too
        raise _no_base64(name) from exc


def _decoded(text: str) -> Iterator[bytes]:
    """Piece by piece, so that a large file is there once as text and once as bytes. Raises `ValueError`."""
    rest, padded = b"", False
    for at in range(0, len(text), _SLICE):
        plain = rest + text[at : at + _SLICE].encode("ascii").translate(_FROM_URL_ALPHABET, _BLANKS)
        if padded and plain:
            raise ValueError("more after the padding")
        whole = len(plain) // 4 * 4
        yield base64.b64decode(plain[:whole], validate=True)
        rest, padded = plain[whole:], plain[:whole].endswith(b"=")
    if rest:
        rest += b"" if rest.endswith(b"=") else b"=" * (-len(rest) % 4)
        yield base64.b64decode(rest, validate=True)


def _no_base64(name: str) -> MediaRefused:
    return MediaRefused(f"{name} is not valid base64.")


def decode_data_url(url: str, limits: Settings, *, kind: Kind | None = None, name: str = "image") -> bytes:
    """Bytes of `data:<type>;base64,<text>`. The declared type is not believed.

    Raises:
        MediaRefused: another form, or too long.
    """
    return decode_base64(_text_of(url, name), limits, kind=kind, name=name)


def frames_of(url: str, limits: Settings, *, name: str = "video") -> list[str] | None:
    """The frames of `data:video/jpeg;base64,<text>,<text>…` as data: URLs of their own; None for any other URL.

    Raises:
        MediaRefused: all together too long.
    """
    if not url[:1024].lower().startswith(f"data:{_FRAMES}"):
        return None
    text = _text_of(url, name)
    check_bytes(len(text) * 3 // 4, "video", limits, label(name))
    if text.count(",") >= _MOST_FRAMES:
        raise MediaRefused(f"{label(name)} has more than {_MOST_FRAMES} frames.")
    return [f"data:image/jpeg;base64,{frame}" for frame in text.split(",")]


def _text_of(url: str, name: str) -> str:
    """What follows the comma. Raises `MediaRefused` for another form."""
    header, comma, text = url.partition(",") if url[:1024].find(",") >= 0 else ("", "", "")
    header = header.replace(" ", "").lower()
    if not comma or not header.startswith("data:") or not header.endswith(";base64"):
        raise MediaRefused(f"{label(name)} must be given as data:image/png;base64,<text>, with its own image type.")
    return "".join(map(unquote, _slices(text))) if "%" in text else text


def _slices(text: str) -> Iterator[str]:
    """Pieces that cut no `%2B` in two."""
    at = 0
    while at < len(text):
        end = at + _SLICE
        cut = text.rfind("%", end - 2, end)
        end = cut if cut > at else end
        yield text[at:end]
        at = end
