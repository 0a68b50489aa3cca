"""Untrusted bytes -> `Image`: its limits, its refusals in words. `image_decoder.py` does the work, unbelieved."""

import asyncio
import hashlib
import math
from dataclasses import replace
from typing import Any

import PIL.Image

from qwen_demo.errors import MediaRefused
from qwen_demo.media import structure
from qwen_demo.media.content import Content
from qwen_demo.media.decoding import Context, Plan, RefusedByDecoder, numbers, refused_in_words
from qwen_demo.media.enlarge import MODEL_MIN_SIDE, enlarged
from qwen_demo.media.jobs import Task
from qwen_demo.media.sniff import check_dimensions, file_format
from qwen_demo.raster import Raster
from qwen_demo.sentences import Sentence
from qwen_demo.settings import MIB, Settings
from qwen_demo.types import Image

DECODER_MEMORY = 512 * MIB  # address space, beside the file and what its largest image takes
BYTES_PER_PIXEL = 16  # of the dearest format
HEIC = "heic image"  # the kind of decoder
_SIZE_STEP = 4 * MIB
_SMALL = 1 << 20  # bytes that are hashed on the event loop: half a millisecond, where a thread's turn takes longer

_REFUSALS = {
    "bomb": "{name} has more pixels than the image library accepts. Scale it down.",
    "memory": "{name} needs more memory than the server has. Scale it down.",
    "damaged": "{name} cannot be read: the file is damaged or cut short. Save it again.",
    "heic": "{name} is HEIC and cannot be read: the file is damaged, cut short, or made in a way that is not accepted. "
    "Save it as JPEG; an iPhone makes JPEG itself with Settings > Camera > Formats > Most Compatible.",
    "late": "Decoding {name} took longer than {limit_s:g} s (--image-timeout-s). Send a smaller image.",
    "failed": "{name} made the decoder fail: it is damaged or needs too much memory.",
}


async def decode_image(content: Content, context: Context, name: str) -> Image:
    """One image; of an animated one, the first frame.

    A side under 28 pixels is scaled up to 28, keeping the shape. Coordinates in the result are those of the scaled
    image. An image of more than `decoded_pixels` is scaled down to that; `Image.size` is still its own.

    Raises:
        MediaRefused: over a limit, damaged, or too slow.
        Overloaded: what others hold leaves no room for it, or no decoder is free.
    """
    limits = context.settings
    task = _task(content, limits)
    kept_pixels = task.job["kept_pixels"]

    def plan(answer: dict[str, Any]) -> Plan:
        width, height, peak_bytes = numbers(answer, "width", "height", "peak_bytes")
        # Rounding may add a row, and a thin image is scaled up.
        largest = max(kept_pixels, MODEL_MIN_SIDE**2 * limits.max_aspect_ratio) * 1.1 + MODEL_MIN_SIDE**2
        if width * height > largest or peak_bytes > task.memory_bytes:
            raise ValueError("more than any image within the limits takes")
        return Plan(1, width, height, peak_bytes)

    def refusal(code: str, values: list[float]) -> MediaRefused:
        heic_alone = task.kind == HEIC and code not in ("size", "memory", "late")
        return _refusal("heic" if heic_alone else code, values, limits, name)

    with refused_in_words(refusal):
        try:
            decoded = await context.decode(task, content, plan)
        except RefusedByDecoder as exc:
            if exc.code != "deep":
                raise
            decoded = await context.decode(replace(task, kind="deep image", again=False), content, plan)
        first, second = decoded.last["original"]
        width, height = numbers({"width": first, "height": second}, "width", "height")
        check_dimensions(width, height, limits.max_image_pixels, "max-image-pixels", limits, name)
    original = (width, height) if width * height > kept_pixels else None
    image = await built(decoded.raster, name, original)
    return image if min(width, height) >= MODEL_MIN_SIDE else replace(image, sent_size=(width, height))


def _task(content: Content, limits: Settings) -> Task:
    kept_pixels = max(limits.decoded_pixels, limits.max_pixels or 0)
    job = {
        "format": file_format(content.head),
        "max_pixels": limits.max_image_pixels,
        "max_aspect_ratio": limits.max_aspect_ratio,
        "kept_pixels": kept_pixels,
    }
    pixels = limits.max_image_pixels + min(kept_pixels, limits.max_image_pixels)
    # In steps, so that a decoder that was forked for one file has the limits of most others.
    size = -(-content.size // _SIZE_STEP) * _SIZE_STEP
    memory_bytes = DECODER_MEMORY + 4 * size + BYTES_PER_PIXEL * pixels
    kind = HEIC if job["format"] == "HEIC" else "image"
    return Task(kind, job, limits.image_timeout_s, memory_bytes, again=True)


def _refusal(code: str, values: list[float], limits: Settings, name: str) -> MediaRefused:
    if code == "size" and len(values) == 2 and all(map(math.isfinite, values)):
        try:
            width, height = map(int, values)
            check_dimensions(width, height, limits.max_image_pixels, "max-image-pixels", limits, name)
        except MediaRefused as refused:
            return refused
    if code == "mode":
        return MediaRefused(f"{name} has a colour model that is not accepted. Save it as RGB.")
    if code in structure.REASONS:
        return MediaRefused(f"{name} was not opened: {structure.REASONS[code]}.")
    template = _REFUSALS.get(code, _REFUSALS["damaged"])
    return MediaRefused(Sentence(template, name=name, limit_s=limits.image_timeout_s))


def make_image(pixels: PIL.Image.Image, *, name: str = "image", original_size: tuple[int, int] | None = None) -> Image:
    """An `Image` of RGB pixels that the program itself drew; both sides are at least 28 pixels."""
    assert pixels.mode == "RGB", pixels.mode
    raster = Raster.of(enlarged(pixels))
    return Image(raster, _digest(raster, original_size or raster.size), name, original_size)


async def built(raster: Raster, name: str, original_size: tuple[int, int] | None = None) -> Image:
    """An `Image` of pixels that a decoder made."""
    size = original_size or raster.size
    digest = _digest(raster, size) if raster.nbytes <= _SMALL else await asyncio.to_thread(_digest, raster, size)
    return Image(raster, digest, name, original_size)


def _digest(raster: Raster, size: tuple[int, int]) -> str:
    """Of the size as it was sent and the pixels: two that only differ in their size differ."""
    digest = hashlib.sha256(f"{size[0]}x{size[1]}:".encode())
    digest.update(raster.array().data)
    return digest.hexdigest()
