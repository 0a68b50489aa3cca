"""Attention of the vision encoder: within windows, or within a frame.

On CUDA one variable-length flash kernel takes runs of all lengths; elsewhere runs of equal length
are batched into one call.
"""

import functools
import importlib.util
import logging
from typing import Any

import torch
import torch.nn.functional as F

from qwen_demo.engines.batching.model.vision_layout import AttentionSpans

log = logging.getLogger(__name__)


def attend(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, spans: AttentionSpans, scaling: float
) -> torch.Tensor:
    """[patches, heads, head_dim] each -> the same."""
    if has_varlen(query.device, query.dtype):
        from torch.nn.attention.varlen import varlen_attn

        # Its scale is 1 / sqrt(head_dim), which is the encoder's.
        spans_twice = (spans.starts, spans.starts, spans.longest, spans.longest)
        attended: Any = varlen_attn(query.contiguous(), key.contiguous(), value.contiguous(), *spans_twice)
        return attended
    if len(spans.groups) == 1:
        return _attend_equal(query, key, value, spans.groups[0][0], scaling)
    out = torch.empty_like(query)
    for length, index in spans.groups:
        out[index] = _attend_equal(query[index], key[index], value[index], length, scaling)
    return out


@functools.cache
def has_varlen(device: torch.device, dtype: torch.dtype) -> bool:
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
        made: Any = varlen_attn(query, key, value, starts, starts, 8, 8)
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
