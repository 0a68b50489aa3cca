"""Untrusted bytes of a PDF -> one page as an `Image`: its limits, its refusals in words. `pdf_decoder.py` draws it.

A page is drawn when it is asked for, one at a time, so a long document costs no more than a short one.
"""

from dataclasses import dataclass
from typing import Any

from qwen_demo.errors import MediaRefused
from qwen_demo.media.content import Content
from qwen_demo.media.decoding import Context, Plan, numbers, refused_in_words
from qwen_demo.media.enlarge import MODEL_MIN_SIDE
from qwen_demo.media.images import built
from qwen_demo.media.jobs import Task
from qwen_demo.media.sniff import file_format
from qwen_demo.sentences import Sentence
from qwen_demo.settings import MIB, Settings
from qwen_demo.types import Image

DECODER_MEMORY = 1024 * MIB  # address space, beside the file and the drawn page


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a document, drawn.

    Attributes:
        image: how it looks, of at most `pdf_page_pixels`.
        number: counted from 1.
        pages: how many the document has.
    """

    image: Image
    number: int
    pages: int


def is_pdf(head: bytes) -> bool:
    """Whether a file that starts with `head` says that it is a PDF."""
    return file_format(head) == "PDF"


def check_pdf_bytes(count: int, limits: Settings, name: str) -> None:
    """
    Raises:
        MediaRefused: a file of `count` bytes is over the limit.
    """
    if count > limits.max_pdf_bytes:
        raise MediaRefused(
            Sentence(
                "{name} has {size:.1f} MiB; the limit is {limit:.1f} MiB. "
                "Send fewer pages, or start the server with a higher --max-pdf-bytes.",
                name=name,
                size=count / MIB,
                limit=limits.max_pdf_bytes / MIB,
            )
        )


async def draw_page(content: Content, context: Context, name: str, number: int) -> Page:
    """Page `number`, counted from 1, as a reader shows it: on white, turned upright, forms filled in.

    Raises:
        MediaRefused: over a limit, locked by a password, damaged, too slow, or no such page.
        Overloaded: what others hold leaves no room for it, or no decoder is free.
    """
    limits = context.settings
    task = _task(content, number, limits)
    largest = max(limits.pdf_page_pixels, MODEL_MIN_SIDE**2 * limits.max_aspect_ratio * 1.1)

    def plan(answer: dict[str, Any]) -> Plan:
        width, height, pages, peak_bytes = numbers(answer, "width", "height", "pages", "peak_bytes")
        if width * height > largest or not number <= pages <= limits.max_pdf_pages:
            raise ValueError("the decoder's answer is out of bounds")
        return Plan(1, width, height, min(peak_bytes, task.memory_bytes))

    with refused_in_words(lambda code, values: _refusal(code, values, limits, name)):
        decoded = await context.decode(task, content, plan)
        pages = numbers(decoded.first, "pages")[0]
    return Page(await built(decoded.raster, f"{name}, page {number}"), number, pages)


def _task(content: Content, number: int, limits: Settings) -> Task:
    job = {
        "page": number - 1,
        "max_pages": limits.max_pdf_pages,
        "max_aspect_ratio": limits.max_aspect_ratio,
        "page_pixels": limits.pdf_page_pixels,
    }
    memory_bytes = DECODER_MEMORY + 2 * content.size + 16 * limits.pdf_page_pixels
    return Task("pdf", job, limits.pdf_timeout_s, memory_bytes)


_REFUSALS = {
    "nothing": "{name} has no pages.",
    "locked": "{name} is locked by a password. Save it without one and send it again.",
    "memory": "{name} needs more memory to draw than is allowed. Send the page as an image.",
    "pages": "{name} has {one:,.0f} pages; the limit is {limit}. Send a part of it, or start the server with a "
    "higher --max-pdf-pages.",
    "page": "There is no page {one:.0f} in {name}; it has {two:.0f}.",
    "shape": "{name} has a page of {one:.0f} x {two:.0f} points; the limit is {limit:g}:1 (--max-aspect-ratio).",
    "late": "Drawing a page of {name} took longer than {limit_s:g} s (--pdf-timeout-s). Send the page as an image.",
    "failed": "{name} made the PDF reader fail: it is damaged or needs too much memory. Send the page as an image.",
}


def _refusal(code: str, values: list[float], limits: Settings, name: str) -> MediaRefused:
    template = _REFUSALS.get(code, "{name} cannot be read: the file is damaged or cut short.")
    one, two, *_ = *values, 0.0, 0.0
    limit = {"pages": limits.max_pdf_pages, "shape": limits.max_aspect_ratio}.get(code, 0)
    return MediaRefused(Sentence(template, name=name, one=one, two=two, limit=limit, limit_s=limits.pdf_timeout_s))
