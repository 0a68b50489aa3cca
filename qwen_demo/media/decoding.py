"""One file through one decoder: the steps that all kinds share, from a job to pixels that count in the budget."""

import contextlib
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from qwen_demo.errors import MediaRefused
from qwen_demo.media.content import Content
from qwen_demo.media.decoders import DecoderPool
from qwen_demo.media.jobs import DecoderFailed, DecoderJob, Task
from qwen_demo.media.memory_budget import MemoryBudget
from qwen_demo.raster import Raster
from qwen_demo.settings import Settings

_LARGEST = 1 << 40  # no length, area or number of bytes that a decoder may name is larger
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Plan:
    """What a decoder says that it is going to make, found to be within the limits: `count` images of one size."""

    count: int
    width: int
    height: int
    peak_bytes: int

    @property
    def nbytes(self) -> int:
        return self.count * self.width * self.height * 3


@dataclass(frozen=True, slots=True)
class Decoded:
    """Pixels, and both answers as they came: every use of one is to be checked."""

    first: dict[str, Any]
    last: dict[str, Any]
    raster: Raster


class RefusedByDecoder(Exception):
    """The decoder's own words: a code and numbers."""

    def __init__(self, code: str, values: list[float]):
        super().__init__(code)
        self.code, self.values = code, values


@dataclass(frozen=True, slots=True)
class Context:
    """What decoding needs besides a file."""

    settings: Settings
    budget: MemoryBudget
    decoders: DecoderPool

    async def decode(self, task: Task, content: Content, plan: Callable[[dict[str, Any]], Plan]) -> Decoded:
        """Pixels, counted in the budget until they are collected.

        Args:
            content: counted in the budget by whoever read it.
            plan: reads the first answer; raises `ValueError` and its like where it cannot be right.

        Raises:
            RefusedByDecoder, DecoderFailed, TimeoutError, ValueError, TypeError, LookupError: `refused_in_words` knows.
            Overloaded: what others hold leaves no room for it, or no decoder is free.
        """
        running: DecoderJob | None = None
        try:
            async with self.decoders.job(task, content.fd) as running:
                return await self._decoded(running, content, plan)
        except DecoderFailed:
            if running is None or running.decoder.jobs == 1:
                raise
        # What an earlier file left there may be why: this one gets a decoder that has seen no other.
        async with self.decoders.job(replace(task, again=False), content.fd) as running:
            return await self._decoded(running, content, plan)

    async def _decoded(self, running: DecoderJob, content: Content, plan: Callable[[dict[str, Any]], Plan]) -> Decoded:
        first = unrefused(await running.answer())
        planned = plan(first)
        taken = planned.peak_bytes + planned.nbytes
        async with self.budget.passing(taken, content.size) as share, running.granted(planned.nbytes):
            last = unrefused(await running.answer())
            width, height = numbers(last, "width", "height")
            if sorted((width, height)) != sorted((planned.width, planned.height)):
                raise DecoderFailed("pixels of another size")
            raster = await running.raster(planned.count, width, height)
            share.keep(raster.nbytes, raster)
        return Decoded(first, last, raster)


def unrefused(answer: dict[str, Any]) -> dict[str, Any]:
    if "detail" in answer:
        log.error("a decoder failed: %r", answer["detail"])
    if "refused" in answer:
        raise RefusedByDecoder(str(answer["refused"]), [float(value) for value in answer["values"]])
    return answer


def numbers(answer: dict[str, Any], *names: str) -> list[int]:
    """Positive whole numbers of an answer that nobody believes.

    Raises:
        ValueError, LookupError: other things.
    """
    found = [answer[name] for name in names]
    if not all(type(value) is int and 0 < value < _LARGEST for value in found):
        raise ValueError("not positive whole numbers")
    return found


@contextlib.contextmanager
def refused_in_words(refusal: Callable[[str, list[float]], MediaRefused]) -> Iterator[None]:
    """Everything that can go wrong in a decoder as `refusal(code, values)`; of its own, `late` and `failed`."""
    try:
        yield
    except RefusedByDecoder as exc:
        raise refusal(exc.code, exc.values) from exc
    except TimeoutError as exc:
        raise refusal("late", []) from exc
    except (DecoderFailed, ValueError, TypeError, LookupError, OverflowError) as exc:
        raise refusal("failed", []) from exc
