"""Everything about a set of data before it is learnt: what is wrong, how long it is, what it repeats, what leaks; and the
division into a part that is learnt and a part that is held out.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image

from qwen_demo.finetune.base import Base
from qwen_demo.finetune.boxes import Boxes, has_places
from qwen_demo.finetune.encoding import Encoded, Unfit, encoded, opened
from qwen_demo.finetune.reading import Images, files_of, read
from qwen_demo.finetune.rows import Row, RowProblem
from qwen_demo.media import MediaLoader
from qwen_demo.sentences import counted
from qwen_demo.types import Image

HELD_OUT = 0.15  # of the images, where the data does not say which are held out
NEAR_BITS = 4  # of 64 that two perceptual hashes of near the same image may differ in
NEAR_LIMIT = 20_000  # images up to which they are compared each with each

Kept = Callable[[Encoded, list[Any]], None]


@dataclass(frozen=True, slots=True)
class Asked:
    """Which data, and how it is read.

    Attributes:
        images: folders for images, beside the data's own.
        question: for rows that have an answer alone.
        held_out: share of the images that is held out where the data does not say.
        held_out_data: a file or folder of its own for the held-out part.
    """

    data: Path
    images: tuple[Path, ...] = ()
    boxes: Boxes = "original"
    question: str = ""
    held_out: float = HELD_OUT
    held_out_data: Path | None = None


@dataclass(slots=True)
class Gathered:
    """
    Attributes:
        train, held_out: rows that can be learnt or asked.
        lengths: of all of them, in tokens.
    """

    train: list[Encoded] = field(default_factory=list)
    held_out: list[Encoded] = field(default_factory=list)
    problems: list[RowProblem] = field(default_factory=list)
    lines: int = 0
    images: int = 0
    with_boxes: int = 0
    longest_answer: int = 0

    @property
    def lengths(self) -> list[int]:
        return sorted(len(each.ids) for each in (*self.train, *self.held_out))

    @property
    def refused(self) -> int:
        return sum(problem.fatal for problem in self.problems)


async def gathered(asked: Asked, base: Base, kept: Path, keep: Kept = lambda row, pixels: None) -> Gathered:
    """Read, open, measure and divide; one image's pixels are held at a time.

    Args:
        kept: folder for what data: URLs hold.
        keep: gets every row that is fit, with its pixels.
    """
    found, seen = Gathered(), _Seen()
    settings = base.settings
    sources = [(asked.data, "")] + ([(asked.held_out_data, "held_out")] if asked.held_out_data else [])
    divided: list[tuple[Encoded, str]] = []
    async with aclosing(MediaLoader.of(settings)) as loader:
        for data, part in sources:
            assert data is not None
            files = files_of(data)
            images = Images(settings, [data if data.is_dir() else data.parent, *asked.images], kept)
            for row in read(files, images, asked.question):
                found.lines += 1
                if isinstance(row, RowProblem):
                    found.problems.append(row)
                    continue
                try:
                    media = await opened(row, loader, images.allowed)
                    fit, pixels = encoded(row, media, base, asked.boxes)
                except Unfit as error:
                    found.problems.append(RowProblem(row.where, str(error)))
                    continue
                found.problems += seen.note(row, [media[file] for file in row.images])
                found.with_boxes += has_places(row.answer)
                found.longest_answer = max(found.longest_answer, len(fit.ids) - fit.prompt_tokens)
                keep(fit, pixels)
                divided.append((fit, part or row.part))
    found.images = len(seen.rows_of)
    _divide(found, divided, asked)
    found.problems += seen.leaks(found)
    return found


def _divide(found: Gathered, rows: Sequence[tuple[Encoded, str]], asked: Asked) -> None:
    """As the data says; else by a hash of the first image, so that an image's rows stay together, in every run.

    A file named `train` alone does not say what is held out.
    """
    says = any(part == "held_out" for _, part in rows)
    keys = sorted({_key(row) for row, _ in rows})
    count = min(len(keys) - 1, max(1, round(len(keys) * asked.held_out))) if asked.held_out and len(keys) > 1 else 0
    chosen = set() if says else set(keys[:count])
    for row, part in rows:
        held_out = part == "held_out" if says else _key(row) in chosen
        (found.held_out if held_out else found.train).append(row)


def _key(row: Encoded) -> str:
    text = row.images[0].digest if row.images else row.row.question
    return hashlib.sha256(text.encode()).hexdigest()


class _Seen:
    """What has come by: for repetitions and leaks."""

    def __init__(self) -> None:
        self.rows_of: dict[str, list[str]] = defaultdict(list)  # image -> where
        self.near: dict[str, int] = {}
        self.asked: dict[str, tuple[str, str]] = {}

    def note(self, row: Row, images: Sequence[Image]) -> list[RowProblem]:
        for image in images:
            if image.digest not in self.near:
                self.near[image.digest] = perceptual_hash(image.pixels)
            self.rows_of[image.digest].append(row.where)
        key = hashlib.sha256("\0".join([*(i.digest for i in images), row.question]).encode()).hexdigest()
        before = self.asked.setdefault(key, (row.where, row.answer))
        if before[0] == row.where:
            return []
        same = before[1].strip() == row.answer.strip()
        words = "repeats" if same else "contradicts"
        more = "" if same else f": the same question about the same image has another answer, {before[1][:60]!r}"
        return [RowProblem(row.where, f"{words} {before[0]}{more}.", fatal=False)]

    def leaks(self, found: Gathered) -> list[RowProblem]:
        """Held-out images that are learnt as well, or nearly: what is measured on them is memory."""
        learnt = {image.digest: row.row.where for row in found.train for image in row.images}
        problems = []
        few = len(learnt) <= NEAR_LIMIT
        hashes = np.array([self.near[d] for d in learnt], np.uint64) if few else np.empty(0, np.uint64)
        places = list(learnt.values())
        for row in found.held_out:
            for image in row.images:
                if image.digest in learnt:
                    words = f"is held out, and {learnt[image.digest]} learns the same image."
                    problems.append(RowProblem(row.row.where, words, fatal=False))
                elif len(hashes):
                    away = np.bitwise_count(hashes ^ np.uint64(self.near[image.digest]))
                    if int(away.min()) <= NEAR_BITS:
                        words = f"is held out, and {places[int(away.argmin())]} learns an image that looks the same."
                        problems.append(RowProblem(row.row.where, words, fatal=False))
        return problems


def perceptual_hash(image: PIL.Image.Image) -> int:
    """64 bits that stay when an image is scaled or saved anew: of the lowest 8 x 8 frequencies (a DCT of 32 x 32 greys),
    which lie above their median."""
    grey = np.asarray(image.convert("L").resize((32, 32), PIL.Image.Resampling.BILINEAR), np.float64)
    k, n = np.arange(8)[:, None], np.arange(32)[None]
    basis = np.cos(np.pi * k * (2 * n + 1) / 64)
    low = (basis @ grey @ basis.T).ravel()
    bits = low > np.median(low[1:])
    return int(np.packbits(bits).view(">u8")[0])


def told(found: Gathered, asked: Asked, base: Base, *, most: int = 200) -> str:
    """For people: line by line what is wrong, then counts."""
    lines = [str(problem) if problem.fatal else f"{problem} (a warning)" for problem in found.problems[:most]]
    if len(found.problems) > most:
        lines.append(f"... and {len(found.problems) - most} more.")
    lengths = found.lengths or [0]
    words = {"original": "pixels of the images as they are", "processed": "pixels that the model sees"}
    kinds = Counter("refused" if problem.fatal else "warned of" for problem in found.problems)
    lines += [
        f"{counted(found.lines, 'line')}: {len(found.train)} to learn, {len(found.held_out)} held out, "
        f"{kinds['refused']} refused, {counted(kinds['warned of'], 'warning')}; {counted(found.images, 'different image')}.",
        f"Tokens a row: {lengths[0]} to {lengths[-1]}, median {lengths[len(lengths) // 2]}, "
        f"{sum(lengths):,} in all; {base.name} reads {base.info.context_tokens:,}. Longest answer: {found.longest_answer}.",
    ]
    if found.with_boxes:
        lines.append(
            f"{counted(found.with_boxes, 'answer')} with boxes or points, read as "
            f"{words.get(asked.boxes, 'thousandths of a side')} (--boxes {asked.boxes}) and learnt in pixels that "
            "the model sees."
        )
    return "\n".join(lines)


def row_as_openai(row: Row) -> dict[str, Any]:
    """As one line of JSONL that `read` takes."""
    messages = []
    for turn in row.turns:
        parts: list[dict[str, Any]] = [
            {"type": "text", "text": part}
            if isinstance(part, str)
            else {"type": "image_url", "image_url": {"url": part.source}}
            for part in turn.parts
        ]
        content: Any = turn.text if turn.role != "user" else parts
        messages.append({"role": turn.role, "content": content})
    return {"messages": messages, **({"split": row.part} if row.part else {})}
