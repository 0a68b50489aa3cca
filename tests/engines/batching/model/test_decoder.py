"""The lean decoder against transformers' modules, and the cache under both."""

import copy

import pytest
import torch

from qwen_demo.engines.batching.job import PrefillChunk, SequenceState
from qwen_demo.engines.batching.kv_cache import DecodeView, KVCache, PrefillView
from qwen_demo.engines.batching.memory_plan import layer_devices
from qwen_demo.engines.batching.model.attention import padded_length
from qwen_demo.engines.batching.model.decoder import LeanDecoder, StockDecoder
from qwen_demo.engines.batching.model.stages import StagedDecoder

CPU = torch.device("cpu")
LENGTH = 256


@pytest.fixture(scope="module")
def stock(loaded):
    return StockDecoder(copy.deepcopy(loaded.model))


@pytest.fixture(scope="module")
def lean(loaded):
    assert LeanDecoder.fits(loaded.model)
    return LeanDecoder(loaded.model)


@pytest.fixture
def cache(loaded):
    return cache_for(loaded.model.config.text_config)


def cache_for(config, devices=None, slots: int = 4) -> KVCache:
    return KVCache(
        devices or [CPU] * config.num_hidden_layers,
        slots=slots,
        length=LENGTH,
        kv_heads=config.num_key_value_heads,
        head_dim=config.hidden_size // config.num_attention_heads,
        dtype=torch.float32,
    )


def tokens(count: int, seed: int = 0) -> torch.Tensor:
    return torch.randint(10, 1000, (count,), generator=torch.Generator().manual_seed(seed))


def positions(count: int) -> torch.Tensor:
    """Three rows that differ, as those of an image do."""
    steps = torch.arange(count)
    return torch.stack([steps, steps // 2, steps % 5])


@torch.inference_mode()
def prefill(decoder, cache, slot: int, ids: torch.Tensor, stops: list[int]) -> torch.Tensor:
    """Hidden states of a prompt that is computed in chunks ending at these tokens."""
    made, start = [], 0
    for stop in stops:
        view = PrefillView(cache, [PrefillChunk(SequenceState(slot=slot), start, stop)], torch.float32)
        made.append(decoder.hidden(decoder.embed(ids[start:stop]), positions(len(ids))[:, start:stop], view))
        start = stop
    return torch.cat(made)


@torch.inference_mode()
def decode(decoder, cache, lengths: list[int], ids: torch.Tensor) -> torch.Tensor:
    """Hidden states of one token in each of the first slots."""
    places = torch.tensor(lengths)
    keys = padded_length(max(n for n in lengths if n < cache.length) + 1, cache.length)
    view = DecodeView(cache, places, keys, torch.float32)
    return decoder.hidden(decoder.embed(ids), places.expand(3, -1), view)


def test_lean_and_stock_read_a_prompt_alike(lean, stock, loaded):
    ids = tokens(90)
    caches = [cache_for(loaded.model.config.text_config) for _ in range(2)]
    made, expected = (prefill(d, c, 1, ids, [40, 90]) for d, c in zip((lean, stock), caches, strict=True))
    assert torch.allclose(made, expected, atol=1e-3, rtol=1e-3)
    for a, b in zip(*(c.banks.values() for c in caches), strict=True):
        assert torch.allclose(a, b, atol=1e-3)


@torch.inference_mode()
def test_lean_and_stock_decode_slots_of_different_lengths_alike(lean, stock, loaded):
    made = []
    for decoder in (lean, stock):
        cache = cache_for(loaded.model.config.text_config)
        for slot, length in enumerate((5, 80, 33)):
            prefill(decoder, cache, slot, tokens(length, slot), [length])
        made.append(decoder.logits(decode(decoder, cache, [5, 80, 33], tokens(3, 9))))
    assert torch.allclose(*made, atol=1e-2)


@pytest.mark.parametrize("which", ["lean", "stock"])
def test_chunks_change_nothing(which, cache, request):
    decoder = request.getfixturevalue(which)
    ids = tokens(120)
    whole = prefill(decoder, cache, 0, ids, [120])
    assert torch.allclose(prefill(decoder, cache, 1, ids, [7, 64, 65 + 4, 120]), whole, atol=1e-4)


@pytest.mark.parametrize("which", ["lean", "stock"])
def test_neighbours_change_nothing(which, loaded, request):
    decoder = request.getfixturevalue(which)
    crowd, alone = (cache_for(loaded.model.config.text_config) for _ in range(2))
    for slot, length in enumerate((150, 20, 60)):
        prefill(decoder, crowd, slot, tokens(length, slot), [length])
    prefill(decoder, alone, 0, tokens(20, 1), [20])
    together = decode(decoder, crowd, [150, 20, 60], tokens(3, 9))
    assert torch.allclose(together[1:2], decode(decoder, alone, [20], tokens(3, 9)[1:2]), atol=1e-4)


def test_an_idle_slot_keeps_its_contents_and_disturbs_nobody(lean, cache):
    for slot, length in enumerate((30, 40)):
        prefill(lean, cache, slot, tokens(length, slot), [length])
    kept = cache.banks[CPU][:, :, 0, :, :LENGTH].clone()
    with_idle = decode(lean, cache, [LENGTH, 40], tokens(2))
    assert torch.equal(cache.banks[CPU][:, :, 0, :, :LENGTH], kept)
    assert with_idle.isfinite().all()


def test_layers_on_two_devices_have_a_bank_each(loaded, stock):
    config = loaded.model.config.text_config
    layers = config.num_hidden_layers
    split = cache_for(config, [torch.device("cpu", 0)] * 3 + [CPU] * (layers - 3))
    assert [bank.shape[0] for bank in split.banks.values()] == [3, layers - 3]
    one = cache_for(config)
    made = []
    for cache in (split, one):
        prefill(stock, cache, 0, tokens(30), [30])
        cache.copy(0, 2, 30)
        cache.swap(2, 1, 30)
        prefill(stock, cache, 0, tokens(50, 3), [50])
        made.append(decode(stock, cache, [50, 30], tokens(2)))
    assert torch.equal(*made)


def test_a_decoder_in_stages_is_the_decoder(loaded, lean):
    config = loaded.model.config.text_config
    devices = [torch.device("cpu", 0)] * 3 + [CPU] * (config.num_hidden_layers - 3)
    staged = StagedDecoder(copy.deepcopy(loaded.model), devices)
    assert [len(stage.layers) for stage in staged.stages.values()] == [3, config.num_hidden_layers - 3]
    made = []
    for decoder, cache in ((staged, cache_for(config, devices)), (lean, cache_for(config))):
        hidden = [prefill(decoder, cache, slot, tokens(n, slot), [n // 2, n]) for slot, n in enumerate((90, 40))]
        hidden.append(decode(decoder, cache, [90, LENGTH], tokens(2)))
        with torch.inference_mode():
            made.append([*hidden, decoder.logits(hidden[-1])])
    assert all(map(torch.equal, *made))


def test_stages_are_for_whole_layers_in_order(loaded):
    """The meta device stands for a second one; weights that are offloaded are there, too, but run elsewhere."""
    model = copy.deepcopy(loaded.model)
    text = model.model.language_model
    text.layers[5:].to("meta")
    devices = layer_devices(model)
    assert StagedDecoder.fits(model, devices)
    assert not StagedDecoder.fits(model, [CPU] * len(devices))  # offloaded
    assert not StagedDecoder.fits(model, [torch.device("cpu", 0), *devices[1:]])
    text.layers[5].self_attn.to_empty(device="cpu")
    assert not StagedDecoder.fits(model, devices)  # a layer torn in two
    text.layers[5].to_empty(device="cpu")
    text.layers[2].to("meta")
    assert not StagedDecoder.fits(model, layer_devices(model))  # there and back
    text.layers[2].to_empty(device="cpu")
    assert StagedDecoder.fits(model, layer_devices(model))
    text.norm.to("meta")
    assert not StagedDecoder.fits(model, layer_devices(model))
