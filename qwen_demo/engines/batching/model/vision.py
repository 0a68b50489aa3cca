"""The vision encoder of Qwen2.5-VL without a Python loop over its windows.

transformers calls attention once for each window of each block, some hundred calls a block for a
large image; here it is one call, or one for each length of window. Weights are the model's own.
Tests compare it with the stock encoder.
"""

import logging
import math
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F

from qwen_demo.engines.batching.model import vision_graphs
from qwen_demo.engines.batching.model.linear import GatedMlp, kind_for
from qwen_demo.engines.batching.model.vision_attention import attend, has_varlen
from qwen_demo.engines.batching.model.vision_graphs import RecordedEncoder
from qwen_demo.engines.batching.model.vision_layout import AttentionSpans, EncoderLayout, Grid, make_layout
from qwen_demo.models.patches import Patches

log = logging.getLogger(__name__)

# Layouts lie on the device, outside of the memory plan: at 640 bytes a patch so many patches together are 40 MiB.
LAYOUTS_KEPT, LAYOUT_PATCHES_KEPT = 64, 65_536

ImagePatches = tuple[torch.Tensor, Grid]


class SideStream:
    """Runs an encoder on a CUDA stream of its own, so that the decode steps of another thread go on meanwhile.

    Attributes:
        reader: the stream on which results are read; None is the device's default one.
        patches: what cuts and scales images that come as bytes.
    """

    def __init__(self, device: torch.device, dtype: torch.dtype):
        self._device, self._dtype = device, dtype
        self.patches: Patches | None = None
        self.stream = torch.cuda.Stream(device) if device.type == "cuda" else None
        self.reader: torch.cuda.Stream | None = None

    @torch.inference_mode()
    def run(
        self, encode: Callable[[Sequence[ImagePatches]], tuple[torch.Tensor, ...]], images: Sequence[ImagePatches]
    ) -> tuple[torch.Tensor, ...]:
        """`encode` of the images on the device. Results are complete: whoever reads them need not wait."""
        with torch.cuda.stream(self.stream):  # None is no change
            features = encode([(self._there(pixels), grid) for pixels, grid in images])
        if self.stream is None:
            return features
        self.stream.synchronize()
        for device in {feature.device for feature in features} - {self._device}:  # an encoder torn over two devices
            torch.cuda.current_stream(device).synchronize()
        for feature in features:
            # Whoever drops the result last may still have work queued on it.
            reader = self.reader if self.reader and self.reader.device == feature.device else None
            feature.record_stream(reader or torch.cuda.default_stream(feature.device))
        return features

    def _there(self, pixels: torch.Tensor) -> torch.Tensor:
        pixels = pixels.to(self._device)
        return (pixels if self.patches is None else self.patches.read(pixels)).to(self._dtype)


class VisionEncoder:
    """Runs a model's vision tower over some images or clips at once.

    Args:
        visual: `Qwen2_5_VisionTransformerPretrainedModel`.
    """

    def __init__(self, visual):
        self._visual, self.config = visual, visual.config
        weight = visual.patch_embed.proj.weight
        self.device, self.dtype = weight.device, weight.dtype
        self._patch_weight = weight.reshape(weight.shape[0], -1)
        self.values = self._patch_weight.shape[1]
        kind = kind_for(visual.blocks)
        self.blocks = [_Block(block, kind) for block in visual.blocks]
        linears = [m for m in visual.merger.mlp if hasattr(m, "in_features")]
        merger_kind = kind_for(visual.merger)
        self._merge_in, self._merge_out = (merger_kind(m) for m in linears)
        self._layouts: OrderedDict[tuple[Grid, ...], EncoderLayout] = OrderedDict()
        self.side_stream = SideStream(self.device, weight.dtype)
        self.recorded: RecordedEncoder | None = None

    @staticmethod
    def fits(visual) -> bool:
        """Whether the weights are where they can be used directly: on one device, not offloaded."""
        devices = {p.device for p in visual.parameters()}
        return len(devices) == 1 and next(iter(devices)).type != "meta"

    def encode(self, images: Sequence[ImagePatches]) -> tuple[torch.Tensor, ...]:
        """Patches of images or clips -> [tokens, hidden of the language model] each.

        Args:
            images: of each its patches, [patches, channels * temporal_patch * patch * patch], and its grid:
                patches in time, height and width.
        """
        return self.side_stream.run(self._encode, images)

    @torch.inference_mode()
    def record(self, patches: int) -> None:
        """Let passes of up to so many patches be replayed, on CUDA; warns and goes without where that is not right."""
        if not has_varlen(self.device, self.dtype):
            return
        try:
            with torch.cuda.stream(self.side_stream.stream):
                recorded = RecordedEncoder(self, patches)
                recorded.warm_up()
                error = vision_graphs.difference(recorded, self, vision_graphs.CHECKED)
        except Exception:
            log.warning("passes of the vision encoder cannot be recorded here", exc_info=True)
            torch.cuda.empty_cache()
            return
        log.info("recorded passes of the vision encoder against the plain ones: %.1e", error)
        if error < vision_graphs.TOLERANCE:
            self.recorded = recorded
        else:
            log.warning("recorded passes of the vision encoder are wrong here (%.1e); the plain ones serve", error)

    def _encode(self, images: Sequence[ImagePatches]) -> tuple[torch.Tensor, ...]:
        layout = self.layout(tuple(grid for _, grid in images))
        pixels = [pixels for pixels, _ in images]
        if self.recorded and self.recorded.takes(sum(map(len, pixels)), layout):
            return tuple(part.clone() for part in self.recorded(pixels, layout).split(layout.tokens))
        made = self.forward(pixels[0] if len(pixels) == 1 else torch.cat(pixels), layout)
        # Copies, so that an image that is kept does not keep its neighbours.
        return (made,) if len(images) == 1 else tuple(part.clone() for part in made.split(layout.tokens))

    def forward(self, pixels: torch.Tensor, layout: EncoderLayout) -> torch.Tensor:
        """[patches, values] in the model's dtype -> [tokens, hidden of the language model]."""
        unit = self.config.spatial_merge_size**2
        x = F.linear(pixels, self._patch_weight)
        x = x.view(x.shape[0] // unit, -1)[layout.order].view(x.shape)
        full = self.config.fullatt_block_indexes
        spans = [layout.frames if index in full else layout.windows for index in range(len(self.blocks))]
        add_norm, delta = self.blocks[0].add_norm, None
        for block, own in zip(self.blocks, spans, strict=True):
            if add_norm is None:
                x = block(x, layout, own)
            else:
                delta = block.update(x, delta, layout, own)
        last = self._visual.merger.ln_q
        x = _rms_norm(x, last) if add_norm is None else add_norm(x, delta, last)
        return self._merge_out(F.gelu(self._merge_in(x.view(x.shape[0] // unit, -1))))[layout.back]

    def layout(self, grids: tuple[Grid, ...]) -> EncoderLayout:
        """Kept for those who come next."""
        layout = self._layouts.pop(grids, None) or make_layout(self.config, grids, self.device)
        self._layouts[grids] = layout
        while len(self._layouts) > 1 and (
            len(self._layouts) > LAYOUTS_KEPT or self._patches_kept > LAYOUT_PATCHES_KEPT
        ):
            self._layouts.popitem(last=False)
        return layout

    @property
    def _patches_kept(self) -> int:
        return sum(math.prod(grid) for grids in self._layouts for grid in grids)


class _Block:
    """One layer of the encoder.

    Attributes:
        apply_rope: rotary embedding; a kernel may take its place.
        add_norm: adds to its first argument in place and gives the norm of that; only a kernel's `update` needs it.
    """

    def __init__(self, block, kind: type):
        self.apply_rope = apply_rope
        self.add_norm: Callable[..., torch.Tensor] | None = None
        self._norm_1, self._norm_2 = block.norm1, block.norm2
        self._heads, self._scaling = block.attn.num_heads, block.attn.scaling
        self._qkv, self._out = kind(block.attn.qkv), kind(block.attn.proj)
        self.mlp = GatedMlp(block.mlp, kind)

    def __call__(self, x: torch.Tensor, layout: EncoderLayout, spans: AttentionSpans) -> torch.Tensor:
        x = self._out.add(self._attended(_rms_norm(x, self._norm_1), layout, spans), x)
        return self.mlp.add(_rms_norm(x, self._norm_2), x)

    def update(
        self, x: torch.Tensor, delta: torch.Tensor | None, layout: EncoderLayout, spans: AttentionSpans
    ) -> torch.Tensor:
        """The same with sums and norms in one: `x` takes in `delta` and the attention's; gives what the MLP adds."""
        assert self.add_norm is not None
        delta = self._out(self._attended(self.add_norm(x, delta, self._norm_1), layout, spans))
        return self.mlp(self.add_norm(x, delta, self._norm_2))

    def _attended(self, x: torch.Tensor, layout: EncoderLayout, spans: AttentionSpans) -> torch.Tensor:
        qkv = self._qkv(x).view(x.shape[0], 3, self._heads, -1)
        return attend(*self.apply_rope(qkv, layout.cos, layout.sin), spans, self._scaling).reshape(x.shape)


def apply_rope(
    qkv: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Query and key with their rotary embedding, and value: [patches, heads, head_dim] each.

    Args:
        qkv: [patches, 3, heads, head_dim].
        cos, sin: [patches, 1, head_dim] float32; sin is signed.
    """
    rotated = qkv[:, :2].float()
    rotated = rotated * cos[:, None] + rotated.roll(rotated.shape[-1] // 2, -1) * sin[:, None]
    query, key = rotated.to(qkv.dtype).unbind(1)
    return query, key, qkv[:, 2]


def _rms_norm(x: torch.Tensor, norm: Any) -> torch.Tensor:
    return F.rms_norm(x, norm.weight.shape, norm.weight, norm.variance_epsilon)


class StockVisionEncoder:
    """transformers' own encoder, for `--no-fast-path` and as the reference in tests."""

    def __init__(self, visual):
        self._visual = visual
        weight = visual.patch_embed.proj.weight
        self.device = weight.device
        self.side_stream = SideStream(self.device, weight.dtype)

    def encode(self, images: Sequence[ImagePatches]) -> tuple[torch.Tensor, ...]:
        """As `VisionEncoder.encode`."""
        return self.side_stream.run(self._encode, images)

    def _encode(self, images: Sequence[ImagePatches]) -> tuple[torch.Tensor, ...]:
        pixels = torch.cat([pixels for pixels, _ in images])
        grids = torch.tensor([grid for _, grid in images], device=self.device)
        made = self._visual(pixels, grid_thw=grids).pooler_output
        unit = self._visual.config.spatial_merge_size**2
        return tuple(part.clone() for part in made.split([t * h * w // unit for _, (t, h, w) in images]))
