"""One call of transformers' `generate` for one request, token by token."""

import threading
import time
from collections.abc import Callable

import torch
from transformers import GenerationConfig, StoppingCriteria, StoppingCriteriaList
from transformers.generation.streamers import BaseStreamer

from qwen_demo.engines import sampling as sampling_
from qwen_demo.engines.grammar import Grammars
from qwen_demo.models.prompt import Prompt
from qwen_demo.types import Sampling


def end_ids(model) -> frozenset[int]:
    """The tokens with which this checkpoint ends an answer."""
    ids = model.generation_config.eos_token_id
    return frozenset(ids if isinstance(ids, list) else [ids])


class _Callback(BaseStreamer):
    """Hands each generated token on. No queue, so no time-out that ends a slow answer."""

    def __init__(self, on_token: Callable[[int], None]):
        self._on_token = on_token
        self._prompt_seen = False

    def put(self, value: torch.Tensor) -> None:
        if self._prompt_seen:
            self._on_token(int(value.reshape(-1)[0]))
        self._prompt_seen = True

    def end(self) -> None:
        pass


class _StopWhen(StoppingCriteria):
    def __init__(self, should_stop: Callable[[], bool]):
        self._should_stop = should_stop

    def __call__(self, input_ids, scores, **kwargs):
        return torch.full((input_ids.shape[0],), self._should_stop(), dtype=torch.bool, device=input_ids.device)


class VisionClock:
    """Measures the vision encoder's time for each thread that runs the model."""

    def __init__(self, model):
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
    *,
    on_token: Callable[[int], None],
    should_stop: Callable[[], bool],
) -> None:
    """Generate until an end token, `sampling.max_new_tokens` or `should_stop`.

    `should_stop` is asked after each token.
    """
    constraint = grammars.constraint(sampling.json_schema) if sampling.json_schema else None
    config = GenerationConfig(max_new_tokens=sampling.max_new_tokens, do_sample=False)
    with torch.inference_mode():
        model.generate(
            **prompt.model_inputs(device),
            generation_config=config,
            logits_processor=sampling_.processors(sampling, prompt.length, constraint),
            stopping_criteria=StoppingCriteriaList([_StopWhen(should_stop)]),
            streamer=_Callback(on_token),
        )
