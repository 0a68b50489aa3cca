"""The lean decoder of a model that `device_map` spread over several devices: a stage on each, one after another.

What goes from one device to the next is the hidden states, [tokens, hidden]. Each stage sees the part of the
cache that is on its device, and its kernels and recorded steps are its own.
"""

import contextlib
import itertools
import logging
from collections.abc import Sequence

import torch

from qwen_demo.engines.batching.graphs import RecordedStep
from qwen_demo.engines.batching.kv_cache import DecodeView, KVCache, PrefillView
from qwen_demo.engines.batching.model.decoder import LeanDecoder

log = logging.getLogger(__name__)


class StagedDecoder:
    """As `LeanDecoder`.

    Args:
        model: `Qwen2_5_VLForConditionalGeneration`.
        devices: of each of its layers; layers of one device follow one another.

    Attributes:
        stages: a `LeanDecoder` of the layers on each device, in order.
    """

    chunks_at_once = LeanDecoder.chunks_at_once

    def __init__(self, model, devices: Sequence[torch.device]):
        self._embeddings, self._head_device = model.model.language_model.embed_tokens, model.lm_head.weight.device
        self.stages: dict[torch.device, LeanDecoder] = {}
        start = 0
        for device, run in itertools.groupby(devices):
            stop = start + len(list(run))
            self.stages[device] = LeanDecoder(model, range(start, stop))
            start = stop

    @staticmethod
    def fits(model, devices: Sequence[torch.device]) -> bool:
        """Whether every layer is whole on its device and nothing is offloaded."""
        text = model.model.language_model
        runs = [device for device, _ in itertools.groupby(devices)]
        whole = all(
            {p.device for p in layer.parameters()} == {d} for layer, d in zip(text.layers, devices, strict=True)
        )
        others = (text.embed_tokens, text.norm, model.lm_head)
        there = all(module.weight.device.type != "meta" for module in others)
        return len(runs) == len(set(runs)) and whole and there and LeanDecoder.knows(text)

    def embed(self, ids: torch.Tensor) -> torch.Tensor:
        """[tokens] -> [tokens, hidden]."""
        return self._embeddings(ids.to(self._embeddings.weight.device))

    def hidden(self, x: torch.Tensor, positions: torch.Tensor, view: PrefillView | DecodeView) -> torch.Tensor:
        """As `LeanDecoder.hidden`; the result is on the last device."""
        for device, stage in self.stages.items():
            x = stage.hidden(x.to(device), positions.to(device), view.on(device))
        return x

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """[tokens, hidden] -> [tokens, vocabulary] float32."""
        *_, last = self.stages.values()
        return last.logits(hidden.to(self._head_device))


class PipelineStages:
    """As `KernelStep`, of a staged decoder.

    Args:
        cache: of all layers.
        steps: a `KernelStep` for each device of it.
    """

    def __init__(self, cache: KVCache, steps: Sequence):
        self._cache, self._kernels = cache, list(steps)
        self.steps = self._kernels
        self.product = all(step.product for step in steps)

    def record(self, width: int, sizes: Sequence[int]) -> None:
        """Let passes over few tokens be recorded, on each device; see `RecordedStep`."""
        each = zip(self._cache.banks, self._kernels, strict=True)
        self.steps = [RecordedStep(step, self._cache.on(device), width, sizes) for device, step in each]

    def decode(
        self, x: torch.Tensor, positions: torch.Tensor, slots: torch.Tensor, places: torch.Tensor
    ) -> torch.Tensor:
        """As `KernelStep.decode`; valid until the next call."""
        for device, step in zip(self._cache.banks, self.steps, strict=True):
            with on_device(device):
                x = step.decode(x.to(device), positions.to(device), slots.to(device), places.to(device))
        return x

    def prefill(self, x: torch.Tensor, positions: torch.Tensor, view: PrefillView) -> torch.Tensor:
        """As `KernelStep.prefill`."""
        for device, step in zip(self._cache.banks, self._kernels, strict=True):
            with on_device(device):
                x = step.prefill(x.to(device), positions.to(device), view.on(device))
        return x

    def install(self, blocks) -> None:
        """As `KernelStep.install`."""
        self._kernels[0].install(blocks)


def on_device(device: torch.device):
    """Kernels and recordings start on the current device."""
    return torch.cuda.device(device) if device.type == "cuda" else contextlib.nullcontext()


def make_kernel_step(decoder, cache: KVCache, slots: int):
    """A `KernelStep` or `PipelineStages`; None without CUDA or Triton, which PyTorch's CUDA builds for Linux bring."""
    if cache.device(0).type != "cuda" or cache.banks[cache.device(0)].dtype == torch.float32:
        return None
    try:
        from qwen_demo.engines.batching.model.kernels.checks import checked_step
    except ImportError:
        log.info("Triton is not installed; the plain decode step serves")
        return None
    if not isinstance(decoder, StagedDecoder):
        with torch.cuda.device(cache.device(0)):
            return checked_step(decoder, cache, slots)
    steps = []
    for device, stage in decoder.stages.items():
        with torch.cuda.device(device):
            steps.append(checked_step(stage, cache.on(device), slots))
    return PipelineStages(cache, steps) if all(steps) else None
