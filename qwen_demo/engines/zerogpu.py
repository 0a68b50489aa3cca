"""Hugging Face ZeroGPU: a GPU is lent to one function call at a time, in a process of its own.

`spaces.GPU` wraps a generator that runs there and yields token ids. Elsewhere only `is_active` is
used; it loads no torch, which a front of other servers never needs.
"""

import queue
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from qwen_demo.errors import Overloaded
from qwen_demo.models import machine
from qwen_demo.types import Held, Sampling

if TYPE_CHECKING:
    from qwen_demo.engines.grammar import Grammars
    from qwen_demo.models.prompt import Prompt

# Before anything has been measured: to the first token with the GPU's own start, and for each token after it.
START_S, SECONDS_PER_TOKEN, LONGEST_S = 20, 0.06, 120
# What a call asks for beyond what calls before it took: a GPU that is taken back in the middle costs the whole answer.
MARGIN = 1.5
# How much a new measurement counts against those before it.
NEWEST = 0.3
LEAST_S = 5
# After a refusal, where its own words name no time.
RETRY_S = 60.0


class BorrowingPace:
    """How long calls take here, so that none asks for more of a visitor's quota than it needs.

    Attributes:
        start_s: until the first token, the slowest of late.
        token_s: for each token after it.
    """

    def __init__(self) -> None:
        self.start_s, self.token_s = float(START_S) / MARGIN, SECONDS_PER_TOKEN / MARGIN
        self._known = False

    def took(self, first_s: float, tokens: int, rest_s: float) -> None:
        """A call had its first token after `first_s` and `tokens` more in `rest_s`."""
        if not self._known:
            self.start_s = first_s
        # A slow start counts at once and is forgotten slowly.
        self.start_s = max(first_s, self.start_s + NEWEST * (first_s - self.start_s))
        if tokens > 0:
            newest = rest_s / tokens
            self.token_s += (NEWEST if self._known else 1.0) * (newest - self.token_s)
        self._known = True

    def seconds(self, tokens: int) -> int:
        """To ask for, for an answer of so many tokens."""
        wanted = MARGIN * (self.start_s + self.token_s * tokens)
        return round(min(max(wanted, LEAST_S), LONGEST_S))


def is_active() -> bool:
    """Whether this process runs on a ZeroGPU Space."""
    return machine.on_zerogpu()


def borrowed(model, device, grammars: "Grammars") -> Callable:
    """In place of `partial(tokens.run, model, device, grammars)`: borrows a GPU for each call."""
    import spaces

    from qwen_demo.engines import tokens

    pace = BorrowingPace()

    def duration_s(prompt: "Prompt", sampling: Sampling, held: Held | None = None) -> int:
        return pace.seconds(sampling.max_new_tokens)

    @spaces.GPU(duration=duration_s)
    def generate_on_gpu(prompt: "Prompt", sampling: Sampling, held: Held | None):
        made: queue.SimpleQueue = queue.SimpleQueue()
        stopped = threading.Event()

        def work():
            try:
                streamer = tokens.TokenStreamer(made.put)
                asked = (prompt, sampling, held)
                tokens.run(model, device, grammars, *asked, streamer=streamer, should_stop=stopped.is_set)
                made.put(None)
            except BaseException as error:
                made.put(error)

        threading.Thread(target=work, daemon=True).start()
        try:
            while (item := made.get()) is not None:
                if isinstance(item, BaseException):
                    raise item
                yield item
        finally:
            stopped.set()

    def run(prompt, sampling, held=None, *, streamer, should_stop):
        began = first = last = time.monotonic()
        count = 0
        try:
            for token in generate_on_gpu(prompt, sampling, held):
                last = time.monotonic()
                first = first if count else last
                count += 1
                streamer.take(token)
                if should_stop():
                    break
        except Exception as error:
            if words := refusal(error):
                raise Overloaded(words, retry_after_s=RETRY_S) from error
            raise
        if count:
            pace.took(first - began, count - 1, last - first)

    return run


def refusal(error: BaseException) -> str:
    """ZeroGPU's own words to the visitor, such as that a quota is used up; empty for other errors.

    The library raises Gradio's error, which is not imported here.
    """
    is_words = any(kind.__module__.startswith("gradio.") and kind.__name__ == "Error" for kind in type(error).__mro__)
    return str(getattr(error, "message", error)) if is_words else ""
