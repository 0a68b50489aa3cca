"""How fast this service has been lately, learned from its own answers. Pure arithmetic.

Nothing is assumed before something was measured: an estimate without a measurement is None.
"""

from collections import deque
from dataclasses import dataclass

from qwen_demo.types import Finished

WINDOW = 50


@dataclass(frozen=True, slots=True)
class _Cost:
    """Seconds that an answer spent on so many tokens."""

    seconds: float
    tokens: int


class Rates:
    """Mean costs over the newest `WINDOW` answers, weighted by tokens."""

    def __init__(self) -> None:
        self._images: deque[_Cost] = deque(maxlen=WINDOW)
        self._prompts: deque[_Cost] = deque(maxlen=WINDOW)
        self._working_s: deque[float] = deque(maxlen=WINDOW)  # from the end of each one's wait to its end

    def add(self, finished: Finished) -> None:
        usage, timing = finished.usage, finished.timing
        # With some images from the cache nobody knows which share of the time went into the others.
        if usage.image_tokens and not timing.encoder_hits:
            self._images.append(_Cost(timing.preprocess_s + timing.vision_s, usage.image_tokens))
        if read := usage.prompt_tokens - usage.cached_tokens:
            self._prompts.append(_Cost(timing.prefill_s, read))
        self._working_s.append(max(0.0, timing.total_s - timing.queue_s))

    def seconds_in_line(self, ahead: int, slots: int) -> float:
        """Until one of `slots` is free for a request with `ahead` before it, while all are taken.

        A slot is freed each time an answer ends: with n slots, n times in the time that one answer takes. Hours
        in which nobody asked do not count. Before a measurement, a second for each.
        """
        mean_s = sum(self._working_s) / len(self._working_s) if self._working_s else float(slots)
        return ahead * mean_s / max(1, slots)

    def seconds_until_read(self, image_tokens: int) -> float | None:
        """To resize, encode and read images of so many tokens, on an idle server; None before a measurement."""
        looking, reading = _per_token(self._images), _per_token(self._prompts)
        if looking is None or reading is None:
            return None
        return image_tokens * (looking + reading)


def _per_token(costs: deque[_Cost]) -> float | None:
    tokens = sum(cost.tokens for cost in costs)
    return sum(cost.seconds for cost in costs) / tokens if tokens else None
