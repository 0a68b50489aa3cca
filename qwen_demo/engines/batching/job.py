"""A request on its way through the engine: what it asked, where it stands, what it has cost, how it may end.

Imports no torch: the event loop's side and the scheduler know no more of a request than this.
"""

import asyncio
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Generic, TypeVar

from qwen_demo.errors import DeadlineExceeded, EngineFailed, OutOfMemory
from qwen_demo.types import ChatRequest, Event, Finished, Sampling, TextDelta, Timing, TokenLogprob, Usage

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import torch

    from qwen_demo.engines.grammar import Constraint
    from qwen_demo.engines.output import Output
    from qwen_demo.models.prompt import Prompt


@dataclass(slots=True, eq=False, kw_only=True)
class SequenceState:
    """What scheduler, caches and forward passes know of a request. Compared by identity.

    Attributes:
        prompt_tokens: length of the prompt.
        total_tokens: prompt and longest answer; reserved while it runs.
        prefilled_tokens: of the prompt, already in the cache.
        queued_tokens: of the answer, of passes that nobody has read yet.
        overtaken: how many later requests were admitted before this one.
        slot: of the cache, while it runs.
        adapter: number of its adapter in the engine's table; 0 is none.
        prompt: set once it is built.
        features: encoded images, [tokens, hidden] each, in the order of `prompt.media`.
    """

    prompt_tokens: int = 0
    total_tokens: int = 0
    prefilled_tokens: int = 0
    queued_tokens: int = 0
    overtaken: int = 0
    slot: int = -1
    adapter: int = 0
    prompt: "Prompt" = field(init=False, repr=False)
    features: "tuple[torch.Tensor, ...]" = field(default=(), repr=False)

    @property
    def is_decoding(self) -> bool:
        """Whether the whole prompt is in the cache."""
        return self.prefilled_tokens >= self.prompt_tokens


S = TypeVar("S", bound=SequenceState)


@dataclass(frozen=True, slots=True)
class PrefillChunk(Generic[S]):
    """Tokens `start` to `stop` of a prompt, which one pass computes."""

    sequence: S
    start: int
    stop: int

    @property
    def slot(self) -> int:
        return self.sequence.slot

    @property
    def tokens(self) -> int:
        return self.stop - self.start

    @staticmethod
    def whole(prompt: "Prompt", slot: int) -> "PrefillChunk[SequenceState]":
        """A prompt without images that belongs to no request, in one chunk."""
        sequence = SequenceState(prompt_tokens=prompt.length, slot=slot)
        sequence.prompt = prompt
        return PrefillChunk(sequence, 0, prompt.length)


@dataclass(slots=True, eq=False)
class Job(SequenceState):
    """Lives on three threads in turn: the event loop's, the preprocessor's, the engine loop's.

    Attributes:
        arrived_s, deadline_s, admitted_s, first_token_s: on the clock of `time.perf_counter`.
        events: what the caller reads; an exception ends the stream.
        gone: set when nothing of the request is left in the engine.
        cancelled: nobody reads any more.
        sampling: with the length that memory and context leave; set with the prompt, as are `output`
            and `prefix_key`.
        prefix_key: of the prompt's tokens, [prompt_tokens] int64, see `prefix_cache.prefix_key`.
        prefix_mask: see `prefix_cache.adapter_mask`.
        constraint: holds the answer to a JSON schema or to calls of tools.
    """

    request: ChatRequest
    arrived_s: float
    deadline_s: float
    events: "asyncio.Queue[Event | Exception]" = field(default_factory=asyncio.Queue, repr=False)
    gone: asyncio.Event = field(default_factory=asyncio.Event, repr=False)
    cancelled: bool = False

    sampling: Sampling = field(init=False, repr=False)
    output: "Output" = field(init=False, repr=False)
    prefix_key: "npt.NDArray[np.int64]" = field(init=False, repr=False)
    prefix_mask: int = 0
    constraint: "Constraint | None" = None

    encoder_hits: int = 0
    encoder_hit: tuple[bool, ...] = ()
    cached_tokens: int = 0
    preprocess_s: float = 0.0
    vision_s: float = 0.0
    admitted_s: float = 0.0
    first_token_s: float = 0.0
    _logprobs: list[TokenLogprob] = field(default_factory=list, repr=False)

    @property
    def wants_tokens(self) -> bool:
        """Whether its answer may be longer than what has been queued already."""
        return len(self.output.ids) + self.queued_tokens < self.sampling.max_new_tokens

    def push(self, token: int, logprob: TokenLogprob | None) -> list[Event]:
        """Take the next token; gives what the caller should see."""
        now = time.perf_counter()
        self.first_token_s = self.first_token_s or now
        text = self.output.push(token)
        if logprob is not None:
            self._logprobs.append(logprob)
        made: list[Event] = []
        if text:
            made.append(TextDelta(text, tuple(self._logprobs)))
            self._logprobs.clear()
        if self.output.reason is not None:
            made.append(self._finished(now))
        return made

    def cached_key(self) -> "npt.NDArray[np.int64]":
        """Key of the tokens whose keys and values are in the cache.

        The newest token of the answer is not: it is the next step's input.
        """
        import numpy as np

        answer = self.output.ids[:-1] if self.is_decoding else []
        said = np.asarray(answer, np.int64) ^ self.prefix_mask
        return np.concatenate([self.prefix_key[: self.prefilled_tokens], said])

    def drop_pixels(self) -> None:
        """The encoder has seen the patches, which are most of a waiting request's memory."""
        media = tuple(replace(medium, pixels=medium.pixels[:0]) for medium in self.prompt.media)
        self.prompt = replace(self.prompt, media=media)

    def _finished(self, now: float) -> Finished:
        assert self.output.reason is not None
        usage = Usage(self.prompt.length, self.prompt.image_tokens, len(self.output.ids), self.cached_tokens)
        timing = Timing(
            queue_s=max(0.0, self.admitted_s - self.arrived_s - self.preprocess_s - self.vision_s),
            preprocess_s=self.preprocess_s,
            vision_s=self.vision_s,
            prefill_s=self.first_token_s - self.admitted_s,
            ttft_s=self.first_token_s - self.arrived_s,
            decode_s=now - self.first_token_s,
            total_s=now - self.arrived_s,
            encoder_hits=self.encoder_hits,
            encoder_hit=self.encoder_hit,
        )
        return Finished(self.output.reason, usage, timing)


def out_of_memory(cause: Exception) -> OutOfMemory:
    error = OutOfMemory(
        "This request needed more memory than is free. Send fewer or smaller images, lower the pixel budget or the "
        "answer's length, or try again when fewer people ask."
    )
    error.__cause__ = cause
    return error


def waited_too_long() -> DeadlineExceeded:
    return DeadlineExceeded("The request waited longer than it may. Try again when fewer people ask.")


def took_too_long() -> DeadlineExceeded:
    return DeadlineExceeded("The request took longer than it may. Ask for a shorter answer.")


def failed(cause: Exception) -> EngineFailed:
    error = EngineFailed("The model failed on this request; the cause is in the server's log.")
    error.__cause__ = cause
    return error
