"""The vision encoder of Qwen2.5-VL without a Python loop over its windows.

transformers calls attention once for each window of each block, some hundred calls a block for a
large image; here it is one call, or one for each length of window. Weights are the model's own.
Tests compare it with the stock encoder.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F

from qwen_demo.engines.batching.model.linear import GatedMlp, kind_for
from qwen_demo.engines.batching.model.vision_attention import attend
from qwen_demo.engines.batching.model.vision_layout import AttentionSpans, EncoderLayout, Grid, make_layout

LAYOUTS_KEPT = 64

ImagePatches = tuple[torch.Tensor, Grid]


class SideStream:
    """Runs an encoder on a CUDA stream of its own, so that the decode steps of another thread go on meanwhile.

    Attributes:
        reader: the stream on which results are read; None is the device's default one.
    """

    def __init__(self, device: torch.device, dtype: torch.dtype):
        self._device, self._dtype = device, dtype
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None
        self.reader: torch.cuda.Stream | None = None

    @torch.inference_mode()
    def run(
        self, encode: Callable[[Sequence[ImagePatches]], tuple[torch.Tensor, ...]], images: Sequence[ImagePatches]
    ) -> tuple[torch.Tensor, ...]:
        """`encode` of the images on the device. Results are complete: whoever reads them need not wait."""
        with torch.cuda.stream(self._stream):  # None is no change
            features = encode([(pixels.to(self._device, self._dtype), grid) for pixels, grid in images])
        if self._stream is None:
            return features
        self._stream.synchronize()
        for device in {feature.device for feature in features} - {self._device}:  # an encoder torn over two devices
            torch.cuda.current_stream(device).synchronize()
        for feature in features:
            # Whoever drops the result last may still have work queued on it.
            reader = self.reader if self.reader and self.reader.device == feature.device else None
            feature.record_stream(reader or torch.cuda.default_stream(feature.device))
        return features


class VisionEncoder:
    """Runs a model's vision tower over some images or clips at once.

    Args:
        visual: `Qwen2_5_VisionTransformerPretrainedModel`.
    """

    def __init__(self, visual):
        self._visual, self._config = visual, visual.config
        weight = visual.patch_embed.proj.weight
        self.device = weight.device
        self._patch_weight = weight.reshape(weight.shape[0], -1)
        kind = kind_for(visual.blocks)
        self.blocks = [_Block(block, kind) for block in visual.blocks]
        linears = [m for m in visual.merger.mlp if hasattr(m, "in_features")]
        merger_kind = kind_for(visual.merger)
        self._merge_in, self._merge_out = (merger_kind(m) for m in linears)
        self._layouts: OrderedDict[tuple[Grid, ...], EncoderLayout] = OrderedDict()
        self.side_stream = SideStream(self.device, weight.dtype)

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

    def _encode(self, images: Sequence[ImagePatches]) -> tuple[torch.Tensor, ...]:
        layout = self._layout(tuple(grid for _, grid in images))
        unit = self._config.spatial_merge_size**2
        pixels = [pixels for pixels, _ in images]
        x = F.linear(pixels[0] if len(pixels) == 1 else torch.cat(pixels), self._patch_weight)
        x = x.view(x.shape[0] // unit, -1)[layout.order].view(x.shape)
        for index, block in enumerate(self.blocks):
            spans = layout.frames if index in self._config.fullatt_block_indexes else layout.windows
            x = block(x, layout, spans)
        x = _rms_norm(x, self._visual.merger.ln_q).view(x.shape[0] // unit, -1)
        made = self._merge_out(F.gelu(self._merge_in(x)))[layout.back]
        # Copies, so that an image that is kept does not keep its neighbours.
        return (made,) if len(images) == 1 else tuple(part.clone() for part in made.split(layout.tokens))

    def _layout(self, grids: tuple[Grid, ...]) -> EncoderLayout:
        layout = self._layouts.pop(grids, None) or make_layout(self._config, grids, self.device)
        self._layouts[grids] = layout
        if len(self._layouts) > LAYOUTS_KEPT:
            self._layouts.popitem(last=False)
        return layout


class _Block:
    """One layer of the encoder.

    Attributes:
        apply_rope: rotary embedding; a kernel may take its place.
    """

    def __init__(self, block, kind: type):
        self.apply_rope = apply_rope
        self._norm_1, self._norm_2 = block.norm1, block.norm2
        self._heads, self._scaling = block.attn.num_heads, block.attn.scaling
        self._qkv, self._out = kind(block.attn.qkv), kind(block.attn.proj)
        self.mlp = GatedMlp(block.mlp, kind)

    def __call__(self, x: torch.Tensor, layout: EncoderLayout, spans: AttentionSpans) -> torch.Tensor:
        qkv = self._qkv(_rms_norm(x, self._norm_1)).view(x.shape[0], 3, self._heads, -1)
        attended = attend(*self.apply_rope(qkv, layout.cos, layout.sin), spans, self._scaling)
        x = self._out.add(attended.reshape(x.shape), x)
        return self.mlp.add(_rms_norm(x, self._norm_2), x)


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
