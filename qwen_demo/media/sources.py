"""Where pictures and videos come from: bytes, base64, data URLs, https URLs, uploaded files.

Everything ends in `open_image` or `decode_video`. Decoding runs in threads and processes, a few
at a time, and every file and picture has its share of one budget while it is held, so that neither
the event loop nor the memory suffers from many uploads at once.
"""

import asyncio
import base64
import binascii
import os
import stat
from collections.abc import Callable, Coroutine, Iterable
from pathlib import Path
from typing import Any

from qwen_demo.errors import MediaRefused
from qwen_demo.media.fetch import Network, fetch_url
from qwen_demo.media.gates import image_gate
from qwen_demo.media.images import open_image
from qwen_demo.media.kinds import Kind, check_bytes, label, media_kind
from qwen_demo.media.memory_budget import Budget, Share, budget_of_loop, return_freed
from qwen_demo.media.pdf import Page, check_pdf_bytes, draw_page, is_pdf
from qwen_demo.media.videos import Clip, decode_video
from qwen_demo.sentences import Sentence
from qwen_demo.settings import MIB, Settings
from qwen_demo.types import Image, Video

_HEAD = 512  # bytes that tell a file's kind


def decode_base64(text: str, limits: Settings, *, kind: Kind | None = None, name: str = "picture") -> bytes:
    """Bytes of strict base64 (RFC 4648 section 4: padded, no line breaks), its length checked first.

    Raises:
        MediaRefused: not base64, or too long.
    """
    name = label(name)
    size = len(text) // 4 * 3 - text[-2:].count("=")
    check_bytes(size, kind or _larger(limits), limits, name)
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as exc:
        raise MediaRefused(f"{name} is not valid base64: standard alphabet, padded, without line breaks.") from exc


def decode_data_url(url: str, limits: Settings, *, kind: Kind | None = None, name: str = "picture") -> bytes:
    """Bytes of `data:<type>;base64,<text>`. The declared type is not believed.

    Raises:
        MediaRefused: another form, or too long.
    """
    header, comma, text = url.partition(",") if url[:1024].find(",") >= 0 else ("", "", "")
    if not comma or header[:5].lower() != "data:" or not header.lower().endswith(";base64"):
        raise MediaRefused(f"{label(name)} must be given as data:image/png;base64,<text>, with its own image type.")
    return decode_base64(text, limits, kind=kind, name=name)


async def load_bytes(
    data: bytes, limits: Settings, *, kind: Kind | None = None, clip: Clip | None = None, name: str = "picture"
) -> Image | Video:
    """Decode a file's content, in a thread (picture) or process (video).

    Args:
        kind: what is wanted; None takes what it is.
        clip: how a video is sampled.

    Raises:
        MediaRefused: as `decode_image` and `decode_video`, or not the kind that is wanted.
        Overloaded: what others hold leaves no room for it.
    """
    check_bytes(len(data), kind or _larger(limits), limits, label(name))
    if media_kind(data[:_HEAD], label(name), kind) == "image":
        return await _to_the_end(_load_image(data, limits, name))
    return await decode_video(data, limits, clip=clip, name=name)


async def _load_image(data: bytes, limits: Settings, name: str) -> Image:
    async with image_gate():
        opened = await asyncio.to_thread(open_image, data, limits, name=name)
        async with _budget(limits).passing(opened.peak_bytes) as share:
            picture = await asyncio.to_thread(opened.decode)
            if picture.original_size:
                del opened
                await asyncio.to_thread(return_freed)
            share.keep(picture.raster.nbytes, picture.raster)
            return picture


async def _to_the_end(work: Coroutine[Any, Any, Image]) -> Image:
    """The result of `work`, which goes on when nobody waits any more: a thread cannot be stopped, and what
    it takes must stay counted."""
    working = asyncio.ensure_future(work)
    working.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
    return await asyncio.shield(working)


def _budget(limits: Settings) -> Budget:
    return budget_of_loop(limits.memory_budget_mib * MIB)


async def load_url(
    url: str,
    limits: Settings,
    *,
    kind: Kind | None = None,
    clip: Clip | None = None,
    name: str | None = None,
    network: Network | None = None,
) -> Image | Video:
    """Decode what an https: or data: URL gives. No other scheme, file:// and bare paths included.

    Raises:
        FetchRefused: as `fetch_url`.
        MediaRefused, Overloaded: as `load_bytes`.
    """
    name = name or kind or "picture"
    with _budget(limits).take() as share:
        if url[:5].lower() == "data:":
            share.grow(len(url) // 4 * 3)
            data = await asyncio.to_thread(decode_data_url, url, limits, kind=kind, name=name)
        else:
            data = await fetch_url(url, limits, kind=kind, network=network)
            share.grow(len(data))
        return await load_bytes(data, limits, kind=kind, clip=clip, name=name)


async def load_path(
    path: str | Path,
    limits: Settings,
    *,
    allowed_roots: Iterable[str | Path],
    kind: Kind | None = None,
    clip: Clip | None = None,
) -> Image | Video:
    """Decode a file under one of `allowed_roots`, links resolved.

    Raises:
        MediaRefused: outside of the roots, not a regular file, or as `load_bytes`.
        Overloaded: as `load_bytes`.
    """
    with _budget(limits).take() as share:

        def check(head: bytes, size: int, name: str) -> None:
            check_bytes(size, media_kind(head, name, kind), limits, name)

        data = await asyncio.to_thread(_read_file, Path(path), tuple(allowed_roots), check, share)
        return await load_bytes(data, limits, kind=kind, clip=clip, name=Path(path).name)


async def load_page(
    path: str | Path, limits: Settings, *, allowed_roots: Iterable[str | Path], number: int = 1
) -> Page:
    """Page `number`, counted from 1, of a PDF under one of `allowed_roots`; a picture is a document of one page.

    Raises:
        MediaRefused: as `load_path` and `draw_page`.
        Overloaded: as `load_bytes`.
    """

    def check(head: bytes, size: int, name: str) -> None:
        if is_pdf(head):
            check_pdf_bytes(size, limits, name)
        else:
            check_bytes(size, media_kind(head, name, "image"), limits, name)

    name = Path(path).name
    with _budget(limits).take() as share:
        data = await asyncio.to_thread(_read_file, Path(path), tuple(allowed_roots), check, share)
        if is_pdf(data[:_HEAD]):
            share.grow(2 * len(data) + 16 * limits.pdf_page_pixels)
            return await draw_page(data, limits, number=number, name=name)
        if number != 1:
            raise MediaRefused(f"There is no page {number} in {label(name)}; a picture is one page.")
        return Page(await load_bytes(data, limits, kind="image", name=name), 1, 1)


def _read_file(
    path: Path, allowed_roots: tuple[str | Path, ...], check: Callable[[bytes, int, str], None], share: Share
) -> bytes:
    """`check` gets the first bytes, the size and the name before anything is read, and the real size after."""
    name = label(path.name)
    try:
        real = path.resolve(strict=True)
        if not any(real.is_relative_to(Path(root).resolve()) for root in allowed_roots):
            raise MediaRefused(f"{name} is not in a folder that uploads are read from.")
        # Neither a link put there since nor a pipe that never ends: O_NONBLOCK opens one at once.
        with open(os.open(real, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise MediaRefused(f"{name} is not a file.")
            head = file.read(_HEAD)
            check(head, status.st_size, name)
            share.grow(status.st_size)
            file.seek(0)
            data = file.read(status.st_size + 1)
    except (OSError, ValueError, RuntimeError) as exc:
        raise MediaRefused(Sentence("{name} cannot be opened. Upload it again.", name=name)) from exc
    check(head, len(data), name)
    return data


def _larger(limits: Settings) -> Kind:
    return "video" if limits.max_video_bytes > limits.max_image_bytes else "image"
