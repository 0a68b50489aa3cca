"""A fast training forward over packed batches, on the parameters of the stock model itself.

It computes what Qwen2_5_VLForConditionalGeneration computes (tests hold both against each other), but for many pictures
and dialogues in one graph of fixed shapes: variable-length attention in the tower, block-masked attention in the language
model.  Exporting is therefore plain save_pretrained.
"""

import functools
import operator

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.attention.flex_attention import create_block_mask, flex_attention

from training.dense import DenseHeads
from training.pack import FULL_TOKENS, WINDOW_TOKENS
from training.tokens import MEAN, STD

try:
    from torch.nn.attention.varlen import varlen_attn
except ImportError:  # only GPUs need it
    varlen_attn = None

HEAD = 64
MIDDLE_LAYER = 4  # its input feeds the dense heads of the language model
POSITIONS = 2048  # at most in one packed document
# The default tiles for this head size spill registers under such a mask: the forward kernel took six times its backward.
TILES = {"fwd_BLOCK_M": 64, "fwd_BLOCK_N": 64, "fwd_num_warps": 4, "fwd_num_stages": 2}
LABELS = ("d_class", "d_color", "d_reach", "d_chars", "d_cell", "d_box")


def turned(x):
    first, second = x.chunk(2, -1)
    return torch.cat((-second, first), -1)


def rotate(x, cos, sin):
    return (x.float() * cos + turned(x.float()) * sin).to(x.dtype)


def turn_table(theta, width):
    """cos and sin of every position's rotary angles, (2, POSITIONS, width / 2): looking them up is cheaper than computing
    them again in every layer's fused kernel."""
    frequency = theta ** (-torch.arange(0, width, 2).float() / width)
    angle = torch.arange(POSITIONS).float()[:, None] * frequency
    return torch.stack([angle.cos(), angle.sin()])


def rms_norm(x, weight):
    y = x.float()
    return (y * torch.rsqrt(y.pow(2).mean(-1, keepdim=True) + 1e-6) * weight).to(x.dtype)


def linear(x, weight, bias=None):
    return F.linear(x, weight.to(x.dtype), None if bias is None else bias.to(x.dtype))


def gated_mlp(x, mlp):
    bias = None if mlp.gate_proj.bias is None else torch.cat([mlp.gate_proj.bias, mlp.up_proj.bias])
    gate, up = linear(x, torch.cat([mlp.gate_proj.weight, mlp.up_proj.weight]), bias).chunk(2, -1)
    return linear(F.silu(gate) * up, mlp.down_proj.weight, mlp.down_proj.bias)


class PackedForward(nn.Module):
    """loss, dense losses and hits of a batch from training.pack.

    model: Qwen2_5_VLForConditionalGeneration; dtype: of activations; reference: plain masked attention for CPUs.
    """

    def __init__(self, model, dtype=torch.bfloat16, reference=False):
        super().__init__()
        self.model, self.dtype, self.reference = model, dtype, reference
        text = model.config.text_config
        self.heads, self.kv_heads = text.num_attention_heads, text.num_key_value_heads
        self.full_attention = set(model.config.vision_config.fullatt_block_indexes)
        self.middle = min(MIDDLE_LAYER, text.num_hidden_layers - 1)
        rope = text.rope_parameters
        axis = functools.reduce(operator.iadd, [[i] * count for i, count in enumerate(rope["mrope_section"])], [])
        self.register_buffer("axis", torch.tensor(axis), persistent=False)
        self.register_buffer("text_turn", turn_table(rope["rope_theta"], HEAD), persistent=False)
        self.register_buffer("vision_turn", turn_table(10000.0, HEAD // 2), persistent=False)
        self.register_buffer("mean", torch.tensor(MEAN).repeat(196) * 255, persistent=False)
        self.register_buffer("scale", 1 / (torch.tensor(STD).repeat(196) * 255), persistent=False)
        self.dense = DenseHeads(text.hidden_size)

    # ---- vision tower
    def vision(self, batch):
        """(merged tokens in window order, hidden)"""
        tower, places = self.model.model.visual, batch["places"].int()
        cos, sin = (table[places].flatten(1).repeat(1, 2)[:, None] for table in self.vision_turn.unbind(0))
        x = self.embed_patches(tower.patch_embed.proj.weight, batch)
        for i, block in enumerate(tower.blocks):
            ends, longest = (
                (batch["full"], FULL_TOKENS) if i in self.full_attention else (batch["window"], WINDOW_TOKENS)
            )
            x = self.vision_block(block, x, cos, sin, ends, longest)
        merger = tower.merger
        x = rms_norm(x, merger.ln_q.weight).view(-1, 4 * x.shape[-1])
        x = F.gelu(linear(x, merger.mlp[0].weight, merger.mlp[0].bias))
        return linear(x, merger.mlp[2].weight, merger.mlp[2].bias)

    def embed_patches(self, weight, batch):
        """weight: (channels, 3, 2, 14, 14).  A still's two frames are the same pixels."""
        count = batch["second"].shape[0]
        pixels = batch["pixels"]
        frames = torch.cat([pixels[:count], pixels[batch["second"].long()]], 1).view(-1, 2, 588)
        frames = ((frames.float() - self.mean) * self.scale).to(self.dtype).view(-1, 2 * 588)
        return F.linear(frames, weight.permute(0, 2, 3, 4, 1).reshape(weight.shape[0], -1).to(self.dtype))

    def vision_block(self, block, x, cos, sin, ends, longest):
        attention = block.attn
        heads = x.shape[-1] // HEAD
        q, k, v = (
            linear(rms_norm(x, block.norm1.weight), attention.qkv.weight, attention.qkv.bias)
            .view(-1, 3, heads, HEAD)
            .unbind(1)
        )
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        if self.reference:
            segment = torch.searchsorted(
                ends[1:].contiguous(), torch.arange(len(q), dtype=ends.dtype, device=q.device), right=True
            )
            mask = segment[:, None] == segment[None]
            out = F.scaled_dot_product_attention(*(t.transpose(0, 1)[None] for t in (q, k, v)), attn_mask=mask)[
                0
            ].transpose(0, 1)
        else:
            out = varlen_attn(q, k, v.contiguous(), ends, ends, longest, longest)
        x = x + linear(out.reshape(-1, heads * HEAD), attention.proj.weight, attention.proj.bias)
        return x + gated_mlp(rms_norm(x, block.norm2.weight), block.mlp)

    # ---- language model
    def hidden(self, pictures, batch):
        """(rows, length, hidden) after the last norm, and the same before the middle layer."""
        text, ids = self.model.model.language_model, batch["ids"]
        rows, length = ids.shape
        x = F.embedding(ids.view(-1).long(), text.embed_tokens.weight).to(self.dtype)
        x = torch.cat([x, torch.zeros_like(pictures)])  # rows for unused picture tokens
        x = x.index_copy(0, batch["target"].long(), pictures)[: rows * length].view(rows, length, -1)
        places = batch["positions"].int()[self.axis].permute(1, 2, 0)  # (rows, length, HEAD / 2)
        channel = torch.arange(HEAD // 2, device=ids.device)
        cos, sin = (table[places, channel].repeat(1, 1, 2)[:, None] for table in self.text_turn.unbind(0))
        mask = self.mask(batch["document"], batch["dialogue"])
        middle = x
        for i, layer in enumerate(text.layers):
            if i == self.middle:
                middle = x
            x = x + self.text_attention(layer.self_attn, rms_norm(x, layer.input_layernorm.weight), cos, sin, mask)
            x = x + gated_mlp(rms_norm(x, layer.post_attention_layernorm.weight), layer.mlp)
        return rms_norm(x, text.norm.weight), middle

    def mask(self, document, dialogue):
        """Causal within a document; a dialogue sees what all share (0) and itself."""
        rows, length = document.shape
        if self.reference:
            i = torch.arange(length, device=document.device)
            shared = (dialogue[:, None] == 0) | (dialogue[:, :, None] == dialogue[:, None])
            return ((i[:, None] >= i[None]) & (document[:, :, None] == document[:, None]) & shared)[:, None]

        shared = document.int() * 64
        own = shared + dialogue.int()

        def allowed(row, head, q, k):
            return (k <= q) & ((own[row, k] == own[row, q]) | (own[row, k] == shared[row, q]))

        return create_block_mask(allowed, rows, None, length, length, device=document.device)

    def text_attention(self, attention, x, cos, sin, mask):
        rows, length, _ = x.shape
        parts = [attention.q_proj, attention.k_proj, attention.v_proj]
        qkv = linear(x, torch.cat([p.weight for p in parts]), torch.cat([p.bias for p in parts]))
        qkv = qkv.view(rows, length, -1, HEAD).transpose(1, 2)
        q, k, v = qkv.split([self.heads, self.kv_heads, self.kv_heads], 1)
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        if self.reference:
            repeat = self.heads // self.kv_heads
            out = F.scaled_dot_product_attention(
                q, k.repeat_interleave(repeat, 1), v.repeat_interleave(repeat, 1), attn_mask=mask
            )
        else:
            out = flex_attention(q, k, v, block_mask=mask, enable_gqa=True, kernel_options=TILES)
        return linear(out.transpose(1, 2).reshape(rows, length, -1), attention.o_proj.weight)

    # ---- losses
    def forward(self, batch):
        """(answer loss, dense losses (6,), 1.0 for each label token that was predicted right (labels,))"""
        pictures = self.vision(batch)
        x, middle = self.hidden(pictures, batch)
        width = x.shape[-1]
        x = x.reshape(-1, width).float()[batch["label_at"].long()].to(self.dtype)
        logits = F.linear(x, self.model.model.language_model.embed_tokens.weight.to(self.dtype)).float()
        token, weight = batch["label_token"].long(), batch["label_weight"]
        loss = (F.cross_entropy(logits, token, reduction="none") * weight).sum() / weight.sum()
        middle = torch.cat([middle.reshape(-1, width), torch.zeros_like(pictures)]).float()[batch["target"].long()]
        middle = (middle * torch.rsqrt(middle.pow(2).mean(-1, keepdim=True) + 1e-6)).to(self.dtype)
        dense = self.dense(pictures, middle, {name: batch[name] for name in LABELS})
        return loss, dense, (logits.argmax(-1) == token).float()
