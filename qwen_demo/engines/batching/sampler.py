"""Choosing the next token of every slot at once, on the device.

The rules and their order are those of `engines/sampling.py`, which is the reference for one
sequence. Steps that no slot asks for are skipped; a batch of greedy slots is one argmax.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from qwen_demo.engines.noise import gumbel, seed_of
from qwen_demo.types import Sampling, TokenLogprob

if TYPE_CHECKING:
    from qwen_demo.engines.grammar import Constraint

# Sorting a whole vocabulary for top-p is slow; its likeliest tokens nearly always suffice.
TOP_P_CANDIDATES = 128


@dataclass(frozen=True, slots=True)
class SampledTokens:
    """What one sampling step gave, on the CPU.

    Attributes:
        tokens: one for each row.
        logprobs: for rows that asked: row -> (of the token, ids of the likeliest, theirs).
    """

    tokens: list[int]
    logprobs: dict[int, tuple[float, list[int], list[float]]]

    def logprob(self, row: int, decode: Callable[[int], str]) -> TokenLogprob | None:
        """Of a row that asked; `decode`: token id -> its text."""
        if row not in self.logprobs:
            return None
        own, ids, values = self.logprobs[row]
        top = tuple((decode(i), value) for i, value in zip(ids, values, strict=True))
        return TokenLogprob(decode(self.tokens[row]), own, top)


class PendingTokens:
    """Tokens on their way to the CPU; the device need not be waited for until they are read.

    Args:
        tokens: [rows] int64.
        logprobs: of the rows `wanted`: of the token [n], ids and values of the likeliest [n, most] each; or None.
        wanted: row -> how many of the likeliest were asked for.
        held: constraints that learn their row's token when it is read.
    """

    def __init__(
        self,
        tokens: torch.Tensor,
        logprobs: tuple[torch.Tensor, torch.Tensor, torch.Tensor] | None = None,
        wanted: dict[int, int] | None = None,
        held: "dict[int, Constraint] | None" = None,
    ):
        self._copies = [_to_cpu(t) for t in (tokens, *(logprobs or ()))]
        self._wanted, self._held = wanted or {}, held or {}
        self._done: torch.cuda.Event | None = None
        if tokens.is_cuda:
            self._done = torch.cuda.Event()
            self._done.record()

    def read(self) -> SampledTokens:
        """Wait for them; to be called once."""
        if self._done is not None:
            self._done.synchronize()
        tokens, *logprobs = (copy.tolist() for copy in self._copies)
        for row, constraint in self._held.items():
            constraint.accept(tokens[row])
        if not logprobs:
            return SampledTokens(tokens, {})
        own, ids, values = logprobs
        rows = enumerate(self._wanted.items())
        return SampledTokens(tokens, {row: (own[n], ids[n][:top], values[n][:top]) for n, (row, top) in rows})


def _to_cpu(tensor: torch.Tensor) -> torch.Tensor:
    if not tensor.is_cuda:
        return tensor.clone()
    return torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True).copy_(tensor, non_blocking=True)


class Sampler:
    """Parameters and token histories of all slots.

    Args:
        slots, vocabulary: sizes.
        device: of the logits.
    """

    def __init__(self, slots: int, vocabulary: int, device: torch.device):
        self._slots, self._vocabulary, self._device = slots, vocabulary, device
        self._asked: list[Sampling | None] = [None] * slots  # None is plain greedy
        self._constraints: dict[int, Constraint] = {}
        self._floats = torch.zeros(len(_NEUTRAL), slots, device=device)
        self._values = dict(zip(_NEUTRAL, self._floats, strict=True))
        self._integers = torch.zeros(3, slots, dtype=torch.int64, device=device)
        self._top_k, self._seeds, self._steps = self._integers
        # [slots, vocabulary] each: bool, which tokens the prompt has; float32, how often the answer has them.
        self._histories: tuple[torch.Tensor, torch.Tensor] | None = None

    def start(
        self, slot: int, sampling: Sampling, prompt_ids: torch.Tensor, constraint: "Constraint | None" = None
    ) -> None:
        """The request in `slot` is about to get its first token."""
        self.stop(slot)
        if constraint is not None:
            self._constraints[slot] = constraint
        elif sampling.temperature <= 0 and sampling.top_logprobs is None and not _penalised(sampling):
            return
        self._asked[slot] = sampling
        self._floats[:, slot] = torch.tensor([float(getattr(sampling, name)) for name in _NEUTRAL])
        self._integers[:, slot] = torch.tensor([sampling.top_k or self._vocabulary, seed_of(sampling.seed), 0])
        if _penalised(sampling):
            in_prompt, counts = self._histories = self._histories or self._empty_histories()
            in_prompt[slot] = False
            in_prompt[slot, prompt_ids.to(self._device)] = True
            counts[slot] = 0

    def stop(self, slot: int) -> None:
        self._asked[slot] = None
        self._constraints.pop(slot, None)

    def swap(self, a: int, b: int) -> None:
        """Two slots exchange their places."""
        self._asked[a], self._asked[b] = self._asked[b], self._asked[a]
        moved = {b: self._constraints.pop(a, None), a: self._constraints.pop(b, None)}
        self._constraints |= {slot: constraint for slot, constraint in moved.items() if constraint is not None}
        histories = [history.T for history in self._histories or ()]
        for state in (self._floats, self._integers, *histories):
            swap_columns(state, a, b)

    @property
    def is_held(self) -> bool:
        """Whether some answer's next token depends on what its last one was read to be."""
        return bool(self._constraints)

    def choose(
        self, logits: torch.Tensor, rows: range, likeliest: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, PendingTokens]:
        """Pick one token for each of the slots `rows`.

        Args:
            logits: [len(rows), vocabulary] float32; changed in place.
            likeliest: [len(rows)], if they are known.

        Returns:
            The tokens on the device, and the same on its way to the CPU. A row without a request is greedy.
        """
        requests = self._asked[rows.start : rows.stop]
        asked = {i: sampling for i, sampling in enumerate(requests) if sampling}
        if not asked:
            tokens = logits.argmax(-1) if likeliest is None else likeliest
            return tokens, PendingTokens(tokens)
        wanted = [i for i, s in asked.items() if s.top_logprobs is not None]
        raw = logits[wanted].log_softmax(-1) if wanted else None
        held = {row - rows.start: c for row, c in self._constraints.items() if row in rows}
        for row, constraint in held.items():
            constraint.apply(logits[row : row + 1])
        if penalised := [i for i, s in asked.items() if _penalised(s)]:
            logits[penalised] = self._penalise(logits[penalised], [rows[i] for i in penalised])
        tokens = logits.argmax(-1)
        if drawn := [i for i, s in asked.items() if s.temperature > 0]:
            tokens[drawn] = self._draw(logits[drawn], [rows[i] for i in drawn], [asked[i] for i in drawn])
        tops = {i: asked[i].top_logprobs or 0 for i in wanted}
        # Nothing counts before all that needs memory is there: who is without repeats the step.
        pending = PendingTokens(tokens, _logprobs(raw, tokens, tops), tops, held)
        if drawn or penalised:
            span, ones = slice(rows.start, rows.stop), torch.ones_like(tokens[:, None], dtype=torch.float)
            self._steps[span] += 1
            if penalised and self._histories:
                self._histories[1][span].scatter_add_(1, tokens[:, None], ones)
        return tokens, pending

    def _empty_histories(self) -> tuple[torch.Tensor, torch.Tensor]:
        shape = (self._slots, self._vocabulary)
        return torch.zeros(shape, dtype=torch.bool, device=self._device), torch.zeros(shape, device=self._device)

    def _penalise(self, logits: torch.Tensor, slots: list[int]) -> torch.Tensor:
        assert self._histories is not None
        in_prompt, counts = (history[slots] for history in self._histories)
        repetition = self._values["repetition_penalty"][slots, None]
        punished = torch.where(logits < 0, logits * repetition, logits / repetition)
        logits = torch.where(in_prompt | (counts > 0), punished, logits)
        presence, frequency = (self._values[n][slots, None] for n in ("presence_penalty", "frequency_penalty"))
        return logits - presence * (counts > 0) - frequency * counts

    def _draw(self, logits: torch.Tensor, slots: list[int], asked: list[Sampling]) -> torch.Tensor:
        logits = logits / self._values["temperature"][slots, None]
        if any(s.top_k or s.top_p < 1 for s in asked):
            limited = [i for i, s in enumerate(asked) if s.top_k or s.top_p < 1]
            where = [slots[i] for i in limited]
            logits[limited] = self._filter(logits[limited], where, [asked[i] for i in limited])
        if any(s.min_p for s in asked):
            floor = logits.amax(-1, keepdim=True) + self._values["min_p"][slots, None].log()
            logits = logits.masked_fill(logits < floor, -torch.inf)
        noise = gumbel(self._seeds[slots], self._steps[slots], logits.shape[-1])
        return (logits + noise).argmax(-1)

    def _filter(self, logits: torch.Tensor, slots: list[int], asked: list[Sampling]) -> torch.Tensor:
        """Top-k, then top-p of what is left, each row with its own."""
        vocabulary = logits.shape[-1]
        top_k, top_p = self._top_k[slots, None], self._values["top_p"][slots, None]
        width = min(max(s.top_k or TOP_P_CANDIDATES for s in asked), vocabulary)
        while True:
            values, index = logits.topk(width, dim=-1)
            in_k = torch.arange(width, device=logits.device) < top_k
            total = torch.where(
                top_k > width,
                logits.logsumexp(-1, keepdim=True),
                values.masked_fill(~in_k, -torch.inf).logsumexp(-1, keepdim=True),
            )
            shares = (values - total).exp().masked_fill(~in_k, 0)
            kept = in_k & ((shares.cumsum(-1) - shares < top_p) | (top_p >= 1))
            # A row without top-k whose last candidate is still kept may keep more than were looked at.
            if width == vocabulary or not bool((kept[:, -1:] & (top_k > width)).any()):
                break
            width = vocabulary
        return torch.full_like(logits, -torch.inf).scatter(-1, index, values.masked_fill(~kept, -torch.inf))


def _logprobs(
    raw: torch.Tensor | None, tokens: torch.Tensor, tops: dict[int, int]
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor] | None:
    """Of the rows `tops`, whose log probabilities `raw` are; as `PendingTokens` wants them."""
    if raw is None:
        return None
    values, ids = raw.topk(max(tops.values()), dim=-1)
    return raw.gather(1, tokens[list(tops), None])[:, 0], ids, values


_NEUTRAL = ("temperature", "top_p", "min_p", "repetition_penalty", "presence_penalty", "frequency_penalty")


def swap_columns(state: torch.Tensor, a: int, b: int) -> None:
    """In place; no index travels to the device."""
    kept = state[:, a].clone()
    state[:, a] = state[:, b]
    state[:, b] = kept


def _penalised(sampling: Sampling) -> bool:
    return bool(sampling.repetition_penalty != 1 or sampling.presence_penalty or sampling.frequency_penalty)
