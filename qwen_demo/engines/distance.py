"""How far two models' answers are from each other, and how quick each is: one request at a time, greedily."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import torch

from qwen_demo.engines import tokens
from qwen_demo.engines.grammar import Grammars
from qwen_demo.models.load import LoadedModel
from qwen_demo.types import ChatRequest

GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class Measured:
    """One model on some requests.

    Attributes:
        weights_gib: of its parameters and buffers in memory; a mapped table of words counts whole.
        first_token_s, tokens_per_s: medians.
        logits: of each answer's first token, [vocabulary] float32.
        ids: of each answer.
    """

    weights_gib: float
    first_token_s: float
    tokens_per_s: float
    logits: list[torch.Tensor] = field(repr=False)
    ids: list[list[int]] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Distance:
    """Between two models on the same requests.

    Attributes:
        logits: |after - before| / |before| of the first token's, the mean.
        same_answers: share of the answers that are the same.
        same_tokens: share of the first model's tokens up to the first that differs.
    """

    logits: float
    same_answers: float
    same_tokens: float

    @classmethod
    def between(cls, before: Measured, after: Measured) -> "Distance":
        away = [float((b - a).norm() / a.norm()) for a, b in zip(before.logits, after.logits, strict=True)]
        pairs = list(zip(before.ids, after.ids, strict=True))
        same = sum(_common(a, b) for a, b in pairs)
        return cls(
            sum(away) / len(away), sum(a == b for a, b in pairs) / len(pairs), same / sum(len(a) for a, _ in pairs)
        )


def measure(loaded: LoadedModel, requests: Sequence[ChatRequest]) -> Measured:
    """Ask `loaded` each of `requests`, the first one once more beforehand, for what is slow only once."""
    ends = tokens.end_ids(loaded.model)
    grammars = Grammars(loaded.prompts.tokenizer, loaded.model.config.text_config.vocab_size, ends)
    _answer(loaded, grammars, requests[0])
    answers = [_answer(loaded, grammars, request) for request in requests]
    held = {tensor.data_ptr(): tensor.nbytes for tensor in (*loaded.model.parameters(), *loaded.model.buffers())}
    return Measured(
        sum(held.values()) / GIB,
        median(answer[0] for answer in answers),
        median(answer[1] for answer in answers),
        [_first_logits(loaded, request) for request in requests],
        [answer[2] for answer in answers],
    )


def _answer(loaded: LoadedModel, grammars: Grammars, request: ChatRequest) -> tuple[float, float, list[int]]:
    """Seconds to the first token, tokens per second after it, and the answer."""
    prompt = loaded.prompts.build(request)
    ids: list[int] = []
    times: list[float] = []

    def take(token: int) -> None:
        ids.append(token)
        times.append(time.perf_counter())

    began = time.perf_counter()
    streamer = tokens.TokenStreamer(take)
    tokens.run(
        loaded.model,
        loaded.device,
        grammars,
        prompt,
        request.sampling,
        streamer=streamer,
        should_stop=lambda: False,
    )
    return times[0] - began, (len(times) - 1) / max(1e-9, times[-1] - times[0]), ids


@torch.inference_mode()
def _first_logits(loaded: LoadedModel, request: ChatRequest) -> torch.Tensor:
    inputs: dict[str, Any] = loaded.prompts.build(request).model_inputs(loaded.device)
    logits: torch.Tensor = loaded.model(**inputs, logits_to_keep=1).logits[0, -1]
    return logits.float().cpu()


def _common(ours: Sequence[int], theirs: Sequence[int]) -> int:
    """Tokens up to the first that differs."""
    for count, (a, b) in enumerate(zip(ours, theirs, strict=False)):
        if a != b:
            return count
    return min(len(ours), len(theirs))
