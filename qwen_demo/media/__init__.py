"""Untrusted bytes, URL or path -> `Image`, `Video`: every limit, the only decoder and fetcher.

Knows no model, no HTTP server and no Gradio. Whoever holds an `Image` or `Video` holds proof
that it passed the limits of `Settings`.
"""

from qwen_demo.media.fetch import Network, fetch_url
from qwen_demo.media.images import MODEL_MIN_SIDE, decode_image, make_image
from qwen_demo.media.kinds import IMAGE_FORMATS, VIDEO_FORMATS, Kind
from qwen_demo.media.pdf import Page, draw_page, is_pdf
from qwen_demo.media.sources import decode_base64, decode_data_url, load_bytes, load_page, load_path, load_url
from qwen_demo.media.videos import Clip, decode_video

__all__ = [
    "IMAGE_FORMATS",
    "MODEL_MIN_SIDE",
    "VIDEO_FORMATS",
    "Clip",
    "Kind",
    "Network",
    "Page",
    "decode_base64",
    "decode_data_url",
    "decode_image",
    "decode_video",
    "draw_page",
    "fetch_url",
    "is_pdf",
    "load_bytes",
    "load_page",
    "load_path",
    "load_url",
    "make_image",
]
