"""Keys and values of all slots, in tensors that never move.

Every slot has room for `length` tokens and one more that idle slots of a batch write to. A
`PrefillView` or `DecodeView` stands in for transformers' `past_key_values` during one forward
pass: the attention modules call `update` and nothing else of it.
"""

import math
import mmap
from collections.abc import Sequence

import torch

from qwen_demo.engines.batching.attention import padded_length


class SlotCache:
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

    def copy(self, source: int, target: int, tokens: int) -> None:
        """Give slot `target` the first `tokens` of slot `source`."""
        for bank in self.banks.values():
            bank[:, :, target, :, :tokens] = bank[:, :, source, :, :tokens]

    def swap(self, a: int, b: int, tokens: int) -> None:
        """Exchange the first `tokens` of two slots."""
        for bank in self.banks.values():
            kept = bank[:, :, a, :, :tokens].clone()
            bank[:, :, a, :, :tokens] = bank[:, :, b, :, :tokens]
            bank[:, :, b, :, :tokens] = kept

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
    """Tokens `start` to `stop` of one slot's prompt.

    `mask` is [1, 1, tokens, keys], added to the scores, or None for a plain causal pass.
    """

    def __init__(self, cache: SlotCache, slot: int, start: int, stop: int, dtype: torch.dtype):
        self._cache, self._slot, self._start, self._stop = cache, slot, start, stop
        device = cache.device(0)
        # A mask costs a causal GPU kernel its speed; on the CPU it buys results that do not depend on the pieces.
        plain = start == 0 and device.type != "cpu"
        self._keys = stop if plain else padded_length(stop, cache.length)
        self.mask = None
        if not plain:
            seen = torch.arange(self._keys, device=device) <= torch.arange(start, stop, device=device)[:, None]
            self.mask = torch.zeros(seen.shape, dtype=dtype, device=device).masked_fill_(~seen, -torch.inf)[None, None]

    def update(self, keys: torch.Tensor, values: torch.Tensor, layer_idx: int, *args, **kwargs):
        """Store [1, kv_heads, tokens, head_dim] and return all keys and values up to `stop`."""
        stored = self._cache.layer(layer_idx)
        stored[0, self._slot, :, self._start : self._stop] = keys[0]
        stored[1, self._slot, :, self._start : self._stop] = values[0]
        both = stored[:, self._slot : self._slot + 1, :, : self._keys]
        return both[0], both[1]

    def get_seq_length(self, layer_idx: int = 0) -> int:
        return self._start


class DecodeView:
    """One token in each of the slots 0 to `batch`.

    Args:
        places: [batch] int64, where each slot's token goes; an idle slot's is `cache.length`.
        keys: how many cached tokens attention reads; covers every place but the idle ones'.

    `mask` is [batch, 1, 1, keys], added to the scores.
    """

    def __init__(self, cache: SlotCache, places: torch.Tensor, keys: int, dtype: torch.dtype):
        self._cache, self._keys, self._batch = cache, keys, places.shape[0]
        device = places.device
        hidden = torch.arange(keys, device=device) > places[:, None]
        mask = torch.zeros(hidden.shape, dtype=dtype, device=device).masked_fill_(hidden, -torch.inf)
        self.mask = mask[:, None, None]
        # Rows of a layer's storage, seen as [2 * slots * kv_heads * (length + 1), head_dim].
        slot = torch.arange(self._batch, device=device)[:, None, None]
        kind = torch.arange(2, device=device)[None, :, None]
        head = torch.arange(cache.kv_heads, device=device)[None, None, :]
        row = (kind * cache.slots + slot) * cache.kv_heads + head
        index = row * (cache.length + 1) + places[:, None, None]
        self._rows = {d: index.flatten().to(d) for d in cache.banks}

    def put(self, both: torch.Tensor, layer_idx: int):
        """Store [batch, 2, kv_heads, head_dim] and return keys and values, each [batch, kv_heads, keys, head_dim]."""
        stored = self._cache.layer(layer_idx)
        head_dim = stored.shape[-1]
        rows = self._rows[self._cache.device(layer_idx)]
        stored.view(-1, head_dim).index_copy_(0, rows, both.reshape(-1, head_dim))
        seen = stored[:, : self._batch, :, : self._keys]
        return seen[0], seen[1]

    def update(self, keys: torch.Tensor, values: torch.Tensor, layer_idx: int, *args, **kwargs):
        """Store [batch, kv_heads, 1, head_dim] and return all keys and values."""
        return self.put(torch.stack([keys[:, :, 0], values[:, :, 0]], dim=1), layer_idx)

    def get_seq_length(self, layer_idx: int = 0) -> int:
        return 0
