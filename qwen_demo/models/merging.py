"""One adapter merged into its base, which then costs nothing beside the model where it answers.

`merge` writes a whole checkpoint: files, names and kinds of numbers stay those of the base; a file at a time is read and
written. Whoever reads a checkpoint may merge as it reads (`Merging`). Layers of the vision encoder are merged as well, as
no other request shares them here.
"""

import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Merging:
    """An adapter that fits a base.

    Attributes:
        digest: of all that it is.
        halves: by layer, see `adapters.tensors`.
    """

    digest: str
    halves: Mapping[str, Halves]

    @classmethod
    def of(cls, folder: Path, checkpoint: Checkpoint, name: str) -> "Merging":
        """
        Args:
            name: of the base.

        Raises:
            AdapterRefused: it is none for this base, or the base's weights are quantised.
        """
        if checkpoint.quantization.kind != "none":
            raise AdapterRefused(
                f"{name} is quantised ({checkpoint.quantization.label}), and a merged weight would be rounded once more. "
                "Merge into the unquantised model, which is then quantised as it loads, or by qwen-demo quantize."
            )
        found = adapters.look(folder)
        adapters.check_base(found, name, lambda: adapters.fingerprint(checkpoint.folder))
        adapters.check_fits(found, linear_shapes(checkpoint))
        digest = adapters.digest(folder)
        return cls(digest, adapters.tensors(found, digest))

    def weight(self, layer: str, weight: torch.Tensor) -> torch.Tensor:
        """The layer's weight with the adapter in float32; as it is where that leaves it alone.

        Raises:
            AdapterRefused: it would be beyond the range of the weight's own dtype.
        """
        if layer not in self.halves:
            return weight
        a, b = (half.to(weight.device) for half in self.halves[layer])
        made = torch.addmm(weight.float(), b, a)
        if not bool(made.to(weight.dtype).isfinite().all()):
            raise AdapterRefused(f"{layer} with the adapter is beyond the range of {weight.dtype}.")
        return made

    @torch.no_grad()
    def into(self, model: Any) -> None:
        """Change the weights of a model's layers, rounded once to what they are kept in."""
        for layer in self.halves:
            weight = model.get_submodule(layer).weight
            weight.copy_(self.weight(layer, weight))


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
    merging = Merging.of(folder, checkpoint, name)
    if out.exists():
        raise FileExistsError(f"{out} is there already. Give a new folder.")
    partial = out.with_name(f".{out.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        for number, file in enumerate(checkpoint.files, 1):
            progress(f"{file.name}: {number} of {len(checkpoint.files)}")
            save_file(_merged(file, checkpoint, merging), partial / file.name, metadata={"format": "pt"})
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


def _merged(file: Path, checkpoint: Checkpoint, merging: Merging) -> dict[str, torch.Tensor]:
    """The file's tensors by the names that they have in it. Sums are made in float32 and rounded once."""
    made = {}
    with safe_open(file, framework="pt") as opened:
        for name, stored in checkpoint.weights.items():
            if stored.file == file:
                weight = opened.get_tensor(stored.name)
                made[stored.name] = merging.weight(name.removesuffix(".weight"), weight).to(weight.dtype)
    return made
