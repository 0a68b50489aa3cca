"""Low-rank adapters as peft writes them: `adapter_config.json` and `adapter_model.safetensors`, nothing else.

`look` reads the configuration and the header of the weights, without torch; `check_fits` holds them to a base, and
`tensors` reads the numbers. What is no plain LoRA is refused by name, and so is a key that is missing or too many: an
adapter that was half read would answer, and wrongly. Pickled files are refused, whatever lies beside them.
"""

import hashlib
import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from qwen_demo.errors import AdapterRefused
from qwen_demo.models.checkpoint import todays_name
from qwen_demo.types import Adapter

if TYPE_CHECKING:
    import torch

CONFIG, WEIGHTS, BASE = "adapter_config.json", "adapter_model.safetensors", "base.json"
PICKLED = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt")
PREFIX = "base_model.model."
A, B = ".lora_A.weight", ".lora_B.weight"
MAX_RANK = 64
MAX_CONFIG_BYTES, MAX_HEADER_BYTES = 1 << 20, 16 << 20
LANGUAGE, VISION = "model.language_model.layers.", "model.visual."
DTYPES = ("F32", "F16", "BF16")
# What a plain low-rank product is not, in peft's words, and the values with which it is one.
PLAIN: dict[str, tuple[Any, ...]] = {
    "use_dora": (False,),
    "modules_to_save": (None, []),
    "bias": ("none",),
    "lora_bias": (False,),
    "fan_in_fan_out": (False,),
    "rank_pattern": ({}, None),
    "alpha_pattern": ({}, None),
    "layer_replication": (None,),
    "trainable_token_indices": (None,),
    "target_parameters": (None, []),
    "use_qalora": (False,),
    "use_bdlora": (None, False),
    "alora_invocation_tokens": (None,),
    "arrow_config": (None,),
    # These ways of beginning change the base's own weights, too.
    "init_lora_weights": (True, False, "gaussian", "eva", "orthogonal"),
}
# Copies of a checkpoint that are the same model for an adapter.
_COPIES = re.compile(r"(?:-(?:awq|gptq|bnb|nf4|fp8|int[48]|[48]bit|unsloth|dynamic))+$")

Shapes = Mapping[str, tuple[int, int]]


@dataclass(frozen=True, slots=True)
class AdapterFolder:
    """
    Attributes:
        rank: of all its products.
        scale: of what A and B give together.
        base: name of the model it was learnt on; empty where the folder does not say.
        fingerprint: of that model, see `fingerprint`; empty where the folder does not say.
        shapes: A's rank and inputs, B's outputs and rank, by the layer's name today.
        keys: the file's own names of A and B, by the same.
    """

    folder: Path
    config: Mapping[str, Any]
    rank: int
    scale: float
    base: str
    fingerprint: str
    shapes: Mapping[str, tuple[tuple[int, int], tuple[int, int]]]
    keys: Mapping[str, tuple[str, str]]

    @property
    def vision(self) -> list[str]:
        """Its layers of the vision encoder."""
        return [name for name in self.shapes if name.startswith(VISION)]


def look(folder: Path) -> AdapterFolder:
    """What a folder holds, from its configuration and the header of its weights.

    Raises:
        AdapterRefused: it is none, is pickled, or is another kind than plain LoRA.
    """
    if not folder.is_dir():
        raise AdapterRefused(f"{folder}: there is no such folder.")
    pickled = sorted(path.name for path in folder.iterdir() if path.suffix.lower() in PICKLED)
    if pickled:
        raise AdapterRefused(
            f"{folder} holds {', '.join(pickled)}: pickled files can run code when they are read. Save the adapter as "
            f"{WEIGHTS} (save_pretrained(..., safe_serialization=True)) and take them away."
        )
    config = _object(folder / CONFIG)
    rank, scale = _rank_and_scale(folder, config)
    shapes, keys = _layers(folder, rank)
    said = _object(folder / BASE) if (folder / BASE).is_file() else {}
    base = str(said.get("model") or config.get("base_model_name_or_path") or "")
    return AdapterFolder(folder, config, rank, scale, base, str(said.get("fingerprint") or ""), shapes, keys)


def named(name: str, folder: Path, max_bytes: int) -> Adapter:
    """What a request names: where it lies and a digest of all that it is. Raises `AdapterRefused`, as `look` does."""
    look(folder)
    size = (folder / WEIGHTS).stat().st_size
    if size > max_bytes:
        raise AdapterRefused(
            f"{folder}/{WEIGHTS} has {size >> 20} MiB; an adapter may have {max_bytes >> 20} (--adapter-mib)."
        )
    return Adapter(name, str(folder), digest(folder))


def digest(folder: Path) -> str:
    """SHA-256 (hex) of configuration and weights."""
    made = hashlib.sha256()
    for name in (CONFIG, WEIGHTS):
        with (folder / name).open("rb") as file:
            made.update(hashlib.file_digest(file, "sha256").digest())
    return made.hexdigest()


def fingerprint(folder: Path, ends: int = 1 << 20) -> str:
    """SHA-256 (hex) of a base: its configuration, and the size, head and end of each file of weights."""
    made = hashlib.sha256((folder / "config.json").read_bytes())
    for file in sorted(folder.glob("*.safetensors"), key=lambda path: path.name):
        size = file.stat().st_size
        made.update(str(size).encode())
        with file.open("rb") as opened:
            made.update(opened.read(ends))
            opened.seek(max(0, size - ends))
            made.update(opened.read(ends))
    return made.hexdigest()


def check_base(adapter: AdapterFolder, name: str, base_fingerprint: Callable[[], str]) -> None:
    """Raises `AdapterRefused` with both names where it was learnt on another model than `name`."""
    if adapter.fingerprint:
        if adapter.fingerprint == base_fingerprint():
            return
        why = " (its weights have another fingerprint)"
    else:
        if not adapter.base or _plain_name(adapter.base) == _plain_name(name):
            return
        why = ""
    raise AdapterRefused(
        f"The adapter {adapter.folder.name} was learnt on {adapter.base or 'another model'}, and this server answers with "
        f"{name}{why}. Serve it with its own base, or learn it anew."
    )


def check_fits(adapter: AdapterFolder, shapes: Shapes) -> None:
    """
    Args:
        shapes: outputs and inputs of each linear layer of the base, by name.

    Raises:
        AdapterRefused: a layer that the base does not have, of another shape, or that should be there and is not.
    """
    for name, ((_, inputs), (outputs, _)) in adapter.shapes.items():
        if name not in shapes:
            raise AdapterRefused(
                f"{adapter.folder} changes {name}, which this model does not have or cannot have changed."
            )
        if (outputs, inputs) != tuple(shapes[name]):
            wanted = " x ".join(map(str, shapes[name]))
            raise AdapterRefused(
                f"{adapter.folder}: {name} is for {outputs} x {inputs}, and this model's is {wanted}: it is for another base."
            )
    missing = [name for name in _targets(adapter, shapes) if name not in adapter.shapes]
    if missing:
        raise AdapterRefused(
            f"{adapter.folder} lacks {len(missing)} layers that its configuration names, {missing[0]} first. "
            "Save it again, whole."
        )


def tensors(adapter: AdapterFolder, wanted_digest: str = "") -> "dict[str, tuple[torch.Tensor, torch.Tensor]]":
    """A [rank, inputs] and B [outputs, rank] in float32 by layer; B has the scale in it.

    Raises:
        AdapterRefused: the file is damaged, holds numbers that are not finite, or is not what it was.
    """
    import safetensors.torch
    from safetensors import SafetensorError

    path = adapter.folder / WEIGHTS
    try:
        if wanted_digest and digest(adapter.folder) != wanted_digest:
            raise AdapterRefused(f"{adapter.folder} has changed since it was loaded. Unload it and load it again.")
        read = safetensors.torch.load_file(path)
    except (OSError, SafetensorError) as error:
        raise AdapterRefused(f"{path} cannot be read: {error}") from error
    made = {}
    for name, (a, b) in adapter.keys.items():
        pair = read[a].float(), read[b].float() * adapter.scale
        if not all(bool(half.isfinite().all()) for half in pair):
            raise AdapterRefused(f"{path}: {name} holds numbers that are not finite.")
        made[name] = pair
    return made


def _rank_and_scale(folder: Path, config: Mapping[str, Any]) -> tuple[int, float]:
    if str(config.get("peft_type", "")).upper() != "LORA":
        raise AdapterRefused(f"{folder} is an adapter of the kind {config.get('peft_type')}; served are those of LoRA.")
    for key, plain in PLAIN.items():
        if key in config and not any(config[key] is each or config[key] == each for each in plain):
            raise AdapterRefused(f"{folder} has {key} {config[key]!r}, which is no plain LoRA and is not served here.")
    rank, alpha = config.get("r"), config.get("lora_alpha")
    if not isinstance(rank, int) or isinstance(rank, bool) or not 1 <= rank <= MAX_RANK:
        raise AdapterRefused(f"{folder} has the rank {rank!r}; it may be 1 to {MAX_RANK}.")
    if not isinstance(alpha, int | float) or isinstance(alpha, bool) or not math.isfinite(alpha):
        raise AdapterRefused(f"{folder} has lora_alpha {alpha!r}, which is no number.")
    return rank, alpha / (math.sqrt(rank) if config.get("use_rslora") else rank)


def _layers(folder: Path, rank: int) -> tuple[dict[str, Any], dict[str, tuple[str, str]]]:
    """Shapes and keys by layer. Raises `AdapterRefused`: halves without the other, or of another rank."""
    header = _header(folder / WEIGHTS)
    strange = sorted(key for key in header if not key.startswith(PREFIX) or not key.endswith((A, B)))
    if strange:
        raise AdapterRefused(f"{folder} has {len(strange)} keys that are no low-rank weights, {strange[0]} first.")
    if not header:
        raise AdapterRefused(f"{folder}/{WEIGHTS} holds no weights.")
    halves = {half: {key.removesuffix(half) for key in header if key.endswith(half)} for half in (A, B)}
    if alone := sorted(halves[A] ^ halves[B]):
        raise AdapterRefused(f"{folder} has {len(alone)} layers with one half of their weights, {alone[0]} first.")
    shapes, keys = {}, {}
    for key in sorted(halves[A]):
        a, b = (header[key + half] for half in (A, B))
        if len(a) != 2 or len(b) != 2 or a[0] != rank or b[1] != rank:
            raise AdapterRefused(f"{folder}: {key} has the shapes {list(a)} and {list(b)} at rank {rank}.")
        name = todays_name(key.removeprefix(PREFIX))
        shapes[name], keys[name] = (a, b), (key + A, key + B)
    return shapes, keys


def _header(path: Path) -> dict[str, tuple[int, ...]]:
    """Shapes by key."""
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if not 2 <= length <= MAX_HEADER_BYTES:
                raise AdapterRefused(f"{path} is damaged or no safetensors file.")
            read = json.loads(file.read(length))
        read.pop("__metadata__", None)
        kinds = {str(entry["dtype"]) for entry in read.values()}
        shapes = {str(key): tuple(int(size) for size in entry["shape"]) for key, entry in read.items()}
    except FileNotFoundError as error:
        raise AdapterRefused(f"{path.parent} has no {path.name}.") from error
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise AdapterRefused(f"{path} is damaged or no safetensors file.") from error
    if others := sorted(kinds.difference(DTYPES)):
        raise AdapterRefused(f"{path} holds numbers of the kind {others[0]}; read are {', '.join(DTYPES)}.")
    return shapes


def _object(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > MAX_CONFIG_BYTES:
            raise AdapterRefused(f"{path} is larger than any configuration.")
        read = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise AdapterRefused(f"{path.parent} has no {path.name}.") from error
    except (OSError, ValueError, RecursionError) as error:
        raise AdapterRefused(f"{path} cannot be read: {error}") from error
    if not isinstance(read, dict):
        raise AdapterRefused(f"{path} holds no object.")
    return read


def _targets(adapter: AdapterFolder, names: Iterable[str]) -> list[str]:
    """The layers that the configuration names, by peft's rules: endings in a list, or one pattern of a whole name."""
    config = adapter.config
    wanted, left_out = config.get("target_modules"), config.get("exclude_modules")
    only = config.get("layers_to_transform")
    numbers = None if only is None else {only} if isinstance(only, int) else set(only)
    older = not any(key.startswith((PREFIX + LANGUAGE, PREFIX + VISION)) for key, _ in adapter.keys.values())
    found = []
    for name in names:
        known_as = _older_name(name) if older else name
        number = re.search(r"\.(?:layers|blocks)\.(\d+)\.", name)
        if numbers is not None and (number is None or int(number[1]) not in numbers):
            continue
        if _matches(wanted, known_as) and not (left_out and _matches(left_out, known_as)):
            found.append(name)
    return found


def _matches(wanted: Any, name: str) -> bool:
    if isinstance(wanted, str):
        if wanted == "all-linear":
            return name != "lm_head"
        try:
            return re.fullmatch(wanted, name) is not None
        except re.error as error:
            raise AdapterRefused(f"target_modules {wanted!r} is no pattern: {error}") from error
    if not isinstance(wanted, list):
        return False
    return any(name == end or name.endswith(f".{end}") for end in wanted)


def _older_name(name: str) -> str:
    """Before transformers 5."""
    if name.startswith(LANGUAGE):
        return "model.layers." + name.removeprefix(LANGUAGE)
    return name.removeprefix("model.") if name.startswith(VISION) else name


def _plain_name(model: str) -> str:
    return _COPIES.sub("", PurePath(model).name.lower())
