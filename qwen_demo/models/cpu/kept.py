"""Quantised weights kept on the disk, so that the next start reads three gigabytes instead of quantising seven.

A folder for each repository (or folder), revision, kind of weights and layout, with safetensors files and a list of which
layer is of which class. Bounded in size and age: the least recently used go first. A folder is written beside and
renamed, so there is none that is not whole; one that cannot be read is thrown away and made anew.
"""

import hashlib
import json
import logging
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from qwen_demo.models.checkpoint import Checkpoint
from qwen_demo.models.cpu.head import RescoredHead
from qwen_demo.models.cpu.layers import KINDS, WeightsPlan
from qwen_demo.models.cpu.stored import StoredEmbedding
from qwen_demo.models.reading import ReadingOrder
from qwen_demo.sentences import Sentence

log = logging.getLogger(__name__)

FORMAT = 2
MANIFEST, WORDS_FILE = "manifest.json", "words.safetensors"
WORDS, HEAD = "model.language_model.embed_tokens.weight", "lm_head"
GIB, GB = 1 << 30, 10**9
# Written at once: the library makes a copy of it.
SHARD_BYTES = 1 << 28
# Smaller checkpoints are quantised sooner than they are found.
WORTH_BYTES = GB
DAY_S = 86_400


class KeptWeights:
    """One entry of the cache.

    Args:
        root: the cache's folder.
        key: what the weights were made of, and how.
        limit_bytes, max_age_days: of the whole cache.
        dtype: computed with.
    """

    def __init__(self, root: Path, key: dict[str, str], limit_bytes: int, max_age_days: float, dtype: torch.dtype):
        self._root, self._key, self._limit, self._max_age_s = root, key, limit_bytes, max_age_days * DAY_S
        self._dtype = dtype
        name = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:24]
        self.folder = root / name

    @classmethod
    def of(cls, order: ReadingOrder, plan: WeightsPlan) -> "KeptWeights | None":
        """The entry of a model; None where nothing is kept: what is not quantised, small, or the cache is off."""
        settings, checkpoint = order.settings, order.checkpoint
        if plan.kind == "none" or checkpoint.bytes < WORTH_BYTES or not settings.weights_cache_gib:
            return None
        key = {
            "format": str(FORMAT),
            "model": order.choice.model_id if order.choice.revision else str(checkpoint.folder.resolve()),
            "files": _fingerprint(checkpoint),
            "kind": plan.kind,
            "layout": plan.layout,
            **({"merged": order.merging.digest} if order.merging else {}),
        }
        limit = int(settings.weights_cache_gib * GIB)
        return cls(settings.weights_cache_dir, key, limit, settings.weights_cache_days, plan.dtype)

    def read(self, empty: Callable[[], Any], progress: Callable[[Sentence], None]) -> Any:
        """A model with these weights; None if there are none that can be read.

        Args:
            empty: makes the model without weights.
        """
        self._forget_old()
        manifest = self.folder / MANIFEST
        if not manifest.is_file():
            return None
        try:
            said = json.loads(manifest.read_text())
            progress(Sentence("Reading {size:.1f} GB of quantised weights from the cache", size=said["bytes"] / GB))
            model = empty()
            self._restore(model, said["layers"])
        except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
            log.warning("quantised weights in %s cannot be read (%s); they are made anew", self.folder, error)
            shutil.rmtree(self.folder, ignore_errors=True)
            return None
        manifest.touch()  # its time says when it was last used
        return model

    def write(self, model: Any, progress: Callable[[Sentence], None]) -> None:
        """Keep the weights of `model`. What goes wrong is said in the log: the model is there without."""
        state = {name: tensor for name, tensor in model.state_dict().items() if name != WORDS}
        words = model.get_submodule(WORDS.removesuffix(".weight"))
        size = sum(tensor.nbytes for tensor in (*state.values(), words.weight))
        if size > self._limit:
            log.info("quantised weights are not kept: %.1f GB are more than the cache may hold", size / GB)
            return
        self._make_room(size)
        beside = self._root / f".{self.folder.name}-{uuid.uuid4().hex[:8]}"
        try:
            free = shutil.disk_usage(_existing(self._root)).free
            if free < size + SHARD_BYTES:
                raise OSError(f"{free / GB:.1f} GB free")
            progress(Sentence("Keeping {size:.1f} GB of quantised weights for the next start", size=size / GB))
            beside.mkdir(parents=True)
            for number, shard in enumerate(_shards(state)):
                save_file(shard, beside / f"weights-{number:03}.safetensors")
            whole = {WORDS: words.weight}
            head = model.get_submodule(HEAD)
            if isinstance(head, RescoredHead) and head.rows is not words.weight:
                whole[HEAD] = head.rows
            save_file(whole, beside / WORDS_FILE)
            manifest = {"key": self._key, "bytes": size, "layers": _classes(model)}
            (beside / MANIFEST).write_text(json.dumps(manifest))
            beside.rename(self.folder)
            # Writing has read all of the table; a fresh mapping starts without.
            self._map_words(model)
        except (OSError, SafetensorError) as error:
            log.warning("quantised weights are not kept in %s: %s", self._root, error)
            shutil.rmtree(beside, ignore_errors=True)

    def _restore(self, model: Any, classes: dict[str, str]) -> None:
        read: dict[str, torch.Tensor] = {}
        for path in sorted(self.folder.glob("weights-*.safetensors")):
            with safe_open(path, "pt") as opened:
                read |= {name: opened.get_tensor(name).clone() for name in opened.keys()}  # noqa: SIM118 no mapping
        parts: dict[str, dict[str, torch.Tensor]] = {}
        for name, tensor in read.items():
            module, _, leaf = name.rpartition(".")
            parts.setdefault(module, {})[leaf] = tensor
        if (coarse := f"{HEAD}.coarse") in parts:
            head = KINDS[classes[coarse]](**parts.pop(coarse))
            model.set_submodule(HEAD, RescoredHead(head, torch.empty(0, 0)))
        for module, tensors in parts.items():
            if (kind := classes.get(module)) is not None:
                model.set_submodule(module, KINDS[kind](**tensors))
            else:
                for leaf, tensor in tensors.items():
                    setattr(model.get_submodule(module), leaf, nn.Parameter(tensor, requires_grad=False))
        self._map_words(model)
        missing = [name for name, parameter in model.named_parameters() if parameter.is_meta]
        if missing:
            raise KeyError(f"no {missing[0]}")

    def _map_words(self, model: Any) -> None:
        with safe_open(self.folder / WORDS_FILE, "pt") as opened:
            words = opened.get_tensor(WORDS)
            whole = opened.get_tensor(HEAD) if HEAD in opened.keys() else words  # noqa: SIM118 no mapping
        model.set_submodule(WORDS.removesuffix(".weight"), StoredEmbedding(words, self._dtype))
        head = model.get_submodule(HEAD)
        if isinstance(head, RescoredHead):
            model.set_submodule(HEAD, RescoredHead(head.coarse, whole))

    def _forget_old(self) -> None:
        """Entries that nobody used for long, and what a program that ended left half written."""
        now = time.time()
        for folder, used, _ in _entries(self._root):
            if now - used > self._max_age_s:
                shutil.rmtree(folder, ignore_errors=True)
        for folder in self._root.glob(".*-*"):
            with suppress(FileNotFoundError):  # another process has named it by now
                if now - folder.stat().st_mtime > DAY_S:
                    shutil.rmtree(folder, ignore_errors=True)

    def _make_room(self, size: int) -> None:
        entries = sorted(_entries(self._root), key=lambda entry: entry[1])
        held = sum(entry[2] for entry in entries)
        for folder, _, bytes_ in entries:
            if held + size <= self._limit:
                return
            shutil.rmtree(folder, ignore_errors=True)
            held -= bytes_


def _entries(root: Path) -> Iterator[tuple[Path, float, int]]:
    """Folder, time of the last use and bytes of each entry."""
    for manifest in root.glob(f"*/{MANIFEST}"):
        folder = manifest.parent
        try:
            entry = folder, manifest.stat().st_mtime, sum(path.stat().st_size for path in folder.iterdir())
        except FileNotFoundError:  # another process removes it
            continue
        yield entry


def _classes(model: Any) -> dict[str, str]:
    """Which layers are none of PyTorch's own, and of which class."""
    return {name: type(module).__name__ for name, module in model.named_modules() if type(module).__name__ in KINDS}


def _shards(state: dict[str, torch.Tensor]) -> Iterator[dict[str, torch.Tensor]]:
    shard: dict[str, torch.Tensor] = {}
    size = 0
    for name, tensor in state.items():
        if size + tensor.nbytes > SHARD_BYTES and shard:
            yield shard
            shard, size = {}, 0
        shard[name] = tensor.contiguous()
        size += tensor.nbytes
    yield shard


def _existing(path: Path) -> Path:
    return path if path.exists() else _existing(path.parent)


def _fingerprint(checkpoint: Checkpoint) -> str:
    """Other files, another fingerprint: by names, sizes and times, as reading all bytes would take what is to be saved."""
    seen = [f"{file.name} {(stat := file.stat()).st_size} {stat.st_mtime_ns}" for file in checkpoint.files]
    seen.append(json.dumps(checkpoint.config, sort_keys=True))
    return hashlib.sha256("\n".join(seen).encode()).hexdigest()
