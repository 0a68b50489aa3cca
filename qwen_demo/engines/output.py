"""Token ids -> the text of an answer, and the decision that it is over.

Shared by every engine that holds a model. One `Output` belongs to one request. It gives whole
characters only, ends before a stop string, and notices an answer that runs in a loop.
"""

from collections.abc import Sequence

from tokenizers.decoders import DecodeStream

from qwen_demo.types import FinishReason

# A loop is a block of at most LOOP_BLOCK tokens that fills the last LOOP_TOKENS tokens and
# stands there at least LOOP_TIMES times. Tables and lists repeat a little; they do not reach this.
LOOP_BLOCK, LOOP_TIMES, LOOP_TOKENS = 64, 6, 96
LOOP_CHECK_EVERY = 16


class Output:
    """Collects the tokens of one answer.

    Args:
        tokenizer: a fast transformers tokenizer.
        end_ids: tokens that end an answer; they are not part of its text.
        max_new_tokens: after this many tokens the answer ends with `length`.
        stop: strings that end the answer before them.
        repetition_guard: whether a loop ends the answer with `repetition`.
        must_be_whole: only an end token ends it with `stop`; a stop string cuts it, with `length`.
    """

    def __init__(
        self,
        tokenizer,
        end_ids: frozenset[int],
        *,
        max_new_tokens: int,
        stop: Sequence[str] = (),
        repetition_guard: bool = True,
        must_be_whole: bool = False,
    ):
        self._backend = tokenizer.backend_tokenizer
        self._stream = DecodeStream(skip_special_tokens=True)
        self._end_ids = end_ids
        self._max_new_tokens = max_new_tokens
        self._stop = tuple(stop)
        self._guard = repetition_guard
        self._at_stop_string: FinishReason = "length" if must_be_whole else "stop"
        self._at_end: FinishReason = "stop"
        self._held = ""
        self.ids: list[int] = []
        self.reason: FinishReason | None = None

    def push(self, token: int) -> str:
        """Take the next token and return the text that is now certain, perhaps none.

        When the answer is over, `reason` is set and everything held back has been returned.
        """
        assert self.reason is None, "the answer was over"
        self.ids.append(token)
        if token in self._end_ids:
            self.reason = self._at_end
            return self._release()
        self._held += self._stream.step(self._backend, token) or ""
        cut = min((at for at in map(self._held.find, self._stop) if at >= 0), default=-1)
        if cut >= 0:
            self.reason = self._at_stop_string
            self._held = self._held[:cut]
            return self._release()
        if len(self.ids) >= self._max_new_tokens:
            self.reason = "length"
            return self._release()
        if self._guard and len(self.ids) % LOOP_CHECK_EVERY == 0 and runs_in_a_loop(self.ids):
            self.reason = "repetition"
            return self._release()
        return self._release(keep=self._stop_prefix())

    def cut(self) -> None:
        """It is brought to its end now; that the end then comes is not the model's doing."""
        self._at_end = "length"

    def _release(self, keep: int = 0) -> str:
        end = len(self._held) - keep
        text, self._held = self._held[:end], self._held[end:]
        return text

    def _stop_prefix(self) -> int:
        """Length of the longest end of the held text that may grow into a stop string."""
        longest = max((min(len(s) - 1, len(self._held)) for s in self._stop), default=0)
        return next((n for n in range(longest, 0, -1) if any(s.startswith(self._held[-n:]) for s in self._stop)), 0)


def runs_in_a_loop(ids: Sequence[int]) -> bool:
    """Whether `ids` ends in one block of tokens said over and over."""
    tail = ids[-LOOP_TOKENS:] if len(ids) >= LOOP_TOKENS else ()
    for block in range(1, min(LOOP_BLOCK, len(ids) // LOOP_TIMES) + 1):
        span = ids[-max(LOOP_TOKENS, block * LOOP_TIMES) :] if tail else ()
        if span and all(span[i] == span[i + block] for i in range(len(span) - block)):
            return True
    return False
