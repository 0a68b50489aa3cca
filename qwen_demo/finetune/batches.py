"""Encoded rows -> what the model takes: rows side by side or packed behind each other, images as features or patches.

While the vision encoder is frozen every image is encoded once and its features are kept on the disk: later epochs read
them. Logits are made of learnt positions alone: of a vocabulary of 152,000 words they are most of the memory otherwise.
"""

import hashlib
import os
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from qwen_demo.finetune.encoding import Encoded, Placed
from qwen_demo.models.prompt import Medium, PromptBuilder, positions_with_stills

HELD_IN_MEMORY = 1 << 30  # bytes of features
NOT_LEARNT = -100


class PixelStore:
    """Pixels of every image, under its digest, in a folder. Only this program writes there."""

    def __init__(self, folder: Path, prompts: PromptBuilder):
        self.folder, self.patches = folder, prompts.patches
        folder.mkdir(parents=True, exist_ok=True)

    def keep(self, row: Encoded, pixels: Sequence[torch.Tensor]) -> None:
        for placed, each in zip(row.images, pixels, strict=True):
            path = self.path(placed)
            if not path.exists():
                partial = path.with_suffix(f".{os.getpid()}.part")
                with partial.open("wb") as file:
                    np.save(file, each.numpy(), allow_pickle=False)
                os.replace(partial, path)

    def read(self, placed: Placed) -> torch.Tensor:
        """[patches, values] float32."""
        pixels = torch.from_numpy(np.load(self.path(placed), allow_pickle=False))
        if self.patches is None:
            return pixels
        return Medium(placed.digest, placed.grid, 0, placed.tokens, pixels, patches=self.patches).read()

    def pixels(self, placed: Placed) -> np.ndarray | None:
        """[height, width, 3] uint8; None where the processor's own patches are kept."""
        return None if self.patches is None else np.load(self.path(placed), allow_pickle=False)[0]

    def path(self, placed: Placed) -> Path:
        name = hashlib.sha256(f"{placed.digest} {placed.grid}".encode()).hexdigest()
        return self.folder / f"{name}.npy"


class Features:
    """What the frozen vision encoder makes of images; the latest in memory, all of them on the disk."""

    def __init__(self, model: Any, store: PixelStore):
        self.model, self.store = model, store
        self._held: OrderedDict[Placed, torch.Tensor] = OrderedDict()
        self._bytes = 0

    @torch.no_grad()
    def of(self, placed: Placed) -> torch.Tensor:
        """[tokens, hidden] in the model's dtype, on its device."""
        key = Placed(placed.digest, placed.grid, 0, placed.tokens)
        visual = self.model.model.visual
        if key not in self._held:
            self._hold(key, self._read(key))
        self._held.move_to_end(key)
        return self._held[key].to(next(visual.parameters()).device)

    def _read(self, key: Placed) -> torch.Tensor:
        path = self.store.path(key).with_suffix(".features")
        if path.exists():
            stored = torch.from_numpy(np.load(path, allow_pickle=False))
            return stored.view(self.model.dtype)
        device = next(self.model.model.visual.parameters()).device
        grid = torch.tensor([key.grid], device=device)
        pixels = self.store.read(key).to(device, self.model.dtype)
        made = torch.cat(list(_pooled(self.model.model.get_image_features(pixels, grid)))).to(self.model.dtype).cpu()
        whole = made.view(torch.int16) if made.element_size() == 2 else made
        partial = path.with_suffix(f".{os.getpid()}.part")
        with partial.open("wb") as file:
            np.save(file, whole.numpy(), allow_pickle=False)
        os.replace(partial, path)
        return made

    def _hold(self, key: Placed, features: torch.Tensor) -> None:
        self._held[key] = features
        self._bytes += features.nbytes
        while self._bytes > HELD_IN_MEMORY and len(self._held) > 1:
            _, old = self._held.popitem(last=False)
            self._bytes -= old.nbytes


def _pooled(found: Any) -> Any:
    """Releases of transformers give a list, or an object that has it."""
    return getattr(found, "pooler_output", found)


@dataclass(frozen=True, slots=True)
class Collator:
    """Rows -> tensors of one step. Images go along as `Placed`, each with the row of the batch that it is in.

    Args:
        packed: rows stand behind each other in one, each with positions of its own and blind for the others, so that
            nothing is spent on filling; else they stand side by side, filled to the longest.
    """

    packed: bool

    def __call__(self, rows: Sequence[Encoded]) -> dict[str, Any]:
        if self.packed and len(rows) > 1:
            return self._packed(rows)
        length = max(len(row.ids) for row in rows)
        ids = torch.zeros(len(rows), length, dtype=torch.long)
        labels = torch.full((len(rows), length), NOT_LEARNT)
        positions = torch.zeros(4, len(rows), length, dtype=torch.long)
        mask = torch.zeros(len(rows), length, dtype=torch.long)
        for number, row in enumerate(rows):
            size = len(row.ids)
            ids[number, :size] = torch.from_numpy(row.ids)
            labels[number, :size] = _labels(row)
            positions[:, number, :size] = positions_of(row)
            mask[number, :size] = 1
        return _batch(ids, labels, positions, mask, [[(p, 0) for p in row.images] for row in rows])

    def _packed(self, rows: Sequence[Encoded]) -> dict[str, Any]:
        ids = torch.cat([torch.from_numpy(row.ids).long() for row in rows])[None]
        labels = torch.cat([_labels(row) for row in rows])[None]
        positions = torch.cat([positions_of(row) for row in rows], dim=1)[:, None]
        starts = np.cumsum([0, *(len(row.ids) for row in rows)])
        images = [(p, int(begin)) for row, begin in zip(rows, starts, strict=False) for p in row.images]
        return _batch(ids, labels, positions, None, [images])


def _batch(ids, labels, positions, mask, images) -> dict[str, Any]:
    # A row's own batch dimension is the first for what divides batches among devices.
    batch = {"input_ids": ids, "labels": labels, "positions": positions.transpose(0, 1), "images": images}
    return batch if mask is None else batch | {"attention_mask": mask}


def positions_of(row: Encoded) -> torch.Tensor:
    """[4, length]: a plain row, then time, height and width, as the engines give them."""
    media = [Medium(p.digest, p.grid, p.start, p.tokens, torch.empty(0)) for p in row.images]
    positions, _ = positions_with_stills(len(row.ids), media)
    return torch.cat([torch.arange(len(row.ids))[None], positions])


def _labels(row: Encoded) -> torch.Tensor:
    labels = torch.full((len(row.ids),), NOT_LEARNT)
    for begin, end in row.spans:
        labels[begin:end] = torch.from_numpy(row.ids[begin:end]).long()
    return labels


def model_inputs(batch: dict[str, Any], model: Any, store: PixelStore, features: Features | None) -> dict[str, Any]:
    """Keyword arguments of `Qwen2_5_VLForConditionalGeneration`: features in the words' place, or ids and patches."""
    ids, images = batch["input_ids"], batch["images"]
    inputs: dict[str, Any] = {
        "position_ids": batch["positions"].transpose(0, 1),
        "attention_mask": batch.get("attention_mask"),
        "use_cache": False,
    }
    if features is not None:
        embeds = model.get_input_embeddings()(ids).detach()
        for number, placed in enumerate(images):
            for each, offset in placed:
                begin = offset + each.start
                embeds[number, begin : begin + each.tokens] = features.of(each).to(embeds.device, embeds.dtype)
        return inputs | {"inputs_embeds": embeds}
    flat = [each for placed in images for each, _ in placed]
    if flat:
        pixels = torch.cat([store.read(each) for each in flat]).to(ids.device, model.dtype)
        inputs |= {
            "pixel_values": pixels,
            "image_grid_thw": torch.tensor([each.grid for each in flat], device=ids.device),
            "mm_token_type_ids": (ids == model.config.image_token_id).int(),
        }
    return inputs | {"input_ids": ids}


def loss_of(model: Any, inputs: dict[str, Any], labels: torch.Tensor, count: torch.Tensor | int) -> torch.Tensor:
    """Cross entropy summed over learnt tokens, divided by `count`."""
    learnt = labels[:, 1:] != NOT_LEARNT
    columns = learnt.any(0).nonzero()[:, 0]
    logits = model(**inputs, logits_to_keep=columns).logits
    targets = labels[:, 1:][:, columns]
    total = torch.nn.functional.cross_entropy(
        logits.flatten(0, 1).float(), targets.flatten(), ignore_index=NOT_LEARNT, reduction="sum"
    )
    return total / count


def wasted(rows: Sequence[Encoded], size: int) -> float:
    """Share of filling in batches of `size` neighbours by length."""
    lengths = sorted(len(row.ids) for row in rows)
    groups = [lengths[at : at + size] for at in range(0, len(lengths), size)]
    filled = sum(max(group) * len(group) for group in groups)
    return 1 - sum(lengths) / filled if filled else 0.0
