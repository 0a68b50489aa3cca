"""One adapter merged into its base: a whole checkpoint, which costs nothing beside the model where it answers.

Files, names and kinds of numbers stay those of the base; a file at a time is read and written. Layers of the vision
encoder are merged as well, as no other request shares them here.
"""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from qwen_demo.errors import AdapterRefused
from qwen_demo.models import adapters
from qwen_demo.models.checkpoint import Checkpoint

# Files that belong to a checkpoint besides its weights, and those that are true of the base alone.
OTHERS = ("*.json", "*.jinja", "*.txt")
OF_THE_BASE = ("doubt.json",)

Halves = tuple[torch.Tensor, torch.Tensor]


def merge(
    folder: Path, checkpoint: Checkpoint, name: str, out: Path, progress: Callable[[str], None] = lambda line: None
) -> None:
    """Write the base with the adapter in `folder` merged into it to `out`, which appears whole or not at all.

    Args:
        name: of the base.

    Raises:
        AdapterRefused: it is none for this base, or the base's weights are quantised.
        FileExistsError: there is something at `out`.
    """
    if checkpoint.quantization.kind != "none":
        raise AdapterRefused(
            f"{name} is quantised ({checkpoint.quantization.label}), and a merged weight would be rounded once more. "
            "Merge into the unquantised model, and quantise what comes out (qwen-demo quantize)."
        )
    if out.exists():
        raise FileExistsError(f"{out} is there already. Give a new folder.")
    found = adapters.look(folder)
    adapters.check_base(found, name, lambda: adapters.fingerprint(checkpoint.folder))
    adapters.check_fits(found, linear_shapes(checkpoint))
    halves = adapters.tensors(found)
    partial = out.with_name(f".{out.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        for number, file in enumerate(checkpoint.files, 1):
            progress(f"{file.name}: {number} of {len(checkpoint.files)}")
            save_file(_merged(file, checkpoint, halves), partial / file.name, metadata={"format": "pt"})
        for path in (path for pattern in OTHERS for path in checkpoint.folder.glob(pattern)):
            if path.name not in OF_THE_BASE:
                shutil.copyfile(path, partial / path.name)
        os.rename(partial, out)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def linear_shapes(checkpoint: Checkpoint) -> dict[str, tuple[int, int]]:
    """Outputs and inputs of the layers that an adapter may change, by name."""
    shapes: dict[str, Any] = {}
    for file in checkpoint.files:
        with safe_open(file, framework="pt") as opened:
            for name, stored in checkpoint.weights.items():
                if stored.file == file and name.endswith(".weight") and "embed_tokens" not in name:
                    shapes[name.removesuffix(".weight")] = tuple(opened.get_slice(stored.name).get_shape())
    return {name: shape for name, shape in shapes.items() if len(shape) == 2}


def _merged(file: Path, checkpoint: Checkpoint, halves: dict[str, Halves]) -> dict[str, torch.Tensor]:
    """The file's tensors by the names that they have in it. Sums are made in float32 and rounded once."""
    made = {}
    with safe_open(file, framework="pt") as opened:
        for name, stored in checkpoint.weights.items():
            if stored.file != file:
                continue
            weight = opened.get_tensor(stored.name)
            if pair := halves.get(name.removesuffix(".weight")):
                a, b = pair
                weight = torch.addmm(weight.float(), b, a).to(weight.dtype)
                if not bool(weight.isfinite().all()):
                    raise AdapterRefused(f"{name} with the adapter is beyond the range of {weight.dtype}.")
            made[stored.name] = weight
    return made
