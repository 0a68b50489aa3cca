"""The embedded model written in the layouts in which Qwen2.5-VL checkpoints are published."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from qwen_demo.models.checkpoint import todays_name
from qwen_demo.models.choose import EMBEDDED_DIR
from qwen_demo.models.cpu.sources import AWQ_ORDER

Weights = dict[str, torch.Tensor]

# Layers of the language model: what every published quantisation quantises.
LAYERS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
GROUP = 64


def weights() -> Weights:
    """By today's names."""
    found: Weights = {}
    for file in sorted(EMBEDDED_DIR.glob("*.safetensors")):
        found |= {todays_name(name): tensor for name, tensor in load_file(file).items()}
    return found


def write(folder: Path, tensors: Weights, *, without: tuple[str, ...] = (), **config: Any) -> Path:
    """A folder with these weights, the embedded model's other files but those named, and changes of its config."""
    folder.mkdir()
    for path in EMBEDDED_DIR.iterdir():
        if path.suffix in (".json", ".jinja", ".txt") and "index" not in path.name and path.name not in without:
            shutil.copy(path, folder)
    said = json.loads((EMBEDDED_DIR / "config.json").read_text()) | config
    (folder / "config.json").write_text(json.dumps(said))
    save_file({name: tensor.contiguous().clone() for name, tensor in tensors.items()}, folder / "model.safetensors")
    return folder


def old_name(name: str) -> str:
    """As Qwen published them, before transformers 4.52."""
    return name.replace("model.language_model.", "model.").replace("model.visual.", "visual.")


def old_names(tensors: Weights) -> Weights:
    return {old_name(name): tensor for name, tensor in tensors.items()}


def is_layer(name: str) -> bool:
    return name.endswith(".weight") and "language_model" in name and name.split(".")[-2] in LAYERS


def quantized(tensors: Weights, parts: Callable[[torch.Tensor], Weights], which=is_layer) -> Weights:
    """Layers' weights replaced by the tensors that `parts` makes of them, by their endings."""
    made: Weights = {}
    for name, tensor in tensors.items():
        if which(name):
            stem = name.removesuffix("weight")
            made |= {stem + ending: part for ending, part in parts(tensor).items()}
        else:
            made[name] = tensor
    assert len(made) > len(tensors), "no layer was quantised"
    return made


def bitsandbytes_nf4(weight: torch.Tensor, *, double: bool = True) -> Weights:
    """As `Linear4bit` saves its state."""
    from bitsandbytes.functional import quantize_4bit

    codes, state = quantize_4bit(weight, blocksize=64, quant_type="nf4", compress_statistics=double)
    return {"weight": codes, **{f"weight.{name}": part for name, part in state.as_dict(packed=True).items()}}


def bitsandbytes_int8(weight: torch.Tensor) -> Weights:
    """As `Linear8bitLt` does."""
    largest = weight.float().abs().amax(-1)
    numbers = (weight.float() / largest[:, None] * 127).round().to(torch.int8)
    return {"weight": numbers, "SCB": largest, "weight_format": torch.tensor(0, dtype=torch.uint8)}


def _packed(numbers: torch.Tensor, order: tuple[int, ...] = tuple(range(8))) -> torch.Tensor:
    """[rows, 8 * n] from 0 to 15 -> [rows, n] int32, the number at place `order[i]` of eight in bits 4 * i."""
    eights = numbers.to(torch.int64).view(len(numbers), -1, 8)[..., torch.tensor(order)]
    packed = (eights << (4 * torch.arange(8))).sum(-1)
    return torch.where(packed >= 1 << 31, packed - (1 << 32), packed).to(torch.int32)


def _integer_zeros(weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Numbers [out, in], scales and zeros [out, groups]: w = (number - zero) * scale."""
    groups = weight.float().view(len(weight), -1, GROUP)
    least, most = groups.amin(-1).clamp(max=0), groups.amax(-1).clamp(min=0)
    scale = ((most - least) / 15).clamp(min=1e-8).half().float()
    zero = (-least / scale).round().clamp(0, 15)
    numbers = (groups / scale[..., None] + zero[..., None]).round().clamp(0, 15).view(weight.shape)
    return numbers, scale, zero


def gptq(weight: torch.Tensor, *, less: int = 1) -> Weights:
    """AutoGPTQ's layout; its first format stores zeros less one."""
    numbers, scale, zero = _integer_zeros(weight)
    zero = zero.clamp(min=1)
    numbers = (weight.float().view(len(weight), -1, GROUP) / scale[..., None] + zero[..., None]).round().clamp(0, 15)
    numbers = numbers.view(weight.shape)
    return {
        "qweight": _packed(numbers).T,
        "qzeros": _packed(zero.T.contiguous() - less),
        "scales": scale.T.half(),
        "g_idx": torch.arange(weight.shape[1], dtype=torch.int32) // GROUP,
    }


def awq(weight: torch.Tensor) -> Weights:
    """AutoAWQ's `gemm` layout."""
    numbers, scale, zero = _integer_zeros(weight)
    return {
        "qweight": _packed(numbers.T.contiguous(), AWQ_ORDER),
        "qzeros": _packed(zero.T.contiguous(), AWQ_ORDER),
        "scales": scale.T.half(),
    }


def fp8(weight: torch.Tensor, *, block: int = 128) -> Weights:
    """A scale for each square block, as DeepSeek and Qwen publish it."""
    rows, columns = (-(-size // block) for size in weight.shape)
    whole = torch.zeros(rows * block, columns * block)
    whole[: weight.shape[0], : weight.shape[1]] = weight.float()
    squares = whole.view(rows, block, columns, block)
    scale = (squares.abs().amax((1, 3)) / 448).clamp(min=1e-12)
    scaled = (squares / scale[:, None, :, None]).view_as(whole)[: weight.shape[0], : weight.shape[1]]
    return {"weight": scaled.to(torch.float8_e4m3fn), "weight_scale_inv": scale}
