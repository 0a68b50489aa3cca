"""The vision encoder of Qwen2.5-VL without a Python loop over its windows.

transformers calls attention once for each window of each block, some hundred calls a block for a
large image. Windows of equal length are batched here into one call; on CUDA one variable-length
flash kernel takes them all. Weights are the model's own. Checked against the stock encoder.
"""

import functools
import importlib.util
import logging
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from qwen_demo.engines.batching.linear import GatedMlp, kind_for

log = logging.getLogger(__name__)

PLANS_KEPT = 64

Grid = tuple[int, int, int]
Image = tuple[torch.Tensor, Grid]


@dataclass(frozen=True, slots=True)
class Spans:
    """Runs of patches that attend to each other.

    Attributes:
        groups: for each distinct length: (length, [count * length] patch indices, or None when
            all runs have that length).
        starts: [runs + 1] int32, first patch of each run and the end.
        longest: patches of the longest run.
    """

    groups: tuple[tuple[int, torch.Tensor | None], ...]
    starts: torch.Tensor
    longest: int


@dataclass(frozen=True, slots=True)
class Plan:
    """What depends on the grids of the images of a pass alone.

    Attributes:
        tokens: of each image.
        order, back: [patches / 4] from raster order into windows, and back.
        cos, sin: [patches, 1, head_dim] of the two-dimensional rotary embedding; sin is signed.
        windows, frames: who attends to whom in window blocks and in full blocks.
    """

    tokens: tuple[int, ...]
    order: torch.Tensor
    back: torch.Tensor
    cos: torch.Tensor
    sin: torch.Tensor
    windows: Spans
    frames: Spans


class Aside:
    """Runs an encoder on a CUDA stream of its own, so that the decode steps of another thread go on meanwhile.

    Attributes:
        reader: the stream on which results are read; None is the device's default one.
    """

    def __init__(self, device: torch.device, dtype: torch.dtype):
        self._device, self._dtype = device, dtype
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None
        self.reader: torch.cuda.Stream | None = None

    @torch.inference_mode()
    def run(self, encode, images: Sequence[Image]) -> tuple[torch.Tensor, ...]:
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
        self._plans: OrderedDict[tuple[Grid, ...], Plan] = OrderedDict()
        self.aside = Aside(self.device, weight.dtype)

    @staticmethod
    def fits(visual) -> bool:
        """Whether the weights are where they can be used directly: on one device, not offloaded."""
        devices = {p.device for p in visual.parameters()}
        return len(devices) == 1 and next(iter(devices)).type != "meta"

    def encode(self, images: Sequence[Image]) -> tuple[torch.Tensor, ...]:
        """Patches of images or clips -> [tokens, hidden of the language model] each.

        Args:
            images: of each its patches, [patches, channels * temporal_patch * patch * patch], and its grid:
                patches in time, height and width.
        """
        return self.aside.run(self._encode, images)

    def _encode(self, images: Sequence[Image]) -> tuple[torch.Tensor, ...]:
        plan = self._plan(tuple(grid for _, grid in images))
        unit = self._config.spatial_merge_size**2
        pixels = [pixels for pixels, _ in images]
        x = F.linear(pixels[0] if len(pixels) == 1 else torch.cat(pixels), self._patch_weight)
        x = x.view(x.shape[0] // unit, -1)[plan.order].view(x.shape)
        for index, block in enumerate(self.blocks):
            spans = plan.frames if index in self._config.fullatt_block_indexes else plan.windows
            x = block(x, plan, spans)
        x = _rms_norm(x, self._visual.merger.ln_q).view(x.shape[0] // unit, -1)
        made = self._merge_out(F.gelu(self._merge_in(x)))[plan.back]
        # Copies, so that an image that is kept does not keep its neighbours.
        return (made,) if len(images) == 1 else tuple(part.clone() for part in made.split(plan.tokens))

    def _plan(self, grids: tuple[Grid, ...]) -> Plan:
        plan = self._plans.pop(grids, None) or self._make_plan(grids)
        self._plans[grids] = plan
        if len(self._plans) > PLANS_KEPT:
            self._plans.popitem(last=False)
        return plan

    def _make_plan(self, grids: tuple[Grid, ...]) -> Plan:
        config = self._config
        merge = config.spatial_merge_size
        unit = merge**2
        tokens = tuple(t * h * w // unit for t, h, w in grids)
        orders, windows, frames, turns, before = [], [], [], [], 0
        for (t, h, w), count in zip(grids, tokens, strict=True):
            side = config.window_size // merge // config.patch_size
            order, lengths = _windows(t, h // merge, w // merge, side)
            orders.append(order + before)
            windows += [n * unit for n in lengths]
            frames += [h * w] * t
            turns.append(self._rotation(t, h, w))
            before += count
        order = torch.cat(orders)
        cos, sin = (torch.cat(both) for both in zip(*turns, strict=True))
        cos, sin = (a.view(a.shape[0] // unit, -1)[order].view(a.shape)[:, None] for a in (cos, sin))
        return Plan(
            tokens,
            order.to(self.device),
            torch.argsort(order).to(self.device),
            cos.to(self.device, torch.float32),
            sin.to(self.device, torch.float32),
            self._spans(windows),
            self._spans(frames),
        )

    def _rotation(self, t: int, h: int, w: int) -> tuple[torch.Tensor, torch.Tensor]:
        """[patches, head_dim] each, patches in raster order of merged squares."""
        merge = self._config.spatial_merge_size
        rows, columns = (
            axis.reshape(h // merge, merge, w // merge, merge).permute(0, 2, 1, 3).flatten().repeat(t)
            for axis in torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
        )
        half = self._config.hidden_size // self._config.num_heads // 2
        theta = (getattr(self._config, "rope_parameters", None) or {}).get("rope_theta", 10000.0)
        frequencies = 1.0 / theta ** (torch.arange(0, half, 2, dtype=torch.float) / half)
        angles = torch.cat([rows[:, None] * frequencies, columns[:, None] * frequencies], dim=-1)
        cos, sin = angles.cos(), angles.sin()
        return torch.cat([cos, cos], -1), torch.cat([-sin, sin], -1)

    def _spans(self, lengths: list[int]) -> Spans:
        starts = torch.tensor([0, *lengths]).cumsum(0)
        groups = []
        for length in sorted(set(lengths)):
            runs = [torch.arange(int(a), int(a) + length) for a, n in zip(starts, lengths, strict=False) if n == length]
            groups.append((length, None if len(runs) == len(lengths) else torch.cat(runs).to(self.device)))
        return Spans(tuple(groups), starts.to(self.device, torch.int32), max(lengths))


def _windows(t: int, h: int, w: int, side: int) -> tuple[torch.Tensor, list[int]]:
    """Order of merged squares by windows of `side` x `side`, and the squares of each window.

    Windows at the lower and right border are smaller (Qwen2.5-VL report 2025, section 2.1.1).
    """
    squares = torch.arange(t * h * w).view(t, h, w)
    windows = [
        squares[frame, y : y + side, x : x + side].flatten()
        for frame in range(t)
        for y in range(0, h, side)
        for x in range(0, w, side)
    ]
    return torch.cat(windows), [len(window) for window in windows]


class _Block:
    """One layer of the encoder.

    Attributes:
        turn: rotary embedding; a kernel may take its place.
    """

    def __init__(self, block, kind: type):
        self.turn = turn
        self._norm_1, self._norm_2 = block.norm1, block.norm2
        self._heads, self._scaling = block.attn.num_heads, block.attn.scaling
        self._qkv, self._out = kind(block.attn.qkv), kind(block.attn.proj)
        self.mlp = GatedMlp(block.mlp, kind)

    def __call__(self, x: torch.Tensor, plan: Plan, spans: Spans) -> torch.Tensor:
        qkv = self._qkv(_rms_norm(x, self._norm_1)).view(x.shape[0], 3, self._heads, -1)
        attended = _attend(*self.turn(qkv, plan.cos, plan.sin), spans, self._scaling)
        x = self._out.add(attended.reshape(x.shape), x)
        return self.mlp.add(_rms_norm(x, self._norm_2), x)


def turn(qkv: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Query and key with their rotary embedding, and value: [patches, heads, head_dim] each.

    Args:
        qkv: [patches, 3, heads, head_dim].
        cos, sin: [patches, 1, head_dim] float32; sin is signed.
    """
    turned = qkv[:, :2].float()
    turned = turned * cos[:, None] + turned.roll(turned.shape[-1] // 2, -1) * sin[:, None]
    return *turned.to(qkv.dtype).unbind(1), qkv[:, 2]


def _attend(query, key, value, spans: Spans, scaling: float) -> torch.Tensor:
    """[patches, heads, head_dim] each -> the same."""
    if _has_varlen(query.device, query.dtype):
        from torch.nn.attention.varlen import varlen_attn

        # Its scale is 1 / sqrt(head_dim), which is the encoder's.
        spans_twice = (spans.starts, spans.starts, spans.longest, spans.longest)
        return varlen_attn(query.contiguous(), key.contiguous(), value.contiguous(), *spans_twice)
    if len(spans.groups) == 1:
        return _attend_equal(query, key, value, spans.groups[0][0], scaling)
    out = torch.empty_like(query)
    for length, index in spans.groups:
        out[index] = _attend_equal(query[index], key[index], value[index], length, scaling)
    return out


@functools.cache
def _has_varlen(device: torch.device, dtype: torch.dtype) -> bool:
    """PyTorch's variable-length attention wants a GPU of Ampere's generation or later and half precision."""
    if device.type != "cuda" or dtype not in (torch.bfloat16, torch.float16):
        return False
    known = importlib.util.find_spec("torch.nn.attention.varlen") is not None
    return known and torch.cuda.get_device_capability(device) >= (8, 0) and _varlen_is_right(device, dtype)


def _varlen_is_right(device: torch.device, dtype: torch.dtype) -> bool:
    """The interface is young: one small call says whether this version and device give what SDPA gives."""
    from torch.nn.attention.varlen import varlen_attn

    query, key, value = torch.randn(3, 24, 2, 80, device=device).to(dtype)
    starts = torch.tensor([0, 8, 16, 24], dtype=torch.int32, device=device)
    try:
        made = varlen_attn(query, key, value, starts, starts, 8, 8)
    except Exception:
        log.warning("variable-length attention does not run here; windows are grouped by size", exc_info=True)
        return False
    expected = _attend_equal(query.float(), key.float(), value.float(), 8, 80**-0.5)
    right = bool((made.float() - expected).abs().max() < 0.05)
    if not right:
        log.warning("variable-length attention is wrong here; windows are grouped by size")
    return right


def _attend_equal(query, key, value, length: int, scaling: float) -> torch.Tensor:
    shape = (-1, length, *query.shape[1:])
    query, key, value = (t.reshape(shape).transpose(1, 2) for t in (query, key, value))
    out = F.scaled_dot_product_attention(query, key, value, scale=scaling)
    return out.transpose(1, 2).reshape(-1, *out.shape[1:2], out.shape[3])


def _rms_norm(x: torch.Tensor, norm: nn.Module) -> torch.Tensor:
    return F.rms_norm(x, norm.weight.shape, norm.weight, norm.variance_epsilon)


class StockVision:
    """transformers' own encoder, for `--no-fast-path` and as the reference in tests."""

    def __init__(self, visual):
        self._visual = visual
        weight = visual.patch_embed.proj.weight
        self.device = weight.device
        self.aside = Aside(self.device, weight.dtype)

    def encode(self, images: Sequence[Image]) -> tuple[torch.Tensor, ...]:
        """As `VisionEncoder.encode`."""
        return self.aside.run(self._encode, images)

    def _encode(self, images: Sequence[Image]) -> tuple[torch.Tensor, ...]:
        pixels = torch.cat([pixels for pixels, _ in images])
        grids = torch.tensor([grid for _, grid in images], device=self.device)
        made = self._visual(pixels, grid_thw=grids).pooler_output
        unit = self._visual.config.spatial_merge_size**2
        return tuple(part.clone() for part in made.split([t * h * w // unit for _, (t, h, w) in images]))
