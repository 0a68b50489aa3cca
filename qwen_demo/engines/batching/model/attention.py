"""Attention of prompts and of running slots over the slot cache.

Both kinds go through PyTorch's scaled_dot_product_attention. On the CPU the shapes are chosen so
that a row of the result has the same bits whatever else is in the batch: the MKL kernels behind
it sum in another order for fewer than four query rows and for 193 to 383 keys, so neither occurs.
"""

import torch
import torch.nn.functional as F

NAME = "qwen_demo_slots"
KEY_BLOCK = 64
MIN_ROWS = 4


def padded_length(tokens: int, longest: int) -> int:
    """How many key rows attention reads to cover `tokens` of them, at most `longest`."""
    rounded = -(-tokens // KEY_BLOCK) * KEY_BLOCK
    if 192 < rounded < 384:
        rounded = 384
    return min(rounded, longest)


def decode(query: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, mask: torch.Tensor, scaling: float):
    """One query token for each slot.

    Args:
        query: [slots, heads, head_dim].
        keys, values: [slots, kv_heads, length, head_dim].
        mask: [slots, 1, 1, length], added to the scores.

    Returns:
        [slots, heads * head_dim].
    """
    slots, heads, head_dim = query.shape
    kv_heads = keys.shape[1]
    # Heads that share keys become rows of one query: the keys are read once and never repeated.
    grouped = query.view(slots, kv_heads, heads // kv_heads, head_dim)
    rows = heads // kv_heads
    if rows < MIN_ROWS and query.device.type == "cpu":
        grouped = F.pad(grouped, (0, 0, 0, MIN_ROWS - rows))
    mask = mask.expand(-1, kv_heads, grouped.shape[2], -1)
    out = F.scaled_dot_product_attention(grouped, keys, values, attn_mask=mask, scale=scaling)
    return out[:, :, :rows].reshape(slots, heads * head_dim)


def prefill(query: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, mask: torch.Tensor | None, scaling: float):
    """A run of query tokens of one slot.

    Args:
        query: [1, heads, tokens, head_dim].
        keys, values: [1, kv_heads, length, head_dim].
        mask: [1, 1, tokens, length] added to the scores; None means causal and length == tokens.

    Returns:
        [1, heads, tokens, head_dim].
    """
    if mask is None:
        return F.scaled_dot_product_attention(query, keys, values, is_causal=True, scale=scaling, enable_gqa=True)
    group = query.shape[1] // keys.shape[1]
    keys, values = (t.repeat_interleave(group, dim=1) for t in (keys, values))
    return F.scaled_dot_product_attention(query, keys, values, attn_mask=mask, scale=scaling)


def _for_transformers(module, query, key, value, attention_mask, scaling=None, **kwargs):
    """transformers' attention interface: query [batch, heads, tokens, head_dim] -> [batch, tokens, heads, head_dim]."""
    batch, heads, tokens, head_dim = query.shape
    if tokens == 1:
        out = decode(query[:, :, 0], key, value, attention_mask, scaling)
        return out.view(batch, 1, heads, head_dim), None
    return prefill(query, key, value, attention_mask, scaling).transpose(1, 2).contiguous(), None


def use_in(text_config) -> None:
    """Make a text model call this attention; its vision encoder keeps its own."""
    from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    if NAME not in ALL_ATTENTION_FUNCTIONS.valid_keys():
        ALL_ATTENTION_FUNCTIONS.register(NAME, _for_transformers)
        ALL_MASK_ATTENTION_FUNCTIONS.register(NAME, ALL_MASK_ATTENTION_FUNCTIONS["sdpa"])
    text_config._attn_implementation = NAME
