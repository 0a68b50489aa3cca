"""A checkpoint with quantised weights, written in formats that transformers and vLLM read.

`nf4` and `nf4-vision` are bitsandbytes', `int4` is GPTQ's without calibration (the nearest number of each group). Names
of weights stay as they were. A layer at a time is read, quantised and written.
"""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from qwen_demo.errors import ModelLoadError
from qwen_demo.models.checkpoint import INDEX, Checkpoint
from qwen_demo.models.cpu import nf4
from qwen_demo.models.cpu.reader import mapped
from qwen_demo.models.progress import ReadingProgress
from qwen_demo.sentences import Sentence

KINDS = ("nf4", "int4", "nf4-vision")
GROUP = 64
# Written at once: the library makes a copy of it.
SHARD_BYTES = 1 << 29
# Files that belong to a checkpoint besides its weights.
OTHERS = ("*.json", "*.jinja", "*.txt")
LAYERS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
VISION_LAYERS = ("qkv", "proj", "gate_proj", "up_proj", "down_proj")

Tensors = dict[str, torch.Tensor]


def write_quantized(
    checkpoint: Checkpoint, kind: str, out: Path, progress: Callable[[Sentence], None] = lambda sentence: None
) -> None:
    """Write `checkpoint` with weights of that kind into the folder `out`, which must not hold anything.

    Raises:
        ModelLoadError: it is quantised already, or the folder is not empty.
    """
    if checkpoint.quantization.kind != "none":
        raise ModelLoadError(
            f"{checkpoint.folder} is quantised already ({checkpoint.quantization.label}). Give the unquantised model."
        )
    if out.exists() and any(out.iterdir()):
        raise ModelLoadError(f"{out} is not empty. Give a new folder.")
    out.mkdir(parents=True, exist_ok=True)
    reported = ReadingProgress(checkpoint, progress)
    places: dict[str, str] = {}
    size = 0
    for number, shard in enumerate(_shards(_converted(checkpoint, kind, reported))):
        file = f"model-{number + 1:05}.safetensors"
        save_file(shard, out / file, metadata={"format": "pt"})
        places |= dict.fromkeys(shard, file)
        size += sum(tensor.nbytes for tensor in shard.values())
    (out / INDEX).write_text(json.dumps({"metadata": {"total_size": size}, "weight_map": places}, indent=1))
    _write_others(checkpoint, kind, out)


def is_quantized(name: str, kind: str) -> bool:
    """Whether the weight of that name (today's) is one of those that are quantised."""
    *modules, leaf = name.split(".")
    if leaf != "weight" or not modules:
        return False
    if name.startswith("model.language_model.layers."):
        return modules[-1] in LAYERS
    return kind == "nf4-vision" and name.startswith("model.visual.blocks.") and modules[-1] in VISION_LAYERS


def _converted(checkpoint: Checkpoint, kind: str, reported: ReadingProgress) -> Iterator[tuple[str, torch.Tensor]]:
    """Names as in the files, and tensors."""
    for today, stored in sorted(checkpoint.weights.items(), key=lambda item: (item[1].file.name, item[0])):
        tensor = mapped(stored)
        if is_quantized(today, kind):
            parts = gptq_parts(tensor) if kind == "int4" else bitsandbytes_parts(tensor)
            stem = stored.name.removesuffix("weight")
            yield from ((stem + ending, part) for ending, part in parts.items())
        else:
            yield stored.name, tensor
        reported.add([stored], tensor.nbytes)


def bitsandbytes_parts(weight: torch.Tensor) -> Tensors:
    """What `Linear4bit` saves of a layer in NF4."""
    from bitsandbytes.functional import QuantState, get_4bit_type

    codes, scales = nf4.quantize(weight)
    table = get_4bit_type("nf4", device="cpu")
    state = QuantState(
        absmax=scales, shape=weight.shape, code=table, blocksize=nf4.BLOCK, quant_type="nf4", dtype=torch.bfloat16
    )
    named = {f"weight.{name}": part for name, part in state.as_dict(packed=True).items()}
    return {"weight": codes.view(-1, 1), **named}


def gptq_parts(weight: torch.Tensor) -> Tensors:
    """A layer in GPTQ's first format: numbers packed along the inputs, integer zeros stored less one."""
    rows, columns = weight.shape
    if columns % GROUP or rows % 8:
        raise ModelLoadError(f"A layer of {rows} x {columns} has no whole groups of {GROUP}: take --to nf4.")
    groups = weight.float().view(rows, -1, GROUP)
    least, most = groups.amin(-1).clamp(max=0), groups.amax(-1).clamp(min=0)
    scale = ((most - least) / 15).clamp(min=1e-7).half()
    zero = (-least / scale.float()).round_().clamp_(1, 15)
    numbers = (groups / scale.float()[..., None] + zero[..., None]).round_().clamp_(0, 15).view(rows, columns)
    return {
        "qweight": packed(numbers).T,
        "qzeros": packed(zero.T - 1),
        "scales": scale.T,
        "g_idx": torch.arange(columns, dtype=torch.int32) // GROUP,
    }


def packed(numbers: torch.Tensor) -> torch.Tensor:
    """[rows, 8 * n] from 0 to 15 -> [rows, n] int32, the first in the lowest four bits."""
    eights = numbers.to(torch.int32).reshape(len(numbers), -1, 8)
    return (eights << torch.arange(0, 32, 4, dtype=torch.int32)).sum(-1, dtype=torch.int32)


def _shards(tensors: Iterator[tuple[str, torch.Tensor]]) -> Iterator[Tensors]:
    shard: Tensors = {}
    size = 0
    for name, tensor in tensors:
        if size + tensor.nbytes > SHARD_BYTES and shard:
            yield shard
            shard, size = {}, 0
        shard[name] = tensor.contiguous()
        size += tensor.nbytes
    yield shard


def _write_others(checkpoint: Checkpoint, kind: str, out: Path) -> None:
    for pattern in OTHERS:
        for path in checkpoint.folder.glob(pattern):
            if path.name not in (INDEX, "config.json"):
                shutil.copy(path, out)
    said = {**checkpoint.config, "quantization_config": configuration(checkpoint, kind)}
    (out / "config.json").write_text(json.dumps(said, indent=2))


def configuration(checkpoint: Checkpoint, kind: str) -> dict[str, Any]:
    """`quantization_config` of the files."""
    if kind == "int4":
        return {
            "quant_method": "gptq",
            "bits": 4,
            "group_size": GROUP,
            "desc_act": False,
            "sym": False,
            "checkpoint_format": "gptq",
            "lm_head": False,
            "dynamic": {"-:.*visual.*": {}, "-:.*lm_head.*": {}},
        }
    whole = {name.removesuffix(".weight") for name in checkpoint.weights if name.endswith(".weight")}
    whole -= {name.removesuffix(".weight") for name in checkpoint.weights if is_quantized(name, kind)}
    skipped = sorted(
        {"lm_head", *(name for name in whole if kind == "nf4-vision" and name.startswith("model.visual."))}
    )
    return {
        "quant_method": "bitsandbytes",
        "load_in_4bit": True,
        "load_in_8bit": False,
        "bnb_4bit_quant_type": "nf4",
        "bnb_4bit_use_double_quant": False,
        "bnb_4bit_compute_dtype": "bfloat16",
        "bnb_4bit_quant_storage": "uint8",
        "llm_int8_skip_modules": skipped if kind == "nf4-vision" else ["lm_head", "model.visual"],
    }
