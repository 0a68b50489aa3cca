"""One call of transformers' `generate` for one request, token by token."""

import threading
import time
from collections.abc import Callable
from typing import Any

import torch
from transformers import GenerationConfig, StoppingCriteria, StoppingCriteriaList, TextIteratorStreamer
from transformers.generation.streamers import BaseStreamer

from qwen_demo.engines import sampling as sampling_
from qwen_demo.engines.grammar import Grammars
from qwen_demo.engines.output import Output
from qwen_demo.models.prompt import Prompt
from qwen_demo.types import Held, Sampling


def end_ids(model) -> frozenset[int]:
    """The tokens with which this checkpoint ends an answer."""
    ids = model.generation_config.eos_token_id
    return frozenset(ids if isinstance(ids, list) else [ids])


CUT = -1  # in place of a token: see `Output.cut`


class TokenStreamer(BaseStreamer):
    """Hands each generated token on as a number."""

    def __init__(self, on_token: Callable[[int], None]):
        self._on_token = on_token
        self._prompt_seen = False

    def put(self, value: torch.Tensor) -> None:
        """The prompt [1, length], then one token [1] at a time."""
        if self._prompt_seen:
            self._on_token(int(value.reshape(-1)[0]))
        self._prompt_seen = True

    def cut(self) -> None:
        self._on_token(CUT)

    def end(self) -> None:
        pass


class AnswerStreamer(TextIteratorStreamer):
    """transformers' streamer over the text that an `Output` makes certain: iterated while `generate` runs in
    another thread. It waits for a slow token as long as that takes.

    Attributes:
        output: counts the tokens, ends the answer at a stop string or in a loop, holds its reason.
        first_s: `time.perf_counter` at the first token; 0 before it.
    """

    def __init__(self, tokenizer, output: Output):
        super().__init__(tokenizer, skip_prompt=True, timeout=None)
        self.output = output
        self.first_s = 0.0

    def put(self, value: torch.Tensor) -> None:
        """The prompt [1, length], then one token [1] at a time."""
        if self.next_tokens_are_prompt:
            self.next_tokens_are_prompt = False
        else:
            self.take(int(value.reshape(-1)[0]))

    def take(self, token: int) -> None:
        """Count one generated token; what its text makes certain can be read."""
        if token == CUT:
            self.cut()
            return
        self.first_s = self.first_s or time.perf_counter()
        if self.output.reason is None and (text := self.output.push(token)):
            self.on_finalized_text(text)

    def cut(self) -> None:
        self.output.cut()

    def end(self) -> None:
        self.on_finalized_text("", stream_end=True)


class _StopWhen(StoppingCriteria):
    def __init__(self, should_stop: Callable[[], bool]):
        self._should_stop = should_stop

    def __call__(self, input_ids, scores, **kwargs):
        return torch.full((input_ids.shape[0],), self._should_stop(), dtype=torch.bool, device=input_ids.device)


class VisionClock:
    """Measures the vision encoder's time for each thread that runs the model."""

    def __init__(self, model: Any) -> None:
        self._local = threading.local()
        visual = model.model.visual
        visual.register_forward_pre_hook(lambda *_: setattr(self._local, "since", self._now()))
        visual.register_forward_hook(lambda *_: self._add())

    def reset(self) -> None:
        self._local.seconds = 0.0

    @property
    def seconds(self) -> float:
        return self._local.seconds

    def _add(self) -> None:
        self._local.seconds = getattr(self._local, "seconds", 0.0) + self._now() - self._local.since

    @staticmethod
    def _now() -> float:
        if torch.cuda.is_available():
            torch.cuda.current_stream().synchronize()
        return time.perf_counter()


def run(
    model,
    device: torch.device,
    grammars: Grammars,
    prompt: Prompt,
    sampling: Sampling,
    held: Held | None = None,
    *,
    streamer: TokenStreamer | AnswerStreamer,
    should_stop: Callable[[], bool],
) -> None:
    """Generate until an end token, `sampling.max_new_tokens` or `should_stop`.

    Args:
        held: what the answer must be.
        streamer: gets the prompt, then each token.
        should_stop: asked after each token.
    """
    constraint = grammars.of(held, sampling.max_new_tokens, streamer.cut) if held else None
    config = GenerationConfig(max_new_tokens=sampling.max_new_tokens, do_sample=False)
    with torch.inference_mode():
        model.generate(
            **prompt.model_inputs(device),
            generation_config=config,
            logits_processor=sampling_.processors(sampling, prompt.length, constraint),
            stopping_criteria=StoppingCriteriaList([_StopWhen(should_stop)]),
            streamer=streamer,
        )
