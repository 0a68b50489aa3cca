"""Brings calls of tools to their end while there are tokens left for it: arguments that are cut follow no schema.

Where few tokens are left, or the answer runs in a loop, only what closes strings, lists and objects may come, as far
as the grammar lets it. How many tokens that takes is tried on a copy of the grammar's state, now and then.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

import llguidance
import llguidance.numpy
import numpy as np
import torch

from qwen_demo.engines.output import LOOP_CHECK_EVERY, runs_in_a_loop

# Steps after which an end is given up: the schema wants more than will fit, or a pattern without an end.
MOST_STEPS = 512
SPARE = 4
_CLOSING, _OPENING = '}]"', frozenset(',"{[')
_TELLING = _OPENING.union(_CLOSING)
_NOT = 4  # the rank of what closes nothing
OUTSIDE, IN_STRING, ESCAPED = range(3)
_MARKS = re.compile(r'\\.|\\$|"', re.DOTALL)


class Closers:
    """What each token of a vocabulary opens and closes.

    Attributes:
        texts: of each token. A byte-level vocabulary spells brackets, quotes and backslashes as they are.
        ranks: [2, vocabulary] uint8, outside of a string and in one, how well it closes: 0 ends the answer, the
            highest closes nothing.
        opens: [2, vocabulary], whether more must follow it: a member, an item, a string.
    """

    def __init__(self, tokenizer, vocabulary: int, end_ids: list[int]):
        self.texts = [""] * vocabulary
        self.ranks = torch.full((2, vocabulary), _NOT, dtype=torch.uint8)
        self.opens = torch.zeros((2, vocabulary), dtype=torch.bool)
        for text, token in tokenizer.get_vocab().items():
            if token >= vocabulary:
                continue
            self.texts[token] = text
            if _TELLING.isdisjoint(text):
                continue
            if not text.strip(_CLOSING):
                self.ranks[0, token] = 1 + _CLOSING.index(text[0])
                self.ranks[1, token] = 1 if text[0] == '"' else _NOT
            self.opens[0, token] = not _OPENING.isdisjoint(text)
            self.opens[1, token] = not _OPENING.isdisjoint(text.partition('"')[2])
        self.ranks[:, end_ids] = 0

    def after(self, token: int, place: int) -> int:
        """Where the answer stands after `token`: OUTSIDE, IN_STRING or ESCAPED."""
        text = self.texts[token]
        if place == ESCAPED and text:
            text, place = text[1:], IN_STRING
        for mark in _MARKS.findall(text):
            if mark == '"':
                place = OUTSIDE if place else IN_STRING
            elif mark == "\\" and place:
                place = ESCAPED
        return place


@dataclass(slots=True)
class Ending:
    """Of one answer. First nothing new is opened, then strings are closed, too.

    Attributes:
        matcher: its grammar's state, which others move on.
        tokens: so many may the answer have.
        on_cut: called when the model would have written on.
        repetition_guard: whether a loop is ended.
    """

    matcher: llguidance.LLMatcher
    closers: Closers
    tokens: int
    on_cut: Callable[[], None]
    repetition_guard: bool = True
    _ids: list[int] = field(default_factory=list)
    _place: int = OUTSIDE
    _settles: bool = False
    _closes: bool = False
    _look_at: int | None = None
    _most_steps: int = 0

    def accept(self, token: int) -> None:
        """`token` was chosen."""
        self._ids.append(token)
        self._place = self.closers.after(token, self._place)

    def narrow(self, logits: torch.Tensor) -> None:
        """In place, after the grammar's mask. `logits`: [1, vocabulary]."""
        left = self.tokens - len(self._ids)
        if not self._closes and (self._look_at is None or left <= self._look_at):
            self._look(left)
        self._closes = self._closes or self._loops()
        if not (self._settles or self._closes):
            return
        place = min(self._place, IN_STRING)
        allowed = logits[0] > -torch.inf
        ranks, opens = self.closers.ranks[place].to(logits.device), self.closers.opens[place].to(logits.device)
        best, wanted = int(ranks[allowed].min()), int(logits.argmax())
        kept = allowed & (ranks == best if self._closes or best == 0 else ~opens)
        if best < _NOT and bool(kept.any()):
            logits.masked_fill_(~kept, -torch.inf)
        if int(logits.argmax()) != wanted:
            self.on_cut()

    def _look(self, left: int) -> None:
        """How far the end is, and when to look again: half way there, as it comes nearer by a token at a time."""
        steps = self._steps_to_end()
        self._most_steps = max(steps, self._most_steps)
        self._closes = left <= _with_spare(steps)
        self._settles = self._settles or left <= _with_spare(steps + self._most_steps)
        spare = left - _with_spare(steps if self._settles else steps + self._most_steps)
        self._look_at = left - max(1, spare // 2)

    def _loops(self) -> bool:
        ids = self._ids
        return self.repetition_guard and bool(ids) and len(ids) % LOOP_CHECK_EVERY == 0 and runs_in_a_loop(ids)

    def _steps_to_end(self) -> int:
        """About: the model may spell what must come in other tokens."""
        matcher, steps, place = self.matcher.deep_copy(), 0, self._place
        vocabulary = len(self.closers.texts)
        bits = llguidance.numpy.allocate_token_bitmask(1, vocabulary)
        ranks = self.closers.ranks.numpy()
        while steps < MOST_STEPS and not matcher.is_accepting() and not matcher.is_error():
            chosen = matcher.compute_ff_tokens()
            if not chosen:
                llguidance.numpy.fill_next_token_bitmask(matcher, bits)
                allowed = np.unpackbits(bits.view(np.uint8), bitorder="little")[:vocabulary]
                if not allowed.any():
                    break
                chosen = [int(np.where(allowed, ranks[min(place, IN_STRING)], 255).argmin())]
            if not matcher.consume_tokens(chosen):
                break
            steps += len(chosen)
            for token in chosen:
                place = self.closers.after(token, place)
        return steps + 1


def _with_spare(steps: int) -> int:
    return steps * 5 // 4 + SPARE
