"""Untrusted bytes, URL or path -> `Image`, `Video`, `Points`: every limit, the only decoders and the only fetcher.

Knows no model, no HTTP server and no Gradio. Whoever holds an `Image`, `Video` or `Points` holds proof
that it passed the limits of `Settings`. Decoders run in processes of their own, confined.
"""

from qwen_demo.media.decoders import DecoderPool
from qwen_demo.media.encoding import decode_base64, decode_data_url
from qwen_demo.media.enlarge import MODEL_MIN_SIDE
from qwen_demo.media.fetch import Network
from qwen_demo.media.images import make_image
from qwen_demo.media.loader import MediaLoader
from qwen_demo.media.memory_budget import MemoryBudget
from qwen_demo.media.pdf import Page, is_pdf
from qwen_demo.media.points import MOST_VIEWS, Viewing
from qwen_demo.media.sniff import IMAGE_FORMATS, POINTS_FORMATS, VIDEO_FORMATS, Kind
from qwen_demo.media.texts import Figure, PageText, PageTexts, Passage, pages_of_text
from qwen_demo.media.videos import Clip

__all__ = [
    "IMAGE_FORMATS",
    "MODEL_MIN_SIDE",
    "MOST_VIEWS",
    "POINTS_FORMATS",
    "VIDEO_FORMATS",
    "Clip",
    "DecoderPool",
    "Figure",
    "Kind",
    "MediaLoader",
    "MemoryBudget",
    "Network",
    "Page",
    "PageText",
    "PageTexts",
    "Passage",
    "Viewing",
    "decode_base64",
    "decode_data_url",
    "is_pdf",
    "make_image",
    "pages_of_text",
]
