"""How `Sampling` becomes transformers' logits processors for one sequence.

Sampling uses the Gumbel-max trick (Gumbel 1954; Maddison et al. 2014): noise that depends on the
request's seed and the token's number alone is added to the filtered logits and the largest wins.
That draws from the same distribution as `multinomial` and, unlike it, touches no random state.
"""

import torch
from transformers import (
    LogitsProcessor,
    LogitsProcessorList,
    MinPLogitsWarper,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from qwen_demo.engines.grammar import Constraint
from qwen_demo.engines.noise import gumbel, seed_of
from qwen_demo.types import Sampling


class OccurrencePenalty(LogitsProcessor):
    """OpenAI's presence and frequency penalties over the tokens after the prompt."""

    def __init__(self, presence: float, frequency: float, prompt_length: int):
        self.presence, self.frequency, self.prompt_length = presence, frequency, prompt_length

    def __call__(self, input_ids, scores):
        answer = input_ids[:, self.prompt_length :]
        counts = torch.zeros_like(scores).scatter_add_(1, answer, torch.ones_like(answer, dtype=scores.dtype))
        return scores - self.presence * (counts > 0) - self.frequency * counts


class GumbelNoise(LogitsProcessor):
    """Makes the largest logit a draw from softmax(logits)."""

    def __init__(self, seed: int | None, prompt_length: int):
        self.seed = seed_of(seed)
        self.prompt_length = prompt_length

    def __call__(self, input_ids, scores):
        rows, length = input_ids.shape
        seeds = torch.arange(rows, device=scores.device) + self.seed
        return scores.float() + gumbel(seeds, torch.full_like(seeds, length - self.prompt_length), scores.shape[-1])


class Constrained(LogitsProcessor):
    """Rules out what a `Constraint` does not allow next. Raises `InvalidRequest` where it allows nothing."""

    def __init__(self, constraint: Constraint, prompt_length: int):
        self.constraint, self.prompt_length = constraint, prompt_length

    def __call__(self, input_ids, scores):
        if input_ids.shape[1] > self.prompt_length:
            self.constraint.accept(int(input_ids[0, -1]))
        scores = scores.float()
        self.constraint.apply(scores)
        if self.constraint.failure is not None:
            raise self.constraint.failure
        return scores


def processors(sampling: Sampling, prompt_length: int, constraint: Constraint | None = None) -> LogitsProcessorList:
    """For greedy `generate`: constraint, penalties, and above temperature 0 the filters and the noise."""
    chain = LogitsProcessorList()
    if constraint is not None:
        chain.append(Constrained(constraint, prompt_length))
    if sampling.repetition_penalty != 1:
        chain.append(RepetitionPenaltyLogitsProcessor(sampling.repetition_penalty))
    if sampling.presence_penalty or sampling.frequency_penalty:
        chain.append(OccurrencePenalty(sampling.presence_penalty, sampling.frequency_penalty, prompt_length))
    if sampling.temperature > 0:
        chain.append(TemperatureLogitsWarper(float(sampling.temperature)))
        if sampling.top_k:
            chain.append(TopKLogitsWarper(sampling.top_k))
        if sampling.top_p < 1:
            chain.append(TopPLogitsWarper(sampling.top_p))
        if sampling.min_p:
            chain.append(MinPLogitsWarper(sampling.min_p))
        chain.append(GumbelNoise(sampling.seed, prompt_length))
    return chain
