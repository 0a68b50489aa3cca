"""One request on its way through the engine: what it asked, where it stands, what it has cost."""

import asyncio
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from qwen_demo.types import ChatRequest, Event, Finished, Sampling, TextDelta, Timing, TokenLogprob, Usage

if TYPE_CHECKING:
    import numpy as np
    import torch

    from qwen_demo.engines.grammar import Constraint
    from qwen_demo.engines.output import Output
    from qwen_demo.models.prompt import Prompt


@dataclass(slots=True, eq=False)
class Job:
    """Lives on three threads in turn: the event loop's, the intake's, the owner's.

    Attributes:
        events: what the caller reads; an exception ends the stream.
        gone: set when nothing of the request is left in the engine.
        cancelled: nobody reads any more.
        constraint: holds the answer to a JSON schema.
        features: encoded images, [tokens, hidden] each, in the order of `prompt.media`.
        key: of the prompt's tokens, see `reuse.prefix_key`.
        slot: of the cache, while it runs.
    """

    request: ChatRequest
    arrived: float
    deadline: float
    events: asyncio.Queue = field(default_factory=asyncio.Queue)
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    cancelled: bool = False

    prompt: "Prompt | None" = None
    sampling: Sampling | None = None
    output: "Output | None" = None
    constraint: "Constraint | None" = None
    features: "tuple[torch.Tensor, ...]" = ()
    key: "np.ndarray | None" = None
    slot: int = -1

    encoder_hits: int = 0
    encoder_hit: tuple[bool, ...] = ()
    cached_tokens: int = 0
    preprocess_s: float = 0.0
    vision_s: float = 0.0
    admitted: float = 0.0
    first: float = 0.0
    _logprobs: list[TokenLogprob] = field(default_factory=list)

    def push(self, token: int, logprob: TokenLogprob | None) -> list[Event]:
        """Take the next token; gives what the caller should see."""
        now = time.perf_counter()
        self.first = self.first or now
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

    def contents(self, read_tokens: int) -> "np.ndarray":
        """Key of the tokens whose keys and values are in the cache when `read_tokens` of the prompt are.

        The newest token of the answer is not: it is the next step's input.
        """
        import numpy as np

        written = self.output.ids[:-1] if read_tokens == len(self.key) else []
        return np.concatenate([self.key[:read_tokens], np.asarray(written, np.int64)])

    def _finished(self, now: float) -> Finished:
        usage = Usage(self.prompt.length, self.prompt.image_tokens, len(self.output.ids), self.cached_tokens)
        timing = Timing(
            queue_s=max(0.0, self.admitted - self.arrived - self.preprocess_s - self.vision_s),
            preprocess_s=self.preprocess_s,
            vision_s=self.vision_s,
            prefill_s=self.first - self.admitted,
            ttft_s=self.first - self.arrived,
            decode_s=now - self.first,
            total_s=now - self.arrived,
            encoder_hits=self.encoder_hits,
            encoder_hit=self.encoder_hit,
        )
        return Finished(self.output.reason, usage, timing)

    def drop_pixels(self) -> None:
        """The encoder has seen the patches, which are most of a waiting request's memory."""
        media = tuple(replace(medium, pixels=medium.pixels[:0]) for medium in self.prompt.media)
        self.prompt = replace(self.prompt, media=media)
