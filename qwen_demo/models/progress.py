"""How far the reading of a checkpoint is, told in sentences that also hold the numbers."""

import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from qwen_demo.sentences import Sentence

if TYPE_CHECKING:
    from qwen_demo.models.checkpoint import Checkpoint, StoredWeight

GB = 10**9
REPORT_EVERY_S = 2.0


class ReadingProgress:
    """Counts what has been read.

    Args:
        checkpoint: all that will be read.
        report: gets a sentence every few seconds; its values are `done` and `total` in GB, `file` of `files`, and
            `seconds` left.
        clock: monotonic, in seconds.
    """

    def __init__(
        self, checkpoint: "Checkpoint", report: Callable[[Sentence], None], clock: Callable[[], float] = time.monotonic
    ):
        self._report, self._clock = report, clock
        self._files = checkpoint.files
        self._total = checkpoint.bytes
        self._done = 0
        self._began = self._told = clock()
        self._file = 1

    def add(self, weights: "Iterable[StoredWeight]", size: int) -> None:
        """These have been read, `size` bytes of them."""
        self._file = max([self._file, *(self._files.index(weight.file) + 1 for weight in weights)])
        self._add(size)

    def add_share(self, share: float) -> None:
        """So much of everything has been read, in no order of files."""
        self._add(int(share * self._total))
        self._file = 1 + min(len(self._files) - 1, self._done * len(self._files) // max(1, self._total))

    def _add(self, size: int) -> None:
        self._done = min(self._done + size, self._total)
        now = self._clock()
        if now - self._told < REPORT_EVERY_S or not self._done:
            return
        self._told = now
        self._report(
            Sentence(
                "Reading the weights: {done:.1f} of {total:.1f} GB, file {file} of {files}, {seconds:.0f} s left",
                done=self._done / GB,
                total=self._total / GB,
                file=self._file,
                files=len(self._files),
                seconds=(self._total - self._done) * (now - self._began) / self._done,
            )
        )
