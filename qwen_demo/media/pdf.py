"""Untrusted bytes of a PDF -> one page as an `Image`: starts `pdf_worker.py` and bounds it.

A page is drawn when it is asked for, one at a time, so a long document costs no more than a short one.
"""

import asyncio
import logging
import math
from dataclasses import dataclass
from pathlib import Path

import PIL.Image

from qwen_demo.errors import MediaRefused
from qwen_demo.media import workers
from qwen_demo.media.gates import video_gate
from qwen_demo.media.images import make_image
from qwen_demo.media.kinds import file_format, label
from qwen_demo.sentences import Sentence
from qwen_demo.settings import MIB, Settings
from qwen_demo.types import Image

WORKER_MEMORY = 1024 * MIB  # address space, beside the file and the drawn page
log = logging.getLogger(__name__)

_WORKER = Path(__file__).with_name("pdf_worker.py")


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a document, drawn.

    Attributes:
        image: its picture, of at most `pdf_page_pixels`.
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


async def draw_page(data: bytes, limits: Settings, *, number: int = 1, name: str = "document") -> Page:
    """Page `number`, counted from 1, as a reader shows it: on white, turned upright, forms filled in.

    Raises:
        MediaRefused: no PDF, over a limit, locked by a password, damaged, too slow, or no such page.
    """
    name = label(name)
    if not is_pdf(data[:512]):
        raise MediaRefused(Sentence("{name} is no PDF file.", name=name))
    check_pdf_bytes(len(data), limits, name)
    job = _job(number - 1, len(data), limits)
    async with video_gate():
        header, body = await _run(job, data, limits, name)
    return await asyncio.to_thread(_build, header, body, number, f"{name}, page {number}")


def _job(page: int, data_bytes: int, limits: Settings) -> dict:
    return {
        **workers.place(_WORKER),
        "page": page,
        "max_pages": limits.max_pdf_pages,
        "max_aspect_ratio": limits.max_aspect_ratio,
        "page_pixels": limits.pdf_page_pixels,
        "memory_bytes": WORKER_MEMORY + 2 * data_bytes + 16 * limits.pdf_page_pixels,
        "cpu_s": math.ceil(limits.pdf_timeout_s) + 1,  # should this process die first
    }


async def _run(job: dict, data: bytes, limits: Settings, name: str) -> tuple[dict, bytes]:
    def body_bytes(header: dict) -> int:
        _check(header, job, limits, name)
        return header["width"] * header["height"] * 3

    try:
        return await workers.run(job, data, limits.pdf_timeout_s, body_bytes)
    except TimeoutError as exc:
        raise MediaRefused(
            Sentence(
                "Drawing a page of {name} took longer than {limit_s:g} s (--pdf-timeout-s). Send the page as a picture.",
                name=name,
                limit_s=limits.pdf_timeout_s,
            )
        ) from exc
    except (ValueError, TypeError, LookupError, asyncio.IncompleteReadError) as exc:
        raise MediaRefused(
            Sentence(
                "{name} made the PDF reader fail: it is damaged or needs too much memory. Send the page as a picture.",
                name=name,
            )
        ) from exc


def _check(header: dict, job: dict, limits: Settings, name: str) -> None:
    """Whether the worker's header keeps to the job: what it reads may have taken it over."""
    if "detail" in header:
        log.error("the PDF worker failed: %r", header["detail"])
    if "refused" in header:
        raise _refusal(header["refused"], [float(value) for value in header["values"]], limits, name)
    width, height, pages = (header[key] for key in ("width", "height", "pages"))
    plain = all(isinstance(value, int) and value > 0 for value in (width, height, pages))
    if not (plain and width * height <= job["page_pixels"] and pages <= job["max_pages"]):
        raise ValueError("the worker's header is out of bounds")


_REFUSALS = {
    "nothing": "{name} has no pages.",
    "locked": "{name} is locked by a password. Save it without one and send it again.",
    "memory": "{name} needs more memory to draw than is allowed. Send the page as a picture.",
    "pages": "{name} has {one:,.0f} pages; the limit is {limit}. Send a part of it, or start the server with a "
    "higher --max-pdf-pages.",
    "page": "There is no page {one:.0f} in {name}; it has {two:.0f}.",
    "shape": "{name} has a page of {one:.0f} x {two:.0f} points; the limit is {limit:g}:1 (--max-aspect-ratio).",
}


def _refusal(code: str, values: list[float], limits: Settings, name: str) -> MediaRefused:
    template = _REFUSALS.get(code, "{name} cannot be read: the file is damaged or cut short.")
    one, two, *_ = *values, 0.0, 0.0
    limit = {"pages": limits.max_pdf_pages, "shape": limits.max_aspect_ratio}.get(code, 0)
    return MediaRefused(Sentence(template, name=name, one=one, two=two, limit=limit))


def _build(header: dict, body: bytes, number: int, name: str) -> Page:
    picture = PIL.Image.frombytes("RGB", (header["width"], header["height"]), body)
    return Page(make_image(picture, name=name), number, header["pages"])
