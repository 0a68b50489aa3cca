"""The one way in for images, videos, point clouds and 3D models: bytes, data: and https: URLs, uploaded files.

Everything ends in a decoder, a process of its own (`decoders.py`), a few at a time and in the order of calls. Files
and pixels have their share of the memory budget while they are held, and what was decoded is kept for a while, so
that a conversation's images are not decoded anew for each of its turns.
"""

import asyncio
import functools
import os
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Self, TypeVar, cast

from qwen_demo.errors import MediaRefused
from qwen_demo.media.cache import DecodedCache
from qwen_demo.media.callers import current_caller
from qwen_demo.media.content import HEAD_BYTES, Content, content_of, digest_of
from qwen_demo.media.decoders import DecoderPool
from qwen_demo.media.decoding import Context
from qwen_demo.media.encoding import decode_data_url, frames_of
from qwen_demo.media.fetch import Network, fetch_url
from qwen_demo.media.frames import sampled, video_of
from qwen_demo.media.images import decode_image
from qwen_demo.media.memory_budget import MemoryBudget
from qwen_demo.media.opened_file import OpenedFile, PathKey, open_file
from qwen_demo.media.pdf import Page, check_pdf_bytes, draw_page, is_pdf
from qwen_demo.media.points import Viewing, decode_points
from qwen_demo.media.sniff import Kind, check_bytes, label, larger_kind, media_kind
from qwen_demo.media.texts import PageTexts, TextKind, read_texts
from qwen_demo.media.videos import Clip, decode_video
from qwen_demo.settings import MIB, Settings
from qwen_demo.types import Image, Points, Video

CACHE_SHARE = 4  # of the memory budget, one part in so many
_REMEMBERED_PATHS = 4096
_SMALL = 1 << 18  # characters of base64 that are decoded on the event loop: a fraction of a millisecond

_Medium = Image | Video | Points
_How = Clip | Viewing | None  # which part of a video, which views of a point cloud
_Value = TypeVar("_Value", _Medium, Page)
_Key = tuple[str, str, Clip | Viewing | int | None]  # kind, digest of the file, what of it


class MediaLoader:
    """Reads what strangers send. Belongs to one event loop.

    Args:
        settings: the limits.
        budget: of memory, shared with whoever else holds callers' bytes.
        decoders: closed by whoever made them.
    """

    def __init__(self, settings: Settings, budget: MemoryBudget, decoders: DecoderPool):
        self.settings, self.budget, self.decoders = settings, budget, decoders
        self._context = Context(settings, budget, decoders)
        self._cache = DecodedCache(budget, budget.total_bytes // CACHE_SHARE, settings.cache_seconds)
        self._digests: OrderedDict[PathKey, str] = OrderedDict()

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """With a budget and decoders of its own; `aclose` ends them."""
        budget = MemoryBudget(settings.memory_budget_mib * MIB, settings.caller_share)
        return cls(settings, budget, DecoderPool(settings.decoders))

    async def aclose(self) -> None:
        """Let go of what is kept, and end the decoders."""
        await self.close()
        await self.decoders.close()

    async def close(self) -> None:
        """Let go of what is kept."""
        self._cache.clear()
        self._digests.clear()

    async def load_bytes(
        self, data: bytes, *, kind: Kind | None = None, clip: _How = None, name: str = "image"
    ) -> _Medium:
        """Decode a file's content.

        Args:
            kind: what is wanted; None takes what it is.
            clip: how a video is sampled, or a point cloud shown.

        Raises:
            MediaRefused: over a limit, damaged, or not the kind that is wanted.
            Overloaded: what others hold leaves no room for it, or no decoder is free.
        """
        name = label(name)
        check_bytes(len(data), kind or larger_kind(self.settings), self.settings, name)
        found = media_kind(data[:HEAD_BYTES], name, kind)
        check_bytes(len(data), found, self.settings, name)
        how = _part_of(found, clip)

        async def make() -> _Medium:
            with self.budget.take(len(data)), await content_of(data) as content:
                return await self._decode(content, found, how, name)

        return await self._once((found, await digest_of(data), how), name, make)

    async def fetch_url(self, url: str, *, kind: Kind | None = None, network: Network | None = None) -> bytes:
        """What an https: URL gives, not decoded yet. Raises as `fetch.fetch_url`."""
        return await fetch_url(url, self.settings, self.budget, kind=kind, network=network)

    async def load_url(
        self,
        url: str,
        *,
        kind: Kind | None = None,
        clip: _How = None,
        name: str | None = None,
        network: Network | None = None,
    ) -> _Medium:
        """Decode what an https: or data: URL gives. No other scheme, file:// and bare paths included.

        Raises:
            FetchRefused: as `fetch.fetch_url`.
            MediaRefused, Overloaded: as `load_bytes`.
        """
        name = name or kind or "image"
        if kind != "image" and (frames := await asyncio.to_thread(frames_of, url, self.settings)):
            return await self.load_frames(frames, name=name)
        with self.budget.take() as share:
            if url[:5].lower() == "data:":
                share.grow(len(url) // 4 * 3)
                decode = functools.partial(decode_data_url, url, self.settings, kind=kind, name=name)
                data = decode() if len(url) <= _SMALL else await asyncio.to_thread(decode)
            else:
                data = await self.fetch_url(url, kind=kind, network=network)
                share.grow(len(data))
            return await self.load_bytes(data, kind=kind, clip=clip, name=name)

    async def load_frames(self, urls: Sequence[str], *, name: str = "video", network: Network | None = None) -> Video:
        """A video of frames that are images, each an https: or data: URL, in their order. Raises as `load_url`."""
        urls, step_s = sampled(urls, self.settings)
        images = [await self.load_url(url, kind="image", name=f"frame of {name}", network=network) for url in urls]
        return await video_of(cast(list[Image], images), step_s, self.settings, self.budget, name)

    async def load_path(
        self,
        path: str | Path,
        *,
        allowed_roots: Iterable[str | Path],
        kind: Kind | None = None,
        clip: _How = None,
    ) -> _Medium:
        """Decode a file under one of `allowed_roots`, links resolved.

        Raises:
            MediaRefused: outside of the roots, not a regular file, or as `load_bytes`.
            Overloaded: as `load_bytes`.
        """

        def check(head: bytes, size: int, name: str) -> None:
            check_bytes(size, media_kind(head, name, kind), self.settings, name)

        with await self._open(path, allowed_roots, check) as file:
            found = media_kind(file.head, file.name, kind)
            how = _part_of(found, clip)
            decode = functools.partial(self._decode, kind=found, clip=how, name=file.name)
            return await self._read(file, lambda digest: (found, digest, how), decode)

    async def load_page(
        self, path: str | Path, *, allowed_roots: Iterable[str | Path], number: int = 1, name: str = ""
    ) -> Page:
        """Page `number`, counted from 1, of a PDF under one of `allowed_roots`; an image is a document of one page.

        Args:
            name: what it is called, for messages, where its path does not say that.

        Raises:
            MediaRefused: as `load_path`, locked by a password, or no such page.
            Overloaded: as `load_bytes`.
        """

        called = label(name) if name else label(Path(path).name)

        def check(head: bytes, size: int, _: str) -> None:
            if is_pdf(head):
                check_pdf_bytes(size, self.settings, called)
            else:
                check_bytes(size, media_kind(head, called, "image"), self.settings, called)

        with await self._open(path, allowed_roots, check) as file:
            file.name = called
            if is_pdf(file.head):
                draw = functools.partial(draw_page, context=self._context, name=file.name, number=number)
                return await self._read(file, lambda digest: ("pdf", digest, number), draw)
            if number != 1:
                raise MediaRefused(f"There is no page {number} in {file.name}; an image is one page.")
            decode = functools.partial(self._decode, kind="image", clip=None, name=file.name)
            image = await self._read(file, lambda digest: ("image", digest, None), decode)
            assert isinstance(image, Image)
            return Page(image, 1, 1)

    async def read_bytes(self, path: str | Path, *, allowed_roots: Iterable[str | Path], most: int) -> bytes:
        """A file under one of `allowed_roots`, as it is. Raises `MediaRefused`, also above `most` bytes."""

        def check(head: bytes, size: int, name: str) -> None:
            if size > most:
                raise MediaRefused(f"{name} has {size / MIB:.1f} MiB; the limit is {most / MIB:.1f} MiB.")

        with await self._open(path, allowed_roots, check) as file, self.budget.take(file.size):
            content, _ = await asyncio.to_thread(file.read)
            with content:
                return os.pread(content.fd, content.size, 0)

    async def read_texts(
        self, path: str | Path, kind: TextKind, *, allowed_roots: Iterable[str | Path], name: str, first: int = 1
    ) -> PageTexts:
        """Texts of pages of a PDF or Office file under one of `allowed_roots`, from `first` on. Raises as `read_texts`."""
        with await self._open(path, allowed_roots, lambda head, size, name: None) as file, self.budget.take(file.size):
            content, _ = await asyncio.to_thread(file.read)
            with content:
                return await read_texts(content, self._context, kind, name, first)

    async def _decode(self, content: Content, kind: Kind, clip: _How, name: str) -> _Medium:
        if kind == "image":
            return await decode_image(content, self._context, name)
        if isinstance(clip, Viewing):
            return await decode_points(content, self._context, name, clip)
        assert isinstance(clip, Clip)
        return await decode_video(content, self._context, name, clip)

    async def _once(self, key: _Key, name: str, make: Callable[[], Awaitable[_Value]]) -> _Value:
        return _named(await self._cache.get(_own(key), name, make, _nbytes), name)

    async def _open(
        self, path: str | Path, allowed_roots: Iterable[str | Path], check: Callable[[bytes, int, str], None]
    ) -> OpenedFile:
        return await asyncio.to_thread(open_file, Path(path), tuple(allowed_roots), check)

    async def _read(
        self, file: OpenedFile, key: Callable[[str], _Key], decode: Callable[[Content], Awaitable[_Value]]
    ) -> _Value:
        """The value of a file, which is read only if it has changed or is not known."""
        known = self._digests.get(file.key)
        if known and (value := self._cache.found(_own(key(known)))) is not None:
            return cast(_Value, _named(value, file.name))
        share = self.budget.take(file.size)
        try:
            content, digest = await asyncio.to_thread(file.read)
        except BaseException:
            share.free()
            raise
        if file.settled:
            self._digests[file.key] = digest
            while len(self._digests) > _REMEMBERED_PATHS:
                self._digests.popitem(last=False)
        begun = False

        async def make() -> _Value:
            nonlocal begun
            begun = True  # it outlives this caller if others wait for it, too
            with share, content:
                return await decode(content)

        try:
            return await self._once(key(digest), file.name, make)
        finally:
            if not begun:
                share.free()
                content.close()


def _part_of(kind: Kind, how: _How) -> _How:
    """`how` as far as it says something of this kind: what is kept of a file is known by it."""
    if kind == "video":
        return how if isinstance(how, Clip) else Clip()
    if kind == "points":
        return how if isinstance(how, Viewing) else Viewing()
    return None


def _own(key: _Key) -> tuple[_Key, str]:
    """A decoder that serves a caller again may have been taken over: nobody else gets what it made."""
    return key, current_caller.get()


def _nbytes(value: _Medium | Page) -> int:
    if isinstance(value, Points):
        return 2 * value.depths.nbytes
    return value.image.raster.nbytes if isinstance(value, Page) else value.raster.nbytes


def _named(value: _Value, name: str) -> _Value:
    """The same as it is called by who asks now."""
    if isinstance(value, Page):
        return replace(value, image=replace(value.image, name=f"{name}, page {value.number}"))
    return value if value.name == name else replace(value, name=name)
