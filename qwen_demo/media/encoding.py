"""Files inside texts: base64 and data: URLs, measured before they are decoded."""

import base64
import binascii

from qwen_demo.errors import MediaRefused
from qwen_demo.media.sniff import Kind, check_bytes, label, larger_kind
from qwen_demo.settings import Settings


def decode_base64(text: str, limits: Settings, *, kind: Kind | None = None, name: str = "image") -> bytes:
    """Bytes of strict base64 (RFC 4648 section 4: padded, no line breaks), its length checked first.

    Raises:
        MediaRefused: not base64, or too long.
    """
    name = label(name)
    size = len(text) // 4 * 3 - text[-2:].count("=")
    check_bytes(size, kind or larger_kind(limits), limits, name)
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as exc:
        raise MediaRefused(f"{name} is not valid base64: standard alphabet, padded, without line breaks.") from exc


def decode_data_url(url: str, limits: Settings, *, kind: Kind | None = None, name: str = "image") -> bytes:
    """Bytes of `data:<type>;base64,<text>`. The declared type is not believed.

    Raises:
        MediaRefused: another form, or too long.
    """
    header, comma, text = url.partition(",") if url[:1024].find(",") >= 0 else ("", "", "")
    if not comma or header[:5].lower() != "data:" or not header.lower().endswith(";base64"):
        raise MediaRefused(f"{label(name)} must be given as data:image/png;base64,<text>, with its own image type.")
    return decode_base64(text, limits, kind=kind, name=name)
