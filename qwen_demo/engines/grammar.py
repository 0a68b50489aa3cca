"""Answers that must be JSON: masks of the tokens that may come next, by the llguidance library.

A `Constraint` follows one answer. The mask is computed on the CPU from the grammar's state, some
tens of microseconds a token, and put over the logits before anything else looks at them.
"""

import logging
import threading
from typing import Any

import llguidance
import llguidance.hf
import llguidance.torch
import torch

from qwen_demo.errors import InvalidRequest
from qwen_demo.sentences import Sentence

log = logging.getLogger(__name__)

# Where blanks are free a small model fills the answer with them.
COMPACT: Any = {"whitespace_flexible": False}
LONGEST_SCHEMA = 65_536


class Grammars:
    """Makes constraints for one tokenizer. Safe to use from several threads.

    Args:
        tokenizer: a fast transformers tokenizer.
        vocabulary: how many logits the model gives, which may be more than the tokenizer has tokens.
        end_ids: tokens that end an answer.
    """

    def __init__(self, tokenizer, vocabulary: int, end_ids: frozenset[int]):
        self._tokenizer, self._vocabulary, self._end_ids = tokenizer, vocabulary, sorted(end_ids)
        self._prepared: llguidance.LLTokenizer | None = None
        self._lock = threading.Lock()

    def constraint(self, json_schema: str) -> "Constraint":
        """Raises `InvalidRequest` when the schema is not one, or uses what cannot be enforced."""
        if len(json_schema) > LONGEST_SCHEMA:
            raise InvalidRequest(
                Sentence(
                    "The JSON schema has {count} characters; at most {limit} are read.",
                    count=len(json_schema),
                    limit=LONGEST_SCHEMA,
                ),
                field="response_format",
            )
        with self._lock:
            if self._prepared is None:
                self._prepared = llguidance.hf.from_tokenizer(
                    self._tokenizer, n_vocab=self._vocabulary, eos_token=self._end_ids
                )
        try:
            grammar = llguidance.LLMatcher.grammar_from_json_schema(json_schema, defaults=COMPACT)
        except ValueError as error:
            raise InvalidRequest(_unusable(error), field="response_format") from error
        matcher = llguidance.LLMatcher(self._prepared, grammar)
        if matcher.is_error():
            raise InvalidRequest(_unusable(matcher.get_error()), field="response_format")
        return Constraint(matcher, self._vocabulary)


def _unusable(why: object) -> Sentence:
    return Sentence("The JSON schema cannot be used: {why}", why=str(why))


class Constraint:
    """The grammar's state along one answer.

    Attributes:
        failure: why the answer cannot go on: a dead end of the grammar, or an error of the library, which would
            allow the end token then. Once set, the logits stay as they are, and no token counts.
    """

    def __init__(self, matcher: llguidance.LLMatcher, vocabulary: int):
        self._matcher = matcher
        self._bits = llguidance.torch.allocate_token_bitmask(1, vocabulary)
        self.failure: InvalidRequest | None = None

    def apply(self, logits: torch.Tensor) -> None:
        """Rule out, in place, what may not come next. `logits`: [1, vocabulary] float32."""
        if self.failure is not None:
            return
        llguidance.torch.fill_next_token_bitmask(self._matcher, self._bits)
        if self._matcher.is_error():
            self._fail(self._matcher.get_error())
        elif not self._bits.any() or (self._matcher.is_stopped() and not self._matcher.is_accepting()):
            self._fail("nothing may come next")
        if self.failure is not None:
            return
        # The library's own function compiles itself at its first call: seconds, and a C++ compiler.
        token = torch.arange(logits.shape[-1], device=logits.device)
        words = self._bits.to(logits.device)[:, token // 32]
        logits.masked_fill_((words >> (token % 32)) & 1 == 0, -torch.inf)

    def accept(self, token: int) -> None:
        """`token` was chosen."""
        if self.failure is None and not self._matcher.consume_token(token):
            self._fail(self._matcher.get_error() or "a token does not fit")

    def _fail(self, why: str) -> None:
        # The library adds the grammar and the answer so far, which are the caller's own.
        log.error("a grammar of an answer came to its end: %s", why.partition("\n")[0][:200])
        self.failure = InvalidRequest(
            "The answer cannot go on under the JSON schema: its grammar came to a dead end or is too large. "
            "Ask with a simpler schema.",
            field="response_format",
        )
