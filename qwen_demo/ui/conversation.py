"""Chat history as Gradio and programs write it -> messages for the service.

Two spellings of a part are read: Gradio's (`text`, `file`) and OpenAI's (`text`, `image_url`,
`video_url`, and `model_url` beside them). Files must lie where Gradio keeps uploads; anything else on the disk is refused.
Notes that the page shows under answers are not part of the conversation and stay out.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from qwen_demo.errors import InvalidRequest
from qwen_demo.media import Clip, Kind, MediaLoader, Page, Viewing
from qwen_demo.points.words import parts_of
from qwen_demo.types import Image, Message, Part, Points, Text, Video
from qwen_demo.ui import maths

ROLES = ("system", "user", "assistant")


class Reader:
    """Reads histories of untrusted shape.

    Args:
        loader: opens their files.
        upload_roots: folders whose files a history may name.
        frames: how many frames of a long clip are sampled where nobody says it; None is the loader's setting.
    """

    def __init__(self, loader: MediaLoader, upload_roots: Sequence[Path], frames: Callable[[], int] | None = None):
        self._frames = frames
        self._loader = loader
        self._roots = tuple(upload_roots)

    async def messages(self, history: Iterable[Any], system_prompt: str = "") -> tuple[Message, ...]:
        """Raises `InvalidRequest` or `MediaRefused`."""
        messages = [await self._message(entry) for entry in messages_to_send(map(_entry, history))]
        if system_prompt.strip():
            messages = [Message("system", (Text(system_prompt.strip()),)), *(m for m in messages if m.role != "system")]
        return tuple(messages)

    async def _message(self, entry: dict) -> Message:
        role = entry.get("role")
        if role not in ROLES:
            raise InvalidRequest(f"A message has the role {role!r}; it may be {', '.join(ROLES)}.", field="messages")
        content = entry.get("content") or []
        parts = [content] if isinstance(content, str | dict) else content
        if not isinstance(parts, list | tuple):
            raise InvalidRequest("A message's content must be text or a list of parts.", field="messages")
        read = [part for raw in parts for part in await self._parts(_plain(raw))]
        if role == "assistant":
            read = [Text(maths.unmarked(part.text)) if isinstance(part, Text) else part for part in read]
        return Message(role, tuple(read))

    async def _parts(self, part: str | dict) -> tuple[Part, ...]:
        """One, none for an empty text, and of a point cloud or 3D model its views with what is said of them."""
        if isinstance(part, str):
            return (Text(part),) if part else ()
        kind = part.get("type") or next((key for key in ("text", "file", "path", "image_url") if key in part), None)
        if kind == "text":
            return (Text(str(part["text"])),) if part.get("text") else ()
        if kind in ("image_url", "video_url", "model_url"):
            url = part.get(kind)
            wanted: Kind | None = "points" if kind == "model_url" else None
            return parts_of(await self.url(url.get("url", "") if isinstance(url, dict) else str(url), wanted))
        if kind in ("file", "image", "video", "path"):
            return parts_of(await self.file(part if kind == "path" else part.get(kind)))
        raise InvalidRequest(
            f"A message has a part of the type {kind!r}; it may be text, file, image_url, video_url or model_url.",
            field="messages",
        )

    async def download(self, url: str) -> bytes:
        """What an https: URL gives, not decoded. Raises `FetchRefused`."""
        return await self._loader.fetch_url(url)

    async def url(self, url: str, kind: Kind | None = None) -> Image | Video | Points:
        return await self._loader.load_url(url, kind=kind)

    async def page(self, path: str, number: int) -> Page:
        """Page `number`, counted from 1, of an uploaded PDF or image. Raises `MediaRefused`."""
        return await self._loader.load_page(path, allowed_roots=self._roots, number=number)

    async def bytes_of(self, path: str) -> bytes:
        """An uploaded file as it is, for a collection. Raises `MediaRefused`."""
        most = self._loader.settings.max_knowledge_file_bytes
        return await self._loader.read_bytes(path, allowed_roots=self._roots, most=most)

    async def file(self, file: Any, clip: Clip | Viewing | None = None) -> Image | Video | Points:
        """What an upload holds.

        Args:
            file: Gradio's file data, or a path that an upload gave.
            clip: wants a video or a point cloud, and says how it is sampled or shown.
        """
        path = _plain(file).get("path") if not isinstance(file, str) else file
        if not isinstance(path, str) or not path:
            raise InvalidRequest(
                "A file part has no path. Send what gradio_client's handle_file gives.", field="messages"
            )
        if path.startswith(("http:", "https:", "data:")):
            return await self.url(path)
        kind: Kind | None = "video" if isinstance(clip, Clip) else "points" if clip else None
        if self._frames and not isinstance(clip, Viewing) and (clip is None or clip.max_frames is None):
            clip = replace(clip or Clip(), max_frames=self._frames())
        return await self._loader.load_path(path, allowed_roots=self._roots, kind=kind, clip=clip)


def names_files(history: Any) -> bool:
    """Whether there may be more than words in a history of any shape."""
    entries = history if isinstance(history, list | tuple) else [history]
    contents = [entry.get("content") if isinstance(entry, dict) else entry for entry in entries]
    parts = [part for content in contents for part in (content if isinstance(content, list) else [content])]
    return any(not (isinstance(part, str) or (isinstance(part, dict) and part.get("type") == "text")) for part in parts)


def _entry(value: Any) -> dict:
    entry = _plain(value)
    if isinstance(entry, str):
        raise InvalidRequest("A message is a text; it must be an object with role and content.", field="messages")
    return entry


def _plain(value: Any) -> Any:
    """Gradio hands over pydantic models in places and plain values in others."""
    if hasattr(value, "model_dump"):
        return value.model_dump()
    if isinstance(value, dict | str):
        return value
    raise InvalidRequest(f"A message is a {type(value).__name__}; it must be an object.", field="messages")


def messages_to_send(entries: Iterable[dict]) -> list[dict]:
    """What the model gets of a history: neither the page's notes, nor a question that got no more than a note.

    An image that was refused would otherwise be refused again on every later turn. The last question stays, and so
    does one that another follows without a note between them: programs may put an image and its question apart.
    """
    kept: list[dict] = []
    only_noted = False
    for entry in entries:
        if entry.get("metadata"):
            only_noted = bool(kept) and kept[-1].get("role") == "user"
            continue
        if only_noted and entry.get("role") == "user":
            kept.pop()
        kept.append(entry)
        only_noted = False
    return kept
