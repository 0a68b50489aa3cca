"""CUDA graphs of small steps: one replay instead of a thousand kernel launches from Python.

A graph has fixed shapes, so there is one for each batch size and cache length of a short list; a
step takes the next larger ones. They share one memory pool and are recorded on first use or by
`warm_up`. `python -m benchmarks.engine --set cuda_graphs=false` measures what they are worth.
"""

import bisect
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import torch

from qwen_demo.engines.batching.kv_cache import KVCache
from qwen_demo.engines.batching.scheduler import FEW

if TYPE_CHECKING:
    from qwen_demo.engines.batching.model.adapters import AdapterTable

BATCHES = (1, 2, 4, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256)
# Not needed where attention reads the lengths on the device (`by_length=False`).
KEYS = (512, 1024, 1536, 2048, 3072, 4096, 6144, 8192, 12288, 16384, 24576, 32768, 65536, 131072)
WARM_KEYS = 2048
GRAPH_BYTES = 12 << 20  # of a recorded step, roughly
# Tokens of a short chunk of a prompt that goes through the kernels of the decode step.
SHORT = (8, 16, 32, 64)
# Rows of recorded passes over answers and prompts, a pass takes the next larger one; matrix products of whole tiles cost
# least a row (7B in bf16 on an H100, ms of all layers: 448 rows 16, 512 rows 10, 576 rows 13).
ROWS = (128, 256, 384, 512, 768, 1024, 1152, 1280, 1536, 2048)
# Answers among them; with few, a pass of twice the rows is cheaper for what it reads.
ANSWERS = (FEW,)
MOST_MIXED = 64


def pass_rows(busy: int, most: int) -> list[int]:
    """Numbers of rows of passes that are recorded; `busy` of a step while answers are written is among them."""
    return sorted({n for n in (*ROWS, busy) if n < most} | {most})


def answer_sizes(slots: int) -> list[int]:
    """How many of those may be answers."""
    return [n for n in ANSWERS if n < slots] + [slots]


def planned_bytes(slots: int, prefill_tokens: int = 0, pass_tokens: int = 0, *, adapters: bool = False) -> int:
    """Device memory of the graphs that `warm_up` records, without their largest pass."""
    if adapters:
        return 2 * planned_bytes(slots, prefill_tokens, pass_tokens)
    if pass_tokens:
        passes = len(pass_rows(prefill_tokens + slots, pass_tokens + slots)) * len(answer_sizes(slots))
        return (passes + len(decode_batches(slots))) * GRAPH_BYTES
    return (len(decode_batches(slots)) * sum(keys <= WARM_KEYS for keys in KEYS) + len(SHORT)) * GRAPH_BYTES


class StepGraphs:
    """Recorded calls of `step`.

    Args:
        step: (rows, keys) -> [rows, width]; reads its inputs from tensors that keep their place.
        batches: numbers of rows that are recorded, ascending.
        length: the largest cache length.
        by_length: whether a step's cost depends on `keys`.
        adapters: whose `active` says which of two recordings a step needs; None where there is one.
    """

    def __init__(
        self,
        step: Callable[[int, int], torch.Tensor],
        batches: Sequence[int],
        length: int,
        *,
        by_length: bool = True,
        adapters: "AdapterTable | None" = None,
    ):
        self._step, self._adapters = step, adapters
        self.batches = list(batches)
        self.keys = [n for n in KEYS if n < length and by_length] + [length]
        self._stream: torch.cuda.Stream | None = None
        self._graphs: dict[tuple[int, int, bool], torch.cuda.CUDAGraph] = {}
        self._pool: Any = None
        self._results: torch.Tensor | None = None

    def __call__(self, batch: int, longest: int) -> torch.Tensor:
        """Results of the first `batch` rows; valid until the next call."""
        size = (
            self.batches[bisect.bisect_left(self.batches, batch)],
            self.keys[bisect.bisect_left(self.keys, longest)],
        )
        key = (*size, self._adapters is not None and self._adapters.active)
        if key not in self._graphs:
            self._graphs[key] = self._record(*size)
        self._graphs[key].replay()
        assert self._results is not None
        return self._results[:batch]

    @staticmethod
    def possible(model) -> bool:
        """Whether a step can be recorded: bitsandbytes' int8 layers look at their data on the CPU."""
        return not any(type(module).__name__ == "Linear8bitLt" for module in model.modules())

    def warm_up(self) -> None:
        """Record what short conversations need."""
        for keys in self.keys:
            if keys <= max(WARM_KEYS, self.keys[0]):
                for batch in reversed(self.batches):
                    for _ in with_and_without(self._adapters):
                        self(batch, keys)

    def _record(self, batch: int, keys: int) -> torch.cuda.CUDAGraph:
        # Libraries choose kernels and allocate workspaces on first use, which a recording must not contain.
        # One stream for all recordings: every stream that multiplies keeps a workspace of its own.
        side = self._stream = self._stream or torch.cuda.Stream(priority=-1)
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(2):
                made = self._step(batch, keys)
        torch.cuda.current_stream().wait_stream(side)
        if self._results is None:
            # One place for all results: kept apart, logits of many graphs would take more than half a GiB.
            self._results = torch.empty(self.batches[-1], made.shape[-1], dtype=made.dtype, device=made.device)
        graph = torch.cuda.CUDAGraph()
        # Only this thread's calls belong to the recording: the vision encoder runs in another one.
        with torch.cuda.graph(graph, pool=self._pool, stream=side, capture_error_mode="thread_local"):
            self._results[:batch].copy_(self._step(batch, keys))
        self._pool = self._pool or graph.pool()
        return graph


class RecordedStep:
    """A `KernelStep` whose passes over few tokens are recorded.

    Args:
        step: the `KernelStep`.
        cache: its cache, on one device.
        width: of hidden states.
        sizes: numbers of tokens, ascending.
    """

    def __init__(self, step, cache: KVCache, width: int, sizes: Sequence[int]):
        self.device, most = cache.device(0), sizes[-1]
        self._kernels, self._spare = step, cache.length
        self._x = torch.zeros(most, width, dtype=cache.banks[self.device].dtype, device=self.device)
        self._positions = torch.zeros(3, most, dtype=torch.int64, device=self.device)
        self._slots = torch.zeros(most, dtype=torch.int64, device=self.device)
        self._places = torch.full_like(self._slots, self._spare)
        self.graphs: StepGraphs | None = StepGraphs(
            self._step, sizes, cache.length, by_length=False, adapters=step.adapters
        )

    def decode(
        self, x: torch.Tensor, positions: torch.Tensor, slots: torch.Tensor, places: torch.Tensor
    ) -> torch.Tensor:
        """As `KernelStep.decode`; valid until the next call."""
        if self.graphs is None:
            return self._kernels.decode(x, positions, slots, places)
        rows = len(x)
        self._x[:rows], self._positions[:, :rows] = x, positions
        self._slots[:rows], self._places[:rows] = slots, places
        self._places[rows:] = self._spare
        return self.graphs(rows, self._spare)

    def _step(self, rows: int, keys: int) -> torch.Tensor:
        return self._kernels.decode(self._x[:rows], self._positions[:, :rows], self._slots[:rows], self._places[:rows])


def with_and_without(adapters: "AdapterTable | None") -> Iterator[bool]:
    """For each recording that passes of any rows need, with `adapters` set to it."""
    if adapters is not None:
        adapters.active = True
        yield True
        adapters.active = False
    yield False


def decode_batches(slots: int) -> list[int]:
    """Numbers of slots whose decode steps are recorded."""
    return [n for n in BATCHES if n < slots] + [slots]
