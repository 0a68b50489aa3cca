"""Chat history as Gradio and programs write it -> messages for the service.

Two spellings of a part are read: Gradio's (`text`, `file`) and OpenAI's (`text`, `image_url`,
`video_url`). Files must lie where Gradio keeps uploads; anything else on the disk is refused.
Notes that the page shows under answers are not part of the conversation and stay out.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from qwen_demo.errors import InvalidRequest
from qwen_demo.media import Clip, MediaLoader, Page
from qwen_demo.types import Image, Message, Part, Text, Video

ROLES = ("system", "user", "assistant")


class Reader:
    """Reads histories of untrusted shape.

    Args:
        loader: opens their files.
        upload_roots: folders whose files a history may name.
    """

    def __init__(self, loader: MediaLoader, upload_roots: Sequence[Path]):
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
        return Message(role, tuple([part for raw in parts if (part := await self._part(_plain(raw)))]))

    async def _part(self, part: str | dict) -> Part | None:
        if isinstance(part, str):
            return Text(part) if part else None
        kind = part.get("type") or next((key for key in ("text", "file", "path", "image_url") if key in part), None)
        if kind == "text":
            return Text(str(part.get("text", ""))) if part.get("text") else None
        if kind in ("image_url", "video_url"):
            url = part.get(kind)
            return await self.url(url.get("url", "") if isinstance(url, dict) else str(url))
        if kind in ("file", "image", "video", "path"):
            return await self.file(part if kind == "path" else part.get(kind))
        raise InvalidRequest(
            f"A message has a part of the type {kind!r}; it may be text, file, image_url or video_url.",
            field="messages",
        )

    async def download(self, url: str) -> bytes:
        """What an https: URL gives, not decoded. Raises `FetchRefused`."""
        return await self._loader.fetch_url(url)

    async def url(self, url: str) -> Image | Video:
        return await self._loader.load_url(url)

    async def page(self, path: str, number: int) -> Page:
        """Page `number`, counted from 1, of an uploaded PDF or image. Raises `MediaRefused`."""
        return await self._loader.load_page(path, allowed_roots=self._roots, number=number)

    async def bytes_of(self, path: str) -> bytes:
        """An uploaded file as it is, for a collection. Raises `MediaRefused`."""
        most = self._loader.settings.max_knowledge_file_bytes
        return await self._loader.read_bytes(path, allowed_roots=self._roots, most=most)

    async def file(self, file: Any, clip: Clip | None = None) -> Image | Video:
        """`file` is Gradio's file data or a path that an upload gave; `clip` wants a video and says how it is sampled."""
        path = _plain(file).get("path") if not isinstance(file, str) else file
        if not isinstance(path, str) or not path:
            raise InvalidRequest(
                "A file part has no path. Send what gradio_client's handle_file gives.", field="messages"
            )
        if path.startswith(("http:", "https:", "data:")):
            return await self.url(path)
        return await self._loader.load_path(path, allowed_roots=self._roots, kind="video" if clip else None, clip=clip)


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
