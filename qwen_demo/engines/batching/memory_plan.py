"""How many requests and tokens the memory holds, decided once at start and said in the log.

Free memory less what a step needs besides the cache (activations of the largest image and of a
chunk of a prompt, logits, the encoder cache) is shared by the slots.
"""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from qwen_demo.engines.batching import graphs
from qwen_demo.errors import SettingsError
from qwen_demo.models.machine import available_memory

if TYPE_CHECKING:
    from qwen_demo.settings import Settings

GIB = 1 << 30
MIB = 1 << 20

# Fewer slots are made before a slot becomes shorter than this.
WANTED_SLOT_TOKENS = 4096
LEAST_SLOT_TOKENS = 512
SLOTS = {"cuda": 64, "mps": 8, "cpu": 32}
PREFILL_TOKENS = {"cuda": 1280, "mps": 512, "cpu": 128}
# Where answers and prompts share a pass: rows of one in which some answer, and of any. The first bounds the gap between
# two tokens while others' prompts are read; quick products, and weights that each pass unpacks anew, want longer ones.
MIXED_ROWS = {"Linear": 512, "Fp8Linear": 768, "Linear4bit": 1024}
MIXED_MOST_ROWS = 2048
# Patches of images that go through the encoder together, and so of its largest recorded pass.
ENCODER_PATCHES = 4096
# Recorded passes keep their memory; with less than this for keys and values it serves those better.
MIXED_FROM_BYTES = 2 * GIB
# Main memory is shared with the rest of the machine, and large caches there are no faster.
CPU_SHARE, CPU_MOST_BYTES = 0.25, 4 * GIB
CUDA_SHARE = 0.9
# With a second engine to compare with, which loads its weights after this plan.
CUDA_SHARE_COMPARING = CUDA_SHARE / 2
# What a process takes on a GPU besides its tensors (840 MiB on an H100); it counts against a limit of the whole process.
CUDA_CONTEXT_BYTES = 900 * MIB
# Allocator fragments and library workspaces.
SPARE_BYTES = {"cuda": GIB // 4, "mps": GIB // 2, "cpu": 0}
# Health is asked for several times a request; the allocator's books take a while to add up.
READ_ALLOCATOR_EVERY_S = 1.0


@dataclass(frozen=True, slots=True)
class MemoryPlan:
    """Sizes of the engine.

    Attributes:
        slots: requests running at once.
        kept: slots beyond these, for conversations that may go on.
        slot_tokens: prompt and answer of one request together.
        prefill_tokens: prompt tokens read in one step while others answer.
        pass_tokens: prompt tokens in any pass, if answers and prompts share passes; else 0.
        encoder_bytes: for encoded images.
        cache_bytes: of keys and values.
        text: the same in a sentence.
    """

    slots: int
    kept: int
    slot_tokens: int
    prefill_tokens: int
    pass_tokens: int
    encoder_bytes: int
    cache_bytes: int
    text: str


def token_bytes(config: Any, dtype: torch.dtype) -> int:
    """Bytes of keys and values of one token in all layers (a `Qwen2_5_VLTextConfig`)."""
    head_dim: int = config.hidden_size // config.num_attention_heads
    return 2 * config.num_hidden_layers * config.num_key_value_heads * head_dim * dtype.itemsize


def step_bytes(config: Any, dtype: torch.dtype, max_pixels: int, prefill_tokens: int, slots: int) -> int:
    """Rough upper bound of what one step allocates besides the cache (a `Qwen2_5_VLConfig`)."""
    vision, text = config.vision_config, config.text_config
    encoder = encoder_bytes(vision, dtype, max_pixels // vision.patch_size**2)
    reader = prefill_tokens * (8 * text.hidden_size + 3 * text.intermediate_size) * dtype.itemsize
    # Quantised weights are unpacked, a matrix at a time, for long prompts.
    reader += 2 * text.hidden_size * text.intermediate_size * dtype.itemsize
    # Logits, what is left of them by top-k and top-p, and noise, whose bits take eight bytes.
    sampler = 12 * slots * text.vocab_size * 4
    return max(encoder, reader) + sampler


def encoder_bytes(config: Any, dtype: torch.dtype, patches: int) -> int:
    """What a pass of the vision encoder allocates (a `Qwen2_5_VLVisionConfig`)."""
    # Rotation works in float32 whatever the weights are.
    return int(patches * (8 * config.hidden_size * 4 + 3 * config.intermediate_size * dtype.itemsize))


def make_plan(settings: "Settings", model: Any, max_pixels: int, context_tokens: int) -> MemoryPlan:
    """Sizes for a loaded model.

    Raises:
        SettingsError: not even one short request fits; the message has the numbers.
    """
    devices = layer_devices(model)
    dtype = model.dtype
    slots = settings.slots or SLOTS[devices[0].type]
    kept_images = settings.image_cache_mib * MIB
    per_token = token_bytes(model.config.text_config, dtype)
    for pass_tokens in (MIXED_MOST_ROWS - slots, 0) if _may_mix(settings, devices, slots) else (0,):
        prefill_tokens, working = _step(settings, model, max_pixels, slots, pass_tokens)
        share = CUDA_SHARE_COMPARING if settings.compares else CUDA_SHARE
        budget = _budget(devices, working + kept_images, settings.memory_limit_gib, share)
        if budget >= MIXED_FROM_BYTES:
            break
    budget = settings.kv_cache_mib * MIB or budget
    tokens = budget // per_token
    slot_tokens = min(settings.slot_tokens or context_tokens, context_tokens)
    if not settings.slot_tokens:
        rows = min(2 * slots, tokens // min(context_tokens, WANTED_SLOT_TOKENS))
        slot_tokens = min(context_tokens, tokens // max(rows, 1))
    rows = min(2 * slots, tokens // slot_tokens) if slot_tokens else 0
    # Where memory is short, a quarter of it keeps conversations, unless the number of slots was asked for.
    slots = min(slots, rows if settings.slots or not settings.reuse else rows - rows // 4)
    kept = rows - slots if settings.reuse else 0
    least = min(settings.slot_tokens or LEAST_SLOT_TOKENS, context_tokens)
    if slots < 1 or slot_tokens < least:
        raise SettingsError(
            f"Memory for keys and values: {budget / GIB:.2f} GiB, which is {tokens} tokens of "
            f"{per_token / 1024:.0f} KiB, and one request needs at least {least}. "
            "Use a smaller or quantised model, a lower --max-pixels, or raise --memory-limit-gib or --kv-cache-mib."
        )
    cache_bytes = (slots + kept) * slot_tokens * per_token
    text = (
        f"{slots} requests at once and {kept} kept, {slot_tokens} tokens each ({cache_bytes / GIB:.2f} GiB of keys "
        f"and values, {per_token / 1024:.0f} KiB a token); {working / GIB:.2f} GiB set aside for a step, "
        f"{kept_images / GIB:.2f} GiB for encoded images"
    )
    return MemoryPlan(slots, kept, slot_tokens, prefill_tokens, pass_tokens, kept_images, cache_bytes, text)


def _may_mix(settings: "Settings", devices: Sequence[torch.device], slots: int) -> bool:
    """Whether answers and prompts may share recorded passes."""
    wanted = settings.mixed_steps and settings.cuda_graphs and settings.kernels and settings.fast_path
    return wanted and devices[0].type == "cuda" and len(set(devices)) == 1 and slots <= graphs.MOST_MIXED


def _step(settings: "Settings", model: Any, max_pixels: int, slots: int, pass_tokens: int) -> tuple[int, int]:
    """Prompt tokens of a busy step, and the bytes that are set aside for steps."""
    kind = layer_devices(model)[0].type
    kind_of_layer = type(model.model.language_model.layers[0].mlp.down_proj).__name__
    mixed_rows = MIXED_ROWS.get(kind_of_layer, MIXED_ROWS["Linear"])
    prefill_tokens = settings.prefill_tokens or (mixed_rows - slots if pass_tokens else PREFILL_TOKENS[kind])
    longest = max(prefill_tokens, pass_tokens)
    working = step_bytes(model.config, model.dtype, max_pixels, longest, slots) + SPARE_BYTES[kind]
    if kind == "cuda" and settings.cuda_graphs:
        working += graphs.planned_bytes(
            slots, min(prefill_tokens, pass_tokens), pass_tokens, adapters=settings.has_adapters
        )
    if pass_tokens:  # recorded passes of either model keep what they work in
        working += encoder_bytes(model.config.vision_config, model.dtype, ENCODER_PATCHES)
    return prefill_tokens, working


def layer_devices(model: Any) -> list[torch.device]:
    """The device on which each decoder layer runs, as `device_map` put them; offloaded weights live elsewhere."""
    found = []
    for layer in model.model.language_model.layers:
        hook = getattr(layer, "_hf_hook", None)
        device = getattr(hook, "execution_device", None)
        device = layer.input_layernorm.weight.device if device is None else torch.device(device)
        if device.type == "cuda" and device.index is None:
            device = torch.device("cuda", torch.cuda.current_device())
        found.append(device)
    return found


def _budget(devices: Sequence[torch.device], set_aside: int, limit_gib: float | None, cuda_share: float) -> int:
    """Bytes for keys and values. On several devices, the one with the least room for its layers decides."""
    if devices[0].type == "cpu":
        return _cpu_budget(set_aside, limit_gib)
    if devices[0].type == "mps":
        free = torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory()
        return max(0, (free - set_aside) // 2)
    rooms = []
    for device in dict.fromkeys(devices):
        allocated = torch.cuda.memory_allocated(device)
        # What the allocator has reserved and nobody uses is free to this process.
        free = torch.cuda.mem_get_info(device)[0] + torch.cuda.memory_reserved(device) - allocated
        if limit_gib:
            free = min(free, int(limit_gib * GIB) - CUDA_CONTEXT_BYTES - allocated)
        rooms.append((free - set_aside) * len(devices) // devices.count(device))
    return max(0, int(min(rooms) * cuda_share))


def cap_allocator(limit_gib: float) -> None:
    """Make CUDA refuse what would take this process over the limit."""
    for device in range(torch.cuda.device_count()):
        total = torch.cuda.get_device_properties(device).total_memory
        allowed = limit_gib * GIB - CUDA_CONTEXT_BYTES
        torch.cuda.set_per_process_memory_fraction(min(1.0, max(0.0, allowed / total)), device)


def _cpu_budget(set_aside: int, limit_gib: float | None) -> int:
    free = available_memory()
    if limit_gib:
        return max(0, min(free, int(limit_gib * GIB) - _resident()) - set_aside)
    return max(0, min(int((free - set_aside) * CPU_SHARE), CPU_MOST_BYTES))


def _resident() -> int:
    statm = Path("/proc/self/statm")
    return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") if statm.exists() else 0


class AllocatedMemory:
    """What the allocator has taken of the GPUs, and what they have.

    Attributes:
        read_at_s: when that was last looked up, on the clock of `time.monotonic`.
    """

    def __init__(self) -> None:
        self._stats: dict[str, float] = {}
        self.read_at_s = float("-inf")

    def stats(self) -> dict[str, float]:
        """Bytes by name, empty without a GPU; makes no call that the recording of a CUDA graph forbids."""
        if time.monotonic() > self.read_at_s + READ_ALLOCATOR_EVERY_S and torch.cuda.is_initialized():
            self.read_at_s = time.monotonic()
            devices = range(torch.cuda.device_count())
            self._stats = {
                "gpu_memory_bytes": sum(map(torch.cuda.memory_reserved, devices)),
                "gpu_memory_used_bytes": sum(map(torch.cuda.memory_allocated, devices)),
                "gpu_memory_total_bytes": sum(torch.cuda.get_device_properties(d).total_memory for d in devices),
            }
        return self._stats
