"""Share bundle: one answer with all that led to it, as a JSON file that another server can ask again.

It holds messages, images with their hashes and the size that the model saw, parameters, model and
revision. A bundle that is opened is a stranger's file: every bound is checked before an image of
it is decoded, and images go through `media` like uploads.
"""

import asyncio
import base64
import binascii
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from qwen_demo.errors import InvalidRequest, QwenDemoError
from qwen_demo.media.sniff import file_format
from qwen_demo.sentences import Sentence
from qwen_demo.types import ModelInfo
from qwen_demo.ui import chat, gradio_internals, render
from qwen_demo.ui.attachments import Gallery
from qwen_demo.ui.chat import History
from qwen_demo.ui.conversation import Reader
from qwen_demo.ui.difference import difference
from qwen_demo.ui.history import generation_params
from qwen_demo.ui.history.generation_params import GenerationParams
from qwen_demo.ui.history.transcript import File, Turn
from qwen_demo.ui.i18n import texts
from qwen_demo.ui.i18n.languages import Words

FORMAT: Final = "qwen-demo-bundle"
MAX_BYTES = 24 << 20  # of all images together
MAX_FILE_BYTES = 36 << 20  # base64 takes a third more, and the words come on top
_ENDINGS = {"PNG": "png", "JPEG": "jpg", "WebP": "webp", "GIF": "gif", "BMP": "bmp", "TIFF": "tif", "AVIF": "avif",
            "HEIC": "heic", "MP4": "mp4", "MATROSKA": "webm", "AVI": "avi"}  # fmt: skip
_Text = Annotated[str, StringConstraints(max_length=200_000)]
_Strict = ConfigDict(extra="forbid", allow_inf_nan=False)
_Side = Annotated[int, Field(ge=0, le=1 << 20)]


class BundleImage(BaseModel):
    """Attributes:
    seen: width and height that the model saw; (0, 0) where that was not known.
    sha256: of the file.
    data: the file in base64.
    """

    model_config = _Strict

    name: Annotated[str, StringConstraints(max_length=120)]
    sha256: Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]
    seen: tuple[_Side, _Side]
    data: Annotated[str, StringConstraints(max_length=MAX_FILE_BYTES)]


class BundlePart(BaseModel):
    """Text, or the index of an image."""

    model_config = _Strict

    text: _Text = ""
    image: Annotated[int, Field(ge=0, lt=64)] | None = None


class BundleMessage(BaseModel):
    model_config = _Strict

    role: Literal["user", "assistant"]
    parts: list[BundlePart] = Field(max_length=64)


class Bundle(BaseModel):
    """Attributes:
    messages: end with the question.
    answer: what was answered to it.
    """

    model_config = _Strict

    format: Literal["qwen-demo-bundle"] = FORMAT
    version: Literal[1] = 1
    generation_params: GenerationParams
    images: list[BundleImage] = Field(max_length=64)
    messages: list[BundleMessage] = Field(min_length=1, max_length=200)
    answer: _Text


async def pack(turns: Sequence[Turn], gallery: Gallery, model: ModelInfo) -> str:
    """The last answer of the conversation as a bundle.

    Raises:
        InvalidRequest: no answer that went well, an image that is gone, or too many bytes.
    """
    known = generation_params.decode(turns[-1].params) if turns and turns[-1].role == "assistant" else None
    if known is None:
        raise InvalidRequest(Sentence("There is no whole answer to share. Ask first, or ask again."))
    images, left = {}, MAX_BYTES
    for file in dict.fromkeys(file for turn in turns for file in turn.files):
        data = await asyncio.to_thread(_read, file, left)
        left -= len(data)
        seen = (await gallery.look(file.path)).seen(known.sight(model) or model, known.max_pixels)
        encoded = base64.b64encode(data).decode()
        images[file] = BundleImage(name=file.name, sha256=hashlib.sha256(data).hexdigest(), seen=seen, data=encoded)
    order = list(images)
    messages = [
        BundleMessage(
            role=turn.role,
            parts=[BundlePart(text=p) if isinstance(p, str) else BundlePart(image=order.index(p)) for p in turn.parts],
        )
        for turn in turns[:-1]
    ]
    try:
        bundle = Bundle(generation_params=known, images=list(images.values()), messages=messages, answer=turns[-1].text)
    except ValidationError as error:
        raise InvalidRequest(Sentence("The conversation is too long to share: 200 messages at most.")) from error
    return bundle.model_dump_json(indent=1, exclude_none=True) + "\n"


def _read(file: File, most: int) -> bytes:
    try:
        path = Path(file.path)
        if gradio_internals.is_upload(file.path) and path.stat().st_size <= most:
            return path.read_bytes()
    except OSError as error:
        raise InvalidRequest(Sentence("{name} is no longer on the server. Attach it again.", name=file.name)) from error
    too_large = "The images are too large to share: {limit} MiB at most, all together."
    raise InvalidRequest(Sentence(too_large, limit=MAX_BYTES >> 20))


def parse(path: Path) -> Bundle:
    """
    Raises:
        InvalidRequest: no bundle, or beyond its bounds.
    """
    if path.stat().st_size > MAX_FILE_BYTES:
        raise InvalidRequest(Sentence("The bundle is larger than {limit} MiB.", limit=MAX_FILE_BYTES >> 20))
    try:
        bundle = Bundle.model_validate(json.loads(path.read_bytes()))
    except (ValueError, RecursionError) as error:
        raise InvalidRequest(Sentence("This file is no share bundle of this demo.")) from error
    wanted = [part.image for message in bundle.messages for part in message.parts if part.image is not None]
    if bundle.messages[-1].role != "user" or any(index >= len(bundle.images) for index in wanted):
        raise InvalidRequest(Sentence("This bundle is damaged: it has no question, or lacks an image."))
    return bundle


async def unpack(bundle: Bundle, reader: Reader, words: Words = texts) -> History:
    """The conversation up to the question, with its images as uploads of this server.

    Raises:
        InvalidRequest: an image is not the one that was shared.
        MediaRefused: it is beyond the limits of this server.
    """
    paths = [await _upload(image, number, reader) for number, image in enumerate(bundle.images, 1)]
    history: History = []
    for message in bundle.messages:
        text = "".join(part.text for part in message.parts)
        if message.role == "assistant":
            history.append(render.answer(text))
        else:
            files = [paths[part.image] for part in message.parts if part.image is not None]
            history = chat.ask(chat.note_unanswered(history, words), {"text": text, "files": files})
    return history


async def _upload(image: BundleImage, number: int, reader: Reader) -> str:
    try:
        data = base64.b64decode(image.data, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidRequest(Sentence("Image {number} of the bundle is damaged.", number=number)) from error
    if len(data) > MAX_BYTES or hashlib.sha256(data).hexdigest() != image.sha256:
        foreign = "Image {number} of the bundle is not the one that was shared: its hash differs."
        raise InvalidRequest(Sentence(foreign, number=number))
    # The name in the bundle is a stranger's; the type is what the bytes say.
    ending = _ENDINGS.get(file_format(data[:64]) or "", "bin")
    path = await asyncio.to_thread(gradio_internals.save_upload, data, f"shared-{number}.{ending}")
    try:
        await reader.file(path)
    except QwenDemoError:
        await asyncio.to_thread(Path(path).unlink, missing_ok=True)
        raise
    return path


def expected(bundle: Bundle) -> dict:
    """What the verdict needs; it stays in the view while the question is asked again."""
    seen = [list(image.seen) for image in bundle.images]
    return {"answer": bundle.answer, "model": bundle.generation_params.model, "revision": bundle.generation_params.revision or "",
            "quantization": bundle.generation_params.quantization, "seen": seen}  # fmt: skip


async def verdict(value: Any, turns: Sequence[Turn], gallery: Gallery, model: ModelInfo) -> dict | None:
    """Whether the newest answer is what was expected; None where nothing was, or no answer came."""
    if not isinstance(value, dict) or not isinstance(value.get("answer"), str) or not turns:
        return None
    if turns[-1].role != "assistant" or not (known := generation_params.decode(turns[-1].params)):
        return None
    files = dict.fromkeys(file for turn in turns for file in turn.files)
    seen = [list((await gallery.look(file.path)).seen(model, known.max_pixels)) for file in files]
    theirs = tuple(str(value.get(key, ""))[:300] for key in ("model", "revision", "quantization"))
    ours = (model.model_id, model.revision or "", model.quantization)
    return {
        "same": turns[-1].text == value["answer"],
        "same_model": theirs == ours,
        "same_sizes": seen == value.get("seen"),
        "models": [" ".join(filter(None, names[:2])) for names in (theirs, ours)],
        "difference": await asyncio.to_thread(difference, value["answer"], turns[-1].text),
    }
