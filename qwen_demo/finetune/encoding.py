"""A row -> token ids, which of them are learnt, and where its images are: exactly the prompt that an engine would build.

Words are never read as special tokens, in training as little as in serving.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np

from qwen_demo.answers.detections import asked_image
from qwen_demo.errors import ContextTooLong, QwenDemoError
from qwen_demo.finetune.base import Base
from qwen_demo.finetune.boxes import Boxes, converted, outside
from qwen_demo.finetune.rows import ImageFile, Row, RowTurn
from qwen_demo.media import MediaLoader
from qwen_demo.models.pixels import PixelBounds
from qwen_demo.types import ChatRequest, Image, Message, Role, Text

END = "<|im_end|>"


@dataclass(frozen=True, slots=True)
class Placed:
    """An image in a row.

    Attributes:
        digest: of its pixels, see `Image.digest`; the pixels are kept under it.
        grid: patches in time, height and width.
        start, tokens: its place in the ids.
    """

    digest: str
    grid: tuple[int, int, int]
    start: int
    tokens: int


@dataclass(frozen=True, slots=True)
class Encoded:
    """
    Attributes:
        row: with boxes in the model's pixels.
        ids: [length] int32.
        spans: half-open ranges of `ids` that are learnt, each with the token that ends an answer.
        prompt_tokens: before the last answer.
    """

    row: Row
    ids: np.ndarray
    spans: tuple[tuple[int, int], ...]
    images: tuple[Placed, ...]
    prompt_tokens: int


class Unfit(ValueError):
    """Why a row cannot be learnt; for people."""


async def opened(row: Row, loader: MediaLoader, allowed: Sequence[Path]) -> dict[ImageFile, Image]:
    """The row's images, decoded in confinement. Raises `Unfit`."""
    found: dict[ImageFile, Image] = {}
    for file in dict.fromkeys(row.images):
        try:
            if file.is_url:
                medium = await loader.load_url(file.source, kind="image", name=file.name)
            else:
                medium = await loader.load_path(file.source, allowed_roots=allowed, kind="image")
        except QwenDemoError as error:
            raise Unfit(f"the image {file.name} is refused: {error}") from error
        assert isinstance(medium, Image)
        found[file] = medium
    return found


def encoded(row: Row, images: dict[ImageFile, Image], base: Base, boxes: Boxes) -> tuple[Encoded, list[Any]]:
    """The row for the model, and its images' pixels (uint8 or patches, as `Medium.pixels`) in their order.

    Raises:
        Unfit: too long for the model, or a box lies outside of its image.
    """
    row = in_model_pixels(row, images, base, boxes)
    messages = [_message(turn, images) for turn in row.turns]
    builder = base.prompts
    end = builder.tokenizer.convert_tokens_to_ids(END)
    spans, prompt, answer = [], None, []
    for number, turn in enumerate(row.turns):
        if turn.role == "assistant" and (turn.taught or number == len(row.turns) - 1):
            try:
                prompt = builder.build(ChatRequest(tuple(messages[:number])))
            except ContextTooLong as error:
                raise Unfit(str(error)) from error
            answer = [*_ids(builder.tokenizer, turn.text), end]
            spans.append((prompt.length, prompt.length + len(answer), turn.taught))
    assert prompt is not None
    ids = np.array([*prompt.input_ids.tolist(), *answer], np.int32)
    if len(ids) > base.info.context_tokens:
        raise Unfit(f"has {len(ids)} tokens, and the model reads {base.info.context_tokens}.")
    for _begin, finish, _ in spans:
        if ids[finish - 1] != end:
            raise Unfit("has an answer that does not stand alone in the model's template.")
    images_at = tuple(Placed(m.digest, m.grid_thw, m.start, m.tokens) for m in prompt.media)
    taught = tuple((begin, finish) for begin, finish, is_taught in spans if is_taught)
    return Encoded(row, ids, taught, images_at, prompt.length), [m.pixels for m in prompt.media]


def in_model_pixels(row: Row, images: dict[ImageFile, Image], base: Base, boxes: Boxes) -> Row:
    """The row with its boxes in the pixels that the model sees. Raises `Unfit` where one lies outside."""
    bounds = PixelBounds.of(base.info)
    turns, asked = [], 0
    files: tuple[ImageFile, ...] = ()
    for turn in row.turns:
        if turn.role == "user":
            # As the page has it: an answer is about the newest images.
            files = tuple(part for part in turn.parts if isinstance(part, ImageFile)) or files
            asked = asked_image(turn.text, len(files))
        if not files:
            turns.append(turn)
            continue
        image = images[files[asked]]
        original = image.sent_size or image.size
        seen = bounds.seen(*image.size)
        if turn.role == "assistant" and (bad := outside(turn.text, boxes, original, seen)):
            raise Unfit(
                f"has {list(bad[0])} outside of its image ({original[0]} x {original[1]} pixels, seen by the model as "
                f"{seen[0]} x {seen[1]}), read as --boxes {boxes}."
            )
        parts = tuple(converted(p, boxes, original, seen) if isinstance(p, str) else p for p in turn.parts)
        turns.append(replace(turn, parts=parts))
    return replace(row, turns=tuple(turns))


def _message(turn: RowTurn, images: dict[ImageFile, Image]) -> Message:
    role = cast(Role, turn.role)
    return Message(role, tuple(images[part] if isinstance(part, ImageFile) else Text(part) for part in turn.parts))


def _ids(tokenizer: Any, text: str) -> list[int]:
    ids: list[int] = tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]
    return ids
