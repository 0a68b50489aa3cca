"""Keys and values of all slots, in tensors that never move.

Every slot has room for `length` tokens and one more that idle slots of a batch write to. A
`PrefillView` or `DecodeView` stands in for transformers' `past_key_values` during one forward
pass: the attention modules call `update` and nothing else of it.
"""

import copy
import functools
import itertools
import math
import mmap
from collections.abc import Sequence

import torch

from qwen_demo.engines.batching.job import PrefillChunk
from qwen_demo.engines.batching.model.attention import padded_length

# What changes places is kept aside meanwhile, which no plan has room for at whole slots (7B: 1.8 GiB of 32,768 tokens).
SWAPPED_AT_ONCE = 1024


class KVCache:
    """Static key-value storage.

    Args:
        devices: the device of each decoder layer.
        slots, length: how many requests, and tokens of each.
        kv_heads, head_dim, dtype: of the model.
    """

    def __init__(
        self,
        devices: Sequence[torch.device],
        *,
        slots: int,
        length: int,
        kv_heads: int,
        head_dim: int,
        dtype: torch.dtype,
    ):
        self.slots, self.length, self.kv_heads = slots, length, kv_heads
        self._devices, self._dtype = list(devices), dtype
        self._shape = (2, slots, kv_heads, length + 1, head_dim)
        self.banks: dict[torch.device, torch.Tensor] = {}
        self._allocate()

    def _allocate(self) -> None:
        for device in dict.fromkeys(self._devices):
            self.banks[device] = _zeros((self._devices.count(device), *self._shape), self._dtype, device)
        seen = [self._devices[:layer].count(device) for layer, device in enumerate(self._devices)]
        self._layers = [self.banks[device][index] for device, index in zip(self._devices, seen, strict=True)]

    def layer(self, index: int) -> torch.Tensor:
        """[2, slots, kv_heads, length + 1, head_dim]; keys first, then values."""
        return self._layers[index]

    def device(self, index: int) -> torch.device:
        return self._devices[index]

    def on(self, device: torch.device) -> "KVCache":
        """The layers of one device alone, counted from 0, in the same storage."""
        made = copy.copy(self)
        made.banks = {device: self.banks[device]}
        made._devices = [device] * len(self.banks[device])
        made._layers = list(self.banks[device])
        return made

    def copy(self, source: int, target: int, tokens: int) -> None:
        """Give slot `target` the first `tokens` of slot `source`."""
        for bank in self.banks.values():
            bank[:, :, target, :, :tokens] = bank[:, :, source, :, :tokens]

    def swap(self, a: int, b: int, tokens: int) -> None:
        """Exchange the first `tokens` of two slots."""
        for bank in self.banks.values():
            for start in range(0, tokens, SWAPPED_AT_ONCE):
                some = slice(start, min(tokens, start + SWAPPED_AT_ONCE))
                kept = bank[:, :, a, :, some].clone()
                bank[:, :, a, :, some] = bank[:, :, b, :, some]
                bank[:, :, b, :, some] = kept

    def clear(self) -> None:
        """Forget everything; after a failed step rows may hold values that are not finite."""
        if self._devices[0].type == "cpu":
            self._allocate()  # zeros that nobody has touched take no memory
            return
        for bank in self.banks.values():
            bank.zero_()


def _zeros(shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    if device.type != "cpu" or not hasattr(mmap, "MADV_NOHUGEPAGE"):
        return torch.zeros(shape, dtype=dtype, device=device)
    # Pages that are taken when they are written to; huge ones would fill whole slots for a few tokens.
    pages = mmap.mmap(-1, math.prod(shape) * dtype.itemsize, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    pages.madvise(mmap.MADV_NOHUGEPAGE)
    return torch.frombuffer(pages, dtype=dtype).view(shape)


class PrefillView:
    """Chunks of prompts, each in a slot of its own, whose tokens follow one another in one pass.

    Args:
        cache: where keys and values go.
        chunks: which tokens, in the order of the pass.
        dtype: of the masks.

    Attributes:
        masks: one for each chunk: [1, 1, tokens, keys], added to the scores, or None for a plain causal pass.
        spans: where each chunk's tokens are in the pass.
        slots, places: [tokens] int64.
    """

    def __init__(self, cache: KVCache, chunks: Sequence[PrefillChunk], dtype: torch.dtype):
        self._cache, self._dtype, self._chunks = cache, dtype, tuple(chunks)
        device = cache.device(0)
        # A mask costs a causal GPU kernel its speed; on the CPU it buys results that do not depend on the chunks.
        self._plain = [chunk.start == 0 and device.type != "cpu" for chunk in chunks]
        self._keys = [
            chunk.stop if plain else padded_length(chunk.stop, cache.length)
            for chunk, plain in zip(chunks, self._plain, strict=True)
        ]
        stops = list(itertools.accumulate(chunk.tokens for chunk in chunks))
        self.spans = [slice(start, stop) for start, stop in itertools.pairwise([0, *stops])]
        slots = torch.cat([torch.full((chunk.tokens,), chunk.slot) for chunk in chunks])
        places = torch.cat([torch.arange(chunk.start, chunk.stop) for chunk in chunks])
        self.slots, self.places = slots.to(device), places.to(device)

    def on(self, device: torch.device) -> "PrefillView":
        """The same of the layers of one device."""
        return PrefillView(self._cache.on(device), self._chunks, self._dtype)

    @functools.cached_property
    def masks(self) -> list[torch.Tensor | None]:
        device = self._cache.device(0)
        each = zip(self._chunks, self._keys, self._plain, strict=True)
        return [None if plain else _causal(chunk, keys, self._dtype, device) for chunk, keys, plain in each]

    @functools.cached_property
    def _rows(self) -> dict[torch.device, torch.Tensor]:
        return _rows(self._cache, self.slots, self.places)

    @property
    def mask(self) -> torch.Tensor | None:
        """Of the only chunk."""
        (mask,) = self.masks
        return mask

    def seen(self, layer_idx: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Each chunk's keys and values, [1, kv_heads, keys, head_dim]."""
        stored = self._cache.layer(layer_idx)
        seen = [
            stored[:, chunk.slot : chunk.slot + 1, :, :count]
            for chunk, count in zip(self._chunks, self._keys, strict=True)
        ]
        return [(both[0], both[1]) for both in seen]

    def put(self, both: torch.Tensor, layer_idx: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Store [tokens, 2, kv_heads, head_dim]; gives what `seen` does."""
        _store(self._cache, both, layer_idx, self._rows)
        return self.seen(layer_idx)

    def update(self, keys: torch.Tensor, values: torch.Tensor, layer_idx: int, *args, **kwargs):
        """Store [1, kv_heads, tokens, head_dim] of the only chunk and return all its keys and values."""
        (seen,) = self.put(torch.stack([keys[0], values[0]]).permute(2, 0, 1, 3), layer_idx)
        return seen

    def get_seq_length(self, layer_idx: int = 0) -> int:
        return self._chunks[0].start


class DecodeView:
    """One token in each of the slots 0 to `batch`.

    Args:
        places: [batch] int64, where each slot's token goes; an idle slot's is `cache.length`.
        keys: how many cached tokens attention reads; covers every place but the idle ones'.

    `mask` is [batch, 1, 1, keys], added to the scores.
    """

    def __init__(self, cache: KVCache, places: torch.Tensor, keys: int, dtype: torch.dtype):
        self._cache, self._keys, self._batch = cache, keys, places.shape[0]
        self._places, self._dtype = places, dtype

    @functools.cached_property
    def mask(self) -> torch.Tensor:
        hidden = torch.arange(self._keys, device=self._places.device) > self._places[:, None]
        mask = torch.zeros(hidden.shape, dtype=self._dtype, device=hidden.device).masked_fill_(hidden, -torch.inf)
        return mask[:, None, None]

    @functools.cached_property
    def slots(self) -> torch.Tensor:
        """Of each row, [batch] int64."""
        return torch.arange(self._batch, device=self._places.device)

    @functools.cached_property
    def _rows(self) -> dict[torch.device, torch.Tensor]:
        return _rows(self._cache, self.slots, self._places)

    def on(self, device: torch.device) -> "DecodeView":
        """The same of the layers of one device."""
        return DecodeView(self._cache.on(device), self._places.to(device), self._keys, self._dtype)

    def put(self, both: torch.Tensor, layer_idx: int):
        """Store [batch, 2, kv_heads, head_dim] and return keys and values, each [batch, kv_heads, keys, head_dim]."""
        seen = _store(self._cache, both, layer_idx, self._rows)[:, : self._batch, :, : self._keys]
        return seen[0], seen[1]

    def update(self, keys: torch.Tensor, values: torch.Tensor, layer_idx: int, *args, **kwargs):
        """Store [batch, kv_heads, 1, head_dim] and return all keys and values."""
        return self.put(torch.stack([keys[:, :, 0], values[:, :, 0]], dim=1), layer_idx)

    def get_seq_length(self, layer_idx: int = 0) -> int:
        return 0


class MixedView:
    """Single tokens of the slots 0 to `single`, then chunks of prompts.

    Attributes:
        answers, prompts: the views of the two; None without prompts.
        single: how many of the rows are the first's.
    """

    def __init__(self, answers: DecodeView, prompts: PrefillView | None, single: int):
        self.answers, self.prompts, self.single = answers, prompts, single

    @property
    def slots(self) -> torch.Tensor:
        """Of each row, [rows] int64."""
        return self.answers.slots if self.prompts is None else torch.cat([self.answers.slots, self.prompts.slots])


def _causal(chunk: PrefillChunk, keys: int, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    seen = torch.arange(keys, device=device) <= torch.arange(chunk.start, chunk.stop, device=device)[:, None]
    return torch.zeros(seen.shape, dtype=dtype, device=device).masked_fill_(~seen, -torch.inf)[None, None]


def _rows(cache: KVCache, slots: torch.Tensor, places: torch.Tensor) -> dict[torch.device, torch.Tensor]:
    """Where tokens go in a layer's storage seen as [2 * slots * kv_heads * (length + 1), head_dim], on each device.

    Args:
        slots, places: [tokens] int64.

    Returns:
        [tokens * 2 * kv_heads], keys of a token first, then its values.
    """
    kind = torch.arange(2, device=places.device)[None, :, None]
    head = torch.arange(cache.kv_heads, device=places.device)[None, None, :]
    row = (kind * cache.slots + slots[:, None, None]) * cache.kv_heads + head
    index = (row * (cache.length + 1) + places[:, None, None]).flatten()
    return {device: index.to(device) for device in cache.banks}


def _store(cache: KVCache, both: torch.Tensor, layer_idx: int, rows: dict) -> torch.Tensor:
    """Put [tokens, 2, kv_heads, head_dim] where `rows` say; gives the layer's storage."""
    stored = cache.layer(layer_idx)
    head_dim = stored.shape[-1]
    stored.view(-1, head_dim).index_copy_(0, rows[cache.device(layer_idx)], both.reshape(-1, head_dim))
    return stored
