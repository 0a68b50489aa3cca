"""Decoders that have served a caller and wait for the next file of the same one, for a short while.

Forking one costs more than a small image does. What a hostile file leaves in its decoder meets only files of whoever
sent it, and not many of them.
"""

import asyncio

from qwen_demo.media.jobs import Decoder, Task

MAX_JOBS = 200
IDLE_S = 2.0


class Resting:
    """The resting decoders of one kind, in the order in which they began to."""

    def __init__(self) -> None:
        self._timers: dict[Decoder, asyncio.TimerHandle] = {}

    def __len__(self) -> int:
        return len(self._timers)

    def take(self, caller: str, task: Task) -> Decoder | None:
        """The one of this caller that rests shortest, with the limits of `task`; None if there is none."""
        for decoder in reversed(self._timers):
            if decoder.caller == caller and decoder.limits == task.limits:
                self._timers.pop(decoder).cancel()
                return decoder
        return None

    def put(self, decoder: Decoder) -> None:
        self._timers[decoder] = asyncio.get_running_loop().call_later(IDLE_S, self._end, decoder)
        decoder.ended.add_done_callback(lambda _: self._end(decoder))

    def end_all_but(self, count: int) -> None:
        """End those that rest longest, so that no more than `count` are left."""
        while len(self._timers) > max(0, count):
            self._end(next(iter(self._timers)))

    def _end(self, decoder: Decoder) -> None:
        if timer := self._timers.pop(decoder, None):
            timer.cancel()
            decoder.end()
