"""A larger model's answers as data for a smaller one: asked twice, and kept where both answers agree and hold.

The teacher is any engine: one of this program's, or one behind an OpenAI-compatible address. What it says is written
as data that `finetune` reads, with boxes in pixels of the images as they are, as teacher and student see other sizes.
"""

import json
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qwen_demo.errors import ContextTooLong, DeadlineExceeded, InvalidRequest, MediaRefused, OutOfMemory
from qwen_demo.finetune.boxes import has_places, outside, rescaled
from qwen_demo.finetune.judging import judged
from qwen_demo.media import MediaLoader
from qwen_demo.models.pixels import PixelBounds
from qwen_demo.sentences import counted
from qwen_demo.settings import Settings
from qwen_demo.types import ChatRequest, Engine, Image, Message, Sampling, Text, collect

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".avif", ".heic")
SECOND = Sampling(temperature=0.7, seed=1)
SAME_BOXES = 0.5  # mean overlap from which on two answers place the same things
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Questions:
    """
    Attributes:
        texts: each is asked of every image.
        schema: JSON schema, as text, that every answer must follow; empty for none.
    """

    texts: tuple[str, ...]
    schema: str = ""
    max_new_tokens: int = 512


def images_in(folder: Path) -> list[Path]:
    """Raises `InvalidRequest` where there is none."""
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES) if folder.is_dir() else []
    if not found:
        raise InvalidRequest(f"{folder} is no folder with images in it ({', '.join(SUFFIXES)}).")
    return found


async def write_answers(
    teacher: Engine, images: Sequence[Path], questions: Questions, out: Path, settings: Settings, tell: Tell
) -> Counter[str]:
    """Ask, filter, write `out` at its end. Gives how many answers were kept, and why others were not.

    What was asked is kept beside `out` until then, and is not asked again.

    Raises:
        InvalidRequest: no answer was kept.
        EngineFailed, NotReady: as the teacher.
    """
    counts: Counter[str] = Counter()
    kept: list[dict[str, str]] = []
    out.parent.mkdir(parents=True, exist_ok=True)
    unfinished = out.with_name(f"{out.name}.unfinished")
    known = _begun(unfinished, json.dumps([teacher.info.model_id, questions.schema, questions.max_new_tokens]))
    async with aclosing(MediaLoader.of(settings)) as loader:
        with unfinished.open("a", encoding="utf-8") as file:
            for number, path in enumerate(images, 1):
                try:
                    image = await loader.load_path(path, allowed_roots=[path.parent], kind="image")
                except MediaRefused as error:
                    tell(f"{path.name} is left out: {error}")
                    counts["unreadable"] += 1
                    continue
                assert isinstance(image, Image)
                for question in questions.texts:
                    row = {"image": str(path.resolve()), "question": question}
                    if (asked := known.get((row["image"], question))) is None:
                        asked = await _asked(teacher, image, question, questions)
                        file.write(json.dumps([*row.values(), *asked]) + "\n")
                        file.flush()
                    reason, answer = asked
                    counts[reason] += 1
                    if reason == "kept":
                        kept.append(row | {"answer": answer})
                if number % 20 == 0:
                    tell(f"asked about {number} of {len(images)} images; {counted(counts['kept'], 'answer')} kept")
    tell("Teacher: " + ", ".join(f"{count} {reason}" for reason, count in counts.most_common()) + ".")
    if not kept:
        unfinished.unlink()
        raise InvalidRequest("None of the teacher's answers was kept; the counts above say why.")
    partial = out.with_suffix(f".{os.getpid()}.part")
    partial.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in kept), encoding="utf-8")
    os.replace(partial, out)
    unfinished.unlink()
    return counts


def _begun(file: Path, order: str) -> dict[tuple[str, str], tuple[str, str]]:
    """By image and question: what was asked for the same order before. Leaves `file` with that, whole lines alone."""
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True) if file.exists() else []
    lines = [line for line in lines if line.endswith("\n")] if lines[:1] == [order + "\n"] else [order + "\n"]
    file.write_text("".join(lines), encoding="utf-8")
    return {(image, question): (reason, answer) for image, question, reason, answer in map(json.loads, lines[1:])}


async def _asked(teacher: Engine, image: Image, question: str, questions: Questions) -> tuple[str, str]:
    """`kept`, or why not; and the answer, with boxes in the image's own pixels."""
    try:
        first, second = [await _answer(teacher, image, question, questions, each) for each in (Sampling(), SECOND)]
    except (ContextTooLong, MediaRefused, DeadlineExceeded, OutOfMemory):  # of this image alone
        return "refused by the teacher", ""
    if first is None or second is None:
        return "cut off", ""
    if not agree(first, second):
        return "two samples differ", ""
    if not _holds(first, questions.schema):
        return "no JSON, or not as the schema says", ""
    seen = PixelBounds.of(teacher.info).seen(*image.size) if teacher.info.max_pixels else image.size
    if outside(first, "processed", image.size, seen):
        return "boxes outside", ""
    return "kept", rescaled(first, seen, image.sent_size or image.size)


async def _answer(teacher: Engine, image: Image, question: str, questions: Questions, how: Sampling) -> str | None:
    """None where it was cut off."""
    sampling = Sampling(
        max_new_tokens=questions.max_new_tokens,
        temperature=how.temperature,
        seed=how.seed,
        json_schema=questions.schema or None,
    )
    message = Message("user", (image, Text(question)))
    answer = await collect(teacher.stream(ChatRequest((message,), sampling)))
    return answer.text.strip() if answer.finished.reason == "stop" and answer.text.strip() else None


def agree(first: str, second: str) -> bool:
    """Whether two answers say the same, but for blanks, case, and pixels of boxes."""
    found = judged(first, second)
    if found.iou is not None:
        return found.iou >= SAME_BOXES
    return " ".join(first.lower().split()) == " ".join(second.lower().split())


def _holds(answer: str, schema: str) -> bool:
    """What is JSON, or has to be, is whole; and as the schema says."""
    body = answer.removeprefix("```json").removesuffix("```").strip()
    if not (schema or has_places(answer) or answer.startswith(("{", "[", "```json"))):
        return True
    try:
        value: Any = json.loads(body)
    except ValueError:
        return False
    if not schema:
        return True
    import jsonschema_rs

    return jsonschema_rs.validator_for(json.loads(schema)).is_valid(value)


def read_questions(file: Path) -> tuple[str, ...]:
    """One a line. Raises `InvalidRequest` where there is none."""
    try:
        lines = tuple(_lines(file))
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"{file} cannot be read: {error}") from error
    if not lines:
        raise InvalidRequest(f"{file} has no question in it; write one a line.")
    return lines


def _lines(file: Path) -> Iterator[str]:
    with file.open(encoding="utf-8") as opened:
        yield from dict.fromkeys(line.strip() for line in opened if line.strip())
