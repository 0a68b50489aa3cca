"""An adapter's folder in peft's standard form, read with suspicion: safetensors alone, nothing missing, nothing more.

`base.json` beside it names the model that it was learnt on, with a fingerprint: on another base an adapter would answer,
and wrongly.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qwen_demo.errors import ModelLoadError

CONFIG, WEIGHTS, BASE = "adapter_config.json", "adapter_model.safetensors", "base.json"
PICKLED = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt")
PREFIX = "base_model.model."
MAX_CONFIG_BYTES = 1 << 20
_A, _B = ".lora_A.weight", ".lora_B.weight"
# What a plain low-rank product is not, and the value of each where it is one.
_PLAIN = {"use_dora": False, "modules_to_save": None, "bias": "none", "lora_bias": False, "fan_in_fan_out": False}


@dataclass(frozen=True, slots=True)
class AdapterFolder:
    """
    Attributes:
        config: of `adapter_config.json`.
        tensors: by peft's names, `base_model.model.` and so on.
        base: name of the base; empty where the folder does not say.
        fingerprint: of the base; empty where the folder does not say.
    """

    folder: Path
    config: Mapping[str, Any]
    tensors: Mapping[str, Any]
    base: str
    fingerprint: str

    @property
    def modules(self) -> dict[str, tuple[Any, Any]]:
        """A [rank, in] and B [out, rank] by the module's name in the model."""
        names = [name.removesuffix(_A) for name in self.tensors if name.endswith(_A)]
        return {name.removeprefix(PREFIX): (self.tensors[name + _A], self.tensors[name + _B]) for name in names}


def read_adapter(folder: Path) -> AdapterFolder:
    """Raises `ModelLoadError`: pickled files, another kind of adapter, or keys without their other half."""
    if not folder.is_dir():
        raise ModelLoadError(f"{folder}: there is no such folder.")
    pickled = sorted(path.name for path in folder.iterdir() if path.suffix.lower() in PICKLED)
    if pickled:
        raise ModelLoadError(
            f"{folder} holds {', '.join(pickled)}: pickled files can run code when they are read. Save the adapter as "
            f"{WEIGHTS}, without them."
        )
    config = _json(folder / CONFIG)
    if str(config.get("peft_type", "")).upper() != "LORA":
        raise ModelLoadError(f"{folder} is an adapter of the kind {config.get('peft_type')}; read are those of LoRA.")
    for key, plain in _PLAIN.items():
        if config.get(key) not in (plain, None, [], False):
            raise ModelLoadError(f"{folder} has {key} {config[key]!r}, which is no plain low-rank adapter.")
    tensors = _tensors(folder / WEIGHTS)
    _check_pairs(folder, config, tensors)
    said = _json(folder / BASE) if (folder / BASE).is_file() else {}
    base = str(said.get("model") or config.get("base_model_name_or_path") or "")
    return AdapterFolder(folder, config, tensors, base, str(said.get("fingerprint", "")))


def check_base(adapter: AdapterFolder, name: str, fingerprint: str) -> None:
    """Raises `ModelLoadError` with both names where `adapter` was learnt on another model."""
    if adapter.fingerprint and adapter.fingerprint != fingerprint:
        raise ModelLoadError(
            f"The adapter {adapter.folder} was learnt on {adapter.base} ({adapter.fingerprint[:12]}), and the model here "
            f"is {name} ({fingerprint[:12]}). Serve it on its own base, or learn it anew."
        )


def check_fits(adapter: AdapterFolder, shapes: Mapping[str, tuple[int, int]]) -> None:
    """
    Args:
        shapes: [out, in] of the model's linear layers by name.

    Raises:
        ModelLoadError: the adapter has a key that the model has no layer for, or of another shape.
    """
    for name, (a, b) in adapter.modules.items():
        if name not in shapes:
            raise ModelLoadError(
                f"{adapter.folder} changes {name}, which this model does not have: it is for another base."
            )
        if (b.shape[0], a.shape[1]) != tuple(shapes[name]):
            wanted, given = " x ".join(map(str, shapes[name])), f"{b.shape[0]} x {a.shape[1]}"
            raise ModelLoadError(
                f"{adapter.folder}: {name} is {given}, and this model's is {wanted}: it is for another base."
            )


def check_whole(folder: Path, expected: Mapping[str, tuple[int, ...]]) -> None:
    """What was saved has exactly the keys and shapes that were learnt. Raises `ModelLoadError`."""
    found = {name: tuple(tensor.shape) for name, tensor in read_adapter(folder).tensors.items()}
    missing, extra = sorted(expected.keys() - found.keys()), sorted(found.keys() - expected.keys())
    if missing or extra or found != dict(expected):
        first = (missing + extra or [name for name in found if found[name] != expected[name]])[0]
        raise ModelLoadError(f"{folder}: {len(missing)} keys are missing and {len(extra)} are too many, {first} first.")


def _check_pairs(folder: Path, config: Mapping[str, Any], tensors: Mapping[str, Any]) -> None:
    strange = sorted(n for n in tensors if not n.startswith(PREFIX) or not n.endswith((_A, _B)))
    if strange:
        raise ModelLoadError(f"{folder} has {len(strange)} keys that are no low-rank weights, {strange[0]} first.")
    halves = {end: {n.removesuffix(end) for n in tensors if n.endswith(end)} for end in (_A, _B)}
    if alone := sorted(halves[_A] ^ halves[_B]):
        raise ModelLoadError(f"{folder} has {len(alone)} layers with one half of their weights, {alone[0]} first.")
    if not halves[_A]:
        raise ModelLoadError(f"{folder}/{WEIGHTS} holds no low-rank weights.")
    ranks = {int(config.get("r", 0)), *map(int, dict(config.get("rank_pattern") or {}).values())}
    for name in sorted(halves[_A]):
        a, b = tensors[name + _A], tensors[name + _B]
        if a.ndim != 2 or b.ndim != 2 or a.shape[0] != b.shape[1] or a.shape[0] not in ranks:
            raise ModelLoadError(
                f"{folder}: {name} has the shapes {list(a.shape)} and {list(b.shape)} at rank {ranks}."
            )


def _tensors(path: Path) -> dict[str, Any]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return dict(load_file(path))
    except FileNotFoundError as error:
        raise ModelLoadError(f"{path.parent} has no {WEIGHTS}.") from error
    except (SafetensorError, OSError) as error:
        raise ModelLoadError(f"{path} is damaged or no safetensors file: {error}") from error


def _json(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > MAX_CONFIG_BYTES:
            raise ModelLoadError(f"{path} is larger than any configuration.")
        read = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelLoadError(f"{path} cannot be read: {error}") from error
    if not isinstance(read, dict):
        raise ModelLoadError(f"{path} holds no object.")
    return read
