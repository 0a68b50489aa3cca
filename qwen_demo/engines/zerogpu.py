"""Hugging Face ZeroGPU: a GPU is lent to one function call at a time, in a process of its own.

`spaces.GPU` wraps a generator that runs there and yields token ids. Elsewhere only `is_active` is
used; it loads no torch, which a front of other servers never needs.
"""

import importlib.util
import queue
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from qwen_demo.types import Held, Sampling

if TYPE_CHECKING:
    from qwen_demo.engines.grammar import Grammars
    from qwen_demo.models.prompt import Prompt

START_S, SECONDS_PER_TOKEN, LONGEST_S = 20, 0.06, 120


def is_active() -> bool:
    """Whether this process runs on a ZeroGPU Space."""
    if importlib.util.find_spec("spaces") is None:
        return False
    from spaces.config import Config

    return bool(Config.zero_gpu)


def duration_s(prompt: "Prompt", sampling: Sampling, held: Held | None = None) -> int:
    """How long to borrow the GPU: long enough for the longest answer, as short as quota likes."""
    return min(int(START_S + SECONDS_PER_TOKEN * sampling.max_new_tokens), LONGEST_S)


def borrowed(model, device, grammars: "Grammars") -> Callable:
    """In place of `partial(tokens.run, model, device, grammars)`: borrows a GPU for each call."""
    import spaces

    from qwen_demo.engines import tokens

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
        for token in generate_on_gpu(prompt, sampling, held):
            streamer.take(token)
            if should_stop():
                break

    return run
