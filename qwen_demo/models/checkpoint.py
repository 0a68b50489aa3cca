"""What a folder with a checkpoint holds, read from its configuration and the headers of its files; no weight is read.

Names of weights are today's, whatever the files use: Qwen2.5-VL was published with `visual.…`, `model.layers.…` and
`lm_head.weight`; transformers 5 writes `model.visual.…` and `model.language_model.layers.…`.
"""

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from qwen_demo.errors import ModelLoadError
from qwen_demo.sentences import Sentence

# The model card's context length; configurations say 128,000, which positions do not bear without YaRN.
CARD_CONTEXT_TOKENS = 32_768
INDEX, SINGLE = "model.safetensors.index.json", "model.safetensors"


def todays_name(name: str) -> str:
    """The name of a weight or a module in transformers 5."""
    if name == "visual" or name.startswith("visual."):
        return f"model.{name}"
    if name.startswith("model.") and not name.startswith(("model.visual", "model.language_model")):
        return f"model.language_model.{name.removeprefix('model.')}"
    return name


@dataclass(frozen=True, slots=True)
class StoredWeight:
    """Where a tensor lies: its file and the name it has there."""

    file: Path
    name: str


@dataclass(frozen=True, slots=True)
class FileQuantization:
    """How the files of a checkpoint are quantised already.

    Attributes:
        kind: `nf4`, `fp4`, `int8` (all bitsandbytes), `gptq`, `awq`, `fp8`, `none`, or the unknown method's own name.
        label: what the configuration says, for people.
    """

    kind: str = "none"
    label: str = ""

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> "FileQuantization":
        """By `quantization_config` of a `config.json`."""
        said: Mapping[str, Any] = config.get("quantization_config") or {}
        if not said:
            return cls()
        method = str(said.get("quant_method") or ("bitsandbytes" if "load_in_4bit" in said else "unknown"))
        bits = said.get("bits") or said.get("w_bit") or 4
        if method == "bitsandbytes":
            if said.get("load_in_8bit"):
                return cls("int8", "int8, bitsandbytes")
            kind = str(said.get("bnb_4bit_quant_type", "fp4"))
            double = ", double" if said.get("bnb_4bit_use_double_quant") else ""
            return cls(kind, f"{kind}, bitsandbytes{double}")
        if method in ("gptq", "awq"):
            return cls(method if bits == 4 else f"{method} of {bits} bits", f"int{bits}, {method.upper()}")
        if method == "fp8" or (method == "compressed-tensors" and said.get("format") == "float-quantized"):
            return cls("fp8", f"fp8, {method}" if method != "fp8" else "fp8")
        return cls(method, method)


@dataclass(frozen=True)
class Checkpoint:
    """A folder with a model.

    Attributes:
        config: its `config.json`.
        weights: where each tensor lies, by today's names.
    """

    folder: Path
    config: Mapping[str, Any] = field(repr=False)
    weights: Mapping[str, StoredWeight] = field(repr=False)

    @classmethod
    def of(cls, folder: Path) -> "Checkpoint":
        """Raises `ModelLoadError` when the folder holds no safetensors weights, or not all of them."""
        config = _read_json(folder / "config.json")
        return cls(folder, config, {todays_name(w.name): w for w in _stored_weights(folder)})

    @functools.cached_property
    def quantization(self) -> FileQuantization:
        return FileQuantization.of(self.config)

    @property
    def files(self) -> list[Path]:
        return sorted({weight.file for weight in self.weights.values()})

    @property
    def bytes(self) -> int:
        """Size of all files with weights."""
        return sum(file.stat().st_size for file in self.files)

    @property
    def text_config(self) -> Mapping[str, Any]:
        """The language model's part; older files keep it at the top."""
        return self.config.get("text_config") or self.config

    @property
    def ties_embeddings(self) -> bool:
        """Whether the output layer is the table of words."""
        said = self.config.get("tie_word_embeddings", self.text_config.get("tie_word_embeddings"))
        return bool(said) or not any(name.startswith("lm_head.") for name in self.weights)

    @property
    def context_tokens(self) -> int:
        """Prompt and answer that the model was made for: the card's, or what a configured YaRN stretches it to."""
        return context_tokens(self.text_config)


def context_tokens(text_config: Mapping[str, Any]) -> int:
    """As `Checkpoint.context_tokens`."""
    most = int(text_config.get("max_position_embeddings", CARD_CONTEXT_TOKENS))
    rope = text_config.get("rope_parameters") or text_config.get("rope_scaling") or {}
    kind = rope.get("rope_type") or rope.get("type")
    if kind == "yarn":
        return int(rope.get("original_max_position_embeddings", CARD_CONTEXT_TOKENS) * float(rope.get("factor", 1.0)))
    return min(most, CARD_CONTEXT_TOKENS)


def _stored_weights(folder: Path) -> list[StoredWeight]:
    index = folder / INDEX
    if index.is_file():
        weights = [StoredWeight(folder / file, name) for name, file in _read_json(index)["weight_map"].items()]
        missing = sorted({weight.file.name for weight in weights if not weight.file.is_file()})
        if missing:
            raise ModelLoadError(
                Sentence(
                    "{folder} lacks {files}, which its index names. The download is not complete: fetch it again with "
                    "qwen-demo pull, or copy the missing files.",
                    folder=str(folder),
                    files=", ".join(missing),
                )
            )
        return weights
    if (folder / SINGLE).is_file():
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(folder / SINGLE, "np") as opened:  # only names are read, and the front loads no torch
                return [StoredWeight(folder / SINGLE, name) for name in opened.keys()]  # noqa: SIM118 no mapping
        except SafetensorError as error:
            raise ModelLoadError(f"{folder / SINGLE} is damaged or no safetensors file: {error}") from error
    others = sorted(path.name for pattern in ("*.bin", "*.gguf", "*.pth") for path in folder.glob(pattern))
    found = f"It has {', '.join(others)}, which can run code or is another program's format." if others else ""
    raise ModelLoadError(
        f"{folder} has no model.safetensors and no {INDEX}. {found} Give a checkpoint with safetensors files.".replace(
            "  ", " "
        )
    )


def _read_json(path: Path) -> dict[str, Any]:
    try:
        read: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelLoadError(f"{path} cannot be read: {error}") from error
    return read
