"""Recorded passes of the vision encoder, one for each of a short list of sizes.

A pass takes the next larger size; patches beside the images' attend to nobody and go nowhere. Which patches attend to
each other is read on the device, so a recording serves images of all shapes. What does not fit takes the plain way.
"""

import bisect
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

from qwen_demo.engines.batching.model.vision_layout import AttentionSpans, EncoderLayout, Grid

if TYPE_CHECKING:
    from qwen_demo.engines.batching.model.vision import VisionEncoder

log = logging.getLogger(__name__)

PATCHES = (256, 512, 1024, 1536, 2048, 2560, 3072, 3584, 4096)
# Runs of patches that attend to each other, for so many patches one; narrow images have shorter ones.
WINDOW_PATCHES, FRAMES = 16, 32
TOLERANCE = 0.02
CHECKED: tuple[Grid, ...] = ((1, 12, 18), (1, 6, 20))


class RecordedEncoder:
    """Replays `VisionEncoder.forward`.

    Args:
        encoder: whose passes these are.
        most: patches of the largest one.
    """

    def __init__(self, encoder: "VisionEncoder", most: int):
        self._encoder, device, config = encoder, encoder.device, encoder.config
        self._unit = config.spatial_merge_size**2
        self._longest = (config.window_size // config.patch_size) ** 2
        self.sizes = [n for n in PATCHES if n < most] + [most]
        self._graphs: dict[int, torch.cuda.CUDAGraph] = {}
        self._results: dict[int, torch.Tensor] = {}
        self._pool: Any = None
        tokens, head_dim = most // self._unit, config.hidden_size // config.num_heads
        self._pixels = torch.zeros(most, encoder.values, dtype=encoder.dtype, device=device)
        self._own = torch.arange(tokens, device=device)
        self._order, self._back = self._own.repeat(2, 1)
        self._cos, self._sin = torch.zeros(2, most, 1, head_dim, device=device)
        self._windows = torch.zeros(most // WINDOW_PATCHES + 1, dtype=torch.int32, device=device)
        self._frames = torch.zeros(FRAMES + 1, dtype=torch.int32, device=device)

    def takes(self, patches: int, layout: EncoderLayout) -> bool:
        """Whether there is a recording for it."""
        if patches > self.sizes[-1]:
            return False
        room = self._size(patches) // WINDOW_PATCHES + 1
        return len(layout.windows.starts) <= room and len(layout.frames.starts) <= len(self._frames)

    def __call__(self, pixels: Sequence[torch.Tensor], layout: EncoderLayout) -> torch.Tensor:
        """As `VisionEncoder.forward` of the images together; valid until the next call on the same stream."""
        patches = sum(len(image) for image in pixels)
        size, tokens = self._size(patches), patches // self._unit
        torch.cat(list(pixels), out=self._pixels[:patches])
        for order, own in ((self._order, layout.order), (self._back, layout.back)):
            order[:tokens] = own
            order[tokens:] = self._own[tokens:]  # what larger images left may be out of bounds
        self._cos[:patches], self._sin[:patches] = layout.cos, layout.sin
        for spans, starts in ((layout.windows, self._windows), (layout.frames, self._frames)):
            starts[: len(spans.starts)] = spans.starts
            starts[len(spans.starts) :] = patches
        if size not in self._graphs:
            self._graphs[size] = self._record(size)
        self._graphs[size].replay()
        return self._results[size][:tokens]

    def warm_up(self) -> None:
        """Record all sizes, the largest first."""
        for size in reversed(self.sizes):
            self._graphs[size] = self._record(size)

    def _size(self, patches: int) -> int:
        return self.sizes[bisect.bisect_left(self.sizes, patches)]

    def _record(self, size: int) -> torch.cuda.CUDAGraph:
        """On the current stream, which must not be the default one."""
        layout = self._layout(size)
        self._encoder.forward(self._pixels[:size], layout)
        torch.cuda.current_stream().synchronize()
        graph = torch.cuda.CUDAGraph()
        self._pool = self._pool or torch.cuda.graph_pool_handle()
        graph.capture_begin(self._pool, capture_error_mode="thread_local")
        try:
            self._results[size] = self._encoder.forward(self._pixels[:size], layout)
        finally:
            graph.capture_end()
        return graph

    def _layout(self, size: int) -> EncoderLayout:
        """Of the buffers; beyond the images a patch keeps its place."""
        tokens = size // self._unit
        return EncoderLayout(
            (tokens,),
            self._order[:tokens],
            self._back[:tokens],
            self._cos[:size],
            self._sin[:size],
            AttentionSpans((), self._windows[: size // WINDOW_PATCHES + 1], self._longest),
            AttentionSpans((), self._frames, size),
        )


def difference(recorded: RecordedEncoder, encoder: "VisionEncoder", grids: tuple[Grid, ...]) -> float:
    """Share of the norm by which a replay differs from the plain pass over random patches."""
    layout = encoder.layout(grids)
    patches = [torch.randn(t * h * w, encoder.values, device=encoder.device).to(encoder.dtype) for t, h, w in grids]
    expected = encoder.forward(torch.cat(patches), layout).double()
    return float((recorded(patches, layout).double() - expected).norm() / expected.norm())
