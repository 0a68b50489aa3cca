"""The language model, twice: transformers' modules unchanged, and the same sums with fewer calls.

Both read and write a slot cache through a view of it. The lean one is what runs; the stock one is
its reference in the tests, its stand-in where weights are offloaded or layers unknown, and what
`--no-fast-path` chooses. `stages.py` has the lean one for models spread over several devices.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

from qwen_demo.engines.batching.kv_cache import DecodeView, MixedView, PrefillView
from qwen_demo.engines.batching.model import attention
from qwen_demo.engines.batching.model.adapter_rows import Ordered, Rows
from qwen_demo.engines.batching.model.linear import GatedMlp, Packed, kind_for

if TYPE_CHECKING:
    from qwen_demo.engines.batching.model.adapters import AdapterTable


class StockDecoder:
    """transformers' `Qwen2_5_VLTextModel` and head.

    Args:
        model: `Qwen2_5_VLForConditionalGeneration`; its text attention is replaced.

    Attributes:
        chunks_at_once: how many chunks of prompts one pass may compute.
    """

    chunks_at_once = 1

    def __init__(self, model):
        self._text, self._head = model.model.language_model, model.lm_head
        attention.use_in(self._text.config)

    def embed(self, ids: torch.Tensor) -> torch.Tensor:
        """[tokens] -> [tokens, hidden]."""
        return self._text.embed_tokens(ids)

    def hidden(self, x: torch.Tensor, positions: torch.Tensor, view: PrefillView | DecodeView) -> torch.Tensor:
        """Run all layers and the last norm.

        Args:
            x: [tokens, hidden] embeddings.
            positions: [3, tokens] of the multimodal rotary embedding.
            view: where keys and values go; decides whether tokens are one prompt's or many slots'.
        """
        # One prompt is a batch of one; slots are a batch of single tokens.
        axis = 1 if isinstance(view, DecodeView) else 0
        out = self._text(
            inputs_embeds=x.unsqueeze(axis),
            position_ids=positions.unsqueeze(axis + 1),
            attention_mask={"full_attention": view.mask},
            past_key_values=view,
            use_cache=True,
        )
        return out.last_hidden_state.squeeze(axis)

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """[tokens, hidden] -> [tokens, vocabulary] float32."""
        return self._head(hidden).float()


class LeanDecoder:
    """The same model with one product for query, key and value and no mask or module machinery.

    Args:
        model: `Qwen2_5_VLForConditionalGeneration`.
        span: which of its layers, all of them on one device; None for all.

    Attributes:
        ends: whether the last layer is among them; only then does `hidden` end with the norm, and has `logits` a head.
        adapters: what may be added to the products of some rows; None where nothing ever is.
    """

    chunks_at_once = 16

    def __init__(self, model, span: range | None = None):
        text = model.model.language_model
        config = text.config
        span = range(len(text.layers)) if span is None else span
        layers = text.layers[span.start : span.stop]
        self.adapters: AdapterTable | None = None
        self.embed = text.embed_tokens
        self.heads, self.kv_heads = config.num_attention_heads, config.num_key_value_heads
        self.head_dim = config.hidden_size // self.heads
        self.scaling = self.head_dim**-0.5
        self.rotary = text.rotary_emb
        sections = self.rotary.mrope_section
        rows = [row % 3 for row, size in enumerate(sections) for _ in range(size)]
        device = layers[0].input_layernorm.weight.device
        self._axis_of_angle = torch.tensor(rows, device=device)
        self._inv_freq = self.rotary.inv_freq.to(device, torch.float32)
        kind = kind_for(layers)
        self.layers = [_Layer(layer, kind) for layer in layers]
        self.ends = span.stop == len(text.layers)
        # Kernels that add a layer's last sum take its norm along, used or not.
        self.norm = _Norm(text.norm, device) if self.ends else self.layers[-1].norm_2
        if self.ends:
            self._head = Packed(model.lm_head) if kind is Packed else model.lm_head

    @staticmethod
    def fits(model) -> bool:
        """Whether this class computes what `model` says, all of it on one device."""
        text = model.model.language_model
        devices = {p.device for p in (*text.parameters(), *model.lm_head.parameters())}
        return len(devices) == 1 and next(iter(devices)).type != "meta" and LeanDecoder.knows(text)

    @staticmethod
    def knows(text) -> bool:
        """Whether the layers of a `Qwen2_5_VLTextModel` are of the kind that is computed here."""
        plain = text.config.hidden_act == "silu" and not text.has_sliding_layers
        return plain and text.rotary_emb.rope_type == "default"

    def angles(self, positions: torch.Tensor) -> torch.Tensor:
        """Angles of the rotary embedding [tokens, head_dim / 2] float32, each of its own axis of [3, tokens]."""
        return positions[self._axis_of_angle].T.float().contiguous() * self._inv_freq

    def cos_sin(self, positions: torch.Tensor, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
        """Cosines and signed sines [tokens, heads + 2 * kv_heads, head_dim]; values are rotated by zero."""
        angles = self.angles(positions)
        scale = self.rotary.attention_scaling
        cos, sin = (angles.cos() * scale).to(dtype), (angles.sin() * scale).to(dtype)
        rotated = self.heads + self.kv_heads
        shape = (angles.shape[0], rotated + self.kv_heads, self.head_dim)
        all_cos = torch.ones(shape, dtype=dtype, device=angles.device)
        all_sin = torch.zeros(shape, dtype=dtype, device=angles.device)
        all_cos[:, :rotated] = torch.cat([cos, cos], -1)[:, None]
        all_sin[:, :rotated] = torch.cat([-sin, sin], -1)[:, None]
        return all_cos, all_sin

    def hidden(
        self, x: torch.Tensor, positions: torch.Tensor, view: PrefillView | DecodeView | MixedView
    ) -> torch.Tensor:
        """As `StockDecoder.hidden`; answers and prompts may share a pass."""
        cos, sin = self.cos_sin(positions, x.dtype)
        ways: dict[type, Callable[..., torch.Tensor]] = {
            DecodeView: self._decode, PrefillView: self._prefill, MixedView: self._mixed
        }  # fmt: skip
        attend = ways[type(view)]
        if self.adapters and (rows := self.adapters.rows(view.slots)):
            return self._adapted(x, cos, sin, rows, lambda qkv, index: attend(qkv, view, index))
        for index, layer in enumerate(self.layers):
            qkv = layer.qkv(layer.norm_1(x)).view(cos.shape)
            qkv = torch.addcmul(qkv * cos, qkv.roll(self.head_dim // 2, -1), sin)
            x = layer.out.add(attend(qkv, view, index), x)
            x = layer.mlp.add(layer.norm_2(x), x)
        return self.norm(x) if self.ends else x

    def _adapted(self, x, cos, sin, rows: Rows, attend: Callable[[torch.Tensor, int], torch.Tensor]) -> torch.Tensor:
        """All layers with low-rank products beside theirs; on a CPU with rows in the order of their adapters."""
        assert self.adapters is not None
        moved = rows if isinstance(rows, Ordered) else None
        if moved:
            x, cos, sin = (moved.put_in_order(each) for each in (x, cos, sin))
        for index, (layer, sites) in enumerate(zip(self.layers, self.adapters.layers, strict=True)):
            normed = layer.norm_1(x)
            qkv = sites.qkv.add(layer.qkv(normed), normed, rows).view(cos.shape)
            qkv = torch.addcmul(qkv * cos, qkv.roll(self.head_dim // 2, -1), sin)
            attended = moved.put_in_order(attend(moved.put_back(qkv), index)) if moved else attend(qkv, index)
            x = sites.out.add(layer.out.add(attended, x), attended, rows)
            x = layer.mlp.adapted(layer.norm_2(x), x, sites, rows)
        return self.norm(moved.put_back(x) if moved else x)

    def _decode(self, qkv: torch.Tensor, view: DecodeView, layer: int) -> torch.Tensor:
        keys, values = view.put(qkv[:, self.heads :], layer)
        return attention.decode(qkv[:, : self.heads].contiguous(), keys, values, view.mask, self.scaling)

    def _prefill(self, qkv: torch.Tensor, view: PrefillView, layer: int) -> torch.Tensor:
        seen = view.put(qkv[:, self.heads :].unflatten(1, (2, self.kv_heads)), layer)
        return self.attend_chunks(qkv[:, : self.heads].transpose(0, 1), seen, view)

    def _mixed(self, qkv: torch.Tensor, view: MixedView, layer: int) -> torch.Tensor:
        attended = [self._decode(qkv[: view.single], view.answers, layer)] if view.single else []
        if view.prompts is not None:
            attended.append(self._prefill(qkv[view.single :], view.prompts, layer))
        return torch.cat(attended)

    def attend_chunks(self, query: torch.Tensor, seen, view: PrefillView) -> torch.Tensor:
        """[heads, tokens, head_dim] over each chunk's keys and values -> [tokens, heads * head_dim]."""
        outs = [
            attention.prefill(query[None, :, span], keys, values, mask, self.scaling)[0].transpose(0, 1)
            for span, (keys, values), mask in zip(view.spans, seen, view.masks, strict=True)
        ]
        return (outs[0] if len(outs) == 1 else torch.cat(outs)).reshape(query.shape[1], -1)

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """[tokens, hidden] -> [tokens, vocabulary] float32."""
        return self._head(hidden).float()


class _Layer:
    def __init__(self, layer, kind: type):
        attn = layer.self_attn
        self.norm_1, self.norm_2 = _Norm(layer.input_layernorm), _Norm(layer.post_attention_layernorm)
        self.qkv = kind(attn.q_proj, attn.k_proj, attn.v_proj)
        self.out = kind(attn.o_proj)
        self.mlp = GatedMlp(layer.mlp, kind)


class _Norm:
    """RMS norm (Zhang and Sennrich 2019) in one call."""

    def __init__(self, module, device: torch.device | None = None):
        self.weight, self.eps = module.weight.to(device), module.variance_epsilon

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return F.rms_norm(x, self.weight.shape, self.weight, self.eps)
